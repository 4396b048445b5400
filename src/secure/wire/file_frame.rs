//! Frames about files: what the ends of a session say to each other of them (doc/lanes.md).
//!
//! They are for peers that both know them. All of them are acknowledged, and can come twice.

use std::fmt;

use bytes::{Buf, Bytes};

use crate::secure::wire::varint;

/// The longest URL, in bytes: 2048.
pub const MAX_URL: usize = 2048;

/// The longest value of a header, in bytes: 2048.
pub const MAX_VALUE: usize = 2048;

/// The numbers of the frame types.
mod kind {
    pub(super) const WAITING: u8 = 0x10;
    pub(super) const SLOT: u8 = 0x11;
    pub(super) const STORED: u8 = 0x12;
    pub(super) const FILE: u8 = 0x13;
    pub(super) const FILE_END: u8 = 0x14;
}

/// One frame about files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFrame {
    /// From a bridge: so much waits that would go faster by files.
    Waiting {
        /// In bytes.
        bytes: u64,
    },
    /// From a client: a file can be put there.
    Slot {
        /// Its number.
        file: u64,
        /// How long it has to be, in bytes.
        size: u64,
        /// Where.
        url: FileUrl,
        /// With these headers, each of another name, in the order of their names.
        headers: Vec<SlotHeader>,
    },
    /// From a bridge: the file is there.
    Stored {
        /// Its number.
        file: u64,
    },
    /// From a client: a file of its own is there.
    File {
        /// Its number.
        file: u64,
        /// How long it is, in bytes.
        size: u64,
        /// Where.
        url: FileUrl,
    },
    /// The sender is done with a file.
    FileEnd {
        /// Its number.
        file: u64,
        /// How many of its packets have arrived, where it is the one who has fetched it.
        packets: u64,
        /// Why.
        reason: FileEndReason,
    },
}

/// A URL of a file: visible ASCII, within bounds. Whether it is to be called is for others to decide.
#[derive(Clone, PartialEq, Eq)]
pub struct FileUrl(String);

impl FileUrl {
    /// This one; none if there is something else in it, or nothing.
    pub fn new(url: &str) -> Option<Self> {
        let is_visible = url.bytes().all(|byte| byte.is_ascii_graphic());
        ((1..=MAX_URL).contains(&url.len()) && is_visible).then(|| Self(url.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FileUrl {
    /// Not the URL: who knows it has the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileUrl(..)")
    }
}

/// The names of headers that a slot can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderKind {
    /// `Authorization`.
    Authorization,
    /// `Cookie`.
    Cookie,
    /// `Expires`.
    Expires,
}

impl HeaderKind {
    const ALL: [Self; 3] = [Self::Authorization, Self::Cookie, Self::Expires];
}

/// A header of a slot.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotHeader {
    kind: HeaderKind,
    value: String,
}

impl SlotHeader {
    /// One with this value: visible ASCII and blanks; none if there is something else in it, or nothing.
    pub fn new(kind: HeaderKind, value: &str) -> Option<Self> {
        let is_plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        ((1..=MAX_VALUE).contains(&value.len()) && is_plain).then(|| Self { kind, value: value.to_owned() })
    }

    /// Its name.
    pub fn kind(&self) -> HeaderKind {
        self.kind
    }

    /// Its value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for SlotHeader {
    /// Not the value: it is a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SlotHeader").field(&self.kind).finish()
    }
}

/// Why somebody is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEndReason {
    /// All is well.
    Done,
    /// It is not there, or its slot is not.
    Missing,
    /// It takes too long.
    TooSlow,
    /// The URL is not one that is called.
    BadUrl,
    /// The upload service refuses.
    Refused,
    /// The upload service cannot be reached.
    Unreachable,
    /// What is there is not the file.
    Damaged,
    /// The upload service takes no more for now.
    TooMuch,
}

impl FileEndReason {
    const ALL: [Self; 8] = [
        Self::Done,
        Self::Missing,
        Self::TooSlow,
        Self::BadUrl,
        Self::Refused,
        Self::Unreachable,
        Self::Damaged,
        Self::TooMuch,
    ];

    fn number(self) -> u64 {
        self as u64
    }

    fn from_number(number: u64) -> Self {
        Self::ALL.into_iter().find(|reason| reason.number() == number).unwrap_or(Self::Unreachable)
    }
}

impl FileFrame {
    /// Whether a frame of this type is one about files.
    pub fn is_kind(kind: u8) -> bool {
        (kind::WAITING..=kind::FILE_END).contains(&kind)
    }

