//! Decoding: frames out of the plaintext of a packet.

use bytes::{Buf, Bytes};
use xmpp_parsers::jid::FullJid;

use crate::protocol::Address;
use crate::secure::wire::ack::AckFrame;
use crate::secure::wire::file_frame::FileFrame;
use crate::secure::wire::frame::{Frame, MAX_JIDS_A_FRAME, ResetReason, SessionClose, kind};
use crate::secure::wire::relay_frame::RelayFrame;
use crate::secure::wire::varint;

/// What a packet carries is not a sequence of frames. Only the peer can have sealed it: the session cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedFrame {
    /// A frame of a type that does not exist.
    #[error("a packet has a frame of the unknown type {0}")]
    UnknownType(u8),
    /// A frame that ends before it is complete, or holds what cannot be.
    #[error("a packet has a frame of type {0} that is cut off or holds an impossible value")]
    Invalid(u8),
}

/// The frames of one packet, in their order. Nothing follows an error.
#[derive(Debug)]
pub struct Reader {
    rest: Bytes,
    /// How long the packet was.
    packet: usize,
}

impl Reader {
    /// Reads `packet`, decrypted. The bytes of DATA frames remain slices of it.
    pub fn new(packet: Bytes) -> Self {
        Self { packet: packet.len(), rest: packet }
    }

    fn frame(&mut self, kind: u8) -> Result<Frame, MalformedFrame> {
        let packet = self.packet;
        let body = match kind {
            kind::PING => Some(Frame::Ping),
            kind::ACK => AckFrame::decode(&mut self.rest).map(Frame::Ack),
            kind::OPEN => open(&mut self.rest),
            kind::ACCEPT => varint::read(&mut self.rest).map(|stream| Frame::Accept { stream }),
            kind::DATA => data(&mut self.rest, packet, false),
            kind::LAST_DATA => data(&mut self.rest, packet, true),
            kind::RESET => reset(&mut self.rest),
            kind::STREAM_CREDIT => stream_credit(&mut self.rest),
            kind::SESSION_CREDIT => {
                varint::read(&mut self.rest).map(|offset| Frame::SessionCredit { offset })
            }
            kind::JIDS => jids(&mut self.rest),
            kind::CLOSE => varint::read(&mut self.rest)
                .map(|reason| Frame::Close { reason: SessionClose::from_number(reason) }),
            kind::STOP => varint::read(&mut self.rest).map(|stream| Frame::Stop { stream }),
            kind if FileFrame::is_kind(kind) => FileFrame::decode(kind, &mut self.rest).map(Frame::File),
            kind if RelayFrame::is_kind(kind) => RelayFrame::decode(kind, &mut self.rest).map(Frame::Relay),
            unknown => return Err(MalformedFrame::UnknownType(unknown)),
        };
        body.ok_or(MalformedFrame::Invalid(kind))
    }
}

impl Iterator for Reader {
    type Item = Result<Frame, MalformedFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = self.rest.try_get_u8().ok().filter(|kind| *kind != kind::PADDING)?;
        let frame = self.frame(kind);
        if frame.is_err() {
            self.rest.clear();
        }
        Some(frame)
    }
}

fn open(from: &mut Bytes) -> Option<Frame> {
    let stream = varint::read(from)?;
    let length = varint::read(from)?;
    let host = String::from_utf8(take(from, length)?.to_vec()).ok()?;
    let port = from.try_get_u16().ok()?;
    Some(Frame::Open { stream, target: Address::new(host, port.to_string())? })
}

fn data(from: &mut Bytes, packet: usize, fin: bool) -> Option<Frame> {
    let stream = varint::read(from)?;
    let offset = varint::read(from)?;
    let length = varint::read(from)?;
    let mut data = take(from, length)?;
    // A slice keeps the whole packet in memory, and only its own bytes are counted.
    if data.len() < packet / 4 * 3 {
        data = Bytes::copy_from_slice(&data);
    }
    (offset + length <= varint::MAX).then_some(Frame::Data { stream, offset, data, fin })
}

fn reset(from: &mut Bytes) -> Option<Frame> {
    let stream = varint::read(from)?;
    let reason = ResetReason::from_number(varint::read(from)?);
    Some(Frame::Reset { stream, reason, sent: varint::read(from)? })
}

fn stream_credit(from: &mut Bytes) -> Option<Frame> {
    Some(Frame::StreamCredit { stream: varint::read(from)?, offset: varint::read(from)? })
}

fn jids(from: &mut Bytes) -> Option<Frame> {
    let serial = varint::read(from)?;
    let count = varint::read(from)?;
    if count > MAX_JIDS_A_FRAME as u64 {
        return None;
    }
    let jids: Option<Vec<FullJid>> = (0..count).map(|_| jid(from)).collect();
    Some(Frame::Jids { serial, jids: jids? })
}

fn jid(from: &mut Bytes) -> Option<FullJid> {
    let length = from.try_get_u16().ok()?;
    let text = take(from, length.into())?;
    FullJid::new(std::str::from_utf8(&text).ok()?).ok()
}

fn take(from: &mut Bytes, length: u64) -> Option<Bytes> {
    let length = usize::try_from(length).ok().filter(|length| *length <= from.len())?;
    Some(from.split_to(length))
}
