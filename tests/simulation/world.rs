//! Two programs, the network between them, the applications on top, and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use hexchat_pt::protocol::{AccountChange, AccountId, CloseReason, Core, Event, Read, StreamId};
use xmpp_parsers::jid::{FullJid, Jid};

use crate::flow::{App, Decision, End, Flow, Outcome, Script};
use crate::network::{Conditions, Delivery, Letter, Network, Seat, Side, Stanza, Time};
use crate::program::Program;
use crate::rng::Rng;

/// Steps at one instant, above which something runs in circles.
const MOST_STEPS_AT_ONCE: usize = 20_000;
/// Timeouts that a program may want handled in one second.
const MOST_TIMEOUTS_A_SECOND: usize = 500;

/// What a world is made of, whatever its programs are.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) seed: u64,
    /// How many accounts each side has.
    pub(crate) accounts: [u64; 2],
    /// All accounts of a side are resources of one bare JID.
    pub(crate) one_bare_jid: bool,
    pub(crate) conditions: Conditions,
    pub(crate) keep_log: bool,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An account's connection breaks and is resumed.
    Suspend(Seat, Duration),
    /// An account's connection breaks and it has to log in anew.
    Reset(Seat, Duration),
    /// An account is lost for good.
    Gone(Seat),
    /// The server restarts.
    Restart(Duration),
    /// A program is killed and nobody notices.
    Kill(Side),
}

#[derive(Clone, Copy, Debug)]
enum Task {
    Start(usize),
    Decide(usize, Side),
    Write(usize, Side),
    Read(usize, Side),
    Release(usize, Side),
    Fault(Fault),
    Resume(Seat),
    LogIn(Seat),
    /// Nothing is lost or doubled any more.
    Calm,
}

/// Makes the program of one side.
pub(crate) type Maker<L> = Box<dyn Fn(Side) -> Box<dyn Program<L>>>;

pub(crate) struct World<L: Letter> {
    start: Instant,
    now: Time,
    make: Maker<L>,
    pub(crate) network: Network<L>,
    programs: [Box<dyn Program<L>>; 2],
    killed: BTreeSet<Side>,
    gone: BTreeSet<Seat>,
    flows: Vec<Flow>,
    streams: BTreeMap<(Side, StreamId), usize>,
    /// Streams that a late connect has opened a second time. Their application accepts them and waits.
    ghosts: BTreeSet<(Side, StreamId)>,
    agenda: BTreeMap<(Time, u64), Task>,
    next_task: u64,
    log: Option<String>,
    steps_now: usize,
    timeouts: [(u64, usize); 2],
    pub(crate) stanzas: usize,
}

impl<L: Letter> World<L> {
    /// A world in which every account is about to log in.
    pub(crate) fn on(stage: Stage, make: Maker<L>) -> Self {
        let Stage { seed, accounts, one_bare_jid, conditions, keep_log } = stage;
        let mut network = Network::new(Rng::new(seed).fork(), conditions);
        for (side, count) in Side::BOTH.into_iter().zip(accounts) {
            for account in 0..count {
                network.add_account(Seat::new(side, account), jid_of(side, account, one_bare_jid));
            }
        }
        let mut world = Self {
            start: Instant::now(),
            now: Time::ZERO,
            programs: Side::BOTH.map(&make),
            make,
            network,
            killed: BTreeSet::new(),
            gone: BTreeSet::new(),
            flows: Vec::new(),
            streams: BTreeMap::new(),
            ghosts: BTreeSet::new(),
            agenda: BTreeMap::new(),
            next_task: 0,
            log: keep_log.then(String::new),
            steps_now: 0,
            timeouts: [(0, 0); 2],
            stanzas: 0,
        };
        for side in Side::BOTH {
            for seat in world.network.seats(side) {
                world.log_in(seat);
            }
        }
        world
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn log(&self) -> &str {
        self.log.as_deref().unwrap_or_default()
    }

    pub(crate) fn flows(&self) -> &[Flow] {
        &self.flows
    }

    pub(crate) fn app(&self, flow: usize, side: Side) -> &App {
        self.flows[flow].app(side)
    }

    pub(crate) fn program(&self, side: Side) -> &dyn Program<L> {
        self.programs[side as usize].as_ref()
    }

    fn program_mut(&mut self, side: Side) -> &mut dyn Program<L> {
        self.programs[side as usize].as_mut()
    }

    fn core_mut(&mut self, side: Side) -> &mut dyn Core {
        self.program_mut(side).core_mut()
    }

    /// Bytes that the program at `side` keeps.
    pub(crate) fn buffered(&self, side: Side) -> usize {
        self.program(side).core().buffered()
    }

    /// The bare JID of the first account of `side`.
    pub(crate) fn bare_jid(&self, side: Side) -> Jid {
        self.network.jid(Seat::new(side, 0)).to_bare().into()
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{:>12.6} {line}", self.now.as_secs_f64());
        }
    }

