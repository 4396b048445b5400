//! The login on an open stream (RFC 6120 section 6).

use futures_util::{SinkExt, StreamExt};
use tokio_xmpp::connect::AsyncReadAndWrite;
use tokio_xmpp::xmlstream::{InitiatingStream, ReadError, XmppStream, XmppStreamElement};
use xmpp_parsers::sasl::{Nonza, Response};

use super::error::{AccountError, Step};
use super::sasl::Exchange;

const STEP: Step = Step::Login;

/// Goes through with `exchange`. What follows is another stream.
///
/// # Errors
///
/// The server refuses, or does not show that it knows the password, or makes no sense.
pub(super) async fn log_in<S>(
    mut stream: XmppStream<S>,
    mut exchange: Exchange,
) -> Result<InitiatingStream<S>, AccountError>
where
    S: AsyncReadAndWrite,
{
    say(&mut stream, Nonza::Auth(exchange.auth())).await?;
    loop {
        match hear(&mut stream).await? {
            Nonza::Challenge(challenge) => {
                let (next, data) = exchange.respond(challenge.data).await?;
                exchange = next;
                say(&mut stream, Nonza::Response(Response { data })).await?;
            }
            Nonza::Success(success) => {
                exchange.succeed(&success.data)?;
                return Ok(stream.initiate_reset());
            }
            Nonza::Failure(failure) => return Err(AccountError::sasl(&failure.defined_condition)),
            Nonza::Auth(_) | Nonza::Response(_) | Nonza::Abort(_) => {
                return Err(AccountError::Protocol(STEP));
            }
        }
    }
}

async fn say<S: AsyncReadAndWrite>(stream: &mut XmppStream<S>, nonza: Nonza) -> Result<(), AccountError> {
    let element = XmppStreamElement::Sasl(nonza);
    stream.send(&element).await.map_err(|error| AccountError::io(STEP, &error))
}

async fn hear<S: AsyncReadAndWrite>(stream: &mut XmppStream<S>) -> Result<Nonza, AccountError> {
    loop {
        let element =
            stream.next().await.map(|element| element.and_then(|element| element.into_read_error()));
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
