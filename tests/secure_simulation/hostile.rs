//! Hostile packets, of clients that hold the bridge line and do not keep to the protocol.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{Outgoing, Transmit};
use hexchat_pt::protocol::{Address, Core as _};
use hexchat_pt::secure::Token;
use hexchat_pt::secure::wire::ack::AckFrame;
use hexchat_pt::secure::wire::frame::{Frame, SessionClose};

use crate::over_ibb::{OverIbb, iq_of};
use crate::puppet::{BRIDGE, Puppet, accept, answer, block_bytes, bridge, jid, sent, wait};
use crate::setup::defaults;

const SECOND: Duration = Duration::from_secs(1);

/// A client that downloads, from a target that sends as much as is taken: the client, and the stream at the bridge.
fn download(bridge: &mut OverIbb, now: Instant) -> (Puppet, hexchat_pt::protocol::StreamId) {
    let mut client = Puppet::shake_hands(bridge, now, jid("eve@x/r"), 1);
    client.send(bridge, now, &[Frame::Open { stream: 0, target: Address::new("192.0.2.1", "80").unwrap() }]);
    let stream = accept(bridge, now).expect("a stream");
    (client, stream)
}

/// The application at the bridge writes as much as is taken.
fn fill(bridge: &mut OverIbb, now: Instant, stream: hexchat_pt::protocol::StreamId) {
    while bridge.write(now, stream, &[7; 65_536]).is_ok_and(|taken| taken > 0) {}
}

#[test]
fn results_that_are_guessed_make_no_room_for_more() {
    let now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let (client, stream) = download(&mut bridge, now);
    let mut bytes = 0;
    for _ in 0..20 {
        fill(&mut bridge, now, stream);
        bytes += block_bytes(&sent(&mut bridge, now));
        for guess in 0..2000_u64 {
            client.answer(&mut bridge, now, Token(guess.into()));
        }
    }
    assert!(bytes < 16_384, "{bytes} bytes went to a client that has answered nothing");
}

#[test]
fn the_ids_that_one_client_gets_say_nothing_of_what_another_one_does() {
    let now = Instant::now();
    let mut ids = Vec::new();
    let mut bridge = bridge(now, defaults());
    let mut watcher = Puppet::shake_hands(&mut bridge, now, jid("watcher@x/r"), 7);
    let (client, stream) = download(&mut bridge, now);
    let mut at = now;
    for _ in 0..20 {
        fill(&mut bridge, at, stream);
        watcher.send(&mut bridge, at, &[Frame::Ping]);
        for transmit in wait(&mut bridge, &mut at, SECOND) {
            let Some(iq) = iq_of(&transmit.stanza) else { continue };
            if transmit.to == watcher.path.jid {
                ids.push(iq.0);
                watcher.answer(&mut bridge, at, iq);
            } else {
                client.answer(&mut bridge, at, iq);
            }
        }
    }
    assert!(ids.len() >= 10, "{} ids", ids.len());
    let near = ids.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1 << 64).count();
    assert_eq!(near, 0, "{ids:?}");
}

/// An acknowledgement of these counters alone.
fn ack(counters: std::ops::Range<u64>) -> Frame {
    Frame::Ack(AckFrame::new([counters]).unwrap())
}

#[test]
fn an_acknowledgement_of_a_packet_that_was_never_sent_ends_the_session() {
    for beyond in [1, 2, 1 << 40] {
        let now = Instant::now();
        let mut bridge = bridge(now, defaults());
        let (mut client, _) = download(&mut bridge, now);
        let highest =
            sent(&mut bridge, now).iter().find_map(|transmit| client.open(&transmit.stanza)).unwrap().0;
        client.send(&mut bridge, now, &[ack(highest..highest + 1)]);
        assert_eq!(bridge.statistics().sessions, 1, "it was sent");
        client.send(&mut bridge, now, &[ack(highest + beyond..highest + beyond + 1)]);
        assert_eq!(client.closed(&sent(&mut bridge, now)), Some(SessionClose::ProtocolViolation), "{beyond}");
        assert_eq!(bridge.statistics().sessions, 0);
    }
}

