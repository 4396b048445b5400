//! `login`: the user's accounts as one argument of a bridge line.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use xmpp_parsers::jid::{DomainRef, Jid, NodePart};

use super::error::Problem;
use super::escape::unescape;
use super::plain;
use super::value::{parse_list, read_jid, without_repeats};
use super::{AccountConfig, CertificatePin, Credential, DailyFiles, Server, TlsMode};

/// What an item must be, as errors say it in the spelling of the value.
struct Expected {
    /// Shown when an item cannot be read at all.
    unreadable: &'static str,
    /// Shown when an item has a user and no password.
    no_password: &'static str,
    /// Shown when its password is empty.
    empty_password: &'static str,
    /// Shown when it has a password and no user.
    no_user: &'static str,
    /// Shown when an item without a password follows one that has one: it is perhaps what stood behind a comma in that.
    too_late: &'static str,
}

const ORDINARY: Expected = Expected {
    unreadable: "user@domain:password (everything but letters, digits and -._~@ as %XX, so a comma in a password as %2C), or \
                 a domain alone",
    no_password: "user@domain:password (there is no password; a comma in one is written %2C; where there is no account yet, \
                  new@domain registers one)",
    empty_password: "user@domain:password (the password is empty)",
    no_user: "user@domain:password (there is no user before the domain)",
    too_late: "user@domain:password (a comma in a password is written %2C; a domain alone or new@domain stands before all \
               items that have a password)",
};

const PLAIN: Expected = Expected {
    unreadable: "user:domain:password (everything but letters, digits and _-/. as +XX, so a comma in a password as +2C), or \
                 a domain alone",
    no_password: "user:domain:password (there is no password; a comma in one is written +2C; where there is no account yet, \
                  new:domain registers one)",
    empty_password: "user:domain:password (the password is empty)",
    no_user: "user:domain:password (there is no user before the domain)",
    too_late: "user:domain:password (a comma in a password is written +2C; a domain alone or new:domain stands before all \
               items that have a password)",
};

/// The user for whom an account is to be registered.
const NEW: &str = "new";

/// A JID and what it logs in with, before it is known where and how to connect.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Bare or full; for [`Credential::Anonymous`] a domain, for [`Credential::New`] `new@domain`.
    pub jid: Jid,
    /// How to log in.
    pub credential: Credential,
}

/// Where and how to log in, with the fields of [`AccountConfig`].
#[derive(Clone, Default)]
pub struct ServerConfig {
    /// Where to connect.
    pub server: Option<Server>,
    /// How the connection is protected.
    pub tls: Option<TlsMode>,
    /// The key of the server's certificate.
    pub pin: Option<CertificatePin>,
    /// A PEM file of further trust roots.
    pub ca_file: Option<PathBuf>,
    /// Whether whoever is spoken to is to become a contact first.
    pub roster: bool,
    /// How many logins there may be at a time.
    pub sessions: Option<u8>,
    /// What the account may send by stanzas in a day.
    pub daily_bytes: Option<u64>,
    /// What the account may upload in a day.
    pub daily_files: DailyFiles,
}

impl Login {
    /// That of an account which is registered at this domain.
    pub(super) fn new_account(domain: &DomainRef) -> Self {
        let user = NodePart::new(NEW).ok();
        Self { jid: Jid::from_parts(user.as_deref(), domain, None), credential: Credential::New }
    }

    /// Completes the login to an account.
    #[must_use]
    pub fn at(self, server: ServerConfig) -> AccountConfig {
        let ServerConfig { server, tls, pin, ca_file, roster, sessions, daily_bytes, daily_files } = server;
        AccountConfig {
            jid: self.jid,
            credential: self.credential,
            server,
            tls,
            pin,
            ca_file,
            roster,
            sessions,
            daily_bytes,
            daily_files,
        }
    }
}

