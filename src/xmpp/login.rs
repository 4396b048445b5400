//! Login: the steps from a connection to one that is logged in (RFC 6120 sections 4 to 6).
//!
//! Each step takes the stream from the one before. The last one leaves the bare connection, on which a
//! [`connection`](super::connection) begins another stream, and knows nothing of how the login came about.

use std::borrow::Cow;

use futures_util::{SinkExt, StreamExt};
use tokio_xmpp::connect::AsyncReadAndWrite;
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, PendingFeaturesRecv, ReadError, StreamHeader, Timeouts, XmppStreamElement,
    initiate_stream,
};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ns;
use xmpp_parsers::sasl::{Nonza, Response};
use xmpp_parsers::starttls;
use xmpp_parsers::stream_features::StreamFeatures;

use super::error::{AccountError, Step};
use super::intake::Intake;
use super::sasl::Exchange;
use super::timing;
use crate::config::Credential;

type XmppStream<S> = tokio_xmpp::xmlstream::XmlStream<S, FallibleStreamElement>;

/// A connection, whatever lies between us and its socket.
pub(super) type Io = Box<dyn AsyncReadAndWrite + Send>;

/// Who logs in where.
pub(super) struct Login {
    pub(super) jid: Jid,
    pub(super) credential: Credential,
    /// The domain as it goes into the header of a stream.
    pub(super) domain: String,
    /// Of elements of more bytes only the head is read.
    pub(super) max_stanza: usize,
}

impl Login {
    /// Asks for TLS (RFC 6120 section 5). What comes back is ready for its handshake; whatever an attacker sent behind `<proceed/>`
    /// is thrown away with the buffers.
    pub(super) async fn start_tls<S: AsyncReadAndWrite>(&self, io: S) -> Result<S, AccountError> {
        let (intake, record) = Intake::new(io, self.max_stanza);
        match self.ask_for_tls(intake).await {
            Ok(intake) => Ok(intake.into_inner()),
            Err(error) => Err(record.fault(Step::StartTls, error)),
        }
    }

    async fn ask_for_tls<S: AsyncReadAndWrite>(&self, io: Intake<S>) -> Result<Intake<S>, AccountError> {
        const STEP: Step = Step::StartTls;
        let (features, mut stream) = features(self.open(io, STEP).await?, STEP).await?;
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

    /// Logs in, and gives back the connection, on which the next stream is to begin. `step` follows what is being done.
    pub(super) async fn log_in(&self, io: Io, step: &mut Step) -> Result<Io, AccountError> {
        let (intake, record) = Intake::new(io, self.max_stanza);
        self.negotiate(intake, step).await.map_err(|error| record.fault(*step, error))
    }

    /// The stream and SASL. What the server sends behind `<success/>` before it is asked is dropped.
    async fn negotiate(&self, io: Intake<Io>, step: &mut Step) -> Result<Io, AccountError> {
        *step = Step::Stream;
        let (offer, mut stream) = features(self.open(io, *step).await?, *step).await?;
        *step = Step::Login;
        let exchange = Exchange::new(&self.jid, &self.credential, &offer.sasl_mechanisms)?;
        authenticate(&mut stream, exchange).await?;
        Ok(stream.into_inner().into_inner())
    }

    async fn open<S>(&self, io: S, step: Step) -> Result<PendingFeaturesRecv<S>, AccountError>
    where
        S: AsyncReadAndWrite,
    {
        let timeouts = Timeouts { read_timeout: timing::SILENCE, response_timeout: timing::RESPONSE };
        let stream = initiate_stream(io, ns::JABBER_CLIENT, self.header(), timeouts).await;
        stream.map_err(|error| AccountError::io(step, &error))
    }

    fn header(&self) -> StreamHeader<'_> {
        StreamHeader { to: Some(Cow::Borrowed(&self.domain)), from: None, id: None }
    }
}

async fn features<S: AsyncReadAndWrite>(
    pending: PendingFeaturesRecv<S>,
    step: Step,
) -> Result<(StreamFeatures, XmppStream<S>), AccountError> {
    pending.recv_features().await.map_err(|error| AccountError::features(step, &error))
}

/// Goes through with `exchange` (RFC 6120 section 6).
///
/// # Errors
///
/// The server refuses, or does not show that it knows the password, or makes no sense.
async fn authenticate<S: AsyncReadAndWrite>(
    stream: &mut XmppStream<S>,
    mut exchange: Exchange,
) -> Result<(), AccountError> {
    say(stream, Nonza::Auth(exchange.auth())).await?;
    loop {
        match hear(stream).await? {
            Nonza::Challenge(challenge) => {
                let (next, data) = exchange.respond(challenge.data).await?;
                exchange = next;
                say(stream, Nonza::Response(Response { data })).await?;
            }
            Nonza::Success(success) => {
                return exchange.succeed(&success.data);
            }
            Nonza::Failure(failure) => return Err(AccountError::sasl(&failure.defined_condition)),
            Nonza::Auth(_) | Nonza::Response(_) | Nonza::Abort(_) => {
                return Err(AccountError::Protocol(Step::Login));
            }
        }
    }
}

async fn say<S: AsyncReadAndWrite>(stream: &mut XmppStream<S>, nonza: Nonza) -> Result<(), AccountError> {
    let element = XmppStreamElement::Sasl(nonza);
    stream.send(&element).await.map_err(|error| AccountError::io(Step::Login, &error))
}

async fn hear<S: AsyncReadAndWrite>(stream: &mut XmppStream<S>) -> Result<Nonza, AccountError> {
    const STEP: Step = Step::Login;
    loop {
        let element =
            stream.next().await.map(|element| element.and_then(FallibleStreamElement::into_read_error));
        return match element {
            Some(Ok(XmppStreamElement::Sasl(nonza))) => Ok(nonza),
            // The deadline of the whole attempt is the one that counts.
            Some(Err(ReadError::SoftTimeout)) => continue,
            Some(Err(ReadError::HardError(error))) => Err(AccountError::io(STEP, &error)),
            Some(Ok(_) | Err(ReadError::ParseError(_))) => Err(AccountError::Protocol(STEP)),
            Some(Err(ReadError::StreamFooterReceived)) | None => Err(AccountError::Closed(STEP)),
        };
    }
}
