//! Stream errors: what a server that ends a stream means by it (RFC 6120 section 4.9.3).
//!
//! The same condition stands for much. `policy-violation` is what servers say to a stanza that is too large (Prosody and ejabberd: "XML
//! stanza is too big"), to an address with too many failed logins (ejabberd: "Too many (5) failed authentications"), and to whoever does
//! what an administrator's rule forbids. So the text beside it is looked at for a few words. It is repeated
//! only where a log shows what is private.

use xmpp_parsers::minidom::Element;

use super::error::{AccountError, OtherHost, Step, Words};

/// The conditions of RFC 6120 section 4.9.3.
const CONDITIONS: [&str; 25] = [
    "bad-format",
    "bad-namespace-prefix",
    "conflict",
    "connection-timeout",
    "host-gone",
    "host-unknown",
    "improper-addressing",
    "internal-server-error",
    "invalid-from",
    "invalid-namespace",
    "invalid-xml",
    "not-authorized",
    "not-well-formed",
    "policy-violation",
    "remote-connection-failed",
    "reset",
    "resource-constraint",
    "restricted-xml",
    "see-other-host",
    "system-shutdown",
    "undefined-condition",
    "unsupported-encoding",
    "unsupported-feature",
    "unsupported-stanza-type",
    "unsupported-version",
];

/// In such words servers say that a stanza is too large.
const TOO_LARGE: [&[&str]; 5] =
    [&["too", "big"], &["too", "large"], &["too", "long"], &["size", "limit"], &["stanza", "size"]];

/// In such words they say that the account, or its address, does or did something too often.
const TOO_MUCH: [&[&str]; 13] = [
    &["too", "many"],
    &["too", "much"],
    &["too", "fast"],
    &["too", "often"],
    &["rate"],
    &["limit"],
    &["limits"],
    &["quota"],
    &["traffic"],
    &["bandwidth"],
    &["flood"],
    &["flooding"],
    &["exceeded"],
];

/// What this element says, which is a stream error. Whoever reads it before there is a session [says so](AccountError::during).
pub(super) fn read(error: &Element) -> AccountError {
    let known = |child: &Element| CONDITIONS.iter().copied().find(|known| *known == child.name());
    let (name, condition) = error
        .children()
        .find_map(|child| Some((known(child)?, Some(child))))
        .unwrap_or(("undefined-condition", None));
    let said = |name| AccountError::StreamError(Step::Session, name, Words::of(error));
    match name {
        "conflict" => AccountError::Conflict,
        "see-other-host" => {
            let host = condition.and_then(|condition| OtherHost::parse(&condition.text()));
            host.map_or_else(|| said(name), AccountError::SeeOtherHost)
        }
        "policy-violation" if is_about_size(error) => AccountError::StanzaTooLarge,
        "policy-violation" | "resource-constraint" if says_one_of(error, &TOO_MUCH) => {
            AccountError::OverLimit(Step::Session, Words::of(error))
        }
        _ => said(name),
    }
}

/// Prosody says so by an element, too.
fn is_about_size(error: &Element) -> bool {
    error.children().any(|child| child.name() == "stanza-too-big") || says_one_of(error, &TOO_LARGE)
}

/// Whether the texts of an error have one of these sequences of words.
fn says_one_of(error: &Element, phrases: &[&[&str]]) -> bool {
    let texts =
        error.children().filter(|child| child.name() == "text").map(|text| text.text().to_lowercase());
    texts.into_iter().any(|text| {
        let words: Vec<_> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        phrases.iter().any(|phrase| words.windows(phrase.len()).any(|window| window == *phrase))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

    fn said(children: &str) -> AccountError {
        let xml = format!("<error xmlns='http://etherx.jabber.org/streams'>{children}</error>");
        read(&xml.parse().unwrap())
    }

    fn with_text(condition: &str, text: &str) -> AccountError {
        said(&format!("<{condition} xmlns='{NS}'/><text xmlns='{NS}'>{text}</text>"))
    }

    #[test]
    fn a_stanza_that_is_too_large_is_told_from_other_violations() {
        for text in [
            "XML stanza is too big",
            "Stanza too large",
            "Maximum stanza size is 10000",
            "Exceeded size limit",
        ] {
            assert_eq!(with_text("policy-violation", text), AccountError::StanzaTooLarge, "{text}");
        }
        let prosody = format!("<policy-violation xmlns='{NS}'/><stanza-too-big xmlns='urn:xmpp:errors'/>");
        assert_eq!(said(&prosody), AccountError::StanzaTooLarge);
        for text in ["", "Go away", "a big one, too"] {
            assert_eq!(
                with_text("policy-violation", text),
                AccountError::StreamError(Step::Session, "policy-violation", Words::default()),
                "{text}"
            );
        }
    }

    #[test]
    fn too_much_is_told_from_other_violations() {
        for text in [
            "Too many (5) failed authentications from this IP address",
            "Rate limit",
            "quota",
            "Queue size exceeded",
        ] {
            for condition in ["policy-violation", "resource-constraint"] {
                assert_eq!(
                    with_text(condition, text),
                    AccountError::OverLimit(Step::Session, Words::default()),
                    "{condition}: {text}"
                );
            }
        }
        assert_eq!(
            with_text("resource-constraint", "Corporate use is unlimited"),
            AccountError::StreamError(Step::Session, "resource-constraint", Words::default())
        );
        assert_eq!(with_text("conflict", "Too many sessions"), AccountError::Conflict);
    }

    /// The error shows that there is a text; what it is, only an unsafe log shows.
    #[test]
    fn a_server_that_says_why_is_not_said_to_have_said_nothing() {
        let error = with_text("policy-violation", "Go away");
        let text = "keeping the session with the chat server: it ended the stream (policy-violation)";
        assert_eq!(error.to_string(), format!("{text}, and says \"[scrubbed]\""));
        assert_eq!(with_text("policy-violation", "").to_string(), text);
        for condition in CONDITIONS {
            let error = with_text(condition, "Go away");
            assert!(!error.advice().contains("does not say"), "{condition}");
            let before_tls = error.before_tls();
            assert!(!before_tls.advice().contains("does not say"), "{condition}");
        }
        let barred = with_text("policy-violation", "Too many (5) failed authentications").before_tls();
        assert!(barred.to_string().ends_with(", and says \"[scrubbed]\""), "{barred}");
    }

    #[test]
    fn another_host_is_read_and_what_is_none_is_only_named() {
        let to = |host: &str| said(&format!("<see-other-host xmlns='{NS}'>{host}</see-other-host>"));
        let expected = OtherHost::parse("[2001:db8::7]:9222").map(AccountError::SeeOtherHost);
        assert_eq!(Some(to("[2001:db8::7]:9222")), expected);
        for nowhere in ["", "no host"] {
            assert_eq!(
                to(nowhere),
                AccountError::StreamError(Step::Session, "see-other-host", Words::default())
            );
        }
    }

    #[test]
    fn only_a_known_condition_is_kept_wherever_it_stands() {
        assert_eq!(
            said("<text>no</text><policy-violation/>"),
            AccountError::StreamError(Step::Session, "policy-violation", Words::default())
        );
        assert_eq!(
            said("<unheard-of/>"),
            AccountError::StreamError(Step::Session, "undefined-condition", Words::default())
        );
        assert_eq!(
            said(""),
            AccountError::StreamError(Step::Session, "undefined-condition", Words::default())
        );
        for name in CONDITIONS {
            assert!(!said(&format!("<{name} xmlns='{NS}'/>")).advice().is_empty());
        }
    }
}
