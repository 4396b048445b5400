//! Incoming files: those that the other end has made, until they are opened.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use crate::secure::crypto::file::{FileId, FileOpener, FileSize, FilesKey, NotTheFile};
use crate::secure::crypto::keys::Side;
use crate::secure::session::counters::Counters;
use crate::secure::session::files::{FILE_LOST, MOST_UNDER_WAY, NUMBER_RANGES};

/// Files that wait to be fetched, at most: 16. A peer whose window is 4 has no more; one that has is not to fill our memory.
const MOST_WAITING: usize = 16;

/// A file that is there.
#[derive(Debug)]
struct File {
    size: FileSize,
    since: Instant,
    /// What has come of it, once it is being fetched.
    opener: Option<FileOpener>,
}

/// The files of one direction, at the end that fetches them.
#[derive(Debug)]
pub(crate) struct Incoming {
    key: FilesKey,
    /// Who makes them.
    sender: Side,
    /// The numbers that were announced: a file is fetched once.
    numbers: Counters,
    files: BTreeMap<u64, File>,
}

impl Incoming {
    /// For files that this side makes.
    pub(crate) fn new(key: FilesKey, sender: Side) -> Self {
        Self { key, sender, numbers: Counters::new(NUMBER_RANGES), files: BTreeMap::new() }
    }

    /// A file is there. Whether it will be fetched; one that is announced again is nothing new.
    pub(crate) fn on_file(&mut self, now: Instant, number: u64, size: FileSize) -> bool {
        let is_taken = self.files.len() < MOST_WAITING && self.numbers.insert(number);
        if is_taken {
            self.files.insert(number, File { size, since: now, opener: None });
        }
        is_taken
    }

    /// The next file to fetch, if there are not enough of them under way.
    pub(crate) fn poll_fetch(&mut self) -> Option<(u64, FileSize)> {
        if self.files.values().filter(|file| file.opener.is_some()).count() >= MOST_UNDER_WAY {
            return None;
        }
        let (number, file) = self.files.iter_mut().find(|(_, file)| file.opener.is_none())?;
        let id = FileId { sender: self.sender, number: *number, size: file.size };
        file.opener = Some(FileOpener::new(&self.key, id));
        Some((*number, file.size))
    }

    /// Bytes of a file have come: takes some of them, and the frames of a packet that is there as a whole. To be called until none are left.
    ///
    /// # Errors
    /// They are not of the file. Nothing more of it is to be read.
    pub(crate) fn on_bytes(&mut self, number: u64, bytes: &mut Bytes) -> Result<Option<Bytes>, NotTheFile> {
        match self.files.get_mut(&number).and_then(|file| file.opener.as_mut()) {
            Some(opener) => opener.open(bytes),
            None => Err(NotTheFile),
        }
    }

    /// Whether more of a file is wanted: it is being fetched, and not all of it has come.
    pub(crate) fn wants(&self, number: u64) -> bool {
        let opener = self.files.get(&number).and_then(|file| file.opener.as_ref());
        opener.is_some_and(|opener| !opener.is_complete())
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Nothing more of a file comes: how many of its packets have, and whether those are all; none if it was over.
    pub(crate) fn on_over(&mut self, number: u64) -> Option<(u64, bool)> {
        self.files.remove(&number).map(|file| arrived(&file))
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.files.values().map(|file| file.since + FILE_LOST).min()
    }

    /// Gives up files that take too long, and says how many packets of each have come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<(u64, u64)> {
        let late = self.files.extract_if(.., |_, file| file.since + FILE_LOST <= now);
        late.map(|(number, file)| (number, arrived(&file).0)).collect()
    }
}

fn arrived(file: &File) -> (u64, bool) {
    let opener = file.opener.as_ref();
    let packets = opener.map_or(0, FileOpener::packets) as u64;
    (packets, opener.is_some_and(FileOpener::is_complete))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;
    use crate::secure::crypto::file::FileSealer;
    use crate::secure::crypto::secret::Secret;

    fn key() -> FilesKey {
        FilesKey(Secret::new([1; 32]))
    }

    fn incoming() -> (Incoming, Instant) {
        (Incoming::new(key(), Side::Bridge), Instant::now())
    }

    fn size() -> FileSize {
        FileSize::new(40_000).unwrap()
    }

    fn file(number: u64) -> Bytes {
        let mut sealer = FileSealer::new(&key(), FileId { sender: Side::Bridge, number, size: size() });
        let packets = std::iter::from_fn(|| sealer.seal(b"frames".to_vec()).ok());
        packets.flat_map(Vec::from).collect::<Vec<u8>>().into()
    }

    /// Takes all of these bytes; how many packets came out of them.
    fn take(incoming: &mut Incoming, number: u64, mut bytes: Bytes) -> Result<usize, NotTheFile> {
        let mut packets = 0;
        while !bytes.is_empty() {
            packets += usize::from(incoming.on_bytes(number, &mut bytes)?.is_some());
        }
        Ok(packets)
    }

    #[test]
    fn a_file_is_fetched_once_and_says_how_much_of_it_has_come() {
        let (mut incoming, now) = incoming();
        assert!(incoming.on_file(now, 7, size()) && !incoming.on_file(now, 7, size()));
        assert_eq!((incoming.poll_fetch(), incoming.poll_fetch()), (Some((7, size())), None));
        assert_eq!(take(&mut incoming, 7, file(7)), Ok(3));
        assert_eq!((incoming.on_over(7), incoming.on_over(7)), (Some((3, true)), None));
        assert!(!incoming.on_file(now, 7, size()), "it is over");
    }

    #[test]
    fn of_a_file_that_breaks_off_or_is_damaged_what_came_before_counts() {
        let (mut incoming, now) = incoming();
        for (number, damage) in [(0, false), (1, true)] {
            assert!(incoming.on_file(now, number, size()) && incoming.poll_fetch().is_some());
            let mut bytes = file(number).to_vec();
            if damage {
                bytes[20_000] ^= 1;
            } else {
                bytes.truncate(20_000);
            }
            assert_eq!(take(&mut incoming, number, bytes.into()).is_err(), damage);
            assert_eq!(incoming.on_over(number), Some((1, false)));
        }
    }

    #[test]
    fn only_a_few_are_fetched_at_a_time_and_not_many_wait() {
        let (mut incoming, now) = incoming();
        let taken = (0..100).filter(|number| incoming.on_file(now, *number, size())).count();
        assert_eq!(taken, MOST_WAITING);
        assert_eq!(std::iter::from_fn(|| incoming.poll_fetch()).count(), MOST_UNDER_WAY);
        incoming.on_over(2);
        assert_eq!(incoming.poll_fetch(), Some((4, size())));
    }

    #[test]
    fn bytes_of_a_file_that_nobody_fetches_are_not_taken() {
        let (mut incoming, now) = incoming();
        assert_eq!(take(&mut incoming, 7, file(7)), Err(NotTheFile));
        incoming.on_file(now, 7, size());
        assert_eq!(take(&mut incoming, 7, file(7)), Err(NotTheFile));
        assert_eq!(incoming.on_over(7), Some((0, false)));
    }

    #[test]
    fn a_file_that_takes_too_long_is_given_up() {
        let (mut incoming, now) = incoming();
        incoming.on_file(now, 7, size());
        incoming.poll_fetch();
        take(&mut incoming, 7, file(7).slice(..20_000)).unwrap();
        let at = incoming.next_timeout().unwrap();
        assert!(incoming.handle_timeout(now).is_empty());
        assert_eq!((incoming.handle_timeout(at), incoming.next_timeout()), (vec![(7, 1)], None));
    }
}
