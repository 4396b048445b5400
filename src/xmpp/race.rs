//! Race of connection attempts: which machine, address and kind of connection is tried when (RFC 8305). Pure.
//!
//! Time and what has happened come in. [`Race::poll`] says what to do, one thing after the other, until there is nothing more at this
//! time; [`Race::poll_timeout`] says when there may be; [`Race::failure`] whether everything has failed.
//!
//! An attempt is a TCP connection and nothing more. The first that is made is the leader: the others are given up, and TLS and the login
//! are for the leader alone, so that nobody logs in twice, and that a far server does not have connections opened beside the one that
//! is being secured. If it then comes to nothing, the race goes on.
//!
//! What has worked before is tried first, and nothing is looked up unless it is slow to connect or fails. What was a leader and came to
//! no login is tried last, and beside nothing else: if it were, it would lead again wherever it is nearer than the others.
//!
//! Behind all of that stands the [last resort](last_resort), a WebSocket, for which the domain has to be asked.

mod last_resort;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::error::{AccountError, DnsFault, NamedBy, Step};
use super::security::Kind;
use super::srv::Endpoint;
use last_resort::LastResort;

/// How long one attempt is alone before the next begins beside it: the 250 ms that RFC 8305 section 5 recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The same where a proxy connects: the 2 seconds that RFC 8305 section 5 has at most, because nobody knows how far that goes.
const PROXY_DELAY: Duration = Duration::from_secs(2);

/// The same for what worked last: 1 second, in which it connects over any line if it still works.
const KNOWN_DELAY: Duration = Duration::from_secs(1);

/// How long IPv4 addresses wait for those of IPv6: the 50 ms of RFC 8305 section 3.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Addresses of one family that are tried of one host, at most: 4. With seven seconds for each that is silent, more would not have
/// their turn within the time of a login.
const MOST_ADDRESSES: usize = 4;

/// What a connection is made to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) endpoint: Endpoint,
    /// None where whoever connects finds it.
    pub(super) address: Option<IpAddr>,
}

/// What is known when a race begins.
#[derive(Debug)]
pub(super) enum Plan {
    /// These, in this order, whoever has named them.
    Known(Vec<Endpoint>, NamedBy),
    /// The domain whose servers are to be found.
    Search(String),
}

/// Who makes addresses of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// We do.
    Resolved,
    /// Whoever connects, a proxy.
    PassedOn,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Find the servers of the domain; then [`Race::handle_endpoints`].
    Search,
    /// Look up a host's addresses of either family; then [`Race::handle_addresses`], once for each.
    Resolve(String),
    /// Ask the domain where its WebSocket is; then [`Race::handle_web_socket`].
    AskForWebSocket,
    /// Connect; then [`Race::handle_connected`] or [`Race::handle_failed`].
    Dial(Candidate),
}

/// A family of addresses, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V6,
    V4,
}

/// A race that is on.
#[derive(Debug)]
pub(super) struct Race {
    names: Names,
    /// What has worked before, until it is dialled.
    remembered: Option<Candidate>,
    /// What is tried when there is nothing else, in this order.
    deferred: Vec<Candidate>,
    /// Whether names are looked up: as soon as what has worked before is not enough.
    looks_up: bool,
    namer: Namer,
    search: Search,
    endpoints: Vec<Endpoint>,
    hosts: BTreeMap<String, Host>,
    /// Those that were dialled, and not given up for another.
    tried: BTreeSet<Candidate>,
    under_way: BTreeSet<Candidate>,
    leader: Option<Candidate>,
    last_resort: LastResort,
    /// When the next attempt may begin beside those under way.
    next_at: Instant,
    /// The fault that says most, but for those of the last resort.
    fault: Option<AccountError>,
}

