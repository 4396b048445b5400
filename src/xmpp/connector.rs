//! Connector: from an account's configuration to a connection that is logged in. What lies below its streams is decided here: which
//! machine, and whether TLS begins at once or on request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufStream};
use tokio::time::timeout;

use super::dialer::Dialer;
use super::error::{AccountError, OtherHost, Step};
use super::login::{self, Io, LoggedIn};
use super::negotiation::{Memory, Negotiation, Who};
use super::records::{BATCH, Recorded};
use super::socket::Socket;
use super::timing;
use super::tls::Tls;
use crate::config::{AccountConfig, Credential, ServerAddr, TlsMode};

const STARTTLS_PORT: u16 = 5222;
const DIRECT_TLS_PORT: u16 = 5223;

/// A login follows 3 servers that send it elsewhere (RFC 6120 section 4.9.3.19 wants a bound): a cluster has no use for more, and hosts
/// that send us in circles are found out.
const MOST_HOPS: u32 = 3;

/// Bytes that are read in one go from TLS: the most that one of its records holds, 16 KiB.
const READ_BUFFER: usize = 16 * 1024;
/// Bytes that are read from the network in one go, or written: a batch and what TLS adds to it.
const SOCKET_BUFFER: usize = BATCH + BATCH / 64;

/// Knows how to log one account in.
pub(super) struct Connector {
    server: ServerAddr,
    security: Security,
    who: Who,
    max_stanza: usize,
    /// What the last login has taught.
    memory: Mutex<Memory>,
    /// Where the server has sent us, for the next login.
    sent_to: Mutex<Option<OtherHost>>,
}

enum Security {
    None,
    StartTls(Tls),
    Direct(Tls),
}

impl Connector {
    /// Checks what can be checked without a network; reads `ca_file`. Every error is permanent. Of stanzas of more than
    /// `max_stanza` bytes only the head is read. The account is known to the server as `agent`, a UUID.
    pub(super) fn new(
        config: &AccountConfig,
        max_stanza: usize,
        agent: String,
    ) -> Result<Self, AccountError> {
        if matches!(config.credential, Credential::Password(_)) && config.jid.node().is_none() {
            return Err(AccountError::BadAddress("a password needs a user name"));
        }
        let domain = config.jid.domain().as_str();
        let host = idna::domain_to_ascii(domain)
            .map_err(|_| AccountError::BadAddress("its domain is not a host name"))?;
        let server = config.server.clone().unwrap_or_else(|| default_server(&host, config.tls));
        let tls = |direct| Tls::new(&host, config.ca_file.as_deref(), direct);
        let security = match config.tls {
            TlsMode::StartTls => Security::StartTls(tls(false)?),
            TlsMode::Direct => Security::Direct(tls(true)?),
            TlsMode::None if server.is_loopback() => Security::None,
            TlsMode::None => return Err(AccountError::PlaintextRefused),
            TlsMode::WebSocket => return Err(AccountError::WebSocketUnsupported),
        };
        let who = who(config, !matches!(security, Security::None), agent);
        Ok(Self { server, security, who, max_stanza, memory: Mutex::default(), sent_to: Mutex::default() })
    }

