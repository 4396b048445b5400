//! A TCP proxy in front of a server, for the faults of a network: cut, stalled, refused connections, and long lines.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_linger;

use crate::line::{Direction, Line};
use crate::ports::loopback;

/// How often a thread that cannot write, since nobody reads, looks whether its connection was cut.
const WRITE_CHECK: Duration = Duration::from_millis(20);

/// What is read at once, at most: 16 KiB.
const PIECE: usize = 16 * 1024;

/// Pieces that a long line holds in one direction: 4096, at most 64 MiB. That is what goes out in 100 ms at 640 MB/s.
const ON_A_LINE: usize = 4096;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Both sides read the end of the stream.
    Fin,
    /// Both sides get an error.
    Rst,
}

/// The two sockets of a relayed connection.
#[derive(Debug)]
struct Pair {
    client: TcpStream,
    server: TcpStream,
}

impl Pair {
    fn cut(&self, how: Cut) {
        for socket in [&self.client, &self.server] {
            if how == Cut::Rst {
                // With no time to linger, the kernel sends a reset when the last handle is closed.
                let _ = set_socket_linger(socket, Some(Duration::ZERO));
            } else {
                let _ = socket.shutdown(Shutdown::Write);
            }
            // Wakes the threads that read from it, without telling the other side.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }
}

#[derive(Debug, Default)]
struct Gate {
    stalled: bool,
    /// Of connections with a lower number nothing is moved any more.
    swallowed: usize,
    /// How many connections there have been: the number of the next one.
    accepted: usize,
    /// Those that are there now, by number.
    pairs: HashMap<usize, Arc<Pair>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    line: Line,
    gate: Mutex<Gate>,
    opened: Condvar,
    refuse: AtomicBool,
    ended: AtomicBool,
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers a new connection.
    fn admit(&self, pair: &Arc<Pair>) -> usize {
        let mut gate = self.gate();
        let id = gate.accepted;
        gate.accepted += 1;
        gate.pairs.insert(id, Arc::clone(pair));
        id
    }

    /// Waits while the proxy moves nothing of connection `id`, or until it is cut. Whether it still stands.
    fn pass(&self, id: usize) -> bool {
        let stalled = |gate: &mut Gate| (gate.stalled || id < gate.swallowed) && gate.pairs.contains_key(&id);
        let gate = self.opened.wait_while(self.gate(), stalled).unwrap_or_else(PoisonError::into_inner);
        gate.pairs.contains_key(&id)
    }
}

/// A proxy on loopback in front of one server. Dropping it cuts its connections.
#[derive(Debug)]
pub struct TcpCutter {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    acceptor: Option<thread::JoinHandle<()>>,
}

impl TcpCutter {
    /// Listens on a free port and relays each connection to `target`.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start(target: SocketAddr) -> Result<Self> {
        Self::start_at(loopback(0), target)
    }

    /// As [`TcpCutter::start`], with this line between the client and the proxy.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start_on(line: Line, target: SocketAddr) -> Result<Self> {
        Self::start_with(loopback(0), line, target)
    }

    /// As [`TcpCutter::start`], at this address.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start_at(address: SocketAddr, target: SocketAddr) -> Result<Self> {
        Self::start_with(address, Line::default(), target)
    }

    fn start_with(address: SocketAddr, line: Line, target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).context("listening in front of a server")?;
        let address = listener.local_addr().context("reading the address of a listener")?;
        let shared = Arc::new(Shared {
            target,
            line,
            gate: Mutex::default(),
            opened: Condvar::new(),
            refuse: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let listener = Arc::new(listener);
        let acceptor = thread::spawn({
            let (listener, shared) = (Arc::clone(&listener), Arc::clone(&shared));
            move || accept(&listener, &shared)
        });
        Ok(Self { address, listener, shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection there is now: both ends read the end of the stream. New ones are relayed as before.
    ///
    /// What is on its way may get lost, as when a network fails. The ends notice within milliseconds, after this returns.
    pub fn cut(&self) {
        self.cut_all(Cut::Fin);
    }

    /// As [`TcpCutter::cut`], but both ends get an error: the connection was reset.
    pub fn reset(&self) {
        self.cut_all(Cut::Rst);
    }

    fn cut_all(&self, how: Cut) {
        let pairs: Vec<_> = self.shared.gate().pairs.drain().map(|(_, pair)| pair).collect();
        pairs.iter().for_each(|pair| pair.cut(how));
        self.shared.opened.notify_all();
    }

    /// Keeps connections open, takes new ones and moves nothing, as a network that loses everything; or moves on.
    pub fn stall(&self, stalled: bool) {
        self.shared.gate().stalled = stalled;
        self.shared.opened.notify_all();
    }

    /// Keeps every connection there is now open and moves nothing of it any more, as a network that has forgotten them (a NAT that was
    /// restarted) and drops what it does not know. New ones are relayed as before.
    pub fn swallow(&self) {
        let mut gate = self.shared.gate();
        gate.swallowed = gate.accepted;
    }

    /// Resets new connections at once, as a server that is down, or takes them again. Present ones go on.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refuse.store(refusing, Ordering::SeqCst);
    }

    /// How many connections were relayed so far. Those that are counted can be cut.
    pub fn accepted(&self) -> usize {
        self.shared.gate().accepted
    }
}

impl Drop for TcpCutter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections. Connecting to it instead would miss a listener that is in
        // another network namespace.
        let woken = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let (Ok(()), Some(acceptor)) = (woken, self.acceptor.take()) {
            let _ = acceptor.join();
        }
        self.cut();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let refused = shared.refuse.load(Ordering::SeqCst);
        let server = if refused { None } else { TcpStream::connect(shared.target).ok() };
        match server {
            Some(server) => relay(client, server, shared),
            None => {
                let _ = set_socket_linger(&client, Some(Duration::ZERO));
            }
        }
    }
}

