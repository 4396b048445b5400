//! WebSocket of a chat server (RFC 6455, RFC 7395): found, dialled, secured and opened; what comes of it carries a stream.
//!
//! TLS asks for the host of the URL and checks its certificate against that, as any HTTPS client does, since what answers there may be a
//! web server that knows nothing of the account's domain. That this host speaks for the domain is said by whoever wrote the URL into the
//! configuration, or by the domain itself, in a [host-meta](super::host_meta) that came over HTTPS with a certificate of the domain.

mod framing;
mod messages;
mod pongs;

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, BufStream};
use tokio_websockets::{ClientBuilder, Config, Limits};

use self::messages::Messages;
use super::dialer::Dialer;
use super::error::{AccountError, NamedBy, Step};
use super::finder;
use super::host_meta;
use super::http::Head;
use super::login::Io;
use super::records::Recorded;
use super::socket::Socket;
use super::tls::{READ_BUFFER, Tls};
use crate::config::{ServerAddr, Url};

/// The name of XMPP among the protocols inside WebSockets (RFC 7395 section 3.1).
const SUBPROTOCOL: &str = "xmpp";

/// What a server appends to our key, so that its answer is to a WebSocket and to this one (RFC 6455 section 1.3).
const ACCEPTED: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The most bytes of a message, 16 MiB: as long as the framer would wait for the end of an element.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Bytes of messages that are collected before they must be written: 64 KiB, which is what is handed on in one go.
const WRITE_BUFFER: usize = 64 * 1024;

/// Knows how to open the WebSocket of one account's server.
pub(super) struct WebSocket {
    /// The account's domain, in ASCII.
    host: String,
    tls: Tls,
    /// Where it is, if that was configured.
    configured: Option<Url>,
    /// Where it was found the last time, until that turns out to be of no use.
    found: Mutex<Option<Url>>,
}

impl WebSocket {
    /// At `url`, or where the domain `host` says; `tls` says whom to trust.
    pub(super) fn new(url: Option<Url>, host: &str, tls: &Tls) -> Self {
        let (host, tls) = (host.to_owned(), tls.for_http());
        Self { host, tls, configured: url, found: Mutex::default() }
    }

    /// Opens it. `step` follows what is being done.
    pub(super) async fn open(&self, dialer: &Dialer, step: &mut Step) -> Result<Io, AccountError> {
        let known = self.found().clone();
        let (url, named_by) = match (&self.configured, known) {
            (Some(url), _) => (url.clone(), NamedBy::Server),
            (None, Some(url)) => (url, NamedBy::HostMeta),
            (None, None) => (self.find(dialer, step).await?, NamedBy::HostMeta),
        };
        *step = Step::Dial;
        let socket = finder::connect(&url, named_by, dialer).await?;
        self.open_on(socket, &url, step).await
    }

    /// Asks the domain where it is. `step` follows what is being done.
    pub(super) async fn find(&self, dialer: &Dialer, step: &mut Step) -> Result<Url, AccountError> {
        let url = host_meta::find(&self.host, &self.tls, dialer, step).await?;
        *self.found() = Some(url.clone());
        Ok(url)
    }

    /// Opens it on a connection to `address`, where it was found last. `step` follows what is being done.
    pub(super) async fn open_found(
        &self,
        socket: Socket,
        address: &ServerAddr,
        step: &mut Step,
    ) -> Result<Io, AccountError> {
        let url = self
            .found()
            .clone()
            .filter(|url| url.address == *address)
            .ok_or(AccountError::NoWebSocketNamed)?;
        self.open_on(socket, &url, step).await
    }

    /// Where it was found is of no use any more, or is not known to be.
    pub(super) fn forget(&self) {
        *self.found() = None;
    }

    fn found(&self) -> MutexGuard<'_, Option<Url>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open_on(&self, socket: Socket, url: &Url, step: &mut Step) -> Result<Io, AccountError> {
        if !url.secure {
            *step = Step::Upgrade;
            return upgrade(socket, url).await;
        }
        *step = Step::Tls;
        // The TLS library reads little at a time, and writes each record by itself.
        let socket = BufStream::with_capacity(WRITE_BUFFER, WRITE_BUFFER, socket);
        let tls = self.tls.named(&url.address.host)?.connect(socket).await.map_err(|error| match error {
            AccountError::CertificateWrongName => AccountError::CertificateWrongHost,
            error => error,
        })?;
        *step = Step::Upgrade;
        upgrade(tls, url).await
    }
}

