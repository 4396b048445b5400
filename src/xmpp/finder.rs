//! Finder of an account's server: runs a race of connection attempts with real lookups and connections.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{sleep_until, timeout};

use super::dialer::Dialer;
use super::error::{AccountError, DnsFault, NamedBy, OtherHost, Step, Unfollowed};
use super::hints::{Hints, Way};
use super::proxied;
use super::race::{Candidate, Family, Names, Order, Plan, Race};
use super::resolver::{Resolver, is_onion, is_public, is_this_machine};
use super::security::Kind;
use super::seen::Whereabouts;
use super::socket::Socket;
use super::srv::{Endpoint, Found, Service, domain_itself, endpoints, unknown};
use super::trail::Trail;
use crate::config::{ServerAddr, Url};

/// How long it may take to set up TLS while there is another way to try: 6 seconds, so that a network that swallows what it takes for
/// TLS leaves time for the others.
const SECURING: Duration = Duration::from_secs(6);

/// The same where that is more, in times that the connection took: 8. STARTTLS takes four round trips, and a connection at least one.
const CONNECTION_TIMES: u32 = 8;

/// The same where nothing but a WebSocket is left, of which nobody knows whether there is one: 10 seconds, half of a login's.
const SECURING_LAST: Duration = Duration::from_secs(10);

/// How long it may take to ask a domain for its WebSocket: 8 seconds. That is some ten round trips in two connections, and with what goes
/// before leaves time to say that nothing works.
const ASKING: Duration = Duration::from_secs(8);

/// How many that came to nothing after TLS are known at most: 32, each once. Of more, the one that failed longest ago is as good as new.
const MOST_FAILED: usize = 32;

/// Knows where an account's server may be, and where it was.
pub(super) struct Finder {
    /// The account's domain, in its ASCII form.
    domain: String,
    /// The only machine to try.
    server: Option<ServerAddr>,
    /// Who has named `server` or, where there is none, the domain.
    named_by: NamedBy,
    /// The only kind of connection to try.
    kind: Option<Kind>,
    /// Asks the domain where its WebSocket is.
    web_socket: Option<AskForWebSocket>,
    /// What worked in an earlier run.
    hints: Option<Arc<dyn Hints>>,
    past: Mutex<Past>,
}

/// Asks a domain where its WebSocket is.
pub(super) type AskForWebSocket = Box<dyn Fn(&Dialer) -> Task<Result<Endpoint, AccountError>> + Send + Sync>;

/// What earlier searches have shown.
#[derive(Default)]
struct Past {
    /// What worked last.
    last: Option<Candidate>,
    /// What has come to nothing after TLS since the last login, the latest at the end.
    failed: Vec<Candidate>,
    /// Where the server has sent us, until the end of the login that is for that.
    sent_to: Option<OtherHost>,
    /// Where this login has been, and how often it was sent on.
    trail: Trail,
}

/// A search for a connection that works.
pub(super) struct Search<'a> {
    finder: &'a Finder,
    /// Where the server has sent us, if it is for that.
    sent_to: Option<OtherHost>,
    hint: Option<Way>,
    dialer: &'a Dialer,
    race: Race,
    records: Records,
    /// What is known of where the server may be.
    whereabouts: Option<Whereabouts>,
    resolver: Option<Arc<Resolver>>,
    lookups: FuturesUnordered<Task<Answer>>,
    attempts: FuturesUnordered<Task<Attempt>>,
    /// How long the connection that was found last took to be made.
    connected_in: Duration,
}

/// Something that is being found out.
pub(super) type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An attempt that is over.
struct Attempt {
    candidate: Candidate,
    connected: Result<Socket, AccountError>,
    took: Duration,
}

/// What was found.
enum Answer {
    WebSocket(Result<Endpoint, AccountError>),
    Endpoints(Records, usize, Result<Vec<Endpoint>, AccountError>),
    Addresses(String, Family, Result<Vec<IpAddr>, AccountError>),
}

