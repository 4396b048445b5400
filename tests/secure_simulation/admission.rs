//! Admission control, of those who have the bridge line and take more than their share of what it opens, and a bridge that does
//! so to its client.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{Incoming, Outgoing, Transmit};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, CloseReason, Core as _, Event, StreamId};
use hexchat_pt::secure::{Bridge, Config, Persisted, Service, Token};
use xmpp_parsers::jid::FullJid;

use crate::over_ibb::{OverIbb, WALL_CLOCK};
use crate::rng::Rng;
use crate::setup::{defaults, identity};

const SECOND: Duration = Duration::from_secs(1);

/// How long a stanza takes to the other end.
const DELAY: Duration = Duration::from_millis(150);

/// The bridge, everybody who comes to it, and the clock.
struct Scene {
    start: Instant,
    now: Instant,
    bridge: OverIbb,
    bridge_jids: BTreeMap<AccountId, FullJid>,
    /// Those of its accounts that nobody reaches under their names.
    unreachable: BTreeSet<AccountId>,
    clients: Vec<Client>,
    /// What is on its way to the bridge, and to clients.
    to_bridge: Vec<(Instant, AccountId, FullJid, Incoming)>,
    to_clients: Vec<(Instant, FullJid, FullJid, Incoming)>,
    seeds: Rng,
}

struct Client {
    endpoint: OverIbb,
    jids: Vec<FullJid>,
    stream: StreamId,
    outcome: Option<Result<(), CloseReason>>,
    /// It never gets further than its first stanza.
    is_silent: bool,
    /// To whom it has sent an `open`.
    asked: BTreeSet<FullJid>,
}

fn jid(text: &str) -> FullJid {
    FullJid::new(text).unwrap()
}

fn bridge_jid(n: u64) -> FullJid {
    jid(&format!("bridge{n}@b/r"))
}

impl Scene {
    fn new(config: Config, accounts: u64) -> Self {
        let now = Instant::now();
        let ids: Vec<AccountId> = (1..=accounts).map(AccountId).collect();
        let service = Service {
            identity: identity(),
            psk: None,
            accounts: ids.clone(),
            siblings: Vec::new(),
            accepted: Vec::new(),
        };
        let mut scene = Self {
            start: now,
            now,
            bridge: OverIbb::new(config, Some(service), Box::new(Rng::new(1))),
            bridge_jids: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            clients: Vec::new(),
            to_bridge: Vec::new(),
            to_clients: Vec::new(),
            seeds: Rng::new(2),
        };
        scene.bridge.handle_wall_clock(now, WALL_CLOCK);
        ids.into_iter().for_each(|id| scene.bridge_is_online(id, bridge_jid(id.0)));
        scene
    }

    fn bridge_is_online(&mut self, id: AccountId, jid: FullJid) {
        self.bridge_jids.insert(id, jid.clone());
        self.bridge.handle_account(self.now, id, AccountChange::Online { jid, resumed: false });
    }

    fn seconds(&self) -> u64 {
        WALL_CLOCK + (self.now - self.start).as_secs()
    }

    /// A client with these accounts asks for a connection; its number.
    fn comes(&mut self, jids: &[&str]) -> usize {
        let entropy = Box::new(Rng::new(self.seeds.next()));
        let mut endpoint = OverIbb::new(defaults(), None, entropy);
        endpoint.handle_wall_clock(self.now, self.seconds());
        let jids: Vec<FullJid> = jids.iter().map(|text| jid(text)).collect();
        let accounts: Vec<AccountId> = (0..jids.len() as u64).map(AccountId).collect();
        for (id, jid) in accounts.iter().zip(&jids) {
            let change = AccountChange::Online { jid: jid.clone(), resumed: false };
            endpoint.handle_account(self.now, *id, change);
        }
        let bridge = Bridge { line: identity().line(None), peers: [bridge_jid(1)].into(), accounts };
        let stream = endpoint.connect(self.now, &bridge, Address::new("192.0.2.1", "1").unwrap()).unwrap();
        self.clients.push(Client {
            endpoint,
            jids,
            stream,
            outcome: None,
            is_silent: false,
            asked: BTreeSet::new(),
        });
        self.clients.len() - 1
    }

    /// A client that begins a handshake and does not go on with it.
    fn begins(&mut self, jid: &str) {
        let client = self.comes(&[jid]);
        self.clients[client].is_silent = true;
        self.collect();
    }

