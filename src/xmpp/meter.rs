//! How much a server sends in one piece: a bound on what it can make us keep. Pure.
//!
//! The XML parser above bounds a name and the value of an attribute, but neither the size of an element nor how deep
//! elements lie in each other. An element is kept until it is complete, so that without a bound of ours a server (or
//! before the login whoever poses as one) could fill the memory. The parser also waits for the end of a text that cannot
//! be there at all, so that a server of another kind would look like a silent one.

use super::scanner::Scanner;

/// The most that a server has to say before a login: features, challenges, and generous spare.
const BEFORE_LOGIN: usize = 256 * 1024;

/// The largest element. Servers themselves accept a quarter of that from a client, and half from each other.
const ELEMENT: usize = 1024 * 1024;

/// How deep elements may lie in each other. Forwarded and archived messages reach a dozen. The parser takes time in
/// proportion to the square of the depth, and its trees are taken apart by recursion: tens of thousands, which fit into a
/// stanza that servers pass on, keep a core busy for a minute and then run off the end of the stack.
const DEPTH: usize = 100;

/// Counts what comes in.
#[derive(Debug, Default)]
pub(super) struct Meter {
    scanner: Scanner,
    /// Bytes from the beginning to the login.
    total: usize,
    logged_in: bool,
}

/// What came that must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// More, or deeper, than is allowed.
    TooMuch,
    /// Something that does not begin as XML does.
    NotXml,
}

impl Meter {
    /// From now on the server speaks to who it knows: the next thing it says is the header of a new stream.
    pub(super) fn logged_in(&mut self) {
        self.logged_in = true;
        self.scanner = Scanner::default();
    }

    /// Counts `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if !self.logged_in {
            self.feed_before_login(bytes)?;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[self.scanner.advance(rest)..];
            if self.scanner.size() > ELEMENT || self.scanner.depth() > DEPTH {
                return Err(Fault::TooMuch);
            }
        }
        Ok(())
    }

    fn feed_before_login(&mut self, bytes: &[u8]) -> Result<(), Fault> {
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

    const HEADER: &str = "<?xml version='1.0'?><stream:stream to='x' xmlns=\"jabber:client\">";

    fn after(text: &str) -> Meter {
        let mut meter = Meter::default();
        meter.logged_in();
        meter.feed(HEADER.as_bytes()).unwrap();
        meter.feed(text.as_bytes()).unwrap();
        meter
    }

    fn size(text: &str) -> usize {
        after(text).scanner.size()
    }

    #[test]
    fn what_is_complete_no_longer_counts() {
        for complete in [
            "",
            " \n ",
            "<a/>",
            "<a b='>'/>",
            "<a b=\"/>'<\"><c/>text</a>",
            "<m><body>a &gt; b / c</body></m> <r xmlns='urn:xmpp:sm:3'/>",
            "<m><![CDATA[<x> ]] ]>]]]></m>",
            "<a b='/'></a>",
            "<a / ></a>",
        ] {
            assert_eq!(size(complete), 0, "{complete}");
        }
    }

    #[test]
    fn what_is_not_complete_counts() {
        for open in
            ["<a", "<a>", "<a><b/>", "<a>text", "<a b='>", "<a b='/>'", "<a><![CDATA[</a>", "<a><b></b>"]
        {
            assert_eq!(size(open), open.len(), "{open}");
            assert_eq!(size(&format!("<done/>{open}")), open.len(), "{open}");
        }
    }

    #[test]
    fn no_element_is_larger_than_the_bound_and_any_number_of_smaller_ones_may_follow_each_other() {
        let text = "x".repeat(ELEMENT - "<m>".len());
        let mut meter = after("");
        for _ in 0..3 {
            meter.feed(format!("<m>{text}</m>").as_bytes()).unwrap_err();
            meter = after("");
            meter.feed(format!("<m>{}</m>", &text[..ELEMENT / 2]).as_bytes()).unwrap();
            meter.feed(format!("<m>{}</m>", &text[..ELEMENT / 2]).as_bytes()).unwrap();
        }
        meter.feed(format!("<m>{text}").as_bytes()).unwrap();
        assert_eq!(meter.feed(b"x"), Err(Fault::TooMuch));
    }

    #[test]
    fn elements_lie_only_so_deep_in_each_other() {
        let below_the_root = DEPTH - 1;
        let mut meter = after("");
        for _ in 0..3 {
            meter.feed("<a>".repeat(below_the_root).as_bytes()).unwrap();
            meter.feed("<a/>".repeat(below_the_root).as_bytes()).unwrap();
            meter.feed("</a>".repeat(below_the_root).as_bytes()).unwrap();
        }
        meter.feed("<a>".repeat(below_the_root).as_bytes()).unwrap();
        assert_eq!(meter.feed(b"<a>"), Err(Fault::TooMuch));
        // Nor before a login.
        assert_eq!(Meter::default().feed("<a>".repeat(DEPTH + 1).as_bytes()), Err(Fault::TooMuch));
    }

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
        meter.logged_in();
        assert_eq!(meter.feed(b" "), Ok(()));
    }
}
