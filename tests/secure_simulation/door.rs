//! Refusal of those who have not proved that they may come in, and of those who repeat what others said.

use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{Incoming, Outgoing, Transmit};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, Core as _, Event};
use hexchat_pt::secure::{Bridge, BridgeLine, Config, Credential, Identity, Persisted, Service};
use xmpp_parsers::jid::FullJid;

use crate::over_ibb::{OverIbb, WALL_CLOCK};
use crate::rng::Rng;
use crate::setup::{defaults, identity};

const CLIENT: AccountId = AccountId(1);
const BRIDGE: AccountId = AccountId(2);

fn client_jid() -> FullJid {
    FullJid::new("client@x/r").unwrap()
}

fn bridge_jid() -> FullJid {
    FullJid::new("bridge@x/r").unwrap()
}

fn online(endpoint: &mut OverIbb, now: Instant, seconds: u64, id: AccountId, jid: FullJid) {
    endpoint.handle_wall_clock(now, seconds);
    endpoint.handle_account(now, id, AccountChange::Online { jid, resumed: false });
}

fn bridge_at(now: Instant, seconds: u64, accepted: Vec<(Credential, u64)>) -> OverIbb {
    let service = Service {
        identity: identity(),
        psk: Some([5; 32]),
        accounts: vec![BRIDGE],
        siblings: Vec::new(),
        accepted,
    };
    let mut endpoint = OverIbb::new(defaults(), Some(service), Box::new(Rng::new(1)));
    online(&mut endpoint, now, seconds, BRIDGE, bridge_jid());
    endpoint
}

/// A client that has just asked for a connection, by this bridge line.
fn client_with(now: Instant, seconds: u64, line: BridgeLine, seed: u64) -> OverIbb {
    let mut endpoint = OverIbb::new(defaults(), None, Box::new(Rng::new(seed)));
    online(&mut endpoint, now, seconds, CLIENT, client_jid());
    let bridge = Bridge { line, peers: [bridge_jid()].into(), accounts: vec![CLIENT] };
    endpoint.connect(now, &bridge, Address::new("192.0.2.1", "1").unwrap()).unwrap();
    endpoint
}

fn line() -> BridgeLine {
    identity().line(Some([5; 32]))
}

/// What a set looks like to whoever gets it.
fn received(transmit: &Transmit) -> Incoming {
    let id = "q".to_owned();
    match transmit.stanza.clone() {
        Outgoing::Open { sid, block_size, .. } => Incoming::Open { id, sid: sid.to_string(), block_size },
        Outgoing::Data { sid, seq, data, .. } => {
            Incoming::Data { id, sid: sid.to_string(), seq, data: data.to_vec() }
        }
        Outgoing::Close { sid, .. } => Incoming::Close { id, sid: sid.to_string() },
        other => panic!("not a set: {other:?}"),
    }
}

fn first_open(now: Instant, seconds: u64, line: BridgeLine, seed: u64) -> Incoming {
    let mut client = client_with(now, seconds, line, seed);
    received(&client.poll_transmit(now).unwrap())
}

/// Says `incoming` to the bridge; true when the answer is what a client without bytestreams says, and nothing else
/// happens.
fn is_turned_away(bridge: &mut OverIbb, now: Instant, from: &FullJid, incoming: Incoming) -> bool {
    bridge.handle_stanza(now, BRIDGE, from, incoming);
    let answer = bridge.poll_transmit(now);
    let expected = Transmit { via: BRIDGE, to: from.clone(), stanza: Outgoing::Refusal { id: "q".into() } };
    answer == Some(expected)
        && bridge.poll_transmit(now).is_none()
        && bridge.poll_handshake_record().is_none()
        && bridge.poll_event().is_none()
        && bridge.statistics().sessions == 0
}

