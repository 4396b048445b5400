//! World of the simulation: one bridge, its clients, their chat servers, and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{Outgoing, Transmit};
use hexchat_pt::config::Limits;
use hexchat_pt::protocol::{AccountId, Address, Core as _, Event, Read, StreamId};
use hexchat_pt::secure::{Bridge, Config, Identity, Service};
use hexchat_pt::tunnel::bounds;
use xmpp_parsers::jid::FullJid;

use crate::program::{Program, received};
use crate::rng::Rng;
use crate::uplink::{Uplink, length};

/// Time since the start of the run.
pub(crate) type Time = Duration;

/// What Debian's Prosody reads from one account, in bytes a second.
pub(crate) const RATE: usize = 10_000;

/// Half of the time there and back between a client's chat server and the client, in milliseconds.
const DISTANCE: Range<u64> = 10..80;

/// A client's only account.
const ITS_ACCOUNT: AccountId = AccountId(0);

/// What applications write at once.
const WRITE: usize = 32 * 1024;

/// Every byte is its offset modulo this.
const PATTERN: usize = 251;

/// Who sends a stanza, or gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// One of the bridge's accounts.
    Bridge(usize),
    /// One of the clients.
    Client(usize),
}

#[derive(Debug)]
enum Task {
    /// The chat server reads from an account.
    Read(Seat),
    /// A stanza arrives.
    Deliver(Seat, Seat, Outgoing),
    WakeBridge,
    WakeClient(usize),
    /// A client's application wants so many bytes from the bridge; none when it wants nothing but the connection.
    Fetch(usize, usize),
    /// A client is gone without a word.
    Vanish(usize),
}

type Letter = (Seat, Outgoing);

struct Client {
    program: Program,
    uplink: Uplink<Letter>,
    bridge: Bridge,
    distance: Duration,
    streams: BTreeMap<StreamId, Fetch>,
    received: usize,
    fetched: usize,
    failed: usize,
    has_vanished: bool,
}

/// One download.
#[derive(Debug, Default)]
struct Fetch {
    wanted: usize,
    received: usize,
}

/// What the bridge's application sends by one stream.
#[derive(Debug)]
struct Job {
    left: usize,
    written: usize,
}

/// What the bridge has sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// Bytes of the packets.
    pub(crate) blocks: usize,
    /// Bytes of the stanzas around them.
    pub(crate) block_stanzas: usize,
    /// How many there were of each size.
    pub(crate) sizes: BTreeMap<usize, usize>,
    /// Bytes of the answers to what clients sent.
    pub(crate) answers: usize,
    pub(crate) others: usize,
}

pub(crate) struct World {
    pub(crate) now: Time,
    start: Instant,
    rng: Rng,
    bridge: Program,
    uplinks: Vec<Uplink<Letter>>,
    bridge_jids: Vec<FullJid>,
    clients: Vec<Client>,
    by_jid: BTreeMap<FullJid, Seat>,
    jobs: BTreeMap<StreamId, Job>,
    agenda: BTreeMap<(Time, u64), Task>,
    next_task: u64,
    pattern: Vec<u8>,
    pub(crate) sent: Sent,
    pub(crate) most_buffered: usize,
}

/// The bounds of a program without configuration.
pub(crate) fn defaults() -> Config {
    bounds::secure(&Limits::default())
}

/// The limits, raised to what such a bridge needs.
pub(crate) fn config(clients: usize) -> Config {
    Config {
        max_sessions: 2 * clients,
        max_streams: defaults().max_streams.max(8 * clients),
        max_half_open_sessions: 1024,
        handshakes_per_minute: 10_000,
        queue_total: defaults().queue_total.max(clients * 64 * 1024),
        ..defaults()
    }
}

