//! Messages to Tor: every line that a transport may write on standard output (pt-spec section 3.3).
//!
//! Whatever text reaches a [`Message`], its `Display` is one physical line that C tor and Arti read
//! as the message that was meant. Control characters, line breaks and characters that reorder text
//! become visible escapes (`\n`, `\u{1b}`), so that they cannot forge a line in Tor's log either.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use super::args::SmethodArgs;
use super::name::TransportName;

/// The longest text of a message, in characters before escaping; what is longer is cut and ends in `…`.
const MAX_TEXT: usize = 1000;

/// One line of the managed-proxy protocol, without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// `VERSION 1` (section 3.3.1): the first line of every successful start.
    Version,
    /// `VERSION-ERROR no-version` (section 3.3.1): Tor does not offer version 1.
    VersionError,
    /// `ENV-ERROR` (section 3.3.1): a variable is missing or malformed. C tor shows it only if it comes before `VERSION`.
    EnvError(String),
    /// `PROXY DONE` (section 3.3.2): all traffic will use the proxy of `TOR_PT_PROXY`.
    ProxyDone,
    /// `PROXY-ERROR` (section 3.3.2): that proxy cannot be used.
    ProxyError(String),
    /// `CMETHOD` (section 3.3.2): a client transport listens for SOCKS5.
    Cmethod {
        /// Which one.
        transport: TransportName,
        /// Where; both parents require a port other than 0, and Arti a loopback address.
        addr: SocketAddr,
    },
    /// `CMETHOD-ERROR` (section 3.3.2): a client transport can never work. Tor does not try again.
    CmethodError {
        /// Which one.
        transport: TransportName,
        /// Why.
        text: String,
    },
    /// `CMETHODS DONE` (section 3.3.2): no further client transport follows.
    CmethodsDone,
    /// `SMETHOD` (section 3.3.3): a server transport is up.
    Smethod {
        /// Which one.
        transport: TransportName,
        /// Where clients reach it; the port must not be 0.
        addr: SocketAddr,
        /// What clients need to know. Tor publishes it.
        args: SmethodArgs,
    },
    /// `SMETHOD-ERROR` (section 3.3.3): a server transport can never work. Tor does not try again.
    SmethodError {
        /// Which one.
        transport: TransportName,
        /// Why.
        text: String,
    },
    /// `SMETHODS DONE` (section 3.3.3): no further server transport follows.
    SmethodsDone,
    /// `LOG` (section 3.3.4): a line for Tor's log.
    Log {
        /// How much it matters.
        severity: Severity,
        /// What to say.
        text: String,
    },
    /// `STATUS` (section 3.3.5): something that a program may read.
    Status(Status),
}

/// The severity of a `LOG` line (section 3.3.4), which has these five: they are the levels of Tor's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something failed and will stay so.
    Error,
    /// Something is wrong.
    Warning,
    /// What a user of Tor should see by default.
    Notice,
    /// Of interest when looking for a fault.
    Info,
    /// For developers.
    Debug,
}

/// The fields of a `STATUS` line (section 3.3.5): `TRANSPORT`, and at least one more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    transport: TransportName,
    fields: Vec<(&'static str, String)>,
}

impl Status {
    /// The status of `transport`, with a first field; see [`Status::field`].
    #[must_use]
    pub fn new(transport: TransportName, key: &'static str, value: impl Into<String>) -> Self {
        Self { transport, fields: Vec::new() }.field(key, value)
    }

    /// `TYPE=version`: which program this is. Tor includes it in a bridge's extra-info document if it comes
    /// before `SMETHODS DONE`.
    #[must_use]
    pub fn version(transport: TransportName, implementation: &str, version: &str) -> Self {
        Self::new(transport, "TYPE", "version")
            .field("IMPLEMENTATION", implementation)
            .field("VERSION", version)
    }

