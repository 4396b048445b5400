//! Targets that do not answer, say nothing or take nothing, and clients that give up.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::Kind;
use tokio::net::TcpSocket;

use crate::harness::{Lab, PATIENCE, Route, Target, connect};
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

#[test]
fn a_connection_to_a_target_that_says_and_takes_nothing_ends_when_the_client_is_gone() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let limits = "[limits]\nsession_timeout = 5\n";
    let bridge = Bridge::configured(lab.config(&["bob"], &Route::StartTls) + limits, target.address());
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    let (asker, mut asked) = target.connect_through(forward.entrance());
    asker.shutdown(Shutdown::Write).unwrap();
    assert_eq!(asked.read_to_end(&mut Vec::new()).unwrap(), 0, "no end came");
    let (mut sender, _full) = target.connect_through(forward.entrance());
    sender.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    while sender.write(&[7; 65_536]).is_ok() {}
    let with_both = bridge.half.open_files();
    drop(forward);
    bridge.half.closes_all_but(with_both - 2);
}
