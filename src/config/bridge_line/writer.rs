//! The bridge line that a bridge hands out.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use ring::digest;
use xmpp_parsers::jid::FullJid;

use crate::config::value::MAX_ITEMS;
use crate::config::{PresharedKey, PublicKey, plain};

/// The most that tor carries to a client's transport, in encoded bytes: a SOCKS5 user name and password.
pub const MAX_ARGUMENTS: usize = 510;

/// Why there is no bridge line for a configuration; trying again cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BridgeLineError {
    /// No account.
    #[error("there is no account to reach the bridge at; add an [[account]] to the configuration")]
    NoJid,
    /// More accounts than a client reads.
    #[error("a bridge line holds at most {MAX_ITEMS} accounts; remove some of the configuration's")]
    TooManyJids,
    /// A JID that has no user.
    #[error(
        "account {item} cannot stand in a bridge line: its JID must be user@domain/resource; choose another account"
    )]
    Jid {
        /// Counted from 1.
        item: usize,
    },
    /// More than [`MAX_ARGUMENTS`].
    #[error(
        "the arguments of the bridge line take {length} bytes, and tor carries {MAX_ARGUMENTS} with the user's login \
         among them; use fewer accounts than {accounts}, or ones with shorter names and resources"
    )]
    TooLong {
        /// As tor counts them.
        length: usize,
        /// How many there are.
        accounts: usize,
    },
}

/// A bridge line.
#[derive(Clone, PartialEq, Eq)]
pub struct NewBridgeLine {
    line: String,
    length: usize,
}

impl NewBridgeLine {
    /// Writes one for a bridge that is reached at these JIDs, equal ones once.
    ///
    /// # Errors
    /// When clients could not read it, or tor not carry it.
    pub fn new(
        jids: &[FullJid],
        key: &PublicKey,
        psk: Option<&PresharedKey>,
    ) -> Result<Self, BridgeLineError> {
        let jids = without_repeats(jids);
        if jids.is_empty() {
            return Err(BridgeLineError::NoJid);
        }
        if jids.len() > MAX_ITEMS {
            return Err(BridgeLineError::TooManyJids);
        }
        if let Some(index) = jids.iter().position(|jid| jid.node().is_none()) {
            return Err(BridgeLineError::Jid { item: index + 1 });
        }
        let mut arguments = vec![("jid", list(&jids)), ("key", key.to_text())];
        arguments.extend(psk.map(|psk| ("psk", psk.to_text())));
        let length = encoded_length(&arguments);
        if length > MAX_ARGUMENTS {
            return Err(BridgeLineError::TooLong { length, accounts: jids.len() });
        }
        Ok(Self { line: format(&arguments, key), length })
    }

    /// The line, without a line break. It is secret: whoever has it can find and use the bridge.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// The file that a bridge's operator finds: the line, with comments.
    #[must_use]
    pub fn to_file(&self) -> String {
        format!(
            "# The bridge line of this bridge. Whoever has it can find and use the bridge.\n\
             # Put the relay's fingerprint (the file fingerprint in tor's DataDirectory) in the place of <FINGERPRINT>.\n\
             # The address is a placeholder that nobody connects to. Each user appends an account of their own:\n\
             # login=user@chat.example:password, in which everything but letters, digits and -._~@ is written as %XX.\n\
             # For apps that take no @ and no %: hexchat-pt bridge-line --plain.\n\
             # There is room for {} more bytes of arguments.\n\
             {}\n",
            MAX_ARGUMENTS - self.length,
            self.line
        )
    }
}

impl std::fmt::Debug for NewBridgeLine {
    /// How long its arguments are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewBridgeLine").field("length", &self.length).finish_non_exhaustive()
    }
}

fn format(arguments: &[(&str, String)], key: &PublicKey) -> String {
    let mut line = format!("Bridge hexchat [{}]:443 <FINGERPRINT>", placeholder(key));
    for (key, value) in arguments {
        // Writing to a string cannot fail.
        let _ = write!(line, " {key}={value}");
    }
    line
}

/// An address of the documentation prefix (RFC 3849), another one for each bridge: of two bridges with the same, tor
/// forgets one.
fn placeholder(key: &PublicKey) -> Ipv6Addr {
    let hash = digest::digest(&digest::SHA256, key.as_bytes());
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    bytes[4..].copy_from_slice(&hash.as_ref()[..12]);
    bytes.into()
}

fn without_repeats(jids: &[FullJid]) -> Vec<&FullJid> {
    let mut kept: Vec<&FullJid> = Vec::new();
    for jid in jids {
        if !kept.contains(&jid) {
            kept.push(jid);
        }
    }
    kept
}

/// The JIDs as a value of `jid`: as people know them, and plainly where one has a character that separates things. The ordinary spelling
/// has no escape for those: `jid` is a list with commas, torrc has blanks and comments.
fn list(jids: &[&FullJid]) -> String {
    let separates = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '#');
    let texts: Vec<_> = jids.iter().map(|jid| jid.as_str()).collect();
    if texts.iter().any(|text| text.contains(separates)) { plain::spell_jids(texts) } else { texts.join(",") }
}