#[test]
fn whoever_makes_up_acknowledgements_is_let_in_again_in_the_next_minute_and_not_before() {
    let now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let (mut eve, _) = download(&mut bridge, now);
    eve.send(&mut bridge, now, &[ack(1 << 40..(1 << 40) + 1)]);
    assert_eq!(bridge.statistics().sessions, 0);
    sent(&mut bridge, now);
    assert!(Puppet::knock(&mut bridge, now, &jid("eve@x/other"), 2).is_none());
    assert!(Puppet::knock(&mut bridge, now, &jid("bob@x/r"), 3).is_some());
    assert!(Puppet::knock(&mut bridge, now + 60 * SECOND, &jid("eve@x/other"), 4).is_some());
}

/// A client that answers every IQ and, when a packet with this counter has come, acknowledges what `acked` says: the counters
/// that have come, and why the bridge has closed the session if it has.
fn acknowledge(acked: impl Fn(u64) -> Frame) -> (Vec<u64>, Option<SessionClose>) {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let (mut client, stream) = download(&mut bridge, now);
    let mut used = Vec::new();
    for _ in 0..40 {
        fill(&mut bridge, now, stream);
        for transmit in wait(&mut bridge, &mut now, SECOND / 100) {
            let Some((counter, frames)) = client.open(&transmit.stanza) else { continue };
            if let Some(Frame::Close { reason }) = frames.first() {
                return (used, Some(*reason));
            }
            used.push(counter);
            if let Some(iq) = iq_of(&transmit.stanza) {
                client.answer(&mut bridge, now, iq);
            }
            client.send(&mut bridge, now, &[acked(counter)]);
        }
    }
    (used, None)
}

#[test]
fn counters_are_left_out_now_and_then_and_whoever_acknowledges_those_too_has_made_it_up() {
    let (used, closed) = acknowledge(|counter| ack(counter..counter + 1));
    assert_eq!(closed, None, "an honest one acknowledges what has come");
    let highest = *used.last().unwrap();
    let left_out = highest + 1 - used.len() as u64;
    assert!((2..=16).contains(&left_out), "{left_out} of {highest} are left out");
    let (used, closed) = acknowledge(|counter| ack(0..counter + 1));
    assert_eq!(closed, Some(SessionClose::ProtocolViolation), "a blind one is found out");
    assert!(used.len() < 64, "after {} packets", used.len());
}

/// Not even answers make room at an account whose socket takes nothing.
#[test]
fn what_a_socket_has_not_taken_has_a_bound_whatever_is_answered() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let (mut client, stream) = download(&mut bridge, now);
    let (mut stanzas, mut bytes) = (0, 0);
    let mut turn = |bridge: &mut OverIbb, stanzas, bytes| {
        fill(bridge, now, stream);
        bridge.handle_backlog(BRIDGE, stanzas, bytes);
        let sent = wait(bridge, &mut now, SECOND / 10);
        for transmit in &sent {
            answer(bridge, now, transmit);
            if let Some((counter, _)) = client.open(&transmit.stanza) {
                client.send(bridge, now, &[ack(counter..counter + 1)]);
            }
        }
        sent
    };
    for _ in 0..200 {
        let sent = turn(&mut bridge, stanzas, bytes);
        stanzas += sent.len();
        bytes += block_bytes(&sent);
    }
    assert!((256 * 1024..512 * 1024).contains(&bytes), "{bytes} bytes wait to be written");
    assert!(block_bytes(&turn(&mut bridge, 0, 0)) > 0, "it goes on");
}

