//! The secure protocol, pure: sessions that outlive what chat servers do to them.
//!
//! A *session* joins one client and one bridge. It is made by a Noise handshake on the bridge's key, carries any number
//! of *streams*, and travels over *paths*: In-Band Bytestreams (XEP-0047) between one of the client's accounts and one of
//! the bridge's. Paths come and go; the session goes on. `doc/protocol.md` is the complete wire format.

pub mod ack;
mod assembler;
#[allow(dead_code, reason = "the session core, which uses it, is to come")]
mod bytestream;
pub mod counters;
pub mod entropy;
pub mod frame;
pub mod handshake;
pub mod keys;
pub mod line;
#[allow(dead_code, reason = "the session core, which uses it, is to come")]
mod path;
pub mod ranges;
mod receive;
#[allow(dead_code, reason = "the session core, which uses it, is to come")]
mod scheduler;
pub mod seal;
mod send_buffer;
#[cfg(test)]
mod server_model;
pub mod sid;
mod stream;
pub mod streams;
pub mod varint;
#[cfg(test)]
mod vectors;
#[allow(dead_code, reason = "the session core, which uses it, is to come")]
mod window;

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;

/// One IQ of ours that will be answered; unique in the life of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IqId(pub u64);

/// A stanza to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The account that sends it.
    pub via: AccountId,
    /// Who gets it.
    pub to: FullJid,
    /// What to send.
    pub stanza: Outgoing,
}

/// The kinds of stanza that are sent (XEP-0047).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// An IQ set with `<open/>`, for a bytestream in IQ stanzas.
    Open {
        /// Its answer names it.
        iq: IqId,
        /// The bytestream's id.
        sid: String,
        /// The largest block that will be sent either way, in bytes before base64.
        block_size: u16,
    },
    /// An IQ set with `<data/>`.
    Data {
        /// Its answer names it.
        iq: IqId,
        /// The bytestream's id.
        sid: String,
        /// The block's number, counted for each direction from 0 and modulo 2^16.
        seq: u16,
        /// The block.
        data: Bytes,
    },
    /// An IQ set with `<close/>`.
    Close {
        /// Its answer names it.
        iq: IqId,
        /// The bytestream's id.
        sid: String,
    },
    /// The empty result that answers an IQ of the peer's.
    Result {
        /// The id of that IQ.
        id: String,
    },
    /// What a chat client without In-Band Bytestreams answers: `service-unavailable`.
    Unavailable {
        /// The id of the IQ that it answers.
        id: String,
    },
}

/// A stanza that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// An IQ set with `<open/>`.
    Open {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
        /// The largest block that the peer will send or take.
        block_size: u16,
    },
    /// An IQ set with `<data/>`.
    Data {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
        /// The block's number.
        seq: u16,
        /// The block.
        data: Vec<u8>,
    },
    /// An IQ set with `<close/>`.
    Close {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
    },
    /// The result of an IQ of ours.
    Result {
        /// Which one.
        iq: IqId,
    },
    /// An IQ of ours was refused, by the peer or by a server on the way.
    Error {
        /// Which one.
        iq: IqId,
    },
}
