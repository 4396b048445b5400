//! From an account's configuration to a stream that is logged in, but not yet bound to a resource.

use std::borrow::Cow;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufStream};
use tokio::time::timeout;
use tokio_xmpp::connect::AsyncReadAndWrite;
use tokio_xmpp::stanzastream::Connection;
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, PendingFeaturesRecv, StreamHeader, Timeouts, XmppStreamElement, initiate_stream,
};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ns;
use xmpp_parsers::starttls;

use super::dialer::Dialer;
use super::error::{AccountError, Step};
use super::line::{Line, Tapped};
use super::login::log_in;
use super::records::{BATCH, Recorded};
use super::sasl::Exchange;
use super::socket::{Io, PromptSocket};
use super::timing;
use super::tls::Tls;
use crate::config::{AccountConfig, Credential, ServerAddr, TlsMode};

const STARTTLS_PORT: u16 = 5222;
const DIRECT_TLS_PORT: u16 = 5223;

/// A TLS record's worth.
const READ_BUFFER: usize = 16 * 1024;
/// What is read from the network at a time, or written: a batch and what TLS adds to it.
const SOCKET_BUFFER: usize = BATCH + BATCH / 64;

pub(super) type XmppStream<S> = tokio_xmpp::xmlstream::XmlStream<S, FallibleStreamElement>;

/// Knows how to log one account in.
pub(super) struct Connector {
    jid: Jid,
    credential: Credential,
    /// The domain as it goes into the stream header.
    domain: String,
    server: ServerAddr,
    security: Security,
    /// The most bytes of a stanza that is read whole.
    max_stanza: usize,
}

enum Security {
    None,
    StartTls(Tls),
    Direct(Tls),
}

/// An authenticated stream and the handle to its connection.
pub(super) struct LoggedIn {
    pub(super) connection: Connection,
    pub(super) line: Line,
}

impl Connector {
    /// Checks what can be checked without a network; reads `ca_file`. Every error is permanent.
    pub(super) fn new(config: &AccountConfig, max_stanza: usize) -> Result<Self, AccountError> {
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
        Ok(Self {
            jid: config.jid.clone(),
            credential: config.credential.clone(),
            domain: domain.to_owned(),
            server,
            security,
            max_stanza,
        })
    }

    /// Dials, sets up TLS, and logs in, all within [`timing::LOGIN`]. `identity` goes into the result: its resource is
    /// the one to ask for.
    pub(super) async fn log_in(&self, dialer: &Dialer, identity: Jid) -> Result<LoggedIn, AccountError> {
        let mut step = Step::Dial;
        match timeout(timing::LOGIN, self.attempt(dialer, identity, &mut step)).await {
            Ok(result) => result,
            Err(_) => Err(AccountError::TimedOut(step)),
        }
    }

    async fn attempt(
        &self,
        dialer: &Dialer,
        identity: Jid,
        step: &mut Step,
    ) -> Result<LoggedIn, AccountError> {
        let socket = dialer.dial(&self.server.host, self.server.port).await?;
        let socket = PromptSocket::new(socket).map_err(|error| AccountError::io(*step, &error))?;
        match &self.security {
            Security::None => self.authenticate(socket, identity, step).await,
            Security::Direct(tls) => {
                *step = Step::Tls;
                self.authenticate(tls.connect(buffered(socket)).await?, identity, step).await
            }
            Security::StartTls(tls) => {
                *step = Step::StartTls;
                let socket = self.ask_for_tls(socket).await?;
                *step = Step::Tls;
                self.authenticate(tls.connect(buffered(socket)).await?, identity, step).await
            }
        }
    }

    /// RFC 6120 section 5. Whatever an attacker sent behind `<proceed/>` is thrown away with the buffer.
    async fn ask_for_tls(&self, socket: PromptSocket) -> Result<PromptSocket, AccountError> {
        let (io, line) = Tapped::new(BufStream::new(socket), self.max_stanza);
        let io = self.ask_for_tls_tapped(io).await.map_err(|error| fault_of(&line, Step::StartTls, error))?;
        Ok(io.into_inner().into_inner())
    }

