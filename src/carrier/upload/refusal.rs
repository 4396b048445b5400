//! Refusals of slots (XEP-0363 section 5.1): why there is none, and when to ask again.

use std::time::Duration;

use thiserror::Error;
use xmpp_parsers::date::DateTime;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

/// How long a service is left alone that says that it is enough: 24 hours, after which quotas are those of another day.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest such rest where the service says itself when to come again: an hour, because its clock, or ours, may be wrong.
pub const SHORTEST_REST: Duration = Duration::from_secs(60 * 60);

/// Why a service gives no slot. What it writes beside that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file is too large.
    #[error("asking the upload service for a slot: it takes no file as large as that{}", limit_text(*.limit))]
    TooLarge {
        /// The largest that it takes, in bytes, if it says so.
        limit: Option<u64>,
    },
    /// The account, or everybody together, has uploaded enough.
    #[error("asking the upload service for a slot: the account may not upload more for now")]
    Quota {
        /// From when on it may, in seconds since 1970, if the service says so.
        retry: Option<u64>,
    },
    /// The service says that we do what it does not want.
    #[error("asking the upload service for a slot: it says that the account does too much")]
    Policy,
    /// The account may not upload, or there is no service, with this condition of RFC 6120 section 8.3.3.
    #[error("asking the upload service for a slot: it takes none of this account ({0})")]
    NotAllowed(&'static str),
    /// Another condition.
    #[error("asking the upload service for a slot: refused ({0})")]
    Other(&'static str),
    /// The answer is no answer.
    #[error("asking the upload service for a slot: the answer makes no sense")]
    Nonsense,
}

/// What is to be done about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Files have to be of this size at most, if it is known; of the next smaller one otherwise.
    Smaller(Option<u64>),
    /// The service is left alone for so long.
    For(Duration),
    /// It may pass: the service is asked again before long, later each time.
    BackOff,
    /// It is not asked again before the account logs in anew.
    UntilLogin,
}

fn limit_text(limit: Option<u64>) -> String {
    limit.map(|limit| format!(", but {limit} bytes")).unwrap_or_default()
}

impl Refusal {
    /// What an error of a service says.
    pub(super) fn of(error: &StanzaError) -> Self {
        use DefinedCondition as C;
        let extension = error.other.as_ref().filter(|other| other.has_ns(ns::HTTP_UPLOAD));
        if let Some(too_large) = extension.filter(|other| other.name() == "file-too-large") {
            return Self::TooLarge { limit: limit(too_large) };
        }
        match error.defined_condition {
            C::ResourceConstraint => Self::Quota { retry: extension.and_then(retry) },
            C::PolicyViolation => Self::Policy,
            C::NotAllowed => Self::NotAllowed("not-allowed"),
            C::Forbidden => Self::NotAllowed("forbidden"),
            C::ServiceUnavailable => Self::NotAllowed("service-unavailable"),
            C::FeatureNotImplemented => Self::NotAllowed("feature-not-implemented"),
            // Of the type, which is the same of all files.
            C::NotAcceptable => Self::NotAllowed("not-acceptable"),
            C::BadRequest => Self::Other("bad-request"),
            C::InternalServerError => Self::Other("internal-server-error"),
            _ => Self::Other(word(&error.type_)),
        }
    }

    /// What is to be done, at `now` in seconds since 1970.
    #[must_use]
    pub fn rest(&self, now: u64) -> Rest {
        match self {
            Self::TooLarge { limit } => Rest::Smaller(*limit),
            Self::Quota { retry: Some(retry) } => {
                Rest::For(Duration::from_secs(retry.saturating_sub(now)).clamp(SHORTEST_REST, DAY))
            }
            Self::Quota { retry: None } | Self::Policy => Rest::For(DAY),
            Self::NotAllowed(_) => Rest::UntilLogin,
            Self::Other(_) | Self::Nonsense => Rest::BackOff,
        }
    }
}

fn word(of: &ErrorType) -> &'static str {
    match of {
        ErrorType::Auth => "auth",
        ErrorType::Cancel => "cancel",
        ErrorType::Continue => "continue",
        ErrorType::Modify => "modify",
        ErrorType::Wait => "wait",
    }
}

