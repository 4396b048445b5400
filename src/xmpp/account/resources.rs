//! Other resources of an account, as its server tells each of them of the others (RFC 6121 section 4.2.2). Pure.

use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::stanza::Stanza;

use crate::persona;

/// Another resource of the account that is known as `own`, and whether it is available, if this is its presence.
pub(super) fn other(own: &Jid, stanza: &Stanza) -> Option<(FullJid, bool)> {
    let Stanza::Presence(presence) = stanza else { return None };
    let is_available = persona::availability(presence)?;
    let from = presence.from.as_ref()?.try_as_full().ok()?;
    let is_other = from.to_bare() == own.to_bare() && *from != *own;
    is_other.then(|| (from.clone(), is_available))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use xmpp_parsers::minidom::Element;
    use xmpp_parsers::presence::Presence;

    fn seen(attributes: &str) -> Option<(String, bool)> {
        let xml: Element = format!("<presence xmlns='jabber:client' {attributes}/>").parse().unwrap();
        let stanza = Stanza::Presence(Presence::try_from(xml).unwrap());
        let own = Jid::new("alice@chat.example/here").unwrap();
        other(&own, &stanza).map(|(jid, is_available)| (jid.resource().to_string(), is_available))
    }

    #[test]
    fn a_phone_that_comes_and_goes_is_seen() {
        assert_eq!(seen("from='alice@chat.example/phone'"), Some(("phone".to_owned(), true)));
        assert_eq!(
            seen("from='alice@chat.example/phone' type='unavailable'"),
            Some(("phone".to_owned(), false))
        );
    }

    #[test]
    fn others_and_what_says_nothing_of_that_are_not() {
        for attributes in [
            "",
            "from='alice@chat.example/here'",
            "from='alice@chat.example'",
            "from='bob@chat.example/phone'",
            "from='alice@chat.example/phone' type='subscribe'",
        ] {
            assert_eq!(seen(attributes), None, "{attributes}");
        }
    }
}
