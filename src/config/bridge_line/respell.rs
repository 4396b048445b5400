//! Bridge line for every app: one that a bridge has written, in letters, digits and `_ - / + : = . ,` alone.

use std::net::Ipv4Addr;

use ring::digest;

use super::parse;
use super::writer::{MAX_ARGUMENTS, encoded_length};
use crate::config::error::{ConfigError, Location, Problem};
use crate::config::plain;

/// The same line in the plain spelling, with a placeholder for an address that needs no brackets. A fingerprint stands there if the
/// line has one, or else `fingerprint` if that is given.
///
/// # Errors
/// When the line is none, holds a value that is not valid, or is longer than tor can carry.
pub fn plain_bridge_line(line: &str, fingerprint: Option<&str>) -> Result<String, ConfigError> {
    respell(line, fingerprint).map_err(|(key, problem)| ConfigError::new(Location::BridgeLine, key, problem))
}

fn respell(line: &str, fingerprint: Option<&str>) -> Result<String, (String, Problem)> {
    let arguments = parse(line).map_err(|problem| (String::new(), problem))?;
    let spelled = arguments.iter().map(|(key, value)| {
        let spelled =
            plain::spell(key, value).map_err(|expected| (key.to_owned(), Problem::Invalid(expected)))?;
        Ok((key, spelled))
    });
    let spelled = spelled.collect::<Result<Vec<_>, _>>()?;
    if encoded_length(&spelled) > MAX_ARGUMENTS {
        return Err((String::new(), Problem::TooLong { max: MAX_ARGUMENTS }));
    }
    let fingerprint = fingerprint_in(line).or(fingerprint);
    let head = ["Bridge".to_owned(), "hexchat".to_owned(), placeholder(&spelled)];
    let pairs = spelled.iter().map(|(key, value)| format!("{key}={value}"));
    let words: Vec<_> = head.into_iter().chain(fingerprint.map(str::to_owned)).chain(pairs).collect();
    Ok(words.join(" "))
}

/// The fingerprint that somebody has put in the place of its placeholder.
fn fingerprint_in(line: &str) -> Option<&str> {
    line.split_whitespace().take(4).find(|word| is_fingerprint(word))
}

/// Whether this is how tor writes who a relay is: 40 hexadecimal digits.
#[must_use]
pub fn is_fingerprint(word: &str) -> bool {
    word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An address of the first documentation prefix (RFC 5737) and a port, others for each bridge: of two bridges with the same, tor
/// forgets one.
fn placeholder(spelled: &[(&str, String)]) -> String {
    let value_of = |name| spelled.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
    // The classic protocol has no key.
    let bridge = value_of("key").or_else(|| value_of("jid")).unwrap_or_default();
    let hash = digest::digest(&digest::SHA256, bridge.as_bytes());
    let bytes = hash.as_ref();
    // Neither the network's own address and the broadcast, nor a port that apps may take for a mistake.
    let address = Ipv4Addr::new(192, 0, 2, bytes[0] % 254 + 1);
    format!("{address}:{}", u16::from_be_bytes([bytes[1], bytes[2]]) | 0x400)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;
    use xmpp_parsers::jid::FullJid;

    use super::*;
    use crate::config::{BridgeConfig, Config, NewBridgeLine, PublicKey, parse_bridge_line};

    const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    #[test]
    fn a_line_is_written_for_every_app() {
        let line = format!(
            "Bridge hexchat [2001:db8::1]:443 <FINGERPRINT> jid=b@x.example/r~ key={KEY} login=a@x.example:%2C"
        );
        let plain = plain_bridge_line(&line, None).unwrap();
        let (head, arguments) = plain.split_once(" jid=").unwrap();
        assert!(head.starts_with("Bridge hexchat 192.0.2.") && head.split(' ').count() == 3, "{head}");
        assert_eq!(arguments, format!(":b:x.example/r+7E key={KEY} login=:a:x.example:+2C"));
        let known = plain_bridge_line(&line, Some(FINGERPRINT)).unwrap();
        assert_eq!(known, plain.replace(" jid=", &format!(" {FINGERPRINT} jid=")));
        let edited = plain_bridge_line(&line.replace("<FINGERPRINT>", FINGERPRINT), None).unwrap();
        assert_eq!(edited, known);
        assert_eq!(plain_bridge_line(&known, None).unwrap(), known, "it is spelled plainly already");
    }

    #[test]
    fn two_bridges_have_two_addresses_with_a_key_or_without_one() {
        let address =
            |line: &str| plain_bridge_line(line, None).unwrap().split(' ').nth(2).unwrap().to_owned();
        let classic = |user: &str| address(&format!("hexchat jid={user}@x.example mode=classic"));
        assert_ne!(classic("b"), classic("c"));
        assert_eq!(classic("b"), address("hexchat jid=:b:x.example mode=classic"), "spelled otherwise");
        let secure = |key: &str| address(&format!("hexchat jid=b@x.example/r key={key}"));
        assert_ne!(secure(KEY), secure(&KEY.replacen('A', "B", 1)));
    }

    #[test]
    fn what_cannot_be_written_is_refused_and_not_shown() {
        let long = format!("hexchat jid={}@x.example/r key={KEY}", "hunter2".repeat(70));
        for (line, problem) in [
            ("hexchat login=a@x.example:hunter2%", "bridge line: login: must be escaped"),
            ("obfs4 cert=hunter2", "bridge line: must be a line that begins with Bridge hexchat"),
            (&long, "bridge line: longer than 510 bytes"),
        ] {
            let error = plain_bridge_line(line, None).unwrap_err().to_string();
            assert!(error.starts_with(problem) && !error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn the_plain_line_means_the_same(
            users in prop::collection::vec("[a-zé_+%-]{1,9}@[a-z]{1,9}\\.example/[!-~&&[^,#]]{1,12}", 1..4),
            key: [u8; 32],
        ) {
            let jids: Vec<_> = users.iter().filter_map(|text| FullJid::new(text).ok()).collect();
            let Ok(line) = NewBridgeLine::new(&jids, &PublicKey::from_bytes(key), None) else { return Ok(()) };
            let ordinary = format!("{} login=u@x.example:p%25", line.as_str());
            let plain = plain_bridge_line(&ordinary, Some(FINGERPRINT)).unwrap();
            prop_assert!(plain.chars().all(|c| c.is_ascii_alphanumeric() || "_-/+:=., ".contains(c)), "{}", plain);
            let meaning = |line: &str| {
                BridgeConfig::resolve(parse_bridge_line(line).unwrap().iter(), &Config::default()).unwrap()
            };
            prop_assert!(meaning(&plain) == meaning(&ordinary));
        }
    }
}
