//! Unread pipes: standard output that nobody reads, or that is closed: Tor is busy, or has lost interest.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;

use crate::child::{Child, EXIT_LIMIT, Launch, PATIENCE};
use crate::parents;
use crate::socks::{SUCCEEDED, ask};

/// The end of a pipe that Tor holds. It holds the other end as well, so that it decides alone whether the pipe is closed.
struct Pipe(File);

impl Pipe {
    fn new(path: &Path) -> Self {
        mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap();
        Self(File::from(
            open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap(),
        ))
    }

    /// Reads until this has come.
    fn read_to(&mut self, end: &str) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let (mut read, mut bytes) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&read).contains(end) {
            match self.0.read(&mut bytes) {
                Ok(count) => read.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&read));
        }
        read
    }

    /// Writes until nothing more fits.
    fn fill(&mut self) {
        while self.0.write(&[b'.'; 4096]).or_else(|_| self.0.write(b".")).is_ok() {}
    }
}

/// A client whose standard output is a pipe of ours, with what it has said.
fn client() -> (Child, Pipe, SocketAddr) {
    // At this level every request has its line.
    let launch = Launch::client().args(&["--log-level", "debug"]);
    let path = launch.state().join("stdout");
    let mut pipe = Pipe::new(&path);
    let asked = launch.asked();
    let child = launch.through(&format!("exec \"$@\" >{}", path.display())).start();
    let greeting = pipe.read_to("CMETHODS DONE\n");
    parents::read_all(&asked, &greeting).unwrap();
    let text = String::from_utf8(greeting).unwrap();
    let socks = text.lines().find_map(|line| line.strip_prefix("CMETHOD hexchat socks5 ")).unwrap();
    (child, pipe, socks.parse().unwrap())
}

/// Many requests, each of which it has something to say about.
fn answers_requests(socks: SocketAddr) {
    for number in 0..100 {
        assert_ne!(ask(socks, format!("odd{number}=1;jid=x").as_bytes()), SUCCEEDED);
    }
}

#[test]
fn row_31_a_parent_that_does_not_read_stops_nothing() {
    let (mut child, mut pipe, socks) = client();
    pipe.fill();
    answers_requests(socks);
    assert!(child.process.is_running());
    // What did not fit comes when there is room, whole lines all of it.
    let late = String::from_utf8(pipe.read_to("LOG SEVERITY=")).unwrap();
    assert!(late.trim_start_matches('.').starts_with("LOG SEVERITY="), "{late}");
}

#[test]
fn row_10_it_ends_in_time_though_nobody_reads_its_last_words() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, mut pipe, socks) = client();
        pipe.fill();
        answers_requests(socks);
        child.process.signal(signal);
        assert_eq!(child.process.wait(EXIT_LIMIT).unwrap().code(), Some(0));
    }
}

#[test]
fn row_31_a_closed_pipe_stops_nothing() {
    let (mut child, pipe, socks) = client();
    drop(pipe);
    answers_requests(socks);
    assert!(child.process.is_running());
    child.process.close_stdin();
    assert_eq!(child.process.wait(EXIT_LIMIT).unwrap().code(), Some(0));
}
