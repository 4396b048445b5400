//! Component: the `[component]` section, by which a bridge owns a domain of its server's (XEP-0114).

use std::path::Path;

use xmpp_parsers::jid::{BareJid, Jid};

use super::document::{Given, Section};
use super::error::{ConfigError, Problem, Warning};
use super::file::{read_ca_file, read_secret};
use super::value::{parse_server, parse_tls, read_jid, tls_mode};
use super::{AccountConfig, Credential, DailyFiles, Server, ServerAddr, TlsMode};

/// Where servers take components when nothing is said: port 5347 of this machine.
const SERVER: (&str, u16) = ("127.0.0.1", 5347);

/// The local part of its JID when nothing is said: any would do.
const USER: &str = "chat";

/// The component as an account, at the location of its domain. Without TLS it connects to this machine only.
pub(super) fn read(
    section: &Section<'_>,
    directory: &Path,
    warnings: &mut Vec<Warning>,
) -> Result<Given<AccountConfig>, ConfigError> {
    let domain = section
        .parsed("domain", parse_domain)?
        .ok_or_else(|| section.missing("domain", "add domain = \"bridge.chat.example\""))?;
    let secret = read_secret(section, ("secret", "secret_file"), directory, warnings)?
        .ok_or_else(|| section.missing("secret", "add secret = \"…\" or secret_file = \"…\""))?;
    let user = section.parsed("user", parse_user)?.map_or(USER.to_owned(), |given| given.value);
    let server = section.parsed("server", parse_address)?.map(|given| given.value).unwrap_or_else(here);
    let tls = section.parsed("tls", parse_component_tls)?;
    let mode = match &tls {
        Some(tls) => tls.value,
        None if server.is_loopback() => TlsMode::None,
        None => TlsMode::Direct,
    };
    tls_mode(Some(mode), Some(&server)).map_err(|problem| {
        let location = tls.map_or(domain.location.clone(), |tls| tls.location);
        section.error(location, "tls", problem)
    })?;
    // Both parts were looked at, each for itself.
    let jid = Jid::new(&format!("{user}@{}", domain.value))
        .map_err(|_| section.error(domain.location.clone(), "domain", DOMAIN))?;
    let ca_file = read_ca_file(section, directory)?.map(|given| given.value);
    let credential = Credential::Component(secret);
    let account = AccountConfig {
        jid,
        credential,
        server: Some(server),
        tls: Some(mode),
        pin: None,
        ca_file,
        roster: false,
        sessions: None,
        // Whoever runs the server has given it a domain.
        daily_bytes: None,
        daily_files: DailyFiles::Unbounded,
    };
    Ok(Given { value: account, location: domain.location })
}

fn here() -> Server {
    let (host, port) = SERVER;
    ServerAddr { host: host.to_owned(), port }.into()
}

/// There are no WebSockets for components.
fn parse_address(text: &str) -> Result<Server, Problem> {
    match parse_server(text) {
        Ok(server @ Server::Address(_)) => Ok(server),
        _ => Err(Problem::Invalid("host:port (an IPv6 address in brackets)")),
    }
}

const DOMAIN: Problem = Problem::Invalid("a domain such as bridge.chat.example");

fn parse_domain(text: &str) -> Result<String, Problem> {
    let domain = read_jid(text).filter(|jid| jid.node().is_none() && jid.is_bare()).ok_or(DOMAIN)?;
    Ok(domain.to_string())
}

fn parse_user(text: &str) -> Result<String, Problem> {
    const EXPECTED: Problem = Problem::Invalid("the part of a JID before the @");
    let jid = BareJid::new(&format!("{text}@chat.example")).map_err(|_| EXPECTED)?;
    jid.node().filter(|node| node.as_str() == text).map(ToString::to_string).ok_or(EXPECTED)
}

fn parse_component_tls(text: &str) -> Result<TlsMode, Problem> {
    match parse_tls(text) {
        Ok(mode @ (TlsMode::Direct | TlsMode::None)) => Ok(mode),
        _ => Err(Problem::Invalid("direct (or none, to a loopback server)")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::config::Config;
    use secrecy::ExposeSecret as _;

    fn parse(section: &str) -> Result<Config, ConfigError> {
        Config::parse(&format!("[component]\n{section}"), Path::new("/etc/hexchat.toml"))
    }

    fn problem(section: &str) -> String {
        parse(section).err().unwrap_or_else(|| panic!("{section} is accepted")).to_string()
    }

    const LEAST: &str = "domain = \"bridge.chat.example\"\nsecret = \"s3cret\"\n";

    #[test]
    fn a_domain_and_a_secret_are_enough_next_to_the_server() {
        let config = parse(LEAST).unwrap();
        let [account] = &config.accounts[..] else { panic!("{config:?}") };
        assert_eq!(account.jid.to_string(), "chat@bridge.chat.example");
        assert_eq!((account.server.clone(), account.tls), (Some(here()), Some(TlsMode::None)));
        let Credential::Component(secret) = &account.credential else { panic!() };
        assert_eq!(secret.expose_secret(), "s3cret");
    }

    #[test]
    fn a_server_elsewhere_gets_tls_and_nothing_less() {
        let elsewhere = format!("{LEAST}server = \"chat.example:5348\"\n");
        assert_eq!(parse(&elsewhere).unwrap().accounts[0].tls, Some(TlsMode::Direct));
        assert!(problem(&format!("{elsewhere}tls = \"none\"\n")).contains("loopback"));
        assert!(problem(&format!("{elsewhere}tls = \"starttls\"\n")).contains("direct"));
        assert!(problem(&format!("{LEAST}server = \"wss://chat.example/ws\"\n")).contains("host:port"));
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_named_and_not_repeated() {
        for (section, named) in [
            ("secret = \"s3cret\"\n", "[component] domain"),
            ("domain = \"bridge.chat.example\"\n", "[component] secret"),
            ("domain = \"s3cret@chat.example\"\nsecret = \"s3cret\"\n", "[component] domain"),
            (&format!("{LEAST}user = \"s3cret@\"\n"), "[component] user"),
            (&format!("{LEAST}password = \"s3cret\"\n"), "[component] password"),
            (&format!("{LEAST}secret_file = \"/nowhere\"\n"), "[component] secret_file"),
        ] {
            let problem = problem(section);
            assert!(problem.contains(named) && !problem.contains("s3cret"), "{problem}");
        }
        assert_eq!(
            parse(&format!("{LEAST}user = \"info\"\n")).unwrap().accounts[0].jid.node().unwrap().as_str(),
            "info"
        );
    }
}