/// Says a genuine `open` to the bridge, which makes a note of it and answers.
fn comes_in(bridge: &mut OverIbb, now: Instant, open: Incoming) -> Option<(Credential, u64)> {
    bridge.handle_stanza(now, BRIDGE, &client_jid(), open);
    let record = bridge.poll_handshake_record()?;
    assert_eq!(bridge.poll_transmit(now), None, "it answers before it has made a note");
    bridge.handle_persisted(now, &record, Persisted::Yes);
    let answer = bridge.poll_transmit(now).unwrap();
    assert_eq!(answer.stanza, Outgoing::Result { id: "q".into() });
    Some((record.credential, record.minute))
}

fn uuid(rng: &mut Rng) -> String {
    let (a, b) = (rng.next(), rng.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
        a >> 32,
        a & 0xffff,
        (a >> 16) & 0xfff,
        8 + (b & 3),
        (b >> 2) & 0xfff,
        b >> 16
    )
}

#[test]
fn ten_thousand_forged_first_stanzas_get_what_an_ordinary_client_answers() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let mut rng = Rng::new(11);
    let strangers_key = Identity::from_bytes([8; 32]).line(Some([5; 32]));
    let without_psk = identity().line(None);
    let wrong_psk = identity().line(Some([6; 32]));
    for n in 0..10_000_u64 {
        let incoming = match n % 11 {
            0 => Incoming::Open { id: "q".into(), sid: uuid(&mut rng), block_size: 4096 },
            1 => Incoming::Open { id: "q".into(), sid: "x".repeat((n % 300) as usize), block_size: 65_535 },
            2 => first_open(now, WALL_CLOCK, strangers_key.clone(), n),
            3 => first_open(now, WALL_CLOCK, without_psk.clone(), n),
            4 => first_open(now, WALL_CLOCK, wrong_psk.clone(), n),
            5 => first_open(now, WALL_CLOCK - 11 * 60 - n, line(), n),
            6 => first_open(now, WALL_CLOCK + 11 * 60 + n, line(), n),
            7 => Incoming::Data {
                id: "q".into(),
                sid: uuid(&mut rng),
                seq: 0,
                data: vec![7; (n % 600) as usize],
            },
            8 => Incoming::Close { id: "q".into(), sid: uuid(&mut rng) },
            9 => Incoming::Unknown { id: "q".into() },
            _ => truncated(first_open(now, WALL_CLOCK, line(), n), (n % 36) as usize),
        };
        assert!(is_turned_away(&mut bridge, now, &client_jid(), incoming), "number {n}");
    }
    assert!(
        comes_in(&mut bridge, now, first_open(now, WALL_CLOCK, line(), 3)).is_some(),
        "nobody was locked out"
    );
}

fn truncated(open: Incoming, length: usize) -> Incoming {
    let Incoming::Open { id, sid, block_size } = open else { panic!("not an open") };
    Incoming::Open { id, sid: sid[..length].to_owned(), block_size }
}

#[test]
fn what_is_genuine_from_one_account_is_nothing_from_another() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let open = first_open(now, WALL_CLOCK, line(), 3);
    let stranger = FullJid::new("client@x/r2").unwrap();
    assert!(is_turned_away(&mut bridge, now, &stranger, open));
}

#[test]
fn a_replay_is_turned_away_while_the_bridge_runs_and_after_a_restart() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let open = first_open(now, WALL_CLOCK, line(), 3);
    let record = comes_in(&mut bridge, now, open.clone()).unwrap();
    assert!(is_turned_away(&mut bridge, now, &client_jid(), open.clone()));
    for minutes in 0..30 {
        let later = now + Duration::from_secs(minutes * 60);
        let mut restarted = bridge_at(later, WALL_CLOCK + minutes * 60, vec![record]);
        assert!(
            is_turned_away(&mut restarted, later, &client_jid(), open.clone()),
            "after {minutes} minutes"
        );
    }
}

