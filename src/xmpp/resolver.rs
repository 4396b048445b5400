//! Resolver of names: asks the DNS servers that this machine is configured with.
//!
//! It does that itself, by `hickory`, because the system's library knows no SRV records, and is not there in a static build. Names are
//! taken as they are: no search domain is put behind them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::timeout;

use super::error::AccountError;
use super::race::Family;
use super::srv::{Found, Service, Srv};

/// How long a DNS server may take until it is asked again, or another: 2 seconds, because only 20 are left for all of a login.
const PER_QUESTION: Duration = Duration::from_secs(2);

/// How long it may take to find SRV records: 5 seconds. Some networks drop questions for them, and there the domain itself is to be tried.
const SERVICES: Duration = Duration::from_secs(5);

/// How long it may take to find addresses: 7 seconds, so that there is time to say that they cannot be found.
const ADDRESSES: Duration = Duration::from_secs(7);

/// How often a question is put again, at most: twice.
const MOST_RETRIES: usize = 2;

/// Finds what DNS knows, and the file of hosts.
pub(super) struct Resolver(Option<TokioResolver>);

impl Resolver {
    /// As this machine is configured now: it may have come into another network.
    pub(super) fn of_system() -> Self {
        Self(TokioResolver::builder_tokio().ok().and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = options.timeout.min(PER_QUESTION);
            options.attempts = options.attempts.min(MOST_RETRIES);
            builder.build().ok()
        }))
    }

    /// The SRV records of a service. There are none where nobody answers, so that the domain itself is tried.
    pub(super) async fn services(&self, domain: &str, service: Service) -> Found {
        let found = self.look_up(&service.record_name(domain), RecordType::SRV, SERVICES).await;
        Found { service, records: found.map(|lookup| srv_records(lookup.answers())).unwrap_or_default() }
    }

    /// The addresses of a host that are of this family, perhaps none.
    pub(super) async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, AccountError> {
        if is_this_machine(name) {
            return Ok(vec![loopback(family)]);
        }
        let kind = match family {
            Family::V6 => RecordType::AAAA,
            Family::V4 => RecordType::A,
        };
        match self.look_up(name, kind, ADDRESSES).await {
            Ok(lookup) => Ok(lookup.answers().iter().filter_map(|answer| answer.data.ip_addr()).collect()),
            Err(LookupError::Absent) => Ok(Vec::new()),
            Err(LookupError::Fault(error)) => Err(error),
        }
    }

    async fn look_up(&self, name: &str, kind: RecordType, within: Duration) -> Result<Lookup, LookupError> {
        if is_onion(name) {
            return Err(LookupError::Absent);
        }
        let name = complete(name).ok_or(LookupError::Absent)?;
        let resolver = self.0.as_ref().ok_or(LookupError::Fault(AccountError::NoResolver))?;
        match timeout(within, resolver.lookup(name, kind)).await {
            Ok(Ok(lookup)) => Ok(lookup),
            Ok(Err(error)) => Err(LookupError::of(&error)),
            Err(_) => Err(LookupError::Fault(AccountError::LookupFailed)),
        }
    }
}

enum LookupError {
    /// There is no such name, or no such record of it.
    Absent,
    Fault(AccountError),
}

impl LookupError {
    fn of(error: &NetError) -> Self {
        match error.is_no_records_found() {
            true => Self::Absent,
            false => Self::Fault(AccountError::LookupFailed),
        }
    }
}

/// The name as DNS has it, with a dot at its end, which says that it is complete. It may have characters that host names do not have:
/// whoever gave it must know. None for what is no name.
fn complete(name: &str) -> Option<Name> {
    let ascii = if name.is_ascii() { Cow::Borrowed(name) } else { idna::domain_to_ascii(name).ok()?.into() };
    Name::from_ascii(format!("{}.", without_dot(&ascii))).ok()
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Top levels that public DNS does not have, so that whoever is asked for one learns it for nothing: those of RFC 6761 (but for
/// `example`, which is as any other), 6762, 7686, 8375 and 9476, `internal`, which ICANN has reserved, and `i2p`.
const NOT_PUBLIC: [&str; 9] =
    ["alt", "home.arpa", "i2p", "internal", "invalid", "local", "localhost", "onion", "test"];

/// Whether public DNS can know the name: it has several labels, and none of the top levels that are not public.
pub(super) fn is_public(name: &str) -> bool {
    without_dot(name).contains('.') && !NOT_PUBLIC.iter().any(|top| is_below(name, top))
}

/// Whether it is the name of an onion service, which is never looked up (RFC 7686 section 2).
fn is_onion(name: &str) -> bool {
    is_below(name, "onion")
}

/// Whether it is this top level, or a name that ends in it.
fn is_below(name: &str, top: &str) -> bool {
    let name = without_dot(name).to_ascii_lowercase();
    name.strip_suffix(top).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether the name is this machine's wherever it is (RFC 6761 section 6.3).
pub(super) fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
    }
}

/// Of an answer's records those that name servers.
pub(super) fn srv_records(answers: &[Record]) -> Vec<Srv> {
    answers.iter().filter_map(|record| srv(&record.data)).collect()
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(srv) = data else { return None };
    let target = srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn public_dns_is_for_names_that_it_can_know() {
        for public in ["chat.example", "chat.example.", "onion.example", "mylocal.example", "arpa.example"] {
            assert!(is_public(public), "{public}");
        }
        for other in
            ["x.onion", "X.Onion.", "x.i2p", "x.local", "x.internal", "x.home.arpa", "chat", "chat.", "onion"]
        {
            assert!(!is_public(other), "{other}");
        }
    }

    #[test]
    fn a_name_may_have_an_underscore_and_letters_that_are_not_ascii() {
        let text = |name| complete(name).map(|name| name.to_ascii());
        assert_eq!(text("chat_server").unwrap(), "chat_server.");
        assert_eq!(text("_xmpp-client._tcp.chat.example.").unwrap(), "_xmpp-client._tcp.chat.example.");
        assert_eq!(text("bücher.example").unwrap(), "xn--bcher-kva.example.");
        assert_eq!(text("a..b"), None);
    }
}