/// Who has named the endpoints.
#[derive(Debug)]
enum Namer {
    Known(NamedBy),
    /// This domain: by being one, or in its SRV records.
    Domain(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Search {
    Due,
    UnderWay,
    Over,
}

/// What is known of a host's addresses.
#[derive(Debug)]
struct Host {
    asked_at: Instant,
    answers: BTreeMap<Family, Answer>,
}

#[derive(Debug)]
struct Answer {
    at: Instant,
    addresses: Vec<IpAddr>,
    /// Why there are none.
    fault: AccountError,
}

/// What can be dialled next.
enum Next {
    /// This one, now.
    Now(Candidate),
    /// Nothing before this time, or before something is found.
    NotBefore(Option<Instant>),
    /// There is nothing left.
    Nothing,
}

/// What can be tried of one endpoint.
struct Outlook {
    /// The first address that was not tried, and from when on it may be.
    untried: Option<(Candidate, Instant)>,
    /// While its addresses are being looked up: until when those behind it wait for it.
    holds_until: Option<Instant>,
}

impl Race {
    /// A race that begins now.
    pub(super) fn new(plan: Plan, names: Names, remembered: Option<Candidate>, now: Instant) -> Self {
        let (namer, search, endpoints) = match plan {
            Plan::Known(endpoints, named_by) => (Namer::Known(named_by), Search::Over, endpoints),
            Plan::Search(domain) => (Namer::Domain(domain), Search::Due, Vec::new()),
        };
        Self {
            names,
            namer,
            looks_up: remembered.is_none(),
            remembered,
            deferred: Vec::new(),
            search,
            endpoints,
            hosts: BTreeMap::new(),
            tried: BTreeSet::new(),
            under_way: BTreeSet::new(),
            leader: None,
            last_resort: LastResort::default(),
            next_at: now,
            fault: None,
        }
    }

    /// Has the domain asked for a WebSocket when nothing else connects.
    pub(super) fn or_by_web_socket(mut self) -> Self {
        self.last_resort.want();
        self
    }

    /// Has it asked at once, beside the others, where nothing is known to work.
    pub(super) fn by_web_socket_at_once(mut self) -> Self {
        self.last_resort.hurry(self.remembered.is_none());
        self
    }

    /// Tries these, if it comes to them, when there is nothing else.
    pub(super) fn deferring(self, deferred: Vec<Candidate>) -> Self {
        Self { deferred, ..self }
    }

    /// The next thing to do now.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Order> {
        if self.leader.is_some() {
            return None;
        }
        if let Some(remembered) = self.remembered.take() {
            return Some(self.dial(remembered, KNOWN_DELAY, now));
        }
        if self.is_time_for_last_resort(now) {
            self.last_resort.on_asked();
            return Some(Order::AskForWebSocket);
        }
        if !self.may_begin(now) && !self.looks_up {
            return None;
        }
        self.looks_up = true;
        self.look_up(now).or_else(|| self.dial_next(now))
    }

    /// When there may be something to do, if nothing happens before.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.leader.is_some() {
            return None;
        }
        let next = match self.next(now) {
            _ if !self.looks_up => Some(self.next_at),
            Next::Now(_) => Some(self.next_at),
            Next::NotBefore(time) => time,
            Next::Nothing => None,
        };
        earlier(next, self.last_resort.turn_begins().filter(|_| self.has_last_resort()))
    }

    /// Whether there is anything left to be tried beside what is being tried, the last resort left aside.
    pub(super) fn has_more(&self, now: Instant) -> bool {
        !matches!(self.next(now), Next::Nothing)
    }

    /// Whether the last resort is left.
    pub(super) fn has_last_resort(&self) -> bool {
        self.last_resort.is_due() && self.may_last_resort_help()
    }

    /// Why there is no connection, when everything has failed.
    pub(super) fn failure(&self, now: Instant) -> Option<AccountError> {
        let is_on = self.leader.is_some() || !self.under_way.is_empty() || self.remembered.is_some();
        if is_on || self.has_more(now) || self.has_last_resort() {
            return None;
        }
        Some(self.fault().unwrap_or(AccountError::NoAddress(NamedBy::Account)))
    }

    /// Of the faults until now the one that says most, and the one of the last resort where that says more.
    pub(super) fn fault(&self) -> Option<AccountError> {
        match (self.fault.clone(), self.last_resort.fault()) {
            (Some(server), Some(web_socket)) => Some(AccountError::of_both(server, web_socket)),
            (server, web_socket) => server.or(web_socket),
        }
    }

    /// The domain's servers were found, or it has none.
    pub(super) fn handle_endpoints(&mut self, found: Result<Vec<Endpoint>, AccountError>) {
        self.search = Search::Over;
        match found {
            Ok(endpoints) => self.endpoints = endpoints,
            Err(error) => self.note(error),
        }
    }

    /// The domain's WebSocket was found, or it has none.
    pub(super) fn handle_web_socket(&mut self, found: Result<Endpoint, AccountError>) {
        self.last_resort.handle_found(found);
    }

    /// A host's addresses of one family; none is no fault unless the other family has none either.
    pub(super) fn handle_addresses(
        &mut self,
        name: &str,
        family: Family,
        addresses: Result<Vec<IpAddr>, AccountError>,
        now: Instant,
    ) {
        let is_server = self.endpoints.iter().any(|endpoint| endpoint.host == name);
        let named_by = if is_server { self.namer.of(name) } else { NamedBy::HostMeta };
        let Some(host) = self.hosts.get_mut(name) else { return };
        let (mut addresses, fault) = match addresses {
            Ok(addresses) => (addresses, AccountError::NoAddress(named_by)),
            Err(fault) => (Vec::new(), fault),
        };
        addresses.truncate(MOST_ADDRESSES);
        host.answers.insert(family, Answer { at: now, addresses, fault });
        if let Some(fault) = host.fault() {
            if is_server { self.note(fault) } else { self.last_resort.note(fault) }
        }
    }

    /// This one is connected: it leads, and the others are given up, to be tried again if it comes to nothing.
    pub(super) fn handle_connected(&mut self, candidate: &Candidate) {
        self.under_way.remove(candidate);
        for given_up in std::mem::take(&mut self.under_way) {
            self.tried.remove(&given_up);
        }
        self.leader = Some(candidate.clone());
    }

    /// This one could not be connected to, or came to nothing as the leader. The next may begin at once.
    pub(super) fn handle_failed(&mut self, candidate: &Candidate, error: AccountError, now: Instant) {
        self.under_way.remove(candidate);
        if self.leader.as_ref() == Some(candidate) {
            self.leader = None;
        }
        self.next_at = now;
        match candidate.endpoint.kind {
            Kind::WebSocket => self.last_resort.note(error),
            Kind::Plain | Kind::StartTls | Kind::Direct => self.note(error),
        }
    }

    fn note(&mut self, error: AccountError) {
        self.fault = Some(telling_more(error, self.fault.take()));
    }

    /// When nothing else is left, and beside the others when they have had some time.
    fn is_time_for_last_resort(&self, now: Instant) -> bool {
        let is_alone = self.under_way.is_empty() && !self.has_more(now);
        self.has_last_resort() && (is_alone || self.last_resort.is_time(now))
    }

    /// Whether it may be what gets through: the domain has an address, and no server of it was reached and found to be at fault.
    fn may_last_resort_help(&self) -> bool {
        match &self.fault {
            None => true,
            Some(AccountError::NoAddress(NamedBy::Account) | AccountError::Dns(_)) => false,
            Some(fault) => nearness(fault) < REACHED,
        }
    }

    fn attempt_delay(&self) -> Duration {
        match self.names {
            Names::Resolved => ATTEMPT_DELAY,
            Names::PassedOn => PROXY_DELAY,
        }
    }

    /// Whether an attempt may begin.
    fn may_begin(&self, now: Instant) -> bool {
        self.under_way.is_empty() || now >= self.next_at
    }

    /// Dials one that is alone for this long.
    fn dial(&mut self, candidate: Candidate, alone: Duration, now: Instant) -> Order {
        self.next_at = now + alone;
        self.last_resort.on_dialled(now);
        self.tried.insert(candidate.clone());
        self.under_way.insert(candidate.clone());
        Order::Dial(candidate)
    }

    fn dial_next(&mut self, now: Instant) -> Option<Order> {
        match self.next(now) {
            Next::Now(candidate) if self.may_begin(now) => {
                Some(self.dial(candidate, self.attempt_delay(), now))
            }
            _ => None,
        }
    }

    /// The next name to be looked up.
    fn look_up(&mut self, now: Instant) -> Option<Order> {
        if self.search == Search::Due {
            self.search = Search::UnderWay;
            return Some(Order::Search);
        }
        let is_unknown = |endpoint: &&Endpoint| {
            !self.needs_no_lookup(endpoint) && !self.hosts.contains_key(&endpoint.host)
        };
        let host = self.all_endpoints().find(is_unknown)?.host.clone();
        self.hosts.insert(host.clone(), Host { asked_at: now, answers: BTreeMap::new() });
        Some(Order::Resolve(host))
    }

    /// What is not deferred, or else what is: that is dialled alone.
    fn next(&self, now: Instant) -> Next {
        match (self.next_undeferred(now), self.next_deferred()) {
            (Next::Nothing, Some(_)) if !self.under_way.is_empty() => Next::NotBefore(None),
            (Next::Nothing, Some(candidate)) => Next::Now(candidate),
            (next, _) => next,
        }
    }

    fn next_deferred(&self) -> Option<Candidate> {
        let is_due = |candidate: &&Candidate| {
            let Candidate { endpoint, address } = candidate;
            let is_there =
                self.all_endpoints().any(|it| it == endpoint) && self.addresses(endpoint).contains(address);
            is_there && !self.tried.contains(candidate)
        };
        self.deferred.iter().find(is_due).cloned()
    }

    /// The first endpoint, in their order, with an address that was not tried. A name that is still being looked up holds up those
    /// behind it for as long as an attempt would.
    fn next_undeferred(&self, now: Instant) -> Next {
        let is_all_found = self.search == Search::Over && !self.last_resort.is_asked();
        let mut next = if is_all_found { Next::Nothing } else { Next::NotBefore(None) };
        for endpoint in self.all_endpoints() {
            let Outlook { untried, holds_until } = self.outlook(endpoint, now);
            let ready_at = match untried {
                Some((candidate, at)) if at <= now => return Next::Now(candidate),
                untried => untried.map(|(_, at)| at),
            };
            let Some(holds_until) = holds_until else { continue };
            if now < holds_until {
                return Next::NotBefore(earlier(ready_at, Some(holds_until)));
            }
            let before = if let Next::NotBefore(time) = next { time } else { None };
            next = Next::NotBefore(earlier(before, ready_at));
        }
        next
    }

    fn outlook(&self, endpoint: &Endpoint, now: Instant) -> Outlook {
        let candidates = self.addresses(endpoint).into_iter();
        let mut candidates = candidates.map(|address| Candidate { endpoint: endpoint.clone(), address });
        let untried = candidates.find(|it| !self.tried.contains(it) && !self.deferred.contains(it));
        if self.needs_no_lookup(endpoint) {
            return Outlook { untried: untried.map(|it| (it, now)), holds_until: None };
        }
        let Some(host) = self.hosts.get(&endpoint.host) else {
            return Outlook { untried: None, holds_until: Some(now + ATTEMPT_DELAY) };
        };
        Outlook {
            untried: untried.map(|it| (it, host.ready_at().unwrap_or(now))),
            holds_until: (!host.is_complete()).then_some(host.asked_at + ATTEMPT_DELAY),
        }
    }

    fn all_endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().chain(self.last_resort.endpoint())
    }

    fn needs_no_lookup(&self, endpoint: &Endpoint) -> bool {
        self.names == Names::PassedOn || endpoint.host.parse::<IpAddr>().is_ok()
    }

    /// What is known of an endpoint's addresses; none where whoever connects finds it.
    fn addresses(&self, endpoint: &Endpoint) -> Vec<Option<IpAddr>> {
        if self.names == Names::PassedOn {
            return vec![None];
        }
        match (endpoint.host.parse(), self.hosts.get(&endpoint.host)) {
            (Ok(address), _) => vec![Some(address)],
            (Err(_), Some(host)) => host.addresses().into_iter().map(Some).collect(),
            (Err(_), None) => Vec::new(),
        }
    }
}