    // Plans.

    fn schedule(&mut self, at: Time, task: Task) {
        self.agenda.insert((at.max(self.now), self.next_task), task);
        self.next_task += 1;
    }

    /// An application at `opener` is going to connect.
    pub(crate) fn plan_flow(&mut self, at: Time, flow: Flow) -> usize {
        let number = self.flows.len();
        assert_eq!(flow.number, number);
        for side in Side::BOTH {
            let script = &flow.app(side).script;
            let (pauses, release_at) = (script.pauses.clone(), script.release_at);
            for pause in pauses {
                self.schedule(pause.end, Task::Read(number, side));
            }
            if let Some(at) = release_at {
                self.schedule(at, Task::Release(number, side));
            }
        }
        self.flows.push(flow);
        self.schedule(at, Task::Start(number));
        number
    }

    /// A connection from left to right that both sides want, starting now.
    pub(crate) fn open(&mut self, left: Script, right: Script) -> usize {
        let to = self.bare_jid(Side::Right);
        self.open_to(to, left, right)
    }

    pub(crate) fn open_to(&mut self, to: Jid, left: Script, right: Script) -> usize {
        let flow = Flow::new(self.flows.len(), Side::Left, to, Decision::Accept, [left, right]);
        self.plan_flow(self.now, flow)
    }

    pub(crate) fn plan_fault(&mut self, at: Time, fault: Fault) {
        self.schedule(at, Task::Fault(fault));
    }

    /// From then on the network neither loses nor doubles anything.
    pub(crate) fn plan_calm(&mut self, at: Time) {
        self.schedule(at, Task::Calm);
    }

    /// Lets the application at one end write `more` bytes than it was going to.
    pub(crate) fn write_more(&mut self, flow: usize, side: Side, more: u64) {
        self.flows[flow].app_mut(side).script.total += more;
        self.schedule(self.now, Task::Write(flow, side));
    }

    /// The application at one end is done.
    pub(crate) fn finish(&mut self, flow: usize, side: Side) {
        self.flows[flow].app_mut(side).script.end = End::Written;
        self.schedule(self.now, Task::Write(flow, side));
    }

    /// The applications that wait for a peer that is no more are stopped.
    pub(crate) fn hang_up_orphans(&mut self) {
        for flow in 0..self.flows.len() {
            if self.flows[flow].is_orphaned() {
                Side::BOTH.iter().for_each(|&side| self.release(flow, side, Outcome::Released));
            }
        }
        for (side, stream) in std::mem::take(&mut self.ghosts) {
            let now = self.instant();
            self.core_mut(side).release(now, stream);
        }
        self.settle();
    }

    // Time.

    pub(crate) fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    pub(crate) fn run_until(&mut self, end: Time) {
        while let Some(at) = self.next_time().filter(|at| *at <= end) {
            self.advance_to(at);
            self.step();
        }
        self.advance_to(end);
    }

    /// Runs until nothing is going to happen any more; panics when programs or network take longer than
    /// `limit` for that after everything planned has happened.
    pub(crate) fn run_until_quiet(&mut self, limit: Duration) {
        let planned = self.agenda.last_key_value().map_or(self.now, |(&(at, _), _)| at);
        let end = planned.max(self.now) + limit;
        while let Some(at) = self.next_time() {
            assert!(at <= end, "something still goes on at {at:?}");
            self.advance_to(at);
            self.step();
        }
    }

