//! Bytestreams: which path each is, and the numbers of its blocks (XEP-0047). Pure.
//!
//! To the secure core a path carries blocks in their order. A bytestream numbers them, in each direction, and one in which a block is
//! missing or comes twice is over (section 2.2).

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use super::{BLOCK_SIZE, Incoming, Outgoing, Transmit};
use crate::protocol::AccountId;
use crate::secure::{self, Credential, Endpoint, PathId, Receipt};

/// The longest id of an IQ about a bytestream that is answered: 128 bytes. It comes back in the answer; clients' are a quarter of that,
/// and servers let pass ids of any length.
const LONGEST_ID: usize = 128;

/// A sid that proves nothing. It is read where there is none, because that takes time.
const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";

/// The bytestreams between our accounts and others'.
#[derive(Debug, Default)]
pub struct Bytestreams {
    by_path: BTreeMap<PathId, Bytestream>,
    /// The path of each bytestream with one of our accounts, by the peer and the sid.
    by_sid: BTreeMap<AccountId, BTreeMap<FullJid, BTreeMap<Credential, PathId>>>,
}

/// One of them, and which block comes next in each direction.
#[derive(Debug)]
struct Bytestream {
    sid: Credential,
    next_out: u16,
    /// None once a block was missing or came twice.
    next_in: Option<u16>,
}

impl Bytestream {
    fn new(sid: Credential) -> Self {
        Self { sid, next_out: 0, next_in: Some(0) }
    }

    /// The number of the next block of ours.
    fn next_seq(&mut self) -> u16 {
        let seq = self.next_out;
        self.next_out = seq.wrapping_add(1);
        seq
    }

    /// A block of the peer's came. Whether it is the next one: if not, none is any more. One that overtakes the answer to our `open` is
    /// welcome, since the peer has agreed.
    fn takes(&mut self, seq: u16) -> bool {
        let is_next = self.next_in == Some(seq);
        self.next_in = is_next.then_some(seq.wrapping_add(1));
        is_next
    }
}

/// What a stanza means to the core.
enum Meaning {
    Open { sid: Credential, receipt: Receipt },
    Other(secure::Incoming),
}

impl Bytestreams {
    /// Whether somebody has any bytestream with an account of ours. What the core has closed, and not polled yet, still counts.
    pub fn has_with(&self, via: AccountId, peer: &FullJid) -> bool {
        self.by_sid.get(&via).is_some_and(|peers| peers.contains_key(peer))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_path.len()
    }

    /// Tells the core of a stanza that came to the account `via`.
    pub fn handle_stanza(
        &mut self,
        core: &mut Endpoint,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        stanza: Incoming,
    ) {
        match self.read(via, from, stanza) {
            Meaning::Open { sid, receipt } => {
                // Blocks may follow at once, and so may the word that it is closed.
                if let Some(path) = core.handle_open(now, via, from, &sid, receipt) {
                    self.add((via, from), path, sid);
                }
            }
            Meaning::Other(incoming) => core.handle_incoming(now, via, from, incoming),
        }
    }

    /// The next stanza that the core wants sent at `now`.
    pub fn poll_transmit(&mut self, core: &mut Endpoint, now: Instant) -> Option<Transmit> {
        loop {
            let transmit = core.poll_transmit(now)?;
            if let Some(stanza) = self.write(transmit) {
                return Some(stanza);
            }
        }
    }

    /// What a stanza means. To somebody who is not known well enough for it, it means nothing. That includes blocks of a path that is no
    /// more, from a peer that has another one: they were decoded, and now cost as much as any unknown request on top.
    fn read(&mut self, via: AccountId, from: &FullJid, stanza: Incoming) -> Meaning {
        let incoming = match stanza {
            Incoming::Open { id, .. } | Incoming::Data { id, .. } | Incoming::Close { id, .. }
                if id.len() > LONGEST_ID =>
            {
                unknown(id)
            }
            Incoming::Open { id, sid, .. } => match sid.parse() {
                Ok(sid) => return Meaning::Open { sid, receipt: Receipt::new(id) },
                Err(_) => unknown(id),
            },
            Incoming::Data { id, sid, seq, data } => match self.find(via, from, &sid) {
                Some((path, bytestream)) => {
                    let receipt = Receipt::new(id);
                    if bytestream.takes(seq) {
                        secure::Incoming::Block { path, receipt, data }
                    } else {
                        secure::Incoming::Gap { path, receipt }
                    }
                }
                None => unknown(id),
            },
            Incoming::Close { id, sid } => match self.find(via, from, &sid) {
                Some((path, _)) => secure::Incoming::Closed { path, receipt: Receipt::new(id) },
                None => unknown(id),
            },
            Incoming::Unknown { id } => unknown(id),
            Incoming::Result { iq } => secure::Incoming::Taken { token: iq },
            Incoming::Error { iq } => secure::Incoming::Refused { token: iq },
            Incoming::Unreachable { iq } => secure::Incoming::Unreachable { token: iq },
            Incoming::Undelivered { iq } => secure::Incoming::Undelivered { token: iq },
        };
        Meaning::Other(incoming)
    }

