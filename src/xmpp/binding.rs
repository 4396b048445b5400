//! From a login to a resource, for connections without XEP-0198. (With it, the stanza stream binds.)

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::Connection;
use tokio_xmpp::xmlstream::{ReadError, XmppStreamElement};
use xmpp_parsers::bind::{BindQuery, BindResponse};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};

use super::connector::{LoggedIn, XmppStream, fault_of};
use super::error::{AccountError, Step};
use super::line::Line;
use super::manners;
use super::plain::Plain;
use super::socket::Io;
use super::timing;

/// A stream with a resource, without XEP-0198, and the handle to its connection.
pub(super) struct Bound {
    pub(super) jid: FullJid,
    pub(super) plain: Plain,
    pub(super) line: Line,
}

/// Binds the resource that was asked for (RFC 6120 section 7), within [`timing::OPENING`].
pub(super) async fn bind(LoggedIn { connection, line }: LoggedIn) -> Result<Bound, AccountError> {
    let Connection { mut stream, identity, .. } = connection;
    match timeout(timing::OPENING, ask_for_resource(&mut stream, &identity)).await {
        Ok(Ok(jid)) => {
            let framer = line.take_framer();
            Ok(Bound { jid, plain: Plain::new(stream.into_inner(), framer), line })
        }
        Ok(Err(error)) => Err(fault_of(&line, Step::Session, error)),
        Err(_) => Err(AccountError::TimedOut(Step::Session)),
    }
}

async fn ask_for_resource(stream: &mut XmppStream<Io>, identity: &Jid) -> Result<FullJid, AccountError> {
    const STEP: Step = Step::Session;
    let id = manners::new_id(rand::random());
    let query = BindQuery::new(identity.resource().map(ToString::to_string));
    let request = Iq::Set { from: None, to: None, id: id.clone(), payload: query.into() };
    let request = XmppStreamElement::Stanza(request.into());
    stream.send(&request).await.map_err(|error| AccountError::io(STEP, &error))?;
    loop {
        let element =
            stream.next().await.map(|element| element.and_then(|element| element.into_read_error()));
        match element {
            Some(Ok(XmppStreamElement::Stanza(Stanza::Iq(iq)))) if iq.id() == id => {
                return bound_as(iq).ok_or(AccountError::Protocol(STEP));
            }
            Some(Ok(XmppStreamElement::Stanza(_)) | Err(ReadError::SoftTimeout)) => {}
            Some(Err(ReadError::HardError(error))) => return Err(AccountError::io(STEP, &error)),
            Some(Ok(_) | Err(ReadError::ParseError(_))) => return Err(AccountError::Protocol(STEP)),
            Some(Err(ReadError::StreamFooterReceived)) | None => return Err(AccountError::Closed(STEP)),
        }
    }
}

fn bound_as(answer: Iq) -> Option<FullJid> {
    match answer {
        Iq::Result { payload: Some(payload), .. } => Some(BindResponse::try_from(payload).ok()?.jid),
        _ => None,
    }
}
