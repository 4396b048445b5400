//! `login`: the user's accounts as one argument of a bridge line.

use std::fmt;
use std::net::IpAddr;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use xmpp_parsers::jid::Jid;

use super::error::Problem;
use super::value::{parse_list, without_repeats};
use super::{AccountConfig, Credential, ServerAddr, TlsMode};

/// Shown when an item cannot be read at all.
const EXPECTED: &str = "user@domain:password (everything but letters, digits and -._~@ as %XX, so a comma in a \
                        password as %2C), or a domain alone";

/// Shown when a domain alone follows a password: it is perhaps what stood behind a comma in it.
const LATE_DOMAIN: &str = "user@domain:password (a comma in a password is written %2C; a domain alone stands before all \
                           items that have a password)";

/// A JID and what it logs in with, before it is known where and how to connect.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Bare or full; for [`Credential::Anonymous`] a domain.
    pub jid: Jid,
    /// How to log in.
    pub credential: Credential,
}

impl Login {
    /// Completes the login to an account.
    #[must_use]
    pub fn at(
        self,
        server: Option<ServerAddr>,
        tls: TlsMode,
        ca_file: Option<std::path::PathBuf>,
        roster: bool,
    ) -> AccountConfig {
        AccountConfig { jid: self.jid, credential: self.credential, server, tls, ca_file, roster }
    }
}

impl fmt::Debug for Login {
    /// Neither the JID nor the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Reads a comma-separated list of `user@domain:password` and `domain`, percent-encoded.
///
/// Equal items are merged. Domains stand before everything that has a password: who forgets to encode a comma in one
/// would otherwise have the rest of it looked up as the name of a server.
///
/// # Errors
/// For an empty, unreadable or contradictory item, and for more items than a bridge line should have.
pub fn parse_login(value: &str) -> Result<Vec<Login>, Problem> {
    let logins = parse_list(value, parse_one)?;
    let is_anonymous = |login: &Login| login.credential == Credential::Anonymous;
    let passwords_from = logins.iter().position(|login| !is_anonymous(login)).unwrap_or(logins.len());
    if let Some(late) = logins.iter().skip(passwords_from).position(is_anonymous) {
        return Err(Problem::InvalidItem { item: passwords_from + late + 1, expected: LATE_DOMAIN });
    }
    without_repeats(logins, |a, b| a.jid == b.jid)
}

fn parse_one(item: &str) -> Result<Login, &'static str> {
    match item.split_once(':') {
        Some((jid, password)) => with_password(&decoded(jid)?, &decoded(password)?),
        None => anonymous(&decoded(item)?),
    }
}

fn with_password(jid: &str, password: &str) -> Result<Login, &'static str> {
    let jid = Jid::new(jid).map_err(|_| EXPECTED)?;
    if jid.node().is_none() {
        return Err("user@domain:password (there is no user before the domain)");
    }
    if password.is_empty() {
        return Err("user@domain:password (the password is empty)");
    }
    Ok(Login { jid, credential: Credential::Password(SecretString::from(password)) })
}

fn anonymous(domain: &str) -> Result<Login, &'static str> {
    let jid = Jid::new(domain).map_err(|_| EXPECTED)?;
    if jid.node().is_some() || jid.is_full() {
        return Err("user@domain:password (there is no password; a comma in one is written %2C)");
    }
    if !is_plausible_domain(jid.domain().as_str()) {
        return Err(EXPECTED);
    }
    Ok(Login { jid, credential: Credential::Anonymous })
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

/// Percent-decoded text, without the control characters that no JID and no password (RFC 4013) may have.
fn decoded(text: &str) -> Result<Zeroizing<String>, &'static str> {
    let bytes = percent_decode(text).ok_or("percent-encoded (a % is followed by two hexadecimal digits)")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "percent-encoded UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("free of control characters");
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// `%XX` becomes the byte; everything else stands for itself.
fn percent_decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = text.bytes();
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (hex_digit(bytes.next()?)?, hex_digit(bytes.next()?)?);
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test is a panic")]

    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    /// Writes everything but letters, digits and `-._~@` as `%XX`, as the user or password of a `login`.
    fn percent_encode(text: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    }

    fn password(login: &Login) -> &str {
        match &login.credential {
            Credential::Password(password) => password.expose_secret(),
            Credential::Anonymous | Credential::Component(_) => panic!("there is no password"),
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
    fn the_rest_of_a_password_with_a_comma_is_taken_for_no_server() {
        for rest in ["ss", "1.5", "a_b.example", "word.example", "-x.example", "x..example", "", "x@y", "12"]
        {
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
        fn what_is_encoded_is_decoded_to_the_same(text in any::<String>()) {
            prop_assert_eq!(percent_decode(&percent_encode(&text)), Some(Zeroizing::new(text.into_bytes())));
        }

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