impl World {
    /// A bridge with so many accounts, all of them online, and clients that have nothing to do yet.
    pub(crate) fn new(seed: u64, accounts: usize, clients: usize) -> Self {
        let (start, mut rng) = (Instant::now(), Rng::new(seed));
        let bridge_jids: Vec<FullJid> = (0..accounts).map(|n| jid(&format!("bridge{n:02}"))).collect();
        let service = Service {
            identity: Identity::from_bytes([7; 32]),
            psk: None,
            accounts: (0..accounts as u64).map(AccountId).collect(),
            siblings: Vec::new(),
            accepted: Vec::new(),
        };
        let bridge = Program::new(start, config(clients), Some(service), rng.fork());
        let by_jid = bridge_jids.iter().cloned().zip((0..).map(Seat::Bridge)).collect();
        let mut world = Self {
            now: Time::ZERO,
            start,
            rng,
            bridge,
            uplinks: (0..accounts).map(|_| Uplink::new(RATE)).collect(),
            bridge_jids,
            clients: Vec::new(),
            by_jid,
            jobs: BTreeMap::new(),
            agenda: BTreeMap::new(),
            next_task: 0,
            pattern: (0..WRITE + PATTERN).map(|n| (n % PATTERN) as u8).collect(),
            sent: Sent::default(),
            most_buffered: 0,
        };
        for (n, jid) in world.bridge_jids.clone().into_iter().enumerate() {
            world.bridge.log_in(Time::ZERO, AccountId(n as u64), jid);
        }
        (0..clients).for_each(|n| world.add_client(n));
        world.settle_bridge();
        world
    }

    /// Its bridge line names one of the bridge's accounts: the operator gives each some of them.
    fn add_client(&mut self, n: usize) {
        let named = self.bridge_jids[n % self.bridge_jids.len()].clone();
        let bridge = Bridge {
            line: Identity::from_bytes([7; 32]).line(None),
            peers: BTreeSet::from([named]),
            accounts: vec![ITS_ACCOUNT],
        };
        let program = Program::new(self.start, defaults(), None, self.rng.fork());
        let distance = self.rng.millis(DISTANCE);
        self.by_jid.insert(jid(&format!("client{n:05}")), Seat::Client(n));
        let client = Client {
            program,
            uplink: Uplink::new(RATE),
            bridge,
            distance,
            streams: BTreeMap::new(),
            received: 0,
            fetched: 0,
            failed: 0,
            has_vanished: false,
        };
        self.clients.push(client);
        let online = &mut self.clients[n].program;
        online.log_in(Time::ZERO, ITS_ACCOUNT, jid(&format!("client{n:05}")));
    }

    // What is to happen.

    fn schedule(&mut self, at: Time, task: Task) {
        self.agenda.insert((at.max(self.now), self.next_task), task);
        self.next_task += 1;
    }

    /// A client's application is going to ask for so many bytes.
    pub(crate) fn plan_fetch(&mut self, at: Time, client: usize, bytes: usize) {
        self.schedule(at, Task::Fetch(client, bytes));
    }

    /// A client is going to vanish, and what it kept with it.
    pub(crate) fn plan_vanish(&mut self, at: Time, client: usize) {
        self.schedule(at, Task::Vanish(client));
    }