/// Starts the threads of a connection, two for each direction.
fn relay(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
        let _ = socket.set_write_timeout(Some(WRITE_CHECK));
    }
    let pair = Arc::new(Pair { client, server });
    let id = shared.admit(&pair);
    let directions = Arc::new(AtomicUsize::new(2));
    for (seed, up) in [(1, true), (2, false)] {
        let (pair, shared, directions) = (Arc::clone(&pair), Arc::clone(shared), Arc::clone(&directions));
        let direction = Direction::new(shared.line, Instant::now(), seed);
        thread::spawn(move || {
            let (from, to) = if up { (&pair.client, &pair.server) } else { (&pair.server, &pair.client) };
            carry(id, from, to, direction, &shared);
            // Each direction ends by itself; the connection is over when both have.
            if directions.fetch_sub(1, Ordering::SeqCst) == 1 {
                shared.gate().pairs.remove(&id);
            }
        });
    }
}

/// What was read at once, on its way through a line.
struct Piece {
    /// When it leaves the line.
    leaves: Instant,
    buffer: Vec<u8>,
    /// How much of the buffer it is: nothing at the end of the stream.
    length: usize,
}

/// Moves one direction until its end, which it passes on, or until the connection is cut.
fn carry(id: usize, from: &TcpStream, to: &TcpStream, direction: Direction, shared: &Shared) {
    let pieces = if shared.line == Line::default() { 1 } else { ON_A_LINE };
    let (entrance, exit) = mpsc::sync_channel(pieces);
    // Buffers go round: a long line has thousands, and memory that is fresh each time would cost more than all else here.
    let (used, spare) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || take_in(id, from, direction, (&entrance, &spare), shared));
        let is_whole = exit.into_iter().all(|Piece { leaves, buffer, length }| {
            thread::sleep(leaves.saturating_duration_since(Instant::now()));
            let is_sent = send(id, to, buffer.get(..length).unwrap_or_default(), shared);
            // At the end of the stream nobody wants it.
            let _ = used.send(buffer);
            is_sent
        });
        // The two ends of a connection that was cut have been told already, and not always by a FIN.
        if shared.pass(id) {
            let _ = to.shutdown(Shutdown::Write);
        }
        if !is_whole {
            // Wakes the thread that reads.
            let _ = from.shutdown(Shutdown::Read);
        }
    });
}

/// Reads what enters a line, until its end, or until the connection is cut or nobody takes what leaves it.
fn take_in(
    id: usize,
    mut from: &TcpStream,
    mut direction: Direction,
    (line, spare): (&mpsc::SyncSender<Piece>, &mpsc::Receiver<Vec<u8>>),
    shared: &Shared,
) {
    while shared.pass(id) {
        thread::sleep(direction.takes_more_at().saturating_duration_since(Instant::now()));
        let mut buffer = spare.try_recv().unwrap_or_else(|_| vec![0; PIECE]);
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let leaves = direction.leave_at(Instant::now(), length);
        if line.send(Piece { leaves, buffer, length }).is_err() {
            return;
        }
    }
    let leaves = direction.leave_at(Instant::now(), 0);
    let _ = line.send(Piece { leaves, buffer: Vec::new(), length: 0 });
}