    async fn ask_for_tls_tapped<S>(&self, io: S) -> Result<S, AccountError>
    where
        S: AsyncReadAndWrite,
    {
        const STEP: Step = Step::StartTls;
        let pending = self.open(io, STEP).await?;
        let (features, mut stream): (_, XmppStream<_>) =
            pending.recv_features().await.map_err(|error| AccountError::features(STEP, &error))?;
        if !features.can_starttls() {
            return Err(AccountError::NoStartTls);
        }
        let request = XmppStreamElement::Starttls(starttls::Nonza::Request(starttls::Request));
        stream.send(&request).await.map_err(|error| AccountError::io(STEP, &error))?;
        match stream.next().await {
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Starttls(starttls::Nonza::Proceed(_))))) => {
                Ok(stream.into_inner())
            }
            Some(Ok(_)) => Err(AccountError::Protocol(STEP)),
            Some(Err(_)) | None => Err(AccountError::Closed(STEP)),
        }
    }

    /// The stream, SASL, and the stream again (RFC 6120 section 6).
    async fn authenticate<S>(&self, io: S, identity: Jid, step: &mut Step) -> Result<LoggedIn, AccountError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = BufReader::with_capacity(READ_BUFFER, Recorded::new(io));
        let (io, line) = Tapped::new(io, self.max_stanza);
        match self.authenticate_tapped(Box::new(io), &line, identity, step).await {
            Ok(connection) => Ok(LoggedIn { connection, line }),
            Err(error) => Err(fault_of(&line, *step, error)),
        }
    }

    async fn authenticate_tapped(
        &self,
        io: Io,
        line: &Line,
        identity: Jid,
        step: &mut Step,
    ) -> Result<Connection, AccountError> {
        *step = Step::Stream;
        let pending = self.open(io, *step).await?;
        let (features, stream) =
            pending.recv_features().await.map_err(|error| AccountError::features(*step, &error))?;
        *step = Step::Login;
        let exchange = Exchange::new(&self.jid, &self.credential, &features.sasl_mechanisms)?;
        let stream = log_in(stream, exchange).await?;
        *step = Step::Session;
        line.logged_in();
        let pending =
            stream.send_header(self.header()).await.map_err(|error| AccountError::io(*step, &error))?;
        let (features, stream) =
            pending.recv_features().await.map_err(|error| AccountError::features(*step, &error))?;
        if !features.can_bind() {
            return Err(AccountError::Protocol(*step));
        }
        Ok(Connection { stream, features, identity })
    }

    async fn open<S>(&self, io: S, step: Step) -> Result<PendingFeaturesRecv<S>, AccountError>
    where
        S: AsyncReadAndWrite,
    {
        let timeouts = Timeouts { read_timeout: timing::SILENCE, response_timeout: timing::RESPONSE };
        initiate_stream(io, ns::JABBER_CLIENT, self.header(), timeouts)
            .await
            .map_err(|error| AccountError::io(step, &error))
    }

    fn header(&self) -> StreamHeader<'_> {
        StreamHeader { to: Some(Cow::Borrowed(&self.domain)), from: None, id: None }
    }
}

/// What really went wrong when an attempt on `line` ended in `error`. To the parser and the login code, a stream error
/// (by which a server bars us), the end of the connection and what comes of too much are all nonsense.
pub(super) fn fault_of(line: &Line, step: Step, error: AccountError) -> AccountError {
    if error.is_permanent() {
        return error;
    }
    if line.is_flooded() {
        return AccountError::TooMuch(step);
    }
    let ended = line.is_closed() && matches!(error, AccountError::Protocol(_));
    line.stream_error().unwrap_or(if ended { AccountError::Closed(step) } else { error })
}

/// The TLS library reads little at a time, and writes each record by itself.
fn buffered(socket: PromptSocket) -> BufStream<PromptSocket> {
    BufStream::with_capacity(SOCKET_BUFFER, SOCKET_BUFFER, socket)
}

fn default_server(host: &str, tls: TlsMode) -> ServerAddr {
    let port = if tls == TlsMode::Direct { DIRECT_TLS_PORT } else { STARTTLS_PORT };
    ServerAddr { host: host.to_owned(), port }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(jid: &str, tls: TlsMode, server: Option<&str>) -> AccountConfig {
        AccountConfig {
            jid: Jid::new(jid).unwrap_or_else(|_| unreachable!("a literal")),
            credential: Credential::Password("secret".into()),
            server: server.map(|host| ServerAddr { host: host.to_owned(), port: 5222 }),
            tls,
            ca_file: None,
        }
    }

    const MAX_STANZA: usize = 1 << 18;

    fn fault(config: &AccountConfig) -> Option<AccountError> {
        Connector::new(config, MAX_STANZA).err()
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
        let starttls = Connector::new(&config("a@chat.example", TlsMode::StartTls, None), MAX_STANZA)?;
        assert_eq!((starttls.server.host.as_str(), starttls.server.port), ("chat.example", 5222));
        let direct = Connector::new(&config("a@bücher.example", TlsMode::Direct, None), MAX_STANZA)?;
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
