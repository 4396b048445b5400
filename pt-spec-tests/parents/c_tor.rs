//! C tor: `handle_proxy_line` of `transports.c`, and the key-value lines below it.

use std::net::SocketAddr;

use super::{Asked, Pairs, SEVERITIES, check_name};

/// How far a launch has come. Any protocol line out of its state makes C tor kill the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Launched,
    AcceptingMethods,
    Configured,
    /// The child has said that it cannot go on.
    GivenUp,
}

/// C tor with one child.
pub(crate) struct Parent<'a> {
    asked: &'a Asked,
    state: State,
    proxy_done: bool,
}

impl<'a> Parent<'a> {
    pub(crate) fn new(asked: &'a Asked) -> Self {
        Self { asked, state: State::Launched, proxy_done: false }
    }

    pub(crate) fn read(&mut self, line: &str) -> Result<(), String> {
        // Its own order, in which it compares beginnings.
        match line {
            _ if line.starts_with("ENV-ERROR") => self.gives_up(State::Launched, line, "ENV-ERROR "),
            _ if line.starts_with("VERSION-ERROR") => self.gives_up(State::Launched, line, "VERSION-ERROR "),
            _ if line.starts_with("VERSION") => self.version(line),
            "CMETHODS DONE" if !self.asked.server => self.methods_done(),
            "SMETHODS DONE" if self.asked.server => self.methods_done(),
            _ if line.starts_with("CMETHOD-ERROR") => self.method_error(line, "CMETHOD-ERROR "),
            _ if line.starts_with("SMETHOD-ERROR") => self.method_error(line, "SMETHOD-ERROR "),
            _ if line.starts_with("CMETHOD ") => {
                self.within(State::AcceptingMethods).and_then(|()| cmethod(line))
            }
            _ if line.starts_with("SMETHOD ") => {
                self.within(State::AcceptingMethods).and_then(|()| smethod(line))
            }
            "PROXY DONE" => self.proxy_done(),
            _ if line.starts_with("PROXY-ERROR") => {
                self.gives_up(State::AcceptingMethods, line, "PROXY-ERROR ")
            }
            _ if line.starts_with("LOG ") => log(line).map(drop),
            _ if line.starts_with("STATUS ") => status(line).map(drop),
            _ => Err("an unknown line".to_owned()),
        }
    }

    fn within(&self, state: State) -> Result<(), String> {
        let expected = self.state == state;
        if expected { Ok(()) } else { Err(format!("it comes at the wrong time ({:?})", self.state)) }
    }

    fn version(&mut self, line: &str) -> Result<(), String> {
        self.within(State::Launched)?;
        self.state = State::AcceptingMethods;
        if line == "VERSION 1" { Ok(()) } else { Err("another version".to_owned()) }
    }

    /// After this it ends the child, so that nothing may follow.
    fn gives_up(&mut self, state: State, line: &str, keyword: &str) -> Result<(), String> {
        self.within(state)?;
        self.state = State::GivenUp;
        text_after(line, keyword)
    }

    /// Older ones end the child here; the text is shown by all.
    fn method_error(&self, line: &str, keyword: &str) -> Result<(), String> {
        self.within(State::AcceptingMethods)?;
        text_after(line, keyword)
    }

    fn methods_done(&mut self) -> Result<(), String> {
        self.within(State::AcceptingMethods)?;
        self.state = State::Configured;
        match self.asked.proxy == self.proxy_done {
            true => Ok(()),
            false => Err("the proxy was not confirmed".to_owned()),
        }
    }

    fn proxy_done(&mut self) -> Result<(), String> {
        self.within(State::AcceptingMethods)?;
        self.proxy_done = true;
        if self.asked.proxy { Ok(()) } else { Err("there is no proxy".to_owned()) }
    }
}

fn text_after(line: &str, keyword: &str) -> Result<(), String> {
    match line.strip_prefix(keyword) {
        Some(text) if !text.trim().is_empty() => Ok(()),
        _ => Err("no text".to_owned()),
    }
}

/// `CMETHOD name socks5 address:port`
fn cmethod(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, name, "socks4" | "socks5", address] = words[..] else { return Err("not four words".to_owned()) };
    check_name(name)?;
    check_address(address)
}

