//! Removal of an account from its server, by whoever has its password (XEP-0077 section 3.2).

use tokio::sync::mpsc;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

use super::api::{AccountEvent, StreamManagement};
use super::dialer::Dialer;
use super::error::AccountError;
use super::flat::Flat;
use super::pool::AccountPool;
use crate::config::{AccountConfig, Limits};
use crate::protocol::AccountId;

/// What became of an account that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The server has removed it.
    Now,
    /// The server does not know it, or not by this password.
    Before,
}

/// Why an account may still be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemovalError {
    /// There was no login. Trying again later can help.
    #[error("{0}")]
    Login(AccountError),
    /// The server does not remove accounts.
    #[error("the chat server does not let an account remove itself")]
    Refused,
}

/// Logs in, and has the server remove the account. A fault of the network ends it: whoever is there to see it can try again.
///
/// # Errors
///
/// The account may still be there.
pub async fn remove(config: AccountConfig, dialer: Dialer, limits: &Limits) -> Result<Removed, RemovalError> {
    let (pool, mut events) = AccountPool::with_limits(dialer, limits);
    let id = pool.open(config, StreamManagement::Unwanted);
    let outcome = removed(&pool, id, &mut events).await;
    pool.shutdown().await;
    outcome
}

/// Some servers answer, others end the stream, and after that the account cannot be logged in to.
async fn removed(
    pool: &AccountPool,
    account: AccountId,
    events: &mut mpsc::Receiver<(AccountId, AccountEvent)>,
) -> Result<Removed, RemovalError> {
    let request = crate::persona::new_id(rand::random());
    let mut is_asked = false;
    while let Some((_, event)) = events.recv().await {
        match event {
            AccountEvent::Online { jid, .. } => {
                let to = Jid::from_parts(None, jid.domain(), None);
                pool.send(account, asking(&request, to), None);
                is_asked = true;
            }
            AccountEvent::Flat(Flat::Result { id, .. }) if id == request => return Ok(Removed::Now),
            AccountEvent::Stanza(stanza) => {
                if let Some(outcome) = answer(&stanza, &request) {
                    return outcome;
                }
            }
            AccountEvent::Failed(AccountError::WrongPassword) => {
                return Ok(if is_asked { Removed::Now } else { Removed::Before });
            }
            AccountEvent::Failed(error) | AccountEvent::Unreachable(error) => {
                return Err(RemovalError::Login(error));
            }
            _ => {}
        }
    }
    Err(RemovalError::Login(AccountError::LoggedOut))
}

fn asking(id: &str, to: Jid) -> Stanza {
    let remove = Element::bare("remove", ns::REGISTER);
    let payload = Element::builder("query", ns::REGISTER).append(remove).build();
    Iq::Set { from: None, to: Some(to), id: id.to_owned(), payload }.into()
}

fn answer(stanza: &Stanza, request: &str) -> Option<Result<Removed, RemovalError>> {
    match stanza {
        Stanza::Iq(Iq::Result { id, .. }) if id == request => Some(Ok(Removed::Now)),
        Stanza::Iq(Iq::Error { id, .. }) if id == request => Some(Err(RemovalError::Refused)),
        _ => None,
    }
}
