//! Two ends, and the chat server between them, on virtual time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::FullJid;

use crate::block::LARGE;
use crate::end::{End, Protocol, jids};

/// What the server takes for a stanza, whatever its size: so the largest blocks are the fastest, and the ends find that out.
const STANZA: Duration = Duration::from_millis(2);

/// The most virtual time that anything may take that the ends are to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client, which writes.
    Out,
    /// The bridge, which reads.
    Back,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Out, Self::Back];

    fn other(self) -> Self {
        match self {
            Self::Out => Self::Back,
            Self::Back => Self::Out,
        }
    }
}

/// Is told when an end works, and when it is only the harness around them.
pub trait Meter {
    /// Runs what `side` has to do.
    fn measure(&mut self, side: Side, work: impl FnOnce());
}

/// Measures nothing.
pub struct Unmeasured;

impl Meter for Unmeasured {
    fn measure(&mut self, _: Side, work: impl FnOnce()) {
        work();
    }
}

/// A client with a stream to its bridge.
pub struct Pair<P> {
    now: Instant,
    ends: [End<P>; 2],
    jids: [FullJid; 2],
    /// What the server has not delivered yet, and to whom.
    server: VecDeque<(Side, Vec<u8>)>,
    /// How long each stanza of the client's was, for those who wonder about it.
    sent: Vec<usize>,
}

impl<P: Protocol> Pair<P> {
    /// Two ends with a stream between them, over which nothing has gone yet.
    pub fn connected(ends: impl FnOnce(Instant) -> [End<P>; 2]) -> Self {
        let now = Instant::now();
        let mut pair = Self { now, ends: ends(now), jids: jids(), server: VecDeque::new(), sent: Vec::new() };
        pair.ends[0].protocol.connect(now);
        pair.turn(Side::Out, &mut Unmeasured, End::turn);
        pair.run_until(&mut Unmeasured, |pair| pair.ends.iter().all(End::is_connected));
        pair.settle(&mut Unmeasured);
        pair
    }

    /// Writes as fast as the stream takes it until it goes in the largest blocks.
    #[must_use]
    pub fn at_full_size(mut self) -> Self {
        let data = vec![0; LARGE.payload];
        self.run_until(&mut Unmeasured, |pair| {
            pair.turn(Side::Out, &mut Unmeasured, |end, now| while end.write(now, &data) > 0 {});
            pair.sent.drain(..).any(|length| length > LARGE.payload / 3 * 4)
        });
        self.settle(&mut Unmeasured);
        self
    }

    /// Carries one block from the client's application to the bridge's, and waits until all that follows from it is done.
    ///
    /// # Panics
    /// When it did not go as one block.
    pub fn carry(&mut self, data: &[u8], meter: &mut impl Meter) {
        self.sent.clear();
        let goal = self.ends[1].read + data.len();
        self.turn(Side::Out, meter, |end, now| {
            end.write(now, data);
        });
        self.run_until(meter, |pair| pair.ends[1].read >= goal);
        self.settle(meter);
        let blocks = self.sent.iter().filter(|length| **length > data.len()).count();
        assert_eq!(blocks, 1, "{} bytes go as one block", data.len());
    }

    fn run_until(&mut self, meter: &mut impl Meter, mut is_done: impl FnMut(&mut Self) -> bool) {
        let deadline = self.now + PATIENCE;
        while !is_done(self) {
            assert!(self.now < deadline, "nothing more arrives");
            self.step(meter);
        }
    }

    /// Lets the ends answer and acknowledge what has come, as they do when nothing follows at once.
    fn settle(&mut self, meter: &mut impl Meter) {
        const SILENCE: Duration = Duration::from_millis(10);
        let mut until = self.now + SILENCE;
        while !self.server.is_empty() || self.next_timeout().is_some_and(|at| at <= until) {
            if !self.server.is_empty() {
                until = self.now + SILENCE;
            }
            self.step(meter);
        }
        self.now = self.now.max(until);
    }

    /// The server delivers a stanza, or time passes until one of the ends has something to do.
    fn step(&mut self, meter: &mut impl Meter) {
        if let Some((side, xml)) = self.server.pop_front() {
            self.now += STANZA;
            self.turn(side, meter, |end, now| end.receive(now, &xml));
        } else {
            self.now = self.now.max(self.next_timeout().expect("something to wait for"));
        }
        for side in Side::BOTH {
            if self.ends[side as usize].timeout().is_some_and(|at| at <= self.now) {
                self.turn(side, meter, |end, now| end.handle_timeout(now));
            }
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.ends.iter().filter_map(|end| end.timeout()).min()
    }

    /// One end does something, and what it wants sent goes to the server.
    fn turn(&mut self, side: Side, meter: &mut impl Meter, work: impl FnOnce(&mut End<P>, Instant)) {
        let end = &mut self.ends[side as usize];
        meter.measure(side, || work(end, self.now));
        let from = &self.jids[side as usize];
        end.take_stanzas(|xml| {
            if side == Side::Out {
                self.sent.push(xml.len());
            }
            self.server.push_back((side.other(), stamped(xml, from)));
        });
    }
}

/// A stanza as the server passes it on: with the one who sent it.
///
/// # Panics
/// When it has no attributes.
#[must_use]
pub fn stamped(xml: &[u8], from: &FullJid) -> Vec<u8> {
    let name = xml.iter().position(|byte| *byte == b' ').expect("a stanza has attributes");
    let (name, rest) = xml.split_at(name);
    [name, format!(" from='{from}'").as_bytes(), rest].concat()
}
