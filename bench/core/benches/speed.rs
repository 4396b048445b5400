//! Speed of the cores and their codecs, in the application's bytes a second on one core of the machine.
//!
//! Seconds are those of the processor: a machine that has other things to do stretches them little. To ask for them takes
//! a part of a microsecond, which is some hundredths of what a small block takes on its whole way.
//!
//! `out` is all that the end does that writes, `back` all that the other one does, answers and acknowledgements included.

#![allow(clippy::expect_used, reason = "nothing comes from outside")]

use std::hint::black_box;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, Throughput};
use hexchat_core_bench::block::{Block, CELL, LARGE, MIDDLE};
use hexchat_core_bench::end::{ACCOUNT, Protocol};
use hexchat_core_bench::pair::{Meter, Pair, Side, stamped};
use hexchat_core_bench::secure::Counting;
use hexchat_core_bench::wire::{Transmit, Wire};
use hexchat_core_bench::{classic, secure};
use hexchat_pt::carrier::ibb;
use hexchat_pt::classic as classic_core;
use hexchat_pt::secure::crypto::handshake::{
    Credits, Hello, Initiator, Lanes, Responder, SessionId, Status, Welcome,
};
use hexchat_pt::secure::crypto::keys::SessionKeys;
use hexchat_pt::secure::crypto::line::LineKeys;
use hexchat_pt::secure::crypto::seal::{Draft, Opener, Sealer};
use hexchat_pt::secure::wire::frame::{Frame, Reader};
use hexchat_pt::secure::{self as secure_core, Identity, Token};
use rustix::time::{ClockId, clock_gettime};
use xmpp_parsers::jid::FullJid;

type Criterion = criterion::Criterion<CpuTime>;
type Group<'a> = BenchmarkGroup<'a, CpuTime>;

/// The time that this thread was at work.
struct CpuTime;

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("no time before zero")
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu_time()
    }

    fn end(&self, start: Duration) -> Duration {
        cpu_time().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// How long one side has worked.
struct Stopwatch {
    side: Side,
    time: Duration,
}

impl Meter for Stopwatch {
    fn measure(&mut self, side: Side, work: impl FnOnce()) {
        if side != self.side {
            return work();
        }
        let start = CpuTime.start();
        work();
        self.time += CpuTime.end(start);
    }
}

fn main() {
    let mut criterion = criterion::Criterion::default().with_measurement(CpuTime).configure_from_args();
    // Each size has a pair of its own: a path that has carried many small blocks looks for another size of block.
    for block in [CELL, MIDDLE, LARGE] {
        whole_way(&mut criterion, "secure", Pair::connected(secure::ends).at_full_size(), block);
    }
    for block in [CELL, MIDDLE] {
        whole_way(&mut criterion, "classic", Pair::connected(classic::ends), block);
    }
    for block in [CELL, MIDDLE, LARGE] {
        parts(&mut criterion, block);
    }
    criterion.final_summary();
}

/// From what an application writes to bytes for the server, and from there to what the other application reads.
fn whole_way(criterion: &mut Criterion, protocol: &str, mut pair: Pair<impl Protocol>, block: Block) {
    let data = block.data();
    let mut group = group(criterion, protocol, block);
    for (name, side) in [("out", Side::Out), ("back", Side::Back)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut watch = Stopwatch { side, time: Duration::ZERO };
                (0..rounds).for_each(|_| pair.carry(&data, &mut watch));
                watch.time
            });
        });
    }
}

fn group<'a>(criterion: &'a mut Criterion, what: &str, block: Block) -> Group<'a> {
    let mut group = criterion.benchmark_group(format!("{what} {}", block.name));
    group.throughput(Throughput::Bytes(block.payload as u64));
    group
}

/// What the whole way is made of.
fn parts(criterion: &mut Criterion, block: Block) {
    let payload = Bytes::from(block.data());
    let mut group = group(criterion, "parts", block);
    frames(&mut group, &payload);
    packets(&mut group, &payload);
    base64(&mut group, &payload);
    stanzas(&mut group, "secure stanza", || secure_stanza(&payload));
    if block.payload <= MIDDLE.payload {
        stanzas(&mut group, "classic stanza", || classic_stanza(&payload));
    }
}

