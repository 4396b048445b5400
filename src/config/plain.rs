//! Plain spelling of arguments: letters, digits and `_ - / + : . ,` alone, for apps that let nothing else into a bridge line.
//!
//! A value that begins with a colon is spelled plainly. No other value begins so: there is no JID without a user before its first
//! colon, no login without one, and no server without a host. Behind the colon stands
//!
//! | argument | what |
//! | --- | --- |
//! | `jid` | `user:domain` or `user:domain/resource`, comma-separated |
//! | `login` | `user:domain:password`, `user:domain` or `domain`, comma-separated; the domain may have a `/resource` |
//! | any other | the value |
//!
//! In all of it `+` and two hexadecimal digits stand for a byte (of UTF-8) that separates nothing, where the ordinary spelling of a
//! `login` has `%`. What needs no escape is any letter or digit of ASCII, and `_ - / .`.
//!
//! So a JID takes one byte more than in the ordinary spelling, and a password the same. A `+` it must be, for want of another: a `=`
//! within a value is what some apps cut it at.

use secrecy::zeroize::Zeroizing;
use xmpp_parsers::jid::Jid;

use super::escape::{escape, unescape};
use super::value::read_jid;

/// What a value begins with that is spelled plainly.
const MARK: char = ':';
const ESCAPE: char = '+';

/// How a value is spelled, and how errors about it are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// As in torrc.
    #[default]
    Ordinary,
    /// In characters that every app takes.
    Plain,
}

impl Spelling {
    /// That of a value.
    pub(super) fn of(value: &str) -> Self {
        if value.starts_with(MARK) { Self::Plain } else { Self::Ordinary }
    }

    /// What is said in this spelling.
    pub(super) fn choose(self, ordinary: &'static str, plain: &'static str) -> &'static str {
        match self {
            Self::Ordinary => ordinary,
            Self::Plain => plain,
        }
    }
}

/// A JID in either spelling.
///
/// # Errors
/// The spelling, in which it is none.
pub fn spelled_jid(text: &str) -> Result<Jid, Spelling> {
    let spelling = Spelling::of(text);
    let ordinary = match unmarked(text) {
        Some(plainly) => jid(plainly).map_err(|_| spelling)?,
        None => text.to_owned(),
    };
    read_jid(&ordinary).ok_or(spelling)
}

/// What stands behind the mark, if there is one.
pub(super) fn unmarked(value: &str) -> Option<&str> {
    value.strip_prefix(MARK)
}

/// The text of a part, without its escapes.
pub(super) fn text(part: &str) -> Result<Zeroizing<String>, &'static str> {
    unescape(part, ESCAPE as u8)
}

/// One item of `jid` as it is spelled ordinarily.
pub(super) fn jid(item: &str) -> Result<String, &'static str> {
    let (user, rest) =
        item.split_once(':').ok_or("user:domain/resource, because the value begins with a colon")?;
    if rest.contains(':') {
        return Err("user:domain/resource (a colon in the resource is written +3A)");
    }
    Ok(format!("{}@{}", *text(user)?, *text(rest)?))
}

/// A value of an argument that is no list, as it is spelled ordinarily; none where it is.
pub(super) fn value(value: &str) -> Result<Option<Zeroizing<String>>, &'static str> {
    unmarked(value).map(text).transpose()
}

/// The value of the argument `key` in the plain spelling: the value itself, where that is plain.
///
/// # Errors
/// For a value that is not valid.
pub(super) fn spell(key: &str, value: &str) -> Result<String, &'static str> {
    if value.starts_with(MARK) || value.bytes().all(|byte| is_plain(byte) || b",:".contains(&byte)) {
        return Ok(value.to_owned());
    }
    let items = |item: fn(&str) -> Result<String, &'static str>| {
        value.split(',').map(item).collect::<Result<Vec<_>, _>>().map(|items| items.join(","))
    };
    let spelled = match key {
        "jid" => items(|item| Ok(spell_jid(item)))?,
        "login" => items(spell_login)?,
        _ => escape(value, ESCAPE, |byte| is_plain(byte) || byte == b':'),
    };
    Ok(format!("{MARK}{spelled}"))
}

/// A list of JIDs in the plain spelling.
pub(super) fn spell_jids<'a>(jids: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<_> = jids.into_iter().map(spell_jid).collect();
    format!("{MARK}{}", items.join(","))
}

/// A JID, whose first `@` stands behind the user.
fn spell_jid(jid: &str) -> String {
    let parts: Vec<_> = jid.splitn(2, '@').map(|part| escape(part, ESCAPE, is_plain)).collect();
    parts.join(":")
}

