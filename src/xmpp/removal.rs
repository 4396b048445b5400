//! Removal of an account from its server, by whoever has its password (XEP-0077 section 3.2).

use tokio::sync::mpsc;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

use super::api::{AccountEvent, StreamManagement};
use super::dialer::Dialer;
use super::error::{AccountError, Words};
use super::flat::Flat;
use super::pool::AccountPool;
use crate::config::{AccountConfig, Limits};
use crate::protocol::AccountId;

/// Why an account may still be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemovalError {
    /// There was no login. Trying again later can help.
    #[error("{}", with_remedy(.0))]
    Login(AccountError),
    /// The server does not let it in. Many servers say no more where the account is gone, and some say the same while they
    /// cannot look it up.
    #[error(
        "logging in at the chat server: the account is not let in: it is gone there, or the server has a fault that passes"
    )]
    NotLetIn,
    /// The server does not remove accounts, or not now.
    #[error("the chat server does not let the account remove itself{0}")]
    Refused(Words),
}

/// The error, and what a person can do about it: its advice, without the clause on what an account would do next.
fn with_remedy(error: &AccountError) -> String {
    let advice = error.advice();
    let is_own =
        |clause: &str| ["trying again", "not trying again"].iter().any(|own| clause.starts_with(own));
    let remedy = match advice.rsplit_once("; ") {
        Some((remedy, own)) if is_own(own) => remedy,
        None if is_own(advice) => "",
        _ => advice,
    };
    if remedy.is_empty() { error.to_string() } else { format!("{error}; {remedy}") }
}

/// Logs in, and has the server remove the account. A fault of the network ends it: whoever is there to see it can try again.
///
/// # Errors
///
/// The account may still be there.
pub async fn remove(config: AccountConfig, dialer: Dialer, limits: &Limits) -> Result<(), RemovalError> {
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
) -> Result<(), RemovalError> {
    let request = crate::persona::new_id(rand::random());
    let mut is_asked = false;
    while let Some((_, event)) = events.recv().await {
        match event {
            AccountEvent::Online { jid, .. } => {
                let to = Jid::from_parts(None, jid.domain(), None);
                pool.send(account, asking(&request, to), None);
                is_asked = true;
            }
            AccountEvent::Flat(Flat::Result { id, .. }) if id == request => return Ok(()),
            AccountEvent::Stanza(stanza) => {
                if let Some(outcome) = answer(&stanza, &request) {
                    return outcome;
                }
            }
            AccountEvent::Failed(AccountError::WrongPassword) => {
                return if is_asked { Ok(()) } else { Err(RemovalError::NotLetIn) };
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

fn answer(stanza: &Stanza, request: &str) -> Option<Result<(), RemovalError>> {
    match stanza {
        Stanza::Iq(Iq::Result { id, .. }) if id == request => Some(Ok(())),
        Stanza::Iq(Iq::Error { id, error, .. }) if id == request => {
            Some(Err(RemovalError::Refused(Words::of(&error.clone().into()))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::error::Step;

    #[test]
    fn a_person_is_told_what_to_do_and_nothing_of_attempts_that_nobody_makes() {
        for (error, expected) in [
            (
                AccountError::TimedOut(Step::Session),
                "keeping the session with the chat server: no answer in time",
            ),
            (
                AccountError::AccountDisabled,
                "logging in at the chat server: the account is disabled; ask whoever runs the chat server",
            ),
            (
                AccountError::CaFile("x"),
                "reading ca_file: x; it must be a readable PEM file with at least one certificate",
            ),
        ] {
            assert_eq!(RemovalError::Login(error).to_string(), expected);
        }
    }
}