/// Whether SRV records could be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Records {
    Asked,
    /// Nobody has told, so that the domain itself is tried.
    Unknown(DnsFault),
    /// No resolver was reached through the proxy, or none has answered.
    Unasked,
}

impl Finder {
    /// For the servers of `domain`, in its ASCII form: all that it has, or only `server`; by any kind of connection, or only by `kind`.
    pub(super) fn new(domain: String, server: Option<ServerAddr>, kind: Option<Kind>) -> Self {
        let named_by = if server.is_some() { NamedBy::Server } else { NamedBy::Account };
        Self { domain, server, named_by, kind, web_socket: None, hints: None, past: Mutex::default() }
    }

    /// The machine was named by somebody else.
    fn named_by(self, named_by: NamedBy) -> Self {
        Self { named_by, ..self }
    }

    /// Has the domain asked for a WebSocket where none of its servers is reached.
    pub(super) fn or_by_web_socket(self, ask: AskForWebSocket) -> Self {
        Self { web_socket: Some(ask), ..self }
    }

    /// Begins with what `hints` have of the domain where nothing is remembered, and tells them what has worked.
    pub(super) fn hinted(self, hints: Option<Arc<dyn Hints>>) -> Self {
        Self { hints, ..self }
    }

    /// Begins with what worked last, and ends with what has failed after TLS since; but where the server has sent us elsewhere, that is all
    /// that is tried.
    ///
    /// # Errors
    ///
    /// It would lead off this machine, where nothing may go without TLS; or to an onion service, and there is no proxy.
    pub(super) fn search<'a>(&'a self, dialer: &'a Dialer) -> Result<Search<'a>, AccountError> {
        let names = if dialer.takes_names() { Names::PassedOn } else { Names::Resolved };
        if self.kind == Some(Kind::Plain) && names == Names::PassedOn {
            return Err(AccountError::PlaintextRefused);
        }
        if names == Names::Resolved && self.is_configured_onion() {
            return Err(AccountError::OnionWithoutProxy);
        }
        let sent_to = self.begin_search();
        let hint = self.hints.as_ref().and_then(|hints| hints.recall(&self.domain));
        let race = match &sent_to {
            Some(host) => {
                let endpoint = self.endpoint(host.address());
                Race::new(Plan::Known(vec![endpoint], NamedBy::OtherServer), names, None, now())
            }
            None => {
                let Past { last, failed, .. } = &*self.past();
                let race = Race::new(self.plan(names), names, last.clone(), now()).deferring(failed.clone());
                let race = if self.may_have_web_socket() { race.or_by_web_socket() } else { race };
                if hint == Some(Way::WebSocket) { race.by_web_socket_at_once() } else { race }
            }
        };
        let (lookups, attempts) = (FuturesUnordered::new(), FuturesUnordered::new());
        let connected_in = Duration::ZERO;
        let (resolver, records) = (None, Records::Asked);
        let whereabouts = (sent_to.is_some() || self.is_known(names)).then_some(Whereabouts::Given);
        Ok(Search {
            finder: self,
            sent_to,
            hint,
            dialer,
            race,
            records,
            whereabouts,
            resolver,
            lookups,
            attempts,
            connected_in,
        })
    }

    /// Whether the configuration itself names an onion service, and nothing else to dial.
    fn is_configured_onion(&self) -> bool {
        let host = self.server.as_ref().map_or(&self.domain, |server| &server.host);
        matches!(self.named_by, NamedBy::Account | NamedBy::Server) && is_onion(host)
    }

    /// This login goes on at the host where the server sends us, or the next one begins there. Whatever comes of it, the one after that is
    /// where it always was.
    ///
    /// # Errors
    ///
    /// We do not go there: we were reached over a WebSocket, and a host is no URL of one; it would be plaintext off this machine; or we have
    /// just been there, or were sent on too often.
    pub(super) fn follow(&self, host: &OtherHost) -> Result<(), Unfollowed> {
        let Past { last, sent_to, trail, .. } = &mut *self.past();
        *sent_to = None;
        if last.as_ref().is_some_and(|last| last.endpoint.kind == Kind::WebSocket) {
            return Err(Unfollowed::WebSocket);
        }
        if self.kind == Some(Kind::Plain) && !host.address().is_loopback() {
            return Err(Unfollowed::Plaintext);
        }
        trail.follow(host)?;
        *sent_to = Some(host.clone());
        Ok(())
    }

