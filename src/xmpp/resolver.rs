//! Resolver of names: asks the DNS servers that this machine is configured with.
//!
//! It does that itself, by `hickory`, because the system's library knows no SRV records, and is not there in a static build. Names are
//! taken as they are: no search domain is put behind them. Where nobody but the system knows the DNS servers, it is asked for addresses,
//! and there are no SRV records.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::dialer::Dialer;
use super::error::{AccountError, DnsFault};
use super::race::Family;
use super::srv::{Found, Service, Srv};
use crate::os;

/// How long a DNS server may take until it is asked again, or another: 2 seconds, because only 20 are left for all of a login.
const PER_QUESTION: Duration = Duration::from_secs(2);

/// How long it may take to find SRV records: 5 seconds. Some networks drop questions for them, and there the domain itself is to be tried.
const SERVICES: Duration = Duration::from_secs(5);

/// How long it may take to find addresses: 7 seconds, so that there is time to say that they cannot be found.
const ADDRESSES: Duration = Duration::from_secs(7);

/// How often a question is put again, at most: twice.
const MOST_RETRIES: usize = 2;

/// Finds what DNS knows, and the file of hosts.
pub(super) enum Resolver {
    /// By asking those servers; none where there are none.
    Dns(Option<Box<TokioResolver>>),
    /// By asking the system.
    System,
}

impl Resolver {
    /// As this machine is configured now: it may have come into another network. Servers are asked from the addresses that `dialer` has.
    pub(super) fn of_system(dialer: &Dialer) -> Self {
        if !os::names_dns_servers() {
            return Self::System;
        }
        let configured = read_system_conf().ok();
        let resolver = configured.and_then(|(config, options)| resolver(config, options, dialer));
        Self::Dns(resolver.map(Box::new))
    }

    /// The SRV records of a service.
    pub(super) async fn services(&self, domain: &str, service: Service) -> Found {
        let (records, fault) =
            match self.look_up(&service.record_name(domain), RecordType::SRV, SERVICES).await {
                Ok(lookup) => (srv_records(lookup.answers()), None),
                Err(LookupError::Absent) => (Vec::new(), None),
                Err(LookupError::Fault(fault)) => (Vec::new(), Some(fault)),
            };
        Found { service, records, fault }
    }

    /// The addresses of a host that are of this family, perhaps none.
    pub(super) async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, AccountError> {
        if is_this_machine(name) {
            return Ok(vec![loopback(family)]);
        }
        if let Self::System = self {
            return addresses_by_system(name, family).await;
        }
        let kind = match family {
            Family::V6 => RecordType::AAAA,
            Family::V4 => RecordType::A,
        };
        match self.look_up(name, kind, ADDRESSES).await {
            Ok(lookup) => Ok(lookup.answers().iter().filter_map(|answer| answer.data.ip_addr()).collect()),
            Err(LookupError::Absent) => Ok(Vec::new()),
            Err(LookupError::Fault(fault)) => Err(AccountError::Dns(fault)),
        }
    }

    async fn look_up(&self, name: &str, kind: RecordType, within: Duration) -> Result<Lookup, LookupError> {
        if is_onion(name) {
            return Err(LookupError::Absent);
        }
        let name = complete(name).ok_or(LookupError::Absent)?;
        let Self::Dns(resolver) = self else { return Err(LookupError::Absent) };
        let resolver = resolver.as_ref().ok_or(LookupError::Fault(DnsFault::NoServer))?;
        match timeout(within, resolver.lookup(name, kind)).await {
            Ok(Ok(lookup)) => Ok(lookup),
            Ok(Err(error)) => Err(LookupError::of(&error)),
            Err(_) => Err(LookupError::Fault(DnsFault::Silent)),
        }
    }
}

/// One that asks these servers.
fn resolver(mut config: ResolverConfig, mut options: ResolverOpts, dialer: &Dialer) -> Option<TokioResolver> {
    for server in &mut config.name_servers {
        let source = dialer.source_for(server.ip).map(|source| SocketAddr::new(source, 0));
        server.connections.iter_mut().for_each(|connection| connection.bind_addr = source);
    }
    options.timeout = options.timeout.min(PER_QUESTION);
    options.attempts = options.attempts.min(MOST_RETRIES);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.with_options(options).build().ok()
}