/// `SMETHOD name address:port [options]`
fn smethod(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, name, address, options @ ..] = &words[..] else { return Err("too few words".to_owned()) };
    check_name(name)?;
    check_address(address)?;
    // Only the first option is looked at; whatever is not ARGS is dropped without a word.
    match options {
        [] => Ok(()),
        [args] if args.starts_with("ARGS:") => Ok(()),
        _ => Err("options that it does not read".to_owned()),
    }
}

fn check_address(text: &str) -> Result<(), String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(()),
        _ => Err(format!("{text:?} is no address with a port")),
    }
}

/// `LOG`: a severity and a text that is not empty, in any order.
pub(crate) fn log(line: &str) -> Result<Pairs, String> {
    let pairs = key_values(line.strip_prefix("LOG ").ok_or("no LOG line")?)?;
    let value = |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
    let severity = value("SEVERITY").ok_or("no severity")?;
    if !SEVERITIES.contains(&severity) {
        return Err(format!("{severity:?} is no severity"));
    }
    if value("MESSAGE").is_none_or(str::is_empty) {
        return Err("no message".to_owned());
    }
    Ok(pairs)
}

/// `STATUS`: older ones insist on `TRANSPORT`, and the specification on one more.
pub(crate) fn status(line: &str) -> Result<Pairs, String> {
    let pairs = key_values(line.strip_prefix("STATUS ").ok_or("no STATUS line")?)?;
    let transport = pairs.iter().filter(|(key, _)| key == "TRANSPORT").count();
    if transport == 1 && pairs.len() > 1 {
        Ok(pairs)
    } else {
        Err("it says nothing of a transport".to_owned())
    }
}

/// What separates pairs there.
const BLANKS: [char; 5] = [' ', '\t', '\r', '\u{b}', '\n'];

/// `K=V K="V" …`
fn key_values(text: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        let end = rest.find(|c| c == '=' || BLANKS.contains(&c)).ok_or("a key without a value")?;
        let (key, after) = rest.split_at(end);
        let after = after.strip_prefix('=').ok_or("a key without a value")?;
        let plain = key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\'');
        if key.is_empty() || !plain {
            return Err(format!("{key:?} is no key"));
        }
        let (value, left) = if after.starts_with('"') {
            c_string(after)?
        } else {
            let (value, left) = after.split_at(after.find(BLANKS).unwrap_or(after.len()));
            (value.to_owned(), left)
        };
        pairs.push((key.to_owned(), value));
        rest = left.trim_start_matches(BLANKS);
    }
    Ok(pairs)
}

/// A quoted C literal at the beginning of `text`, and what follows it.
fn c_string(text: &str) -> Result<(String, &str), String> {
    let mut rest = text.strip_prefix('"').ok_or("no quote")?;
    let mut bytes = Vec::new();
    loop {
        let c = rest.chars().next().ok_or("the string does not end")?;
        match c {
            '"' => break,
            '\n' | '\0' => return Err("a newline or NUL in a string".to_owned()),
            '\\' => {
                let (byte, length) = escape(rest.as_bytes()).ok_or("an unknown escape")?;
                bytes.push(byte);
                rest = &rest[length..];
            }
            c => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    if bytes.contains(&0) {
        return Err("a NUL in a string".to_owned());
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), &rest[1..]))
}

/// The byte that an escape at the beginning of `text` stands for, and the escape's length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let digits = |from: usize, most: usize, radix: u32| {
        let digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        text.iter().skip(from).take(most).take_while(digit).map(|byte| char::from(*byte)).collect::<String>()
    };
    match text.get(1)? {
        b'n' => Some((b'\n', 2)),
        b'r' => Some((b'\r', 2)),
        b't' => Some((b'\t', 2)),
        same @ (b'"' | b'\\' | b'\'') => Some((*same, 2)),
        b'0'..=b'7' => {
            let octal = digits(1, 3, 8);
            Some((u8::from_str_radix(&octal, 8).ok()?, 1 + octal.len()))
        }
        b'x' | b'X' => {
            let hex = digits(2, 2, 16);
            (hex.len() == 2).then_some((u8::from_str_radix(&hex, 16).ok()?, 4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_in_c() {
        let pairs = key_values(r#"A="a \"b\" \\ \101\x42\n" B=it's C="""#).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("A", "a \"b\" \\ AB\n"), ("B", "it's"), ("C", "")]);
        for text in [r#"A="\u{1}""#, r#"A="\x1""#, r#"A="\400""#, r#"A="\0""#, "A", "=b", "A=1 =", "'=1"] {
            assert!(key_values(text).is_err(), "{text}");
        }
    }
}