    pub(crate) fn random(&mut self, range: Range<u64>) -> u64 {
        self.rng.within(range)
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), task) = entry.remove_entry();
            self.now = at;
            self.perform(task);
        }
        self.now = end;
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Read(seat) => self.read(seat),
            Task::Deliver(from, to, stanza) => self.deliver(from, to, stanza),
            Task::WakeBridge if self.bridge.wakes_at == Some(self.now) => {
                self.bridge.wakes_at = None;
                let now = self.bridge.at(self.now);
                self.bridge.core.handle_timeout(now);
                self.settle_bridge();
            }
            Task::WakeClient(n) if self.clients[n].program.wakes_at == Some(self.now) => {
                let program = &mut self.clients[n].program;
                program.wakes_at = None;
                let now = program.at(self.now);
                program.core.handle_timeout(now);
                self.settle_client(n);
            }
            Task::Fetch(n, bytes) => self.fetch(n, bytes),
            Task::Vanish(n) => self.vanish(n),
            // It was woken up earlier.
            Task::WakeBridge | Task::WakeClient(_) => {}
        }
    }

    // The chat servers.

    fn send(&mut self, from: Seat, transmit: Transmit) {
        let Transmit { to, stanza, .. } = transmit;
        let (Some(&recipient), bytes) = (self.by_jid.get(&to), length(&stanza, to.as_str())) else { return };
        if let Seat::Bridge(_) = from {
            self.sent.note(&stanza, bytes);
        }
        let now = self.now;
        if let Some(at) = self.uplink(from).send(now, bytes, (recipient, stanza)) {
            self.schedule(at, Task::Read(from));
        }
    }

    fn uplink(&mut self, seat: Seat) -> &mut Uplink<Letter> {
        match seat {
            Seat::Bridge(n) => &mut self.uplinks[n],
            Seat::Client(n) => &mut self.clients[n].uplink,
        }
    }

    fn read(&mut self, from: Seat) {
        let now = self.now;
        let (stanzas, next) = self.uplink(from).read(now);
        for (to, stanza) in stanzas {
            let distance = |seat| match seat {
                Seat::Bridge(_) => Duration::ZERO,
                Seat::Client(n) => self.clients[n].distance,
            };
            let at = now + distance(from) + distance(to);
            self.schedule(at, Task::Deliver(from, to, stanza));
        }
        if let Some(at) = next {
            self.schedule(at, Task::Read(from));
        }
    }

    fn jid_of(&self, seat: Seat) -> FullJid {
        match seat {
            Seat::Bridge(n) => self.bridge_jids[n].clone(),
            Seat::Client(n) => jid(&format!("client{n:05}")),
        }
    }

    fn deliver(&mut self, from: Seat, to: Seat, stanza: Outgoing) {
        let sender = self.jid_of(from);
        match to {
            Seat::Bridge(n) => {
                let (now, account) = (self.bridge.at(self.now), AccountId(n as u64));
                self.bridge.core.handle_stanza(now, account, &sender, received(stanza));
                self.settle_bridge();
            }
            Seat::Client(n) if self.clients[n].has_vanished => {}
            Seat::Client(n) => {
                let program = &mut self.clients[n].program;
                let now = program.at(self.now);
                program.core.handle_stanza(now, ITS_ACCOUNT, &sender, received(stanza));
                self.settle_client(n);
            }
        }
    }

    // The programs.

    fn settle_bridge(&mut self) {
        loop {
            while let Some(transmit) = self.bridge.poll_transmit(self.now) {
                self.send(Seat::Bridge(transmit.via.0 as usize), transmit);
            }
            let Some(event) = self.bridge.poll_event() else { break };
            self.on_bridge_event(&event);
        }
        let wanted = self.bridge.next_timeout().map(|at| at.max(self.now));
        if let Some(at) = sooner(&mut self.bridge.wakes_at, wanted) {
            self.schedule(at, Task::WakeBridge);
        }
    }

    fn settle_client(&mut self, n: usize) {
        loop {
            while let Some(transmit) = self.clients[n].program.poll_transmit(self.now) {
                self.send(Seat::Client(n), transmit);
            }
            let Some(event) = self.clients[n].program.poll_event() else { break };
            self.clients[n].on_event(self.now, &event, &self.pattern);
        }
        let program = &mut self.clients[n].program;
        let wanted = program.next_timeout().map(|at| at.max(self.now));
        if let Some(at) = sooner(&mut program.wakes_at, wanted) {
            self.schedule(at, Task::WakeClient(n));
        }
    }

    // The applications.

    fn fetch(&mut self, n: usize, bytes: usize) {
        let client = &mut self.clients[n];
        let (now, target) = (client.program.at(self.now), Address::new(format!("{bytes}"), "1").unwrap());
        let stream = client.program.core.connect(now, &client.bridge, target).expect("room for a stream");
        client.streams.insert(stream, Fetch { wanted: bytes, received: 0 });
        self.settle_client(n);
    }

    fn vanish(&mut self, n: usize) {
        let client = &mut self.clients[n];
        client.program = Program::new(self.start, defaults(), None, Rng::new(0));
        client.streams.clear();
        client.has_vanished = true;
    }

    fn on_bridge_event(&mut self, event: &Event) {
        let now = self.bridge.at(self.now);
        match event {
            Event::Incoming { stream, target } => {
                let left = target.host().parse().expect("a number of bytes");
                self.bridge.core.accept(now, *stream);
                self.jobs.insert(*stream, Job { left, written: 0 });
                self.write(*stream);
            }
            Event::Writable(stream) => self.write(*stream),
            Event::Readable(stream) => while let Read::Data(_) = self.bridge.core.read(now, *stream) {},
            Event::Closed(stream, _) => {
                self.jobs.remove(stream);
                self.bridge.core.release(now, *stream);
            }
            Event::Connected(_) => {}
        }
    }

    /// Writes as much as is taken. Whoever wants nothing keeps the connection.
    fn write(&mut self, stream: StreamId) {
        let now = self.bridge.at(self.now);
        let Some(job) = self.jobs.get_mut(&stream).filter(|job| job.left > 0) else { return };
        loop {
            let data = &self.pattern[job.written % PATTERN..][..WRITE.min(job.left)];
            let Ok(taken) = self.bridge.core.write(now, stream, data) else { return };
            job.left -= taken;
            job.written += taken;
            if job.left == 0 {
                return self.bridge.core.finish(now, stream);
            }
            if taken < data.len() {
                return;
            }
        }
    }

    // What there is to see.

    /// Looks at what the bridge keeps.
    pub(crate) fn inspect(&mut self) {
        let kept = self.bridge.core.buffered();
        assert!(kept <= defaults().queue_total, "the bridge keeps {kept} bytes");
        self.most_buffered = self.most_buffered.max(kept);
    }

    pub(crate) fn sessions(&self) -> usize {
        self.bridge.core.statistics().sessions
    }

    pub(crate) fn streams(&self) -> usize {
        self.bridge.core.stream_count()
    }

    /// Things that the bridge has something written down about.
    pub(crate) fn entries(&self) -> usize {
        self.bridge.core.entries()
    }

    /// Bytes that the applications of each client have read.
    pub(crate) fn received(&self) -> Vec<usize> {
        self.clients.iter().map(|client| client.received).collect()
    }

    /// Downloads that are complete, and those that broke.
    pub(crate) fn fetched(&self) -> (usize, usize) {
        let sum = |of: fn(&Client) -> usize| self.clients.iter().map(of).sum();
        (sum(|client| client.fetched), sum(|client| client.failed))
    }

    pub(crate) fn uplinks(&mut self) -> &mut [Uplink<Letter>] {
        &mut self.uplinks
    }
}

