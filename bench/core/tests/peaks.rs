//! Peaks of memory while a stanza is read, however it is made: anybody can send one.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test's")]

use hexchat_pt::config::Limits;
use hexchat_pt::xmpp::framer::Framer;
use hexchat_pt::xmpp::reader;

/// The most memory that reading one stanza may take, in bytes: a few copies of one of `max_stanza` bytes, and a tree of as many
/// pieces as are read.
const CEILING: u64 = 6_000_000;

/// What a server reads in one go.
const CHUNK: usize = 16 * 1024;

/// The most memory at a time while this is read, as it would come from a server.
fn peak(stanza: &str) -> u64 {
    let max_stanza = Limits::default().max_stanza;
    let info = allocation_counter::measure(|| {
        let mut framer = Framer::between_elements(max_stanza);
        for chunk in stanza.as_bytes().chunks(CHUNK) {
            framer.feed(chunk).expect("a stanza that ends");
        }
        while let Some(piece) = framer.pop() {
            drop(reader::read(piece));
        }
    });
    info.bytes_max
}

/// As much as fits into a stanza of this size, between a start and an end.
fn filled(size: usize, piece: &str) -> String {
    format!("<iq type='get' id='1' from='a@b/c'><q xmlns='x'>{}</q></iq>", piece.repeat(size / piece.len()))
}

/// The same, each within the one before.
fn nested(size: usize, start: &str, end: &str) -> String {
    let levels = size / (start.len() + end.len());
    format!("<message>{}{}</message>", start.repeat(levels), end.repeat(levels))
}

#[test]
fn no_stanza_takes_much_memory_however_it_is_made() {
    let attributes = |size: usize| (0..size / 9).map(|n| format!(" a{n:04x}=''")).collect::<String>();
    let mut too_much = Vec::new();
    for size in [200_000, 250_000, 1 << 20] {
        for (what, stanza) in [
            ("elements", filled(size, "<a/>")),
            ("elements with attributes", filled(size, "<a b='' c='' d=''/>")),
            ("elements with text", filled(size, "<a>b</a>")),
            ("elements with namespaces", filled(size, "<a xmlns='b'/>")),
            ("text", filled(size, "text ")),
            ("entities", filled(size, "&lt;")),
            ("a long attribute", format!("<iq type='get' id='{}'/>", "A".repeat(size))),
            ("many attributes", format!("<iq type='get' id='1'{}/>", attributes(size))),
            ("nested elements", nested(size, "<a>", "</a>")),
            ("nested namespaces", nested(size, "<a xmlns='b'>", "</a>")),
            ("nested prefixes", nested(size, "<a xmlns:b='c' xmlns:d='e'>", "</a>")),
        ] {
            let peak = peak(&stanza);
            println!("{size:>8} bytes of {what:<26}{peak:>9}");
            if peak > CEILING {
                too_much.push(format!("{peak} for {size} bytes of {what}"));
            }
        }
    }
    assert!(too_much.is_empty(), "{}", too_much.join("\n"));
}
