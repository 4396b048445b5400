//! Security of a connection: how its bytes are protected from the socket up, by the kind that was chosen.

use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufStream};

use super::error::{AccountError, Step};
use super::login::{self, Io, Protected};
use super::negotiation::Negotiation;
use super::records::{BATCH, Recorded, spaces};
use super::socket::Socket;
use super::tls::{READ_BUFFER, Tls, Trust, channel_bindings};

/// Bytes that are read from the network in one go, or written: a batch and what TLS adds to it.
const SOCKET_BUFFER: usize = BATCH + BATCH / 64;

/// How a connection is protected, and what is said on it before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Not at all: XMPP from the first byte.
    Plain,
    /// XMPP asks for TLS (RFC 6120 section 5).
    StartTls,
    /// TLS from the first byte (XEP-0368).
    Direct,
    /// TLS from the first byte, and a WebSocket in it (RFC 7395).
    WebSocket,
}

/// Protects the connections of one account, of every kind.
pub(super) struct Security {
    start_tls: Tls,
    direct: Tls,
    /// The domain of the streams.
    domain: String,
    max_stanza: usize,
}

impl Security {
    /// Certificates are those of `trust`, whatever host is dialled; `domain` is that of the streams. Of elements of more than
    /// `max_stanza` bytes only the head is read.
    pub(super) fn new(trust: &Trust<'_>, domain: String, max_stanza: usize) -> Result<Self, AccountError> {
        let start_tls = Tls::new(trust)?;
        Ok(Self { direct: start_tls.direct(), start_tls, domain, max_stanza })
    }

    /// The TLS that it uses.
    pub(super) fn tls(&self) -> &Tls {
        &self.start_tls
    }

    /// Protects a connection on which nothing was said by asking for TLS. `step` follows what is being done.
    pub(super) async fn start_tls(&self, socket: Socket, step: &mut Step) -> Result<Protected, AccountError> {
        let socket = self.ask_for_tls(socket, step).await?;
        secure(&self.start_tls, socket, step).await
    }

    /// The same by TLS from the first byte.
    pub(super) async fn direct(&self, socket: Socket, step: &mut Step) -> Result<Protected, AccountError> {
        secure(&self.direct, socket, step).await
    }

    async fn ask_for_tls(&self, socket: Socket, step: &mut Step) -> Result<Socket, AccountError> {
        *step = Step::StartTls;
        let mut socket = BufStream::new(socket);
        let negotiation = Negotiation::start_tls(&self.domain, self.max_stanza);
        login::start_tls(&mut socket, negotiation).await?;
        Ok(socket.into_inner())
    }
}

async fn secure(tls: &Tls, socket: Socket, step: &mut Step) -> Result<Protected, AccountError> {
    *step = Step::Tls;
    // The TLS library reads little at a time, and writes each record by itself.
    let socket = BufStream::with_capacity(SOCKET_BUFFER, SOCKET_BUFFER, socket);
    let stream = tls.connect(socket).await?;
    let bindings = channel_bindings(&stream);
    Ok(Protected { io: stream_io(stream), bindings })
}

/// A connection that nothing protects.
pub(super) fn plain(socket: Socket) -> Protected {
    Protected::unbound(stream_io(socket))
}

/// What a stream of XML is read from and written to.
fn stream_io(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Io {
    Box::new(BufReader::with_capacity(READ_BUFFER, Recorded::new(io, spaces)))
}
