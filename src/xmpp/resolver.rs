//! Resolver of names: asks the DNS servers that this machine is configured with.
//!
//! It does that itself, by `hickory`, because the system's library knows no SRV records, and is not there in a static build. Names are
//! taken as they are: no search domain is put behind them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
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
        let resolver = self.0.as_ref().ok_or(LookupError::Fault(AccountError::NoResolver))?;
        // The dot at the end says that the name is complete.
        let lookup = resolver.lookup(format!("{name}."), kind);
        match timeout(within, lookup).await {
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
