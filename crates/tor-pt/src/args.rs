//! Arguments: `key=value` pairs in which a backslash takes the next byte literally.
//!
//! There are three grammars of them, for bridge lines, server options and `SMETHOD` lines (pt-spec sections 3.5, 3.2.3
//! and 3.3.3).
//!
//! | where | written as | who escapes what |
//! | --- | --- | --- |
//! | SOCKS user name and password ([`Args::from_socks`]) | `k=v;k=v` | C tor: `;` and `\` |
//! | `TOR_PT_SERVER_TRANSPORT_OPTIONS` ([`ServerLaunch::options`](crate::ServerLaunch::options)) | `name:k=v;name:k=v` | C tor: `:`, `;` and `\` |
//! | `SMETHOD … ARGS:` ([`SmethodArgs`]) | `k=v,k=v` | this crate: `=`, `,` and `\` |
//!
//! Values may be secrets: no error and no `Debug` here ever shows one, and they are overwritten when they are dropped.

use std::fmt;

use zeroize::Zeroizing;

use super::name::TransportName;

/// The most that C tor can carry in a SOCKS5 user name and password (RFC 1929: 255 bytes each), in encoded bytes.
pub const MAX_ENCODED: usize = 510;

/// Ordered `key=value` pairs. A key may occur more than once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Args(Vec<(Text, Text)>);

type Text = Zeroizing<String>;

/// Why arguments could not be read or written. The same text fails the same way every time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// A backslash with nothing after it.
    #[error("the arguments end in a lone backslash")]
    TrailingBackslash,
    /// An item, counted from 1, without `=`.
    #[error("argument {0} has no equals sign")]
    NoEquals(usize),
    /// An item, counted from 1, that starts with `=`.
    #[error("argument {0} has an empty key")]
    EmptyKey(usize),
    /// An item, counted from 1, whose key is not UTF-8.
    #[error("the key of argument {0} is not UTF-8")]
    KeyNotUtf8(usize),
    /// The named key's value is not UTF-8. A key that is no name, perhaps a secret in the wrong place, is not shown.
    #[error("the value of `{0}` is not UTF-8")]
    ValueNotUtf8(String),
    /// A server option, counted from 1, without the `name:` that says whose it is.
    #[error("option {0} does not start with a transport's name and a colon")]
    NoTransport(usize),
    /// The named key, or its value, holds a blank or a control character, for which `SMETHOD` has no escape.
    #[error("the argument `{0}` cannot be written in an SMETHOD line")]
    Unprintable(String),
    /// More than [`MAX_ENCODED`] bytes.
    #[error("the arguments take {0} bytes; a bridge line holds at most {MAX_ENCODED}")]
    TooLong(usize),
}

impl Args {
    /// No arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `k=v;k=v`. Nothing at all means no arguments.
    ///
    /// # Errors
    ///
    /// When the text does not follow the grammar, or is not UTF-8.
    pub fn parse(raw: &[u8]) -> Result<Self, ArgsError> {
        let mut scanner = Scanner::new(raw);
        let mut args = Self::new();
        while scanner.next_item() {
            let pair = scanner.pair()?;
            let (key, value) = scanner.text(pair)?;
            args.push(key, value);
        }
        Ok(args)
    }

    /// Reads arguments as they come in a SOCKS5 user name and password (RFC 1929).
    ///
    /// The two are one string, cut anywhere; a password of one NUL byte, or none, stands for
    /// "nothing more".
    ///
    /// # Errors
    ///
    /// As for [`Args::parse`].
    pub fn from_socks(user_name: &[u8], password: &[u8]) -> Result<Self, ArgsError> {
        let rest = if password == [0] { &[] } else { password };
        Self::parse(&Zeroizing::new([user_name, rest].concat()))
    }

    /// Writes the arguments as C tor does, so that the length is the one that counts for its limit.
    ///
    /// # Errors
    ///
    /// [`ArgsError::TooLong`] above [`MAX_ENCODED`] bytes.
    pub fn encode(&self) -> Result<String, ArgsError> {
        let items: Vec<_> =
            self.iter().map(|(key, value)| escape(key, r"\;=") + "=" + &escape(value, r"\;")).collect();
        let encoded = items.join(";");
        if encoded.len() > MAX_ENCODED { Err(ArgsError::TooLong(encoded.len())) } else { Ok(encoded) }
    }

