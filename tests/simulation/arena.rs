//! Arena: a bridge between a client that keeps to the protocol and others that hold its bridge line and keep to no rule.
//!
//! Everything takes one round of [`ROUND`] to the other side, and nothing is lost. Stanzas of attackers are made here, byte by
//! byte, from the protocol's own parts; what the bridge sends them is answered and thrown away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{Incoming, Outgoing, Transmit};
use hexchat_pt::config::Limits;
use hexchat_pt::protocol::{
    AccountChange, AccountId, Address, CloseReason, Core as _, Event, Read, StreamId,
};
use hexchat_pt::secure::crypto::credential::PathKey;
use hexchat_pt::secure::crypto::handshake::{Credits, Hello, Initiator, Lanes};
use hexchat_pt::secure::crypto::line::LineKeys;
use hexchat_pt::secure::crypto::seal::{Draft, Opener, Sealer};
use hexchat_pt::secure::wire::ack::AckFrame;
use hexchat_pt::secure::wire::frame::Frame;
use hexchat_pt::secure::{Bridge, Config, Credential, Identity, Service, Token};
use hexchat_pt::tunnel::bounds;
use xmpp_parsers::jid::FullJid;

use crate::over_ibb::{OverIbb, WALL_CLOCK, iq_of};
use crate::rng::Rng;

/// How long a stanza takes, and how often both sides get to say something.
pub(crate) const ROUND: Duration = Duration::from_millis(20);

/// An attacker waits when so many of its blocks are not answered: more would only cost it its bytestream.
const MOST_UNANSWERED: usize = 100;

const BRIDGE: AccountId = AccountId(1);
const CLIENT: AccountId = AccountId(2);

pub(crate) fn jid(text: &str) -> FullJid {
    FullJid::new(text).unwrap()
}

fn identity() -> Identity {
    Identity::from_bytes([7; 32])
}

/// A session of a client that says what it likes.
pub(crate) struct Attacker {
    jid: FullJid,
    sid: Credential,
    seq: u16,
    initiator: Option<Initiator>,
    keys: Option<Keys>,
    /// Blocks of its that the bridge has not answered.
    unanswered: usize,
    /// The counters of the bridge's packets, of which nothing is acknowledged unasked.
    received: Vec<u64>,
}

struct Keys {
    sealer: Sealer,
    opener: Opener,
    path_key: PathKey,
}

impl Attacker {
    /// A packet with these frames, padded to `size` bytes.
    fn seal(&mut self, frames: &[Frame], size: usize) -> Vec<u8> {
        let mut draft = Draft::new(size);
        frames.iter().for_each(|frame| frame.encode(draft.buffer()));
        draft.pad_to(size);
        self.keys.as_mut().expect("a session").sealer.seal(draft).unwrap().1.to_vec()
    }

    /// Uses up a counter: its packet is never sent.
    pub(crate) fn skip_counter(&mut self) {
        self.seal(&[Frame::Ping], 0);
    }

    /// A block of the bridge's: its half of the handshake, or a packet.
    fn on_block(&mut self, data: &[u8]) {
        if let Some(initiator) = self.initiator.take() {
            let keys = initiator.finish(data).unwrap().1;
            let (sealer, opener) = (Sealer::new(&keys.send), Opener::new(&keys.receive));
            self.keys = Some(Keys { sealer, opener, path_key: keys.path_key });
        } else if let Some(keys) = &mut self.keys {
            self.received.push(keys.opener.open(data.to_vec()).unwrap().0);
        }
    }

    fn block(&mut self, data: Vec<u8>) -> Incoming {
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        self.unanswered += 1;
        Incoming::Data { id: "a".to_owned(), sid: self.sid.to_string(), seq, data }
    }
}

/// What an application at the bridge does with a stream, by the name of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum App {
    /// Writes as much as it may, and reads.
    Source,
    /// Writes one byte in each round.
    Drip,
    /// Reads.
    Sink,
    /// Neither accepts nor reads.
    Idle,
}