fn limit(too_large: &Element) -> Option<u64> {
    too_large.get_child("max-file-size", ns::HTTP_UPLOAD)?.text().trim().parse().ok()
}

fn retry(extension: &Element) -> Option<u64> {
    let stamp = Some(extension).filter(|extension| extension.name() == "retry")?.attr("stamp")?;
    u64::try_from(stamp.parse::<DateTime>().ok()?.0.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;

    fn refusal(kind: &str, inside: &str) -> Refusal {
        let xml = format!("<error xmlns='jabber:client' type='{kind}'>{inside}</error>");
        Refusal::of(&StanzaError::try_from(xml.parse::<Element>().unwrap()).unwrap())
    }

    fn condition(name: &str) -> String {
        format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>")
    }

    /// An element of XEP-0363, of this name.
    fn upload(name: &str, rest: &str) -> String {
        format!("<{name} xmlns='urn:xmpp:http:upload:0' {rest}</{name}>")
    }

    #[test]
    fn a_file_that_is_too_large_is_told_by_the_word_for_it_and_the_limit_is_read() {
        let words = upload("file-too-large", "><max-file-size>20000</max-file-size>");
        let text = "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>File too large</text>";
        let refused = refusal("modify", &(condition("not-acceptable") + text + &words));
        assert_eq!(refused, Refusal::TooLarge { limit: Some(20_000) });
        assert_eq!(refused.rest(0), Rest::Smaller(Some(20_000)));
        assert!(refused.to_string().ends_with("as large as that, but 20000 bytes"), "{refused}");
        let vague = refusal("modify", &(condition("not-acceptable") + &upload("file-too-large", ">")));
        assert_eq!((vague.to_string().contains("but"), vague.rest(0)), (false, Rest::Smaller(None)));
    }

    #[test]
    fn a_quota_is_a_rest_until_the_time_that_the_service_names_within_an_hour_and_a_day() {
        let constraint = condition("resource-constraint");
        assert_eq!(refusal("wait", &constraint).rest(0), Rest::For(DAY));
        let at = |stamp: &str| {
            refusal("wait", &(constraint.clone() + &upload("retry", &format!("stamp='{stamp}'>"))))
        };
        let noon = at("2026-11-30T12:00:00Z");
        assert_eq!(noon, Refusal::Quota { retry: Some(1_796_040_000) });
        for (before, rest) in [(7200, Duration::from_secs(7200)), (60, SHORTEST_REST), (1_000_000, DAY)] {
            assert_eq!(noon.rest(1_796_040_000 - before), Rest::For(rest));
        }
        assert_eq!(noon.rest(u64::MAX), Rest::For(SHORTEST_REST), "it is over");
        assert_eq!(at("soon"), Refusal::Quota { retry: None });
        assert_eq!(at("1969-12-31T00:00:00Z"), Refusal::Quota { retry: None });
    }

    #[test]
    fn who_may_not_upload_does_not_ask_again_and_other_faults_may_pass() {
        for name in ["not-allowed", "forbidden", "service-unavailable", "not-acceptable"] {
            assert_eq!(refusal("cancel", &condition(name)).rest(0), Rest::UntilLogin, "{name}");
        }
        for name in ["internal-server-error", "bad-request", "remote-server-timeout"] {
            assert_eq!(refusal("wait", &condition(name)).rest(0), Rest::BackOff, "{name}");
        }
        assert_eq!(Refusal::Nonsense.rest(0), Rest::BackOff);
        assert_eq!(refusal("modify", &condition("policy-violation")).rest(0), Rest::For(DAY));
    }

    #[test]
    fn each_says_what_was_being_done() {
        for refusal in [
            Refusal::TooLarge { limit: None },
            Refusal::Quota { retry: None },
            Refusal::Policy,
            Refusal::NotAllowed("forbidden"),
            Refusal::Other("wait"),
            Refusal::Nonsense,
        ] {
            assert!(refusal.to_string().starts_with("asking the upload service for a slot: "), "{refusal}");
        }
    }
}
