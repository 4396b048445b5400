//! Finder of an account's server: runs a race of connection attempts with real lookups and connections.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep_until;

use super::dialer::Dialer;
use super::error::{AccountError, OtherHost};
use super::proxied;
use super::race::{Candidate, Family, Names, Order, Plan, Race};
use super::resolver::{Resolver, is_this_machine};
use super::security::Kind;
use super::socket::Socket;
use super::srv::{Endpoint, Found, Service, domain_itself, endpoints};
use crate::config::ServerAddr;

/// How long it may take to set up TLS while there is another way to try: 6 seconds, so that a network that swallows what it takes for
/// TLS leaves time for the others.
const SECURING: Duration = Duration::from_secs(6);

/// The same where that is more, in times that the connection took: 8. STARTTLS takes four round trips, and a connection at least one.
const CONNECTION_TIMES: u32 = 8;

/// Knows where an account's server may be, and where it was.
pub(super) struct Finder {
    /// The account's domain, in its ASCII form.
    domain: String,
    /// The only machine to try.
    server: Option<ServerAddr>,
    /// The only kind of connection to try.
    kind: Option<Kind>,
    /// What worked last.
    last: Mutex<Option<Candidate>>,
    /// Where the server has sent us, for the next search alone.
    sent_to: Mutex<Option<Endpoint>>,
}

/// A search for a connection that works.
pub(super) struct Search<'a> {
    finder: &'a Finder,
    /// Whether it is for where the server has sent us.
    is_sent: bool,
    dialer: &'a Dialer,
    race: Race,
    resolver: Option<Arc<Resolver>>,
    lookups: FuturesUnordered<Task<Answer>>,
    attempts: FuturesUnordered<Task<Attempt>>,
    /// How long the connection that was found last took to be made.
    connected_in: Duration,
}

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An attempt that is over.
struct Attempt {
    candidate: Candidate,
    connected: Result<Socket, AccountError>,
    took: Duration,
}

/// What was found.
enum Answer {
    Endpoints(Result<Vec<Endpoint>, AccountError>),
    Addresses(String, Family, Result<Vec<IpAddr>, AccountError>),
}

impl Finder {
    /// For the servers of `domain`, in its ASCII form: all that it has, or only `server`; by any kind of connection, or only by `kind`.
    pub(super) fn new(domain: String, server: Option<ServerAddr>, kind: Option<Kind>) -> Self {
        Self { domain, server, kind, last: Mutex::default(), sent_to: Mutex::default() }
    }

    /// Begins with what worked last; but where the server has sent us elsewhere, that is all that is tried.
    pub(super) fn search<'a>(&'a self, dialer: &'a Dialer) -> Search<'a> {
        let names = if dialer.takes_names() { Names::PassedOn } else { Names::Resolved };
        let sent_to = locked(&self.sent_to).take();
        let is_sent = sent_to.is_some();
        let (plan, first) = match sent_to {
            Some(endpoint) => (Plan::Known(vec![endpoint]), None),
            None => (self.plan(), locked(&self.last).clone()),
        };
        let race = Race::new(plan, names, first, now());
        let (lookups, attempts) = (FuturesUnordered::new(), FuturesUnordered::new());
        let connected_in = Duration::ZERO;
        Search { finder: self, is_sent, dialer, race, resolver: None, lookups, attempts, connected_in }
    }

    /// The next search is for another host, as the server wants; the one behind it is as ever. Plaintext leaves this machine in no case.
    pub(super) fn follow(&self, host: &OtherHost) {
        let server = host.address();
        let endpoint = self.endpoint(server);
        *locked(&self.sent_to) = (endpoint.kind != Kind::Plain || server.is_loopback()).then_some(endpoint);
    }

    fn plan(&self) -> Plan {
        if let Some(server) = &self.server {
            return Plan::Known(vec![self.endpoint(server)]);
        }
        if self.domain.parse::<IpAddr>().is_ok() || is_this_machine(&self.domain) {
            return Plan::Known(vec![domain_itself(&self.domain, self.kind)]);
        }
        Plan::Search(self.domain.clone())
    }

    fn endpoint(&self, server: &ServerAddr) -> Endpoint {
        let kind = self.kind.unwrap_or(Kind::StartTls);
        Endpoint { host: server.host.clone(), port: server.port, kind }
    }

    /// What worked last does not work any more, or is not known to.
    pub(super) fn forget(&self) {
        *locked(&self.last) = None;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
                return Err(error);
            }
            let timeout = self.race.poll_timeout(now());
            tokio::select! {
                Some(answer) = self.lookups.next() => self.handle(answer),
                Some(Attempt { candidate, connected, took }) = self.attempts.next() => match connected {
                    Ok(socket) => {
                        self.connected_in = took;
                        self.race.handle_connected(&candidate);
                        self.attempts.clear();
                        return Ok((candidate, socket));
                    }
                    Err(error) => self.race.handle_failed(&candidate, error, now()),
                },
                () = sleep_until(timeout.unwrap_or_else(now).into()), if timeout.is_some() => {}
                else => return Err(self.fault().unwrap_or(AccountError::NameNotFound)),
            }
        }
    }

    /// The connection that was found last is of use: the next search begins with it. Where a server sends us is another matter each time.
    pub(super) fn remember(&self, candidate: Candidate) {
        if !self.is_sent {
            *locked(&self.finder.last) = Some(candidate);
        }
    }

    /// The connection that was found last came to nothing.
    pub(super) fn fail(&mut self, candidate: &Candidate, error: AccountError) {
        self.race.handle_failed(candidate, error, now());
    }

    /// How long the connection that was found last may take to be secured, if there are others.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.race.has_more(now()).then(|| SECURING.max(self.connected_in * CONNECTION_TIMES))
    }

    /// Of the faults until now the one that says most.
    pub(super) fn fault(&self) -> Option<AccountError> {
        self.race.fault()
    }

    fn handle(&mut self, answer: Answer) {
        match answer {
            Answer::Endpoints(found) => self.race.handle_endpoints(found),
            Answer::Addresses(host, family, found) => {
                self.race.handle_addresses(&host, family, found, now());
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Search => {
                let (domain, kind) = (self.finder.domain.clone(), self.finder.kind);
                let found: Task<Answer> = if self.dialer.takes_names() {
                    Box::pin(search_through(self.dialer.clone(), domain, kind))
                } else {
                    Box::pin(search(self.resolver(), domain, kind))
                };
                self.lookups.push(found);
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
        Arc::clone(self.resolver.get_or_insert_with(|| Arc::new(Resolver::of_system())))
    }
}

async fn search(resolver: Arc<Resolver>, domain: String, kind: Option<Kind>) -> Answer {
    let services = Service::wanted(kind).iter().map(|service| resolver.services(&domain, *service));
    order(&domain, kind, &join_all(services).await)
}

async fn search_through(proxy: Dialer, domain: String, kind: Option<Kind>) -> Answer {
    let found = proxied::services(proxy, &domain, Service::wanted(kind)).await;
    if found.is_none() {
        say_that_the_proxy_lets_nobody_ask();
    }
    order(&domain, kind, &found.unwrap_or_default())
}

fn order(domain: &str, kind: Option<Kind>, found: &[Found]) -> Answer {
    Answer::Endpoints(endpoints(domain, kind, found, |most| rand::random_range(0..=most)))
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
