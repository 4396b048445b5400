//! Link of an account to its server: the attempt to log in that is under way, or the connection that came of it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::xmpp::connection::Connection;
use crate::xmpp::connector::Connector;
use crate::xmpp::dialer::Dialer;
use crate::xmpp::error::AccountError;
use crate::xmpp::login::LoggedIn;
use crate::xmpp::wire::{Happened, Wanted, Wire};

type Attempt = Pin<Box<dyn Future<Output = Result<LoggedIn, AccountError>> + Send>>;

/// How far the connection is.
pub(super) enum Link {
    /// Pausing, dialling or logging in.
    Attempting(Attempt),
    /// A session is being opened, or has been open since then.
    Connected { wire: Box<Wire>, up_since: Option<Instant> },
    /// There was one, and another attempt is about to begin.
    Idle,
}

/// What became of the link.
pub(super) enum Progress {
    Attempted(Result<LoggedIn, AccountError>),
    Happened(Happened),
}

impl Link {
    /// Logs in after a pause, and says `first_request` where the stream goes on behind that.
    pub(super) fn attempt(
        pause: Duration,
        connector: Arc<Connector>,
        dialer: Dialer,
        first_request: Bytes,
    ) -> Self {
        Self::Attempting(Box::pin(async move {
            sleep(pause).await;
            connector.log_in(&dialer, first_request).await
        }))
    }

    pub(super) fn connected(wire: Wire) -> Self {
        Self::Connected { wire: Box::new(wire), up_since: None }
    }

    /// The session is open from now on.
    pub(super) fn on_up(&mut self) {
        if let Self::Connected { up_since, .. } = self {
            *up_since = Some(Instant::now());
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up_since().is_some()
    }

    /// Since when the session has been open, if it is.
    pub(super) fn up_since(&self) -> Option<Instant> {
        match self {
            Self::Connected { up_since, .. } => *up_since,
            Self::Attempting(_) | Self::Idle => None,
        }
    }

    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Connected { wire, .. } => Some(wire.connection()),
            Self::Attempting(_) | Self::Idle => None,
        }
    }

    /// Whether the server has ended the stream.
    pub(super) fn owes_end(&mut self) -> bool {
        self.connection().is_some_and(|connection| connection.owes_end())
    }

    /// The connection, if stanzas can be sent on it. One that is over may still have events that nobody has seen.
    pub(super) fn open_connection(&mut self) -> Option<&mut Connection> {
        if self.is_up() { self.connection().filter(|connection| connection.is_open()) } else { None }
    }

    /// Lets the connection go.
    pub(super) fn take_wire(&mut self) -> Option<Box<Wire>> {
        match std::mem::replace(self, Self::Idle) {
            Self::Connected { wire, .. } => Some(wire),
            Self::Attempting(_) | Self::Idle => None,
        }
    }

    /// Cancel-safe: whatever is under way goes on in the next call.
    pub(super) async fn progress(&mut self, wanted: Wanted<'_>) -> Progress {
        match self {
            Self::Attempting(attempt) => Progress::Attempted(attempt.await),
            Self::Connected { wire, .. } => Progress::Happened(wire.next(wanted).await),
            Self::Idle => std::future::pending().await,
        }
    }
}