impl Namer {
    /// Who has named this machine.
    fn of(&self, name: &str) -> NamedBy {
        match self {
            Self::Known(named_by) => *named_by,
            Self::Domain(domain) if domain == name => NamedBy::Account,
            Self::Domain(_) => NamedBy::Srv,
        }
    }
}

impl Host {
    /// Whether all is known that will be.
    fn is_complete(&self) -> bool {
        [Family::V6, Family::V4].iter().all(|family| self.answers.contains_key(family))
    }

    /// Why it has no address, once that is known.
    fn fault(&self) -> Option<AccountError> {
        let is_without =
            self.is_complete() && self.answers.values().all(|answer| answer.addresses.is_empty());
        let faults = self.answers.values().map(|answer| answer.fault.clone());
        faults.reduce(|one, other| telling_more(one, Some(other))).filter(|_| is_without)
    }

    /// Until when those that are known wait for better ones, if they do.
    fn ready_at(&self) -> Option<Instant> {
        let waits = !self.answers.contains_key(&Family::V6);
        self.answers.get(&Family::V4).filter(|_| waits).map(|answer| answer.at + RESOLUTION_DELAY)
    }

    /// The addresses that are known, of one family and of the other in turn.
    fn addresses(&self) -> Vec<IpAddr> {
        let of = |family| self.answers.get(&family).map_or(&[][..], |answer| &answer.addresses);
        let (v6, v4) = (of(Family::V6), of(Family::V4));
        let pairs = (0..v6.len().max(v4.len())).flat_map(|n| [v6.get(n), v4.get(n)]);
        pairs.flatten().copied().collect()
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// Of two faults the one by which the user learns more, whichever came first: machines are tried in another order each time, and the log
/// has it once where it stays the same.
pub(super) fn telling_more(error: AccountError, other: Option<AccountError>) -> AccountError {
    match other {
        Some(other) if rank(&other) > rank(&error) => other,
        _ => error,
    }
}

/// How near it came to a login; and of equals, what is known of it as text, which has an order.
fn rank(error: &AccountError) -> (u8, String) {
    (nearness(error), format!("{error:?}"))
}

/// From here on a server was reached, and shown to be the wrong one or one that does not want us.
const REACHED: u8 = 8;

fn nearness(error: &AccountError) -> u8 {
    match error {
        AccountError::Neither { server, web_socket } => nearness(server).max(nearness(web_socket)),
        AccountError::RecordsUnknown(unknown) => nearness(unknown.fault()),
        AccountError::Dns(DnsFault::Silent | DnsFault::NoServer) => 0,
        AccountError::NoAddress(_) | AccountError::NoPort | AccountError::NotOffered => 1,
        AccountError::Dns(_) => 2,
        AccountError::NoRoute | AccountError::BadSource | AccountError::HostUnreachable => 3,
        AccountError::TimedOut(Step::Dial) => 4,
        AccountError::Proxy(fault) if fault.is_behind_it() => 6,
        AccountError::Refused | AccountError::Proxy(_) => 5,
        AccountError::TimedOut(_) | AccountError::Closed(_) | AccountError::Io { .. } => 6,
        AccountError::CertificateUntrusted
        | AccountError::CertificateWrongName
        | AccountError::CertificateExpired
        | AccountError::CertificateNotPinned => REACHED,
        AccountError::SeeOtherHost(_) => 9,
        _ => 7,
    }
}

#[cfg(test)]
mod tests;
