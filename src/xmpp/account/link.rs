//! How far an account's connection is.

use std::pin::Pin;

use tokio::time::{Instant, Sleep};

use crate::xmpp::binding::Bound;
use crate::xmpp::connector::LoggedIn;
use crate::xmpp::error::AccountError;

pub(super) type Attempt = Pin<Box<dyn Future<Output = Result<Arrival, AccountError>> + Send>>;

/// How far an attempt has come.
pub(super) enum Arrival {
    /// What follows is for the stanza stream to do.
    LoggedIn(Box<LoggedIn>),
    /// Nothing more is to be done.
    Bound(Box<Bound>),
}

/// How far the connection is.
pub(super) enum Link {
    /// The stanza stream has yet to ask for a connection.
    Waiting,
    /// Pausing, dialling or logging in.
    Attempting(Attempt),
    /// Logged in; the stanza stream binds or resumes, until the deadline.
    Opening(Pin<Box<Sleep>>),
    /// Usable.
    Up {
        since: Instant,
        /// Until when a resumed session must show that it works.
        proof: Option<Pin<Box<Sleep>>>,
    },
}

/// What became of the link.
pub(super) enum Progress {
    Attempted(Result<Arrival, AccountError>),
    NotOpened,
    NotProven,
}

impl Link {
    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Cancel-safe: whatever is under way goes on in the next call.
    pub(super) async fn progress(&mut self) -> Progress {
        match self {
            Self::Attempting(attempt) => Progress::Attempted(attempt.await),
            Self::Opening(deadline) => {
                deadline.await;
                Progress::NotOpened
            }
            Self::Up { proof: Some(deadline), .. } => {
                deadline.await;
                Progress::NotProven
            }
            Self::Waiting | Self::Up { proof: None, .. } => std::future::pending().await,
        }
    }
}
