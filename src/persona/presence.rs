//! Presence that a session begins and ends with (RFC 6121 section 4).

use xmpp_parsers::presence::Presence;

/// The initial presence: that we are here, and nothing else.
pub fn available(id: String) -> Presence {
    let mut presence = Presence::available();
    presence.id = Some(id);
    presence
}

/// The last presence: that we are gone.
pub fn unavailable() -> Presence {
    Presence::unavailable()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp_parsers::minidom::Element;

    #[test]
    fn neither_says_more_than_that() {
        assert_eq!(
            String::from(&Element::from(available("i".to_owned()))),
            "<presence xmlns='jabber:client' id='i'/>"
        );
        assert_eq!(
            String::from(&Element::from(unavailable())),
            "<presence xmlns='jabber:client' type='unavailable'/>"
        );
    }
}
