//! Connector: from an account's configuration to a connection that is logged in. What lies below its streams is decided here: a
//! connection of whichever kind the [finder](super::finder) finds, or a WebSocket that was configured.

mod registering;
mod servers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::api::Persistence;
use super::dialer::Dialer;
use super::error::{AccountError, Elsewhere, NotFollowed, OtherHost, Step, Unfollowed};
use super::finder::Finder;
use super::hints::Hints;
use super::login::{self, LoggedIn, Protected};
use super::negotiation::{Channel, Memory, Negotiation, Who};
use super::race::telling_more;
use super::registrar::Registrar;
use super::registration::{NotKept, Place};
use super::security::{Kind, Security};
use super::seen::{How, Observer, Offers, Protection, Seen, Whereabouts};
use super::timing;
use super::tls::{Tls, Trust};
use super::websocket::WebSocket;
use crate::config::{AccountConfig, Credential, Server, TlsMode};
use registering::Registering;
use servers::Servers;

/// Knows how to log one account in.
pub(super) struct Connector {
    transport: Transport,
    /// Whom to log in as, unless that is an account that is registered.
    who: Who,
    registering: Option<Registering>,
    max_stanza: usize,
    observer: Observer,
    /// What the last login has taught.
    memory: Mutex<Memory>,
    /// A server was reached.
    reached: Notify,
}

/// What carries the streams.
enum Transport {
    /// What the domain's servers offer.
    Found(Servers),
    /// A WebSocket and nothing else.
    WebSocket(WebSocket),
}

/// What is kept of accounts between runs, and who looks on.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) registrar: Option<Arc<Registrar>>,
    pub(super) hints: Option<Arc<dyn Hints>>,
    pub(super) observer: Observer,
}

/// How far a login has come.
struct Progress {
    step: Step,
    /// Of the faults until now the one that says most.
    fault: Option<AccountError>,
    /// At which host, where the server has sent us to another.
    sent_to: Option<OtherHost>,
}

impl Progress {
    /// This fault, which is the last, and that the server has sent us where it happened.
    fn end(self, fault: AccountError) -> AccountError {
        let is_about_host = self.step.is_before_login()
            && !fault.is_permanent()
            && !matches!(fault, AccountError::NotFollowed(_));
        match self.sent_to {
            Some(host) if is_about_host => AccountError::Elsewhere(Elsewhere::new(host, fault)),
            _ => fault,
        }
    }
}

impl Connector {
    /// Checks what can be checked without a network; reads `ca_file`. Every error is permanent. Of stanzas of more than
    /// `max_stanza` bytes only the head is read. The account is known to the server as `agent`, a UUID. One that is to be registered
    /// is in `kept`; one that logs in once asks for no token.
    pub(super) fn new(
        config: &AccountConfig,
        persistence: Persistence,
        max_stanza: usize,
        agent: String,
        kept: Kept,
    ) -> Result<Self, AccountError> {
        if matches!(config.credential, Credential::Password(_)) && config.jid.node().is_none() {
            return Err(AccountError::BadAddress("a password needs a user name"));
        }
        let domain = config.jid.domain().as_str();
        let host = idna::domain_to_ascii(domain)
            .map_err(|_| AccountError::BadAddress("its domain is not a host name"))?;
        let observer = kept.observer.clone();
        let transport = transport(config, host, max_stanza, (kept.hints, kept.observer))?;
        let who = who(config, persistence, agent);
        let registering = match config.credential {
            Credential::New => {
                let registrar = kept.registrar.ok_or_else(nobody_keeps_it)?;
                Some(Registering::new(registrar, Place::of(config)))
            }
            Credential::Password(_) | Credential::Anonymous | Credential::Component(_) => None,
        };
        let (memory, reached) = (Mutex::default(), Notify::new());
        Ok(Self { transport, who, registering, max_stanza, observer, memory, reached })
    }