/// What the system knows. It does not say whether there is no such name or nobody knows.
async fn addresses_by_system(name: &str, family: Family) -> Result<Vec<IpAddr>, AccountError> {
    if is_onion(name) {
        return Ok(Vec::new());
    }
    let found = timeout(ADDRESSES, lookup_host((name, 0))).await;
    let found = found.map_err(|_| AccountError::Dns(DnsFault::Silent))?;
    let addresses = found.into_iter().flatten().map(|address| address.ip());
    Ok(addresses.filter(|address| address.is_ipv6() == (family == Family::V6)).collect())
}

enum LookupError {
    /// There is no such name, or no such record of it.
    Absent,
    Fault(DnsFault),
}

impl LookupError {
    fn of(error: &NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(_)) => Self::Absent,
            NetError::Dns(DnsError::ResponseCode(code)) => Self::Fault(fault_of(*code)),
            NetError::Dns(_) | NetError::Proto(_) | NetError::Truncated | NetError::QueryCaseMismatch => {
                Self::Fault(DnsFault::Useless)
            }
            _ => Self::Fault(DnsFault::Silent),
        }
    }
}

/// What it means that a DNS server answers with this code, which is one of a fault (RFC 1035 section 4.1.1).
pub(super) fn fault_of(code: ResponseCode) -> DnsFault {
    match code {
        ResponseCode::ServFail => DnsFault::Failed,
        ResponseCode::Refused => DnsFault::Refused,
        _ => DnsFault::Useless,
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
pub(super) fn is_onion(name: &str) -> bool {
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
    use hickory_resolver::config::NameServerConfig;

    #[tokio::test]
    async fn where_only_the_system_knows_it_is_asked_for_addresses_and_there_are_no_srv_records() {
        let system = Resolver::System;
        assert!(system.services("chat.example", Service::Xmpp).await.records.is_empty());
        let here = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(system.addresses("127.0.0.1", Family::V4).await, Ok(vec![here]));
        assert_eq!(system.addresses("127.0.0.1", Family::V6).await, Ok(vec![]));
        assert_eq!(system.addresses("hidden.onion", Family::V4).await, Ok(vec![]));
    }

    /// A DNS server that hears who asks.
    #[tokio::test]
    async fn a_dns_server_is_asked_from_the_address_that_tor_demands() {
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let mut name_server = NameServerConfig::udp_and_tcp(address.ip());
        name_server.connections.iter_mut().for_each(|connection| connection.port = address.port());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
        let source = IpAddr::from([127, 0, 0, 77]);
        let dialer = Dialer::direct().asking_from(move |server| (server == address.ip()).then_some(source));
        let resolver = Resolver::Dns(resolver(config, ResolverOpts::default(), &dialer).map(Box::new));
        let asked = tokio::spawn(async move { resolver.addresses("chat.example", Family::V4).await });
        let mut question = [0; 512];
        let (_, from) = timeout(ADDRESSES, server.recv_from(&mut question)).await.unwrap().unwrap();
        assert_eq!(from.ip(), source);
        asked.abort();
    }

    #[test]
    fn a_dns_server_that_answers_with_a_fault_is_told_from_one_that_is_silent() {
        let fault = |error| match LookupError::of(&error) {
            LookupError::Absent => None,
            LookupError::Fault(fault) => Some(fault),
        };
        let code = |code| NetError::Dns(DnsError::ResponseCode(code));
        assert_eq!(fault(code(ResponseCode::ServFail)), Some(DnsFault::Failed));
        assert_eq!(fault(code(ResponseCode::Refused)), Some(DnsFault::Refused));
        assert_eq!(fault(code(ResponseCode::NotImp)), Some(DnsFault::Useless));
        assert_eq!(fault(NetError::Truncated), Some(DnsFault::Useless));
        assert_eq!(fault(NetError::Timeout), Some(DnsFault::Silent));
        assert_eq!(fault(NetError::NoConnections), Some(DnsFault::Silent));
    }

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
