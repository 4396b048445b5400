//! A genuine client, and what it gets from the bridge.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::{Half, PATIENCE, random_bytes};
use crate::target::{DOWNLOAD, ECHO, UPLOAD};

/// A cell of Tor's.
const CELL: usize = 514;

/// Between an echo and the next.
const BREATH: Duration = Duration::from_millis(20);

/// An echo that takes longer counts as one that takes so long, and its connection is given up.
const LATE: Duration = Duration::from_secs(10);

/// How long a new client may take to get in: longer than a client tries.
const ENTRANCE: Duration = Duration::from_secs(30);

/// How much is sent at a time, in bytes.
const PIECE: usize = 16 * 1024;

/// An upload of which nothing was taken for so long is stuck.
const STUCK: Duration = Duration::from_secs(1);

/// For how long latency and rate are measured in turn.
const ROUND: Duration = Duration::from_secs(20);

/// `forward`, in the hands of somebody who keeps to the protocol.
pub(crate) struct Genuine {
    forward: Half,
    entrance: SocketAddr,
}

/// Bytes on their way to where nobody reads them yet.
pub(crate) struct Upload {
    thread: JoinHandle<io::Result<bool>>,
}

impl Upload {
    /// Whether all of it arrives, now that it is read.
    pub(crate) fn arrives(self) -> bool {
        let end = Instant::now() + PATIENCE;
        while !self.thread.is_finished() && Instant::now() < end {
            thread::sleep(BREATH);
        }
        self.thread.is_finished() && self.thread.join().unwrap().is_ok_and(|is_whole| is_whole)
    }
}

/// What a genuine client gets.
#[derive(Default)]
pub(crate) struct Figures {
    /// How long each echo took, in order.
    latencies: Vec<Duration>,
    /// Bytes that were downloaded.
    bytes: usize,
    /// In so much time.
    time: Duration,
}

impl Figures {
    /// Bytes a second.
    pub(crate) fn rate(&self) -> f64 {
        self.bytes as f64 / self.time.as_secs_f64()
    }

    /// What this share of echoes took at most.
    pub(crate) fn latency(&self, share: f64) -> Duration {
        let last = self.latencies.len() - 1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let place = (last as f64 * share) as usize;
        self.latencies[place]
    }
}

impl Genuine {
    /// Starts one that has taken no connection yet.
    pub(crate) fn start(config: &str, line_file: &str, target: SocketAddr) -> Self {
        let target = target.to_string();
        let args = ["--listen", "127.0.0.1:0", "--bridge-line-file", line_file, "--target", &target];
        let forward = Half::start("forward", config, &args);
        let entrance = forward.entrance();
        Self { forward, entrance }
    }

    /// A connection to the target, which treats it as `manner` says.
    fn connect(&self, manner: u8) -> io::Result<TcpStream> {
        let mut tcp = TcpStream::connect(self.entrance)?;
        tcp.set_nodelay(true)?;
        tcp.write_all(&[manner])?;
        Ok(tcp)
    }

    /// How long it takes until a first connection is of use; nothing when it is closed, or silent for too long.
    pub(crate) fn gets_in(&self) -> Option<Duration> {
        let start = Instant::now();
        let mut tcp = self.connect(ECHO).ok()?;
        tcp.set_read_timeout(Some(ENTRANCE)).ok()?;
        echo(&mut tcp).ok()?;
        Some(start.elapsed())
    }

    /// Measures latency and rate in turn, as long as that together.
    pub(crate) fn measure(&self, time: Duration) -> Figures {
        let end = Instant::now() + time;
        let mut figures = Figures::default();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            let turn = left.min(ROUND) / 2;
            self.measure_latency(turn, &mut figures);
            self.measure_rate(turn, &mut figures);
        }
        figures.latencies.sort();
        figures
    }

    fn measure_latency(&self, time: Duration, figures: &mut Figures) {
        let end = Instant::now() + time;
        let mut connection = None;
        while figures.latencies.is_empty() || Instant::now() < end {
            let start = Instant::now();
            let outcome = match connection.take() {
                Some(tcp) => Ok(tcp),
                None => self.connect(ECHO),
            };
            let outcome = outcome.and_then(|mut tcp| {
                tcp.set_read_timeout(Some(LATE))?;
                echo(&mut tcp).map(|()| tcp)
            });
            // One that is refused at once has waited in vain, too.
            figures.latencies.push(if outcome.is_ok() { start.elapsed() } else { LATE });
            connection = outcome.ok();
            thread::sleep(BREATH);
        }
    }

    fn measure_rate(&self, time: Duration, figures: &mut Figures) {
        let (start, end) = (Instant::now(), Instant::now() + time);
        let mut buffer = vec![0; 64 * 1024];
        let mut connection = None;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            let Some(mut tcp) = connection.take().or_else(|| self.connect(DOWNLOAD).ok()) else { break };
            let read = tcp.set_read_timeout(Some(left)).and_then(|()| tcp.read(&mut buffer));
            match read {
                Ok(length @ 1..) => {
                    figures.bytes += length;
                    connection = Some(tcp);
                }
                // Closed: there will be another.
                _ => thread::sleep(BREATH),
            }
        }
        figures.time += start.elapsed();
    }

    /// Sends `length` bytes to where they are not read yet, and returns when no more is taken.
    pub(crate) fn upload(&self, length: usize) -> Upload {
        let connection = self.connect(UPLOAD);
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let thread = thread::spawn(move || {
            let mut tcp = connection?;
            for piece in random_bytes(length).chunks(PIECE) {
                tcp.write_all(piece)?;
                counter.fetch_add(piece.len(), Ordering::Relaxed);
            }
            tcp.shutdown(Shutdown::Write)?;
            let mut arrived = [0; 8];
            tcp.read_exact(&mut arrived)?;
            Ok(u64::from_be_bytes(arrived) == length as u64)
        });
        let mut before = None;
        while before != Some(sent.load(Ordering::Relaxed)) {
            before = Some(sent.load(Ordering::Relaxed));
            thread::sleep(STUCK);
        }
        assert!(before < Some(length), "all of an upload was taken, and nobody has read it");
        Upload { thread }
    }

    /// What it has written for a person, so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.forward.log()
    }
}

fn echo(tcp: &mut TcpStream) -> io::Result<()> {
    let sent = random_bytes(CELL);
    tcp.write_all(&sent)?;
    let mut received = [0; CELL];
    tcp.read_exact(&mut received)?;
    assert!(received[..] == sent, "the echo differs");
    Ok(())
}