    /// The stanza for what the core wants done, if it takes one.
    pub fn write(&mut self, transmit: secure::Transmit) -> Option<Transmit> {
        let secure::Transmit { via, to, action } = transmit;
        let stanza = match action {
            secure::Outgoing::Open { path, token, credential: sid } => {
                self.add((via, &to), path, sid);
                Outgoing::Open { iq: token, sid, block_size: BLOCK_SIZE }
            }
            secure::Outgoing::Block { path, token, data } => {
                let bytestream = self.by_path.get_mut(&path)?;
                Outgoing::Data { iq: token, sid: bytestream.sid, seq: bytestream.next_seq(), data }
            }
            secure::Outgoing::Close { path, token } => {
                Outgoing::Close { iq: token, sid: self.remove((via, &to), path)? }
            }
            secure::Outgoing::Forget { path } => {
                self.remove((via, &to), path);
                return None;
            }
            secure::Outgoing::Taken { receipt } => Outgoing::Result { id: receipt.into_name() },
            secure::Outgoing::Refused { receipt } => Outgoing::Refusal { id: receipt.into_name() },
        };
        Some(Transmit { via, to, stanza })
    }

    fn find(&mut self, via: AccountId, from: &FullJid, sid: &str) -> Option<(PathId, &mut Bytestream)> {
        let sid: Credential = sid.parse().ok()?;
        let path = *self.by_sid.get(&via)?.get(from)?.get(&sid)?;
        Some((path, self.by_path.get_mut(&path)?))
    }

    fn add(&mut self, (via, peer): (AccountId, &FullJid), path: PathId, sid: Credential) {
        self.by_sid.entry(via).or_default().entry(peer.clone()).or_default().insert(sid, path);
        self.by_path.insert(path, Bytestream::new(sid));
    }

    /// A path is no more; its sid, if it was one.
    fn remove(&mut self, (via, peer): (AccountId, &FullJid), path: PathId) -> Option<Credential> {
        let sid = self.by_path.remove(&path)?.sid;
        if let Some(peers) = self.by_sid.get_mut(&via) {
            if let Some(sids) = peers.get_mut(peer) {
                sids.remove(&sid);
                if sids.is_empty() {
                    peers.remove(peer);
                }
            }
            if peers.is_empty() {
                self.by_sid.remove(&via);
            }
        }
        Some(sid)
    }
}

