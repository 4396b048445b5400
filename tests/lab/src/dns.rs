//! DNS server of a test's own, and programs that ask it and no other.
//!
//! A program that is to ask it runs in a mount namespace in which `/etc/resolv.conf` names it. That needs root.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::netns::Namespace;
use crate::ports::random_loopback;
use crate::process::is_root;

/// The port that a file `resolv.conf` cannot but mean.
const PORT: u16 = 53;
/// Where it is on a machine of a test's own: where systemd's is on others.
pub const ON_A_MACHINE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
/// How often it looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);
/// Addresses that are tried to listen on: other tests may have some.
const TRIES: usize = 20;

/// Types of records (RFC 1035, RFC 2782), and the only class.
const A: u16 = 1;
const SRV: u16 = 33;
const INTERNET: u16 = 1;
/// What no record is of.
const NOTHING: u16 = 0;
const NO_SUCH_NAME: u8 = 3;

/// What a name has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address.
    A(Ipv4Addr),
    /// A server for a service; the target `.` says that there is none.
    Srv {
        /// The lowest comes first.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// Where it listens.
        port: u16,
        /// Its name.
        target: String,
    },
    /// Whatever is asked of the name, the answer is a fault with this code (RFC 1035 section 4.1.1).
    Fault(u8),
}

/// A server that knows nothing but its own records.
#[derive(Debug)]
pub struct DnsServer {
    folder: TempDir,
    address: SocketAddr,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    records: BTreeMap<String, Vec<Record>>,
    asked: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl Record {
    /// A server without equals.
    pub fn srv(priority: u16, port: u16, target: &str) -> Self {
        Self::Srv { priority, weight: 0, port, target: target.to_owned() }
    }

    fn fault(&self) -> Option<u8> {
        if let Self::Fault(code) = self { Some(*code) } else { None }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::A(_) => A,
            Self::Srv { .. } => SRV,
            Self::Fault(_) => NOTHING,
        }
    }

    fn data(&self) -> Vec<u8> {
        match self {
            Self::A(address) => address.octets().to_vec(),
            Self::Srv { priority, weight, port, target } => {
                let numbers = [priority, weight, port].into_iter().flat_map(|number| number.to_be_bytes());
                numbers.chain(encoded(target)).collect()
            }
            Self::Fault(_) => Vec::new(),
        }
    }
}

impl DnsServer {
    /// Starts one on an address of loopback that is nobody else's.
    ///
    /// # Errors
    ///
    /// When this machine does not permit it.
    pub fn start(records: &[(&str, Record)]) -> Result<Self> {
        if !is_root() {
            bail!("a DNS server, and a program that asks it, need root: run this test as root");
        }
        let (socket, address) = listen()?;
        Self::serving(vec![socket], address, records)
    }

    /// Starts one on each of these machines, at [`ON_A_MACHINE`]; all know the same.
    ///
    /// # Errors
    ///
    /// When one of the machines has one.
    pub fn start_on(machines: &[&Namespace], records: &[(&str, Record)]) -> Result<Self> {
        let address = SocketAddr::from((ON_A_MACHINE, PORT));
        let sockets = machines.iter().map(|machine| Ok(machine.run(|| UdpSocket::bind(address))?));
        Self::serving(sockets.collect::<Result<_>>()?, address, records)
    }

