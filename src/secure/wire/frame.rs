//! Frames: what packets carry, one after the other.

mod decode;
mod reason;

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;

use crate::protocol::Address;
use crate::secure::wire::ack::AckFrame;
use crate::secure::wire::file_frame::FileFrame;
use crate::secure::wire::relay_frame::RelayFrame;
use crate::secure::wire::varint;

pub use decode::{MalformedFrame, Reader};
pub use reason::{ResetReason, SessionClose};

/// The most JIDs of one frame: 256. Nobody has as many accounts, and a frame with more of them is malformed.
pub const MAX_JIDS_A_FRAME: usize = 256;

/// The numbers of the frame types.
mod kind {
    pub(crate) const PADDING: u8 = 0x00;
    pub(crate) const PING: u8 = 0x01;
    pub(crate) const ACK: u8 = 0x02;
    pub(crate) const OPEN: u8 = 0x03;
    pub(crate) const ACCEPT: u8 = 0x04;
    pub(crate) const DATA: u8 = 0x05;
    pub(crate) const LAST_DATA: u8 = 0x06;
    pub(crate) const RESET: u8 = 0x07;
    pub(crate) const STREAM_CREDIT: u8 = 0x08;
    pub(crate) const SESSION_CREDIT: u8 = 0x09;
    pub(crate) const JIDS: u8 = 0x0a;
    pub(crate) const CLOSE: u8 = 0x0b;
    pub(crate) const STOP: u8 = 0x0c;
}

/// One frame. PADDING is none: it is the rest of its packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Something to acknowledge.
    Ping,
    /// Packets that have arrived.
    Ack(AckFrame),
    /// The client asks for a connection.
    Open {
        /// The stream to be.
        stream: u64,
        /// Where to.
        target: Address,
    },
    /// The bridge has reached the target.
    Accept {
        /// The stream.
        stream: u64,
    },
    /// Bytes of a stream.
    Data {
        /// The stream.
        stream: u64,
        /// How many bytes of the stream come before these.
        offset: u64,
        /// The bytes; may be none.
        data: Bytes,
        /// Nothing comes after these.
        fin: bool,
    },
    /// The end of a stream in both directions, before everything has arrived.
    Reset {
        /// The stream.
        stream: u64,
        /// Why.
        reason: ResetReason,
        /// How many bytes of the stream its sender has sent. They use up the session's credit
        /// whether they arrive or not.
        sent: u64,
    },
    /// How much of a stream may be sent.
    StreamCredit {
        /// The stream.
        stream: u64,
        /// Up to which byte.
        offset: u64,
    },
    /// How much may be sent on all streams together.
    SessionCredit {
        /// The sum of the highest offsets of all streams that there have ever been.
        offset: u64,
    },
    /// All JIDs at which the sender can be reached from now on.
    Jids {
        /// The highest serial counts.
        serial: u64,
        /// The JIDs, at most [`MAX_JIDS_A_FRAME`].
        jids: Vec<FullJid>,
    },
    /// The session is over.
    Close {
        /// Why.
        reason: SessionClose,
    },
    /// Nothing more of the stream will be read.
    Stop {
        /// The stream.
        stream: u64,
    },
    /// Something about files, between ends that both know them.
    File(FileFrame),
    /// Something about relays, between ends that both know them.
    Relay(RelayFrame),
}

impl Frame {
    /// Whether the peer should say that it has come.
    pub fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Ack(_) | Self::Close { .. })
    }

    /// Appends the frame to a packet: exactly [`encoded_len`](Self::encoded_len) bytes.
    pub fn encode(&self, packet: &mut Vec<u8>) {
        match self {
            Self::Ping => packet.push(kind::PING),
            Self::Ack(ack) => {
                packet.push(kind::ACK);
                ack.encode(packet);
            }
            Self::Open { stream, target } => encode_open(packet, *stream, target),
            Self::Accept { stream } => numbers(packet, kind::ACCEPT, &[*stream]),
            Self::Data { stream, offset, data, fin } => {
                encode_data_header(packet, *stream, *offset, data.len(), *fin);
                packet.extend_from_slice(data);
            }
            Self::Reset { stream, reason, sent } => {
                numbers(packet, kind::RESET, &[*stream, reason.number(), *sent]);
            }
            Self::StreamCredit { stream, offset } => {
                numbers(packet, kind::STREAM_CREDIT, &[*stream, *offset]);
            }
            Self::SessionCredit { offset } => numbers(packet, kind::SESSION_CREDIT, &[*offset]),
            Self::Jids { serial, jids } => encode_jids(packet, *serial, jids),
            Self::Close { reason } => numbers(packet, kind::CLOSE, &[reason.number()]),
            Self::Stop { stream } => numbers(packet, kind::STOP, &[*stream]),
            Self::File(frame) => frame.encode(packet),
            Self::Relay(frame) => frame.encode(packet),
        }
    }

    /// How many bytes it takes.
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Ping => 0,
            Self::File(frame) => frame.encoded_len() - 1,
            Self::Relay(frame) => frame.encoded_len() - 1,
            Self::Ack(ack) => ack.encoded_len(),
            Self::Open { stream, target } => {
                let host = target.host().len();
                varint::len(*stream) + varint::len(host as u64) + host + 2
            }
            Self::Data { stream, offset, data, .. } => {
                data_header_len(*stream, *offset, data.len()) - 1 + data.len()
            }
            Self::Reset { stream, reason, sent } => {
                varint::len(*stream) + varint::len(reason.number()) + varint::len(*sent)
            }
            Self::StreamCredit { stream, offset } => varint::len(*stream) + varint::len(*offset),
            Self::SessionCredit { offset } => varint::len(*offset),
            Self::Jids { serial, jids } => {
                let texts: usize = jids.iter().map(|jid| 2 + jid.as_str().len()).sum();
                varint::len(*serial) + varint::len(jids.len() as u64) + texts
            }
            Self::Close { reason } => varint::len(reason.number()),
            Self::Accept { stream } | Self::Stop { stream } => varint::len(*stream),
        }
    }
}

/// The beginning of a DATA frame; `length` bytes must follow.
pub(crate) fn encode_data_header(packet: &mut Vec<u8>, stream: u64, offset: u64, length: usize, fin: bool) {
    let kind = if fin { kind::LAST_DATA } else { kind::DATA };
    numbers(packet, kind, &[stream, offset, length as u64]);
}

/// How long the beginning of a DATA frame is.
pub(crate) fn data_header_len(stream: u64, offset: u64, length: usize) -> usize {
    1 + varint::len(stream) + varint::len(offset) + varint::len(length as u64)
}

fn encode_open(packet: &mut Vec<u8>, stream: u64, target: &Address) {
    let host = target.host();
    numbers(packet, kind::OPEN, &[stream, host.len() as u64]);
    packet.extend_from_slice(host.as_bytes());
    // A port that no connection can have is refused by the bridge.
    packet.extend_from_slice(&target.port().unwrap_or(0).to_be_bytes());
}

/// JIDs beyond what a length can say do not exist (RFC 7622 section 3.1): they have at most 3071 bytes.
fn encode_jids(packet: &mut Vec<u8>, serial: u64, jids: &[FullJid]) {
    numbers(packet, kind::JIDS, &[serial, jids.len() as u64]);
    for jid in jids {
        packet.extend_from_slice(&(jid.as_str().len() as u16).to_be_bytes());
        packet.extend_from_slice(jid.as_str().as_bytes());
    }
}

fn numbers(packet: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    packet.push(kind);
    numbers.iter().for_each(|number| varint::write(packet, *number));
}

#[cfg(test)]
mod tests;
