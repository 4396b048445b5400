//! Removal of an account from its server, by whoever has its password (XEP-0077 section 3.2).
//!
//! Only the server's result proves it: whoever has it believes it, and drops the password. A session that ends instead, and a login that is
//! refused behind that, are what a server with a fault shows, too.

mod error;
mod request;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

pub use self::error::{Objection, RemovalError};
use self::request::{Next, Request};
use super::api::{AccountEvent, StreamManagement};
use super::dialer::Dialer;
use super::error::AccountError;
use super::pool::AccountPool;
use crate::config::{AccountConfig, Limits};
use crate::protocol::AccountId;

/// Logs in, and has the server remove the account, which may take so long. A fault of the network before that ends it: whoever is there to
/// see it can try again.
///
/// # Errors
///
/// The account may still be there.
pub async fn remove(
    config: AccountConfig,
    dialer: Dialer,
    limits: &Limits,
    patience: Duration,
) -> Result<(), RemovalError> {
    let (pool, mut events) = AccountPool::with_limits(dialer, limits);
    let id = pool.open(config, StreamManagement::Unwanted);
    let mut request = Request::new(crate::persona::new_id(rand::random()));
    let outcome = timeout(patience, make(&mut request, &pool, id, &mut events)).await;
    pool.shutdown().await;
    outcome.unwrap_or_else(|_| Err(request.on_deadline()))
}

/// Makes the request, and again where a session has ended without an answer.
async fn make(
    request: &mut Request,
    pool: &AccountPool,
    account: AccountId,
    events: &mut mpsc::Receiver<(AccountId, AccountEvent)>,
) -> Result<(), RemovalError> {
    while let Some((_, event)) = events.recv().await {
        match request.on_event(event) {
            Next::Ask(stanza) => {
                pool.send(account, *stanza, None);
            }
            Next::Wait => {}
            Next::Done(outcome) => return outcome,
        }
    }
    Err(RemovalError::Login(AccountError::LoggedOut))
}
