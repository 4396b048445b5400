//! A private Tor network, and a bridge and a client behind a pluggable transport.
//!
//! Three directory authorities that are also exits, with voting times as short as tor allows. It is up in seven or eight
//! seconds: about two for the keys and five for the first consensus. A bridge that starts before there is a consensus, or
//! a client that starts before its bridge is ready, would sit in a retry back-off; so they are started in turn.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::control::Control;
use crate::ports::{free_port, loopback};
use crate::process::{Process, Spawn};

const AUTHORITIES: usize = 3;
/// tor's minima, in seconds.
const VOTING_INTERVAL: u64 = 5;
const VOTE_DELAY: u64 = 2;
const DIST_DELAY: u64 = 2;
/// From the start of the authorities to their first vote, in seconds.
const LEAD: u64 = 2;

const CONSENSUS_PATIENCE: Duration = Duration::from_secs(60);
const BRIDGE_PATIENCE: Duration = Duration::from_secs(120);

/// The authorities of a private Tor network.
#[derive(Debug)]
pub struct TorNetwork {
    // Before the folder, so that they have ended when their files go.
    authorities: Vec<Process>,
    folder: TempDir,
    v3_identities: Vec<String>,
    /// What everyone in this network has in its torrc.
    common: String,
}

/// A bridge, or a client.
#[derive(Debug)]
pub struct Tor {
    process: Process,
    folder: TempDir,
    ports: Ports,
}

/// Where a bridge or a client listens. A bridge has no SOCKS port, a client no ORPort: theirs are only reserved.
#[derive(Clone, Copy, Debug)]
struct Ports {
    or: u16,
    socks: u16,
    control: u16,
}

/// Keys and ports of an authority that is not running yet.
struct Authority {
    folder: PathBuf,
    or_port: u16,
    dir_port: u16,
    v3_identity: String,
    fingerprint: String,
}

impl TorNetwork {
    /// Starts one and waits for its first complete consensus.
    ///
    /// # Errors
    ///
    /// When Debian's package tor is missing, or the authorities do not agree in time.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tornet-").tempdir().context("making a folder")?;
        let authorities = make_authorities(folder.path())?;
        let common = common_torrc(&authorities);
        let offset = voting_offset()?;
        let processes = authorities
            .iter()
            .map(|authority| authority.start(&common, offset))
            .collect::<Result<Vec<_>>>()?;
        let v3_identities = authorities.iter().map(|authority| authority.v3_identity.clone()).collect();
        let mut network = Self { authorities: processes, folder, v3_identities, common };
        network.wait_for_consensus(&authorities)?;
        Ok(network)
    }

    fn wait_for_consensus(&mut self, authorities: &[Authority]) -> Result<()> {
        let deadline = Instant::now() + CONSENSUS_PATIENCE;
        for (authority, process) in authorities.iter().zip(&mut self.authorities) {
            while relays_in_consensus(&authority.folder) < AUTHORITIES {
                if !process.is_running() {
                    bail!("an authority has ended:\n{}", process.lines().join("\n"));
                }
                if Instant::now() > deadline {
                    bail!("the authorities did not agree in time:\n{}", process.lines().join("\n"));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// Starts a bridge and waits until it is ready. `torrc` names its transport.
    ///
    /// # Errors
    ///
    /// When it does not get ready, with its log.
    pub fn bridge(&self, torrc: &str) -> Result<Tor> {
        let ports = Ports::reserve()?;
        let torrc = format!(
            "BridgeRelay 1\nNickname bridge\nORPort 127.0.0.1:{}\nAssumeReachable 1\nBridgeDistribution none\n\
             PublishServerDescriptor 0\nExitRelay 0\nSocksPort 0\n{torrc}\n",
            ports.or
        );
        let bridge = Tor::start("bridge", &self.common, &torrc, ports)?;
        let ready = bridge.process.wait_for_line(|line| line.contains("Bootstrapped 100%"), BRIDGE_PATIENCE);
        ready.context("the bridge did not get ready")?;
        Ok(bridge)
    }

    /// Starts a client. `torrc` names its bridges and their transport.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn client(&self, torrc: &str) -> Result<Tor> {
        let ports = Ports::reserve()?;
        let torrc = format!("UseBridges 1\nSocksPort 127.0.0.1:{}\n{torrc}\n", ports.socks);
        Tor::start("client", &self.common, &torrc, ports)
    }

    /// The keys by which its authorities sign, in hexadecimal: by them a client knows its network.
    pub fn v3_identities(&self) -> &[String] {
        &self.v3_identities
    }

    /// The folder of the network.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn make_authorities(folder: &Path) -> Result<Vec<Authority>> {
    // Making keys is most of the work: side by side.
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AUTHORITIES)
            .map(|n| scope.spawn(move || Authority::make(&folder.join(format!("authority{n}")))))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("making an authority's keys panicked")))
            .collect()
    })
}

