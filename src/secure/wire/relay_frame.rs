//! Frames about relays: what the ends of a session say to each other of byte streams through a proxy (doc/lanes.md).
//!
//! Only ends that both know them send them. All of them are acknowledged, and can come twice.

use std::fmt;

use bytes::{Buf, Bytes};

use crate::secure::wire::varint;

/// The longest host, in bytes: 253, as long as a name can be (RFC 1035 section 2.3.4).
pub const MAX_HOST: usize = 253;

/// How long the address is by which a proxy joins two connections, in bytes: a SHA-1 hash (XEP-0065 section 5.3.2).
pub const ADDRESS: usize = 20;

/// The numbers of the frame types.
mod kind {
    pub(super) const RELAY: u8 = 0x15;
    pub(super) const JOINED: u8 = 0x16;
    pub(super) const RELAY_END: u8 = 0x17;
}

/// One frame about relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayFrame {
    /// From a client: it is connected to the proxy there, and waits for the bridge.
    Relay {
        /// Its number.
        relay: u64,
        /// Where.
        rendezvous: Rendezvous,
    },
    /// From a bridge: it is connected there, too.
    Joined {
        /// Its number.
        relay: u64,
    },
    /// The sender is done with a relay.
    RelayEnd {
        /// Its number.
        relay: u64,
        /// Why.
        reason: RelayEndReason,
    },
}

/// Where two ends meet: a SOCKS5 proxy, and what both ask it for.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendezvous {
    host: String,
    port: u16,
    address: [u8; ADDRESS],
}

impl Rendezvous {
    /// At this host, a name or an address of visible ASCII; none if it is something else, or the port is 0. Whether it is to be called,
    /// others decide.
    pub fn new(host: &str, port: u16, address: [u8; ADDRESS]) -> Option<Self> {
        let is_visible = host.bytes().all(|byte| byte.is_ascii_graphic());
        let is_one = (1..=MAX_HOST).contains(&host.len()) && is_visible && port != 0;
        is_one.then(|| Self { host: host.to_owned(), port, address })
    }

    /// The proxy's host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What both ends ask the proxy for.
    pub fn address(&self) -> [u8; ADDRESS] {
        self.address
    }
}

impl fmt::Debug for Rendezvous {
    /// Not where it is: it tells the client's server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rendezvous(..)")
    }
}

/// Why somebody is done with a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayEndReason {
    /// It is not needed any more.
    Done,
    /// It has taken too long.
    TooSlow,
    /// The host is not one that is called.
    BadHost,
    /// The proxy refuses.
    Refused,
    /// The proxy cannot be reached, or the connection has broken.
    Unreachable,
    /// What came was none of this relay's.
    Damaged,
    /// The sender has as many as it may.
    TooMany,
}

impl RelayEndReason {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Done,
        Self::TooSlow,
        Self::BadHost,
        Self::Refused,
        Self::Unreachable,
        Self::Damaged,
        Self::TooMany,
    ];

    fn number(self) -> u64 {
        self as u64
    }

    fn from_number(number: u64) -> Self {
        Self::ALL.into_iter().find(|reason| reason.number() == number).unwrap_or(Self::Unreachable)
    }
}

impl RelayFrame {
    /// Whether a frame of this type is one about relays.
    pub fn is_kind(kind: u8) -> bool {
        (kind::RELAY..=kind::RELAY_END).contains(&kind)
    }

    /// Appends the frame to a packet: exactly [`encoded_len`](Self::encoded_len) bytes.
    pub fn encode(&self, packet: &mut Vec<u8>) {
        match self {
            Self::Relay { relay, rendezvous: Rendezvous { host, port, address } } => {
                packet.push(kind::RELAY);
                varint::write(packet, *relay);
                varint::write(packet, host.len() as u64);
                packet.extend_from_slice(host.as_bytes());
                packet.extend_from_slice(&port.to_be_bytes());
                packet.extend_from_slice(address);
            }
            Self::Joined { relay } => {
                packet.push(kind::JOINED);
                varint::write(packet, *relay);
            }
            Self::RelayEnd { relay, reason } => {
                packet.push(kind::RELAY_END);
                varint::write(packet, *relay);
                varint::write(packet, reason.number());
            }
        }
    }

    /// How many bytes it takes.
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Relay { relay, rendezvous: Rendezvous { host, .. } } => {
                varint::len(*relay) + varint::len(host.len() as u64) + host.len() + size_of::<u16>() + ADDRESS
            }
            Self::Joined { relay } => varint::len(*relay),
            Self::RelayEnd { relay, reason } => varint::len(*relay) + varint::len(reason.number()),
        }
    }

    /// Takes a frame of this type, whose byte is gone already, from the front; none if it is cut off or holds what cannot be.
    pub fn decode(kind: u8, from: &mut Bytes) -> Option<Self> {
        let relay = varint::read(from)?;
        Some(match kind {
            kind::RELAY => Self::Relay { relay, rendezvous: take_rendezvous(from)? },
            kind::JOINED => Self::Joined { relay },
            kind::RELAY_END => {
                Self::RelayEnd { relay, reason: RelayEndReason::from_number(varint::read(from)?) }
            }
            _ => return None,
        })
    }
}

