//! States of a session, as `doc/protocol.md` section 2.7 draws them.

#[cfg(test)]
mod tests;

use xmpp_parsers::jid::BareJid;

use crate::protocol::CloseReason;
use crate::secure::budget::ledger::Usage;
use crate::secure::crypto::handshake::SessionId;
use crate::secure::session::early::Early;
use crate::secure::session::established::Established;
use crate::secure::shared::Shared;
use crate::secure::streams::Streams;

/// Where a session is.
#[derive(Debug)]
pub(crate) enum State {
    /// A client has not shaken hands yet.
    Connecting(Box<Early>),
    /// A bridge has answered a handshake, and no packet of its client has come yet.
    Unconfirmed(Box<Established>),
    /// Packets go and come.
    Established(Box<Established>),
    /// No path works.
    NoPath {
        established: Box<Established>,
        /// On a client: the bridge did not accept a further path. Perhaps it has forgotten the session, and it is to be asked in a new
        /// handshake.
        must_ask: bool,
    },
    /// It is over. The endpoint has been told why, and takes it apart: the last word goes under its keys, and its streams outlive it.
    Closed { established: Option<Box<Established>>, early: Option<Box<Early>> },
}

/// The streams of a session that is over, until its applications have let go of them.
#[derive(Debug)]
pub(crate) struct ClosedStreams {
    pub(crate) client: Option<BareJid>,
    pub(crate) streams: Streams,
    /// What the ledger has for it.
    pub(crate) usage: Usage,
}

impl State {
    /// What both ends share, once they do.
    pub(crate) fn established(&self) -> Option<&Established> {
        match self {
            Self::Unconfirmed(established)
            | Self::Established(established)
            | Self::NoPath { established, .. } => Some(established),
            Self::Closed { established, .. } => established.as_deref(),
            Self::Connecting(_) => None,
        }
    }

    pub(crate) fn established_mut(&mut self) -> Option<&mut Established> {
        match self {
            Self::Unconfirmed(established)
            | Self::Established(established)
            | Self::NoPath { established, .. } => Some(established),
            Self::Closed { established, .. } => established.as_deref_mut(),
            Self::Connecting(_) => None,
        }
    }

    /// What a client has for its bridge before there is a session.
    pub(crate) fn early(&self) -> Option<&Early> {
        match self {
            Self::Connecting(early) => Some(early),
            Self::Closed { early, .. } => early.as_deref(),
            _ => None,
        }
    }

    pub(super) fn early_mut(&mut self) -> Option<&mut Early> {
        match self {
            Self::Connecting(early) => Some(early),
            Self::Closed { early, .. } => early.as_deref_mut(),
            _ => None,
        }
    }

    /// The streams, whether there is a session yet or not.
    pub(crate) fn streams(&self) -> Option<&Streams> {
        let early = self.early().map(Early::streams);
        early.or_else(|| self.established().map(|established| &established.streams))
    }

    pub(super) fn streams_mut(&mut self) -> Option<&mut Streams> {
        match self {
            Self::Connecting(early) => Some(early.streams_mut()),
            Self::Closed { early: Some(early), .. } => Some(early.streams_mut()),
            _ => self.established_mut().map(|established| &mut established.streams),
        }
    }

    /// Whether a client has to ask in a new handshake if the bridge still knows the session.
    pub(crate) fn must_ask(&self) -> bool {
        matches!(self, Self::NoPath { must_ask: true, .. })
    }

    /// The bridge has answered the handshake of a client, and `establish` makes a session of the streams that there are.
    pub(super) fn on_welcome(&mut self, establish: impl FnOnce(Early) -> Established) {
        *self = match self.take() {
            Self::Connecting(early) => Self::Established(Box::new(establish(*early))),
            other => other,
        };
    }

    /// The client has shown that it holds the keys; true when it is the first time.
    pub(super) fn on_confirmed(&mut self) -> bool {
        let is_first = matches!(self, Self::Unconfirmed(_));
        if is_first {
            self.go_on(Self::Established);
        }
        is_first
    }

    /// There is a path that works.
    pub(super) fn on_path_works(&mut self) {
        if matches!(self, Self::NoPath { .. }) {
            self.go_on(Self::Established);
        }
    }

    /// No path works any more. `must_ask`: how the last one failed suggests that the bridge has forgotten the session.
    pub(super) fn on_no_path(&mut self, must_ask: bool) {
        if matches!(self, Self::Established(_) | Self::NoPath { .. }) {
            self.go_on(|established| Self::NoPath { established, must_ask });
        }
    }

    fn go_on(&mut self, to: impl FnOnce(Box<Established>) -> Self) {
        *self = match self.take() {
            Self::Unconfirmed(established)
            | Self::Established(established)
            | Self::NoPath { established, .. } => to(established),
            other => other,
        };
    }

    /// It is over, and nothing changes that any more.
    pub(super) fn close(&mut self) {
        *self = match self.take() {
            Self::Unconfirmed(established)
            | Self::Established(established)
            | Self::NoPath { established, .. } => {
                Self::Closed { established: Some(established), early: None }
            }
            Self::Connecting(early) => Self::Closed { established: None, early: Some(early) },
            closed @ Self::Closed { .. } => closed,
        };
    }

    /// The id of the session that is over, if there was one, and its streams.
    pub(super) fn into_parts(mut self) -> (Option<SessionId>, Option<Streams>) {
        self.close();
        let Self::Closed { established, early } = self else {
            // Never: it was closed just now.
            return (None, None);
        };
        let id = established.as_ref().map(|established| established.id);
        let early = early.map(|early| early.into_streams());
        (id, early.or_else(|| established.map(|established| established.streams)))
    }

    /// Takes this state out, to make the next one of it. What is left in its place is overwritten at once.
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Closed { established: None, early: None })
    }
}

impl ClosedStreams {
    /// The streams of a session of this client's, which end with `reason`; none when nobody has any.
    pub(crate) fn new(client: Option<BareJid>, mut streams: Streams, reason: CloseReason) -> Option<Self> {
        streams.close_all(reason);
        (streams.stream_count() > 0).then(|| Self { client, streams, usage: Usage::default() })
    }

    /// Brings the ledger in line with what is left; true when that is nothing.
    pub(crate) fn note_usage(&mut self, shared: &mut Shared) -> bool {
        let is_over = self.streams.stream_count() == 0;
        let usage = if is_over { Usage::default() } else { self.streams.usage() };
        shared.ledger.replace(&self.client, &self.usage, &usage);
        self.usage = usage;
        is_over
    }

    /// What was not read is given up.
    pub(crate) fn give_up(self, shared: &mut Shared) {
        shared.ledger.replace(&self.client, &self.usage, &Usage::default());
    }
}
