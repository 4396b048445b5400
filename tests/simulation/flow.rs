//! Flow: one tunnelled connection as it should be: what the applications do, what they wrote and what they
//! may therefore read.

use std::ops::Range;
use std::time::Duration;

use hexchat_pt::protocol::{Address, CloseReason, Read, StreamId};
use xmpp_parsers::jid::Jid;

use crate::network::{Side, Time};
use crate::rng::mix;

/// What an application is going to do.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Bytes that it writes altogether.
    pub(crate) total: u64,
    /// Bytes that it writes at once.
    pub(crate) piece: u64,
    /// Bytes that it has written before it asks for the connection.
    pub(crate) first: u64,
    /// How long it waits between two writes.
    pub(crate) pace: Duration,
    /// When it does not read.
    pub(crate) pauses: Vec<Range<Time>>,
    /// Bytes that it reads before it writes any.
    pub(crate) reads_first: u64,
    pub(crate) end: End,
    /// When it lets go of the stream, whatever is still to be done.
    pub(crate) release_at: Option<Time>,
}

impl Default for Script {
    /// An application that only listens.
    fn default() -> Self {
        let (pace, pauses) = (Duration::ZERO, Vec::new());
        let (reads_first, end, release_at) = (0, End::Never, None);
        Self { total: 0, piece: 4096, first: 0, pace, pauses, reads_first, end, release_at }
    }
}

impl Script {
    pub(crate) fn writes(total: u64) -> Self {
        Self { total, piece: 32 * 1024, ..Self::default() }
    }

    /// Writes `total` bytes after it has read `request`.
    pub(crate) fn replies(request: u64, total: u64) -> Self {
        Self { reads_first: request, ..Self::writes(total) }
    }

    pub(crate) fn and_ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

/// When an application ends its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Not before the peer does.
    Never,
    /// As soon as everything is written; this cuts off what the peer still has to say.
    Written,
    /// When everything is written, and everything that the peer is going to write was read.
    AllDone,
}

/// What the accepting side says to the connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Accept,
    Refuse,
    Never,
}

/// Where an application stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Undecided,
    /// It read the end.
    Ended,
    Broken(CloseReason),
    Released,
}

/// The application at one end.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) script: Script,
    pub(crate) stream: Option<StreamId>,
    pub(crate) connected: bool,
    pub(crate) written: u64,
    pub(crate) read: u64,
    pub(crate) finished: bool,
    /// It read the end and still has something to say, where the protocol lets it.
    pub(crate) saw_end: bool,
    pub(crate) outcome: Outcome,
    /// When, the first time that the program said so.
    pub(crate) closed: Option<(Time, CloseReason)>,
}

impl App {
    fn new(script: Script) -> Self {
        Self {
            script,
            stream: None,
            connected: false,
            written: 0,
            read: 0,
            finished: false,
            saw_end: false,
            outcome: Outcome::Undecided,
            closed: None,
        }
    }

    pub(crate) fn is_reading(&self, now: Time) -> bool {
        !self.script.pauses.iter().any(|pause| pause.contains(&now))
    }
}

#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) number: usize,
    pub(crate) opener: Side,
    pub(crate) to: Jid,
    pub(crate) local: Address,
    pub(crate) remote: Address,
    pub(crate) decision: Decision,
    pub(crate) decides_after: Duration,
    left: App,
    right: App,
}

impl Flow {
    pub(crate) fn new(
        number: usize,
        opener: Side,
        to: Jid,
        decision: Decision,
        scripts: [Script; 2],
    ) -> Self {
        let [left, right] = scripts.map(App::new);
        Self {
            number,
            opener,
            to,
            local: Address::new("127.0.0.1", (20_000 + number).to_string()).expect("an address"),
            remote: Address::new("10.0.0.1", (1 + number).to_string()).expect("an address"),
            decision,
            decides_after: Duration::from_millis(3),
            left,
            right,
        }
    }

    /// Which flow a connect to `target` belongs to.
    pub(crate) fn number_of(target: &Address) -> usize {
        usize::from(target.port().expect("targets have ports")) - 1
    }

