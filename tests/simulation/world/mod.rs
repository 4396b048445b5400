//! World of a simulation: two programs, the network between them, the applications on top, and the clock.

mod applications;
mod faults;
mod programs;
mod repeats;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use hexchat_pt::protocol::{Core, StreamId};
use xmpp_parsers::jid::{FullJid, Jid};

pub(crate) use self::faults::Fault;
use crate::flow::{App, Decision, End, Flow, Outcome, Script};
use crate::network::{Conditions, Letter, Network, Seat, Side, Time};
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
    /// Of either side's accounts.
    pub(crate) domains: [&'static str; 2],
    pub(crate) conditions: Conditions,
    pub(crate) keep_log: bool,
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
    /// A server that was asked for a sign of life had its time.
    GiveUp(Seat),
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
    /// Streams beside the one that an application goes on with, and their flows.
    spares: BTreeMap<(Side, StreamId), usize>,
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
        let Stage { seed, accounts, one_bare_jid, domains, conditions, keep_log } = stage;
        let mut network = Network::new(Rng::new(seed).fork(), conditions);
        for (side, count) in Side::BOTH.into_iter().zip(accounts) {
            for account in 0..count {
                let jid = jid_of(side, account, one_bare_jid, domains[side as usize]);
                network.add_account(Seat::new(side, account), jid);
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
            spares: BTreeMap::new(),
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
        self.program(side).poll_timeout().filter(|_| alive).map(|at| at.saturating_duration_since(self.start))
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
                self.program_mut(side).handle_timeout(now);
                self.settle();
            }
        }
    }

    fn perform(&mut self, task: Task) {
        let dead = match task {
            Task::Start(flow) => self.killed.contains(&self.flows[flow].opener),
            Task::Decide(_, side) | Task::Write(_, side) | Task::Read(_, side) | Task::Release(_, side) => {
                self.killed.contains(&side)
            }
            Task::Fault(_) | Task::Resume(_) | Task::LogIn(_) | Task::GiveUp(_) | Task::Calm => false,
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
            Task::GiveUp(seat) => self.give_up(seat),
            Task::Calm => self.network.calm_down(),
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

fn jid_of(side: Side, account: u64, one_bare_jid: bool, domain: &str) -> FullJid {
    let name = if side == Side::Left { "left" } else { "right" };
    let number = if one_bare_jid { String::new() } else { account.to_string() };
    FullJid::new(&format!("{name}{number}@{domain}/r{account}")).expect("a JID")
}

/// A stretch of time.
pub(crate) fn seconds(range: Range<u64>) -> Range<Time> {
    Time::from_secs(range.start)..Time::from_secs(range.end)
}
