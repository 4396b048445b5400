//! Secrets are overwritten when they are no longer needed: this process looks for them in its own memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use hexchat_pt::config::{BridgeConfig, Config};
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is read of the memory at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// A random text that is nowhere in memory, except as what `plain` returns: here it is kept disguised.
struct Canary(Vec<u8>);

const DISGUISE: u8 = 0x80;

impl Canary {
    /// 43 characters that may stand in a password and in a key, of which the last has no bits to spare.
    fn new() -> Self {
        let letter = |random: u8| b'a' + random % 26;
        let text = (0..42).map(|_| letter(rand::random())).chain([b'A']);
        Self(text.map(|byte| byte ^ DISGUISE).collect())
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.iter().map(|byte| byte ^ DISGUISE).collect())
    }

    /// How often its second half is in memory. The first one does not count: what the allocator writes into memory that
    /// it got back may hide it.
    fn copies(&self) -> usize {
        let needle = &self.0[self.0.len() / 2..];
        let memory = File::open("/proc/self/mem").unwrap();
        // Its memory is taken before the list of all memory is read, and it is cleared after each look.
        let mut chunk = Zeroizing::new(vec![0; CHUNK]);
        let mut copies = 0;
        for (mut at, end) in writable_memory() {
            while at < end {
                let length = usize::try_from(end - at).unwrap().min(CHUNK);
                // Some of it cannot be read, and is none of ours.
                if let Ok(length @ 1..) = memory.read_at(&mut chunk[..length], at) {
                    copies += count(&chunk[..length], needle);
                    chunk.as_mut_slice().zeroize();
                    // The needle may lie across two chunks.
                    let overlap = if length == CHUNK { needle.len() } else { 0 };
                    at += u64::try_from(length - overlap).unwrap();
                } else {
                    break;
                }
            }
        }
        copies
    }
}

/// Where something disguised stands in plain.
fn count(haystack: &[u8], needle: &[u8]) -> usize {
    let is_there = |at: &usize| {
        let place = haystack.get(*at..*at + needle.len());
        place.is_some_and(|place| {
            place.iter().zip(needle).all(|(byte, disguised)| byte ^ DISGUISE == *disguised)
        })
    };
    memchr::memchr_iter(needle[0] ^ DISGUISE, haystack).filter(is_there).count()
}

fn writable_memory() -> Vec<(u64, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let range = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        rest.starts_with("rw").then_some((address(start)?, address(end)?))
    };
    maps.lines().filter_map(range).collect()
}

/// Sends a SOCKS request with these arguments, as Tor does.
async fn ask(port: u16, arguments: Zeroizing<Vec<u8>>) -> TcpStream {
    let mut tor = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tor.write_all(&[5, 1, 2]).await.unwrap();
    tor.read_exact(&mut [0; 2]).await.unwrap();
    tor.write_all(&[1, u8::try_from(arguments.len()).unwrap()]).await.unwrap();
    tor.write_all(&arguments).await.unwrap();
    tor.write_all(&[1, 0]).await.unwrap();
    tor.read_exact(&mut [0; 2]).await.unwrap();
    tor.write_all(&[5, 1, 0, 1, 192, 0, 2, 1, 0, 1]).await.unwrap();
    tor
}

fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(parts.concat())
}

async fn socks_arguments_leave_nothing() {
    let (password, key, psk) = (Canary::new(), Canary::new(), Canary::new());
    let copies = || [&password, &key, &psk].map(Canary::copies);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let arguments = joined(&[
        b"jid=b@x.example/r;login=a@x.example:",
        &password.plain(),
        b";key=",
        &key.plain(),
        b";psk=",
        &psk.plain(),
    ]);
    let tor = tokio::spawn(ask(port, arguments));
    let (socket, _) = listener.accept().await.unwrap();
    let request = tor_pt::socks::accept(socket, Duration::from_secs(10)).await.unwrap();
    drop(tor.await.unwrap());
    let (bridge, _) = BridgeConfig::resolve(request.args().iter(), &Config::default()).unwrap();
    assert!(copies().iter().all(|copies| *copies > 0), "what is in use is found: {:?}", copies());
    drop((request, bridge));
    assert_eq!(copies(), [0; 3]);
}

fn a_configuration_leaves_nothing(directory: &Path) {
    let (password, alone, psk) = (Canary::new(), Canary::new(), Canary::new());
    let copies = || [&password, &alone, &psk].map(Canary::copies);
    let write = |name: &str, parts: &[&[u8]]| {
        let path = directory.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.unwrap().write_all(&joined(parts)).unwrap();
        path
    };
    write("password", &[&alone.plain(), b"\n"]);
    let path = write(
        "config",
        &[
            b"[[account]]\njid = \"a@x.example\"\npassword = \"",
            &password.plain(),
            b"\"\n[[account]]\njid = \"b@x.example\"\npassword_file = \"password\"\n[client]\nlogin = \"c@x.example:",
            &password.plain(),
            b"\"\n[bridge]\npsk = \"",
            &psk.plain(),
            b"\"\n",
        ],
    );
    let config = Config::load(&path).unwrap();
    assert!(copies()[..2].iter().all(|copies| *copies > 0), "what is in use is found: {:?}", copies());
    assert!(config.bridge.psk.is_some());
    drop(config);
    assert_eq!(copies(), [0; 3]);
}

/// One test, so that nothing else happens in this process: the allocator may give memory away and take it back.
#[test]
fn what_tor_and_the_configuration_say_is_overwritten() {
    // In this thread, whose memory is not given back.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(socks_arguments_leave_nothing());
    let directory = tempfile::tempdir().unwrap();
    a_configuration_leaves_nothing(directory.path());
}