#[test]
fn paths_that_come_and_go_have_no_more_on_their_way_than_one_that_stays() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let (mut client, stream) = download(&mut bridge, now);
    let mut bytes = 0;
    for _ in 0..100 {
        client.open_path(&mut bridge, now, jid("eve@x/r"));
        fill(&mut bridge, now, stream);
        bytes += block_bytes(&wait(&mut bridge, &mut now, SECOND / 1000));
    }
    assert!(bytes < 16_384, "{bytes} bytes in a tenth of a second to a client that answers nothing");
}

/// What a stanza of the bridge's weighs, in bytes.
fn weight(transmit: &Transmit) -> usize {
    let content = match &transmit.stanza {
        Outgoing::Data { data, .. } => 170 + data.len().div_ceil(3) * 4,
        Outgoing::Open { .. } | Outgoing::Close { .. } => 150,
        Outgoing::Refusal { id } => 250 + id.len(),
        Outgoing::Result { id } => 32 + id.len(),
    };
    content + transmit.to.as_str().len()
}

/// Refusals go to strangers: they wait in a queue of their own behind everything else, which accounts bound.
fn is_no_refusal(transmit: &Transmit) -> bool {
    !matches!(transmit.stanza, Outgoing::Refusal { .. })
}

/// The bridge's account at a server that reads so many bytes a second, and the way from there.
struct Uplink {
    rate: f64,
    free: Instant,
    /// When each stanza arrives.
    under_way: VecDeque<(Instant, Transmit)>,
    /// The most that was ever in front of the server, in bytes.
    most: usize,
}

impl Uplink {
    fn new(now: Instant, rate: f64) -> Self {
        Self { rate, free: now, under_way: VecDeque::new(), most: 0 }
    }

    fn take(&mut self, now: Instant, stanzas: Vec<Transmit>) {
        self.free = self.free.max(now);
        for transmit in stanzas.into_iter().filter(is_no_refusal) {
            self.free += Duration::from_secs_f64(weight(&transmit) as f64 / self.rate);
            self.under_way.push_back((self.free + SECOND / 20, transmit));
        }
        let waiting = self.free.saturating_duration_since(now).as_secs_f64() * self.rate;
        self.most = self.most.max(waiting as usize);
    }

    fn arrived(&mut self, now: Instant) -> Option<Transmit> {
        self.under_way.pop_front_if(|(at, _)| *at <= now).map(|(_, transmit)| transmit)
    }
}

/// A hostile client and one that says something each second, at a bridge whose server reads 10 kB/s.
struct Scene {
    now: Instant,
    bridge: OverIbb,
    uplink: Uplink,
    eve: Puppet,
    /// Whether it answers what it gets.
    eve_answers: bool,
    bob: Puppet,
    /// When it said what was not answered yet.
    asked: BTreeMap<String, Instant>,
    /// How long its answers took.
    delays: Vec<Duration>,
}

impl Scene {
    fn new(eve_answers: bool) -> Self {
        let now = Instant::now();
        let mut bridge = bridge(now, defaults());
        let eve = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
        let bob = Puppet::shake_hands(&mut bridge, now, jid("bob@y/r"), 2);
        let (uplink, asked, delays) = (Uplink::new(now, 10_000.0), BTreeMap::new(), Vec::new());
        Self { now, bridge, uplink, eve, eve_answers, bob, asked, delays }
    }

    /// For so many seconds, in which `attack` is made 400 times each.
    fn run(&mut self, seconds: u32, mut attack: impl FnMut(&mut Puppet, &mut OverIbb, Instant)) {
        for tick in 0..seconds * 400 {
            attack(&mut self.eve, &mut self.bridge, self.now);
            if tick % 400 == 0 {
                let id = self.bob.send(&mut self.bridge, self.now, &[Frame::Ping]);
                self.asked.insert(id, self.now);
            }
            let stanzas = wait(&mut self.bridge, &mut self.now, SECOND / 400);
            self.uplink.take(self.now, stanzas);
            while let Some(transmit) = self.uplink.arrived(self.now) {
                self.deliver(&transmit);
            }
        }
    }