    /// Appends one pair.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((Zeroizing::new(key.into()), Zeroizing::new(value.into())));
    }

    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Args {
    /// Keys only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(key, _)| key)).finish()
    }
}

/// Reads `TOR_PT_SERVER_TRANSPORT_OPTIONS` and returns what is meant for `transport`.
///
/// Options of other transports must be well-formed, in any encoding, and are otherwise ignored.
pub(crate) fn parse_server_options(raw: &[u8], transport: &TransportName) -> Result<Args, ArgsError> {
    let mut scanner = Scanner::new(raw);
    let mut args = Args::new();
    while scanner.next_item() {
        let name = scanner.transport()?;
        let pair = scanner.pair()?;
        if *name == transport.as_str().as_bytes() {
            let (key, value) = scanner.text(pair)?;
            args.push(key, value);
        }
    }
    Ok(args)
}

/// The arguments of an `SMETHOD` line, escaped.
///
/// Tor publishes them in the bridge's extra-info document: nothing secret belongs here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmethodArgs(String);

impl SmethodArgs {
    /// Appends one pair.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Unprintable`] for a pair that would break the line; the others stay as they are.
    pub fn push(&mut self, key: &str, value: &str) -> Result<(), ArgsError> {
        let breaks = |c: char| c.is_whitespace() || c.is_control();
        if key.is_empty() || key.contains(breaks) || value.contains(breaks) {
            return Err(ArgsError::Unprintable(key.escape_debug().to_string()));
        }
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0 += &format!("{comma}{}={}", escape(key, r"\=,"), escape(value, r"\=,"));
        Ok(())
    }

    /// Whether there is no argument, and so no `ARGS:` to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for SmethodArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key that somebody else wrote, when it can be one.
fn presentable(key: String) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.len() <= 32 && key.chars().all(is_name) { key } else { "(unprintable)".to_owned() }
}

/// `text` with a backslash before each of `special`.
fn escape(text: &str, special: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

type Token = Zeroizing<Vec<u8>>;

/// Reads items separated by `;` out of raw bytes, one token at a time.
struct Scanner<'a> {
    rest: &'a [u8],
    /// The number of the current item, from 1; 0 before the first.
    item: usize,
    /// Whether another item must follow: at the start if there is any input, and after each `;`.
    more: bool,
}

impl<'a> Scanner<'a> {
    fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw, item: 0, more: !raw.is_empty() }
    }

    /// Goes on to the next item, or says that there is none.
    fn next_item(&mut self) -> bool {
        self.item += 1;
        std::mem::take(&mut self.more)
    }

    /// `name:`
    fn transport(&mut self) -> Result<Token, ArgsError> {
        match self.token(b":;")? {
            (name, Some(b':')) => Ok(name),
            _ => Err(ArgsError::NoTransport(self.item)),
        }
    }

    /// `key=value`, and the `;` after it. C tor leaves `=` in a value as it is.
    fn pair(&mut self) -> Result<(Token, Token), ArgsError> {
        let (key, Some(b'=')) = self.token(b"=;")? else { return Err(ArgsError::NoEquals(self.item)) };
        if key.is_empty() {
            return Err(ArgsError::EmptyKey(self.item));
        }
        let (value, end) = self.token(b";")?;
        self.more = end.is_some();
        Ok((key, value))
    }

    /// A pair as text.
    fn text(&self, (key, value): (Token, Token)) -> Result<(String, String), ArgsError> {
        let key = std::str::from_utf8(&key).map_err(|_| ArgsError::KeyNotUtf8(self.item))?;
        match std::str::from_utf8(&value) {
            Ok(value) => Ok((key.to_owned(), value.to_owned())),
            Err(_) => Err(ArgsError::ValueNotUtf8(presentable(key.to_owned()))),
        }
    }

    /// Unescapes up to one of `ends` that is not escaped; returns that too, or `None` at the end of the input.
    fn token(&mut self, ends: &[u8]) -> Result<(Token, Option<u8>), ArgsError> {
        // A vector that has to grow leaves a copy of itself behind.
        let mut token = Zeroizing::new(Vec::with_capacity(self.rest.len()));
        while let Some(byte) = self.byte() {
            match byte {
                b'\\' => token.push(self.byte().ok_or(ArgsError::TrailingBackslash)?),
                end if ends.contains(&end) => return Ok((token, Some(end))),
                byte => token.push(byte),
            }
        }
        Ok((token, None))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests;
