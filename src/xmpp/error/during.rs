//! Step of a fault, corrected by a caller who knows it better.

use super::{AccountError, Step, Words};

impl AccountError {
    /// The same fault in the middle of `step`. What can happen in one step alone stays as it is; what is about a session means something
    /// else before there is one.
    pub(in crate::xmpp) fn during(self, step: Step) -> Self {
        match self {
            Self::TimedOut(_) => Self::TimedOut(step),
            Self::Closed(_) => Self::Closed(step),
            Self::TooMuch(_) => Self::TooMuch(step),
            Self::Io { kind, .. } => Self::Io { step, kind },
            Self::OverLimit(_, words) => Self::OverLimit(step, words),
            Self::StreamError(_, condition, words) => Self::StreamError(step, condition, words),
            Self::Protocol(_) => Self::Protocol(step),
            Self::Proxy(fault) => Self::Proxy(fault.during(step)),
            Self::Conflict if step != Step::Session => Self::StreamError(step, "conflict", Words::default()),
            Self::StanzaTooLarge if step != Step::Session => Self::LoginTooLarge(step),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_there_is_a_session_none_was_replaced_and_no_stanza_of_ours_was_large() {
        for step in [Step::Stream, Step::Register, Step::Login, Step::Bind] {
            let conflict = AccountError::Conflict.during(step);
            assert_eq!(conflict.to_string(), format!("{step}: it ended the stream (conflict)"));
            assert!(!conflict.advice().contains("a resource of its own"), "{}", conflict.advice());
            let too_large = AccountError::StanzaTooLarge.during(step);
            assert_eq!(
                too_large.to_string(),
                format!("{step}: it takes no stanza as large as those of a login")
            );
            assert!(!too_large.advice().contains("smaller"), "{}", too_large.advice());
        }
        for error in [AccountError::Conflict, AccountError::StanzaTooLarge] {
            assert_eq!(error.clone().during(Step::Session), error);
        }
    }
}