pub(crate) struct Arena {
    pub(crate) now: Instant,
    start: Instant,
    pub(crate) bridge: OverIbb,
    client: OverIbb,
    attackers: BTreeMap<FullJid, Attacker>,
    /// Attackers answer nothing from now on.
    pub(crate) is_mute: bool,
    /// The bridge's disk takes nothing.
    is_disk_slow: bool,
    apps: BTreeMap<StreamId, App>,
    /// What the client has read and how its streams have ended.
    pub(crate) downloaded: usize,
    pub(crate) ends: Vec<CloseReason>,
    /// How many streams have closed at the bridge.
    pub(crate) closed: usize,
    to_bridge: Vec<(FullJid, Incoming)>,
    to_client: Vec<Incoming>,
    nonce: u32,
}

fn bridge_jid() -> FullJid {
    jid("bridge@x/r")
}

fn client_jid() -> FullJid {
    jid("client@x/r")
}

impl Arena {
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::now();
        let accounts = vec![BRIDGE];
        let service =
            Service { identity: identity(), psk: None, accounts, siblings: Vec::new(), accepted: Vec::new() };
        let mut bridge = OverIbb::new(config, Some(service), Box::new(Rng::new(1)));
        let mut client = OverIbb::new(bounds::secure(&Limits::default()), None, Box::new(Rng::new(2)));
        for (endpoint, account, jid) in
            [(&mut bridge, BRIDGE, bridge_jid()), (&mut client, CLIENT, client_jid())]
        {
            endpoint.handle_wall_clock(now, WALL_CLOCK);
            endpoint.handle_account(now, account, AccountChange::Online { jid, resumed: false });
        }
        Self {
            now,
            start: now,
            bridge,
            client,
            attackers: BTreeMap::new(),
            is_mute: false,
            is_disk_slow: false,
            apps: BTreeMap::new(),
            downloaded: 0,
            ends: Vec::new(),
            closed: 0,
            to_bridge: Vec::new(),
            to_client: Vec::new(),
            nonce: 0,
        }
    }

    // The client that keeps to the protocol.

    /// Its application asks for a connection to `target`: a source, a sink, or nobody who reads.
    pub(crate) fn connect(&mut self, target: &str) -> StreamId {
        let line = identity().line(None);
        let bridge = Bridge { line, peers: [bridge_jid()].into(), accounts: vec![CLIENT] };
        let target = Address::new(target, "1").unwrap();
        self.client.connect(self.now, &bridge, target).unwrap()
    }

    /// Its application writes what is taken.
    pub(crate) fn write(&mut self, id: StreamId, data: &[u8]) -> usize {
        self.client.write(self.now, id, data).unwrap_or(0)
    }

    /// How many bytes it gets in so many rounds.
    pub(crate) fn download(&mut self, rounds: usize) -> usize {
        let before = self.downloaded;
        (0..rounds).for_each(|_| self.round());
        self.downloaded - before
    }

    // The others.

    /// Begins a bytestream with the bridge, which has accepted its id.
    fn knock(&mut self, from: &str) -> Attacker {
        let attacker = self.ask(from);
        self.persist();
        attacker
    }

    fn persist(&mut self) {
        if !self.is_disk_slow {
            self.bridge.persist(self.now);
        }
    }

    /// Asks for a bytestream with the bridge.
    fn ask(&mut self, from: &str) -> Attacker {
        let (from, line) = (jid(from), identity().line(None));
        self.nonce += 1;
        let minute = (WALL_CLOCK + (self.now - self.start).as_secs()) / 60;
        let sid = LineKeys::new(&line).first_contact(self.nonce, minute, &from, &bridge_jid());
        let open = Incoming::Open { id: "o".to_owned(), sid: sid.to_string(), block_size: 65_535 };
        self.bridge.handle_stanza(self.now, BRIDGE, &from, open);
        Attacker { jid: from, sid, seq: 0, initiator: None, keys: None, unanswered: 0, received: Vec::new() }
    }

    /// A handshake that goes no further than the bytestream.
    pub(crate) fn open_halfway(&mut self, from: &str) {
        self.knock(from);
        self.exchange();
    }

    /// Asks to come in as `from`, and sends a first message right behind, as long as one may be. The bridge keeps both, since its disk is slow.
    pub(crate) fn wait_for_the_disk(&mut self, from: &str) {
        self.is_disk_slow = true;
        let mut attacker = self.ask(from);
        let block = attacker.block(vec![0; 2048]);
        self.bridge.handle_stanza(self.now, BRIDGE, &attacker.jid, block);
    }

    /// Shakes hands as `from`, a full JID that has no session yet.
    pub(crate) fn attack_as(&mut self, from: &str) {
        let mut attacker = self.knock(from);
        let credits = Credits { stream: u32::MAX, session: u32::MAX };
        let (jid, line) = (attacker.jid.clone(), identity().line(None));
        let hello = Hello { credits, resume: None, lanes: Lanes::default(), early: Vec::new() };
        let mut entropy = Rng::new(u64::from(self.nonce));
        let (initiator, message) =
            Initiator::start(&line, &attacker.sid, &jid, &bridge_jid(), &hello, &mut entropy);
        attacker.initiator = Some(initiator);
        let block = attacker.block(message);
        self.attackers.insert(jid.clone(), attacker);
        self.exchange();
        self.bridge.handle_stanza(self.now, BRIDGE, &jid, block);
        self.exchange();
        assert!(self.attackers[&jid].keys.is_some(), "the bridge let nobody in");
    }

    /// Sends a packet with these frames, in a block of `size` bytes at least.
    pub(crate) fn say(&mut self, from: &str, frames: &[Frame], size: usize) {
        let from = jid(from);
        while self.attackers[&from].unanswered >= MOST_UNANSWERED {
            self.round();
        }
        let attacker = self.attackers.get_mut(&from).expect("an attacker");
        let packet = attacker.seal(frames, size);
        let block = attacker.block(packet);
        self.bridge.handle_stanza(self.now, BRIDGE, &from, block);
        self.exchange();
    }

    /// Acknowledges those of the bridge's packets that have come since whose counters are `wanted`.
    pub(crate) fn acknowledge(&mut self, from: &str, wanted: impl Fn(u64) -> bool) {
        let received = std::mem::take(&mut self.attacker(from).received);
        let wanted: Vec<u64> = received.into_iter().filter(|counter| wanted(*counter)).collect();
        for some in wanted.chunks(500) {
            let acks =
                some.iter().filter_map(|counter| AckFrame::new(std::iter::once(*counter..counter + 1)));
            self.say(from, &acks.map(Frame::Ack).collect::<Vec<_>>(), 0);
        }
    }

    /// Opens a further path of the session of `session`, from an account that it has told of.
    pub(crate) fn open_path(&mut self, session: &str, number: u64, from: &str) {
        let (from, to) = (jid(from), bridge_jid());
        let keys = self.attackers[&jid(session)].keys.as_ref().expect("a session");
        let sid = keys.path_key.credential(number, &from, &to).to_string();
        let open = Incoming::Open { id: "p".to_owned(), sid, block_size: 65_535 };
        self.bridge.handle_stanza(self.now, BRIDGE, &from, open);
        self.exchange();
    }

    /// Forgets all attackers but this one, and what has come for it. The bridge does not notice.
    pub(crate) fn forget_all_but(&mut self, last: &str) {
        self.attackers.retain(|name, _| *name == jid(last));
        self.attacker(last).received = Vec::new();
    }

    /// How many streams the bridge has ever told its applications of.
    pub(crate) fn streams(&self) -> usize {
        self.apps.len()
    }

    pub(crate) fn attacker(&mut self, from: &str) -> &mut Attacker {
        self.attackers.get_mut(&jid(from)).expect("an attacker")
    }

    // Time.

    pub(crate) fn round(&mut self) {
        self.now += ROUND;
        for (from, incoming) in std::mem::take(&mut self.to_bridge) {
            self.bridge.handle_stanza(self.now, BRIDGE, &from, incoming);
        }
        for incoming in std::mem::take(&mut self.to_client) {
            self.client.handle_stanza(self.now, CLIENT, &bridge_jid(), incoming);
        }
        for endpoint in [&mut self.bridge, &mut self.client] {
            if endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                endpoint.handle_timeout(self.now);
            }
        }
        let drips = self.apps.iter().filter(|(_, app)| **app == App::Drip).map(|(id, _)| *id);
        for stream in drips.collect::<Vec<_>>() {
            let _ = self.bridge.write(self.now, stream, b"x");
        }
        self.exchange();
    }

    /// Lets both ends say what they have to say, and their applications do what they want to do.
    fn exchange(&mut self) {
        loop {
            let mut is_quiet = true;
            self.persist();
            while let Some(transmit) = self.bridge.poll_transmit(self.now) {
                is_quiet = false;
                self.carry(transmit);
            }
            while let Some(transmit) = self.client.poll_transmit(self.now) {
                is_quiet = false;
                self.to_bridge.push((client_jid(), received(transmit.stanza)));
            }
            while let Some(event) = self.bridge.poll_event() {
                is_quiet = false;
                self.on_bridge_event(event);
            }
            while let Some(event) = self.client.poll_event() {
                is_quiet = false;
                self.on_client_event(&event);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn carry(&mut self, transmit: Transmit) {
        let Transmit { to, stanza, .. } = transmit;
        if to == client_jid() {
            return self.to_client.push(received(stanza));
        }
        if let Some(attacker) = self.attackers.get_mut(&to)
            && matches!(stanza, Outgoing::Result { .. } | Outgoing::Refusal { .. })
        {
            attacker.unanswered = attacker.unanswered.saturating_sub(1);
        }
        let Some(iq) = iq_of(&stanza) else { return };
        if !self.is_mute {
            self.to_bridge.push((to.clone(), Incoming::Result { iq }));
        }
        let Some(attacker) = self.attackers.get_mut(&to) else { return };
        if let Outgoing::Data { data, .. } = stanza {
            attacker.on_block(&data);
        }
    }

    fn on_bridge_event(&mut self, event: Event) {
        match event {
            Event::Incoming { stream, target } => {
                let app = match target.host() {
                    "source" => App::Source,
                    "drip" => App::Drip,
                    "sink" => App::Sink,
                    _ => App::Idle,
                };
                self.apps.insert(stream, app);
                if app != App::Idle {
                    self.bridge.accept(self.now, stream);
                    self.run_app(stream);
                }
            }
            Event::Readable(stream) | Event::Writable(stream) => self.run_app(stream),
            Event::Closed(stream, _) => {
                self.closed += 1;
                if self.apps.get(&stream) != Some(&App::Idle) {
                    self.bridge.release(self.now, stream);
                }
            }
            _ => {}
        }
    }

    fn run_app(&mut self, stream: StreamId) {
        let app = self.apps.get(&stream).copied().unwrap_or(App::Idle);
        if app == App::Source {
            while self.bridge.write(self.now, stream, &[7; 65_536]).is_ok_and(|taken| taken == 65_536) {}
        }
        if app != App::Idle {
            while matches!(self.bridge.read(self.now, stream), Read::Data(_)) {}
        }
    }

    fn on_client_event(&mut self, event: &Event) {
        match event {
            Event::Readable(stream) => {
                while let Read::Data(data) = self.client.read(self.now, *stream) {
                    self.downloaded += data.len();
                }
            }
            Event::Closed(_, reason) => self.ends.push(*reason),
            _ => {}
        }
    }
}

/// What a stanza looks like to whoever gets it. The ids of requests are their numbers.
fn received(stanza: Outgoing) -> Incoming {
    let id = |iq: Token| iq.0.to_string();
    match stanza {
        Outgoing::Open { iq, sid, block_size } => {
            Incoming::Open { id: id(iq), sid: sid.to_string(), block_size }
        }
        Outgoing::Data { iq, sid, seq, data } => {
            Incoming::Data { id: id(iq), sid: sid.to_string(), seq, data: data.to_vec() }
        }
        Outgoing::Close { iq, sid } => Incoming::Close { id: id(iq), sid: sid.to_string() },
        Outgoing::Result { id } => Incoming::Result { iq: Token(id.parse().unwrap_or(0)) },
        Outgoing::Refusal { id } => Incoming::Error { iq: Token(id.parse().unwrap_or(0)) },
    }
}
