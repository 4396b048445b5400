//! A TCP proxy in front of a server that remembers everything.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use crate::ports::loopback;

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// Whoever connected.
    Client,
    /// The server behind the proxy.
    Server,
}

/// What was said on one connection, in the order in which it passed.
pub type Conversation = Vec<(Speaker, Vec<u8>)>;

#[derive(Debug, Default)]
struct Shared {
    conversations: Mutex<Vec<Conversation>>,
    sockets: Mutex<Vec<TcpStream>>,
}

/// A proxy on loopback. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Listens on a free port and passes each connection on to `target`.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(loopback(0)).context("listening in front of a server")?;
        let address = listener.local_addr().context("reading the address of a listener")?;
        let shared = Arc::new(Shared::default());
        let recorder = Self { address, shared: Arc::clone(&shared) };
        // It waits for connections until the process ends.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(target) {
                    let _ = shared.relay(client, server);
                }
            }
        });
        Ok(recorder)
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything so far, connection by connection.
    #[must_use]
    pub fn conversations(&self) -> Vec<Conversation> {
        lock(&self.shared.conversations).clone()
    }

    /// Ends every connection that there is now. New ones are passed on as before.
    pub fn cut(&self) {
        for socket in lock(&self.shared.sockets).drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Shared {
    fn relay(self: &Arc<Self>, client: TcpStream, server: TcpStream) -> std::io::Result<()> {
        let number = {
            let mut conversations = lock(&self.conversations);
            conversations.push(Conversation::new());
            conversations.len() - 1
        };
        lock(&self.sockets).extend([client.try_clone()?, server.try_clone()?]);
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let pairs =
            [(Speaker::Client, client.try_clone()?, server.try_clone()?), (Speaker::Server, server, client)];
        for (speaker, from, to) in pairs {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(number, speaker, from, to));
        }
        Ok(())
    }

    fn carry(&self, number: usize, speaker: Speaker, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let said = buffer.get(..length).unwrap_or_default();
            if let Some(conversation) = lock(&self.conversations).get_mut(number) {
                conversation.push((speaker, said.to_vec()));
            }
            if to.write_all(said).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