/// Makes a WebSocket of a connection (RFC 6455 section 4.1).
async fn upgrade(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    url: &Url,
) -> Result<Io, AccountError> {
    let fault = |error: std::io::Error| AccountError::io(Step::Upgrade, &error);
    let mut io = BufReader::with_capacity(READ_BUFFER, Recorded::new(io, pongs::fill));
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    io.write_all(request(url, &key).as_bytes()).await.map_err(fault)?;
    io.flush().await.map_err(fault)?;
    let head = Head::read(&mut io).await.map_err(fault)?;
    check(&head, &key)?;
    let socket = ClientBuilder::new()
        .config(Config::default().flush_threshold(WRITE_BUFFER).frame_size(usize::MAX))
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)))
        .take_over(io);
    Ok(Box::new(Messages::new(socket)))
}

fn request(url: &Url, key: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        path = url.path,
        host = url.authority(),
    )
}

/// Whether the server's answer to `key` is that XMPP goes on as a WebSocket, and nothing else.
fn check(head: &Head, key: &str) -> Result<(), AccountError> {
    if head.status != 101 {
        return Err(AccountError::NoWebSocket(head.status));
    }
    let value = |name| head.value(name).ok().flatten().unwrap_or_default();
    let accepted = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPTED}").as_bytes());
    let upgrades = head.values("connection").flat_map(|value| value.split(','));
    let is_accepted = value("upgrade").eq_ignore_ascii_case("websocket")
        && upgrades.map(str::trim).any(|option| option.eq_ignore_ascii_case("upgrade"))
        && value("sec-websocket-accept") == STANDARD.encode(accepted)
        && head.values("sec-websocket-extensions").next().is_none();
    if !is_accepted {
        return Err(AccountError::Protocol(Step::Upgrade));
    }
    if value("sec-websocket-protocol") != SUBPROTOCOL {
        return Err(AccountError::NoXmppThere);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The key and the answer of RFC 6455 section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n";

    async fn checked(answer: &str) -> Result<(), AccountError> {
        check(&Head::read(&mut answer.as_bytes()).await.unwrap(), KEY)
    }

    #[tokio::test]
    async fn the_answer_of_the_rfc_with_our_protocol_is_accepted() {
        assert_eq!(checked(ANSWER).await, Ok(()));
    }

    #[tokio::test]
    async fn every_other_answer_is_refused_for_what_is_wrong_with_it() {
        let nonsense = || AccountError::Protocol(Step::Upgrade);
        for (from, to, fault) in [
            ("101 Switching Protocols", "404 Not Found", AccountError::NoWebSocket(404)),
            ("101 Switching Protocols", "200 OK", AccountError::NoWebSocket(200)),
            ("Upgrade: WebSocket", "Upgrade: h2c", nonsense()),
            ("keep-alive, Upgrade", "keep-alive", nonsense()),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=", nonsense()),
            ("Sec-WebSocket-Accept", "X", nonsense()),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", nonsense()),
            (": xmpp", ": soap", AccountError::NoXmppThere),
            ("Sec-WebSocket-Protocol", "X", AccountError::NoXmppThere),
        ] {
            assert!(ANSWER.contains(from), "{from}");
            assert_eq!(checked(&ANSWER.replace(from, to)).await, Err(fault), "{from} -> {to}");
        }
    }

    #[test]
    fn the_request_names_host_path_and_protocol() {
        let url = Url::web_socket("wss://[2001:db8::1]:5281/ws?a").unwrap();
        let request = request(&url, KEY);
        assert!(request.starts_with("GET /ws?a HTTP/1.1\r\nHost: [2001:db8::1]:5281\r\n"), "{request}");
        assert!(request.contains("\r\nSec-WebSocket-Protocol: xmpp\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n"), "{request}");
    }
}
