//! Queues: which streams have something to send. A stream is in a queue exactly while it belongs there.

use std::collections::VecDeque;

use crate::secure::streams::stream::Stream;
use crate::secure::tuning::LITTLE_BYTES;

/// The queues, in the order in which they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Frames about the stream.
    Control,
    /// What was lost, or an end: it needs no credit.
    Urgent,
    /// Bytes that were never sent, within the stream's credit.
    Unsent,
    /// The same, but only a few of them.
    Little,
}

/// A queue keeps room for 32 streams when it gets shorter.
const SPARE_ENTRIES: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Queues([VecDeque<u64>; 4]);

impl Queues {
    pub(super) fn len(&self, queue: Queue) -> usize {
        self.0[queue as usize].len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    /// The stream whose turn it is.
    pub(super) fn front(&self, queue: Queue) -> Option<u64> {
        self.0[queue as usize].front().copied()
    }

    /// The streams of a queue, in turn.
    pub(super) fn iter(&self, queue: Queue) -> impl Iterator<Item = u64> + '_ {
        self.0[queue as usize].iter().copied()
    }

    /// Takes out a stream; [`settle`](Self::settle) puts it back.
    pub(super) fn take(&mut self, queue: Queue, id: u64, stream: &mut Stream) {
        let waiting = &mut self.0[queue as usize];
        if let Some(place) = waiting.iter().position(|other| *other == id) {
            waiting.remove(place);
        }
        stream.queued[queue as usize] = false;
    }

    /// Brings the queues in line with the state of a stream.
    pub(super) fn settle(&mut self, id: u64, stream: &mut Stream) {
        let unsent = stream.unsent();
        let has_little = (1..=LITTLE_BYTES).contains(&unsent);
        let wanted = [stream.next_control().is_some(), stream.has_urgent(), unsent > 0, has_little];
        if !wanted[Queue::Unsent as usize] {
            stream.quantum_left = 0;
        }
        for queue in [Queue::Control, Queue::Urgent, Queue::Unsent, Queue::Little] {
            let (wanted, queued) = (wanted[queue as usize], &mut stream.queued[queue as usize]);
            let waiting = &mut self.0[queue as usize];
            match (wanted, *queued) {
                (true, false) if queue == Queue::Unsent && stream.quantum_left > 0 => waiting.push_front(id),
                (true, false) => waiting.push_back(id),
                (false, true) => waiting.retain(|other| *other != id),
                _ => {}
            }
            *queued = wanted;
        }
    }

    /// The stream is gone.
    pub(super) fn remove(&mut self, id: u64, stream: &Stream) {
        for (waiting, queued) in self.0.iter_mut().zip(stream.queued) {
            if queued {
                waiting.retain(|other| *other != id);
            }
            if waiting.capacity() > SPARE_ENTRIES && waiting.len() < waiting.capacity() / 4 {
                waiting.shrink_to(SPARE_ENTRIES);
            }
        }
    }
}
