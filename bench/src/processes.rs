//! Processes of one bridge behind one domain of ejabberd: what several carry together, and where the wall is.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::process::Spawn;
use hexchat_lab::{COMPONENT_SECRET, ChatServer, Kind, Process, Rate, Rules};
use tempfile::TempDir;

use crate::footprint::Footprint;
use crate::ours::{entrance, write_private};
use crate::target::{self, Download};
use crate::{PATIENCE, say};

const DOMAIN: &str = "bridge.chat.example";

/// How many processes there are, one after the other.
const COUNTS: [u32; 3] = [1, 2, 4];

/// 8 clients, of which ejabberd gives each to one of the processes by its name: with fewer, one of four could have none.
const CLIENTS: usize = 8;

/// Until windows and sizes of blocks have settled, and the first streams are there: 6 seconds.
const WARM_UP: Duration = Duration::from_secs(6);

/// Who takes time of a processor.
const WHO: [&str; 4] = ["ejabberd", "bridge", "clients", "bench"];

/// A bridge of several processes, and its clients.
struct Stage {
    // Before the folder, so that they have ended when their files go.
    clients: Vec<(Process, SocketAddr)>,
    bridge: Vec<Process>,
    server: ChatServer,
    _folder: TempDir,
}

/// Of a transfer.
struct Carried {
    megabytes: f64,
    seconds: f64,
    /// Seconds of a processor, by [`WHO`].
    cpu: [f64; WHO.len()],
    /// Of the processes of the bridge, each in seconds of a processor.
    each: Vec<f64>,
}

/// Has all clients fetch at the same time for so many `seconds`, and prints the sum, and what of the processors each had.
pub(crate) fn run(executable: &Path, seconds: &str) -> Result<()> {
    let time = Duration::from_secs(seconds.parse().context("the number of seconds")?);
    let target = target::start()?;
    println!("{CLIENTS} clients, {} cores", thread::available_parallelism()?);
    let mut first = None;
    for count in COUNTS {
        say(&format!("{count} processes"));
        let carried = Stage::start(executable, target, count)?.carry(time)?;
        let rate = carried.megabytes / carried.seconds;
        carried.tell(count, rate / *first.get_or_insert(rate));
    }
    Ok(())
}

impl Stage {
    fn start(executable: &Path, target: SocketAddr, count: u32) -> Result<Self> {
        let names: Vec<_> = (0..CLIENTS).map(|n| format!("client{n}")).collect();
        let users: Vec<_> = names.iter().map(String::as_str).collect();
        let rules = Rules { component: Some((DOMAIN, count)), ..Rules::default() };
        let server = ChatServer::start_with(Kind::Ejabberd, Rate::Unlimited, &users, rules)?;
        let folder = tempfile::Builder::new().prefix("hexchat-bench-").tempdir()?;
        let half = |half: &str, name: &str, config: &str| {
            let file = write_private(&folder.path().join(format!("{name}.toml")), config)?;
            let spawn = Spawn::new(name, executable).arg(half).arg("--config").arg(file);
            anyhow::Ok(spawn.arg("--state").arg(folder.path().join(name)))
        };
        let component = format!(
            "[component]\ndomain = \"{DOMAIN}\"\nsecret = \"{COMPONENT_SECRET}\"\nserver = \"{}\"\n",
            server.component_address()
        );
        let state_of = |n| folder.path().join(format!("bridge{n}"));
        let mut bridge = Vec::new();
        for n in 0..count {
            if n > 0 {
                fs::create_dir(state_of(n))?;
                let [from, to] = [0, n].map(|n| state_of(n).join("hexchat_state.json"));
                fs::copy(from, to)?;
            }
            let spawn = half("serve", &format!("bridge{n}"), &component)?;
            let process = spawn.args(["--secure", "--allow", &target.to_string()]).start()?;
            process.wait_for_line(|line| line.starts_with("READY "), PATIENCE)?;
            bridge.push(process);
        }
        let line = state_of(0).join("hexchat_bridgeline.txt");
        let start_client = |user: &str| {
            let spawn = half("forward", user, &server.account_section(user, server.address()))?;
            let process = spawn
                .args(["--listen", "127.0.0.1:0", "--target", &target.to_string(), "--bridge-line-file"])
                .arg(&line)
                .start()?;
            let entrance = entrance(&process)?;
            anyhow::Ok((process, entrance))
        };
        let clients = users.iter().map(|user| start_client(user)).collect::<Result<_>>()?;
        Ok(Self { clients, bridge, server, _folder: folder })
    }

    fn carry(&self, time: Duration) -> Result<Carried> {
        let (received, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let fetches: Vec<_> = self
                .clients
                .iter()
                .map(|(_, entrance)| scope.spawn(|| fetch(*entrance, &received, &is_over)))
                .collect();
            thread::sleep(WARM_UP);
            let carried = self.look_for(time, &received);
            is_over.store(true, Ordering::Relaxed);
            for fetch in fetches {
                ensure!(fetch.join().is_ok_and(|fetched| fetched.is_ok()), "a client fetched nothing");
            }
            carried
        })
    }

    fn look_for(&self, time: Duration, received: &AtomicU64) -> Result<Carried> {
        let (before, started) = (self.look()?, Instant::now());
        let first = received.load(Ordering::Relaxed);
        thread::sleep(time);
        let megabytes = (received.load(Ordering::Relaxed) - first) as f64 / 1e6;
        let (after, seconds) = (self.look()?, started.elapsed().as_secs_f64());
        let cpu = std::array::from_fn(|n| after.0[n] - before.0[n]);
        let each = after.1.iter().zip(before.1).map(|(after, before)| after - before).collect();
        Ok(Carried { megabytes, seconds, cpu, each })
    }

    /// Time of processors so far: by [`WHO`], and of each process of the bridge.
    fn look(&self) -> Result<([f64; WHO.len()], Vec<f64>)> {
        let cpu = |pid| anyhow::Ok(Footprint::of_pid(pid)?.cpu);
        let all = |pids: Vec<u32>| pids.into_iter().map(cpu).collect::<Result<Vec<_>>>();
        let bridge = all(self.bridge.iter().map(Process::pid).collect())?;
        let clients = all(self.clients.iter().map(|(client, _)| client.pid()).collect())?;
        let server = cpu(self.server.pid().context("the server has ended")?)?;
        let ours = cpu(std::process::id())?;
        Ok(([server, bridge.iter().sum(), clients.iter().sum(), ours], bridge))
    }
}

fn fetch(entrance: SocketAddr, received: &AtomicU64, is_over: &AtomicBool) -> Result<()> {
    let mut download = Download::start(entrance, u64::MAX)?;
    let mut before = 0;
    while !is_over.load(Ordering::Relaxed) {
        let now = download.more()?.context("the download ended")?;
        received.fetch_add(now - before, Ordering::Relaxed);
        before = now;
    }
    Ok(())
}

impl Carried {
    fn tell(&self, count: u32, factor: f64) {
        let rate = self.megabytes / self.seconds;
        println!("{count} processes: {rate:.1} MB/s in all, {factor:.2} times what one carries");
        for (who, cpu) in WHO.iter().zip(self.cpu) {
            println!(
                "    {who:<9} {:5.1} % {:8.1} µs/MB",
                cpu / self.seconds * 100.0,
                cpu / self.megabytes * 1e6
            );
        }
        let each: Vec<_> =
            self.each.iter().map(|cpu| format!("{:.0} %", cpu / self.seconds * 100.0)).collect();
        println!("    the processes of the bridge: {}", each.join(", "));
    }
}