    fn outcome(&self, client: usize) -> Option<Result<(), CloseReason>> {
        self.clients[client].outcome
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(50);
            let seconds = self.seconds();
            self.bridge.handle_wall_clock(self.now, seconds);
            self.deliver();
            self.bridge.handle_timeout(self.now);
            for client in self.clients.iter_mut().filter(|client| !client.is_silent) {
                client.endpoint.handle_timeout(self.now);
            }
            self.collect();
        }
    }

    fn deliver(&mut self) {
        let is_due = |at: &Instant| *at <= self.now;
        let (due, later) = std::mem::take(&mut self.to_bridge).into_iter().partition(|item| is_due(&item.0));
        self.to_bridge = later;
        let due: Vec<_> = due;
        for (_, via, from, incoming) in due {
            self.bridge.handle_stanza(self.now, via, &from, incoming);
        }
        let (due, later): (Vec<_>, _) =
            std::mem::take(&mut self.to_clients).into_iter().partition(|item| item.0 <= self.now);
        self.to_clients = later;
        for (_, to, from, incoming) in due {
            let now = self.now;
            let is_for = |client: &&mut Client| client.jids.contains(&to) && !client.is_silent;
            // Several clients may have the same account, each with a resource of its own.
            if let Some(client) = self.clients.iter_mut().find(is_for) {
                let account = client.jids.iter().position(|own| *own == to).unwrap();
                client.endpoint.handle_stanza(now, AccountId(account as u64), &from, incoming);
            }
        }
    }

    /// Takes what everybody has to send and to say.
    fn collect(&mut self) {
        let now = self.now;
        loop {
            while let Some(record) = self.bridge.poll_handshake_record() {
                self.bridge.handle_persisted(now, &record, Persisted::Yes);
            }
            let Some(transmit) = self.bridge.poll_transmit(now) else { break };
            let from = self.bridge_jids[&transmit.via].clone();
            self.to_clients.push((now + DELAY, transmit.to.clone(), from, incoming(transmit)));
        }
        while let Some(event) = self.bridge.poll_event() {
            match event {
                Event::Incoming { stream, .. } => self.bridge.accept(now, stream),
                Event::Closed(stream, _) => self.bridge.release(now, stream),
                _ => {}
            }
        }
        let by_jid: BTreeMap<&FullJid, AccountId> =
            self.bridge_jids.iter().map(|(id, jid)| (jid, *id)).collect();
        let is_reachable = |id: &&AccountId| !self.unreachable.contains(id);
        for client in &mut self.clients {
            while let Some(transmit) = client.endpoint.poll_transmit(now) {
                if matches!(transmit.stanza, Outgoing::Open { .. }) {
                    client.asked.insert(transmit.to.clone());
                }
                let from = client.jids[transmit.via.0 as usize].clone();
                match by_jid.get(&transmit.to).filter(is_reachable) {
                    Some(id) => self.to_bridge.push((now + DELAY, *id, from, incoming(transmit))),
                    None => bounce(&mut self.to_clients, now, from, transmit),
                }
            }
            while let Some(event) = client.endpoint.poll_event() {
                match event {
                    Event::Connected(_) => client.outcome = Some(Ok(())),
                    Event::Closed(_, reason) => client.outcome = Some(Err(reason)),
                    _ => {}
                }
            }
        }
    }
}

/// Nobody is there: the server says so.
fn bounce(
    to_clients: &mut Vec<(Instant, FullJid, FullJid, Incoming)>,
    now: Instant,
    from: FullJid,
    transmit: Transmit,
) {
    let to = transmit.to.clone();
    if let Incoming::Open { id, .. } | Incoming::Data { id, .. } | Incoming::Close { id, .. } =
        incoming(transmit)
    {
        to_clients.push((now + DELAY, from, to, Incoming::Undelivered { iq: iq(&id) }));
    }
}

/// What a stanza looks like to whoever gets it.
fn incoming(transmit: Transmit) -> Incoming {
    match transmit.stanza {
        Outgoing::Open { iq, sid, block_size } => {
            Incoming::Open { id: iq.0.to_string(), sid: sid.to_string(), block_size }
        }
        Outgoing::Data { iq, sid, seq, data } => {
            Incoming::Data { id: iq.0.to_string(), sid: sid.to_string(), seq, data: data.to_vec() }
        }
        Outgoing::Close { iq, sid } => Incoming::Close { id: iq.0.to_string(), sid: sid.to_string() },
        Outgoing::Result { id } => Incoming::Result { iq: iq(&id) },
        Outgoing::Refusal { id } => Incoming::Error { iq: iq(&id) },
    }
}

