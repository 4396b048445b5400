//! Puppet: a client that holds the bridge line and keeps to no rule, and the bridge that it talks to, without a network between
//! them.

use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{Incoming, Outgoing, Transmit};
use hexchat_pt::protocol::{AccountChange, AccountId, Core as _, Event, StreamId};
use hexchat_pt::secure::crypto::handshake::{Credits, Hello, Initiator, Lanes};
use hexchat_pt::secure::crypto::keys::SessionKeys;
use hexchat_pt::secure::crypto::line::LineKeys;
use hexchat_pt::secure::crypto::seal::{Draft, OVERHEAD, Opener, Sealer};
use hexchat_pt::secure::wire::frame::{Frame, Reader, SessionClose};
use hexchat_pt::secure::{Config, Credential, Service, Token};
use xmpp_parsers::jid::FullJid;

use crate::over_ibb::{OverIbb, WALL_CLOCK, iq_of};
use crate::rng::Rng;
use crate::setup::identity;

/// The bridge's account.
pub(crate) const BRIDGE: AccountId = AccountId(2);

const CREDITS: Credits = Credits { stream: u32::MAX, session: u32::MAX };

pub(crate) fn jid(text: &str) -> FullJid {
    FullJid::new(text).expect("a JID")
}

fn bridge_jid() -> FullJid {
    jid("bridge@x/r")
}

/// A bridge that has just logged in.
pub(crate) fn bridge(now: Instant, config: Config) -> OverIbb {
    let service = Service {
        identity: identity(),
        psk: None,
        accounts: vec![BRIDGE],
        siblings: Vec::new(),
        accepted: Vec::new(),
    };
    let mut endpoint = OverIbb::new(config, Some(service), Box::new(Rng::new(1)));
    endpoint.handle_wall_clock(now, WALL_CLOCK);
    endpoint.handle_account(now, BRIDGE, AccountChange::Online { jid: bridge_jid(), resumed: false });
    endpoint
}

/// Everything that the bridge wants sent now.
pub(crate) fn sent(bridge: &mut OverIbb, now: Instant) -> Vec<Transmit> {
    bridge.persist(now);
    std::iter::from_fn(|| bridge.poll_transmit(now)).collect()
}

/// Lets time pass at the bridge; everything that it wants sent meanwhile.
pub(crate) fn wait(bridge: &mut OverIbb, now: &mut Instant, duration: Duration) -> Vec<Transmit> {
    let end = *now + duration;
    let mut all = sent(bridge, *now);
    while let Some(at) = bridge.poll_timeout().filter(|at| *at <= end) {
        *now = at.max(*now);
        bridge.handle_timeout(*now);
        all.extend(sent(bridge, *now));
    }
    *now = end;
    all
}

/// The stream that a client has asked for, once the bridge has accepted it.
pub(crate) fn accept(bridge: &mut OverIbb, now: Instant) -> Option<StreamId> {
    while let Some(event) = bridge.poll_event() {
        if let Event::Incoming { stream, .. } = event {
            bridge.accept(now, stream);
            return Some(stream);
        }
    }
    None
}

/// Whoever gets this answers it, if it wants an answer.
pub(crate) fn answer(bridge: &mut OverIbb, now: Instant, transmit: &Transmit) {
    if let Some(iq) = iq_of(&transmit.stanza) {
        bridge.handle_stanza(now, BRIDGE, &transmit.to, Incoming::Result { iq });
    }
}

/// Bytes of all blocks among these stanzas.
pub(crate) fn block_bytes(stanzas: &[Transmit]) -> usize {
    let bytes = |transmit: &Transmit| match &transmit.stanza {
        Outgoing::Data { data, .. } => data.len(),
        _ => 0,
    };
    stanzas.iter().map(bytes).sum()
}

/// One of a client's paths.
#[derive(Clone)]
pub(crate) struct Path {
    pub(crate) jid: FullJid,
    sid: String,
    seq: u16,
}

/// A client with one session, which says what it is made to say.
pub(crate) struct Puppet {
    /// By which it sends.
    pub(crate) path: Path,
    /// What it puts at the end of the ids of its IQs.
    pub(crate) id_tail: String,
    keys: SessionKeys,
    sealer: Sealer,
    opener: Opener,
    last_id: u64,
    last_path: u64,
}

impl Puppet {
    /// Asks for a bytestream with a genuine proof: its id, if the bridge lets one in.
    pub(crate) fn knock(bridge: &mut OverIbb, now: Instant, jid: &FullJid, seed: u64) -> Option<Credential> {
        let keys = LineKeys::new(&identity().line(None));
        let sid = keys.first_contact(seed as u32, WALL_CLOCK / 60, jid, &bridge_jid());
        let open = Incoming::Open { id: "open".into(), sid: sid.to_string(), block_size: 65_535 };
        bridge.handle_stanza(now, BRIDGE, jid, open);
        let answer = sent(bridge, now).pop().expect("an answer").stanza;
        (answer == Outgoing::Result { id: "open".into() }).then_some(sid)
    }