    /// This login goes on at the host where the server sends us, or the next one begins there. Whatever comes of it, the one after that is
    /// where it always was.
    ///
    /// # Errors
    ///
    /// We do not go there: we were reached over a WebSocket, and a host is no URL of one; it would be plaintext off this machine; or we have
    /// just been there, or were sent on too often.
    pub(super) fn follow(&self, host: &OtherHost) -> Result<(), AccountError> {
        let followed = match &self.transport {
            Transport::Found(servers) => servers.follow(host),
            Transport::WebSocket(_) => Err(Unfollowed::WebSocket),
        };
        followed.map_err(|why| AccountError::NotFollowed(NotFollowed::new(host.clone(), why)))
    }

    /// There was a login, and no session behind it.
    pub(super) fn handle_no_session(&self) {
        match &self.transport {
            Transport::Found(servers) => servers.handle_failure(Step::Bind),
            Transport::WebSocket(_) => {}
        }
    }

    /// A session has lasted: if its server sends us elsewhere, that has nothing to do with what was before.
    pub(super) fn handle_steady(&self) {
        match &self.transport {
            Transport::Found(servers) => servers.handle_steady(),
            Transport::WebSocket(_) => {}
        }
    }

    /// The domain of the streams.
    pub(super) fn domain(&self) -> &str {
        &self.who.domain
    }

    /// Whether it makes a component, which owns its domain.
    pub(super) fn is_of_component(&self) -> bool {
        matches!(self.who.credential, Credential::Component(_))
    }

    /// Of elements of more bytes only the head is read.
    pub(super) fn max_stanza(&self) -> usize {
        self.max_stanza
    }

    /// Dials, sets up TLS, and logs in, within [`timing::LOGIN`], and says `first_request` where the stream goes on behind that.
    ///
    /// If a login fails that used what the last one has taught, and what the server says may be due to that, another follows at once
    /// that uses none of it.
    pub(super) async fn log_in(
        &self,
        dialer: &Dialer,
        first_request: Bytes,
    ) -> Result<LoggedIn, AccountError> {
        let mut progress = Progress { step: Step::Dial, fault: None, sent_to: None };
        let login = self.wherever_sent(dialer, &first_request, &mut progress);
        let result = timeout(timing::LOGIN, login).await.unwrap_or_else(|_| {
            self.memory().on_network_fault();
            Err(telling_more(dialer.timed_out(progress.step), progress.fault.take()))
        });
        match &result {
            Ok(_) => self.transport.handle_login(),
            Err(_) => self.transport.handle_failure(progress.step),
        }
        result.map_err(|fault| match fault {
            // There was no time to go there: the next login does.
            AccountError::SeeOtherHost(host) => {
                self.follow(&host).err().unwrap_or(AccountError::SeeOtherHost(host))
            }
            fault => progress.end(fault),
        })
    }

    /// Follows where servers send us, as far as that leads somewhere.
    async fn wherever_sent(
        &self,
        dialer: &Dialer,
        first_request: &Bytes,
        progress: &mut Progress,
    ) -> Result<LoggedIn, AccountError> {
        loop {
            match self.as_whoever(dialer, first_request, progress).await {
                Err(AccountError::SeeOtherHost(host)) => self.follow(&host)?,
                result => return result,
            }
        }
    }

    /// As whom the configuration says, or to the account that is registered.
    async fn as_whoever(
        &self,
        dialer: &Dialer,
        first_request: &Bytes,
        progress: &mut Progress,
    ) -> Result<LoggedIn, AccountError> {
        match &self.registering {
            None => self.attempts(&self.who, dialer, first_request, progress).await,
            Some(registering) => self.log_in_registered(registering, dialer, first_request, progress).await,
        }
    }

