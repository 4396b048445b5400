//! Sending half of one connection: what the application wrote, cut into numbered packets that are
//! kept until they are known to have arrived.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::classic::api::SetId;
use crate::classic::reorder::WINDOW;
use crate::classic::seq::SeqNum;
use crate::protocol::AccountId;

/// How far ids on their way may spread. The peer's buffer takes [`WINDOW`] places; a few are left free.
const MAX_SPREAD: usize = WINDOW as usize - 4;

/// When so many packets are on their way, an answer will come soon.
const BUSY: usize = 4;

/// What a numbered packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Data(Bytes),
    Disconnect,
}

impl Body {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Disconnect => 0,
        }
    }
}

#[derive(Debug)]
struct Packet {
    body: Body,
    state: PacketState,
    way: Option<Way>,
}

/// By which sends a packet has gone so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The set of its first send.
    pub(super) first: SetId,
    /// The account of all its sends; none if there were several.
    pub(super) via: Option<AccountId>,
}

/// A packet that is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnItsWay {
    pub(super) set: SetId,
    /// Of its data.
    pub(super) length: usize,
    pub(super) way: Way,
}

impl Packet {
    fn on_its_way(&self) -> Option<OnItsWay> {
        match (&self.state, self.way) {
            (PacketState::Sent(set), Some(way)) => Some(OnItsWay { set: *set, length: self.body.len(), way }),
            _ => None,
        }
    }

    fn on_sent(&mut self, set: SetId, via: AccountId) {
        self.state = PacketState::Sent(set);
        let Way { first, via: before } = self.way.unwrap_or(Way { first: set, via: Some(via) });
        self.way = Some(Way { first, via: before.filter(|before| *before == via) });
    }
}

#[derive(Debug, PartialEq, Eq)]
enum PacketState {
    /// To be sent, again perhaps.
    Due,
    /// On its way.
    Sent(SetId),
    /// Known to have arrived, before one that was sent earlier.
    Arrived,
}

#[derive(Debug)]
pub(super) struct SendHalf {
    /// Written and not yet cut into packets.
    unsent: BytesMut,
    /// Consecutive ids from `oldest` on; the first has not arrived.
    packets: VecDeque<Packet>,
    oldest: SeqNum,
    packet_bytes: usize,
    /// How many of `packets` are [`PacketState::Due`].
    due: usize,
    capacity: usize,
    end: End,
}

/// How far the end of the direction has come.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Open,
    /// A disconnect follows the last byte.
    Wanted,
    /// The disconnect is one of the packets, or has arrived.
    Numbered,
}

impl SendHalf {
    /// A half that keeps at most about `capacity` bytes and numbers its first packet `first`.
    pub(super) fn new(capacity: usize, first: SeqNum) -> Self {
        Self {
            unsent: BytesMut::new(),
            packets: VecDeque::new(),
            oldest: first,
            packet_bytes: 0,
            due: 0,
            capacity,
            end: End::Open,
        }
    }

    /// How many more bytes may be written now.
    pub(super) fn room(&self) -> usize {
        match self.end {
            End::Open => self.capacity.saturating_sub(self.unsent.len() + self.packet_bytes),
            End::Wanted | End::Numbered => 0,
        }
    }

    /// Takes as much of `data` as there is room for and says how much that was.
    pub(super) fn write(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(self.room());
        self.unsent.extend_from_slice(&data[..taken]);
        taken
    }

