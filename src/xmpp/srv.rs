//! SRV records of a domain: which machines serve it to clients, and in which order they are to be tried. Pure.
//!
//! The rules are those of RFC 2782, of RFC 6120 section 3.2 and of XEP-0368, by which `_xmpps-client` and `_xmpp-client` are one set.

use super::error::{AccountError, DnsFault};
use super::security::Kind;

/// How many machines of a domain are tried at most: 16. Each costs lookups and connections, and whoever can forge an answer could
/// name any number.
const MOST_ENDPOINTS: usize = 16;

/// Port for STARTTLS of a domain that has no SRV records (RFC 6120 section 14.7).
const STARTTLS_PORT: u16 = 5222;
/// Port for direct TLS of such a domain: the one that servers are configured with, for want of a registered one.
const DIRECT_TLS_PORT: u16 = 5223;

/// Where a server may be, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    /// A host name without a dot at its end, or an address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) kind: Kind,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Srv {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    /// A host name; an empty one says that the domain does not have this service.
    pub(super) target: String,
}

/// A service that a domain can have SRV records for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    /// `_xmpps-client._tcp`: direct TLS.
    Xmpps,
    /// `_xmpp-client._tcp`: STARTTLS.
    Xmpp,
}

/// What was found of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) service: Service,
    pub(super) records: Vec<Srv>,
    /// Why it is not known whether there are any.
    pub(super) fault: Option<DnsFault>,
}

impl Service {
    /// The services that are asked for, where only connections of one kind are wanted or of any.
    pub(super) fn wanted(kind: Option<Kind>) -> &'static [Self] {
        match kind {
            None => &[Self::Xmpps, Self::Xmpp],
            Some(Kind::Direct) => &[Self::Xmpps],
            Some(Kind::StartTls) => &[Self::Xmpp],
            Some(Kind::Plain | Kind::WebSocket) => &[],
        }
    }

    /// The name of its records.
    pub(super) fn record_name(self, domain: &str) -> String {
        match self {
            Self::Xmpps => format!("_xmpps-client._tcp.{domain}"),
            Self::Xmpp => format!("_xmpp-client._tcp.{domain}"),
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Xmpps => Kind::Direct,
            Self::Xmpp => Kind::StartTls,
        }
    }
}

/// Why it is not known whether the domain has SRV records, where none were found.
pub(super) fn unknown(found: &[Found]) -> Option<DnsFault> {
    let is_without = found.iter().all(|found| found.records.is_empty());
    found.iter().find_map(|found| found.fault).filter(|_| is_without)
}

impl Found {
    /// Whether the domain says that it does not have this service.
    fn is_declined(&self) -> bool {
        !self.records.is_empty() && self.records.iter().all(|record| record.target.is_empty())
    }

    /// Whether it names machines, and for none of them a port.
    fn is_without_port(&self) -> bool {
        let mut machines = self.records.iter().filter(|record| !record.target.is_empty()).peekable();
        machines.peek().is_some() && machines.all(|record| record.port == 0)
    }
}

/// The domain itself, for want of SRV records.
pub(super) fn domain_itself(domain: &str, kind: Option<Kind>) -> Endpoint {
    let kind = kind.unwrap_or(Kind::StartTls);
    let port = if kind == Kind::Direct { DIRECT_TLS_PORT } else { STARTTLS_PORT };
    Endpoint { host: domain.to_owned(), port, kind }
}

/// Where the servers of `domain` are, in the order in which they are to be tried. `draw` gives a random number from 0 to the one that it
/// is given, both included.
pub(super) fn endpoints(
    domain: &str,
    wanted: Option<Kind>,
    found: &[Found],
    draw: impl FnMut(u32) -> u32,
) -> Result<Vec<Endpoint>, AccountError> {
    let records = found.iter().flat_map(|found| found.records.iter().map(|srv| (srv, found.service.kind())));
    let usable = records.filter(|(srv, _)| !srv.target.is_empty() && srv.port != 0).collect();
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (srv, kind) in in_order(usable, draw) {
        let endpoint = Endpoint { host: srv.target.clone(), port: srv.port, kind };
        if !endpoints.contains(&endpoint) && endpoints.len() < MOST_ENDPOINTS {
            endpoints.push(endpoint);
        }
    }
    if !endpoints.is_empty() {
        return Ok(endpoints);
    }
    let itself = domain_itself(domain, wanted);
    match found.iter().find(|found| found.service.kind() == itself.kind) {
        Some(found) if found.is_declined() => Err(AccountError::NotOffered),
        Some(found) if found.is_without_port() => Err(AccountError::NoPort),
        _ => Ok(vec![itself]),
    }
}

/// By priority, and among those of one priority by lot (RFC 2782).
fn in_order(mut records: Vec<(&Srv, Kind)>, mut draw: impl FnMut(u32) -> u32) -> Vec<(&Srv, Kind)> {
    // Those of weight 0 stand first, so that they have a chance, if a small one.
    records.sort_by_key(|(srv, _)| (srv.priority, srv.weight));
    let mut order = Vec::with_capacity(records.len());
    while let Some((first, _)) = records.first() {
        let priority = first.priority;
        let same = records.iter().take_while(|(srv, _)| srv.priority == priority);
        let sums: Vec<u32> = same
            .scan(0u32, |sum, (srv, _)| {
                *sum += u32::from(srv.weight);
                Some(*sum)
            })
            .collect();
        let drawn = draw(sums.last().copied().unwrap_or_default());
        let chosen = sums.iter().position(|sum| *sum >= drawn).unwrap_or_default();
        order.push(records.remove(chosen));
    }
    order
}

#[cfg(test)]
mod tests;