#[test]
fn a_clock_that_jumps_ahead_and_back_lets_in_no_contact_that_was_recorded() {
    let (now, hour) = (Instant::now(), 3600);
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let recorded = first_open(now, WALL_CLOCK, line(), 3);
    comes_in(&mut bridge, now, recorded.clone()).unwrap();
    bridge.handle_wall_clock(now, WALL_CLOCK + hour);
    comes_in(&mut bridge, now, first_open(now, WALL_CLOCK + hour, line(), 4)).unwrap();
    bridge.handle_wall_clock(now, WALL_CLOCK + 60);
    assert!(is_turned_away(&mut bridge, now, &client_jid(), recorded));
    assert_eq!(bridge.minutes_locked(now), None);
    assert!(comes_in(&mut bridge, now, first_open(now, WALL_CLOCK + 60, line(), 5)).is_some());
}

#[test]
fn a_bridge_that_has_forgotten_what_is_still_to_come_says_for_how_long_it_is_locked() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK + 3600, Vec::new());
    for (minutes, seed) in [(60, 3), (71, 4)] {
        let seconds = WALL_CLOCK + minutes * 60;
        bridge.handle_wall_clock(now, seconds);
        comes_in(&mut bridge, now, first_open(now, seconds, line(), seed)).unwrap();
    }
    bridge.handle_wall_clock(now, WALL_CLOCK);
    assert_eq!(bridge.minutes_locked(now), Some(61));
    assert!(is_turned_away(&mut bridge, now, &client_jid(), first_open(now, WALL_CLOCK, line(), 5)));
    bridge.handle_wall_clock(now, WALL_CLOCK + 61 * 60);
    assert!(comes_in(&mut bridge, now, first_open(now, WALL_CLOCK + 61 * 60, line(), 6)).is_some());
}

#[test]
fn a_client_whose_clock_is_wrong_is_refused_as_a_stranger_and_the_bridge_knows_by_how_much() {
    let now = Instant::now();
    for minutes in [-600i64, -11, 11, 61] {
        let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
        let theirs = WALL_CLOCK.checked_add_signed(minutes * 60).unwrap();
        assert!(is_turned_away(&mut bridge, now, &client_jid(), first_open(now, theirs, line(), 2)));
        assert_eq!((bridge.poll_strange_clock(), bridge.poll_strange_clock()), (Some(minutes), None));
    }
    // Who has another bridge line proves nothing by it.
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let other = first_open(now, WALL_CLOCK + 3660, identity().line(None), 2);
    assert!(is_turned_away(&mut bridge, now, &client_jid(), other));
    assert_eq!(bridge.poll_strange_clock(), None);
}

#[test]
fn who_cannot_be_remembered_is_turned_away() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    bridge.handle_stanza(now, BRIDGE, &client_jid(), first_open(now, WALL_CLOCK, line(), 3));
    let record = bridge.poll_handshake_record().unwrap();
    bridge.handle_persisted(now, &record, Persisted::No);
    let answer = bridge.poll_transmit(now).unwrap();
    assert_eq!(answer.stanza, Outgoing::Refusal { id: "q".into() });
    assert_eq!(bridge.poll_transmit(now), None);
}

#[test]
fn a_first_message_that_was_changed_makes_no_session() {
    let now = Instant::now();
    for flipped in 0..256 {
        let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
        let mut client = client_with(now, WALL_CLOCK, line(), 3);
        let open = client.poll_transmit(now).unwrap();
        comes_in(&mut bridge, now, received(&open)).unwrap();
        let Outgoing::Open { iq, .. } = open.stanza else { panic!("not an open") };
        client.handle_stanza(now, CLIENT, &bridge_jid(), Incoming::Result { iq });
        let Incoming::Data { id, sid, seq, mut data } = received(&client.poll_transmit(now).unwrap()) else {
            panic!("no first message");
        };
        let length = data.len();
        data[flipped % length] ^= 1 << (flipped % 8);
        bridge.handle_stanza(now, BRIDGE, &client_jid(), Incoming::Data { id, sid, seq, data });
        let answer = bridge.poll_transmit(now).unwrap();
        assert_eq!(answer.stanza, Outgoing::Refusal { id: "q".into() });
        assert_eq!(bridge.statistics().sessions, 0);
    }
}

