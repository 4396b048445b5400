//! Text of what was heard: elements and heads without what is encoded in them, and that apart. Pure.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};

/// The elements whose text is base64: blocks of bytestreams (XEP-0047), and what is said to log in (RFC 6120).
const ENCODED: [&str; 5] = ["data", "auth", "challenge", "response", "success"];

/// What stands before a token (RFC 6750): JSON in base64, with dots between its parts.
const BEFORE_TOKEN: &str = "Bearer ";

/// What is text to a reader, and what is decoded of it: the content of all blocks, one after the other, and of all tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Readable {
    pub(super) text: String,
    pub(super) decoded: Vec<u8>,
}

impl Readable {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut readable = Self::default();
        for (index, part) in String::from_utf8_lossy(bytes).split('<').enumerate() {
            if index > 0 {
                readable.text.push('<');
            }
            match part.split_once('>') {
                Some((tag, content)) if ENCODED.contains(&name_of(tag)) => {
                    readable.text += tag;
                    readable.text.push('>');
                    match BASE64.decode(content.trim()) {
                        Ok(decoded) => readable.decoded.extend(decoded),
                        // It may be text that only stands there.
                        Err(_) => readable.text += content,
                    }
                }
                _ => readable.take_tokens(part),
            }
        }
        readable
    }

    fn take_tokens(&mut self, text: &str) {
        let mut parts = text.split(BEFORE_TOKEN);
        self.text += parts.next().unwrap_or_default();
        for part in parts {
            let is_outside = |next: char| !next.is_ascii_alphanumeric() && !['-', '_', '.'].contains(&next);
            let end = part.find(is_outside).unwrap_or(part.len());
            for encoded in part[..end].split('.') {
                self.decoded.extend(URL_SAFE_NO_PAD.decode(encoded).unwrap_or_default());
                self.decoded.push(b'\n');
            }
            self.text += BEFORE_TOKEN;
            self.text += &part[end..];
        }
    }
}

fn name_of(tag: &str) -> &str {
    tag.split(|next: char| next.is_whitespace() || next == '/').next().unwrap_or_default()
}

/// Which of these words are there, with no letter or digit beside them.
pub(super) fn words_in<'a>(text: &str, words: &[&'a str]) -> BTreeSet<&'a str> {
    let text = text.to_ascii_lowercase();
    let is_there = |word: &str| {
        text.match_indices(word).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
            ![before, after].into_iter().flatten().any(char::is_alphanumeric)
        })
    };
    words.iter().copied().filter(|word| is_there(word)).collect()
}

/// The values of the attributes of this name.
pub(super) fn attributes<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let before = format!(" {name}=");
    let after = text.split(before.as_str()).skip(1);
    let value = |rest: &'a str| rest.split(rest.chars().next().unwrap_or('\'')).nth(1);
    after.filter_map(value).collect()
}

/// All that could be a host: labels with dots between them, of which the last begins with a letter; and addresses.
pub(super) fn hosts_in(text: &str) -> BTreeSet<String> {
    let is_outside = |next: char| !next.is_ascii_alphanumeric() && next != '-' && next != '.';
    let names = text.split(is_outside).map(|name| name.trim_matches(['.', '-']).to_ascii_lowercase());
    names.filter(|name| is_host(name)).collect()
}

fn is_host(name: &str) -> bool {
    let labels: Vec<_> = name.split('.').collect();
    let is_name = labels.last().is_some_and(|last| last.starts_with(|next: char| next.is_ascii_alphabetic()));
    labels.len() > 1 && (is_name || name.parse::<std::net::Ipv4Addr>().is_ok())
}

#[test]
fn what_is_encoded_is_decoded_and_the_rest_is_text() {
    let heard = b"<iq to='a@b.c/d'><data seq='0'>aGV4Y2hhdA==</data></iq><header>Bearer eyJ9.dG9y</header>";
    let readable = Readable::of(heard);
    assert_eq!(readable.text, "<iq to='a@b.c/d'><data seq='0'></data></iq><header>Bearer </header>");
    assert_eq!(readable.decoded, b"hexchat{\"}\ntor\n");
}

#[test]
fn words_are_found_whole_attributes_by_their_names_and_hosts_wherever_they_are() {
    let text = "<a category='store' to='Tor@b.example/x' url=\"https://c.example:1/tor-1\"/> 10.77.2.2 1.8.3 HTTP/1.1";
    assert_eq!(words_in(text, &["tor", "gory", "store", "ore"]), ["store", "tor"].into());
    assert_eq!(attributes(text, "to"), ["Tor@b.example/x"]);
    assert_eq!(attributes(text, "url"), ["https://c.example:1/tor-1"]);
    let hosts = ["10.77.2.2", "b.example", "c.example"].map(str::to_owned);
    assert_eq!(hosts_in(text), hosts.into());
}