    fn deliver(&mut self, transmit: &Transmit) {
        let is_bobs = transmit.to == self.bob.path.jid;
        match (&transmit.stanza, iq_of(&transmit.stanza)) {
            (_, Some(iq)) if is_bobs => self.bob.answer(&mut self.bridge, self.now, iq),
            (_, Some(iq)) if self.eve_answers => self.eve.answer(&mut self.bridge, self.now, iq),
            (Outgoing::Result { id }, _) if is_bobs => {
                self.delays.extend(self.asked.remove(id).map(|asked| self.now - asked));
            }
            _ => {}
        }
        if self.eve.loses_path(&transmit.stanza) {
            self.eve.open_path(&mut self.bridge, self.now, jid("eve@x/r"));
        }
    }

    /// The median of how long bob's answers took, of the second half, and the longest.
    fn delay(&self) -> (Duration, Duration) {
        assert!(self.asked.len() <= 2, "{} of its questions are not answered", self.asked.len());
        let mut delays = self.delays[self.delays.len() / 2..].to_vec();
        delays.sort();
        (delays[delays.len() / 2], delays[delays.len() - 1])
    }
}

#[test]
fn a_flood_of_small_blocks_makes_nobody_elses_answers_late() {
    let mut idle = Scene::new(true);
    idle.run(20, |_, _, _| {});
    println!("idle: {:?}", idle.delay());
    for eve_answers in [true, false] {
        let mut scene = Scene::new(eve_answers);
        scene.run(60, |eve, bridge, now| drop(eve.send(bridge, now, &[Frame::Ping])));
        let (usual, longest) = scene.delay();
        println!("eve answers: {eve_answers}: {usual:?}, {longest:?} at most; {} bytes", scene.uplink.most);
        assert!(usual <= idle.delay().0 * 4, "{usual:?}");
        assert!(longest < SECOND, "{longest:?}");
        assert!(scene.uplink.most < 24_000, "{} bytes in front of the server", scene.uplink.most);
    }
}

#[test]
fn paths_that_are_opened_and_closed_without_end_make_nobody_elses_answers_late() {
    let mut scene = Scene::new(true);
    scene.run(60, |eve, bridge, now| {
        eve.open_path(bridge, now, jid("eve@x/r"));
        eve.close_path(bridge, now);
    });
    let (usual, longest) = scene.delay();
    println!("{usual:?}, {longest:?} at most; {} bytes", scene.uplink.most);
    assert!(longest < SECOND, "{longest:?}");
}

#[test]
fn a_client_that_fell_silent_with_its_answers_unread_is_let_in_again() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let (mut eve, _) = download(&mut bridge, now);
    for _ in 0..100 {
        eve.send(&mut bridge, now, &[Frame::Ping]);
        sent(&mut bridge, now);
    }
    // Its paths die, and it comes back under another resource.
    wait(&mut bridge, &mut now, 31 * SECOND);
    assert!(Puppet::knock(&mut bridge, now, &jid("eve@x/other"), 2).is_some());
}

#[test]
fn a_client_that_takes_its_names_back_with_the_last_word_leaves_nothing_behind() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let before = bridge.entries();
    for round in 1..=10 {
        let mut client = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), round);
        let names = (0..16).map(|n| jid(&format!("name{n}@round{round}/r"))).collect();
        client.send(&mut bridge, now, &[Frame::Jids { serial: 1, jids: names }]);
        let close = Frame::Close { reason: SessionClose::Done };
        client.send(&mut bridge, now, &[Frame::Jids { serial: 2, jids: Vec::new() }, close]);
        wait(&mut bridge, &mut now, 60 * SECOND);
    }
    assert_eq!(bridge.statistics().sessions, 0);
    assert!(bridge.entries() <= before + 10, "{} things are kept", bridge.entries());
}

