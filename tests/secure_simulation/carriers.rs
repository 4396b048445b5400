//! Carriers: a session over two of them, In-Band Bytestreams, and lines on a pipe, of which the core knows nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{self, Bytestreams};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, Core as _, Event, Read, StreamId};
use hexchat_pt::secure::{
    Bridge, Endpoint, Incoming, Outgoing, PathId, Persisted, Receipt, Service, Token, Transmit,
};
use xmpp_parsers::jid::FullJid;

use crate::over_ibb::WALL_CLOCK;
use crate::rng::Rng;
use crate::setup::{defaults, identity};

/// Each end's account at a chat server, and its end of the pipe.
const CHAT: AccountId = AccountId(1);
const PIPE: AccountId = AccountId(2);

/// How often both ends look at their clocks.
const ROUND: Duration = Duration::from_millis(10);

/// How long everything takes to the other end, and how many bytes a second each end may send by each carrier.
const DELAY: Duration = Duration::from_millis(20);
const RATE: f64 = 100_000.0;

const CLIENT: usize = 0;
const BRIDGE: usize = 1;

/// Paths as lines of text. Both ends count the lines, so that an answer names what it answers, and a line its path, by the number of a
/// line.
#[derive(Default)]
struct Pipe {
    sent: usize,
    received: usize,
    /// What was sent in which line, until it is answered.
    tokens: BTreeMap<usize, Token>,
    /// By which line each path was opened. Only the client opens any.
    lines: BTreeMap<PathId, usize>,
}

impl Pipe {
    /// The line for what the core wants done, if it takes one.
    fn write(&mut self, action: Outgoing) -> Option<String> {
        let line = match action {
            Outgoing::Open { path, token, credential } => {
                self.lines.insert(path, self.sent);
                self.tokens.insert(self.sent, token);
                format!("open {credential}")
            }
            Outgoing::Block { path, token, data } => {
                self.tokens.insert(self.sent, token);
                let hex = data.iter().fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
                format!("block {} {hex}", self.lines.get(&path)?)
            }
            Outgoing::Close { path, .. } => format!("close {}", self.lines.remove(&path)?),
            Outgoing::Forget { path } => {
                self.lines.remove(&path);
                return None;
            }
            Outgoing::Taken { receipt } => format!("taken {}", receipt.into_name()),
            Outgoing::Refused { receipt } => format!("refused {}", receipt.into_name()),
        };
        self.sent += 1;
        Some(line)
    }

