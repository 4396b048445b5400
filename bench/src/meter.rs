//! A TCP proxy that counts what passes, and that can make a way slow.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Read at a time, in bytes; as Prosody does.
const PIECE: usize = 8192;

/// The proxy; it ends with this process.
pub(crate) struct Meter {
    pub(crate) address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    /// In front of `server`. `pace`: how many bytes a second a client may send.
    pub(crate) fn start(server: SocketAddr, pace: Option<f64>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening in front of a server")?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&bytes);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Whoever is refused tries again.
                let _ = relay(&client, server, &counter, pace);
            }
        });
        Ok(Self { address, bytes })
    }

    /// What has passed so far, in both directions.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn relay(client: &TcpStream, server: SocketAddr, counter: &Arc<AtomicU64>, pace: Option<f64>) -> Result<()> {
    let server = TcpStream::connect(server)?;
    for (from, to, pace) in [(client, &server, pace), (&server, client, None)] {
        let (from, to, counter) = (from.try_clone()?, to.try_clone()?, Arc::clone(counter));
        to.set_nodelay(true)?;
        thread::spawn(move || {
            let _ = pass(&from, &to, &counter, pace);
            // One end of the connection is the end of it all.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, counter: &AtomicU64, pace: Option<f64>) -> Result<()> {
    let mut buffer = vec![0; if pace.is_some() { PIECE } else { 32 * PIECE }];
    loop {
        rustix::net::sockopt::set_tcp_quickack(from, true)?;
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        counter.fetch_add(length as u64, Ordering::Relaxed);
        to.write_all(&buffer[..length])?;
        if let Some(pace) = pace {
            thread::sleep(Duration::from_secs_f64(length as f64 / pace));
        }
    }
}