impl fmt::Debug for Login {
    /// Neither the JID nor the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Reads a comma-separated list of `user@domain:password`, `new@domain` and `domain`, percent-encoded or in the plain spelling.
///
/// Equal items are merged. What has no password stands before everything that has one: who forgets to encode a comma in one
/// would otherwise have the rest of it looked up as the name of a server.
///
/// # Errors
/// For an empty, unreadable or contradictory item, and for more items than a bridge line should have.
pub fn parse_login(value: &str) -> Result<Vec<Login>, Problem> {
    let (logins, expected) = match plain::unmarked(value) {
        Some(plainly) => (parse_list(plainly, parse_plain)?, &PLAIN),
        None => (parse_list(value, parse_one)?, &ORDINARY),
    };
    let has_password = |login: &Login| matches!(login.credential, Credential::Password(_));
    let passwords_from = logins.iter().position(has_password).unwrap_or(logins.len());
    if let Some(late) = logins.iter().skip(passwords_from).position(|login| !has_password(login)) {
        return Err(Problem::InvalidItem { item: passwords_from + late + 1, expected: expected.too_late });
    }
    without_repeats(logins, |a, b| a.jid == b.jid)
}

fn parse_one(item: &str) -> Result<Login, &'static str> {
    match item.split_once(':') {
        Some((jid, password)) => with_password(&unescape(jid, b'%')?, &unescape(password, b'%')?, &ORDINARY),
        None => without_password(&unescape(item, b'%')?, &ORDINARY),
    }
}

fn parse_plain(item: &str) -> Result<Login, &'static str> {
    let parts = item.split(':').map(plain::text).collect::<Result<Vec<_>, _>>()?;
    match &parts[..] {
        [domain] => without_password(domain, &PLAIN),
        [user, domain] => without_password(&format!("{}@{}", **user, **domain), &PLAIN),
        [user, domain, password] => with_password(&format!("{}@{}", **user, **domain), password, &PLAIN),
        _ => Err(
            "user:domain:password, because the value begins with a colon (a colon in a password is written +3A)",
        ),
    }
}

fn with_password(jid: &str, password: &str, expected: &Expected) -> Result<Login, &'static str> {
    let jid = address(jid, expected)?;
    if jid.node().is_none() {
        return Err(expected.no_user);
    }
    if password.is_empty() {
        return Err(expected.empty_password);
    }
    check_controls(password)?;
    Ok(Login { jid, credential: Credential::Password(SecretString::from(password)) })
}

/// A domain alone, or a new account there.
fn without_password(jid: &str, expected: &Expected) -> Result<Login, &'static str> {
    let jid = address(jid, expected)?;
    let credential = match jid.node().map(|user| user.as_str()) {
        None => Credential::Anonymous,
        Some(NEW) => Credential::New,
        Some(_) => return Err(expected.no_password),
    };
    if jid.is_full() {
        return Err(expected.no_password);
    }
    if !is_plausible_domain(jid.domain().as_str()) {
        return Err(expected.unreadable);
    }
    Ok(Login { jid, credential })
}

fn address(jid: &str, expected: &Expected) -> Result<Jid, &'static str> {
    check_controls(jid)?;
    read_jid(jid).ok_or(expected.unreadable)
}

/// No JID and no password (RFC 4013) may have control characters.
fn check_controls(text: &str) -> Result<(), &'static str> {
    if text.chars().any(char::is_control) { Err("free of control characters") } else { Ok(()) }
}