#[test]
fn a_replayed_first_message_dials_nothing() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let mut client = client_with(now, WALL_CLOCK, line(), 3);
    let open = client.poll_transmit(now).unwrap();
    let record = comes_in(&mut bridge, now, received(&open)).unwrap();
    let Outgoing::Open { iq, .. } = open.stanza else { panic!("not an open") };
    client.handle_stanza(now, CLIENT, &bridge_jid(), Incoming::Result { iq });
    let hello = received(&client.poll_transmit(now).unwrap());
    bridge.handle_stanza(now, BRIDGE, &client_jid(), hello.clone());
    assert_eq!(bridge.statistics().sessions, 1, "the genuine one is answered");
    assert!(matches!(bridge.poll_event(), Some(Event::Incoming { .. })), "it asks for a stream early");

    for repeated in [received(&open), hello.clone()] {
        bridge.handle_stanza(now, BRIDGE, &client_jid(), repeated);
        assert!(bridge.poll_handshake_record().is_none() && bridge.poll_event().is_none());
        assert_eq!(bridge.statistics().sessions, 1);
    }
    let mut restarted = bridge_at(now, WALL_CLOCK, vec![record]);
    assert!(is_turned_away(&mut restarted, now, &client_jid(), received(&open)));
    assert!(is_turned_away(&mut restarted, now, &client_jid(), hello));
}

#[test]
fn strangers_do_not_use_up_what_clients_may_do_in_a_minute() {
    let now = Instant::now();
    let service = Service {
        identity: identity(),
        psk: Some([5; 32]),
        accounts: vec![BRIDGE],
        siblings: Vec::new(),
        accepted: Vec::new(),
    };
    let config = Config { handshakes_per_minute_per_jid: 2, ..defaults() };
    let mut bridge = OverIbb::new(config, Some(service), Box::new(Rng::new(1)));
    online(&mut bridge, now, WALL_CLOCK, BRIDGE, bridge_jid());
    let mut rng = Rng::new(5);
    for _ in 0..100 {
        let forged = Incoming::Open { id: "q".into(), sid: uuid(&mut rng), block_size: 4096 };
        assert!(is_turned_away(&mut bridge, now, &client_jid(), forged));
    }
    for seed in 0..2 {
        assert!(comes_in(&mut bridge, now, first_open(now, WALL_CLOCK, line(), seed)).is_some());
    }
    assert!(is_turned_away(&mut bridge, now, &client_jid(), first_open(now, WALL_CLOCK, line(), 2)));
}

/// What only a look into the bridge can tell from outside is a matter of microseconds, which no test over a chat server
/// can see: so the work itself is measured here. Medians, of requests in turn: other work on the machine disturbs all alike.
#[test]
fn what_nobody_knows_is_as_much_work_as_a_forged_sid() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let mut rng = Rng::new(21);
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..2001 {
        let open = |sid: String| Incoming::Open { id: "q".into(), sid, block_size: 4096 };
        let requests = [Incoming::Unknown { id: "q".into() }, open(uuid(&mut rng)), open("i781hf64".into())];
        for (times, request) in times.iter_mut().zip(requests) {
            let start = Instant::now();
            bridge.handle_stanza(now, BRIDGE, &client_jid(), request);
            times.push(start.elapsed());
            assert!(bridge.poll_transmit(now).is_some());
        }
    }
    let [unknown, forged, malformed] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    for other in [forged, malformed] {
        let ratio = unknown / other;
        assert!((0.67..1.5).contains(&ratio), "unknown {unknown} s, the other {other} s");
    }
}

