#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// How the two parents read our lines, written from their behaviour and not from the code under test.
mod parents {
    /// The `K=V` pairs of a `LOG` or `STATUS` line.
    pub(super) type Pairs = Vec<(String, String)>;

    /// C tor: pairs between blanks; a quoted value is a C literal in which an unknown escape is an
    /// error, as is a NUL; the line itself ends at the first newline.
    pub(super) fn c_tor(line: &str) -> Option<Pairs> {
        let (_, mut rest) = line.split_once(' ')?;
        let mut pairs = Pairs::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\r', '\u{b}', '\n']);
            if rest.is_empty() {
                return Some(pairs);
            }
            let end = rest.find([' ', '\t', '\r', '\u{b}', '\n', '='])?;
            let key = &rest[..end];
            let after = rest[end..].strip_prefix('=')?;
            let (value, left) = match after.strip_prefix('"') {
                Some(quoted) => c_literal(quoted)?,
                None => {
                    let end = after.find([' ', '\t', '\r', '\u{b}', '\n']).unwrap_or(after.len());
                    (after[..end].to_owned(), &after[end..])
                }
            };
            let encodable =
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\'');
            if !encodable {
                return None;
            }
            pairs.push((key.to_owned(), value));
            rest = left;
        }
    }

    fn c_literal(text: &str) -> Option<(String, &str)> {
        let mut value = String::new();
        let mut chars = text.chars();
        loop {
            match chars.next()? {
                '"' => return Some((value, chars.as_str())),
                '\n' | '\0' => return None,
                '\\' => value.push(match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    same @ ('"' | '\\' | '\'') => same,
                    _ => return None, // octal and hex are legal there, but we write neither
                }),
                c => value.push(c),
            }
        }
    }

    /// Arti: words between single spaces; `LOG` is `SEVERITY` and then `MESSAGE`; an empty value and
    /// an octal escape are errors.
    pub(super) fn arti(line: &str) -> Option<Pairs> {
        if let Some(rest) = line.strip_prefix("LOG SEVERITY=") {
            let (severity, rest) = rest.split_once(' ')?;
            let (text, _) = arti_value(rest.strip_prefix("MESSAGE=")?)?;
            return Some(vec![("SEVERITY".into(), severity.into()), ("MESSAGE".into(), text)]);
        }
        let mut rest = line.strip_prefix("STATUS ")?;
        let mut pairs = Pairs::new();
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=')?;
            if after.is_empty() || pairs.iter().any(|(earlier, _)| earlier == key) {
                return None;
            }
            let (value, left) = arti_value(after)?;
            pairs.push((key.to_owned(), value));
            rest = left.strip_prefix(' ').unwrap_or(left);
        }
        Some(pairs)
    }

    fn arti_value(text: &str) -> Option<(String, &str)> {
        let Some(quoted) = text.strip_prefix('"') else {
            let (value, left) = text.split_once(' ').unwrap_or((text, ""));
            return Some((value.to_owned(), left));
        };
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next()? {
                '"' => return Some((value, chars.as_str())),
                '\\' => match chars.next()? {
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    '0'..='8' => return None,
                    c => value.push(c),
                },
                c => value.push(c),
            }
        }
    }

    /// The arguments of an `SMETHOD` line as Arti reads them: a bare `=` in a value is an error.
    pub(super) fn arti_smethod_args(args: &str) -> Option<Pairs> {
        let mut pairs = vec![(String::new(), None::<String>)];
        let mut chars = args.chars();
        while let Some(c) = chars.next() {
            let (key, value) = pairs.last_mut()?;
            match c {
                ',' => pairs.push((String::new(), None)),
                '=' if value.is_some() => return None,
                '=' => *value = Some(String::new()),
                '\\' => value.as_mut().unwrap_or(key).push(chars.next()?),
                c => value.as_mut().unwrap_or(key).push(c),
            }
        }
        pairs.into_iter().map(|(key, value)| Some((key, value?))).collect()
    }
}

fn name() -> TransportName {
    "hexchat".parse().unwrap()
}

/// Characters that have broken a line somewhere, among ordinary ones.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("\n"),
        Just("\r\n"),
        Just("\0"),
        Just("\\"),
        Just("\""),
        Just("'"),
        Just(" "),
        Just("  "),
        Just("="),
        Just("\t"),
        Just("\\0"),
        Just("\\n"),
        Just("\u{1b}[31m"),
        Just("\u{2028}"),
        Just("\u{202e}"),
        Just("\u{7f}"),
        Just("\u{85}"),
        Just("\u{fffd}"),
        Just("é"),
        Just("CMETHODS DONE"),
        Just("LOG"),
        Just("x"),
    ];
    prop_oneof![prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat()), any::<String>(),]
}

/// What a reader should see of a text: the requirement in one sentence of code.
fn visible(text: &str) -> String {
    let shown = |c: char| if acts_on_text(c) { c.escape_default().to_string() } else { c.to_string() };
    text.trim_end().chars().take(MAX_TEXT).map(shown).collect()
}

fn assert_one_line(line: &str) {
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert_eq!(line.lines().count(), 1, "{line:?}");
}

