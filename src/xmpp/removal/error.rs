//! Errors of a removal: why an account may still be there. Pure.

use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::xmpp::error::{AccountError, Words};

/// Why an account may still be there.
///
/// Each is a clause behind "because".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemovalError {
    /// There was no login. Trying again later can help.
    #[error("its server has not removed it: {}", .0.with_remedy())]
    Login(AccountError),
    /// The same, in all the time that there was.
    #[error("its server has not removed it: there was no login in time")]
    NoLogin,
    /// The server does not let it in. Many servers say no more where the account is gone, and some say the same while they
    /// cannot look it up.
    #[error(
        "its server has not removed it: it does not let the account in, which is gone there, unless the server has a fault that passes"
    )]
    NotLetIn,
    /// The server answers that it does not remove it.
    #[error("its server has not removed it: {0}{1}")]
    Refused(Objection, Words),
    /// The server was asked, and is silent.
    #[error("its server has not said that it has removed it: the chat server does not answer the request")]
    Unanswered,
    /// The server was asked. The session ended without an answer, and this was the last fault.
    #[error("its server has not said that it has removed it: {}", .0.with_remedy())]
    Interrupted(AccountError),
    /// The server was asked. The session ended without an answer, and the account is not let in any more.
    #[error(
        "its server has not said that it has removed it: the session ended instead, and the account is not let in any more, so that it is \
         probably gone there, unless the server has a fault that passes"
    )]
    ProbablyGone,
}

/// What a server means that answers a request for removal by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It has a fault, or too much to do.
    #[error("the chat server has a fault, or too much to do, and removes no account at the moment")]
    Fault,
    /// It may never remove accounts, or not now: servers that do not know such requests answer so, and so does Prosody where its store of
    /// accounts fails.
    #[error("the chat server does not let accounts remove themselves, or has a fault that passes")]
    Unavailable,
    /// It knows no account that could be removed.
    #[error("the chat server says that it knows no such account, although it has let it in")]
    NoSuchAccount,
    /// It does not remove it.
    #[error("the chat server does not let the account remove itself")]
    Forbidden,
}

impl Objection {
    /// What this error means (RFC 6120 section 8.3.3, XEP-0077 section 3.2).
    pub(super) fn of(error: &StanzaError) -> Self {
        use DefinedCondition as Condition;
        match error.defined_condition {
            Condition::InternalServerError
            | Condition::ResourceConstraint
            | Condition::RemoteServerTimeout => Self::Fault,
            _ if error.type_ == ErrorType::Wait => Self::Fault,
            Condition::ServiceUnavailable | Condition::UndefinedCondition => Self::Unavailable,
            Condition::ItemNotFound | Condition::RegistrationRequired | Condition::UnexpectedRequest => {
                Self::NoSuchAccount
            }
            _ => Self::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::error::Step;

    #[test]
    fn a_person_is_told_what_to_do_and_nothing_of_attempts_that_nobody_makes() {
        for (error, expected) in [
            (
                AccountError::TimedOut(Step::Session),
                "keeping the session with the chat server: no answer in time",
            ),
            (
                AccountError::AccountDisabled,
                "logging in at the chat server: the account is disabled; ask whoever runs the chat server",
            ),
            (
                AccountError::CaFile("x"),
                "reading ca_file: x; it must be a readable PEM file with at least one certificate",
            ),
        ] {
            assert_eq!(error.with_remedy(), expected);
        }
    }

    #[test]
    fn a_fault_that_passes_is_told_from_a_server_that_does_not_remove_accounts() {
        use DefinedCondition as Condition;
        let of = |kind, condition| Objection::of(&StanzaError::new(kind, condition, "en", ""));
        for (kind, condition, meaning) in [
            (ErrorType::Cancel, Condition::InternalServerError, Objection::Fault),
            (ErrorType::Cancel, Condition::ResourceConstraint, Objection::Fault),
            (ErrorType::Wait, Condition::PolicyViolation, Objection::Fault),
            (ErrorType::Wait, Condition::ServiceUnavailable, Objection::Fault),
            (ErrorType::Cancel, Condition::ServiceUnavailable, Objection::Unavailable),
            (ErrorType::Cancel, Condition::ItemNotFound, Objection::NoSuchAccount),
            (ErrorType::Auth, Condition::RegistrationRequired, Objection::NoSuchAccount),
            (ErrorType::Wait, Condition::UnexpectedRequest, Objection::Fault),
            (ErrorType::Cancel, Condition::UnexpectedRequest, Objection::NoSuchAccount),
            (ErrorType::Cancel, Condition::NotAllowed, Objection::Forbidden),
            (ErrorType::Auth, Condition::Forbidden, Objection::Forbidden),
            (ErrorType::Cancel, Condition::FeatureNotImplemented, Objection::Forbidden),
            (ErrorType::Auth, Condition::NotAuthorized, Objection::Forbidden),
            (ErrorType::Modify, Condition::BadRequest, Objection::Forbidden),
        ] {
            assert_eq!(of(kind.clone(), condition.clone()), meaning, "{kind:?}, {condition:?}");
        }
    }
}