    /// Appends the frame to a packet: exactly [`encoded_len`](Self::encoded_len) bytes.
    pub fn encode(&self, packet: &mut Vec<u8>) {
        match self {
            Self::Waiting { bytes } => numbers(packet, kind::WAITING, &[*bytes]),
            Self::Slot { file, size, url, headers } => {
                numbers(packet, kind::SLOT, &[*file, *size]);
                put_text(packet, url.as_str());
                varint::write(packet, headers.len() as u64);
                for header in headers {
                    packet.push(header.kind as u8);
                    put_text(packet, &header.value);
                }
            }
            Self::Stored { file } => numbers(packet, kind::STORED, &[*file]),
            Self::File { file, size, url } => {
                numbers(packet, kind::FILE, &[*file, *size]);
                put_text(packet, url.as_str());
            }
            Self::FileEnd { file, packets, reason } => {
                numbers(packet, kind::FILE_END, &[*file, *packets, reason.number()]);
            }
        }
    }

    /// How many bytes it takes.
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Waiting { bytes: number } | Self::Stored { file: number } => varint::len(*number),
            Self::Slot { file, size, url, headers } => {
                let headers: usize = headers.iter().map(|header| 1 + text_len(&header.value)).sum();
                // There are three at most: their number takes one byte.
                varint::len(*file) + varint::len(*size) + text_len(url.as_str()) + 1 + headers
            }
            Self::File { file, size, url } => {
                varint::len(*file) + varint::len(*size) + text_len(url.as_str())
            }
            Self::FileEnd { file, packets, reason } => {
                varint::len(*file) + varint::len(*packets) + varint::len(reason.number())
            }
        }
    }

    /// Takes a frame of this type, whose byte is gone already, from the front; none if it is cut off or holds what cannot be.
    pub fn decode(kind: u8, from: &mut Bytes) -> Option<Self> {
        Some(match kind {
            kind::WAITING => Self::Waiting { bytes: varint::read(from)? },
            kind::SLOT => {
                let (file, size, url) = (varint::read(from)?, varint::read(from)?, take_url(from)?);
                Self::Slot { file, size, url, headers: take_headers(from)? }
            }
            kind::STORED => Self::Stored { file: varint::read(from)? },
            kind::FILE => {
                Self::File { file: varint::read(from)?, size: varint::read(from)?, url: take_url(from)? }
            }
            kind::FILE_END => Self::FileEnd {
                file: varint::read(from)?,
                packets: varint::read(from)?,
                reason: FileEndReason::from_number(varint::read(from)?),
            },
            _ => return None,
        })
    }
}

fn numbers(packet: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    packet.push(kind);
    numbers.iter().for_each(|number| varint::write(packet, *number));
}

fn put_text(packet: &mut Vec<u8>, text: &str) {
    varint::write(packet, text.len() as u64);
    packet.extend_from_slice(text.as_bytes());
}

fn text_len(text: &str) -> usize {
    varint::len(text.len() as u64) + text.len()
}

fn take_text(from: &mut Bytes) -> Option<String> {
    let length = usize::try_from(varint::read(from)?).ok().filter(|length| *length <= from.len())?;
    String::from_utf8(from.split_to(length).to_vec()).ok()
}

fn take_url(from: &mut Bytes) -> Option<FileUrl> {
    FileUrl::new(&take_text(from)?)
}