    async fn attempts(
        &self,
        who: &Who,
        dialer: &Dialer,
        first_request: &Bytes,
        progress: &mut Progress,
    ) -> Result<LoggedIn, AccountError> {
        let memory = self.memory().clone();
        let was_of_use = memory.is_of_use();
        let result = self.attempt(who, memory, dialer, first_request, progress).await;
        let Err(error) = &result else { return result };
        if !was_of_use || !matches!(progress.step, Step::Stream | Step::Login) {
            return result;
        }
        if error.is_cut() {
            self.memory().on_network_fault();
            return result;
        }
        self.memory().forget();
        if may_follow_from_memory(error) {
            let memory = self.memory().clone();
            return self.attempt(who, memory, dialer, first_request, progress).await;
        }
        result
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steps of a login, one after the other. `progress` follows them.
    async fn attempt(
        &self,
        who: &Who,
        memory: Memory,
        dialer: &Dialer,
        first_request: &Bytes,
        progress: &mut Progress,
    ) -> Result<LoggedIn, AccountError> {
        let Protected { io, bindings } = self.connect(dialer, progress).await?;
        if let Credential::Component(secret) = &who.credential {
            progress.step = Step::Login;
            return login::be_component(io, &who.domain, secret, self.max_stanza).await;
        }
        progress.step = Step::Stream;
        let channel = Channel::new(bindings, rand::random());
        let negotiation =
            Negotiation::log_in(who.clone(), channel, memory, first_request.clone(), self.max_stanza)?;
        let (logged_in, memory) = login::log_in(io, negotiation, &mut progress.step).await?;
        *self.memory() = memory;
        Ok(logged_in)
    }

    async fn connect(&self, dialer: &Dialer, progress: &mut Progress) -> Result<Protected, AccountError> {
        progress.step = Step::Dial;
        let protected = match &self.transport {
            Transport::Found(servers) => servers.connect(dialer, progress).await,
            Transport::WebSocket(socket) => {
                self.observer.tell(Seen::Found(Whereabouts::Given));
                let start = tokio::time::Instant::now();
                let io = socket.open(dialer, &mut progress.step).await?;
                self.observer.tell(Seen::Connected { took: start.elapsed(), how: How::WebSocket });
                self.observer.tell(Seen::Secured(Protection::WebServer));
                Ok(Protected::unbound(io))
            }
        }?;
        self.reached.notify_one();
        Ok(protected)
    }

    /// Waits until a server is reached, and nothing is said to it yet. Cancel-safe.
    pub(super) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// The server has said what it offers in a session.
    pub(super) fn note_offers(&self, offers: Offers) {
        self.observer.tell(Seen::Offered(offers));
    }
}

impl Transport {
    /// There was a login.
    fn handle_login(&self) {
        match self {
            Self::Found(servers) => servers.handle_login(),
            Self::WebSocket(_) => {}
        }
    }

    /// There was none, and `step` is how far it came.
    fn handle_failure(&self, step: Step) {
        match self {
            Self::Found(servers) => servers.handle_failure(step),
            Self::WebSocket(socket) => socket.forget(),
        }
    }
}

/// Why none is registered where nothing is kept between runs.
fn nobody_keeps_it() -> AccountError {
    AccountError::NotKept(NotKept {
        why: "this program was given no place to keep accounts in".to_owned(),
        can_pass: false,
    })
}

/// What carries the streams of an account whose domain in ASCII is `host`.
fn transport(
    config: &AccountConfig,
    host: String,
    max_stanza: usize,
    (hints, observer): (Option<Arc<dyn Hints>>, Observer),
) -> Result<Transport, AccountError> {
    let trust = Trust { domain: &host, ca_file: config.ca_file.as_deref(), pin: config.pin };
    let web_socket = |url| Ok(Transport::WebSocket(WebSocket::new(url, &host, &Tls::new(&trust)?)));
    let server = match &config.server {
        Some(Server::WebSocket(url)) => {
            let may_be_plain = config.tls == Some(TlsMode::None) && url.address.is_loopback();
            let is_refused = !url.secure && !may_be_plain;
            return if is_refused {
                Err(AccountError::PlaintextRefused)
            } else {
                web_socket(Some(url.clone()))
            };
        }
        None if config.tls == Some(TlsMode::WebSocket) => return web_socket(None),
        Some(Server::Address(server)) => Some(server.clone()),
        None => None,
    };
    let kind = kind(config)?;
    let security = Security::new(&trust, config.jid.domain().to_string(), max_stanza)?;
    let may_be_elsewhere = config.server.is_none()
        && config.tls.is_none()
        && !matches!(config.credential, Credential::Component(_));
    Ok(Transport::Found(match may_be_elsewhere {
        true => Servers::or_web_socket(host, security, hints).observed_by(observer),
        false => Servers::new(Finder::new(host, server, kind), security).observed_by(observer),
    }))
}

/// How connections are protected, where that is not left to the domain.
fn kind(config: &AccountConfig) -> Result<Option<Kind>, AccountError> {
    match config.tls {
        None => Ok(None),
        Some(TlsMode::StartTls) => Ok(Some(Kind::StartTls)),
        Some(TlsMode::Direct) => Ok(Some(Kind::Direct)),
        Some(TlsMode::None) if config.server.as_ref().is_some_and(Server::is_loopback) => {
            Ok(Some(Kind::Plain))
        }
        Some(TlsMode::None) => Err(AccountError::PlaintextRefused),
        Some(TlsMode::WebSocket) => Err(AccountError::BadAddress("a WebSocket has a URL")),
    }
}

/// Whether a server may only have refused what it offered the last time. A password that was refused is refused, since servers lock
/// accounts that insist; and who has not shown that it knows the password gets nothing more to guess it from.
fn may_follow_from_memory(error: &AccountError) -> bool {
    matches!(
        error,
        AccountError::NoMechanism
            | AccountError::NotAnonymous
            | AccountError::Protocol(_)
            | AccountError::LoginRefused(_)
    )
}

/// As whom to log in. Only where others cannot read it do we say who we are before that.
fn who(config: &AccountConfig, persistence: Persistence, agent: String) -> Who {
    let is_private = config.tls != Some(TlsMode::None);
    let from = config.jid.node().filter(|_| is_private).map(|_| config.jid.to_bare().to_string());
    let domain = config.jid.domain().as_str().to_owned();
    let (jid, credential) = (config.jid.clone(), config.credential.clone());
    Who { jid, credential, domain, from, agent, comes_again: persistence == Persistence::Lasting }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DailyFiles, ServerAddr, Url};
    use crate::xmpp::error::ProxyFault;
    use tokio::io::AsyncWriteExt as _;
    use xmpp_parsers::jid::Jid;