/// When votes begin, in seconds of each interval, so that the first one is not far away.
fn voting_offset() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok((now + LEAD + VOTE_DELAY + DIST_DELAY) % VOTING_INTERVAL)
}

fn common_torrc(authorities: &[Authority]) -> String {
    let mut torrc = String::from(
        "TestingTorNetwork 1\nRunAsDaemon 0\nLog notice stdout\nSafeLogging 0\nAddress 127.0.0.1\n\
         AssumeReachable 1\nPathsNeededToBuildCircuits 0.25\n",
    );
    for (n, authority) in authorities.iter().enumerate() {
        let Authority { or_port, dir_port, v3_identity, fingerprint, .. } = authority;
        torrc += &format!(
            "DirAuthority authority{n} orport={or_port} no-v2 v3ident={v3_identity} 127.0.0.1:{dir_port} {fingerprint}\n"
        );
    }
    torrc
}

impl Authority {
    fn make(folder: &Path) -> Result<Self> {
        let keys = folder.join("keys");
        make_private_folder(&keys)?;
        let (or_port, dir_port) = (free_port()?, free_port()?);
        let output =
            make_v3_keys(&keys, dir_port).context("starting tor-gencert: install Debian's package tor")?;
        ensure!(output.status.success(), "tor-gencert: {}", String::from_utf8_lossy(&output.stderr));
        let certificate = fs::read_to_string(keys.join("authority_certificate"))?;
        let v3_identity = certificate
            .lines()
            .find_map(|line| line.strip_prefix("fingerprint "))
            .context("the authority's certificate has no fingerprint")?
            .to_owned();
        let fingerprint = make_fingerprint(folder)?;
        Ok(Self { folder: folder.to_owned(), or_port, dir_port, v3_identity, fingerprint })
    }

    fn start(&self, common: &str, offset: u64) -> Result<Process> {
        let torrc = format!(
            "{common}DataDirectory {folder}\nNickname {name}\nORPort 127.0.0.1:{or_port}\nDirPort 127.0.0.1:{dir_port}\n\
             SocksPort 0\nExitRelay 1\nExitPolicy accept *:*\nContactInfo nobody@example.com\n\
             AuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\nV3AuthNIntervalsValid 30\n\
             TestingV3AuthInitialVotingInterval {VOTING_INTERVAL}\nTestingV3AuthInitialVoteDelay {VOTE_DELAY}\n\
             TestingV3AuthInitialDistDelay {DIST_DELAY}\nTestingV3AuthVotingStartOffset {offset}\n\
             V3AuthVotingInterval {later}\nV3AuthVoteDelay {VOTE_DELAY}\nV3AuthDistDelay {DIST_DELAY}\n\
             TestingDirAuthVoteExit *\nTestingDirAuthVoteGuard *\n",
            folder = self.folder.display(),
            name = self.folder.file_name().unwrap_or_default().display(),
            or_port = self.or_port,
            dir_port = self.dir_port,
            later = 2 * VOTING_INTERVAL,
        );
        let file = self.folder.join("torrc");
        fs::write(&file, torrc)?;
        spawn_tor("authority", &file)
    }
}

