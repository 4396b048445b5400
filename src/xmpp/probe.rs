//! Pings of ours to a server, to see whether a connection works.

use tokio_xmpp::Stanza;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::ping::Ping;

const ID: &str = "resumed";

/// A ping (XEP-0199).
pub(super) fn probe() -> Iq {
    Iq::Get { from: None, to: None, id: ID.into(), payload: Ping.into() }
}

/// The answers to these, and to those by which the stanza stream asks for signs of life where there is no XEP-0198, are
/// nobody else's business.
pub(super) fn is_answer(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Iq(Iq::Result { id, .. } | Iq::Error { id, .. })
        if id == ID || id.starts_with("xmpp-rs-stanzastream-liveness-probe"))
}
