//! Security of a connection: how its bytes are protected from the socket up, by the kind that was chosen.

use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufStream};

use super::channel_binding::ChannelBindings;
use super::error::{AccountError, Step};
use super::login::{self, Io, Protected};
use super::negotiation::Negotiation;
use super::records::{BATCH, Recorded};
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

    /// Protects a connection on which nothing was said. `step` follows what is being done.
    pub(super) async fn secure(
        &self,
        kind: Kind,
        socket: Socket,
        step: &mut Step,
    ) -> Result<Protected, AccountError> {
        let (tls, socket) = match kind {
            Kind::Plain => {
                return Ok(Protected { io: stream_io(socket), bindings: ChannelBindings::default() });
            }
            Kind::Direct => (&self.direct, socket),
            Kind::StartTls => (&self.start_tls, self.ask_for_tls(socket, step).await?),
        };
        *step = Step::Tls;
        // The TLS library reads little at a time, and writes each record by itself.
        let socket = BufStream::with_capacity(SOCKET_BUFFER, SOCKET_BUFFER, socket);
        let stream = tls.connect(socket).await?;
        let bindings = channel_bindings(&stream);
        Ok(Protected { io: stream_io(stream), bindings })
    }

    async fn ask_for_tls(&self, socket: Socket, step: &mut Step) -> Result<Socket, AccountError> {
        *step = Step::StartTls;
        let mut socket = BufStream::new(socket);
        let negotiation = Negotiation::start_tls(&self.domain, self.max_stanza);
        login::start_tls(&mut socket, negotiation).await?;
        Ok(socket.into_inner())
    }
}

/// What a stream of XML is read from and written to.
fn stream_io(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Io {
    Box::new(BufReader::with_capacity(READ_BUFFER, Recorded::new(io)))
}
