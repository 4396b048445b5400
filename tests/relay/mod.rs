//! A TCP relay that counts, cuts and stalls the connections through it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Relay {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    cuts: u64,
    stalled: bool,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (state, watcher) = watch::channel(State::default());
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(relay(client, server, watcher.clone()));
            }
        });
        Self { address, connections, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ends all connections there are now, wherever in a stanza they may be.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// From now on, nothing comes through any more, and nobody is told.
    pub(crate) fn stall(&self) {
        self.state.send_modify(|state| state.stalled = true);
    }
}

async fn relay(client: TcpStream, server: SocketAddr, mut state: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let cuts = state.borrow().cuts;
    tokio::select! {
        () = pump(client_in, server_out, state.clone()) => {}
        () = pump(server_in, client_out, state.clone()) => {}
        _ = state.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let flowing = state.wait_for(|state| !state.stalled).await.is_ok();
        if !flowing || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
