//! Bridge lines: as a bridge hands them out, and as torrc has them.

mod respell;
mod writer;

use std::fmt;
use std::fs;
use std::path::Path;

use secrecy::zeroize::Zeroizing;

pub use self::respell::{is_fingerprint, plain_bridge_line};
pub use self::writer::{BridgeLineError, MAX_ARGUMENTS, NewBridgeLine};
use super::error::{ConfigError, Location, Problem, Warning};
use super::input::read_text;
use crate::os;

/// The longest file with a bridge line: 64 KiB, for a line and comments around it.
const MAX_TEXT: usize = 65_536;

/// The arguments of a bridge line, in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BridgeArgs(Vec<(String, Zeroizing<String>)>);

impl BridgeArgs {
    /// The pairs, as [`BridgeConfig::resolve`](super::BridgeConfig::resolve) takes them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl fmt::Debug for BridgeArgs {
    /// How many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BridgeArgs").field(&self.0.len()).finish()
    }
}

/// Reads `[Bridge] hexchat ADDRESS FINGERPRINT key=value …`, alone or among `#` comments and empty lines.
///
/// Address and fingerprint are Tor's business; they may be placeholders or missing. As in torrc, everything from a `#`
/// to the end of the line is a comment.
///
/// # Errors
/// When there is no line, more than one, a line for another transport, or something that is not `key=value`.
pub fn parse_bridge_line(text: &str) -> Result<BridgeArgs, ConfigError> {
    parse(text).map_err(|problem| ConfigError::new(Location::BridgeLine, "", problem))
}

/// Reads the bridge line out of a file: the line itself, without comments.
///
/// # Errors
/// As [`parse_bridge_line`], and when the file cannot be read.
pub fn read_bridge_line(path: &Path) -> Result<String, ConfigError> {
    let line = read_text(path, MAX_TEXT).and_then(|read| {
        parse(&read.text)?;
        Ok(lines(&read.text).collect())
    });
    line.map_err(|problem| ConfigError::new(Location::WholeFile(path.into()), "", problem))
}

/// What to warn of where these arguments of a file's line have a password or a secret, and any user of the machine can read the file.
pub fn exposed_bridge_line(path: &Path, arguments: &BridgeArgs) -> Option<Warning> {
    let is_secret = |(key, value): (&str, &str)| key == "psk" || key == "login" && value.contains(':');
    let is_exposed = || fs::metadata(path).is_ok_and(|file| file.is_file() && os::is_world_readable(&file));
    (arguments.iter().any(is_secret) && is_exposed()).then(|| Warning::Exposed(path.to_owned()))
}

/// How long the arguments of a bridge line are, as tor counts them, which carries [`MAX_ARGUMENTS`].
///
/// # Errors
/// As [`parse_bridge_line`].
pub fn arguments_length(line: &str) -> Result<usize, ConfigError> {
    let arguments = parse_bridge_line(line)?;
    let arguments: Vec<_> = arguments.iter().map(|(key, value)| (key, value.to_owned())).collect();
    Ok(writer::encoded_length(&arguments))
}

fn parse(text: &str) -> Result<BridgeArgs, Problem> {
    if text.len() > MAX_TEXT {
        return Err(Problem::TooLong { max: MAX_TEXT });
    }
    let mut lines = lines(text);
    let line = lines.next().ok_or(Problem::Missing("there is no bridge line in this text"))?;
    if lines.next().is_some() {
        return Err(Problem::Conflict("there is more than one bridge line in this text; keep one"));
    }
    parse_line(line)
}

/// The lines that are more than a comment.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().map(without_comment).filter(|line| !line.is_empty())
}

fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

fn parse_line(line: &str) -> Result<BridgeArgs, Problem> {
    let mut words = line.split_whitespace().peekable();
    words.next_if(|word| word.eq_ignore_ascii_case("Bridge"));
    if words.next() != Some("hexchat") {
        return Err(Problem::Invalid("a line that begins with Bridge hexchat"));
    }
    for _address_and_fingerprint in 0..2 {
        words.next_if(|word| !word.contains('='));
    }
    words.enumerate().map(parse_argument).collect::<Result<_, _>>().map(BridgeArgs)
}

fn parse_argument((index, word): (usize, &str)) -> Result<(String, Zeroizing<String>), Problem> {
    let pair = word.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or(Problem::InvalidItem { item: index + 1, expected: "key=value" })?;
    Ok((key.to_owned(), Zeroizing::new(value.to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let arguments = parse_bridge_line(text).unwrap();
        arguments.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn expected() -> Vec<(String, String)> {
        vec![("jid".into(), "b@x.example/r".into()), ("key".into(), "a=b".into())]
    }

    #[test]
    fn a_bridge_line_is_read_with_and_without_what_tor_adds() {
        for line in [
            "Bridge hexchat [2001:db8::1]:443 0123456789ABCDEF0123456789ABCDEF01234567 jid=b@x.example/r key=a=b",
            "bridge hexchat 192.0.2.1:443 <FINGERPRINT> jid=b@x.example/r key=a=b\r\n",
            "hexchat 192.0.2.1:443 jid=b@x.example/r key=a=b",
            "hexchat jid=b@x.example/r key=a=b",
            "\u{feff}# one\n\n  # two\n\tBridge  hexchat [::1]:1 F jid=b@x.example/r\tkey=a=b  # three\n# four",
        ] {
            assert_eq!(pairs(line), expected(), "{line:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_one_bridge_line_is_refused() {
        for text in [
            "",
            "# only a comment",
            "Bridge",
            "Bridge obfs4 192.0.2.1:1 F cert=x",
            "Bridge 192.0.2.1:1 F",
            "hexchat [::1]:1 F G jid=b@x.example/r",
            "hexchat [::1]:1 F jid=b@x.example/r secret",
            "hexchat [::1]:1 F =secret",
            "hexchat [::1]:1 F jid=b@x.example/r\nhexchat [::1]:1 F jid=c@x.example/r",
        ] {
            let error = parse_bridge_line(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(parse_bridge_line(&"#\n".repeat(MAX_TEXT)).is_err());
    }

    #[test]
    fn arguments_do_not_show_themselves() {
        let args = parse_bridge_line("hexchat login=a@x.example:secret").unwrap();
        assert_eq!(format!("{args:?}"), "BridgeArgs(1)");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), tail in any::<String>()) {
            let _ = (parse_bridge_line(&text), parse_bridge_line(&format!("hexchat {tail}")));
        }
    }
}