    fn config(jid: &str, tls: impl Into<Option<TlsMode>>, server: Option<&str>) -> AccountConfig {
        AccountConfig {
            jid: Jid::new(jid).unwrap_or_else(|_| unreachable!("a literal")),
            credential: Credential::Password("secret".into()),
            server: server.map(|host| ServerAddr { host: host.to_owned(), port: 5222 }.into()),
            tls: tls.into(),
            pin: None,
            ca_file: None,
            roster: false,
            sessions: None,
            daily_bytes: None,
            daily_files: DailyFiles::Unbounded,
        }
    }

    const MAX_STANZA: usize = 1 << 18;

    fn fault(config: &AccountConfig) -> Option<AccountError> {
        Connector::new(config, Persistence::Lasting, MAX_STANZA, String::new(), Kept::default()).err()
    }

    #[test]
    fn plaintext_is_for_this_machine_only() {
        for loopback in ["127.0.0.1", "127.3.2.1", "::1"] {
            assert_eq!(fault(&config("a@chat.example", TlsMode::None, Some(loopback))), None);
        }
        for remote in [Some("192.0.2.1"), Some("localhost"), None] {
            let fault = fault(&config("a@chat.example", TlsMode::None, remote));
            assert_eq!(fault, Some(AccountError::PlaintextRefused));
        }
    }

    #[test]
    fn a_websocket_without_tls_is_for_this_machine_only() {
        let at = |url: &str, tls| AccountConfig {
            server: Url::web_socket(url).map(Server::WebSocket),
            ..config("a@chat.example", tls, None)
        };
        for (url, tls) in [
            ("wss://192.0.2.1/", TlsMode::WebSocket),
            ("wss://chat.example/", TlsMode::WebSocket),
            ("ws://127.0.0.1/", TlsMode::None),
        ] {
            assert_eq!(fault(&at(url, tls)), None, "{url}");
        }
        for (url, tls) in [
            ("ws://127.0.0.1/", TlsMode::WebSocket),
            ("ws://192.0.2.1/", TlsMode::None),
            ("ws://localhost/", TlsMode::None),
        ] {
            assert_eq!(fault(&at(url, tls)), Some(AccountError::PlaintextRefused), "{url}");
        }
    }

