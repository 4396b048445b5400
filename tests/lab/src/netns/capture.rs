//! Capture of packets: what passes through a namespace.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};

use super::Namespace;

/// The protocols whose ports are read (IANA's protocol numbers).
const TCP: u8 = 6;
const UDP: u8 = 17;
/// By which the kernel itself finds neighbours and routers.
const ICMP_V6: u8 = 58;
const HOP_BY_HOP: u8 = 0;

/// How much may wait to be read, in bytes, lest anything is missed.
const BACKLOG: usize = 64 << 20;

/// Silence for so long means that everything has been read.
const SILENCE: Duration = Duration::from_millis(200);

/// A packet as far as it matters where it goes. Ports are 0 where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    /// IANA's number of what is inside.
    pub protocol: u8,
    /// Where it comes from.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
}

/// Notes each IP packet of a namespace, sent or received, on any interface, until it is [finished](Self::finish).
#[derive(Debug)]
pub struct Capture {
    ended: Arc<AtomicBool>,
    reader: Option<JoinHandle<BTreeSet<Packet>>>,
}

impl Capture {
    /// Starts now.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.run(packet_socket).context("opening a packet socket")?;
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let reader = Some(thread::spawn(move || read(&socket, &flag)));
        Ok(Self { ended, reader })
    }

    /// All different packets until now, but for the kernel's own search for neighbours.
    ///
    /// # Errors
    ///
    /// When they could not be read.
    pub fn finish(mut self) -> Result<BTreeSet<Packet>> {
        self.ended.store(true, Ordering::SeqCst);
        let reader = self.reader.take().context("it is finished only once")?;
        reader.join().map_err(|_| anyhow!("reading packets failed"))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

fn packet_socket() -> rustix::io::Result<OwnedFd> {
    // The kernel takes the header of the link off.
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(eth::ALL))?;
    set_socket_recv_buffer_size_force(&socket, BACKLOG)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(SILENCE))?;
    Ok(socket)
}

/// Reads until there is nothing more after the end was demanded.
fn read(socket: &OwnedFd, ended: &AtomicBool) -> BTreeSet<Packet> {
    let mut packets = BTreeSet::new();
    let mut buffer = [0; 128];
    loop {
        // Asked first: what was sent before the end is read.
        let last = ended.load(Ordering::SeqCst);
        match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((length, _)) => packets.extend(buffer.get(..length).and_then(Packet::parse)),
            Err(_) if last => return packets,
            Err(_) => {}
        }
    }
}

impl Packet {
    /// Reads the headers of IPv4 (RFC 791) or IPv6 (RFC 8200) and the ports behind them.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let packet = match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }?;
        let by_the_kernel = packet.to.is_ipv6() && [ICMP_V6, HOP_BY_HOP].contains(&packet.protocol);
        (!by_the_kernel).then_some(packet)
    }

    fn parse_v4(bytes: &[u8]) -> Option<Self> {
        let address = |at: usize| Some(Ipv4Addr::from(array(bytes, at)?));
        let protocol = *bytes.get(9)?;
        let ports = ports(protocol, bytes.get(usize::from(bytes.first()? & 15) * 4..)?);
        let (from, to) = ((address(12)?, ports.0).into(), (address(16)?, ports.1).into());
        Some(Self { protocol, from, to })
    }

    fn parse_v6(bytes: &[u8]) -> Option<Self> {
        let address = |at: usize| Some(Ipv6Addr::from(array(bytes, at)?));
        let protocol = *bytes.get(6)?;
        let ports = ports(protocol, bytes.get(40..)?);
        let (from, to) = ((address(8)?, ports.0).into(), (address(24)?, ports.1).into());
        Some(Self { protocol, from, to })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn ports(protocol: u8, payload: &[u8]) -> (u16, u16) {
    let port = |at| array(payload, at).map(u16::from_be_bytes).filter(|_| [TCP, UDP].contains(&protocol));
    (port(0).unwrap_or(0), port(2).unwrap_or(0))
}