/// As C tor counts them: `key=value;key=value`, with a backslash before each `;` and `\`.
pub(super) fn encoded_length(arguments: &[(&str, String)]) -> usize {
    let escaped = |text: &str| text.len() + text.matches([';', '\\']).count();
    let pairs: usize = arguments.iter().map(|(key, value)| escaped(key) + 1 + escaped(value)).sum();
    pairs + arguments.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;
    use tor_pt::Args;

    use super::*;
    use crate::config::{BridgeConfig, Config, Protocol, parse_bridge_line};

    fn key() -> PublicKey {
        PublicKey::from_bytes(std::array::from_fn(|place| place as u8))
    }

    fn jid(text: &str) -> FullJid {
        FullJid::new(text).unwrap()
    }

    fn line(jids: &[&str]) -> Result<NewBridgeLine, BridgeLineError> {
        let jids: Vec<_> = jids.iter().map(|text| jid(text)).collect();
        NewBridgeLine::new(&jids, &key(), None)
    }

    /// What a client makes of the file.
    fn read_back(file: &str) -> BridgeConfig {
        let mut arguments = vec![("login".to_owned(), "u@x.example:p".to_owned())];
        let written = parse_bridge_line(file).unwrap();
        arguments.extend(written.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        let (bridge, warnings) = BridgeConfig::resolve(arguments, &Config::default()).unwrap();
        assert_eq!(warnings, []);
        bridge
    }

    #[test]
    fn a_bridge_line_is_written_as_people_know_it() {
        let line = line(&["bridge@chat.example/r"]).unwrap();
        assert_eq!(
            line.as_str(),
            "Bridge hexchat [2001:db8:630d:cd29:66c4:3366:9112:5448]:443 <FINGERPRINT> \
             jid=bridge@chat.example/r key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        );
        let file = line.to_file();
        let lines: Vec<_> = file.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, [line.as_str()]);
    }

    #[test]
    fn a_pre_shared_secret_stands_behind_the_key() {
        let psk = PresharedKey::from_bytes([1; 32]);
        let line = NewBridgeLine::new(&[jid("b@x.example/r")], &key(), Some(&psk)).unwrap();
        assert!(line.as_str().ends_with(&format!(" key={} psk={}", key().to_text(), psk.to_text())));
    }

    #[test]
    fn two_bridges_have_two_addresses() {
        assert_ne!(placeholder(&key()), placeholder(&PublicKey::from_bytes([8; 32])));
    }

    #[test]
    fn equal_jids_stand_there_once() {
        let line = line(&["b@x.example/r", "c@x.example/r", "b@x.example/r"]).unwrap();
        assert!(line.as_str().contains(" jid=b@x.example/r,c@x.example/r "), "{}", line.as_str());
    }

    #[test]
    fn a_jid_that_torrc_or_the_list_would_cut_is_spelled_plainly_and_read_as_the_same() {
        for odd in ["b@x.example/a b", "b@x.example/a,b", "b@x.example/a#b", "b#@x.example/r"] {
            let file = line(&["a@x.example/r", odd]).unwrap().to_file();
            assert!(file.contains(" jid=:a:x.example/r,b"), "{file}");
            assert_eq!(read_back(&file).peers, ["a@x.example/r", odd].map(jid));
        }
    }

    #[test]
    fn a_jid_without_a_user_is_refused_by_its_number() {
        assert_eq!(line(&["a@x.example/r", "x.example/r"]), Err(BridgeLineError::Jid { item: 2 }));
        assert_eq!(line(&[]), Err(BridgeLineError::NoJid));
    }

    #[test]
    fn a_list_has_an_end() {
        let jids: Vec<_> = (0..=MAX_ITEMS).map(|n| format!("{n}@x/r")).collect();
        let jids: Vec<_> = jids.iter().map(String::as_str).collect();
        assert!(line(&jids[..MAX_ITEMS]).is_ok());
        assert_eq!(line(&jids), Err(BridgeLineError::TooManyJids));
    }

    #[test]
    fn row_26_a_line_that_tor_cannot_carry_is_refused() {
        let with_resource = |resource: String| line(&[&format!("b@x.example/{resource}")]);
        let rest = "jid=b@x.example/;key=".len() + 43;
        let longest = MAX_ARGUMENTS - rest;
        assert_eq!(with_resource("r".repeat(longest)).unwrap().length, MAX_ARGUMENTS);
        let error = with_resource("r".repeat(longest + 1)).unwrap_err();
        assert_eq!(error, BridgeLineError::TooLong { length: 511, accounts: 1 });
        assert!(error.to_string().contains("fewer accounts"), "{error}");
        // Tor writes a backslash before these.
        assert!(with_resource(format!("{}\\", "r".repeat(longest - 2))).is_ok());
        assert!(with_resource(format!("{};", "r".repeat(longest - 1))).is_err());
    }

    fn any_jid() -> impl Strategy<Value = FullJid> {
        "[a-zé;=\\\\#,%]{1,12}@[a-z]{1,9}\\.example/[ -~é]{1,30}"
            .prop_filter_map("not a JID", |text| FullJid::new(&text).ok())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_counted_as_tor_does(
            jids in prop::collection::vec(any_jid(), 1..5),
            key: [u8; 32],
            psk: Option<[u8; 32]>,
        ) {
            let key = PublicKey::from_bytes(key);
            let psk = psk.map(PresharedKey::from_bytes);
            let Ok(line) = NewBridgeLine::new(&jids, &key, psk.as_ref()) else { return Ok(()) };
            let bridge = read_back(&line.to_file());
            prop_assert_eq!(bridge.protocol, Protocol::Secure { key, psk });
            let peers: Vec<_> = without_repeats(&jids).into_iter().cloned().map(xmpp_parsers::jid::Jid::from).collect();
            prop_assert_eq!(bridge.peers, peers);

            let mut arguments = Args::new();
            for (key, value) in parse_bridge_line(line.as_str()).unwrap().iter() {
                arguments.push(key, value);
            }
            let encoded = arguments.encode().unwrap();
            prop_assert_eq!(encoded.len(), line.length);
            prop_assert_eq!(Args::parse(encoded.as_bytes()).unwrap(), arguments);
        }
    }
}