/// Whether this could be the name of a chat server, and not a piece of something else.
fn is_plausible_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    let is_name = || {
        let mut labels = domain.rsplit('.');
        let top = labels.next().unwrap_or_default();
        top.contains(char::is_alphabetic) && is_label(top) && domain.contains('.') && labels.all(is_label)
    };
    let is_address = || domain.parse::<IpAddr>().is_ok();
    domain == "localhost" || is_address() || is_name()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test is a panic")]

    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::escape::escape;

    /// Writes everything but letters, digits and `-._~@` as `%XX`, as the user or password of a `login`.
    fn percent_encode(text: &str) -> String {
        escape(text, '%', |byte| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte))
    }

    fn password(login: &Login) -> &str {
        match &login.credential {
            Credential::Password(password) => password.expose_secret(),
            Credential::Anonymous | Credential::New | Credential::Component(_) => {
                panic!("there is no password")
            }
        }
    }

    #[test]
    fn a_login_is_a_user_a_domain_and_a_decoded_password() {
        let logins = parse_login("alice@chat.example:s%3A%2C%23%25%20%C3%A9").unwrap();
        assert_eq!(logins.len(), 1);
        assert_eq!(logins[0].jid.as_str(), "alice@chat.example");
        assert_eq!(password(&logins[0]), "s:,#% é");
    }

    #[test]
    fn logins_are_separated_by_commas_and_equal_ones_merged() {
        let logins = parse_login("anon.example,a@x.example:1,b@y.example:2,a@x.example:1").unwrap();
        let jids: Vec<_> = logins.iter().map(|login| login.jid.as_str()).collect();
        assert_eq!(jids, ["anon.example", "a@x.example", "b@y.example"]);
    }

    #[test]
    fn a_domain_alone_logs_in_anonymously() {
        for domain in ["anon.example", "localhost", "127.0.0.1", "xn--bcher-kva.example", "bücher.example"] {
            let logins = parse_login(domain).unwrap();
            assert!(matches!(logins[0].credential, Credential::Anonymous), "{domain}");
        }
    }

    #[test]
    fn a_new_account_is_asked_for_by_name_and_by_no_other_name() {
        for value in ["new@chat.example", "NEW@chat.example", "n%65w@chat.example", ":new:chat.example"] {
            let logins = parse_login(value).unwrap();
            assert!(logins[0].credential == Credential::New, "{value}");
            assert_eq!(logins[0].jid.as_str(), "new@chat.example");
        }
        assert_eq!(password(&parse_login("new@chat.example:p").unwrap()[0]), "p");
        for other in ["newer@chat.example", "new@chat.example/r", "new@chat", "new"] {
            assert!(parse_login(other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_rest_of_a_password_with_a_comma_is_taken_for_no_server() {
        for rest in [
            "new@x.example",
            "ss",
            "1.5",
            "a_b.example",
            "word.example",
            "-x.example",
            "x..example",
            "",
            "x@y",
            "12",
        ] {
            let problem = parse_login(&format!("alice@x.example:pa,{rest}")).unwrap_err();
            assert!(matches!(problem, Problem::InvalidItem { item: 2, .. }), "{rest}: {problem}");
            assert!(problem.to_string().contains("%2C"), "{rest}: {problem}");
        }
    }

    #[test]
    fn one_jid_with_two_passwords_is_refused() {
        let problem = parse_login("a@x.example:1,a@x.example:2").unwrap_err();
        assert!(matches!(problem, Problem::Conflict(_)), "{problem}");
    }

    #[test]
    fn an_item_that_is_not_a_login_is_refused_by_its_number() {
        let cases = [
            "",
            "@",
            "a@x.example",
            "x.example/r",
            "x.example:secret",
            "a@x.example:",
            "a@x.example:%",
            "a@x.example:%4",
            "a@x.example:%4g",
            "a@x.example:%+4",
            "a@x.example:%FF",
            "a@x.example:%00",
            "a@x.example:p%0A",
            "a b@x.example:p",
        ];
        for case in cases {
            let problem = parse_login(&format!("ok@x.example:p,{case}")).unwrap_err();
            assert!(matches!(problem, Problem::InvalidItem { item: 2, .. }), "{case:?}: {problem}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let items: Vec<_> = (0..1000).map(|n| format!("a{n}@x.example:p")).collect();
        assert!(matches!(parse_login(&items.join(",")), Err(Problem::TooMany { .. })));
    }

    proptest! {
        #[test]
        fn any_password_survives_a_login(text in "[^\\p{Cc}]{1,40}") {
            let logins = parse_login(&format!("a@x.example:{}", percent_encode(&text))).unwrap();
            prop_assert_eq!(password(&logins[0]), text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse_login(&text);
        }
    }
}
