//! Metrics of both halves, as a scraper gets them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::{EchoServer, Kind};

use crate::harness::{Half, Lab, PATIENCE, Route, echo, random_bytes};
use crate::pair::Bridge;

const METRICS: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

/// The page that a half hands out.
fn page(half: &Half) -> String {
    let line = half.says("metrics are at http://", PATIENCE);
    let (_, address) = line.split_once("http://").unwrap();
    let mut tcp = TcpStream::connect(address.strip_suffix("/metrics").unwrap()).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    page.to_owned()
}

/// The value of a sample.
fn value(page: &str, sample: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

/// Waits until a sample has this value at the least: pages are made once a second.
fn reaches(half: &Half, sample: &str, least: f64) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = page(half);
        if value(&page, sample).is_some_and(|value| value >= least) {
            return page;
        }
        assert!(Instant::now() < deadline, "{sample} is not {least} in {page}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn both_halves_say_what_they_carry_and_name_nobody() {
    const BYTES: usize = 300_000;
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let config = |user| lab.config(&[user], &Route::StartTls) + METRICS;
    let bridge = Bridge::configured(config("bob"), target.address());
    let forward = bridge.forward_configured(&config("alice"));
    echo(forward.entrance(), &random_bytes(BYTES)).unwrap();
    for (half, sessions) in [(&bridge.half, 8.0), (&forward, 1.0)] {
        for direction in ["sent", "received"] {
            let sample = format!("hexchat_pt_bytes_total{{direction=\"{direction}\",lane=\"chat\"}}");
            reaches(half, &sample, BYTES as f64);
        }
        let page = page(half);
        assert_eq!(value(&page, "hexchat_pt_accounts{state=\"online\"}"), Some(1.0), "{page}");
        assert_eq!(value(&page, "hexchat_pt_sessions"), Some(sessions), "{page}");
        assert!(value(&page, "hexchat_pt_handshakes_total{result=\"completed\"}") >= Some(1.0), "{page}");
        for name in ["alice", "bob", "@", "127.0.0.1"] {
            assert!(!page.contains(name), "{name} is in {page}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_said_and_stops_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let address = taken.local_addr().unwrap();
    let config = lab.config(&["bob"], &Route::StartTls) + &format!("[metrics]\nlisten = \"{address}\"\n");
    let bridge = Bridge::configured(config, target.address());
    let line = bridge.half.says("there are no metrics", PATIENCE);
    assert!(line.contains("[warning]") && line.contains("[metrics] listen"), "{line}");
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    echo(forward.entrance(), &random_bytes(1000)).unwrap();
}