    /// Tells the core what a line says.
    fn read(&mut self, core: &mut Endpoint, now: Instant, from: &FullJid, line: &str) {
        let number = self.received;
        self.received += 1;
        let receipt = Receipt::new(number.to_string());
        let words: Vec<&str> = line.split(' ').collect();
        let named = words[1].parse().ok();
        let path = named
            .and_then(|named| self.lines.iter().find(|(_, line)| **line == named).map(|(path, _)| *path));
        let token = named.and_then(|named| self.tokens.get(&named)).copied();
        let incoming = match (words[0], path, token) {
            ("open", ..) => {
                let credential = words[1].parse().expect("a credential");
                if let Some(path) = core.handle_open(now, PIPE, from, &credential, receipt) {
                    self.lines.insert(path, number);
                }
                return;
            }
            ("block", Some(path), _) => Incoming::Block { path, receipt, data: bytes(words[2]) },
            ("close", Some(path), _) => Incoming::Closed { path, receipt },
            ("taken", _, Some(token)) => Incoming::Taken { token },
            ("refused", _, Some(token)) => Incoming::Refused { token },
            ("taken" | "refused", ..) => return,
            _ => Incoming::Unknown { receipt },
        };
        core.handle_incoming(now, PIPE, from, incoming);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What is under way, by one carrier or the other.
enum Item {
    Stanza(ibb::Incoming),
    Line(String),
}

impl Item {
    /// Its length on the wire, roughly.
    fn len(&self) -> usize {
        match self {
            Self::Stanza(ibb::Incoming::Data { data, .. }) => 200 + data.len() * 4 / 3,
            Self::Stanza(_) => 200,
            Self::Line(line) => line.len(),
        }
    }
}

/// What is under way from one end by one carrier.
struct Wire {
    items: VecDeque<(Instant, Item)>,
    /// When everything is written that was sent so far.
    free_at: Instant,
}

impl Wire {
    fn push(&mut self, now: Instant, item: Item) {
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(item.len() as f64 / RATE);
        self.items.push_back((self.free_at + DELAY, item));
    }
}

/// A core with both carriers.
struct End {
    core: Endpoint,
    bytestreams: Bytestreams,
    pipe: Pipe,
    /// How many bytes of blocks it has sent by each.
    sent: BTreeMap<AccountId, usize>,
}

impl End {
    fn new(service: Option<Service>, seed: u64) -> Self {
        let core = Endpoint::new(defaults(), service, Box::new(Rng::new(seed)));
        Self { core, bytestreams: Bytestreams::default(), pipe: Pipe::default(), sent: BTreeMap::new() }
    }
}

struct World {
    now: Instant,
    ends: [End; 2],
    /// By the sender and the carrier.
    wires: BTreeMap<(usize, AccountId), Wire>,
    /// Carriers that lose everything.
    cut: BTreeSet<AccountId>,
    /// What the client's applications have still to write, and what the bridge's have read, by their order.
    to_write: BTreeMap<StreamId, Vec<u8>>,
    read: BTreeMap<StreamId, Vec<u8>>,
    finished: BTreeSet<StreamId>,
}

fn name_of(end: usize, account: AccountId) -> FullJid {
    let (name, host) = (["client", "bridge"][end], if account == CHAT { "chat" } else { "pipe" });
    FullJid::new(&format!("{name}@{host}.example/r")).unwrap()
}

impl World {
    /// A client that wants so many streams of so many bytes to its bridge.
    fn new(streams: usize, length: usize) -> Self {
        let (now, accounts) = (Instant::now(), vec![CHAT, PIPE]);
        let service = Service {
            identity: identity(),
            psk: None,
            accounts: accounts.clone(),
            siblings: Vec::new(),
            accepted: Vec::new(),
        };
        let mut ends = [End::new(None, 1), End::new(Some(service), 2)];
        for (n, end) in ends.iter_mut().enumerate() {
            end.core.handle_wall_clock(now, WALL_CLOCK);
            for account in [CHAT, PIPE] {
                let jid = name_of(n, account);
                end.core.handle_account(now, account, AccountChange::Online { jid, resumed: false });
            }
        }
        let peers = [CHAT, PIPE].map(|account| name_of(BRIDGE, account)).into();
        let bridge = Bridge { line: identity().line(None), peers, accounts };
        let target = Address::new("192.0.2.1", "1").unwrap();
        let to_write = (0..streams).map(|n| {
            let stream = ends[CLIENT].core.connect(now, &bridge, target.clone()).unwrap();
            (stream, content(n, length))
        });
        let to_write = to_write.collect();
        let wires = [(CLIENT, CHAT), (CLIENT, PIPE), (BRIDGE, CHAT), (BRIDGE, PIPE)]
            .map(|name| (name, Wire { items: VecDeque::new(), free_at: now }));
        Self {
            now,
            ends,
            wires: wires.into(),
            cut: BTreeSet::new(),
            to_write,
            read: BTreeMap::new(),
            finished: BTreeSet::new(),
        }
    }

    fn run_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = self.now + Duration::from_secs(120);
        while !is_so(self) {
            let sent = self.ends.each_ref().map(|end| &end.sent);
            assert!(self.now < deadline, "not in time: {what}; {} bytes are read, {sent:?}", self.has_read());
            self.round();
        }
    }

    fn round(&mut self) {
        self.now += ROUND;
        for ((from, _), wire) in &mut self.wires {
            while let Some((_, item)) = wire.items.pop_front_if(|(at, _)| *at <= self.now) {
                self.ends[1 - from].handle(self.now, *from, item);
            }
        }
        for end in &mut self.ends {
            if end.core.poll_timeout().is_some_and(|at| at <= self.now) {
                end.core.handle_timeout(self.now);
            }
        }
        self.run_applications();
        self.send(CLIENT);
        self.send(BRIDGE);
    }

    /// Carries out what an end wants done.
    fn send(&mut self, from: usize) {
        loop {
            let end = &mut self.ends[from];
            while let Some(record) = end.core.poll_handshake_record() {
                end.core.handle_persisted(self.now, &record, Persisted::Yes);
            }
            let Some(transmit) = end.core.poll_transmit(self.now) else { return };
            if let Outgoing::Block { data, .. } = &transmit.action {
                *end.sent.entry(transmit.via).or_default() += data.len();
            }
            let (via, peer) = (transmit.via, transmit.to.clone());
            if peer != name_of(1 - from, via) {
                // There is nobody of that name on the other carrier.
                if let Outgoing::Open { token, .. } = transmit.action {
                    end.core.handle_incoming(self.now, via, &peer, Incoming::Undelivered { token });
                }
                continue;
            }
            let item = end.carry(transmit);
            if let (Some(item), false) = (item, self.cut.contains(&via))
                && let Some(wire) = self.wires.get_mut(&(from, via))
            {
                wire.push(self.now, item);
            }
        }
    }

    fn run_applications(&mut self) {
        let (now, [client, bridge]) = (self.now, &mut self.ends);
        while client.core.poll_event().is_some() {}
        for (stream, data) in &mut self.to_write {
            if !data.is_empty()
                && let Ok(taken) = client.core.write(now, *stream, data)
            {
                data.drain(..taken);
                if data.is_empty() {
                    client.core.finish(now, *stream);
                }
            }
        }
        while let Some(event) = bridge.core.poll_event() {
            match event {
                Event::Incoming { stream, .. } => {
                    bridge.core.accept(now, stream);
                    self.read.insert(stream, Vec::new());
                }
                Event::Closed(_, reason) => panic!("{reason}"),
                _ => {}
            }
        }
        for (stream, read) in &mut self.read {
            loop {
                match bridge.core.read(now, *stream) {
                    Read::Data(data) => read.extend_from_slice(&data),
                    Read::Blocked => break,
                    Read::End => {
                        self.finished.insert(*stream);
                        break;
                    }
                    Read::Broken(reason) => panic!("{reason}"),
                }
            }
        }
    }

    fn has_read(&self) -> usize {
        self.read.values().map(Vec::len).sum()
    }

    fn has_sent(&self, account: AccountId) -> usize {
        self.ends[CLIENT].sent.get(&account).copied().unwrap_or_default()
    }

    /// Everything that was written was read, in its order and once.
    fn assert_all_was_read(&self, streams: usize, length: usize) {
        let read: Vec<&Vec<u8>> = self.read.values().collect();
        let written: Vec<Vec<u8>> = (0..streams).map(|n| content(n, length)).collect();
        assert_eq!(read.len(), written.len());
        assert!(read.iter().zip(&written).all(|(read, written)| *read == written));
    }
}

impl End {
    /// Something has come from the other end, `from`.
    fn handle(&mut self, now: Instant, from: usize, item: Item) {
        let Self { core, bytestreams, pipe, .. } = self;
        match item {
            Item::Stanza(stanza) => bytestreams.handle_stanza(core, now, CHAT, &name_of(from, CHAT), stanza),
            Item::Line(line) => pipe.read(core, now, &name_of(from, PIPE), &line),
        }
    }