    /// Adds a field, in place of an earlier one of the same key.
    ///
    /// In `key`, whatever is not a letter, digit or `_` becomes `_`. An empty value, which Arti
    /// cannot read, becomes `-`.
    #[must_use]
    pub fn field(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.fields.retain(|(earlier, _)| *earlier != key);
        self.fields.push((key, value.into()));
        self
    }
}

impl Message {
    /// A `LOG` line.
    #[must_use]
    pub fn log(severity: Severity, text: impl Into<String>) -> Self {
        Self::Log { severity, text: text.into() }
    }

    /// Whether Tor can do without this line: `LOG` and `STATUS` inform, all others are the protocol.
    #[must_use]
    pub fn is_informational(&self) -> bool {
        matches!(self, Self::Log { .. } | Self::Status(_))
    }

    /// Whether this line ends the start-up phase.
    #[must_use]
    pub fn is_methods_done(&self) -> bool {
        matches!(self, Self::CmethodsDone | Self::SmethodsDone)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("VERSION 1"),
            Self::VersionError => f.write_str("VERSION-ERROR no-version"),
            Self::EnvError(text) => write!(f, "ENV-ERROR {}", Line(text)),
            Self::ProxyDone => f.write_str("PROXY DONE"),
            Self::ProxyError(text) => write!(f, "PROXY-ERROR {}", Line(text)),
            Self::Cmethod { transport, addr } => write!(f, "CMETHOD {transport} socks5 {addr}"),
            Self::CmethodError { transport, text } => write!(f, "CMETHOD-ERROR {transport} {}", Line(text)),
            Self::CmethodsDone => f.write_str("CMETHODS DONE"),
            Self::Smethod { transport, addr, args } => {
                write!(f, "SMETHOD {transport} {addr}")?;
                if args.is_empty() { Ok(()) } else { write!(f, " ARGS:{args}") }
            }
            Self::SmethodError { transport, text } => write!(f, "SMETHOD-ERROR {transport} {}", Line(text)),
            Self::SmethodsDone => f.write_str("SMETHODS DONE"),
            Self::Log { severity, text } => write!(f, "LOG SEVERITY={severity} MESSAGE={}", Quoted(text)),
            Self::Status(status) => write!(f, "STATUS {status}"),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TRANSPORT={}", self.transport)?;
        for (key, value) in &self.fields {
            let value = if value.trim().is_empty() { "-" } else { value.trim() };
            write!(f, " {}=", Key(key))?;
            if value.chars().all(is_word) { f.write_str(value)? } else { write!(f, "{}", Quoted(value))? }
        }
        Ok(())
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A key of a `STATUS` line.
struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.0.is_empty() { "_" } else { self.0 };
        key.chars().try_for_each(|c| f.write_char(if is_word(c) { c } else { '_' }))
    }
}

/// Text that ends a line, unquoted. Both parents complain when there is none.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.trim();
        write_visible(f, if text.is_empty() { "unspecified" } else { text })
    }
}

/// Text as a quoted C string, with no escape but `\"` and `\\`: the two that every parent reads alike.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write_visible(&mut Backslashed(f), self.0.trim_end())?;
        f.write_char('"')
    }
}

/// Puts a backslash before each `"` and `\` on their way to the writer.
struct Backslashed<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Backslashed<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            if matches!(c, '"' | '\\') {
                self.0.write_char('\\')?;
            }
            self.0.write_char(c)
        })
    }
}

/// Writes `text`, cut to [`MAX_TEXT`], with a visible escape for what would act on a line or a terminal.
fn write_visible(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let mut chars = text.chars();
    for c in chars.by_ref().take(MAX_TEXT) {
        if acts_on_text(c) { write!(out, "{}", c.escape_default())? } else { out.write_char(c)? }
    }
    if chars.next().is_some() { out.write_char('…') } else { Ok(()) }
}

/// Control characters, line and paragraph separators, and marks that change the direction of text.
fn acts_on_text(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