    /// A search begins: at the host where the server has sent us, if it has. If it has not, where we have been before no longer matters.
    fn begin_search(&self) -> Option<OtherHost> {
        let Past { sent_to, trail, .. } = &mut *self.past();
        if sent_to.is_none() {
            *trail = Trail::default();
        }
        sent_to.clone()
    }

    /// A session has lasted: whoever ends it may send us anywhere.
    pub(super) fn handle_steady(&self) {
        self.past().trail = Trail::default();
    }

    /// The resolvers that are asked through a proxy are everybody's, and do not learn what is somebody's own.
    fn plan(&self, names: Names) -> Plan {
        if let Some(server) = &self.server {
            return Plan::Known(vec![self.endpoint(server)], self.named_by);
        }
        let is_passed_on = names == Names::PassedOn && !is_public(&self.domain);
        if self.domain.parse::<IpAddr>().is_ok() || is_this_machine(&self.domain) || is_passed_on {
            return Plan::Known(vec![domain_itself(&self.domain, self.kind)], self.named_by);
        }
        Plan::Search(self.domain.clone())
    }

    /// Whether nobody has to be asked for SRV records.
    fn is_known(&self, names: Names) -> bool {
        matches!(self.plan(names), Plan::Known(..))
    }

    /// Nobody else's word is asked for than the domain's, which then has to have a name of its own.
    fn may_have_web_socket(&self) -> bool {
        self.web_socket.is_some() && self.domain.parse::<IpAddr>().is_err() && !is_this_machine(&self.domain)
    }

    fn endpoint(&self, server: &ServerAddr) -> Endpoint {
        let kind = self.kind.unwrap_or(Kind::StartTls);
        Endpoint { host: server.host.clone(), port: server.port, kind }
    }

    /// The next search begins with this one.
    fn remember(&self, candidate: Candidate) {
        self.past().last = Some(candidate);
    }

    /// There was a login, at the one that is remembered.
    pub(super) fn handle_login(&self) {
        let last = self.past().last.as_ref().map(|last| last.endpoint.kind);
        self.past().failed.clear();
        self.past().sent_to = None;
        if let (Some(hints), Some(way)) = (&self.hints, last.and_then(way)) {
            hints.keep(&self.domain, way);
        }
    }

    /// There was none, and `step` is how far it came. Who was secure by then is deferred; if nobody was, those that are deferred have
    /// had their turn or could not have it, and count as the others again.
    pub(super) fn handle_failure(&self, step: Step) {
        let Past { last, failed, sent_to, .. } = &mut *self.past();
        *sent_to = None;
        let Some(candidate) = last.take().filter(|_| step.is_secured()) else { return failed.clear() };
        failed.retain(|other| *other != candidate);
        failed.push(candidate);
        failed.drain(..failed.len().saturating_sub(MOST_FAILED));
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first connection to the host of a URL, on which nothing was said yet.
pub(super) async fn connect(url: &Url, named_by: NamedBy, dialer: &Dialer) -> Result<Socket, AccountError> {
    let kind = if url.secure { Kind::Direct } else { Kind::Plain };
    connect_to(&url.address, kind, named_by, dialer).await
}

/// The first connection to this address, for what protects itself and needs no TLS.
pub(super) async fn connect_protected(
    address: &ServerAddr,
    named_by: NamedBy,
    dialer: &Dialer,
) -> Result<Socket, AccountError> {
    connect_to(address, Kind::Direct, named_by, dialer).await
}

async fn connect_to(
    address: &ServerAddr,
    kind: Kind,
    named_by: NamedBy,
    dialer: &Dialer,
) -> Result<Socket, AccountError> {
    let finder = Finder::new(address.host.clone(), Some(address.clone()), Some(kind));
    let finder = finder.named_by(named_by);
    let (_, socket) = finder.search(dialer)?.next().await?;
    Ok(socket)
}

fn say_that_the_proxy_lets_nobody_ask() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::info!(
            "the proxy lets nobody ask for SRV records: chat servers are expected where the domains of accounts are, unless `server` \
             says otherwise"
        );
    });
}