    /// What goes to the other end.
    fn carry(&mut self, transmit: Transmit) -> Option<Item> {
        if transmit.via == PIPE {
            return self.pipe.write(transmit.action).map(Item::Line);
        }
        self.bytestreams.write(transmit).map(|stanza| Item::Stanza(received(stanza.stanza)))
    }
}

/// What a stanza looks like to whoever gets it.
fn received(stanza: ibb::Outgoing) -> ibb::Incoming {
    use ibb::Outgoing::{Close, Data, Open, Refusal, Result};
    let (id, iq) = (|iq: Token| iq.0.to_string(), |id: &str| Token(id.parse().unwrap()));
    match stanza {
        Open { iq, sid, block_size } => ibb::Incoming::Open { id: id(iq), sid: sid.to_string(), block_size },
        Data { iq, sid, seq, data } => {
            ibb::Incoming::Data { id: id(iq), sid: sid.to_string(), seq, data: data.to_vec() }
        }
        Close { iq, sid } => ibb::Incoming::Close { id: id(iq), sid: sid.to_string() },
        Result { id } => ibb::Incoming::Result { iq: iq(&id) },
        Refusal { id } => ibb::Incoming::Error { iq: iq(&id) },
    }
}

/// What one of the streams carries.
fn content(stream: usize, length: usize) -> Vec<u8> {
    let mut rng = Rng::new(stream as u64);
    (0..length).map(|_| rng.next() as u8).collect()
}

const STREAMS: usize = 3;
const LENGTH: usize = 400_000;

/// A world in the middle of its transfers, which both carriers have a part in.
fn world_over_both() -> World {
    let mut world = World::new(STREAMS, LENGTH);
    world.run_until("both carry blocks", |world| {
        [CHAT, PIPE].into_iter().all(|carrier| world.has_sent(carrier) > 50_000)
    });
    assert_eq!(world.ends[BRIDGE].core.statistics().sessions, 1);
    assert!(world.has_read() < STREAMS * LENGTH, "it is over already");
    world
}

fn is_done(world: &World) -> bool {
    world.has_read() >= STREAMS * LENGTH && world.finished.len() == STREAMS
}

#[test]
fn one_session_goes_by_bytestreams_and_by_lines_on_a_pipe() {
    let mut world = world_over_both();
    world.run_until("everything is read", is_done);
    world.assert_all_was_read(STREAMS, LENGTH);
}

#[test]
fn either_carrier_goes_on_alone_when_the_other_falls_silent() {
    for (lost, left) in [(PIPE, CHAT), (CHAT, PIPE)] {
        let mut world = world_over_both();
        world.cut.insert(lost);
        let before = world.has_sent(left);
        world.run_until("everything is read", is_done);
        world.assert_all_was_read(STREAMS, LENGTH);
        assert!(world.has_sent(left) > before + 50_000, "the other carrier did not have to do anything");
        assert_eq!(world.ends[BRIDGE].core.statistics().sessions, 1);
    }
}

#[test]
fn either_carrier_goes_on_alone_when_the_other_is_gone_and_nothing_is_left_of_it() {
    for (lost, left) in [(PIPE, CHAT), (CHAT, PIPE)] {
        let mut world = world_over_both();
        let now = world.now;
        for end in &mut world.ends {
            end.core.handle_account(now, lost, AccountChange::Gone);
        }
        world.round();
        for end in &world.ends {
            let paths = [(CHAT, end.bytestreams.count()), (PIPE, end.pipe.lines.len())];
            let has_any = paths.map(|(carrier, count)| (carrier, count > 0));
            assert!(has_any.contains(&(lost, false)) && has_any.contains(&(left, true)), "{has_any:?}");
        }
        world.run_until("everything is read", is_done);
        world.assert_all_was_read(STREAMS, LENGTH);
    }
}