    /// Runs until `done`; panics when that comes later than `limit`.
    pub(crate) fn run_until_done(&mut self, limit: Time, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let next = self.next_time().filter(|at| *at <= limit);
            let Some(at) = next else { panic!("not done after {limit:?}: {:?}", self.undecided()) };
            self.advance_to(at);
            self.step();
        }
    }

    fn undecided(&self) -> Vec<&Flow> {
        self.flows.iter().filter(|flow| !Side::BOTH.iter().all(|&side| flow.is_over_at(side))).collect()
    }

    fn next_time(&self) -> Option<Time> {
        let agenda = self.agenda.first_key_value().map(|(&(at, _), _)| at);
        let timeouts = Side::BOTH.into_iter().filter_map(|side| self.next_timeout(side));
        agenda.into_iter().chain(self.network.next_time()).chain(timeouts).min().map(|at| at.max(self.now))
    }

    fn next_timeout(&self, side: Side) -> Option<Time> {
        let alive = !self.killed.contains(&side);
        self.program(side)
            .core()
            .poll_timeout()
            .filter(|_| alive)
            .map(|at| at.saturating_duration_since(self.start))
    }

    fn advance_to(&mut self, at: Time) {
        self.steps_now = if at > self.now { 0 } else { self.steps_now + 1 };
        assert!(self.steps_now < MOST_STEPS_AT_ONCE, "time stands still");
        self.now = at.max(self.now);
    }

    fn step(&mut self) {
        while let Some((_, task)) =
            self.agenda.first_entry().filter(|e| e.key().0 <= self.now).map(|e| e.remove_entry())
        {
            self.perform(task);
            self.settle();
        }
        while let Some((seat, delivery)) = self.network.pop(self.now) {
            self.deliver(seat, delivery);
            self.settle();
        }
        for side in Side::BOTH {
            if self.next_timeout(side).is_some_and(|at| at <= self.now) {
                self.count_timeout(side);
                let now = self.instant();
                self.core_mut(side).handle_timeout(now);
                self.settle();
            }
        }
    }

    fn count_timeout(&mut self, side: Side) {
        let second = self.now.as_secs();
        let (counted, count) = &mut self.timeouts[side as usize];
        if *counted != second {
            (*counted, *count) = (second, 0);
        }
        *count += 1;
        assert!(*count <= MOST_TIMEOUTS_A_SECOND, "{side:?} wakes up {count} times a second");
    }

    /// Lets both programs say everything that they have to say, and looks at what they keep.
    fn settle(&mut self) {
        for side in Side::BOTH {
            loop {
                self.send_all(side);
                let Some(event) = self.core_mut(side).poll_event() else { break };
                self.on_event(side, event);
            }
            let program = self.program(side);
            let bound = program.core().stream_count() * program.most_buffered();
            assert!(program.core().buffered() <= bound, "{side:?} keeps {} bytes", program.core().buffered());
        }
    }

    fn send_all(&mut self, side: Side) {
        let now = self.instant();
        while let Some((via, to, stanza)) = self.program_mut(side).poll_transmit(now) {
            if self.killed.contains(&side) {
                continue;
            }
            self.stanzas += 1;
            self.note(format_args!("{side:?}/{} sends {} {}", via.0, stanza.id, stanza.body));
            self.network.send(self.now, Seat { side, account: via }, to, stanza);
        }
    }

    fn deliver(&mut self, seat: Seat, delivery: Delivery<L>) {
        if self.killed.contains(&seat.side) {
            return;
        }
        let now = self.instant();
        match delivery {
            Delivery::Stanza { from, stanza } => self.hand_in(seat, &from, stanza),
            Delivery::ServerAck { id } => self.program_mut(seat.side).handle_server_ack(now, &id),
        }
    }

    /// Gives a stanza to a program, whoever sent it.
    pub(crate) fn hand_in(&mut self, seat: Seat, from: &Jid, stanza: Stanza<L>) {
        self.note(format_args!("{:?}/{} gets {} {}", seat.side, seat.account.0, stanza.id, stanza.body));
        let now = self.instant();
        self.program_mut(seat.side).handle_stanza(now, seat.account, from, stanza);
        self.settle();
    }

    // What programs say.

    fn on_event(&mut self, side: Side, event: Event) {
        self.note(format_args!("{side:?} {event:?}"));
        if let Event::Incoming { stream, target } = event {
            return self.on_incoming(side, stream, Flow::number_of(&target));
        }
        let (Event::Connected(stream)
        | Event::Readable(stream)
        | Event::Writable(stream)
        | Event::Closed(stream, _)) = event
        else {
            return;
        };
        if self.ghosts.contains(&(side, stream)) {
            return self.on_ghost_event(side, stream, &event);
        }
        let Some(&flow) = self.streams.get(&(side, stream)) else {
            panic!("{side:?} says something of a stream that nobody has: {event:?}");
        };
        match event {
            Event::Connected(_) => self.on_connected(flow, side),
            Event::Readable(_) => self.read_all(flow, side),
            Event::Writable(_) => self.schedule(self.now, Task::Write(flow, side)),
            Event::Closed(_, reason) => self.on_closed(flow, side, reason),
            Event::Incoming { .. } => {}
        }
    }

    fn on_incoming(&mut self, side: Side, stream: StreamId, flow: usize) {
        if self.flows[flow].app(side).stream.is_some() {
            return self.on_repeated_connect(flow, side, stream);
        }
        self.streams.insert((side, stream), flow);
        let flow = &mut self.flows[flow];
        flow.app_mut(side).stream = Some(stream);
        let (number, at) = (flow.number, self.now + flow.decides_after);
        self.schedule(at, Task::Decide(number, side));
    }

    /// Either a copy that comes after the stream has ended, or the peer's second try.
    fn on_repeated_connect(&mut self, flow: usize, side: Side, stream: StreamId) {
        let now = self.instant();
        if self.held(flow, side.other()).is_some() {
            self.core_mut(side).release(now, stream);
        } else {
            self.ghosts.insert((side, stream));
            self.core_mut(side).accept(now, stream);
        }
    }

    /// Nobody will ever say anything on such a stream, so only its end is of interest.
    fn on_ghost_event(&mut self, side: Side, stream: StreamId, event: &Event) {
        let now = self.instant();
        let ended =
            matches!(event, Event::Readable(_)) && self.core_mut(side).read(now, stream) != Read::Blocked;
        if ended || matches!(event, Event::Closed(..)) {
            self.ghosts.remove(&(side, stream));
            self.core_mut(side).release(now, stream);
        }
    }

    fn on_connected(&mut self, flow: usize, side: Side) {
        self.flows[flow].app_mut(side).connected = true;
        self.schedule(self.now, Task::Write(flow, side));
    }

    fn on_closed(&mut self, flow: usize, side: Side, reason: CloseReason) {
        let now = self.now;
        let app = self.flows[flow].app_mut(side);
        assert!(app.closed.is_none(), "{side:?} closes flow {flow} a second time");
        app.closed = Some((now, reason));
        self.read_all(flow, side);
    }

    // What applications do.

    fn perform(&mut self, task: Task) {
        let dead = match task {
            Task::Start(flow) => self.killed.contains(&self.flows[flow].opener),
            Task::Decide(_, side) | Task::Write(_, side) | Task::Read(_, side) | Task::Release(_, side) => {
                self.killed.contains(&side)
            }
            Task::Fault(_) | Task::Resume(_) | Task::LogIn(_) | Task::Calm => false,
        };
        match task {
            _ if dead => {}
            Task::Start(flow) => self.start(flow),
            Task::Decide(flow, side) => self.decide(flow, side),
            Task::Write(flow, side) => self.write(flow, side),
            Task::Read(flow, side) => self.read_all(flow, side),
            Task::Release(flow, side) => self.release(flow, side, Outcome::Released),
            Task::Fault(fault) => self.strike(fault),
            Task::Resume(seat) => self.resume(seat),
            Task::LogIn(seat) => self.log_in(seat),
            Task::Calm => self.network.calm_down(),
        }
    }

    fn start(&mut self, flow: usize) {
        let now = self.instant();
        let Flow { opener, to, local, remote, .. } = &self.flows[flow];
        let (opener, to, local, remote) = (*opener, to.clone(), local.clone(), remote.clone());
        let accounts: Vec<AccountId> = self.network.seats(opener).iter().map(|seat| seat.account).collect();
        self.note(format_args!("{opener:?} connects flow {flow}"));
        let result = self.program_mut(opener).connect(now, &accounts, to, local, remote);
        let app = self.flows[flow].app_mut(opener);
        match result {
            Ok(stream) => {
                app.stream = Some(stream);
                self.streams.insert((opener, stream), flow);
            }
            Err(reason) => app.outcome = Outcome::Broken(reason),
        }
    }

    /// The stream of an application that has not let go of it.
    fn held(&self, flow: usize, side: Side) -> Option<StreamId> {
        let app = self.flows[flow].app(side);
        app.stream.filter(|_| app.outcome == Outcome::Undecided)
    }

    fn decide(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        let Some(stream) = self.held(flow, side) else { return };
        match self.flows[flow].decision {
            Decision::Accept => {
                self.core_mut(side).accept(now, stream);
                self.on_connected(flow, side);
            }
            Decision::Refuse => {
                self.core_mut(side).release(now, stream);
                self.let_go(flow, side, Outcome::Released);
            }
            Decision::Never => {}
        }
    }

    fn write(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        let Some(stream) = self.held(flow, side).filter(|_| self.flows[flow].app(side).connected) else {
            return;
        };
        let piece = self.flows[flow].next_piece(side);
        if !piece.is_empty() && !self.flows[flow].app(side).finished {
            let Ok(taken) = self.core_mut(side).write(now, stream, &piece) else {
                return self.end_if_nobody_listens(flow, side);
            };
            let app = self.flows[flow].app_mut(side);
            app.written += taken as u64;
            let again = self.now + app.script.pace;
            if taken == piece.len() {
                self.schedule(again, Task::Write(flow, side));
            }
        }
        self.finish_if_done(flow, side);
    }

    /// The peer has said all that it had to say, and will not read what is still to be said.
    fn end_if_nobody_listens(&mut self, flow: usize, side: Side) {
        if self.flows[flow].app(side).saw_end {
            self.release_stream(flow, side);
            self.let_go(flow, side, Outcome::Ended);
        }
    }

    fn finish_if_done(&mut self, flow: usize, side: Side) {
        let Some(stream) = self.held(flow, side) else { return };
        let (app, peer) = (self.flows[flow].app(side), self.flows[flow].app(side.other()));
        let written = app.written == app.script.total;
        let done = match app.script.end {
            _ if app.saw_end => written,
            End::Never => false,
            End::Written => written,
            End::AllDone => written && app.read == peer.script.total,
        };
        if done && app.connected && !app.finished {
            self.note(format_args!("{side:?} finishes flow {flow}"));
            self.flows[flow].app_mut(side).finished = true;
            let now = self.instant();
            self.core_mut(side).finish(now, stream);
            if self.flows[flow].app(side).saw_end {
                self.release_stream(flow, side);
                self.let_go(flow, side, Outcome::Ended);
            }
        }
    }

    fn read_all(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        if !self.flows[flow].app(side).is_reading(self.now) {
            return;
        }
        while let Some(stream) = self.held(flow, side) {
            let read = self.core_mut(side).read(now, stream);
            let half_closes = self.program(side).half_closes();
            self.flows[flow].check_read(side, &read, half_closes);
            let app = self.flows[flow].app(side);
            let saw_end = app.saw_end;
            if app.script.reads_first > 0 && app.read >= app.script.reads_first && app.written == 0 {
                self.schedule(self.now, Task::Write(flow, side));
            }
            if read == Read::Blocked || saw_end {
                break;
            }
        }
        let app = self.flows[flow].app(side);
        match app.outcome {
            Outcome::Undecided if app.closed.is_some() => self.end_if_nobody_listens(flow, side),
            Outcome::Undecided => self.finish_if_done(flow, side),
            Outcome::Ended | Outcome::Broken(_) => self.release_stream(flow, side),
            Outcome::Released => {}
        }
    }

    fn release(&mut self, flow: usize, side: Side, outcome: Outcome) {
        if self.held(flow, side).is_some() {
            self.release_stream(flow, side);
            self.let_go(flow, side, outcome);
        }
    }

    fn release_stream(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        if let Some(stream) = self.flows[flow].app(side).stream
            && self.streams.remove(&(side, stream)).is_some()
        {
            self.note(format_args!("{side:?} lets go of flow {flow}"));
            self.flows[flow].app_mut(side).finished = true;
            self.core_mut(side).release(now, stream);
        }
    }

    fn let_go(&mut self, flow: usize, side: Side, outcome: Outcome) {
        let app = self.flows[flow].app_mut(side);
        app.outcome = outcome;
        if let Some(stream) = app.stream {
            self.streams.remove(&(side, stream));
        }
    }

    // What goes wrong, and right again.

    pub(crate) fn strike(&mut self, fault: Fault) {
        self.note(format_args!("fault: {fault:?}"));
        match fault {
            Fault::Suspend(seat, duration) => self.interrupt(seat, duration, true),
            Fault::Reset(seat, duration) => self.interrupt(seat, duration, false),
            Fault::Gone(seat) => {
                self.gone.insert(seat);
                self.network.drop_account(self.now, seat);
                self.tell(seat, AccountChange::Gone);
            }
            Fault::Restart(duration) => {
                self.network.restart();
                for (n, seat) in self.all_seats().into_iter().enumerate() {
                    self.tell(seat, AccountChange::Suspended);
                    self.schedule(
                        self.now + duration + Duration::from_millis(137) * n as u32,
                        Task::LogIn(seat),
                    );
                }
            }
            Fault::Kill(side) => {
                self.killed.insert(side);
                for seat in self.network.seats(side) {
                    self.network.suspend(self.now, seat);
                }
            }
        }
        self.settle();
    }

    fn all_seats(&self) -> Vec<Seat> {
        Side::BOTH.into_iter().flat_map(|side| self.network.seats(side)).collect()
    }

    fn interrupt(&mut self, seat: Seat, duration: Duration, resumes: bool) {
        if !self.network.is_online(seat) {
            return;
        }
        let back = if resumes {
            self.network.suspend(self.now, seat);
            Task::Resume(seat)
        } else {
            self.network.drop_account(self.now, seat);
            Task::LogIn(seat)
        };
        self.tell(seat, AccountChange::Suspended);
        self.schedule(self.now + duration, back);
    }

    fn tell(&mut self, seat: Seat, change: AccountChange) {
        if !self.killed.contains(&seat.side) {
            let now = self.instant();
            self.note(format_args!("{:?}/{} is told {change:?}", seat.side, seat.account.0));
            self.program_mut(seat.side).handle_account(now, seat.account, change);
        }
    }

    fn resume(&mut self, seat: Seat) {
        // A restart of the server or the loss of the account may have come in between.
        if !self.killed.contains(&seat.side) && self.network.is_suspended(seat) {
            self.network.resume(self.now, seat);
            self.tell(seat, AccountChange::Online { jid: self.network.jid(seat).clone(), resumed: true });
        }
    }

    pub(crate) fn log_in(&mut self, seat: Seat) {
        if !self.killed.contains(&seat.side) && !self.gone.contains(&seat) && !self.network.is_online(seat) {
            self.network.log_in(self.now, seat);
            self.tell(seat, AccountChange::Online { jid: self.network.jid(seat).clone(), resumed: false });
            self.settle();
        }
    }

    /// The program on one side is started again, with the same accounts, and remembers nothing.
    pub(crate) fn restart_program(&mut self, side: Side) {
        self.note(format_args!("{side:?} is started again"));
        self.programs[side as usize] = (self.make)(side);
        self.streams.retain(|(other, _), _| *other != side);
        for flow in &mut self.flows {
            flow.app_mut(side).outcome = Outcome::Released;
        }
        for seat in self.network.seats(side) {
            self.network.drop_account(self.now, seat);
            self.log_in(seat);
        }
    }

    // What must be true in the end.

    /// No stream, no timer and nothing under way is left.
    pub(crate) fn assert_nothing_left(&self) {
        for side in Side::BOTH.into_iter().filter(|side| !self.killed.contains(side)) {
            assert_eq!(self.program(side).core().stream_count(), 0, "streams are left at {side:?}");
            assert_eq!(self.program(side).core().buffered(), 0, "bytes are left at {side:?}");
            assert_eq!(self.next_timeout(side), None, "a timer is left at {side:?}");
        }
        assert_eq!(self.network.next_time(), None, "somebody still sends");
        assert!(self.ghosts.is_empty());
    }

    /// Panics unless everything that was written was read, in both directions, and the end was seen.
    pub(crate) fn assert_intact(&self, flow: usize) {
        let [left, right] = Side::BOTH.map(|side| self.flows[flow].app(side));
        assert!(self.flows[flow].is_intact(), "flow {flow} is not intact:\n{left:?}\n{right:?}");
        for app in [left, right] {
            assert!(matches!(app.outcome, Outcome::Ended | Outcome::Released), "flow {flow}: {app:?}");
        }
    }
}

/// Prints what happened when a run fails.
pub(crate) struct LogOnPanic<L: Letter>(pub(crate) World<L>);

impl<L: Letter> Drop for LogOnPanic<L> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.0.log().is_empty() {
            eprintln!("{}", self.0.log());
        }
    }
}

fn jid_of(side: Side, account: u64, one_bare_jid: bool) -> FullJid {
    let name = if side == Side::Left { "left" } else { "right" };
    let text =
        if one_bare_jid { format!("{name}@x/r{account}") } else { format!("{name}{account}@x/r{account}") };
    FullJid::new(&text).expect("a JID")
}

/// A stretch of time.
pub(crate) fn seconds(range: Range<u64>) -> Range<Time> {
    Time::from_secs(range.start)..Time::from_secs(range.end)
}
