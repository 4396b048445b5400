//! Siege: a bridge, genuine clients and an attack together, and the figures before and meanwhile.

use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hexchat_lab::{ChatServer, Kind, Rate};
use hexchat_pt::protocol::Address;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::deeds::{Deed, Deeds};
use crate::genuine::{Figures, Genuine, Upload};
use crate::harness::{Half, PATIENCE};
use crate::intruder::{Intruder, Line};
use crate::target::Target;

/// The users of hostile clients, at a domain of their own.
pub(crate) const INTRUDERS: [&str; 10] = [
    "eve0@crowd.example",
    "eve1@crowd.example",
    "eve2@crowd.example",
    "eve3@crowd.example",
    "eve4@crowd.example",
    "eve5@crowd.example",
    "eve6@crowd.example",
    "eve7@crowd.example",
    "eve8@crowd.example",
    "eve9@crowd.example",
];
/// How many accounts there are for attacks that take many.
const CROWD: usize = 40;
/// The user of the bridge.
const BRIDGE: &str = "bob";
/// The user of the client that is there before the attack.
const VICTIM: &str = "alice";
/// The users of those that come while it goes on: at the attackers' domain, at the bridge's, and elsewhere.
const NEWCOMERS: [&str; 3] = ["alice2@crowd.example", "alice3", "alice4@quiet.example"];

/// How much all sessions together may keep in these tests, in bytes: small, so that it is full within a second.
const QUEUE_TOTAL: usize = 8 << 20;

/// How many sessions there may be at once in these tests.
pub(crate) const MAX_SESSIONS: usize = 40;

/// What the kernel may count beyond the budget, in bytes: what allocators hold back, buffers of sockets' tasks, the parser.
const BESIDE: usize = 8 << 20;

/// What a stream costs that is connected and of which little comes, in bytes: its socket, its task, and the first page of its buffer.
const CONNECTED: usize = 8 << 10;

/// The soft limit of descriptors that a process usually starts with.
const DESCRIPTORS: u64 = 1024;

/// How much of its idle rate a genuine client keeps: half, ...
const RATE_KEPT: f64 = 0.5;
/// ... or a little less where figures are taken over seconds, on a machine that does other things as well.
const RATE_KEPT_FOR_SECONDS: f64 = 0.4;
/// What is longer is not just seconds.
const SECONDS: Duration = Duration::from_secs(60);

/// How many times as long an echo may take, ...
const LATENCY_FACTOR: u32 = 4;
/// ... and how much longer half of them and nine in ten may take because everything shares this machine.
const LATENCY_MARGINS: [(f64, Duration); 2] =
    [(0.5, Duration::from_millis(100)), (0.9, Duration::from_secs(1))];

/// How much is uploaded to where nobody reads it, in bytes: more than the client, the bridge and the kernel keep on the way. The
/// kernel alone keeps up to 20 MiB between the application and the client, whose window grows while the client reads fast.
const UPLOAD: usize = 48 << 20;

/// How long an attack may take until it is as bad as it gets.
const PREPARATION: Duration = Duration::from_secs(90);

/// Only one at a time: each measures what the machine can do.
static TURN: Mutex<()> = Mutex::new(());

/// The users of the attacks that take many.
pub(crate) fn crowd() -> Vec<String> {
    (0..CROWD).map(|number| format!("mallory{number}@crowd.example")).collect()
}

/// How a siege differs from others.
pub(crate) struct Plan {
    /// How fast accounts may send.
    pub(crate) rate: Rate,
    /// Whether the genuine client has an upload that the target does not read yet.
    pub(crate) has_upload: bool,
    /// How many connected streams the attacker is allowed, each with its cost beside the budget.
    pub(crate) streams: usize,
    /// For how long figures are taken, before and during the attack.
    pub(crate) time: Duration,
}

impl Plan {
    /// Over a server that slows nobody down.
    pub(crate) fn unlimited() -> Self {
        Self { rate: Rate::Unlimited, has_upload: false, streams: 0, time: Duration::from_secs(3) }
    }

    /// Over a server that reads 10 kB/s from each account, and from those of attackers what they send.
    pub(crate) fn shaped() -> Self {
        Self { rate: Rate::StockBut(&INTRUDERS), has_upload: false, streams: 0, time: Duration::from_secs(8) }
    }

    fn attack_time(&self) -> Duration {
        let seconds = std::env::var("HEXCHAT_SIEGE_SECONDS").ok();
        seconds.map_or(self.time, |seconds| Duration::from_secs(seconds.parse().expect("seconds")))
    }
}