    #[test]
    fn another_host_is_followed_but_not_over_a_websocket() -> Result<(), AccountError> {
        let follows = |tls| {
            let connector = Connector::new(
                &config("a@chat.example", tls, None),
                Persistence::Lasting,
                MAX_STANZA,
                String::new(),
                Kept::default(),
            )?;
            Ok::<_, AccountError>(
                OtherHost::parse("other.example").is_some_and(|host| connector.follow(&host).is_ok()),
            )
        };
        assert!(follows(TlsMode::StartTls)? && !follows(TlsMode::WebSocket)?);
        Ok(())
    }

    /// Its token would stay behind at the server.
    #[test]
    fn a_login_that_is_tried_once_is_known_to_be_the_last() {
        let config = config("a@chat.example", None, None);
        let comes_again = |persistence| who(&config, persistence, String::new()).comes_again;
        assert!(comes_again(Persistence::Lasting) && !comes_again(Persistence::Once));
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_never_answers_is_named() -> Result<(), AccountError> {
        let silent = Dialer::through(|_, _| Box::pin(std::future::pending()));
        let address = "chat.example";
        for (tls, server) in [(None, None), (None, Some(address)), (Some(TlsMode::WebSocket), None)] {
            let config = config("a@chat.example", tls, server);
            let connector =
                Connector::new(&config, Persistence::Lasting, MAX_STANZA, String::new(), Kept::default())?;
            let fault = connector.log_in(&silent, Bytes::new()).await.err();
            assert_eq!(fault, Some(AccountError::Proxy(ProxyFault::Silent)), "{tls:?} {server:?}");
        }
        Ok(())
    }

    /// Dials through a proxy that passes on these words of a server, and nothing more.
    fn stalling_after(words: &'static str) -> Dialer {
        let ends = Arc::new(Mutex::new(Vec::new()));
        Dialer::through(move |_, _| {
            let (near, mut far) = tokio::io::duplex(4096);
            let ends = Arc::clone(&ends);
            Box::pin(async move {
                far.write_all(words.as_bytes()).await.map_err(|error| AccountError::dial(&error))?;
                ends.lock().unwrap_or_else(PoisonError::into_inner).push(far);
                Ok(crate::xmpp::Socket::new(near))
            })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_passes_nothing_on_is_named_and_so_is_what_was_tried() -> Result<(), AccountError> {
        let stalling = stalling_after("");
        for (tls, step) in [
            (None, Step::StartTls),
            (Some(TlsMode::StartTls), Step::StartTls),
            (Some(TlsMode::Direct), Step::Tls),
            (Some(TlsMode::WebSocket), Step::HostMeta),
        ] {
            let config = config("a@chat.example", tls, None);
            let connector =
                Connector::new(&config, Persistence::Lasting, MAX_STANZA, String::new(), Kept::default())?;
            let fault = connector.log_in(&stalling, Bytes::new()).await.err();
            assert_eq!(fault, Some(AccountError::Proxy(ProxyFault::Stalled(step))), "{tls:?}");
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_server_that_falls_silent_behind_a_proxy_it_is_not_said_that_it_never_spoke()
    -> Result<(), AccountError> {
        let stalling = stalling_after(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' from='chat.example' \
             version='1.0'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>\
             <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        );
        let config = config("a@chat.example", TlsMode::StartTls, Some("chat.example"));
        let connector =
            Connector::new(&config, Persistence::Lasting, MAX_STANZA, String::new(), Kept::default())?;
        let fault = connector.log_in(&stalling, Bytes::new()).await.err();
        assert_eq!(fault, Some(AccountError::Proxy(ProxyFault::Stalled(Step::Tls))));
        assert_eq!(
            fault.map(|fault| fault.to_string()).as_deref(),
            Some("setting up TLS with the chat server: no answer came through the proxy in time")
        );
        Ok(())
    }

    #[test]
    fn what_can_never_work_is_said_at_once() {
        let no_url = config("a@chat.example", TlsMode::WebSocket, Some("chat.example"));
        assert_eq!(fault(&no_url), Some(AccountError::BadAddress("a WebSocket has a URL")));
        let nobody = config("chat.example", TlsMode::StartTls, None);
        assert_eq!(fault(&nobody), Some(AccountError::BadAddress("a password needs a user name")));
    }
}
