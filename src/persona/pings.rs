//! Pings (XEP-0199): whether somebody, or our own server, is there.

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ping::Ping;

/// A ping with this id, to somebody or else to whatever server we are logged in to.
pub fn ping(to: Option<Jid>, id: String) -> Iq {
    Iq::Get { from: None, to, id, payload: Ping.into() }
}