impl Search<'_> {
    /// The next connection, on which nothing was said yet; or, when everything was tried, the fault that says most.
    pub(super) async fn next(&mut self) -> Result<(Candidate, Socket), AccountError> {
        loop {
            while let Some(order) = self.race.poll(now()) {
                self.carry_out(order);
            }
            if let Some(error) = self.race.failure(now()) {
                return Err(self.explained(error));
            }
            let timeout = self.race.poll_timeout(now());
            tokio::select! {
                Some(answer) = self.lookups.next() => self.handle(answer),
                Some(Attempt { candidate, connected, took }) = self.attempts.next() => match connected {
                    Ok(socket) => {
                        self.handle_proxy_at_work();
                        self.connected_in = took;
                        self.race.handle_connected(&candidate);
                        self.attempts.clear();
                        return Ok((candidate, socket));
                    }
                    Err(error) => self.race.handle_failed(&candidate, error, now()),
                },
                () = sleep_until(timeout.unwrap_or_else(now).into()), if timeout.is_some() => {}
                else => return Err(self.fault().unwrap_or(AccountError::NoAddress(NamedBy::Account))),
            }
        }
    }

    /// The connection that was found last is of use: the next search begins with it. Where a server sends us is another matter each time.
    pub(super) fn remember(&self, candidate: Candidate) {
        self.finder.past().trail.note(&candidate);
        if self.sent_to.is_none() {
            self.finder.remember(candidate);
        }
    }

    /// Where the server has sent us, if this is for that.
    pub(super) fn sent_to(&self) -> Option<&OtherHost> {
        self.sent_to.as_ref()
    }

    /// What is known of where the server may be, once that was looked up.
    pub(super) fn whereabouts(&self) -> Option<Whereabouts> {
        self.whereabouts
    }

    /// How long the connection that was found last took to be made.
    pub(super) fn connected_in(&self) -> Duration {
        self.connected_in
    }

    /// The connection that was found last came to nothing.
    pub(super) fn fail(&mut self, candidate: &Candidate, error: AccountError) {
        if matches!(error, AccountError::SeeOtherHost(_)) {
            self.finder.past().trail.note(candidate);
        }
        self.race.handle_failed(candidate, error, now());
    }

    /// How long the connection that was found last may take to be secured, if there are others.
    pub(super) fn patience(&self) -> Option<Duration> {
        let least = match (self.race.has_more(now()), self.race.has_last_resort()) {
            (true, _) => SECURING,
            (false, true) => SECURING_LAST,
            (false, false) => return None,
        };
        Some(least.max(self.connected_in * CONNECTION_TIMES))
    }

    /// Why there is no connection until now.
    pub(super) fn fault(&self) -> Option<AccountError> {
        self.race.fault().map(|error| self.explained(error))
    }

    /// The fault, and that somebody may not have been tried who would have been of use.
    fn explained(&self, error: AccountError) -> AccountError {
        match self.records {
            Records::Unknown(dns) => error.without_records(dns),
            Records::Asked | Records::Unasked => error,
        }
    }

    fn handle(&mut self, answer: Answer) {
        match answer {
            Answer::WebSocket(found) => self.race.handle_web_socket(found),
            Answer::Endpoints(records, count, found) => {
                self.records = records;
                self.whereabouts = Some(match (records, count) {
                    (Records::Unknown(fault), _) => Whereabouts::Unknown(fault),
                    (Records::Unasked, _) => Whereabouts::Unasked,
                    (Records::Asked, 0) => Whereabouts::NoRecords,
                    (Records::Asked, count) => Whereabouts::Records(count),
                });
                self.race.handle_endpoints(found);
            }
            Answer::Addresses(host, family, found) => {
                self.race.handle_addresses(&host, family, found, now());
            }
        }
    }

    /// Something is connected, so the proxy works: now it is worth saying that it lets nobody ask for SRV records.
    fn handle_proxy_at_work(&self) {
        if self.records == Records::Unasked {
            say_that_the_proxy_lets_nobody_ask();
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Search => {
                let wanted =
                    Wanted { domain: self.finder.domain.clone(), kind: self.finder.kind, first: self.hint };
                let found: Task<Answer> = if self.dialer.takes_names() {
                    Box::pin(search_through(self.dialer.clone(), wanted))
                } else {
                    Box::pin(search(self.resolver(), wanted))
                };
                self.lookups.push(found);
            }
            Order::AskForWebSocket => {
                let Some(ask) = &self.finder.web_socket else { return };
                let asked = timeout(ASKING, ask(self.dialer));
                let silence = self.dialer.timed_out(Step::HostMeta);
                self.lookups.push(Box::pin(async { Answer::WebSocket(asked.await.unwrap_or(Err(silence))) }));
            }
            Order::Resolve(host) => {
                for family in [Family::V6, Family::V4] {
                    let (resolver, host) = (self.resolver(), host.clone());
                    self.lookups.push(Box::pin(async move {
                        let found = resolver.addresses(&host, family).await;
                        Answer::Addresses(host, family, found)
                    }));
                }
            }
            Order::Dial(candidate) => {
                let Endpoint { host, port, .. } = &candidate.endpoint;
                let dialling = self.dialer.dial(host, *port, candidate.address);
                let start = now();
                self.attempts.push(Box::pin(async move {
                    let connected = dialling.await;
                    Attempt { candidate, connected, took: now() - start }
                }));
            }
        }
    }

    fn resolver(&mut self) -> Arc<Resolver> {
        Arc::clone(self.resolver.get_or_insert_with(|| Arc::new(Resolver::of_system(self.dialer))))
    }
}

