//! Early frames: what a client says in its half of a handshake (doc/protocol.md section 2.3).
//!
//! They come before the client has shown that it holds the session's keys, so they are few and of few kinds.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::secure::wire::frame::{Frame, Reader};

/// Streams that one handshake may ask for: 4. A client that has just come online is asked for one or two.
pub(crate) const MAX_STREAMS: usize = 4;

/// Bytes of all streams that a handshake may carry: 2048, which is more than the largest handshake has room for.
pub(crate) const CREDIT: u64 = 2048;

/// The frames in what follows the fields of a client's half of a handshake: OPEN, of a few streams, and after that the bytes of these
/// streams from the first one on, without gaps. None when there is anything else.
pub(crate) fn read(payload: Bytes) -> Option<Vec<Frame>> {
    let mut opened = BTreeMap::new();
    let mut frames = Vec::new();
    for frame in Reader::new(payload) {
        let frame = frame.ok()?;
        if !is_next(&mut opened, &frame) {
            return None;
        }
        frames.push(frame);
    }
    Some(frames)
}

/// Whether `frame` may follow. `opened` has the streams so far, each with its next offset; `None` after its last DATA.
fn is_next(opened: &mut BTreeMap<u64, Option<u64>>, frame: &Frame) -> bool {
    match frame {
        Frame::Open { stream, .. } => opened.len() < MAX_STREAMS && opened.insert(*stream, Some(0)).is_none(),
        Frame::Data { stream, offset, data, fin } => {
            let Some(next) = opened.get_mut(stream).filter(|next| **next == Some(*offset)) else {
                return false;
            };
            *next = (!fin).then_some(*offset + data.len() as u64);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use xmpp_parsers::jid::FullJid;

    use super::*;
    use crate::protocol::Address;
    use crate::secure::wire::ack::AckFrame;
    use crate::secure::wire::frame::{ResetReason, SessionClose};

    fn open(stream: u64) -> Frame {
        Frame::Open { stream, target: Address::new("192.0.2.1", "80").unwrap() }
    }

    fn data(stream: u64, offset: u64, data: &'static [u8], fin: bool) -> Frame {
        Frame::Data { stream, offset, data: Bytes::from_static(data), fin }
    }

    fn read_of(frames: &[Frame]) -> Option<Vec<Frame>> {
        let mut payload = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut payload));
        payload.extend([0; 30]);
        read(payload.into())
    }

    #[test]
    fn what_is_read_is_what_was_written_and_padding_is_nothing() {
        let frames =
            [open(0), open(3), data(0, 0, b"ab", false), data(3, 0, b"", true), data(0, 2, b"c", true)];
        assert_eq!(read_of(&frames).unwrap(), frames);
        assert_eq!(read_of(&[]).unwrap(), []);
        assert_eq!(read(Bytes::new()).unwrap(), []);
    }

    #[test]
    fn streams_beyond_a_few_or_asked_for_twice_make_no_sense() {
        let opens = |count| (0..count).map(open).collect::<Vec<_>>();
        assert!(read_of(&opens(MAX_STREAMS as u64)).is_some());
        assert!(read_of(&opens(MAX_STREAMS as u64 + 1)).is_none());
        assert!(read_of(&[open(1), open(1)]).is_none());
    }

    #[test]
    fn bytes_of_other_streams_out_of_order_or_after_the_last_make_no_sense() {
        let (first, last) = (data(0, 0, b"ab", false), data(0, 2, b"c", true));
        for frames in [
            &[first.clone(), open(0)][..],
            &[open(0), data(1, 0, b"ab", false)],
            &[open(0), data(0, 1, b"b", false)],
            &[open(0), first.clone(), first.clone()],
            &[open(0), first.clone(), data(0, 3, b"d", false)],
            &[open(0), first, last.clone(), data(0, 3, b"d", false)],
            &[open(0), last],
        ] {
            assert!(read_of(frames).is_none(), "{frames:?}");
        }
    }

    #[test]
    fn nothing_else_may_be_said_before_the_keys_are_shown() {
        let jids = vec![FullJid::new("a@b/c").unwrap()];
        for frame in [
            Frame::Ping,
            Frame::Ack(AckFrame::new(std::iter::once(0..1)).unwrap()),
            Frame::Accept { stream: 0 },
            Frame::Reset { stream: 0, reason: ResetReason::Aborted, sent: 0 },
            Frame::StreamCredit { stream: 0, offset: 9 },
            Frame::SessionCredit { offset: 9 },
            Frame::Jids { serial: 1, jids },
            Frame::Close { reason: SessionClose::Done },
            Frame::Stop { stream: 0 },
        ] {
            assert!(read_of(std::slice::from_ref(&frame)).is_none(), "{frame:?}");
            assert!(read_of(&[open(0), frame.clone()]).is_none(), "{frame:?}");
        }
        assert!(read(Bytes::from_static(&[0x7f, 1, 2])).is_none());
    }
}