    /// Nothing more will be written: a disconnect follows the last byte.
    pub(super) fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Wanted;
        }
    }

    /// Whether there is something to send now.
    pub(super) fn wants_to_send(&self) -> bool {
        self.due > 0
            || self.packets.len() < MAX_SPREAD && (!self.unsent.is_empty() || self.end == End::Wanted)
    }

    /// Bytes that are in no packet yet.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Whether more may wait for an answer: enough is on its way, and neither an end nor something lost is to be sent.
    pub(super) fn is_busy(&self) -> bool {
        self.due == 0 && self.end == End::Open && self.packets.len() >= BUSY
    }

    /// Whether the next packet is one that was sent before.
    pub(super) fn sends_again(&self) -> bool {
        self.due > 0
    }

    /// How much data the packet has that is to be sent again next, if there is one.
    pub(super) fn size_of_due(&self) -> usize {
        if self.due == 0 {
            return 0;
        }
        let due = self.packets.iter().find(|packet| packet.state == PacketState::Due);
        due.map_or(0, |packet| packet.body.len())
    }

    /// The next packet to send, noted as on its way as `set` by `via`; a new one has at most `chunk` bytes.
    pub(super) fn take_due(&mut self, set: SetId, via: AccountId, chunk: usize) -> Option<(SeqNum, Body)> {
        if self.due == 0 {
            self.cut_packet(chunk)?;
        }
        let position = self.packets.iter().position(|packet| packet.state == PacketState::Due)?;
        let packet = self.packets.get_mut(position)?;
        packet.on_sent(set, via);
        self.due -= 1;
        Some((self.oldest.plus(u32::try_from(position).ok()?), packet.body.clone()))
    }

    fn cut_packet(&mut self, chunk: usize) -> Option<()> {
        if !self.wants_to_send() {
            return None;
        }
        let body = if self.unsent.is_empty() {
            self.end = End::Numbered;
            Body::Disconnect
        } else {
            Body::Data(self.unsent.split_to(self.unsent.len().min(chunk)).freeze())
        };
        self.packet_bytes += body.len();
        self.packets.push_back(Packet { body, state: PacketState::Due, way: None });
        self.due += 1;
        Some(())
    }

    /// The packet `id`, sent as `set`, has arrived.
    pub(super) fn on_arrived(&mut self, id: SeqNum, set: SetId) {
        let Some(packet) = self.sent_packet(id, set) else { return };
        packet.state = PacketState::Arrived;
        while let Some(packet) = self.packets.pop_front_if(|packet| packet.state == PacketState::Arrived) {
            self.packet_bytes -= packet.body.len();
            self.oldest = self.oldest.next();
        }
    }

    /// The packet `id`, sent as `set`, has not arrived, or may not have: it is to be sent again, the
    /// same bytes under the same id.
    pub(super) fn on_lost(&mut self, id: SeqNum, set: SetId) {
        if let Some(packet) = self.sent_packet(id, set) {
            packet.state = PacketState::Due;
            self.due += 1;
        }
    }

    /// The packets that are on their way.
    pub(super) fn on_their_way(&self) -> impl Iterator<Item = OnItsWay> {
        self.packets.iter().filter_map(Packet::on_its_way)
    }

    /// Takes the last packets back, as many as have certainly not arrived, by what `is_refused` says of how each went. They will be cut
    /// anew, under the same ids. Returns the sets that those were which were on their way.
    pub(super) fn take_back(&mut self, is_refused: impl Fn(Way) -> bool) -> Vec<SetId> {
        let (mut sets, mut taken) = (Vec::new(), Vec::new());
        let is_back =
            |packet: &mut Packet| packet.state != PacketState::Arrived && packet.way.is_none_or(&is_refused);
        while let Some(packet) = self.packets.pop_back_if(is_back) {
            match packet.state {
                PacketState::Sent(set) => sets.push(set),
                PacketState::Due | PacketState::Arrived => self.due -= 1,
            }
            self.packet_bytes -= packet.body.len();
            match packet.body {
                Body::Data(data) => taken.push(data),
                Body::Disconnect => self.end = End::Wanted,
            }
        }
        taken.reverse();
        self.unsent = taken.iter().map(Bytes::as_ref).chain([&*self.unsent]).flatten().copied().collect();
        sets
    }

    /// How much data the largest packet has that is not known to have arrived.
    pub(super) fn largest(&self) -> usize {
        let packets = self.packets.iter().filter(|packet| packet.state != PacketState::Arrived);
        packets.map(|packet| packet.body.len()).max().unwrap_or_default()
    }

    fn sent_packet(&mut self, id: SeqNum, set: SetId) -> Option<&mut Packet> {
        let position = id.distance_from(self.oldest) as usize;
        self.packets.get_mut(position).filter(|packet| packet.state == PacketState::Sent(set))
    }

    /// An id that the peer's window cannot reach, whatever has arrived: it makes a peer give up at once.
    pub(super) fn fatal_id(&self) -> SeqNum {
        let distance = u32::try_from(self.packets.len()).unwrap_or(WINDOW);
        self.oldest.plus(distance + WINDOW + 1)
    }

    /// The sets under which packets are on their way.
    pub(super) fn sets(&self) -> impl Iterator<Item = SetId> {
        self.packets.iter().filter_map(|packet| match packet.state {
            PacketState::Sent(set) => Some(set),
            PacketState::Due | PacketState::Arrived => None,
        })
    }

    /// Whether packets exist that are not known to have arrived.
    pub(super) fn is_waiting(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Whether everything has arrived, the disconnect included.
    pub(super) fn is_done(&self) -> bool {
        self.end == End::Numbered && self.packets.is_empty()
    }

    /// Bytes that are kept.
    pub(super) fn buffered(&self) -> usize {
        self.unsent.len() + self.packet_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::window::CHUNK;

    const VIA: AccountId = AccountId(1);

    fn half() -> SendHalf {
        SendHalf::new(64 * 1024, SeqNum::ZERO)
    }

    fn id(n: u32) -> SeqNum {
        SeqNum::ZERO.plus(n)
    }

    fn drain(half: &mut SendHalf) -> Vec<(SeqNum, Body)> {
        (0..).map_while(|n| half.take_due(SetId(n), VIA, CHUNK)).collect()
    }

    #[test]
    fn bytes_become_numbered_packets_and_the_disconnect_comes_last() {
        let mut half = half();
        half.write(&[7; CHUNK + 1]);
        half.finish();
        let sent = drain(&mut half);
        let lengths: Vec<_> = sent.iter().map(|(id, body)| (id.get(), body.len())).collect();
        assert_eq!(lengths, [(0, CHUNK), (1, 1), (2, 0)]);
        assert_eq!(sent[2].1, Body::Disconnect);
        assert!(!half.is_done());
        (0..3).for_each(|n| half.on_arrived(id(n), SetId(n.into())));
        assert!(half.is_done());
    }

    #[test]
    fn ids_on_their_way_never_spread_beyond_the_peers_window() {
        let mut half = SendHalf::new(usize::MAX, SeqNum::ZERO);
        half.write(&vec![0; 200 * CHUNK]);
        assert_eq!(drain(&mut half).len(), MAX_SPREAD);
        // Later ones that have arrived do not help: the peer still waits for the first.
        half.on_arrived(id(1), SetId(1));
        assert!(!half.wants_to_send());
        half.on_arrived(id(0), SetId(0));
        assert_eq!(drain(&mut half).len(), 2);
    }

    #[test]
    fn a_lost_packet_is_sent_again_with_the_same_bytes_under_the_same_id_before_anything_new() {
        let mut half = half();
        half.write(b"first");
        let first = half.take_due(SetId(0), VIA, CHUNK);
        half.write(b"second");
        half.on_lost(id(0), SetId(0));
        assert_eq!(half.take_due(SetId(1), VIA, CHUNK), first);
        assert_eq!(
            half.take_due(SetId(2), VIA, CHUNK),
            Some((id(1), Body::Data(Bytes::from_static(b"second"))))
        );
    }

    #[test]
    fn a_late_word_about_an_earlier_attempt_changes_nothing() {
        let mut half = half();
        half.write(b"x");
        half.take_due(SetId(0), VIA, CHUNK);
        half.on_lost(id(0), SetId(0));
        half.take_due(SetId(1), VIA, CHUNK);
        half.on_lost(id(0), SetId(0));
        half.on_arrived(id(0), SetId(0));
        assert!(!half.wants_to_send() && half.is_waiting());
        half.on_arrived(id(0), SetId(1));
        assert!(!half.is_waiting());
    }

    #[test]
    fn what_has_not_arrived_takes_up_room() {
        let mut half = SendHalf::new(10, SeqNum::ZERO);
        assert_eq!(half.write(&[0; 30]), 10);
        half.take_due(SetId(0), VIA, CHUNK);
        assert_eq!(half.write(&[0; 30]), 0);
        half.on_arrived(id(0), SetId(0));
        assert_eq!(half.write(&[0; 30]), 10);
    }

    /// Three packets, sent by these accounts in turn.
    fn sent_by(accounts: [u64; 3]) -> SendHalf {
        let mut half = half();
        half.write(b"abcdef");
        half.finish();
        for (n, account) in (0..).zip(accounts) {
            half.take_due(SetId(n), AccountId(account), 2);
        }
        half
    }

    #[test]
    fn what_was_refused_is_cut_anew_under_the_same_ids() {
        let mut half = sent_by([1; 3]);
        half.take_due(SetId(3), VIA, 2);
        assert_eq!(half.take_back(|way| way.first >= SetId(1)), [SetId(3), SetId(2), SetId(1)]);
        let bodies: Vec<_> = (4..).map_while(|n| half.take_due(SetId(n), VIA, 3)).collect();
        let data = |text: &'static [u8]| Body::Data(Bytes::from_static(text));
        assert_eq!(bodies, [(id(1), data(b"cde")), (id(2), data(b"f")), (id(3), Body::Disconnect)]);
        (1..4).for_each(|n| half.on_arrived(id(n), SetId(u64::from(n) + 3)));
        half.on_arrived(id(0), SetId(0));
        assert!(half.is_done() && half.buffered() == 0);
    }

    #[test]
    fn nothing_is_taken_back_from_before_a_packet_that_may_have_arrived() {
        let mut half = sent_by([1, 2, 1]);
        let by_first = |way: Way| way.via == Some(VIA);
        assert_eq!(half.take_back(by_first), [SetId(2)]);
        half.on_lost(id(1), SetId(1));
        half.take_due(SetId(9), VIA, 2);
        assert_eq!(half.take_back(by_first), [], "it has gone by another account before");
        half.take_due(SetId(10), AccountId(1), 2);
        half.on_lost(id(2), SetId(10));
        assert_eq!(half.take_back(by_first), [], "it waits to be sent again");
        assert_eq!((half.size_of_due(), half.unsent()), (0, 2));
        half.on_lost(id(0), SetId(0));
        half.take_due(SetId(11), VIA, 2);
        let first = half.on_their_way().next().unwrap();
        assert_eq!((first.set, first.way), (SetId(11), Way { first: SetId(0), via: Some(VIA) }));
    }
}