#[test]
fn only_who_is_let_in_has_a_bytestream() {
    let now = Instant::now();
    let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
    let forged = Incoming::Open { id: "q".into(), sid: uuid(&mut Rng::new(5)), block_size: 4096 };
    assert!(is_turned_away(&mut bridge, now, &client_jid(), forged));
    assert!(!bridge.has_bytestream_with(BRIDGE, &client_jid()));
    comes_in(&mut bridge, now, first_open(now, WALL_CLOCK, line(), 3)).unwrap();
    assert!(bridge.has_bytestream_with(BRIDGE, &client_jid()));
    for stranger in ["client@x/q", "client@x/s", "a@x/r", "z@x/r"] {
        assert!(!bridge.has_bytestream_with(BRIDGE, &FullJid::new(stranger).unwrap()), "{stranger}");
    }
    assert!(!bridge.has_bytestream_with(CLIENT, &client_jid()));
}

/// A client's open and its half of the handshake, which goes right behind it.
fn open_and_hello(now: Instant) -> [Incoming; 2] {
    let mut client = client_with(now, WALL_CLOCK, line(), 3);
    [(); 2].map(|()| received(&client.poll_transmit(now).unwrap()))
}

fn hears_all(bridge: &mut OverIbb, now: Instant, stanzas: impl IntoIterator<Item = Incoming>) {
    for stanza in stanzas {
        bridge.handle_stanza(now, BRIDGE, &client_jid(), stanza);
    }
}

fn stanzas(bridge: &mut OverIbb, now: Instant) -> Vec<Outgoing> {
    std::iter::from_fn(|| bridge.poll_transmit(now)).map(|transmit| transmit.stanza).collect()
}

#[test]
fn a_handshake_right_behind_its_open_waits_until_that_is_remembered() {
    let now = Instant::now();
    let waiting = || {
        let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
        hears_all(&mut bridge, now, open_and_hello(now));
        assert_eq!(bridge.poll_transmit(now), None);
        assert_eq!(bridge.statistics().sessions, 0);
        let record = bridge.poll_handshake_record().unwrap();
        (bridge, record)
    };
    let (mut bridge, record) = waiting();
    bridge.handle_persisted(now, &record, Persisted::Yes);
    let said = stanzas(&mut bridge, now);
    assert_eq!(said[0], Outgoing::Result { id: "q".into() });
    assert!(matches!(said[1], Outgoing::Data { seq: 0, .. }), "its half of the handshake: {said:?}");
    assert_eq!(bridge.statistics().sessions, 1);

    let (mut bridge, record) = waiting();
    bridge.handle_persisted(now, &record, Persisted::No);
    let refusal = || Outgoing::Refusal { id: "q".into() };
    assert_eq!(stanzas(&mut bridge, now), [refusal(), refusal()], "one for each");
    assert!(!bridge.has_bytestream_with(BRIDGE, &client_jid()));
}

#[test]
fn of_a_handshake_that_is_not_remembered_yet_no_more_is_kept_than_it_may_have() {
    let now = Instant::now();
    let [open, Incoming::Data { id, sid, seq, data }] = open_and_hello(now) else { panic!("no handshake") };
    let block = |seq, data| Incoming::Data { id: id.clone(), sid: sid.clone(), seq, data };
    let mut longer = data.clone();
    longer.resize(2049, 0);
    for blocks in [vec![block(seq, longer)], vec![block(seq, data.clone()), block(seq + 1, data)]] {
        let mut bridge = bridge_at(now, WALL_CLOCK, Vec::new());
        hears_all(&mut bridge, now, [open.clone()].into_iter().chain(blocks));
        let said = stanzas(&mut bridge, now);
        assert_eq!(said[0], Outgoing::Refusal { id: "q".into() });
        assert!(matches!(said[1..], [Outgoing::Close { .. }]), "{said:?}");
        let record = bridge.poll_handshake_record().unwrap();
        bridge.handle_persisted(now, &record, Persisted::Yes);
        assert_eq!((stanzas(&mut bridge, now), bridge.statistics().sessions), (Vec::new(), 0));
    }
}
