//! Packets in flight, until they are acknowledged or lost.
//!
//! A packet is never sent twice: what is lost is the packet, and what it carried goes out again in another.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Instant;

use crate::secure::ids::PathId;
use crate::secure::tuning::PACKET_LOST;

/// What every packet carried, by the packet's counter.
#[derive(Debug)]
pub(crate) struct Flight<T> {
    packets: BTreeMap<u64, Packet<T>>,
    /// The highest counter that was acknowledged, by path. On one path nothing overtakes anything.
    highest: BTreeMap<PathId, u64>,
    last_ack: Option<Instant>,
}

#[derive(Debug)]
struct Packet<T> {
    path: PathId,
    sent: Instant,
    cargo: T,
}

/// What an acknowledgement says of packets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict<T> {
    /// What arrived.
    pub(crate) arrived: Vec<T>,
    /// What did not and will not.
    pub(crate) lost: Vec<T>,
}

impl<T> Default for Verdict<T> {
    /// Nothing.
    fn default() -> Self {
        Self { arrived: Vec::new(), lost: Vec::new() }
    }
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self { packets: BTreeMap::new(), highest: BTreeMap::new(), last_ack: None }
    }
}

impl<T> Flight<T> {
    pub(crate) fn on_sent(&mut self, now: Instant, counter: u64, path: PathId, cargo: T) {
        self.packets.insert(counter, Packet { path, sent: now, cargo });
    }

    /// The peer has the packets of these ranges. Those of the same paths that were sent before them are lost.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
    ) -> Verdict<T> {
        let mut verdict = Verdict::default();
        for range in ranges {
            while let Some((&counter, _)) = self.packets.range(range.clone()).next_back() {
                let Some(packet) = self.packets.remove(&counter) else { break };
                self.note_arrival(packet.path, counter);
                verdict.arrived.push(packet.cargo);
            }
        }
        if !verdict.arrived.is_empty() {
            self.last_ack = Some(now);
            verdict.lost = self.take_overtaken();
        }
        verdict
    }

    fn note_arrival(&mut self, path: PathId, counter: u64) {
        let highest = self.highest.entry(path).or_insert(counter);
        *highest = counter.max(*highest);
    }

    fn take_overtaken(&mut self) -> Vec<T> {
        let Some(&end) = self.highest.values().max() else { return Vec::new() };
        let highest = &self.highest;
        let is_overtaken = |counter: &u64, packet: &mut Packet<T>| {
            highest.get(&packet.path).is_some_and(|arrived| counter < arrived)
        };
        self.packets.extract_if(..end, is_overtaken).map(|(_, packet)| packet.cargo).collect()
    }

    /// Nothing that went by this path will be acknowledged any more, or nobody should wait for it: by counters.
    pub(crate) fn requeue_sent_by(&mut self, path: PathId) -> Vec<(u64, T)> {
        self.highest.remove(&path);
        let taken = self.packets.extract_if(.., |_, packet| packet.path == path);
        taken.map(|(counter, packet)| (counter, packet.cargo)).collect()
    }

    /// When [`take_overdue`](Self::take_overdue) will have something to take.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let oldest = self.packets.values().next()?.sent;
        self.last_ack.is_some_and(|ack| oldest < ack).then_some(oldest + PACKET_LOST)
    }

    /// Packets that have waited too long while others, sent since, were acknowledged: a server drops them quietly.
    /// While nothing at all is acknowledged it is the path that is slow, and sending more would not help.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Vec<T> {
        let Some(last_ack) = self.last_ack else { return Vec::new() };
        self.take_where(|packet| packet.sent + PACKET_LOST <= now && packet.sent < last_ack)
    }

    fn take_where(&mut self, is_taken: impl Fn(&Packet<T>) -> bool) -> Vec<T> {
        let taken = self.packets.extract_if(.., |_, packet| is_taken(packet));
        taken.map(|(_, packet)| packet.cargo).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PathId = PathId(1);
    const B: PathId = PathId(2);

    fn sent(packets: &[(u64, PathId)]) -> (Flight<u64>, Instant) {
        let now = Instant::now();
        let mut flight = Flight::default();
        for &(counter, path) in packets {
            flight.on_sent(now, counter, path, counter);
        }
        (flight, now)
    }

    #[test]
    fn what_is_acknowledged_is_gone_and_counts_once() {
        let (mut flight, now) = sent(&[(0, A), (1, A)]);
        assert_eq!(flight.on_ack(now, [0..=1]).arrived, [1, 0]);
        assert_eq!(flight.on_ack(now, [0..=1]), Verdict { arrived: vec![], lost: vec![] });
        assert!(flight.packets.is_empty());
    }

    #[test]
    fn a_packet_that_a_later_one_of_its_path_has_overtaken_is_lost() {
        let (mut flight, now) = sent(&[(0, A), (1, B), (2, A), (3, B)]);
        let verdict = flight.on_ack(now, [2..=2]);
        assert_eq!((verdict.arrived, verdict.lost), (vec![2], vec![0]));
        assert!(!flight.packets.is_empty(), "the other path says nothing about this one");
    }

    #[test]
    fn a_dead_path_loses_what_was_on_it_and_nothing_else() {
        let (mut flight, now) = sent(&[(0, A), (1, B), (2, A)]);
        assert_eq!(flight.requeue_sent_by(A), [(0, 0), (2, 2)]);
        assert_eq!(flight.on_ack(now, [0..=2]).arrived, [1]);
    }

    #[test]
    fn an_acknowledgement_of_everything_there_could_be_costs_nothing() {
        let (mut flight, now) = sent(&[(7, A)]);
        assert_eq!(flight.on_ack(now, [0..=u64::MAX]).arrived, [7]);
    }

    #[test]
    fn a_swallowed_packet_is_overdue_once_another_has_arrived_since() {
        let (mut flight, start) = sent(&[(0, A)]);
        assert_eq!(flight.take_overdue(start + PACKET_LOST), Vec::<u64>::new(), "the path may just be slow");
        flight.on_sent(start + PACKET_LOST / 2, 1, B, 1);
        flight.on_ack(start + PACKET_LOST / 2, [1..=1]);
        assert_eq!(flight.next_timeout(), Some(start + PACKET_LOST));
        assert_eq!(flight.take_overdue(start + PACKET_LOST), [0]);
    }
}