/// Which servers are to be found.
struct Wanted {
    domain: String,
    /// Of this kind alone.
    kind: Option<Kind>,
    /// With those of this one first.
    first: Option<Way>,
}

async fn search(resolver: Arc<Resolver>, wanted: Wanted) -> Answer {
    let services = Service::wanted(wanted.kind).iter();
    let services = services.map(|service| resolver.services(&wanted.domain, *service));
    let found = join_all(services).await;
    Answer::Endpoints(Records::of(&found), count(&found), wanted.order(&found))
}

async fn search_through(proxy: Dialer, wanted: Wanted) -> Answer {
    let found = proxied::services(proxy, &wanted.domain, Service::wanted(wanted.kind)).await;
    let records = found.as_deref().map_or(Records::Unasked, Records::of);
    let found = found.unwrap_or_default();
    Answer::Endpoints(records, count(&found), wanted.order(&found))
}

/// How many records were found.
fn count(found: &[Found]) -> usize {
    found.iter().map(|found| found.records.len()).sum()
}

impl Records {
    /// Where this was found.
    fn of(found: &[Found]) -> Self {
        unknown(found).map_or(Self::Asked, Self::Unknown)
    }
}

impl Wanted {
    fn order(&self, found: &[Found]) -> Result<Vec<Endpoint>, AccountError> {
        let draw = |most| rand::random_range(0..=most);
        let mut endpoints = endpoints(&self.domain, self.kind, found, draw);
        if let (Ok(endpoints), Some(first)) = (&mut endpoints, self.first) {
            endpoints.sort_by_key(|endpoint| way(endpoint.kind) != Some(first));
        }
        endpoints
    }
}

/// What is said of connections of this kind in a hint.
fn way(kind: Kind) -> Option<Way> {
    match kind {
        Kind::Plain => None,
        Kind::StartTls => Some(Way::StartTls),
        Kind::Direct => Some(Way::Direct),
        Kind::WebSocket => Some(Way::WebSocket),
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