/// What an attack has at hand.
#[derive(Clone)]
pub(crate) struct Camp {
    server: Arc<ChatServer>,
    line: Line,
    /// What streams may lead to.
    pub(crate) target: Address,
    in_position: mpsc::Sender<()>,
    is_over: watch::Receiver<bool>,
}

impl Camp {
    /// A hostile client that is logged in.
    pub(crate) async fn intruder(&self, user: &str) -> Intruder {
        self.intruder_at(user, "").await
    }

    /// The same, with this resource.
    pub(crate) async fn intruder_at(&self, user: &str, resource: &str) -> Intruder {
        Intruder::log_in(&self.server, user, resource, &self.line).await
    }

    /// The attack is as bad as it gets.
    pub(crate) fn take_position(&self) {
        // Nobody listens any more when it does so again.
        let _ = self.in_position.send(());
    }

    /// Whether the attack has to stop.
    pub(crate) fn is_over(&self) -> bool {
        *self.is_over.borrow()
    }
}

/// What became of everybody.
pub(crate) struct Report {
    /// For how long figures were taken during the attack.
    time: Duration,
    /// By how much the bridge's memory may grow, in bytes.
    bound: usize,
    idle: Figures,
    attacked: Figures,
    /// By how much the most memory that the bridge ever had grew by the attack, in bytes.
    grown: usize,
    /// How long each of the new clients took to get in, if it did.
    newcomers: [Option<Duration>; NEWCOMERS.len()],
    /// Whether the upload arrived, if there was one.
    upload: Option<bool>,
    /// What the attackers did.
    deeds: Deeds,
}

impl Report {
    /// How often the attackers did this.
    pub(crate) fn count(&self, deed: Deed) -> usize {
        self.deeds.count(deed)
    }

    /// For how many whole minutes the attack went on.
    pub(crate) fn minutes(&self) -> usize {
        usize::try_from(self.time.as_secs() / 60).unwrap()
    }

    /// The attack was one: attackers did each of these so often.
    pub(crate) fn assert_took_hold(&self, least: &[(Deed, usize)]) {
        let short: Vec<_> = least.iter().filter(|(deed, least)| self.count(*deed) < *least).collect();
        assert!(short.is_empty(), "the attack took no hold: not {short:?}\n{self}");
    }

    /// Genuine clients hardly notice, new ones get in, and the bridge's memory stays within its bound.
    pub(crate) fn assert_held(&self) {
        let (idle, attacked) = (&self.idle, &self.attacked);
        let mut broken = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                broken.push(what.to_owned());
            }
        };
        let kept = if self.time < SECONDS { RATE_KEPT_FOR_SECONDS } else { RATE_KEPT };
        must(attacked.rate() >= kept * idle.rate(), "the rate fell below half");
        for (share, margin) in LATENCY_MARGINS {
            let most = LATENCY_FACTOR * idle.latency(share) + margin;
            must(attacked.latency(share) <= most, &format!("latency ({share}) grew to more than {most:?}"));
        }
        must(self.grown <= self.bound, "memory grew beyond the budget");
        must(self.newcomers.iter().all(Option::is_some), "new clients did not get in");
        must(self.upload != Some(false), "the upload did not arrive");
        assert!(broken.is_empty(), "{}\n{self}", broken.join("\n"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (idle, attacked) = (&self.idle, &self.attacked);
        let milliseconds = |figures: &Figures, share| figures.latency(share).as_secs_f64() * 1e3;
        write!(
            f,
            "rate {:.1} -> {:.1} kB/s, echo {:.0} -> {:.0} ms (p90 {:.0} -> {:.0}), memory +{:.1} MB, new clients",
            idle.rate() / 1e3,
            attacked.rate() / 1e3,
            milliseconds(idle, 0.5),
            milliseconds(attacked, 0.5),
            milliseconds(idle, 0.9),
            milliseconds(attacked, 0.9),
            self.grown as f64 / 1e6,
        )?;
        for (user, newcomer) in NEWCOMERS.iter().zip(&self.newcomers) {
            match newcomer {
                Some(time) => write!(f, " {user} {:.1} s", time.as_secs_f64())?,
                None => write!(f, " {user} shut out")?,
            }
        }
        match self.upload {
            Some(true) => write!(f, ", the upload arrived")?,
            Some(false) => write!(f, ", the upload was lost")?,
            None => {}
        }
        write!(f, "; attackers: {}", self.deeds)
    }
}

