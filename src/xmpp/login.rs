//! Driver of a negotiation: carries the bytes of a [`Negotiation`] to and from its connection.

use secrecy::SecretString;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::spawn_blocking;

use super::channel_binding::ChannelBindings;
use super::component::{self, Handshake};
use super::error::{AccountError, Step};
use super::framer::Framer;
use super::negotiation::{Agreed, Memory, Negotiation, Progress};
use super::registration::NewAccount;

/// What carries a stream both ways, whatever lies between us and its socket.
pub(super) trait Duplex: AsyncBufRead + AsyncWrite + Unpin {}

impl<T: AsyncBufRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection.
pub(super) type Io = Box<dyn Duplex + Send>;

/// A connection on which nothing has been said, protected as it is to be.
pub(super) struct Protected {
    pub(super) io: Io,
    /// What a login over it can be bound to.
    pub(super) bindings: ChannelBindings,
}

impl Protected {
    /// A login over it can be bound to nothing: there is no TLS, or it may end at a web server in front of the chat server.
    pub(super) fn unbound(io: Io) -> Self {
        Self { io, bindings: ChannelBindings::default() }
    }
}

/// A connection that is logged in.
pub(super) struct LoggedIn {
    pub(super) io: Io,
    /// What its stream goes on with, if it does. If not, another is to begin.
    pub(super) ongoing: Option<Framer>,
}

/// Asks for TLS. Drop the buffers of `io` before its handshake: an attacker may have sent what they hold.
pub(super) async fn start_tls(
    io: &mut impl Duplex,
    mut negotiation: Negotiation,
) -> Result<(), AccountError> {
    carry(io, &mut negotiation, &mut Step::StartTls).await.map(|_| ()).map_err(AccountError::before_tls)
}

/// Logs in; `step` follows what is being done. What the server sends behind a login that ends the stream is dropped.
pub(super) async fn log_in(
    mut io: Io,
    mut negotiation: Negotiation,
    step: &mut Step,
) -> Result<(LoggedIn, Memory), AccountError> {
    let Progress::LoggedIn(agreed) = carry(&mut io, &mut negotiation, step).await? else {
        return Err(AccountError::Protocol(*step));
    };
    let Agreed { ongoing, memory } = *agreed;
    Ok((LoggedIn { io, ongoing }, memory))
}

/// Registers an account; `keep` keeps it before it is asked for, and perhaps another one after that.
pub(super) async fn register(
    mut io: Io,
    mut negotiation: Negotiation,
    step: &mut Step,
    mut keep: impl FnMut(&NewAccount) -> Result<(), AccountError>,
) -> Result<NewAccount, AccountError> {
    loop {
        match carry(&mut io, &mut negotiation, step).await? {
            Progress::Keep(account) => {
                keep(&account)?;
                negotiation.handle_kept()?;
            }
            Progress::Registered(account) => return Ok(account),
            _ => return Err(AccountError::Protocol(*step)),
        }
    }
}

/// Becomes a component.
pub(super) async fn be_component(
    mut io: Io,
    domain: &str,
    secret: &SecretString,
    max_stanza: usize,
) -> Result<LoggedIn, AccountError> {
    let (mut handshake, header) = Handshake::begin(domain, secret.clone(), max_stanza);
    let failed = |error: std::io::Error| AccountError::io(Step::Login, &error);
    write(&mut io, header.as_bytes()).await.map_err(failed)?;
    loop {
        match handshake.poll()? {
            component::Progress::Done(framer) => return Ok(LoggedIn { io, ongoing: Some(framer) }),
            component::Progress::Say(answer) => write(&mut io, answer.as_bytes()).await.map_err(failed)?,
            component::Progress::Waiting => {
                let bytes = io.fill_buf().await.map_err(failed)?;
                if bytes.is_empty() {
                    return Err(AccountError::Closed(Step::Login));
                }
                handshake.handle_read(bytes)?;
                let length = bytes.len();
                io.consume(length);
            }
        }
    }
}

/// Carries bytes until something else is to be done.
async fn carry(
    io: &mut impl Duplex,
    negotiation: &mut Negotiation,
    step: &mut Step,
) -> Result<Progress, AccountError> {
    loop {
        let progress = negotiation.poll()?;
        *step = negotiation.step();
        match progress {
            Progress::Hash(hashing) => {
                let hashed = spawn_blocking(|| hashing.run()).await;
                let (exchange, response) = hashed.map_err(|_| AccountError::Protocol(*step))??;
                negotiation.handle_response(exchange, &response)?;
            }
            Progress::Waiting => {
                let output = negotiation.take_output();
                if output.is_empty() {
                    read(io, negotiation, *step).await?;
                } else {
                    write(io, &output).await.map_err(|error| AccountError::io(*step, &error))?;
                }
            }
            over => return Ok(over),
        }
    }
}

async fn write(io: &mut impl Duplex, bytes: &[u8]) -> std::io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}

async fn read(io: &mut impl Duplex, negotiation: &mut Negotiation, step: Step) -> Result<(), AccountError> {
    let bytes = io.fill_buf().await.map_err(|error| AccountError::io(step, &error))?;
    if bytes.is_empty() {
        return Err(AccountError::Closed(step));
    }
    negotiation.handle_read(bytes)?;
    let length = bytes.len();
    io.consume(length);
    Ok(())
}
