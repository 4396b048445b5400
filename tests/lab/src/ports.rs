//! Ports on loopback that no other test takes.
//!
//! Asking the kernel for port 0 is not enough here: it answers from the range that outgoing connections
//! draw from as well, so a server that is stopped for ten seconds can find its port in use by some client
//! when it starts again. These ports lie below that range, and each is reserved by a Unix socket of an
//! abstract name: it is seen by every process of the same network namespace, and is gone with the process
//! that holds it, however that one ends.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The lowest port handed out: above those of well-known services.
const LOWEST: u16 = 10_000;

/// What the kernel uses for outgoing connections when its setting cannot be read.
const DEFAULT_EPHEMERAL: u16 = 32_768;

/// The reservations of this process, held until it ends.
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nobody listens on and that is handed out once, to this process.
///
/// A program outside of these tests can still take it: who starts a server retries with another one.
///
/// # Errors
///
/// When every port of the range is taken; trying again can help.
pub fn free_port() -> Result<u16> {
    let end = first_ephemeral();
    let count = u64::from(end.saturating_sub(LOWEST)).max(1);
    let start = RandomState::new().hash_one(std::process::id()) % count;
    for step in 0..count {
        let offset = u16::try_from((start + step) % count).unwrap_or(0);
        let port = LOWEST.saturating_add(offset);
        if reserve(port) {
            return Ok(port);
        }
    }
    bail!("no free port on loopback between {LOWEST} and {end}")
}

/// `port` on 127.0.0.1.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// An address of loopback beside 127.0.0.1, where even ports that everybody knows are free: nobody else is likely to have chosen it.
pub fn random_loopback() -> Ipv4Addr {
    let [second, third, fourth, ..] = RandomState::new().hash_one(()).to_be_bytes();
    Ipv4Addr::new(127, second | 1, third, fourth | 1)
}

fn reserve(port: u16) -> bool {
    let name = format!("hexchat-lab/port/{port}");
    let Ok(listener) = UnixAddr::from_abstract_name(name).and_then(|addr| UnixListener::bind_addr(&addr))
    else {
        return false;
    };
    // Kept even when something else listens on the port: it need not be tried again.
    let mut reserved = RESERVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    reserved.push(listener);
    TcpListener::bind(loopback(port)).is_ok()
}

/// The first port that the kernel may give to an outgoing connection.
fn first_ephemeral() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|word| word.parse().ok());
    // A machine may have set the range so low that nothing is left below it.
    first.filter(|port| *port > LOWEST + 1_000).unwrap_or(DEFAULT_EPHEMERAL)
}

/// Starts something on ports of its own choice, again if somebody else was faster to take one.
///
/// # Errors
///
/// Why the last of three tries failed.
pub fn try_ports<T>(start: impl Fn() -> Result<T>) -> Result<T> {
    start().or_else(|_| start()).or_else(|_| start())
}

/// Waits until somebody listens on `port`; `alive` says whether it still makes sense to wait.
///
/// # Errors
///
/// After `timeout`, or when `alive` says no.
pub fn wait_until_open(port: u16, timeout: Duration, mut alive: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + timeout;
    while TcpStream::connect(loopback(port)).is_err() {
        if !alive() || Instant::now() > deadline {
            bail!("nobody listens on port {port}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_handed_out_twice() {
        let ports: Vec<u16> = (0..200).map(|_| free_port().unwrap()).collect();
        let distinct: HashSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len());
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_handed_out() {
        let port = free_port().unwrap();
        let _listener = TcpListener::bind(loopback(port)).unwrap();
        assert!(!reserve(port));
    }

    #[test]
    fn ports_stay_clear_of_those_of_outgoing_connections() {
        let port = free_port().unwrap();
        assert!(port >= LOWEST && port < first_ephemeral());
    }
}