    /// Shakes hands with the bridge, which answers within this very moment.
    pub(crate) fn shake_hands(bridge: &mut OverIbb, now: Instant, jid: FullJid, seed: u64) -> Self {
        Self::shake_hands_saying(bridge, now, jid, seed, Vec::new()).expect("a welcome").0
    }

    /// The same, and says this early: whether the bridge has taken it, unless it does not answer.
    pub(crate) fn shake_hands_saying(
        bridge: &mut OverIbb,
        now: Instant,
        jid: FullJid,
        seed: u64,
        early: Vec<u8>,
    ) -> Option<(Self, bool)> {
        let line = identity().line(None);
        let sid = Self::knock(bridge, now, &jid, seed).expect("a bytestream");
        let lanes = Lanes { files: false, relays: true };
        let hello = Hello { credits: CREDITS, resume: None, lanes, early };
        let mut entropy = Rng::new(seed);
        let (initiator, data) = Initiator::start(&line, &sid, &jid, &bridge_jid(), &hello, &mut entropy);
        let hello = Incoming::Data { id: "hello".into(), sid: sid.to_string(), seq: 0, data };
        bridge.handle_stanza(now, BRIDGE, &jid, hello);
        let mut welcome = None;
        for transmit in sent(bridge, now) {
            if let Outgoing::Data { iq, data, .. } = transmit.stanza {
                bridge.handle_stanza(now, BRIDGE, &jid, Incoming::Result { iq });
                welcome.get_or_insert(data);
            }
        }
        let (welcome, keys) = initiator.finish(&welcome?).expect("ours");
        let (sealer, opener) = (Sealer::new(&keys.send), Opener::new(&keys.receive));
        let path = Path { jid, sid: sid.to_string(), seq: 1 };
        let client = Self { path, id_tail: String::new(), keys, sealer, opener, last_id: 0, last_path: 0 };
        Some((client, welcome.has_taken_early))
    }

    fn next_id(&mut self) -> String {
        self.last_id += 1;
        format!("{}{}", self.last_id, self.id_tail)
    }

    /// Sends a packet of these frames, in an IQ with the id that is returned.
    pub(crate) fn send(&mut self, bridge: &mut OverIbb, now: Instant, frames: &[Frame]) -> String {
        let mut draft = Draft::new(64);
        frames.iter().for_each(|frame| frame.encode(draft.buffer()));
        draft.pad_to(64.max(OVERHEAD));
        let (_, data) = self.sealer.seal(draft).expect("a packet");
        let (id, Path { jid, sid, seq }) = (self.next_id(), self.path.clone());
        self.path.seq = seq.wrapping_add(1);
        let block = Incoming::Data { id: id.clone(), sid, seq, data: data.to_vec() };
        bridge.handle_stanza(now, BRIDGE, &jid, block);
        id
    }

    /// Opens another path, from the account with this name, and sends by it from now on.
    pub(crate) fn open_path(&mut self, bridge: &mut OverIbb, now: Instant, jid: FullJid) {
        self.last_path += 1;
        let sid = self.keys.path_key.credential(self.last_path, &jid, &bridge_jid()).to_string();
        self.path = Path { jid, sid: sid.clone(), seq: 0 };
        let id = self.next_id();
        bridge.handle_stanza(now, BRIDGE, &self.path.jid, Incoming::Open { id, sid, block_size: 65_535 });
    }

    /// Whether this closes the path.
    pub(crate) fn loses_path(&self, stanza: &Outgoing) -> bool {
        matches!(stanza, Outgoing::Close { sid, .. } if sid.to_string() == self.path.sid)
    }

    /// Closes the path.
    pub(crate) fn close_path(&mut self, bridge: &mut OverIbb, now: Instant) {
        let (id, sid) = (self.next_id(), self.path.sid.clone());
        bridge.handle_stanza(now, BRIDGE, &self.path.jid, Incoming::Close { id, sid });
    }

    /// Answers an IQ of the bridge's.
    pub(crate) fn answer(&self, bridge: &mut OverIbb, now: Instant, iq: Token) {
        bridge.handle_stanza(now, BRIDGE, &self.path.jid, Incoming::Result { iq });
    }

    /// The counter and the frames of a packet of the bridge's.
    pub(crate) fn open(&mut self, stanza: &Outgoing) -> Option<(u64, Vec<Frame>)> {
        let Outgoing::Data { data, .. } = stanza else { return None };
        let (counter, plaintext) = self.opener.open(data.to_vec()).expect("a packet of the bridge's");
        Some((counter, Reader::new(plaintext).map(|frame| frame.expect("a frame")).collect()))
    }

    /// Why the bridge has closed the session, if it has said so in one of these stanzas.
    pub(crate) fn closed(&mut self, stanzas: &[Transmit]) -> Option<SessionClose> {
        let jid = self.path.jid.clone();
        let mine = stanzas.iter().filter(|transmit| transmit.to == jid);
        let mut packets = mine.filter_map(|transmit| self.open(&transmit.stanza));
        packets.find_map(|(_, frames)| {
            frames.into_iter().find_map(|frame| match frame {
                Frame::Close { reason } => Some(reason),
                _ => None,
            })
        })
    }
}