fn frames(group: &mut Group<'_>, payload: &Bytes) {
    let frame = Frame::Data { stream: 1, offset: 1 << 20, data: payload.clone(), fin: false };
    let mut packet = Vec::new();
    group.bench_function("frame encode", |bencher| {
        bencher.iter(|| {
            packet.clear();
            black_box(&frame).encode(&mut packet);
        });
    });
    let packet = Bytes::from(packet);
    group.bench_function("frame decode", |bencher| {
        bencher.iter(|| Reader::new(black_box(packet.clone())).for_each(|frame| drop(black_box(frame))));
    });
}

fn packets(group: &mut Group<'_>, payload: &Bytes) {
    let keys = keys();
    let draft = || {
        let mut draft = Draft::new(payload.len() + secure_core::crypto::seal::OVERHEAD);
        draft.buffer().extend_from_slice(payload);
        draft
    };
    let mut sealer = Sealer::new(&keys.send);
    group.bench_function("seal", |bencher| bencher.iter(|| sealer.seal(draft())));
    // A number may come again here: who opens does not keep count.
    let packet = Sealer::new(&keys.send).seal(draft()).expect("a packet").1.to_vec();
    let mut opener = Opener::new(&keys.send);
    group.bench_function("open", |bencher| bencher.iter(|| opener.open(packet.clone()).expect("ours")));
}

fn base64(group: &mut Group<'_>, payload: &Bytes) {
    group.bench_function("base64 encode", |bencher| bencher.iter(|| BASE64.encode(black_box(payload))));
    let text = BASE64.encode(payload);
    group.bench_function("base64 decode", |bencher| bencher.iter(|| BASE64.decode(black_box(&text))));
}

/// With base64, both ways.
fn stanzas(group: &mut Group<'_>, what: &str, transmit: impl Fn() -> Transmit) {
    let mut wire = Wire::new(1);
    let mut out = BytesMut::new();
    group.bench_function(format!("{what} write"), |bencher| {
        bencher.iter(|| {
            out.clear();
            wire.to_wire(transmit(), &mut out);
        });
    });
    // Also where only reading is asked for.
    out.clear();
    wire.to_wire(transmit(), &mut out);
    let xml = stamped(&out, &jid("client"));
    let is_classic = matches!(transmit(), Transmit::Classic(_));
    group.bench_function(format!("{what} read"), |bencher| {
        bencher.iter(|| wire.from_wire(black_box(&xml), is_classic));
    });
}

/// The id of a bytestream.
const SID: &str = "6d0c2a3e-59c4-4c1e-8a1b-0a4b7c1d2e3f";

fn secure_stanza(payload: &Bytes) -> Transmit {
    let sid = SID.parse().expect("a credential");
    let stanza = ibb::Outgoing::Data { iq: Token(7), sid, seq: 7, data: payload.clone() };
    Transmit::Secure(ibb::Transmit { via: ACCOUNT, to: jid("bridge"), stanza })
}

fn classic_stanza(payload: &Bytes) -> Transmit {
    let header = classic_core::Header {
        local: address("40000"),
        remote: address("9001"),
        aliases: classic_core::Aliases::new([jid("client")]).expect("an alias"),
    };
    let id = classic_core::seq::SeqNum::ZERO;
    let packet = classic_core::Payload::Packet { header, id, data: payload.clone() };
    let stanza = classic_core::Outgoing::Set(classic_core::SetId(7), packet);
    Transmit::Classic(classic_core::Transmit { via: ACCOUNT, to: jid("bridge").into(), stanza })
}

fn address(port: &str) -> hexchat_pt::protocol::Address {
    hexchat_pt::protocol::Address::new("127.0.0.1", port).expect("an address")
}

fn jid(name: &str) -> FullJid {
    FullJid::new(&format!("{name}@chat.example/x3kd9")).expect("a JID")
}

/// As a handshake leaves them to a client.
fn keys() -> SessionKeys {
    let (identity, [from, to], random) =
        (Identity::from_bytes([7; 32]), ["client", "bridge"].map(jid), &mut Counting(1));
    let (line, credits) = (identity.line(None), Credits { stream: 1, session: 1 });
    let sid = LineKeys::new(&line).first_contact(1, 1, &from, &to);
    let hello = Hello { credits, resume: None, lanes: Lanes::default(), early: Vec::new() };
    let (client, first) = Initiator::start(&line, &sid, &from, &to, &hello, random);
    let (bridge, _) = Responder::read(&identity, None, &sid, &from, &to, &first, random).expect("ours");
    let welcome = Welcome {
        status: Status::New,
        session: SessionId::generate(random),
        credits,
        has_taken_early: false,
        lanes: Lanes::default(),
    };
    let (second, _) = bridge.reply(&welcome).expect("an answer");
    client.finish(&second).expect("ours").1
}