fn iq(id: &str) -> Token {
    Token(id.parse().unwrap())
}

#[test]
fn whoever_holds_all_sessions_makes_room_for_a_newcomer() {
    let mut scene = Scene::new(Config { max_sessions: 40, ..defaults() }, 1);
    let hoarders: Vec<usize> =
        (0..40).map(|n| scene.comes(&[&format!("hoarder{}@x/r{n}", n % 10)])).collect();
    scene.run_for(3 * SECOND);
    assert!(hoarders.iter().all(|client| scene.outcome(*client) == Some(Ok(()))));
    assert_eq!(scene.bridge.statistics().sessions, 40);
    for n in 0..10 {
        let newcomer = scene.comes(&[&format!("newcomer{n}@x/r")]);
        scene.run_for(2 * SECOND);
        assert_eq!(scene.outcome(newcomer), Some(Ok(())), "newcomer {n}");
    }
    assert_eq!(scene.bridge.statistics().sessions, 40);
}

/// So many accounts of one owner: at one domain, or each at a subdomain of its own.
fn accounts_of_one_owner(count: usize) -> [Vec<String>; 2] {
    let accounts = |subdomain: fn(usize) -> String| {
        (0..count).map(|n| format!("hoarder{n}@{}evil.example/r", subdomain(n))).collect()
    };
    [accounts(|_| String::new()), accounts(|n| format!("d{n}."))]
}

#[test]
fn many_accounts_of_one_owner_that_hold_all_sessions_make_room_for_newcomers_and_do_not_get_it_back() {
    for hoarders in accounts_of_one_owner(40) {
        let mut scene = Scene::new(Config { max_sessions: 40, ..defaults() }, 1);
        let first: Vec<usize> = hoarders.iter().map(|hoarder| scene.comes(&[hoarder])).collect();
        scene.run_for(3 * SECOND);
        assert!(first.iter().all(|client| scene.outcome(*client) == Some(Ok(()))));
        let mut newcomers: Vec<usize> = Vec::new();
        for n in 0..10 {
            newcomers.push(scene.comes(&[&format!("newcomer@home{n}.example/r")]));
            newcomers.push(scene.comes(&[&format!("newcomer{n}@public.example/r")]));
            scene.run_for(2 * SECOND);
        }
        let again: Vec<usize> =
            (0..10).map(|n| scene.comes(&[&format!("again{n}@again.evil.example/r")])).collect();
        scene.run_for(3 * SECOND);
        newcomers.retain(|client| scene.outcome(*client) != Some(Ok(())));
        assert_eq!(newcomers, Vec::<usize>::new(), "these were kept out or driven out");
        assert!(again.iter().all(|client| scene.outcome(*client) != Some(Ok(()))));
        assert_eq!(scene.bridge.statistics().sessions, 40);
    }
}

#[test]
fn many_accounts_of_one_owner_leave_half_of_a_minute_to_others() {
    for hoarders in accounts_of_one_owner(100) {
        let config = Config { handshakes_per_minute: 60, handshakes_per_minute_per_jid: 60, ..defaults() };
        let mut scene = Scene::new(config, 1);
        hoarders.iter().for_each(|hoarder| scene.begins(hoarder));
        scene.run_for(SECOND);
        let newcomers: Vec<usize> =
            (0..10).map(|n| scene.comes(&[&format!("newcomer@home{n}.example/r")])).collect();
        scene.run_for(3 * SECOND);
        assert!(newcomers.iter().all(|client| scene.outcome(*client) == Some(Ok(()))));
    }
}

#[test]
fn one_account_has_eight_sessions_at_most() {
    let mut scene = Scene::new(defaults(), 1);
    let clients: Vec<usize> = (0..12).map(|n| scene.comes(&[&format!("a@x/r{n}")])).collect();
    let other = scene.comes(&["b@x/r"]);
    scene.run_for(3 * SECOND);
    assert_eq!(scene.bridge.statistics().sessions, 9);
    let lost = Some(Err(CloseReason::TooManyStreams));
    assert_eq!(clients.iter().filter(|client| scene.outcome(**client) == lost).count(), 4);
    assert_eq!(scene.outcome(other), Some(Ok(())));
}