impl Client {
    fn on_event(&mut self, now: Time, event: &Event, pattern: &[u8]) {
        let stream = event.stream();
        match event {
            Event::Readable(_) => self.read(now, stream, pattern),
            Event::Closed(..) if self.streams.contains_key(&stream) => self.read(now, stream, pattern),
            _ => {}
        }
    }

    fn read(&mut self, now: Time, stream: StreamId, pattern: &[u8]) {
        let now = self.program.at(now);
        let Some(fetch) = self.streams.get_mut(&stream) else { return };
        loop {
            match self.program.core.read(now, stream) {
                Read::Data(data) => {
                    for part in data.chunks(WRITE) {
                        let expected = &pattern[fetch.received % PATTERN..][..part.len()];
                        assert!(part == expected, "other bytes than were written");
                        fetch.received += part.len();
                    }
                    self.received += data.len();
                }
                Read::Blocked => return,
                Read::End => {
                    assert_eq!(fetch.received, fetch.wanted, "an end too early");
                    self.fetched += 1;
                    break;
                }
                Read::Broken(reason) => {
                    println!(
                        "{now:?} a download broke after {} of {} bytes: {reason}",
                        fetch.received, fetch.wanted
                    );
                    self.failed += 1;
                    break;
                }
            }
        }
        self.streams.remove(&stream);
        self.program.core.finish(now, stream);
        self.program.core.release(now, stream);
    }
}

impl Sent {
    fn note(&mut self, stanza: &Outgoing, bytes: usize) {
        match stanza {
            Outgoing::Data { data, .. } => {
                self.blocks += data.len();
                self.block_stanzas += bytes;
                *self.sizes.entry(data.len()).or_default() += 1;
            }
            Outgoing::Result { .. } => self.answers += bytes,
            _ => self.others += bytes,
        }
    }
}

/// Notes when to wake up, if that is earlier than it was going to be.
fn sooner(wakes_at: &mut Option<Time>, wanted: Option<Time>) -> Option<Time> {
    let wanted = wanted.filter(|at| wakes_at.is_none_or(|planned| *at < planned))?;
    *wakes_at = Some(wanted);
    Some(wanted)
}

fn jid(name: &str) -> FullJid {
    FullJid::new(&format!("{name}@chat.example/9hx3k2mq")).expect("a JID")
}