    fn serving(sockets: Vec<UdpSocket>, address: SocketAddr, records: &[(&str, Record)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dns-").tempdir().context("making a folder")?;
        fs::write(folder.path().join("resolv.conf"), format!("nameserver {}\n", address.ip()))?;
        let mut shared = Shared::default();
        for (name, record) in records {
            shared.records.entry((*name).to_owned()).or_default().push(record.clone());
        }
        let shared = Arc::new(shared);
        let serve = |socket: UdpSocket| {
            socket.set_read_timeout(Some(TICK))?;
            let shared = Arc::clone(&shared);
            Ok(std::thread::spawn(move || serve(&socket, &shared)))
        };
        let workers = sockets.into_iter().map(serve).collect::<Result<_>>()?;
        Ok(Self { folder, address, shared, workers })
    }

    /// Answers over TCP as well, on a port of its own, as long as this process runs.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn listen_for_tcp(&self) -> Result<SocketAddr> {
        let listener = TcpListener::bind((self.address.ip(), 0))?;
        let (address, shared) = (listener.local_addr()?, Arc::clone(&self.shared));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever hangs up has asked enough.
                let _ = shared.answer_all(stream);
            }
        });
        Ok(address)
    }

    /// What it was asked: type and name, in order.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked().clone()
    }

    /// A program, in `folder`, that runs `executable` with this server for its only one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn program(&self, executable: &Path, folder: &Path) -> Result<PathBuf> {
        program_with(&self.folder.path().join("resolv.conf"), executable, folder)
    }
}

/// A program, in `folder`, that runs `executable` with another `/etc/resolv.conf`.
///
/// # Errors
///
/// When it cannot be written.
pub fn program_with(resolv_conf: &Path, executable: &Path, folder: &Path) -> Result<PathBuf> {
    let (text, path) = (folder.join("program.sh"), folder.join("program"));
    let script = format!(
        "#!/bin/sh\nexec unshare --mount -- sh -c 'mount --bind {} /etc/resolv.conf && exec \"$@\"' sh {} \"$@\"\n",
        resolv_conf.display(),
        executable.display()
    );
    fs::write(&text, script)?;
    // What is open for writing cannot be run, and what is open here is so in whatever another test starts, for a moment. So somebody
    // else writes it.
    let installed = Command::new("install").args(["-m", "700"]).arg(&text).arg(&path).status()?;
    ensure!(installed.success(), "install: {installed}");
    Ok(path)
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            // It has nothing to tell.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer_all(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query)?;
            let Some(answer) = self.answer(&query) else { continue };
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
        }
    }

    /// The answer to a question; none to what is no question.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, kind, end) = question(query)?;
        self.asked().push(format!("{kind} {name}"));
        let records = self.records.get(&name);
        let fitting: Vec<_> = records.into_iter().flatten().filter(|record| record.kind() == kind).collect();
        let code = match records {
            None => NO_SUCH_NAME,
            Some(records) => records.iter().find_map(Record::fault).unwrap_or_default(),
        };
        // The same id; an answer, authoritative, recursion as desired and available; one question, and so many answers.
        let mut answer = query.get(..2)?.to_vec();
        answer.extend([0x85, 0x80 | code, 0, 1, 0, u8::try_from(fitting.len()).ok()?, 0, 0, 0, 0]);
        answer.extend(query.get(12..end)?);
        for record in fitting {
            let data = record.data();
            answer.extend(encoded(&name));
            [kind, INTERNET, 0, 60, u16::try_from(data.len()).ok()?]
                .iter()
                .for_each(|number| answer.extend(number.to_be_bytes()));
            answer.extend(data);
        }
        Some(answer)
    }
}

fn listen() -> Result<(UdpSocket, SocketAddr)> {
    for _ in 0..TRIES {
        let address = SocketAddr::from((random_loopback(), PORT));
        if let Ok(socket) = UdpSocket::bind(address) {
            return Ok((socket, address));
        }
    }
    bail!("no address of loopback has port {PORT} free")
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 1500];
    while !shared.ended.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(answer) = buffer.get(..length).and_then(|query| shared.answer(query)) {
            // Whoever does not get it asks again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The name and type that are asked for, and where the question ends.
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        let label = query.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let kind = u16::from_be_bytes(*query.get(at..)?.first_chunk()?);
    Some((labels.join("."), kind, at + 4))
}

/// A name as it goes over the wire.
fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let pieces = labels
        .flat_map(|label| u8::try_from(label.len()).into_iter().chain(label.bytes()).collect::<Vec<_>>());
    pieces.chain([0]).collect()
}
