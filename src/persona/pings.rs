//! Pings (XEP-0199): whether somebody, or our own server, is there.

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ping::Ping;

/// A ping with this id. One to our own server names its domain, as slixmpp's does.
pub fn ping(to: Jid, id: String) -> Iq {
    Iq::Get { from: None, to: Some(to), id, payload: Ping.into() }
}
