//! Ended registrations: what a server means that ends the stream instead of an answer. Pure.

use crate::xmpp::error::{AccountError, Step, Words};
use crate::xmpp::registration::Refusal;

/// The refusal that is meant by an error of the stream, if one is. `not-authorized` is for whoever sends before a login (RFC 6120 section
/// 4.9.3.12): the server does not let anybody do what it has offered.
pub(super) fn refusal(error: &AccountError) -> Option<(Refusal, Words)> {
    let (refusal, words) = match error.clone().during(Step::Register) {
        AccountError::OverLimit(_, words) | AccountError::StreamError(_, "resource-constraint", words) => {
            (Refusal::TooMany, words)
        }
        AccountError::StreamError(_, "not-authorized" | "policy-violation", words) => {
            (Refusal::Closed, words)
        }
        AccountError::StreamError(_, "internal-server-error" | "conflict", words) => (Refusal::Fault, words),
        AccountError::LoginTooLarge(_) => (Refusal::Closed, Words::default()),
        _ => return None,
    };
    Some((refusal, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(condition: &'static str) -> AccountError {
        AccountError::StreamError(Step::Register, condition, Words::default())
    }

    #[test]
    fn a_stream_that_ends_for_what_stays_so_is_a_refusal() {
        for (error, expected) in [
            (said("not-authorized"), Some(Refusal::Closed)),
            (said("policy-violation"), Some(Refusal::Closed)),
            (said("resource-constraint"), Some(Refusal::TooMany)),
            (AccountError::OverLimit(Step::Register, Words::default()), Some(Refusal::TooMany)),
            (said("internal-server-error"), Some(Refusal::Fault)),
            (said("system-shutdown"), None),
            (said("host-unknown"), None),
            (AccountError::Closed(Step::Register), None),
            (AccountError::Conflict, Some(Refusal::Fault)),
            (AccountError::StanzaTooLarge, Some(Refusal::Closed)),
        ] {
            assert_eq!(refusal(&error).map(|(refusal, _)| refusal), expected, "{error}");
        }
    }
}