fn spell_login(item: &str) -> Result<String, &'static str> {
    let (jid, password) = item.split_once(':').map_or((item, None), |(jid, password)| (jid, Some(password)));
    let jid = spell_jid(&unescape(jid, b'%')?);
    let Some(password) = password else { return Ok(jid) };
    Ok(format!("{jid}:{}", escape(&unescape(password, b'%')?, ESCAPE, is_plain)))
}

/// What stands for itself in every part.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'.')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;
    use tor_pt::Args;
    use xmpp_parsers::jid::Jid;

    use super::*;
    use crate::config::value::{parse_peers, parse_server};
    use crate::config::{Login, parse_login};

    /// Whether every app takes it.
    fn is_for_all(value: &str) -> bool {
        value.chars().all(|c| c.is_ascii_alphanumeric() || "_-/+:.,".contains(c))
    }

    #[test]
    fn a_line_reads_much_like_the_ordinary_one() {
        for (key, ordinary, plain) in [
            ("jid", "bridge@chat.example/r", ":bridge:chat.example/r"),
            ("jid", "b@x.example/a+b,c@x.example/é:/@", ":b:x.example/a+2Bb,c:x.example/+C3+A9+3A/+40"),
            ("login", "alice@chat.example:s%2Cecret", ":alice:chat.example:s+2Cecret"),
            (
                "login",
                "anon.example,new@x.example,a@x.example/r:~=",
                ":anon.example,new:x.example,a:x.example/r:+7E+3D",
            ),
            ("login", "anon.example", "anon.example"),
            ("server", "chat.example:5222", "chat.example:5222"),
            ("server", "[::1]:5222", ":+5B::1+5D:5222"),
            ("server", "wss://chat.example:5281/xmpp-websocket", "wss://chat.example:5281/xmpp-websocket"),
            ("server", "wss://chat.example/ws?a=%20+", ":wss://chat.example/ws+3Fa+3D+2520+2B"),
            ("key", "A-_z", "A-_z"),
            ("tls", "starttls", "starttls"),
        ] {
            assert_eq!(spell(key, ordinary).unwrap(), plain);
            assert!(is_for_all(plain));
        }
    }

    #[test]
    fn both_spellings_mean_the_same() {
        for (ordinary, plain) in [
            ("b@x.example/r", ":b:x.example/r"),
            ("b@x.example,c@y.example/a@b:c", ":b:x.example,c:y.example/a+40b+3Ac"),
        ] {
            assert_eq!(parse_peers(plain).unwrap(), parse_peers(ordinary).unwrap());
        }
        let comma = parse_peers(":b:x.example/a+2Cb+20c").unwrap();
        assert_eq!(
            comma,
            [Jid::new("b@x.example/a,b c").unwrap()],
            "the ordinary spelling has none for this"
        );
        assert_eq!(value(":+5B::1+5D:5222").unwrap().unwrap().as_str(), "[::1]:5222");
        assert_eq!(value("[::1]:5222"), Ok(None));
    }

    #[test]
    fn a_jid_is_read_in_either_spelling_and_what_is_none_is_so_in_one() {
        for text in ["new@reg.example", ":new:reg.example"] {
            assert_eq!(spelled_jid(text), Ok(Jid::new("new@reg.example").unwrap()));
        }
        assert_eq!(spelled_jid(":a:x.example/+40"), Ok(Jid::new("a@x.example/@").unwrap()));
        for text in [":", ":reg.example", ":a:b:c", ":a:", ":a@reg.example", ":new:reg.example+"] {
            assert_eq!(spelled_jid(text), Err(Spelling::Plain), "{text}");
        }
        assert_eq!(spelled_jid("@"), Err(Spelling::Ordinary));
    }

    /// The plain spelling is for apps that refuse the characters of the other one.
    #[test]
    fn an_error_about_a_plain_value_is_spelled_plainly_and_any_other_is_not() {
        for wrong in [
            "a",
            "a:x.example",
            "a:x.example:",
            "a:x.example:+4",
            "a:x example:p",
            ":x.example:p",
            "b:x.example:p,new:x.example",
        ] {
            let text = parse_login(&format!(":{wrong}")).unwrap_err().to_string();
            assert!(!text.contains('@') && !text.contains('%'), "{wrong}: {text}");
        }
        for wrong in ["a", "a:", "a:x.example/+4", "a b:x.example"] {
            let text = parse_peers(&format!(":{wrong}")).unwrap_err().to_string();
            assert!(!text.contains('@') && !text.contains('%'), "{wrong}: {text}");
        }
        for wrong in
            ["a@x.example", "a@x.example:", "a@x.example:%4", "x.example:p", "b@x.example:p,new@x.example"]
        {
            let text = parse_login(wrong).unwrap_err().to_string();
            assert!(!text.contains("plain") && !text.contains('+'), "{wrong}: {text}");
        }
    }

    #[test]
    fn the_url_of_a_websocket_survives_the_plain_spelling() {
        for url in ["wss://chat.example:5281/xmpp-websocket", "wss://[2001:db8::1]/ws?a=%20+"] {
            let plain = spell("server", url).unwrap();
            assert!(is_for_all(&plain), "{plain}");
            let read = value(&plain).unwrap();
            let read = read.as_ref().map_or(plain.as_str(), |read| read.as_str());
            assert_eq!(parse_server(read).unwrap(), parse_server(url).unwrap());
        }
    }

    #[test]
    fn what_is_spelled_wrongly_is_refused_by_its_number() {
        for wrong in [
            "",
            "b",
            "b@x.example",
            "b:",
            ":x.example",
            "b:x.example/a:b",
            "b:x+",
            "b:x+4g",
            "b:x+FF",
            "b+2Fc:x",
        ] {
            let problem = parse_peers(&format!(":a:x.example,{wrong}")).unwrap_err();
            assert!(problem.to_string().starts_with("item 2 must be "), "{wrong}: {problem}");
        }
        for wrong in [
            "",
            "a:x.example",
            "a:x.example:",
            ":x.example:p",
            "a:x.example:p:q",
            "a:x.example:+0A",
            "a@x.example:p",
        ] {
            let problem = parse_login(&format!(":b:x.example:p,{wrong}")).unwrap_err();
            assert!(problem.to_string().starts_with("item 2 must be "), "{wrong}: {problem}");
        }
    }

    /// Any JID with a user, as servers write it: there are characters that the library changes each time.
    fn any_jid() -> impl Strategy<Value = Jid> {
        let user = prop_oneof!["[a-zé0-9_+%=;~!,.-]{1,10}", "\\PC{1,5}"];
        let rest = prop_oneof!["[a-z0-9]{1,8}(/\\PC{1,20})?", "[a-z]{1,9}\\.example/[ -~é]{1,20}"];
        (user, rest).prop_filter_map("no JID", |(user, rest)| {
            let jid = Jid::new(&format!("{user}@{rest}")).ok().filter(|jid| jid.node().is_some())?;
            (Jid::new(jid.as_str()).as_ref() == Ok(&jid)).then_some(jid)
        })
    }

    /// As the ordinary spelling has it.
    fn percent(text: &str) -> String {
        escape(text, '%', |byte| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte))
    }

    fn over_socks(value: &str) -> String {
        let mut arguments = Args::new();
        arguments.push("k", value);
        Args::parse(arguments.encode().unwrap().as_bytes()).unwrap().get("k").unwrap().to_owned()
    }

    proptest! {
        #[test]
        fn every_jid_has_a_plain_spelling(jids in prop::collection::vec(any_jid(), 1..4)) {
            let plain = spell_jids(jids.iter().map(|jid| jid.as_str()));
            prop_assert!(is_for_all(&plain), "{}", plain);
            let mut expected: Vec<Jid> = Vec::new();
            jids.into_iter().for_each(|jid| if !expected.contains(&jid) { expected.push(jid) });
            prop_assert_eq!(parse_peers(&plain).unwrap(), expected.clone());
            prop_assert_eq!(parse_peers(&over_socks(&plain)).unwrap(), expected);
        }

        #[test]
        fn every_login_has_a_plain_spelling(jid in any_jid(), password in "[^\\p{Cc}]{1,30}") {
            let ordinary = format!("anon.example,{}:{}", percent(jid.as_str()), percent(&password));
            let plain = spell("login", &ordinary).unwrap();
            prop_assert!(is_for_all(&plain), "{}", plain);
            let expected: Vec<Login> = parse_login(&ordinary).unwrap();
            prop_assert_eq!(&expected[1].jid, &jid);
            for spelling in [&plain, &over_socks(&plain), &over_socks(&ordinary)] {
                prop_assert!(parse_login(spelling).unwrap() == expected);
            }
        }

        #[test]
        fn every_other_value_has_a_plain_spelling(text in "[^:]\\PC{0,30}") {
            let plain = spell("psk", &text).unwrap();
            prop_assert!(is_for_all(&plain) || plain == text, "{}", plain);
            let read = value(&plain).unwrap().map_or(text.clone(), |read| read.to_string());
            prop_assert_eq!(read, text);
        }

        /// So that nothing that was valid before there was a plain spelling can be taken for one.
        #[test]
        fn nothing_that_is_spelled_ordinarily_begins_with_a_colon(rest in any::<String>()) {
            let text = format!(":{rest}");
            prop_assert!(Jid::new(&text).ok().filter(|jid| jid.node().is_some()).is_none());
            prop_assert!(parse_server(&text).is_err());
        }
    }
}