/// Each of another kind, the lowest first.
fn take_headers(from: &mut Bytes) -> Option<Vec<SlotHeader>> {
    let count = varint::read(from)?;
    if count > HeaderKind::ALL.len() as u64 {
        return None;
    }
    let mut headers: Vec<SlotHeader> = Vec::new();
    for _ in 0..count {
        let number = from.try_get_u8().ok()?;
        let kind = HeaderKind::ALL.into_iter().find(|kind| *kind as u8 == number)?;
        if headers.last().is_some_and(|last| last.kind >= kind) {
            return None;
        }
        headers.push(SlotHeader::new(kind, &take_text(from)?)?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;

    use super::*;

    fn url() -> FileUrl {
        FileUrl::new("https://u.example/a").unwrap()
    }

    fn encoded(frame: &FileFrame) -> Vec<u8> {
        let mut packet = Vec::new();
        frame.encode(&mut packet);
        packet
    }

    /// The frame in these bytes, if they are one as a whole.
    fn decoded(bytes: &[u8]) -> Option<FileFrame> {
        let (kind, rest) = bytes.split_first()?;
        let mut rest = Bytes::copy_from_slice(rest);
        FileFrame::decode(*kind, &mut rest).filter(|_| rest.is_empty())
    }

    #[test]
    fn frames_are_laid_out_as_the_table_says() {
        let header = SlotHeader::new(HeaderKind::Cookie, "a=b").unwrap();
        let text = b"https://u.example/a";
        for (frame, bytes) in [
            (FileFrame::Waiting { bytes: 70_000 }, &[0x10, 0x80, 1, 0x11, 0x70][..]),
            (FileFrame::Stored { file: 7 }, &[0x12, 7]),
            (FileFrame::FileEnd { file: 7, packets: 4, reason: FileEndReason::Damaged }, &[0x14, 7, 4, 6]),
            (
                FileFrame::File { file: 7, size: 64, url: url() },
                &[&[0x13, 7, 0x40, 64, 19], &text[..]].concat(),
            ),
            (
                FileFrame::Slot { file: 7, size: 1, url: url(), headers: vec![header] },
                &[&[0x11, 7, 1, 19], &text[..], &[1, 1, 3], b"a=b"].concat(),
            ),
        ] {
            assert_eq!(encoded(&frame), bytes);
            assert_eq!(decoded(bytes), Some(frame));
            assert!(FileFrame::is_kind(bytes[0]));
        }
        assert!(!FileFrame::is_kind(0x0f) && !FileFrame::is_kind(0x15));
    }

    #[test]
    fn an_unknown_reason_is_that_nobody_was_reached() {
        let end = |reason| FileFrame::FileEnd { file: 0, packets: 0, reason };
        assert_eq!(decoded(&[0x14, 0, 0, 8]), Some(end(FileEndReason::Unreachable)));
        for (number, reason) in FileEndReason::ALL.into_iter().enumerate() {
            assert_eq!(decoded(&[0x14, 0, 0, number as u8]), Some(end(reason)));
        }
    }

    #[test]
    fn what_could_not_stand_in_a_request_is_not_taken() {
        for text in ["", "a b", "a\r\nb", "\u{e9}", "a\0", &"a".repeat(MAX_URL + 1)] {
            assert_eq!(FileUrl::new(text), None, "{text:?}");
        }
        for text in ["", "a\r\nb", "\t", "\u{e9}", &"a".repeat(MAX_VALUE + 1)] {
            assert_eq!(SlotHeader::new(HeaderKind::Expires, text), None, "{text:?}");
        }
    }

    #[test]
    fn headers_are_few_known_and_each_there_once() {
        let slot = |headers: &[u8]| decoded(&[&[0x11, 0, 1, 1, b'x'], headers].concat());
        assert!(slot(&[3, 0, 1, b'a', 1, 1, b'b', 2, 1, b'c']).is_some());
        for headers in [
            &[1, 3, 1, b'a'][..],
            &[2, 0, 1, b'a', 0, 1, b'b'],
            &[2, 1, 1, b'a', 0, 1, b'b'],
            &[4],
            &[1, 0, 0],
        ] {
            assert_eq!(slot(headers), None, "{headers:?}");
        }
    }

    #[test]
    fn neither_urls_nor_values_of_headers_are_shown() {
        let headers = vec![SlotHeader::new(HeaderKind::Authorization, "Bearer secret").unwrap()];
        let shown = format!("{:?}", FileFrame::Slot { file: 0, size: 1, url: url(), headers });
        assert!(!shown.contains("secret") && !shown.contains("example"), "{shown}");
    }

    fn headers() -> impl Strategy<Value = Vec<SlotHeader>> {
        (any::<[bool; 3]>(), "[!-~]([ -~]{0,20}[!-~])?").prop_map(|(there, value)| {
            let there = HeaderKind::ALL.into_iter().zip(there).filter(|(_, is_there)| *is_there);
            there.map(|(kind, _)| SlotHeader::new(kind, &value).unwrap()).collect()
        })
    }

    fn frame() -> impl Strategy<Value = FileFrame> {
        let number = || 0..=varint::MAX;
        let url = || "[!-~]{1,80}".prop_map(|url| FileUrl::new(&url).unwrap());
        prop_oneof![
            number().prop_map(|bytes| FileFrame::Waiting { bytes }),
            number().prop_map(|file| FileFrame::Stored { file }),
            (number(), number(), url()).prop_map(|(file, size, url)| FileFrame::File { file, size, url }),
            (number(), number(), url(), headers()).prop_map(|(file, size, url, headers)| FileFrame::Slot {
                file,
                size,
                url,
                headers
            }),
            (number(), number(), 0_u64..8).prop_map(|(file, packets, reason)| FileFrame::FileEnd {
                file,
                packets,
                reason: FileEndReason::from_number(reason)
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
        fn any_bytes_are_a_frame_or_none(kind in 0x0f_u8..0x16, bytes in any::<Vec<u8>>()) {
            let _ = FileFrame::decode(kind, &mut bytes.into());
        }
    }
}
