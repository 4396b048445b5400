//! Vocabulary: what an account and its owner say to each other.

use std::time::Duration;

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza::Stanza;

use super::error::AccountError;
use super::flat::Flat;

/// What happened to an account, or to a stanza that it was given.
#[derive(Debug)]
pub enum AccountEvent {
    /// Stanzas can be sent, and `<presence/>` is on its way.
    Online {
        /// As whom the server knows us, or is presumed to ([`Binding::Presumed`]). The same name is asked for at every reconnect, except
        /// for an anonymous login; a server can give another resource all the same.
        jid: FullJid,
        /// Whether the session goes on as if nothing had happened (XEP-0198). If not, the server has forgotten
        /// everything, and what was in flight was reported [`Lost`](Self::Lost) just before.
        resumed: bool,
        /// Whether the server has yet to say so: [`Confirmed`](Self::Confirmed) or [`Suspended`](Self::Suspended) follows.
        presumed: bool,
    },
    /// The server knows us as was presumed.
    Confirmed,
    /// The server is left alone for so long, which is hours. Why is reported right behind: [`Suspended`](Self::Suspended) or
    /// [`Unreachable`](Self::Unreachable).
    Rests(Duration),
    /// The connection is gone. The account is already at work on the next; stanzas wait for it.
    Suspended {
        /// Why.
        reason: AccountError,
    },
    /// An attempt to connect failed, and another will follow.
    Unreachable(AccountError),
    /// The account has given up for good. Whatever was to be sent was reported [`Lost`](Self::Lost) just before.
    Failed(AccountError),
    /// Somebody asked whether the account is there (XEP-0199). It has answered.
    Pinged {
        /// Who asked.
        by: FullJid,
    },
    /// The server says that the account is logged in under this name as well, or is not any more. It may be a sibling.
    Resource {
        /// Which name.
        jid: FullJid,
        /// Whether it is.
        is_available: bool,
    },
    /// The server delivered a stanza, other than a ping.
    Stanza(Box<Stanza>),
    /// The server delivered an IQ that was read without a tree.
    Flat(Flat),
    /// The server says that it takes no larger stanza (XEP-0478).
    StanzaLimit {
        /// In bytes.
        bytes: usize,
    },
    /// The server has the stanza with this tag. (A server without XEP-0198 cannot say so; there, it was written to the
    /// connection.) The addressee may still not get it.
    Acked {
        /// As given to [`AccountPool::send`](crate::xmpp::AccountPool::send).
        tag: u64,
    },
    /// Nobody knows whether the server has the stanza with this tag. It is not sent again.
    Lost {
        /// As given to [`AccountPool::send`](crate::xmpp::AccountPool::send).
        tag: u64,
    },
    /// The backlog has been above [`Backlog::LIMIT`](crate::xmpp::Backlog::LIMIT), and is below half of it now.
    Relieved,
}

/// A stanza to send.
#[derive(Debug)]
pub enum Parcel {
    /// One that the XML library writes.
    Stanza(Box<Stanza>),
    /// One as it goes over the wire.
    Written(Bytes),
    /// A reply to a stranger. It waits behind everything else, and is dropped when too many of them wait.
    Reply(Box<Stanza>),
}

impl Parcel {
    /// A reply to a stranger.
    pub fn reply(stanza: impl Into<Stanza>) -> Self {
        Self::Reply(Box::new(stanza.into()))
    }
}

impl<T: Into<Stanza>> From<T> for Parcel {
    fn from(stanza: T) -> Self {
        Self::Stanza(Box::new(stanza.into()))
    }
}

/// The present state of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Not online yet.
    Connecting {
        /// Why the last attempt failed.
        last_error: Option<AccountError>,
    },
    /// The server was asked for a session under this name, and has not answered: stanzas can be sent already ([`Binding::Presumed`]).
    Presumed {
        /// As whom it is presumed to know us.
        jid: FullJid,
        /// Why there was no session the last time.
        last_error: Option<AccountError>,
    },
    /// Online under this name, as the server has said.
    Online(FullJid),
    /// Was online, and is at work to be so again.
    Suspended {
        /// Why it is not.
        last_error: Option<AccountError>,
    },
    /// Not online, and nobody is to wait for it: its server is left alone for hours, or refuses what only a person can change.
    Barred(AccountError),
    /// Never to be online again.
    Failed(AccountError),
}

impl AccountStatus {
    /// Whether stanzas can be sent.
    pub fn can_send(&self) -> bool {
        matches!(self, Self::Presumed { .. } | Self::Online(_))
    }

    /// Whether it cannot send, and waiting for some minutes can change that.
    pub fn may_come_online(&self) -> bool {
        matches!(self, Self::Connecting { .. } | Self::Suspended { .. })
    }

    /// Why it is not online, where that is known.
    pub fn error(&self) -> Option<&AccountError> {
        match self {
            Self::Connecting { last_error }
            | Self::Presumed { last_error, .. }
            | Self::Suspended { last_error } => last_error.as_ref(),
            Self::Online(_) => None,
            Self::Barred(error) | Self::Failed(error) => Some(error),
        }
    }
}

/// Whether an account uses XEP-0198.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamManagement {
    /// The server acknowledges what it has, and a connection that breaks is resumed.
    Wanted,
    /// For whoever notices and repairs losses itself: acknowledgements are a third of all that a server has to handle,
    /// and an account whose connection broke is missed at once and not after minutes of hibernation.
    Unwanted,
}

/// When an account that asks for a resource by name is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// When the server has bound one.
    Awaited,
    /// As soon as it is asked for: a round trip earlier. A server nearly always gives what it is asked for, and handles what comes behind
    /// that in its name. If it does not, what was sent is lost; from then on this account waits, and so does every account that the pool
    /// opens later for the same bare JID.
    Presumed,
}

/// What an account does when its connection is over, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It tries again, until it is closed or its failure is final.
    Lasting,
    /// It has failed for good. What it does is nothing to other accounts with its name.
    Once,
}

/// How an account is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Whether its stanzas are counted.
    pub management: StreamManagement,
    /// When it is online.
    pub binding: Binding,
    /// What it does when its connection is over.
    pub persistence: Persistence,
}

impl From<StreamManagement> for Usage {
    /// For whoever is in no hurry.
    fn from(management: StreamManagement) -> Self {
        Self { management, binding: Binding::Awaited, persistence: Persistence::Lasting }
    }
}