#[test]
fn answers_that_no_server_reads_wait_in_a_bounded_number() {
    let now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let mut eve = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
    let (mut at, mut bytes) = (now, 0);
    for n in 0..20_000 {
        if n % 100 == 0 {
            eve.open_path(&mut bridge, at, jid("eve@x/r"));
        }
        eve.send(&mut bridge, at, &[Frame::Ping]);
        let sent = wait(&mut bridge, &mut at, SECOND / 1000);
        bytes += sent.iter().filter(|transmit| is_no_refusal(transmit)).map(weight).sum::<usize>();
    }
    assert!(bytes < 128 * 1024, "{bytes} bytes were written for a client that answers nothing");
    assert!(bridge.entries() < 1000, "{} things are kept", bridge.entries());
}

#[test]
fn what_has_an_id_of_unusual_length_is_no_block_of_ours() {
    let now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let mut client = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
    let path = client.path.clone();
    client.id_tail = "x".repeat(2000);
    let id = client.send(&mut bridge, now, &[Frame::Ping]);
    let answers: Vec<_> = sent(&mut bridge, now).into_iter().map(|transmit| transmit.stanza).collect();
    assert_eq!(answers, [Outgoing::Refusal { id }]);
    client.path = path;
    client.id_tail = "x".repeat(100);
    let id = client.send(&mut bridge, now, &[Frame::Ping]);
    let mut at = now;
    let answers = wait(&mut bridge, &mut at, SECOND);
    assert!(answers.iter().any(|transmit| transmit.stanza == Outgoing::Result { id: id.clone() }));
}

#[test]
fn a_session_has_no_more_than_so_many_paths_and_keeps_those_that_are_used() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let mut client = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
    let (mut used, mut closed) = (client.path.clone(), 0);
    for n in 1..=200 {
        client.path = used;
        let other = jid(&format!("eve{n}@x/r"));
        client.send(&mut bridge, now, &[Frame::Jids { serial: n, jids: vec![other.clone()] }]);
        used = client.path.clone();
        client.open_path(&mut bridge, now, other);
        let other = std::mem::replace(&mut client.path, used);
        let id = client.send(&mut bridge, now, &[Frame::Ping]);
        used = std::mem::replace(&mut client.path, other);
        let stanzas = wait(&mut bridge, &mut now, SECOND);
        stanzas.iter().for_each(|transmit| answer(&mut bridge, now, transmit));
        assert!(
            stanzas.iter().any(|transmit| transmit.stanza == Outgoing::Result { id: id.clone() }),
            "the path that is used is still there"
        );
        closed += stanzas.iter().filter(|transmit| matches!(transmit.stanza, Outgoing::Close { .. })).count();
    }
    assert_eq!(1 + 200 - closed, 32);
}

/// A client with so many paths could otherwise have as many stanzas sent at once, before everybody's packets.
#[test]
fn a_session_that_broke_the_protocol_is_closed_by_one_block_however_many_paths_it_has() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let mut client = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
    for n in 1..32 {
        let other = jid(&format!("eve{n}@x/r"));
        client.send(&mut bridge, now, &[Frame::Jids { serial: n, jids: vec![other.clone()] }]);
        client.open_path(&mut bridge, now, other);
        let stanzas = wait(&mut bridge, &mut now, SECOND / 10);
        stanzas.iter().for_each(|transmit| answer(&mut bridge, now, transmit));
    }
    client.send(&mut bridge, now, &[ack(1 << 40..(1 << 40) + 1)]);
    let stanzas = sent(&mut bridge, now);
    assert_eq!(client.closed(&stanzas), Some(SessionClose::ProtocolViolation));
    assert_eq!(stanzas.iter().filter(|transmit| iq_of(&transmit.stanza).is_some()).count(), 1);
    let id = client.send(&mut bridge, now, &[Frame::Ping]);
    let refusal = Outgoing::Refusal { id };
    let is_told = sent(&mut bridge, now).iter().any(|transmit| transmit.stanza == refusal);
    assert!(is_told, "whoever has missed it learns from the next block that the bytestream is no more");
}