    pub(crate) fn app(&self, side: Side) -> &App {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    pub(crate) fn app_mut(&mut self, side: Side) -> &mut App {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// What the application at `side` writes next, at most.
    pub(crate) fn next_piece(&self, side: Side) -> Vec<u8> {
        let app = self.app(side);
        if app.read < app.script.reads_first {
            return Vec::new();
        }
        let end = (app.written + app.script.piece).min(app.script.total);
        self.bytes(side, app.written, end)
    }

    /// What the application that opens it has written before.
    pub(crate) fn first(&self) -> Vec<u8> {
        let script = &self.app(self.opener).script;
        self.bytes(self.opener, 0, script.first.min(script.total))
    }

    /// Whether the application at `side` was not told anything.
    pub(crate) fn has_heard_nothing(&self, side: Side) -> bool {
        let app = self.app(side);
        app.read == 0 && !app.saw_end && !matches!(app.outcome, Outcome::Ended | Outcome::Released)
    }

    /// The application at `side` begins anew, with another stream. It must not have been told anything before.
    pub(crate) fn restart(&mut self, side: Side, stream: StreamId) {
        assert!(self.has_heard_nothing(side), "flow {}: {side:?} hears the same twice", self.number);
        let app = self.app_mut(side);
        let script = app.script.clone();
        *app = App { stream: Some(stream), ..App::new(script) };
    }

    /// What `writer` writes from `start` up to `end`.
    fn bytes(&self, writer: Side, start: u64, end: u64) -> Vec<u8> {
        let direction = self.number as u64 * 2 + u64::from(writer == Side::Right);
        let words = (start / 8..end.div_ceil(8)).map(|word| mix(word + (direction << 40)));
        let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        bytes.drain(..(start % 8) as usize);
        bytes.truncate((end - start) as usize);
        bytes
    }

    /// Checks what the application at `side` has read; panics when that is not what was written.
    pub(crate) fn check_read(&mut self, side: Side, read: &Read, half_closes: bool) {
        match read {
            Read::Data(data) => self.check_data(side, data),
            Read::Blocked => {}
            Read::End => self.check_end(side, half_closes),
            Read::Broken(reason) => self.app_mut(side).outcome = Outcome::Broken(*reason),
        }
    }

    fn check_data(&mut self, side: Side, data: &[u8]) {
        let (number, position) = (self.number, self.app(side).read);
        assert!(!data.is_empty(), "flow {number}: {side:?} was given nothing to read");
        let written = self.app(side.other()).written;
        let end = position + data.len() as u64;
        assert!(end <= written, "flow {number}: {side:?} read {end} bytes of {written}");
        assert!(
            *data == self.bytes(side.other(), position, end),
            "flow {number}: {side:?} read wrong bytes between {position} and {end}"
        );
        self.app_mut(side).read = end;
    }

    /// An end must not hide that something is missing, unless this side asked for the end itself or the
    /// other one knows that the stream broke.
    fn check_end(&mut self, side: Side, half_closes: bool) {
        let (reader, writer) = (self.app(side), self.app(side.other()));
        let writer_knows = writer.closed.is_some_and(|(_, reason)| reason != CloseReason::Finished);
        let complete = writer.finished && writer.written == reader.read;
        assert!(
            complete || reader.finished || writer_knows,
            "flow {}: {side:?} read the end after {} of {} bytes",
            self.number,
            reader.read,
            writer.written,
        );
        let app = self.app_mut(side);
        if half_closes && !app.finished {
            app.saw_end = true;
        } else {
            app.outcome = Outcome::Ended;
        }
    }

    /// Whether the application at `side` knows how it went, or never heard of it.
    pub(crate) fn is_over_at(&self, side: Side) -> bool {
        let app = self.app(side);
        app.outcome != Outcome::Undecided || app.stream.is_none() && side != self.opener
    }

    /// Whether one application waits for a word of the other, which has none to say any more.
    pub(crate) fn is_orphaned(&self) -> bool {
        let [left, right] = [&self.left, &self.right];
        let waits = |app: &App, peer: &App| {
            app.outcome == Outcome::Undecided && (peer.closed.is_some() || peer.outcome == Outcome::Released)
        };
        let idle = |app: &App| !app.finished && (app.written == app.script.total || !app.connected);
        waits(left, right) && idle(left) || waits(right, left) && idle(right)
    }

    /// Whether everything that was to be written was read, in both directions.
    pub(crate) fn is_intact(&self) -> bool {
        Side::BOTH.iter().all(|&side| {
            let (app, peer) = (self.app(side), self.app(side.other()));
            app.written == app.script.total && peer.read == app.written
        })
    }
}
