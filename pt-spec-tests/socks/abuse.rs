//! Row 24, abuse: whatever comes in, nothing is left behind.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{GENERAL_FAILURE, ask, connect};
use crate::child::{Child, Launch};

const CONNECTIONS: usize = 1000;

/// A handshake takes 5 seconds at most, and there are many of them at once.
const PATIENCE: Duration = Duration::from_secs(40);

/// Random bytes behind a beginning that leads some way into the handshake.
fn garbage(random: &mut StdRng) -> Vec<u8> {
    let beginnings: [&[u8]; 6] = [&[], &[5], &[5, 1, 0], &[5, 1, 2], &[5, 1, 2, 1], &[5, 1, 0, 5, 1, 0]];
    let mut bytes = beginnings[random.random_range(0..beginnings.len())].to_vec();
    bytes.extend((0..random.random_range(0..600)).map(|_| random.random::<u8>()));
    bytes
}

fn send(socks: SocketAddr, random: &mut StdRng) {
    let mut stream = connect(socks);
    let bytes = garbage(random);
    // It may be closed already, and that is fine.
    let _ = stream.write_all(&bytes);
    if random.random() {
        let _ = stream.shutdown(Shutdown::Write);
    }
}

fn open_files(child: &Child) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", child.process.pid())).unwrap().count()
}

#[test]
fn row_24_a_thousand_connections_of_garbage_leave_nothing_behind() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut child = Launch::client().start();
    assert_eq!(ask(child.socks(), b"jid=b@x"), GENERAL_FAILURE);
    let before = open_files(&child);
    for _ in 0..CONNECTIONS {
        send(child.socks(), &mut random);
    }
    let deadline = Instant::now() + PATIENCE;
    while open_files(&child) > before {
        assert!(Instant::now() < deadline, "{} files were open, and {} are", before, open_files(&child));
        thread::sleep(Duration::from_millis(50));
    }
    assert!(child.process.is_running());
    assert_eq!(ask(child.socks(), b"jid=b@x"), GENERAL_FAILURE, "it still serves");
    let known =
        |line: &String| ["VERSION ", "CMETHOD", "STATUS ", "LOG "].iter().any(|word| line.starts_with(word));
    assert!(child.process.lines().iter().all(known), "{:?}", child.process.lines());
}
