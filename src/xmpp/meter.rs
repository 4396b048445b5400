//! Meter of what a server says before a login: a bound on what it can make us keep. Pure.
//!
//! Until then whoever poses as the server can send, too. The framer passes over text outside of elements, so
//! that a server of another kind would look like a silent one: the first byte is looked at here.

/// The most that a server has to say before a login, in bytes: features, challenges, and generous spare.
const BEFORE_LOGIN: usize = 256 * 1024;

/// Counts what comes in.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Bytes from the beginning.
    total: usize,
}

/// What came that must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// More than is allowed.
    TooMuch,
    /// Something that does not begin as XML does.
    NotXml,
}

impl Meter {
    /// Counts `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.total == 0 && bytes.first().is_some_and(|first| !begins_xml(*first)) {
            return Err(Fault::NotXml);
        }
        self.total = self.total.saturating_add(bytes.len());
        if self.total > BEFORE_LOGIN { Err(Fault::TooMuch) } else { Ok(()) }
    }
}

/// A tag, a byte order mark, or white space.
fn begins_xml(byte: u8) -> bool {
    matches!(byte, b'<' | 0xef) || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_server_of_another_kind_is_noticed_at_its_first_byte() {
        for banner in [&b"HTTP/1.1 400 Bad Request"[..], b"SSH-2.0-", b"220 mail", &[0x15, 3, 1], &[0]] {
            assert_eq!(Meter::default().feed(banner), Err(Fault::NotXml));
        }
        for xml in ["<?xml ", "\n<stream:stream>", "\u{feff}<?xml", ""] {
            let mut meter = Meter::default();
            assert_eq!((meter.feed(xml.as_bytes()), meter.feed(b"<")), (Ok(()), Ok(())));
        }
        let mut begun = Meter::default();
        assert_eq!((begun.feed(b"<"), begun.feed(b"stream")), (Ok(()), Ok(())));
    }

    #[test]
    fn before_the_login_everything_counts() {
        let mut meter = Meter::default();
        meter.feed(&vec![b' '; BEFORE_LOGIN]).unwrap();
        assert_eq!(meter.feed(b" "), Err(Fault::TooMuch));
    }
}
