//! Refusal of a resource: what a server means by it (RFC 6120 sections 7.6.2 and 7.7.2), and what can help.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::StanzaError;

use super::{AccountError, Words};

/// The conditions of RFC 6120 section 8.3.3.
const CONDITIONS: [&str; 22] = [
    "bad-request",
    "conflict",
    "feature-not-implemented",
    "forbidden",
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "not-authorized",
    "policy-violation",
    "recipient-unavailable",
    "redirect",
    "registration-required",
    "remote-server-not-found",
    "remote-server-timeout",
    "resource-constraint",
    "service-unavailable",
    "subscription-required",
    "undefined-condition",
    "unexpected-request",
];

/// What a server means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The account has as many sessions as it may have.
    TooMany,
    /// Another session has the resource.
    Taken,
    /// The account may have no session.
    NotAllowed,
    /// The resource is none that it takes.
    BadResource,
    /// Nothing about the account: it has a fault.
    Fault,
}

impl Meaning {
    fn of(condition: &str) -> Self {
        match condition {
            "resource-constraint" | "policy-violation" => Self::TooMany,
            "conflict" => Self::Taken,
            "forbidden"
            | "not-allowed"
            | "not-authorized"
            | "registration-required"
            | "subscription-required" => Self::NotAllowed,
            "bad-request" | "jid-malformed" | "not-acceptable" => Self::BadResource,
            _ => Self::Fault,
        }
    }
}

impl AccountError {
    /// The server gives the account no resource, and says this.
    pub(in crate::xmpp) fn bind(error: StanzaError) -> Self {
        let error = Element::from(error);
        let mut names = error.children().filter(|child| child.ns() == ns::XMPP_STANZAS).map(Element::name);
        let condition = names.find_map(|name| CONDITIONS.iter().copied().find(|known| *known == name));
        Self::BindRefused(condition.unwrap_or("undefined-condition"), Words::of(&error))
    }

    /// Whether the server has refused the account a session for what only a person can change: it is asked again within half a minute, but
    /// nobody is to wait for that.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::BindRefused(condition, _) if Meaning::of(condition) != Meaning::Fault)
    }
}

/// What can help where an account is refused a resource with this condition.
pub(super) fn advice(condition: &str) -> &'static str {
    match Meaning::of(condition) {
        Meaning::TooMany => {
            "it may be logged in too often already: end other sessions of the account, or give each program one of its own; \
             trying again within half a minute"
        }
        Meaning::Taken => {
            "another session of the account has the resource: end that, or give each program an account or a resource of its own; \
             trying again within half a minute"
        }
        Meaning::NotAllowed => {
            "the server lets this account have no session: ask whoever runs it, or use another account; trying again within half a minute"
        }
        Meaning::BadResource => {
            "the server does not take the resource: give the account another one, of letters and digits (user@domain/resource); trying \
             again within half a minute"
        }
        Meaning::Fault => {
            "the server has a fault of its own: if it stays, tell whoever runs it, or use an account at another server; trying again"
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use safelog::with_safe_logging_suppressed;

    use super::*;
    use crate::xmpp::error::Pause;

    fn refused(children: &str) -> AccountError {
        let xml = format!("<error xmlns='jabber:client' type='cancel'>{children}</error>");
        AccountError::bind(StanzaError::try_from(xml.parse::<Element>().unwrap()).unwrap())
    }

    fn with_condition(condition: &str) -> AccountError {
        refused(&format!("<{condition} xmlns='{}'/>", ns::XMPP_STANZAS))
    }

    #[test]
    fn each_condition_is_named_and_has_advice_of_its_own_meaning() {
        for (condition, helps) in [
            ("resource-constraint", "end other sessions"),
            ("policy-violation", "end other sessions"),
            ("conflict", "a resource of its own"),
            ("not-allowed", "ask whoever runs it"),
            ("forbidden", "ask whoever runs it"),
            ("not-authorized", "ask whoever runs it"),
            ("bad-request", "another one, of letters and digits"),
            ("internal-server-error", "a fault of its own"),
            ("service-unavailable", "a fault of its own"),
            ("remote-server-timeout", "a fault of its own"),
        ] {
            let error = with_condition(condition);
            assert_eq!(
                error.to_string(),
                format!("opening a session at the chat server: refused ({condition})")
            );
            assert!(error.advice().contains(helps), "{condition}: {}", error.advice());
        }
    }

    #[test]
    fn nobody_waits_for_what_only_a_person_can_change() {
        for condition in CONDITIONS {
            let error = with_condition(condition);
            let (pause, within) = match error.is_refusal() {
                true => (Pause::Long, "; trying again within half a minute"),
                false => (Pause::Usual, "; trying again"),
            };
            assert_eq!(error.pause(), pause, "{condition}");
            assert!(
                error.advice().ends_with(within) && !error.is_permanent(),
                "{condition}: {}",
                error.advice()
            );
        }
        assert!(
            with_condition("not-allowed").is_refusal()
                && !with_condition("internal-server-error").is_refusal()
        );
    }

    #[test]
    fn what_the_server_says_beside_it_is_only_in_a_log_that_shows_what_is_private() {
        let namespace = ns::XMPP_STANZAS;
        let error =
            refused(&format!("<not-allowed xmlns='{namespace}'/><text xmlns='{namespace}'>Denied</text>"));
        assert!(error.to_string().ends_with("refused (not-allowed), and says \"[scrubbed]\""), "{error}");
        let shown = with_safe_logging_suppressed(|| error.to_string());
        assert!(shown.ends_with("and says \"Denied\""), "{shown}");
    }
}