fn take_rendezvous(from: &mut Bytes) -> Option<Rendezvous> {
    let length = usize::try_from(varint::read(from)?).ok().filter(|length| *length <= from.len())?;
    let host = from.split_to(length);
    let port = from.try_get_u16().ok()?;
    let address = *from.first_chunk()?;
    from.advance(ADDRESS);
    Rendezvous::new(std::str::from_utf8(&host).ok()?, port, address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;

    use super::*;

    fn rendezvous() -> Rendezvous {
        Rendezvous::new("p.example", 7777, [9; ADDRESS]).unwrap()
    }

    fn encoded(frame: &RelayFrame) -> Vec<u8> {
        let mut packet = Vec::new();
        frame.encode(&mut packet);
        packet
    }

    /// The frame in these bytes, if they are one as a whole.
    fn decoded(bytes: &[u8]) -> Option<RelayFrame> {
        let (kind, rest) = bytes.split_first()?;
        let mut rest = Bytes::copy_from_slice(rest);
        RelayFrame::decode(*kind, &mut rest).filter(|_| rest.is_empty())
    }

    #[test]
    fn frames_are_laid_out_as_the_table_says() {
        let relay = [&[0x15, 7, 9], &b"p.example"[..], &[0x1e, 0x61], &[9; ADDRESS]].concat();
        for (frame, bytes) in [
            (RelayFrame::Relay { relay: 7, rendezvous: rendezvous() }, &relay[..]),
            (RelayFrame::Joined { relay: 7 }, &[0x16, 7]),
            (RelayFrame::RelayEnd { relay: 7, reason: RelayEndReason::Refused }, &[0x17, 7, 3]),
        ] {
            assert_eq!(encoded(&frame), bytes);
            assert_eq!(decoded(bytes), Some(frame));
            assert!(RelayFrame::is_kind(bytes[0]));
        }
        assert!(!RelayFrame::is_kind(0x14) && !RelayFrame::is_kind(0x18));
    }

    #[test]
    fn an_unknown_reason_is_that_nobody_was_reached() {
        let end = |reason| RelayFrame::RelayEnd { relay: 0, reason };
        assert_eq!(decoded(&[0x17, 0, 7]), Some(end(RelayEndReason::Unreachable)));
        for (number, reason) in RelayEndReason::ALL.into_iter().enumerate() {
            assert_eq!(decoded(&[0x17, 0, number as u8]), Some(end(reason)));
        }
    }

    #[test]
    fn what_could_be_no_host_is_not_taken_and_neither_is_port_0() {
        for host in ["", "a b", "a\0", "\u{e9}", &"a".repeat(MAX_HOST + 1)] {
            assert_eq!(Rendezvous::new(host, 1, [0; ADDRESS]), None, "{host:?}");
        }
        assert_eq!(Rendezvous::new("a", 0, [0; ADDRESS]), None);
    }

    #[test]
    fn the_place_is_not_shown() {
        let shown = format!("{:?}", RelayFrame::Relay { relay: 0, rendezvous: rendezvous() });
        assert!(!shown.contains("example") && !shown.contains("7777") && !shown.contains('9'), "{shown}");
    }

    fn frame() -> impl Strategy<Value = RelayFrame> {
        let number = || 0..=varint::MAX;
        prop_oneof![
            (number(), "[!-~]{1,80}", 1..=u16::MAX, any::<[u8; ADDRESS]>()).prop_map(
                |(relay, host, port, address)| {
                    RelayFrame::Relay { relay, rendezvous: Rendezvous::new(&host, port, address).unwrap() }
                }
            ),
            number().prop_map(|relay| RelayFrame::Joined { relay }),
            (number(), 0_u64..7).prop_map(|(relay, reason)| RelayFrame::RelayEnd {
                relay,
                reason: RelayEndReason::from_number(reason)
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_frame_comes_back_and_takes_as_long_as_it_says(frame in frame()) {
            let bytes = encoded(&frame);
            prop_assert_eq!(bytes.len(), frame.encoded_len());
            prop_assert_eq!(decoded(&bytes), Some(frame));
        }

        #[test]
        fn a_frame_that_is_cut_off_is_none(frame in frame(), at in any::<prop::sample::Index>()) {
            let bytes = encoded(&frame);
            prop_assert_eq!(decoded(&bytes[..at.index(bytes.len())]), None);
        }

        #[test]
        fn any_bytes_are_a_frame_or_none(kind in 0x14_u8..0x19, bytes in any::<Vec<u8>>()) {
            let _ = RelayFrame::decode(kind, &mut bytes.into());
        }
    }
}
