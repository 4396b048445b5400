//! Offer of a server: the ways to log in that its features name (RFC 6120 section 6.3.3, XEP-0388 section 2.1, XEP-0440). Pure.

use std::collections::BTreeSet;

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::profile::Profile;
use crate::xmpp::sasl::Offered;

/// What a server offers before a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// Whether TLS can be asked for.
    pub(super) starttls: bool,
    /// Whether accounts are registered before a login (XEP-0077).
    pub(super) register: bool,
    /// The mechanisms of SASL.
    pub(super) sasl: BTreeSet<String>,
    /// Those of SASL2.
    pub(super) sasl2: BTreeSet<String>,
    /// Those by which a token is as good as a password (XEP-0484).
    pub(super) fast: BTreeSet<String>,
    /// The types of channel binding, where it names any (XEP-0440).
    pub(super) binding_types: Option<BTreeSet<String>>,
}

impl Offer {
    /// What the element says that names a stream's features. Whatever else is in it is somebody else's business.
    pub(super) fn read(features: &Element) -> Self {
        let sasl2 = features.get_child("authentication", ns::SASL2);
        let inline = sasl2.and_then(|sasl2| sasl2.get_child("inline", ns::SASL2));
        Self {
            starttls: features.has_child("starttls", ns::TLS),
            register: features.has_child("register", ns::REGISTER_FEATURE),
            sasl: mechanisms(features.get_child("mechanisms", ns::SASL)),
            sasl2: mechanisms(sasl2),
            fast: mechanisms(inline.and_then(|inline| inline.get_child("fast", ns::FAST))),
            binding_types: features.get_child("sasl-channel-binding", ns::SASL_CB).map(binding_types),
        }
    }

    /// What it has said for a login in this profile.
    pub(super) fn of(&self, profile: Profile) -> Offered<'_> {
        let mechanisms = match profile {
            Profile::Sasl => &self.sasl,
            Profile::Sasl2 => &self.sasl2,
        };
        Offered { mechanisms, binding_types: self.binding_types.as_ref() }
    }

    /// Whether it has a mechanism that binds, in whatever profile.
    pub(super) fn can_bind(&self) -> bool {
        self.sasl.iter().chain(&self.sasl2).any(|name| is_binding(name))
    }
}

/// Whether a mechanism binds (RFC 5801 section 3.1).
pub(super) fn is_binding(mechanism: &str) -> bool {
    mechanism.ends_with("-PLUS")
}

fn binding_types(list: &Element) -> BTreeSet<String> {
    list.children().filter_map(|child| child.attr("type")).map(ToOwned::to_owned).collect()
}

fn mechanisms(list: Option<&Element>) -> BTreeSet<String> {
    let named = list.into_iter().flat_map(Element::children).filter(|child| child.name() == "mechanism");
    named.map(Element::text).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(features: &str) -> Offer {
        let xml = format!("<features xmlns='http://etherx.jabber.org/streams'>{features}</features>");
        Offer::read(&xml.parse().unwrap())
    }

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(ToOwned::to_owned).into()
    }

    #[test]
    fn each_list_of_mechanisms_is_read_from_its_place_and_the_rest_is_passed_over() {
        let offer = read(
            "<register xmlns='http://jabber.org/features/iq-register'/>\
             <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
             <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>A</mechanism><x/></mechanisms>\
             <authentication xmlns='urn:xmpp:sasl:2'><mechanism>B</mechanism><mechanism>C</mechanism>\
             <upgrade xmlns='x'/><inline><fast xmlns='urn:xmpp:fast:0'><mechanism>D</mechanism></fast>\
             <bind xmlns='urn:xmpp:bind:0'/></inline></authentication>\
             <sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='E'/><x/></sasl-channel-binding>",
        );
        let expected = Offer {
            starttls: true,
            register: true,
            sasl: names(["A"]),
            sasl2: names(["B", "C"]),
            fast: names(["D"]),
            binding_types: Some(names(["E"])),
        };
        assert_eq!(offer, expected);
        assert_eq!(read("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"), Offer::default());
        let nothing_named = read("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'/>");
        assert_eq!(
            nothing_named.binding_types,
            Some(BTreeSet::new()),
            "that it names none is not that it is silent"
        );
    }
}
