//! Step of a fault, corrected by a caller who knows it better.

use super::{AccountError, Step};

impl AccountError {
    /// The same fault in the middle of `step`. What can happen in one step alone stays as it is.
    pub(in crate::xmpp) fn during(self, step: Step) -> Self {
        match self {
            Self::TimedOut(_) => Self::TimedOut(step),
            Self::Closed(_) => Self::Closed(step),
            Self::TooMuch(_) => Self::TooMuch(step),
            Self::Io { kind, .. } => Self::Io { step, kind },
            Self::OverLimit(_, words) => Self::OverLimit(step, words),
            Self::StreamError(_, condition, words) => Self::StreamError(step, condition, words),
            Self::Protocol(_) => Self::Protocol(step),
            other => other,
        }
    }
}