#[test]
fn each_message_is_written_exactly() {
    let addr = "127.0.0.1:4711".parse().unwrap();
    let text = || "no good".to_owned();
    let mut args = SmethodArgs::default();
    for (message, line) in [
        (Message::Version, "VERSION 1"),
        (Message::VersionError, "VERSION-ERROR no-version"),
        (Message::EnvError(text()), "ENV-ERROR no good"),
        (Message::ProxyDone, "PROXY DONE"),
        (Message::ProxyError(text()), "PROXY-ERROR no good"),
        (Message::Cmethod { transport: name(), addr }, "CMETHOD hexchat socks5 127.0.0.1:4711"),
        (Message::CmethodError { transport: name(), text: text() }, "CMETHOD-ERROR hexchat no good"),
        (Message::CmethodsDone, "CMETHODS DONE"),
        (Message::Smethod { transport: name(), addr, args: args.clone() }, "SMETHOD hexchat 127.0.0.1:4711"),
        (Message::SmethodError { transport: name(), text: text() }, "SMETHOD-ERROR hexchat no good"),
        (Message::SmethodsDone, "SMETHODS DONE"),
        (Message::log(Severity::Notice, r#"a "b" \c"#), r#"LOG SEVERITY=notice MESSAGE="a \"b\" \\c""#),
        (Message::log(Severity::Error, "a\nb\0"), r#"LOG SEVERITY=error MESSAGE="a\\nb\\u{0}""#),
    ] {
        assert_eq!(message.to_string(), line);
    }
    args.push("k", "v").unwrap();
    let addr = "[2001:db8::1]:443".parse().unwrap();
    let line = Message::Smethod { transport: name(), addr, args }.to_string();
    assert_eq!(line, "SMETHOD hexchat [2001:db8::1]:443 ARGS:k=v");
}

#[test]
fn the_version_status_is_written_exactly() {
    let line = Message::Status(Status::version(name(), "hexchat-pt", "0.1.0")).to_string();
    let exact = r#"STATUS TRANSPORT=hexchat TYPE=version IMPLEMENTATION="hexchat-pt" VERSION="0.1.0""#;
    assert_eq!(line, exact);
}

#[test]
fn a_status_has_no_empty_value_and_no_key_twice() {
    let status = Status::new(name(), "A", "1").field("B", " ").field("A", "2").field("odd key=", "x");
    assert_eq!(Message::Status(status).to_string(), r#"STATUS TRANSPORT=hexchat B="-" A=2 odd_key_=x"#);
}

#[test]
fn an_error_without_text_still_says_something() {
    assert_eq!(Message::EnvError(" \n".into()).to_string(), "ENV-ERROR unspecified");
}

#[test]
fn a_long_text_is_cut() {
    let line = Message::log(Severity::Info, "\u{1}".repeat(100_000)).to_string();
    assert!(line.len() < 8 * MAX_TEXT && line.ends_with("…\""), "{}", line.len());
}

proptest! {
    #[test]
    fn both_parents_read_the_log_text_that_was_meant(text in nasty()) {
        let line = Message::log(Severity::Warning, text.clone()).to_string();
        assert_one_line(&line);
        let meant = vec![("SEVERITY".to_owned(), "warning".to_owned()), ("MESSAGE".to_owned(), visible(&text))];
        prop_assert_eq!(parents::c_tor(&line), Some(meant.clone()));
        prop_assert_eq!(parents::arti(&line), Some(meant));
    }

    #[test]
    fn both_parents_read_the_status_that_was_meant(a in nasty(), b in nasty()) {
        let line = Message::Status(Status::new(name(), "A", a.clone()).field("B", b.clone())).to_string();
        assert_one_line(&line);
        let value = |text: &str| if text.trim().is_empty() { "-".to_owned() } else { visible(text.trim()) };
        let meant = vec![
            ("TRANSPORT".to_owned(), "hexchat".to_owned()),
            ("A".to_owned(), value(&a)),
            ("B".to_owned(), value(&b)),
        ];
        prop_assert_eq!(parents::c_tor(&line), Some(meant.clone()));
        prop_assert_eq!(parents::arti(&line), Some(meant));
    }

    #[test]
    fn no_text_splits_an_error_line(text in nasty()) {
        for message in [
            Message::EnvError(text.clone()),
            Message::ProxyError(text.clone()),
            Message::CmethodError { transport: name(), text: text.clone() },
            Message::SmethodError { transport: name(), text: text.clone() },
        ] {
            let line = message.to_string();
            assert_one_line(&line);
            let words_before = if line.starts_with("ENV") || line.starts_with("PROXY") { 1 } else { 2 };
            let rest = line.splitn(words_before + 1, ' ').last().unwrap_or_default();
            prop_assert!(!rest.is_empty());
        }
    }

    #[test]
    fn arti_reads_the_smethod_arguments_that_were_meant(
        pairs in prop::collection::vec(("[^\\s\\p{Cc}]{1,8}", "[^\\s\\p{Cc}]{0,12}"), 1..5),
    ) {
        let mut args = SmethodArgs::default();
        for (key, value) in &pairs {
            args.push(key, value).unwrap();
        }
        let line = Message::Smethod { transport: name(), addr: "127.0.0.1:1".parse().unwrap(), args }.to_string();
        let words: Vec<_> = line.split(' ').collect();
        prop_assert_eq!(words.len(), 4);
        let read = parents::arti_smethod_args(words[3].strip_prefix("ARGS:").unwrap());
        prop_assert_eq!(read, Some(pairs));
    }
}