    /// The next login is to be at another host, as the server wants. If that fails, the one behind it is where it always was.
    pub(super) fn follow(&self, host: &OtherHost) {
        *self.sent_to.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.clone());
    }

    /// Where to dial now. Plaintext leaves this machine in no case.
    fn next_server(&self) -> ServerAddr {
        let sent_to = self.sent_to.lock().unwrap_or_else(PoisonError::into_inner).take();
        let other = sent_to.map(|host| host.address().clone());
        let may_dial = |server: &ServerAddr| !matches!(self.security, Security::None) || server.is_loopback();
        other.filter(may_dial).unwrap_or_else(|| self.server.clone())
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
        let mut step = Step::Dial;
        let attempts = self.wherever_sent(dialer, &first_request, &mut step);
        timeout(timing::LOGIN, attempts).await.unwrap_or_else(|_| {
            self.memory().on_network_fault();
            Err(AccountError::TimedOut(step))
        })
    }

    /// Follows where servers send us, a few times.
    async fn wherever_sent(
        &self,
        dialer: &Dialer,
        first_request: &Bytes,
        step: &mut Step,
    ) -> Result<LoggedIn, AccountError> {
        for _ in 0..MOST_HOPS {
            match self.attempts(dialer, first_request, step).await {
                Err(AccountError::SeeOtherHost(host)) => self.follow(&host),
                result => return result,
            }
        }
        self.attempts(dialer, first_request, step).await
    }

    async fn attempts(
        &self,
        dialer: &Dialer,
        first_request: &Bytes,
        step: &mut Step,
    ) -> Result<LoggedIn, AccountError> {
        let memory = self.memory().clone();
        let was_of_use = memory.is_of_use();
        let result = self.attempt(memory, dialer, first_request, step).await;
        let Err(error) = &result else { return result };
        if !was_of_use || !matches!(step, Step::Stream | Step::Login) {
            return result;
        }
        if error.is_cut() {
            self.memory().on_network_fault();
            return result;
        }
        *self.memory() = Memory::default();
        if may_follow_from_memory(error) {
            return self.attempt(Memory::default(), dialer, first_request, step).await;
        }
        result
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steps of a login, one after the other. `step` follows them.
    async fn attempt(
        &self,
        memory: Memory,
        dialer: &Dialer,
        first_request: &Bytes,
        step: &mut Step,
    ) -> Result<LoggedIn, AccountError> {
        *step = Step::Dial;
        let server = self.next_server();
        let socket = dialer.dial(&server.host, server.port).await?;
        let io = self.secure(socket, step).await?;
        if let Credential::Component(secret) = &self.who.credential {
            *step = Step::Login;
            return login::be_component(io, &self.who.domain, secret, self.max_stanza).await;
        }
        *step = Step::Stream;
        let negotiation =
            Negotiation::log_in(self.who.clone(), memory, first_request.clone(), self.max_stanza)?;
        let (logged_in, memory) = login::log_in(io, negotiation, step).await?;
        *self.memory() = memory;
        Ok(logged_in)
    }

    async fn secure(&self, socket: Socket, step: &mut Step) -> Result<Io, AccountError> {
        let (tls, socket) = match &self.security {
            Security::None => return Ok(stream_io(socket)),
            Security::Direct(tls) => (tls, socket),
            Security::StartTls(tls) => {
                *step = Step::StartTls;
                let mut socket = BufStream::new(socket);
                let negotiation = Negotiation::start_tls(&self.who.domain, self.max_stanza);
                login::start_tls(&mut socket, negotiation).await?;
                (tls, socket.into_inner())
            }
        };
        *step = Step::Tls;
        // The TLS library reads little at a time, and writes each record by itself.
        let socket = BufStream::with_capacity(SOCKET_BUFFER, SOCKET_BUFFER, socket);
        Ok(stream_io(tls.connect(socket).await?))
    }
}

/// Whether a server may only have refused what it offered the last time. A password that was refused is refused, since servers lock
/// accounts that insist; and who has not shown that it knows the password gets nothing more to guess it from.
fn may_follow_from_memory(error: &AccountError) -> bool {
    matches!(error, AccountError::NoMechanism | AccountError::Protocol(_) | AccountError::LoginRefused(_))
}

/// As whom to log in. Only where others cannot read it do we say who we are before that.
fn who(config: &AccountConfig, is_private: bool, agent: String) -> Who {
    let from = config.jid.node().filter(|_| is_private).map(|_| config.jid.to_bare().to_string());
    let domain = config.jid.domain().as_str().to_owned();
    Who { jid: config.jid.clone(), credential: config.credential.clone(), domain, from, agent }
}

/// What a stream of XML is read from and written to.
fn stream_io(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Io {
    Box::new(BufReader::with_capacity(READ_BUFFER, Recorded::new(io)))
}

fn default_server(host: &str, tls: TlsMode) -> ServerAddr {
    let port = if tls == TlsMode::Direct { DIRECT_TLS_PORT } else { STARTTLS_PORT };
    ServerAddr { host: host.to_owned(), port }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp_parsers::jid::Jid;

    fn config(jid: &str, tls: TlsMode, server: Option<&str>) -> AccountConfig {
        AccountConfig {
            jid: Jid::new(jid).unwrap_or_else(|_| unreachable!("a literal")),
            credential: Credential::Password("secret".into()),
            server: server.map(|host| ServerAddr { host: host.to_owned(), port: 5222 }),
            tls,
            ca_file: None,
            roster: false,
        }
    }

    const MAX_STANZA: usize = 1 << 18;

    fn fault(config: &AccountConfig) -> Option<AccountError> {
        Connector::new(config, MAX_STANZA, String::new()).err()
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
    fn the_domain_is_dialled_when_no_server_is_given() -> Result<(), AccountError> {
        let starttls =
            Connector::new(&config("a@chat.example", TlsMode::StartTls, None), MAX_STANZA, String::new())?;
        assert_eq!((starttls.server.host.as_str(), starttls.server.port), ("chat.example", 5222));
        let direct =
            Connector::new(&config("a@bücher.example", TlsMode::Direct, None), MAX_STANZA, String::new())?;
        assert_eq!((direct.server.host.as_str(), direct.server.port), ("xn--bcher-kva.example", 5223));
        Ok(())
    }

    #[test]
    fn what_can_never_work_is_said_at_once() {
        let websocket = config("a@chat.example", TlsMode::WebSocket, None);
        assert_eq!(fault(&websocket), Some(AccountError::WebSocketUnsupported));
        let nobody = config("chat.example", TlsMode::StartTls, None);
        assert_eq!(fault(&nobody), Some(AccountError::BadAddress("a password needs a user name")));
    }
}