/// Writes all of `bytes`. False when the connection is cut first or the other end is gone.
fn send(id: usize, mut to: &TcpStream, mut bytes: &[u8], shared: &Shared) -> bool {
    while !bytes.is_empty() {
        // What was read before the proxy stalled is kept until it no longer does.
        if !shared.pass(id) {
            return false;
        }
        match to.write(bytes) {
            Ok(0) => return false,
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::EchoServer;

    fn connect(cutter: &TcpCutter) -> TcpStream {
        let stream = TcpStream::connect(cutter.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn echo(stream: &mut TcpStream, text: &[u8]) {
        stream.write_all(text).unwrap();
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, text);
    }

    fn lab() -> (EchoServer, TcpCutter) {
        let server = EchoServer::start().unwrap();
        let cutter = TcpCutter::start(server.address()).unwrap();
        (server, cutter)
    }

    #[test]
    fn bytes_pass_both_ways_and_connections_are_counted() {
        let (_server, cutter) = lab();
        echo(&mut connect(&cutter), b"hello");
        echo(&mut connect(&cutter), b"again");
        assert_eq!(cutter.accepted(), 2);
    }

    #[test]
    fn a_cut_with_fin_ends_the_stream() {
        let (_server, cutter) = lab();
        let mut stream = connect(&cutter);
        echo(&mut stream, b"hello");
        cutter.cut();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        echo(&mut connect(&cutter), b"the next one works");
    }

    #[test]
    fn a_cut_with_rst_is_an_error() {
        let (_server, cutter) = lab();
        let mut stream = connect(&cutter);
        echo(&mut stream, b"hello");
        cutter.reset();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_cut_with_rst_reaches_an_end_that_does_not_read() {
        let (_server, cutter) = lab();
        let mut stream = connect(&cutter);
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        // Until every buffer on the way is full.
        while stream.write(&[0; 65_536]).is_ok() {}
        cutter.reset();
        let mut read = || stream.read(&mut [0; 65_536]);
        let error = loop {
            if let Err(error) = read() {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_stalled_proxy_keeps_connections_and_moves_nothing() {
        let (_server, cutter) = lab();
        let mut stream = connect(&cutter);
        echo(&mut stream, b"hello");
        cutter.stall(true);
        stream.write_all(b"later").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert_eq!(stream.read(&mut [0; 5]).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        cutter.stall(false);
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"later");
    }

    #[test]
    fn a_proxy_that_swallows_connections_moves_nothing_of_them_and_takes_new_ones() {
        let (_server, cutter) = lab();
        let mut old = connect(&cutter);
        echo(&mut old, b"hello");
        cutter.swallow();
        old.write_all(b"never").unwrap();
        echo(&mut connect(&cutter), b"the next one works");
        old.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert_eq!(old.read(&mut [0; 5]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_refusing_proxy_resets_new_connections_and_keeps_old_ones() {
        let (_server, cutter) = lab();
        let mut old = connect(&cutter);
        echo(&mut old, b"hello");
        cutter.refuse(true);
        let refused = TcpStream::connect(cutter.address()).and_then(|mut new| new.read(&mut [0; 1]));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionReset);
        echo(&mut old, b"still here");
        cutter.refuse(false);
        echo(&mut connect(&cutter), b"welcome");
    }
    #[test]
    fn a_long_line_takes_its_time_and_keeps_everything_in_order() {
        let server = EchoServer::start().unwrap();
        let round_trip = Duration::from_millis(60);
        let cutter = TcpCutter::start_on(Line::of_round_trip(round_trip), server.address()).unwrap();
        let mut stream = connect(&cutter);
        let begun = Instant::now();
        echo(&mut stream, b"hello");
        assert!(begun.elapsed() >= 2 * round_trip, "the handshake, and there and back");
        let begun = Instant::now();
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut other = stream.try_clone().unwrap();
        let sent = text.clone();
        let writer = thread::spawn(move || other.write_all(&sent).unwrap());
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).unwrap();
        writer.join().unwrap();
        assert!(heard == text && begun.elapsed() >= round_trip);
    }

    #[test]
    fn the_end_of_a_stream_passes_a_long_line_and_a_cut_does_not_wait_for_it() {
        let server = EchoServer::start().unwrap();
        let cutter =
            TcpCutter::start_on(Line::of_round_trip(Duration::from_millis(20)), server.address()).unwrap();
        let mut stream = connect(&cutter);
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"hello");

        let long = Line::of_round_trip(Duration::from_secs(20));
        let cutter = TcpCutter::start_on(long, server.address()).unwrap();
        let mut stream = connect(&cutter);
        stream.write_all(b"never there").unwrap();
        while cutter.accepted() == 0 {
            thread::yield_now();
        }
        cutter.cut();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    }
}
