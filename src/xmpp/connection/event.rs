//! Events of a connection: what has happened on it, for its account.

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza::Stanza;

use crate::xmpp::error::AccountError;
use crate::xmpp::flat::Flat;

/// What has happened.
pub(in crate::xmpp) enum Event {
    /// Stanzas can be sent, and come.
    Online {
        /// As whom the server knows us.
        jid: FullJid,
        /// Whether the earlier session goes on. If not, all of it that was in doubt was reported [`Lost`](Self::Lost) before.
        resumed: bool,
        /// Whether the server has yet to say so: [`Confirmed`](Self::Confirmed) or the end of the connection follows.
        presumed: bool,
    },
    /// The server knows us as was presumed.
    Confirmed,
    /// The server says that it takes no stanza of more bytes (XEP-0478).
    StanzaLimit(usize),
    /// A stanza has come that was read without a tree.
    Flat(Flat),
    /// Another stanza has come.
    Stanza(Box<Stanza>),
    /// The server has the stanza with this tag; where nobody counts, it is written.
    Acked(u64),
    /// Nobody will ever know whether the server has the stanza with this tag.
    Lost(u64),
    /// The server has been silent for long, and is to be asked for a sign of life, by a stanza.
    Silent,
    /// The connection is over, for this reason.
    Closed(AccountError),
    /// The connection is over, because the server does not know us as was presumed.
    Misbound(AccountError),
    /// The connection is over, because the session that was resumed on it does not work. It was given up.
    Unproven,
    /// The connection is over, because the server offers to count and then does not say whether it does. The session was given up.
    NeverCounts,
}