/// A request that means nothing. It takes as long as an `open` whose sid proves nothing.
fn unknown(id: String) -> secure::Incoming {
    let _ = black_box(black_box(NOBODYS).parse::<Credential>());
    secure::Incoming::Unknown { receipt: Receipt::new(id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::Token;

    const VIA: AccountId = AccountId(1);
    const PATH: PathId = PathId(7);
    const SID: &str = "9dd5eb31-8f0d-48de-ae5e-c385f4f7fc8a";

    fn peer() -> FullJid {
        FullJid::new("peer@chat.example/r").unwrap()
    }

    fn transmit(action: secure::Outgoing) -> secure::Transmit {
        secure::Transmit { via: VIA, to: peer(), action }
    }

    /// With one bytestream, which the core has asked for.
    fn table() -> Bytestreams {
        let mut table = Bytestreams::default();
        let credential = SID.parse().unwrap();
        let open = secure::Outgoing::Open { path: PATH, token: Token(1), credential };
        let expected = Outgoing::Open { iq: Token(1), sid: credential, block_size: BLOCK_SIZE };
        assert_eq!(table.write(transmit(open)).map(|stanza| stanza.stanza), Some(expected));
        table
    }

    fn sends(table: &mut Bytestreams) -> Option<u16> {
        let block = secure::Outgoing::Block { path: PATH, token: Token(2), data: "block".into() };
        match table.write(transmit(block))?.stanza {
            Outgoing::Data { seq, .. } => Some(seq),
            other => panic!("{other:?}"),
        }
    }

    /// What a block with this number is to the core.
    fn gets(table: &mut Bytestreams, from: &FullJid, sid: &str, seq: u16) -> secure::Incoming {
        let data = Incoming::Data { id: "1".into(), sid: sid.into(), seq, data: vec![9] };
        match table.read(VIA, from, data) {
            Meaning::Other(incoming) => incoming,
            Meaning::Open { .. } => panic!("an open"),
        }
    }

    fn receipt() -> Receipt {
        Receipt::new("1")
    }

    #[test]
    fn blocks_are_counted_modulo_65536_in_each_direction() {
        let mut table = table();
        for n in 0..=u32::from(u16::MAX) + 2 {
            let seq = (n % 65_536) as u16;
            assert_eq!(sends(&mut table), Some(seq));
            let block = secure::Incoming::Block { path: PATH, receipt: receipt(), data: vec![9] };
            assert_eq!(gets(&mut table, &peer(), SID, seq), block);
        }
    }

    #[test]
    fn a_missing_or_repeated_block_ends_it_for_good() {
        let gap = secure::Incoming::Gap { path: PATH, receipt: receipt() };
        for wrong in [0, 2, 65_535] {
            let mut table = table();
            assert!(matches!(gets(&mut table, &peer(), SID, 0), secure::Incoming::Block { .. }));
            assert_eq!(gets(&mut table, &peer(), SID, wrong), gap, "{wrong}");
            assert_eq!(gets(&mut table, &peer(), SID, 1), gap, "after {wrong}");
        }
    }

    #[test]
    fn a_block_of_another_peer_or_with_another_sid_is_unknown() {
        let other = FullJid::new("peer@chat.example/R").unwrap();
        for (from, sid) in [(&other, SID), (&peer(), &SID.replace('9', "8")), (&peer(), "a sid")] {
            let unknown = secure::Incoming::Unknown { receipt: receipt() };
            assert_eq!(gets(&mut table(), from, sid, 0), unknown, "{from} {sid}");
        }
    }

    #[test]
    fn nothing_is_left_of_a_path_that_is_closed_or_forgotten() {
        let close = secure::Outgoing::Close { path: PATH, token: Token(3) };
        for (last, is_told) in [(close, true), (secure::Outgoing::Forget { path: PATH }, false)] {
            let mut table = table();
            assert!(table.has_with(VIA, &peer()) && !table.has_with(AccountId(2), &peer()));
            assert_eq!(table.write(transmit(last)).is_some(), is_told);
            assert!(!table.has_with(VIA, &peer()) && table.count() == 0 && table.by_sid.is_empty());
            assert_eq!(sends(&mut table), None);
        }
    }

    #[test]
    fn what_has_an_id_of_endless_length_is_unknown() {
        for length in [LONGEST_ID, LONGEST_ID + 1] {
            let id = "i".repeat(length);
            let close = Incoming::Close { id: id.clone(), sid: SID.into() };
            let receipt = Receipt::new(id);
            let expected = if length > LONGEST_ID {
                secure::Incoming::Unknown { receipt }
            } else {
                secure::Incoming::Closed { path: PATH, receipt }
            };
            let Meaning::Other(incoming) = table().read(VIA, &peer(), close) else { panic!("an open") };
            assert_eq!(incoming, expected);
        }
    }

    #[test]
    fn an_open_whose_sid_can_be_no_credential_is_unknown() {
        let open = |sid: &str| Incoming::Open { id: "1".into(), sid: sid.into(), block_size: 4096 };
        let mut table = Bytestreams::default();
        assert!(matches!(table.read(VIA, &peer(), open(SID)), Meaning::Open { .. }));
        let Meaning::Other(incoming) = table.read(VIA, &peer(), open("i781hf64")) else { panic!("an open") };
        assert_eq!(incoming, secure::Incoming::Unknown { receipt: receipt() });
        assert_eq!(table.count(), 0, "only the core can admit one");
    }
}
