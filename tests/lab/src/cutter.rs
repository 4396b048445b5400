//! A TCP proxy whose connections can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Stands between a client and a server.
#[derive(Debug)]
pub struct TcpCutter {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    /// Both ends of every connection.
    live: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    stalled: AtomicBool,
    refusing: AtomicBool,
}

impl TcpCutter {
    /// Starts one in front of `server`; it ends with this process.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            live: Mutex::default(),
            accepted: AtomicUsize::new(0),
            stalled: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is not there is a closed connection to the client.
                let _ = of_thread.join(client);
            }
        });
        Ok(Self { address, shared })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection there is now.
    pub fn cut(&self) {
        for stream in self.shared.live().drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Keeps connections open and moves nothing, or moves on.
    pub fn stall(&self, stalled: bool) {
        self.shared.stalled.store(stalled, Ordering::SeqCst);
    }

    /// Closes new connections at once, or takes them again.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::SeqCst);
    }

    /// How many connections were made.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn live(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        if self.refusing.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let server = TcpStream::connect(self.server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        self.live().extend([client.try_clone()?, server.try_clone()?]);
        self.pump(client.try_clone()?, server.try_clone()?);
        self.pump(server, client);
        Ok(())
    }

    fn pump(self: &Arc<Self>, mut from: TcpStream, mut to: TcpStream) {
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                while shared.stalled.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(10));
                }
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            // Either may be closed already.
            let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
        });
    }
}
