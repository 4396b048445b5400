//! Byte queue in chunks, so that the memory it takes follows the bytes that are in it.
//!
//! One buffer would double each time it is full, and stay as large until it is nearly empty: tens of megabytes where a peer is fast and far
//! away, which its client is charged for and does not use.

use std::collections::VecDeque;
use std::ops::Range;

/// A chunk holds at most 64 KiB.
const CHUNK: usize = 64 * 1024;
/// 4 KiB stay allocated when the queue is empty.
const SPARE: usize = 4096;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    /// All but the first and the last are full, and none is empty but the only one.
    chunks: VecDeque<VecDeque<u8>>,
    len: usize,
}

impl ByteQueue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes are allocated.
    pub(super) fn capacity(&self) -> usize {
        let of = |chunk: Option<&VecDeque<u8>>| chunk.map_or(0, VecDeque::capacity);
        match self.chunks.len() {
            0 | 1 => of(self.chunks.front()),
            chunks => of(self.chunks.front()) + (chunks - 2) * CHUNK + of(self.chunks.back()),
        }
    }

    /// Puts `data` behind all the rest.
    pub(super) fn write(&mut self, mut data: &[u8]) {
        self.len += data.len();
        while !data.is_empty() {
            let room = self.chunks.back().map_or(0, |last| CHUNK - last.len());
            if room == 0 {
                self.chunks.push_back(VecDeque::new());
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            let is_only = self.chunks.len() == 1;
            if let Some(last) = self.chunks.back_mut() {
                reserve(last, now.len(), is_only);
                last.extend(now);
            }
            data = later;
        }
    }

    /// Forgets the first `count` bytes.
    pub(super) fn drop_front(&mut self, count: usize) {
        let mut left = count.min(self.len);
        self.len -= left;
        while self.chunks.len() > 1 && self.chunks.front().is_some_and(|first| first.len() <= left) {
            left -= self.chunks.pop_front().map_or(0, |first| first.len());
        }
        if let Some(first) = self.chunks.front_mut() {
            first.drain(..left);
        }
        self.shrink();
    }

    /// Gives back what is not needed.
    fn shrink(&mut self) {
        let is_only = self.chunks.len() == 1;
        let Some(only) = self.chunks.front_mut().filter(|_| is_only) else { return };
        if only.capacity() > SPARE.max(4 * only.len()) {
            only.shrink_to(2 * only.len());
        }
        self.chunks.shrink_to(1);
    }

    /// The bytes in that range, in parts.
    pub(super) fn parts(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let first = self.chunks.front().map_or(0, VecDeque::len);
        let (skipped, start_of_chunk) = match range.start.checked_sub(first) {
            None => (0, 0),
            Some(behind) => (1 + behind / CHUNK, first + behind / CHUNK * CHUNK),
        };
        let mut at = start_of_chunk;
        let slices = self.chunks.iter().skip(skipped).flat_map(|chunk| {
            let (front, back) = chunk.as_slices();
            [front, back]
        });
        slices
            .map(move |slice| {
                let cut = |offset: usize| offset.saturating_sub(at).min(slice.len());
                let part = &slice[cut(range.start)..cut(range.end)];
                at += slice.len();
                (part, at < range.end)
            })
            .scan(true, |goes_on, (part, more)| std::mem::replace(goes_on, more).then_some(part))
    }
}

/// Makes room for `more` bytes in a chunk: twice as much as before in the only one there is, since most queues stay short, and all that a
/// chunk may hold in another.
fn reserve(chunk: &mut VecDeque<u8>, more: usize, is_only: bool) {
    let needed = chunk.len() + more;
    if needed > chunk.capacity() {
        let wanted = if is_only { needed.max(2 * chunk.capacity()).min(CHUNK) } else { CHUNK };
        chunk.reserve_exact(wanted - chunk.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(length: usize) -> ByteQueue {
        let mut queue = ByteQueue::default();
        queue.write(&vec![7; length]);
        queue
    }

    #[test]
    fn what_is_allocated_follows_what_is_kept() {
        for length in [1, 5000, CHUNK - 1, CHUNK, 10 * CHUNK + 1, 500 * CHUNK] {
            let mut queue = filled(length);
            assert!(queue.capacity() <= (2 * length).min(length + CHUNK), "{length}: {}", queue.capacity());
            queue.drop_front(length / 2);
            assert!(queue.capacity() <= length - length / 2 + 2 * CHUNK, "{length}: {}", queue.capacity());
            queue.drop_front(length);
            assert!(queue.is_empty() && queue.capacity() <= SPARE, "{length}: {}", queue.capacity());
        }
    }

    #[test]
    fn a_short_queue_that_bytes_run_through_stays_small() {
        let mut queue = filled(1000);
        for _ in 0..1000 {
            queue.write(&[7; 1000]);
            queue.drop_front(1000);
        }
        assert_eq!((queue.len(), queue.capacity() <= SPARE), (1000, true));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Write(usize),
        Drop(usize),
        Read(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = || prop_oneof![0..2000_usize, 0..3 * CHUNK];
        prop_oneof![
            length().prop_map(Step::Write),
            length().prop_map(Step::Drop),
            (length(), length()).prop_map(|(start, length)| Step::Read(start, length)),
        ]
    }

    proptest! {
        #[test]
        fn it_holds_what_was_written_and_not_dropped(steps in proptest::collection::vec(step(), 1..40)) {
            let (mut queue, mut model, mut next) = (ByteQueue::default(), Vec::new(), 0_u8);
            for step in steps {
                match step {
                    Step::Write(length) => {
                        let data: Vec<u8> = (0..length).map(|_| { next = next.wrapping_add(41); next }).collect();
                        queue.write(&data);
                        model.extend(data);
                    }
                    Step::Drop(count) => {
                        queue.drop_front(count);
                        model.drain(..count.min(model.len()));
                    }
                    Step::Read(start, length) => {
                        let start = start.min(model.len());
                        let end = (start + length).min(model.len());
                        let read: Vec<u8> = queue.parts(start..end).flatten().copied().collect();
                        prop_assert!(read == model[start..end], "{start}..{end} of {}", model.len());
                    }
                }
                let total: usize = queue.chunks.iter().map(VecDeque::capacity).sum();
                prop_assert_eq!((queue.len(), queue.capacity()), (model.len(), total));
            }
        }
    }
}
