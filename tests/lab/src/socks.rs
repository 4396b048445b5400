//! SOCKS5 proxy (RFC 1928) to whom every name is this machine, behind lines with a delay.
//!
//! So an executable reaches servers by names that no DNS has, and each port by a line of its own, which can be cut.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use crate::cutter::TcpCutter;
use crate::line::Line;
use crate::ports::loopback;

/// A proxy on loopback. Dropping it cuts its connections.
#[derive(Debug)]
pub struct SocksProxy {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    acceptor: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    line: Line,
    /// By the port that each leads to.
    lines: Mutex<BTreeMap<u16, Arc<TcpCutter>>>,
    ended: AtomicBool,
}

impl SocksProxy {
    /// Listens on a free port, with such a line to each port of this machine.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start_on(line: Line) -> Result<Self> {
        let listener = TcpListener::bind(loopback(0)).context("listening as a proxy")?;
        let address = listener.local_addr().context("reading the address of a listener")?;
        let shared = Arc::new(Shared { line, lines: Mutex::default(), ended: AtomicBool::new(false) });
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

    /// The line to this port.
    ///
    /// # Errors
    ///
    /// When there was none, and none can be made.
    pub fn line_to(&self, port: u16) -> Result<Arc<TcpCutter>> {
        self.shared.line_to(port)
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let woken = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        if let (Ok(()), Some(acceptor)) = (woken, self.acceptor.take()) {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn line_to(&self, port: u16) -> Result<Arc<TcpCutter>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&port) {
            return Ok(Arc::clone(line));
        }
        let line = Arc::new(TcpCutter::start_on(self.line, loopback(port))?);
        lines.insert(port, Arc::clone(&line));
        Ok(line)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // Whoever is refused, or speaks something else, reads the end of the stream.
            let _ = serve(client, &shared);
        });
    }
}

/// Answers what a client asks for, and moves bytes both ways until their ends.
fn serve(mut client: TcpStream, shared: &Shared) -> Result<()> {
    let port = asked_for(&mut client)?;
    let server = TcpStream::connect(shared.line_to(port)?.address())?;
    // Succeeded, from address 0.0.0.0:0.
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    thread::scope(|scope| {
        scope.spawn(|| move_all(&client, &server));
        move_all(&server, &client);
    });
    Ok(())
}

/// The port that a client wants to be connected to, whatever the host.
fn asked_for(client: &mut TcpStream) -> io::Result<u16> {
    let [_version, methods] = take(client)?;
    client.read_exact(&mut vec![0; methods.into()])?;
    // Without authentication.
    client.write_all(&[5, 0])?;
    let [_version, _command, _reserved, kind] = take(client)?;
    let host = match kind {
        1 => 4,
        4 => 16,
        _ => {
            let [length] = take(client)?;
            length.into()
        }
    };
    client.read_exact(&mut vec![0; host])?;
    take(client).map(u16::from_be_bytes)
}

fn take<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Moves one direction until its end, which it passes on.
fn move_all(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use std::time::{Duration, Instant};

    use super::*;

    /// Asks for this port of a host with a name.
    fn connect(proxy: &SocksProxy, port: u16) -> TcpStream {
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(&[5, 1, 0]).unwrap();
        assert_eq!(take(&mut stream).unwrap(), [5, 0]);
        let [high, low] = port.to_be_bytes();
        stream.write_all(&[5, 1, 0, 3, 1, b'x', high, low]).unwrap();
        assert_eq!(take::<10>(&mut stream).unwrap()[..2], [5, 0]);
        stream
    }

    #[test]
    fn every_name_is_this_machine_and_as_far_away_as_the_line_says() {
        let server = TcpListener::bind(loopback(0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let delay = Duration::from_millis(30);
        let proxy = SocksProxy::start_on(Line { delay, ..Line::default() }).unwrap();
        let begun = Instant::now();
        let mut near = connect(&proxy, port);
        near.write_all(b"there").unwrap();
        let mut far = server.accept().unwrap().0;
        assert_eq!(take(&mut far).unwrap(), *b"there");
        assert!(begun.elapsed() >= 3 * delay, "{:?}", begun.elapsed());
        far.write_all(b"back").unwrap();
        assert_eq!(take(&mut near).unwrap(), *b"back");
        proxy.line_to(port).unwrap().cut();
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
    }
}
