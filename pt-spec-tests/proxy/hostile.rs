//! Hostile proxies: what one says in words goes nowhere, one line of our own in the log, and a bound on what is read.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use crate::child::{Child, Launch};
use crate::halves::{PATIENCE, accept, request};
use crate::log::{message, warns};

/// More than any answer of a proxy needs, in bytes.
const FLOOD: usize = 64 << 20;

/// What the child may use at most, in KiB; without a flood it is about a third of this.
const MOST_MEMORY: u64 = 48 << 10;

/// A proxy that reads a little, says `answer` and then `filler` until nobody listens any more. Tells how much of that
/// it got rid of on its first connection.
fn proxy(answer: &'static [u8], filler: &'static [u8]) -> (SocketAddr, mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for mut tcp in listener.incoming().flatten() {
            let mut sent = 0;
            // Whoever hangs up in the middle is what this is about.
            let _ = tcp.read(&mut [0; 1024]).and_then(|_| tcp.write_all(answer));
            while !filler.is_empty() && sent < FLOOD && tcp.write_all(filler).is_ok() {
                sent += filler.len();
            }
            let _ = tell.send(sent);
        }
    });
    (address, told)
}

fn client(uri: &str) -> Child {
    let child = Launch::client().config("[limits]\nconnect_timeout = 3\n").set("TOR_PT_PROXY", uri).start();
    let refused = request(
        child.socks(),
        "mode=classic;jid=b@chat.example;login=a@chat.example:x;server=192.0.2.1:5222",
    );
    assert_eq!(refused.unwrap_err(), 1);
    child
}

fn is_harmless(child: &Child) {
    for line in child.process.lines().iter().filter(|line| !line.starts_with("STATUS ")) {
        if line.starts_with("LOG ") {
            assert!(!message(line).contains('\n'), "{line}");
        } else {
            assert!(["VERSION", "PROXY", "CMETHOD", "CMETHODS"].contains(&line.split(' ').next().unwrap()));
        }
        assert!(!line.contains("planted"), "{line}");
    }
}

/// The most memory that the child has used, in KiB.
fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.process.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A proxy's answer, and our words for it.
const REFUSALS: [(&str, &[u8], &str); 8] = [
    ("http", b"HTTP/1.1 407 planted\r\nX: planted\nLOG SEVERITY=error MESSAGE=planted\r\n\r\n", CREDENTIALS),
    ("http", b"HTTP/1.1 502 \xff\xfeplanted\x1b[31m\0\r\n\r\n", "the proxy could not reach it (code 502)"),
    ("http", b"\nCMETHOD planted socks5 127.0.0.1:9\n\n", NONSENSE),
    ("http", b"\xff\xff\xff\xff\r\n\r\n", NONSENSE),
    ("socks4a", b"HTTP/1.1 200 planted\r\n\r\n", NONSENSE),
    ("socks4a", b"\0\x5bplanted", "the proxy could not reach it (code 91)"),
    ("socks5", b"\nplanted\n", NONSENSE),
    ("socks5", b"\x05\xff", CREDENTIALS),
];
const NONSENSE: &str = "the proxy does not speak the protocol that it was configured for";
const CREDENTIALS: &str = "the proxy refused our credentials, or wants some";

#[test]
fn row_22_no_word_of_a_proxys_refusal_reaches_the_log() {
    each(&REFUSALS, |(scheme, answer, text)| {
        let (address, _) = proxy(answer, b"");
        let child = client(&format!("{scheme}://{address}"));
        warns(&child, text);
        is_harmless(&child);
    });
}

/// How an answer begins, and what follows without end.
const ENDLESS: [(&str, &[u8], &[u8]); 4] = [
    ("http", b"HTTP/1.1 200 OK\r\n", b"X-Planted: planted planted planted\r\n"),
    ("http", b"HTTP/1.1 200 OK\r\nX: ", b"plantedplantedplantedplantedplanted"),
    ("socks4a", b"", b"plantedplanted"),
    ("socks5", b"\x05\0\x05\x01\0\x03", b"plantedplanted"),
];

#[test]
fn row_22_a_proxy_whose_answer_never_ends_is_left_soon() {
    each(&ENDLESS, |(scheme, answer, filler)| {
        let (address, told) = proxy(answer, filler);
        let child = client(&format!("{scheme}://{address}"));
        let sent = told.recv_timeout(PATIENCE).unwrap();
        assert!(sent < FLOOD, "{scheme}: it listened to all of it");
        let memory = peak_memory(&child);
        assert!(memory < MOST_MEMORY, "{scheme}: {memory} KiB");
        is_harmless(&child);
    });
}

/// Tests all cases at once: each of them waits most of the time.
fn each<T: Copy + Sync>(cases: &[T], test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| test(*case));
        }
    });
}

#[test]
fn row_22_a_proxy_that_says_nothing_costs_the_request_its_time_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let child = Launch::client().config("[limits]\nconnect_timeout = 2\n").set("TOR_PT_PROXY", &uri).start();
    let arguments = "mode=classic;jid=b@chat.example;login=a@chat.example:x;server=127.0.0.1:1";
    // "TTL expired", the code for whatever did not answer in time.
    assert_eq!(request(child.socks(), arguments).unwrap_err(), 6);
    let mut tcp = accept(&listener);
    let mut head = [0; 21];
    tcp.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"CONNECT 127.0.0.1:1 H");
}
