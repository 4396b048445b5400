//! Queue of transfers: which are under way, and which wait for their turn. Pure.

use std::collections::{BTreeSet, VecDeque};

use crate::secure::files::FileKey;

/// Transfers of one session that are under way at a time, at most: 4, as many as it uses (doc/lanes.md).
const MOST_OF_SESSION: usize = 4;

/// Transfers of the process that are under way at a time, at most: 16. Each has a connection, and up to a file in memory.
const MOST: usize = 16;

/// Transfers, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Queue<T> {
    under_way: BTreeSet<FileKey>,
    waiting: VecDeque<(FileKey, T)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { under_way: BTreeSet::new(), waiting: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    /// One more is to be done.
    pub(super) fn push(&mut self, file: FileKey, transfer: T) {
        self.waiting.push_back((file, transfer));
    }

    /// The next that may begin: it is under way from now on.
    pub(super) fn poll(&mut self) -> Option<(FileKey, T)> {
        if self.under_way.len() >= MOST {
            return None;
        }
        let has_room = |file: &FileKey| {
            let of_session = self.under_way.iter().filter(|other| other.session == file.session);
            of_session.count() < MOST_OF_SESSION && !self.under_way.contains(file)
        };
        let next = self.waiting.iter().position(|(file, _)| has_room(file))?;
        let (file, transfer) = self.waiting.remove(next)?;
        self.under_way.insert(file);
        Some((file, transfer))
    }

    /// The transfer of a file is over, or nobody wants it any more. Tells whether it was under way.
    pub(super) fn end(&mut self, file: FileKey) -> bool {
        self.waiting.retain(|(waiting, _)| *waiting != file);
        self.under_way.remove(&file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that begin now.
    fn begun(queue: &mut Queue<()>) -> Vec<FileKey> {
        std::iter::from_fn(|| queue.poll()).map(|(file, ())| file).collect()
    }

    fn asked(files: impl IntoIterator<Item = FileKey>) -> Queue<()> {
        let mut queue = Queue::default();
        files.into_iter().for_each(|file| queue.push(file, ()));
        queue
    }

    #[test]
    fn four_of_a_session_are_under_way_and_others_do_not_wait_for_its_fifth() {
        let mut queue = asked((0..6).map(|n| FileKey::of(1, n)).chain([FileKey::of(2, 0)]));
        let expected: Vec<_> = (0..4).map(|n| FileKey::of(1, n)).chain([FileKey::of(2, 0)]).collect();
        assert_eq!(begun(&mut queue), expected);
        assert!(queue.end(FileKey::of(1, 2)));
        assert_eq!(begun(&mut queue), [FileKey::of(1, 4)], "in their order");
    }

    #[test]
    fn sixteen_of_the_process_are_under_way() {
        let mut queue = asked((0..5).flat_map(|session| (0..4).map(move |n| FileKey::of(session, n))));
        assert_eq!(begun(&mut queue).len(), 16);
        assert!(queue.end(FileKey::of(0, 0)));
        assert_eq!(begun(&mut queue), [FileKey::of(4, 0)]);
    }

    #[test]
    fn what_nobody_wants_any_more_does_not_begin() {
        let mut queue = asked([FileKey::of(1, 0), FileKey::of(1, 1)]);
        assert!(!queue.end(FileKey::of(1, 0)));
        assert_eq!(begun(&mut queue), [FileKey::of(1, 1)]);
        assert!(queue.end(FileKey::of(1, 1)) && !queue.end(FileKey::of(1, 1)));
    }
}