/// Makes an authority's signing keys and certificate, in `folder`.
fn make_v3_keys(folder: &Path, dir_port: u16) -> std::io::Result<Output> {
    let mut child = Command::new("tor-gencert")
        .args(["--create-identity-key", "-m", "12", "--passphrase-fd", "0", "-a"])
        .arg(loopback(dir_port).to_string())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // When it has ended before reading, its status says more than a broken pipe does.
        let _ = stdin.write_all(b"secret\n");
    }
    child.wait_with_output()
}

/// Makes the relay's own keys, and reads their fingerprint.
fn make_fingerprint(folder: &Path) -> Result<String> {
    let output = Command::new("tor")
        .args(["--ignore-missing-torrc", "-f", "/nonexistent", "--list-fingerprint", "--orport", "1"])
        .args(["--dirserver", "none 127.0.0.1:1 ffffffffffffffffffffffffffffffffffffffff", "--datadirectory"])
        .arg(folder)
        .output()
        .context("starting tor: install Debian's package tor")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().context("tor shows no fingerprint")?;
    Ok(line.split_whitespace().skip(1).collect())
}

/// On a busy machine the first votes miss some of the relays; whoever got that consensus would long be without a path.
fn relays_in_consensus(folder: &Path) -> usize {
    let consensus = fs::read_to_string(folder.join("cached-microdesc-consensus")).unwrap_or_default();
    consensus.lines().filter(|line| line.starts_with("r ")).count()
}

fn make_private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).context("making a folder")
}

fn spawn_tor(name: &str, torrc: &Path) -> Result<Process> {
    Spawn::new(name, "tor")
        .args(["--defaults-torrc", "/nonexistent", "-f"])
        .arg(torrc)
        .start()
        .context("install Debian's package tor")
}

impl Ports {
    fn reserve() -> Result<Self> {
        Ok(Self { or: free_port()?, socks: free_port()?, control: free_port()? })
    }
}

impl Tor {
    fn start(name: &str, common: &str, torrc: &str, ports: Ports) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix(&format!("tor-{name}-")).tempdir().context("making a folder")?;
        let data = folder.path().join("data");
        make_private_folder(&data)?;
        let file = folder.path().join("torrc");
        let text = format!(
            "{common}DataDirectory {}\nControlPort 127.0.0.1:{}\nCookieAuthentication 0\n{torrc}",
            data.display(),
            ports.control
        );
        fs::write(&file, text)?;
        Ok(Self { process: spawn_tor(name, &file)?, folder, ports })
    }

    /// Where a client offers SOCKS5.
    pub fn socks(&self) -> SocketAddr {
        loopback(self.ports.socks)
    }

    /// Where a bridge takes Tor's own connections, without a transport.
    pub fn or_address(&self) -> SocketAddr {
        loopback(self.ports.or)
    }

    /// Opens its control port.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    pub fn control(&self) -> Result<Control> {
        Control::connect(loopback(self.ports.control))
    }

    /// Its process: the log, the pid.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// To stop or kill it.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its data folder, in which `pt_state` is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A relay's fingerprint.
    ///
    /// # Errors
    ///
    /// When it has none yet.
    pub fn fingerprint(&self) -> Result<String> {
        let text = fs::read_to_string(self.data().join("fingerprint")).context("reading the fingerprint")?;
        Ok(text.split_whitespace().nth(1).context("an empty fingerprint file")?.to_owned())
    }

    /// Waits until it has bootstrapped, and shows each step to `progress`. Returns how long it waited.
    ///
    /// # Errors
    ///
    /// After `timeout`, or as soon as tor has ended; with the last lines of its log.
    pub fn wait_until_bootstrapped(&self, timeout: Duration, progress: impl FnMut(&str)) -> Result<Duration> {
        let started = Instant::now();
        let progress = RefCell::new(progress);
        let done = |line: &str| {
            let Some((_, step)) = line.split_once("Bootstrapped ") else { return false };
            progress.borrow_mut()(step);
            step.starts_with("100%")
        };
        self.process.wait_for_line(done, timeout).context("tor did not bootstrap")?;
        Ok(started.elapsed())
    }

    /// The pluggable transports that it runs: its child processes.
    pub fn transports(&self) -> Vec<u32> {
        children_of(self.process.pid())
    }
}

/// The child processes of process `pid`.
pub fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|children| {
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}