/// Runs a siege, and prints a line of figures under `name`.
pub(crate) fn besiege<F: Future<Output = Deeds>>(
    name: &str,
    plan: &Plan,
    attack: impl FnOnce(Camp) -> F + Send + 'static,
) -> Report {
    let _turn = take_turn();
    raise_descriptors();
    let runtime = Runtime::new().unwrap();
    let mut ground = Ground::prepare(&runtime, plan.rate);
    let victim = ground.genuine(VICTIM);
    assert!(victim.gets_in().is_some(), "nothing works even without an attack: {:?}", victim.log());
    let idle = victim.measure(plan.time);
    let upload = plan.has_upload.then(|| victim.upload(UPLOAD));
    let before = ground.peak_memory();
    let attacking = ground.begin(&runtime, attack);
    let attacked = victim.measure(plan.attack_time());
    let newcomers = NEWCOMERS.map(|user| ground.genuine(user).gets_in());
    let grown = ground.peak_memory().saturating_sub(before);
    ground.target.read_uploads();
    let upload = upload.map(Upload::arrives);
    let mut deeds = attacking.stop();
    deeds.add(Deed::Connection, ground.target.most_at_once());
    let bound = QUEUE_TOTAL + BESIDE + plan.streams * CONNECTED;
    let report = Report { time: plan.attack_time(), bound, idle, attacked, grown, newcomers, upload, deeds };
    println!("{name}: {report}");
    report
}

/// An attack that goes on.
struct Attacking {
    thread: JoinHandle<Deeds>,
    stop: watch::Sender<bool>,
}

impl Attacking {
    fn stop(self) -> Deeds {
        self.stop.send_replace(true);
        self.thread.join().unwrap()
    }
}

/// What an attack goes against.
struct Ground {
    bridge: Half,
    target: Target,
    line_file: String,
    server: Arc<ChatServer>,
    _state: TempDir,
}

impl Ground {
    fn prepare(runtime: &Runtime, rate: Rate) -> Self {
        let crowd = crowd();
        let crowd: Vec<_> = crowd.iter().map(String::as_str).collect();
        let users = [&[BRIDGE, VICTIM], &NEWCOMERS[..], &INTRUDERS[..], &crowd].concat();
        let server = ChatServer::start(Kind::Prosody, rate, &users).unwrap();
        let target = runtime.block_on(Target::start());
        let state = tempfile::Builder::new().prefix("hexchat-bridge-").tempdir().unwrap();
        let limits = format!(
            "[limits]\nqueue_total = {QUEUE_TOTAL}\nqueue_per_session = {}\nqueue_per_stream = {}\n\
             max_sessions = {MAX_SESSIONS}\nhandshakes_per_minute_per_jid = 120\nhandshakes_per_minute = 6000\n",
            QUEUE_TOTAL / 8,
            // A stream that is stuck leaves the others of its session credit.
            QUEUE_TOTAL / 16,
        );
        let config = server.account_section(BRIDGE, server.address()) + &limits;
        let allowed = target.address().to_string();
        let args = ["--secure", "--allow", &allowed];
        let bridge = with_descriptors(DESCRIPTORS, || Half::start_at(state.path(), "serve", &config, &args));
        bridge.says("READY ", PATIENCE);
        let line_file = state.path().join("hexchat_bridgeline.txt").to_str().unwrap().to_owned();
        Self { bridge, target, line_file, server: Arc::new(server), _state: state }
    }

    fn genuine(&self, user: &str) -> Genuine {
        let config = self.server.account_section(user, self.server.address());
        Genuine::start(&config, &self.line_file, self.target.address())
    }

    /// Begins an attack, and waits until it is as bad as it gets.
    fn begin<F: Future<Output = Deeds>>(
        &self,
        runtime: &Runtime,
        attack: impl FnOnce(Camp) -> F + Send + 'static,
    ) -> Attacking {
        let (stop, is_over) = watch::channel(false);
        let (in_position, position) = mpsc::channel();
        let camp = Camp {
            server: Arc::clone(&self.server),
            line: Line::read(&fs::read_to_string(&self.line_file).unwrap()),
            target: self.target.address().into(),
            in_position,
            is_over,
        };
        let handle = runtime.handle().clone();
        let thread = thread::spawn(move || handle.block_on(attack(camp)));
        position.recv_timeout(PREPARATION).expect("an attack that takes hold and goes on");
        Attacking { thread, stop }
    }

    /// The most memory that the bridge has had so far, in bytes (proc(5)).
    fn peak_memory(&mut self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.bridge.process().pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

fn take_turn() -> MutexGuard<'static, ()> {
    // One that failed does not stop the others.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// We are attackers and target in one process.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// Runs `start` while so many descriptors are the soft limit, which children inherit.
fn with_descriptors<T>(limit: u64, start: impl FnOnce() -> T) -> T {
    let ours = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..ours }).unwrap();
    let started = start();
    setrlimit(Resource::Nofile, ours).unwrap();
    started
}
