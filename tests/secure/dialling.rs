//! A target that does not answer, and a client that gives up.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::Kind;
use tokio::net::TcpSocket;

use crate::harness::{Lab, PATIENCE, Route, connect};
use crate::pair::Bridge;

/// How often we look.
const INTERVAL: Duration = Duration::from_millis(20);

/// A listener whose queue is full: whoever else connects gets no answer.
struct Mute {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Mute {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(1).unwrap().into_std().unwrap()
        });
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500)).ok();
        Self { address, _queue: std::iter::from_fn(connect).collect(), _listener: listener }
    }

    /// Whether somebody on this machine waits for an answer from it.
    fn is_dialled(&self) -> bool {
        // The table has addresses in the machine's byte order: this is 127.0.0.1 on a little-endian one.
        let remote = format!("0100007F:{:04X}", self.address.port());
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let mut sockets = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        // SYN_SENT is 2 in Linux.
        sockets.any(|socket| socket[2] == remote && socket[3] == "02")
    }

    fn wait_until(&self, is_dialled: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_dialled() != is_dialled {
            assert!(Instant::now() < deadline, "is it still dialled? {}", !is_dialled);
            thread::sleep(INTERVAL);
        }
    }
}

#[test]
fn a_dial_ends_when_the_client_gives_up() {
    let (lab, target) = (Lab::start(Kind::Prosody), Mute::start());
    let config = |user, limits: &str| lab.config(&[user], &Route::StartTls) + "[limits]\n" + limits;
    let bridge = Bridge::configured(config("bob", "dial_timeout = 600\n"), target.address);
    let forward = bridge.forward_configured(&config("alice", "connect_timeout = 5\n"));
    let application = connect(forward.entrance());
    target.wait_until(true);
    drop(application);
    target.wait_until(false);
}
