//! Pongs that nobody asked for, which mean nothing (RFC 6455 section 5.5.3): they fill up TLS records. Pure.

use bytes::{BufMut as _, BytesMut};

/// The first byte of a pong, which is whole.
const PONG: u8 = 0x8a;
/// Beside the length of a payload: that it is masked, as everything is that a client sends.
const MASKED: u8 = 0x80;
/// A frame with so short a payload has 6 bytes more than that: two, and the mask.
const HEADER: usize = 6;
/// The longest payload of a pong has 125 bytes (RFC 6455 section 5.5).
const LONGEST: usize = 125;

/// Writes pongs of so many bytes together; none if that is less than one has.
pub(super) fn fill(into: &mut BytesMut, length: usize) {
    if length < HEADER {
        return;
    }
    let pongs = length.div_ceil(HEADER + LONGEST);
    let mut payload = length - pongs * HEADER;
    for _ in 0..pongs {
        let length = payload.min(LONGEST);
        payload -= length;
        into.put_u8(PONG);
        into.put_u8(MASKED | u8::try_from(length).unwrap_or_default());
        // A payload that is as the mask is, over and over, is one of zeros.
        let mask = rand::random::<[u8; 4]>();
        into.put_slice(&mask);
        into.extend(mask.iter().cycle().take(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the payloads of these frames are, which are pongs of zeros.
    fn payloads(mut frames: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let [PONG, length, rest @ ..] = frames {
            assert!(length & MASKED != 0, "it is not masked");
            let length = usize::from(length & !MASKED);
            let (mask, rest) = rest.split_at(4);
            let (payload, rest) = rest.split_at(length);
            assert!(payload.iter().zip(mask.iter().cycle()).all(|(byte, mask)| byte == mask));
            lengths.push(length);
            frames = rest;
        }
        assert!(frames.is_empty(), "no pong: {frames:?}");
        lengths
    }

    #[test]
    fn any_length_that_a_pong_can_have_is_filled_by_as_few_as_can_be() {
        for length in 0..5000 {
            let mut filled = BytesMut::new();
            fill(&mut filled, length);
            assert_eq!(filled.len(), if length < HEADER { 0 } else { length });
            let payloads = payloads(&filled);
            assert!(payloads.iter().all(|length| *length <= LONGEST));
            assert_eq!(payloads.len(), filled.len().div_ceil(HEADER + LONGEST));
        }
    }
}