#[test]
fn a_session_that_nobody_uses_for_ten_minutes_is_ended_by_the_bridge() {
    let mut scene = Scene::new(Config { session_timeout: 7200 * SECOND, ..defaults() }, 1);
    let client = scene.comes(&["hoarder@x/r"]);
    scene.run_for(2 * SECOND);
    let stream = scene.clients[client].stream;
    scene.clients[client].endpoint.abort(scene.now, stream);
    scene.clients[client].endpoint.release(scene.now, stream);
    scene.run_for(SECOND);
    scene.clients[client].is_silent = true;
    scene.run_for(590 * SECOND);
    assert_eq!(scene.bridge.statistics().sessions, 1);
    scene.run_for(15 * SECOND);
    assert_eq!(scene.bridge.statistics().sessions, 0);
}

#[test]
fn ten_accounts_that_begin_handshakes_and_never_go_on_keep_nobody_out() {
    let mut scene = Scene::new(defaults(), 1);
    let mut newcomers = Vec::new();
    for second in 0..40 {
        newcomers.push(scene.comes(&[&format!("newcomer{second}@x/r")]));
        for n in 0..20 {
            if second % 20 < 10 {
                scene.begins(&format!("silent{}@x/r", n % 10));
            }
            scene.run_for(SECOND / 20);
        }
    }
    scene.run_for(3 * SECOND);
    newcomers.retain(|client| scene.outcome(*client) != Some(Ok(())));
    assert_eq!(newcomers, Vec::<usize>::new(), "these were kept out");
}

#[test]
fn a_client_that_is_turned_away_because_a_minute_is_used_up_comes_in_in_the_next() {
    let config = Config { handshakes_per_minute: 4, handshakes_per_minute_per_jid: 4, ..defaults() };
    let mut scene = Scene::new(config, 1);
    scene.run_for(50 * SECOND);
    (0..8).for_each(|n| scene.begins(&format!("silent{n}@d{n}/r")));
    let client = scene.comes(&["a@x/r"]);
    scene.run_for(8 * SECOND);
    assert_eq!(scene.outcome(client), None);
    scene.run_for(10 * SECOND);
    assert_eq!(scene.outcome(client), Some(Ok(())));
}

/// To how many accounts of a bridge with 32 a client has written that announces these, and whose first one shakes hands.
fn accounts_seen(jids: &[&str]) -> usize {
    let mut scene = Scene::new(defaults(), 32);
    let client = scene.comes(jids);
    scene.run_for(2 * SECOND);
    assert_eq!(scene.outcome(client), Some(Ok(())));
    let stream = scene.clients[client].stream;
    for round in 0..20 {
        // Whoever has much to send wants a path to each account that he knows.
        let _ = scene.clients[client].endpoint.write(scene.now, stream, &[7; 20_000]);
        scene.run_for(2 * SECOND);
        // One that logs in again makes the bridge tell its accounts anew.
        scene.bridge_is_online(AccountId(2 + round), bridge_jid(2 + round));
        scene.run_for(2 * SECOND);
    }
    scene.clients[client].asked.len()
}

#[test]
fn a_client_that_announces_another_name_is_told_of_no_further_accounts() {
    let (alone, named) = (accounts_seen(&["m@x/r"]), accounts_seen(&["m@x/r", "a@y/r"]));
    assert!((8..=9).contains(&alone), "{alone}");
    assert_eq!(named, alone);
}

#[test]
fn a_bridge_that_names_ever_new_accounts_makes_its_client_write_to_few() {
    let mut scene = Scene::new(defaults(), 9);
    let client = scene.comes(&["a@x/r"]);
    scene.run_for(2 * SECOND);
    assert_eq!(scene.outcome(client), Some(Ok(())));
    let stream = scene.clients[client].stream;
    for round in 0..120 {
        let _ = scene.clients[client].endpoint.write(scene.now, stream, &[7; 20_000]);
        for account in 2..=9 {
            let id = AccountId(account);
            scene.bridge_is_online(id, jid(&format!("stranger{round}x{account}@elsewhere/r")));
            // Whoever has this name knows nothing of it.
            scene.unreachable.insert(id);
        }
        scene.run_for(SECOND / 2);
    }
    let asked = scene.clients[client].asked.len();
    assert!((5..=1 + 16 + 2).contains(&asked), "{asked} accounts");
}
