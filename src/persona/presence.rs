//! Presence that a session begins and ends with, to all or to one (RFC 6121 section 4).

use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::presence::{Presence, Type};

/// The initial presence: that we are here, and nothing else. The library writes the priority, too, which slixmpp leaves out.
pub fn available(id: String) -> Presence {
    let mut presence = Presence::available();
    presence.id = Some(id);
    presence
}

/// The same for somebody who is no contact (RFC 6121 section 4.6).
pub fn directed(to: BareJid, id: String) -> Presence {
    available(id).with_to(Jid::from(to))
}

/// The last presence: that we are gone.
pub fn unavailable() -> Presence {
    Presence::unavailable()
}

/// What a presence says of whether its sender is here, if it says anything of that.
pub fn availability(presence: &Presence) -> Option<bool> {
    match presence.type_ {
        Type::None => Some(true),
        Type::Unavailable => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp_parsers::minidom::Element;

    #[test]
    fn none_says_more_than_that() {
        let bridge = BareJid::new("bridge@chat.example").expect("a JID");
        for (presence, attributes) in [
            (available("i".to_owned()), "id='i'"),
            (directed(bridge, "i".to_owned()), "id='i' to='bridge@chat.example'"),
            (unavailable(), "type='unavailable'"),
        ] {
            let expected =
                format!("<presence xmlns='jabber:client' {attributes}><priority>0</priority></presence>");
            assert_eq!(String::from(&Element::from(presence)), expected);
        }
    }
}
