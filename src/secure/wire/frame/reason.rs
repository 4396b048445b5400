//! Reasons why a stream or a session ends, as numbers on the wire.

use crate::protocol::CloseReason;

/// Why a stream was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// It is not needed any more; also the answer to a reset.
    Finished,
    /// The target cannot be reached or is not allowed.
    Refused,
    /// One of the two connections at its ends broke.
    Aborted,
    /// The peer sent more than it had credit for.
    Overflow,
    /// There are as many streams as the limits allow.
    TooManyStreams,
}

/// Why a session was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionClose {
    /// It is not needed any more.
    Done,
    /// The peer broke the protocol.
    ProtocolViolation,
    /// The program is being shut down.
    ShuttingDown,
    /// The limits do not allow it.
    Limits,
}

impl ResetReason {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Finished => 0,
            Self::Refused => 1,
            Self::Aborted => 2,
            Self::Overflow => 3,
            Self::TooManyStreams => 4,
        }
    }

    /// What a later version may say besides is a stream that broke.
    pub(super) fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Finished,
            1 => Self::Refused,
            3 => Self::Overflow,
            4 => Self::TooManyStreams,
            _ => Self::Aborted,
        }
    }
}

impl From<ResetReason> for CloseReason {
    fn from(reason: ResetReason) -> Self {
        match reason {
            ResetReason::Finished => Self::Finished,
            ResetReason::Refused => Self::Refused,
            ResetReason::Aborted => Self::Aborted,
            ResetReason::Overflow => Self::Overflow,
            ResetReason::TooManyStreams => Self::TooManyStreams,
        }
    }
}

impl SessionClose {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Done => 0,
            Self::ProtocolViolation => 1,
            Self::ShuttingDown => 2,
            Self::Limits => 3,
        }
    }

    /// What a later version may say besides is as good as done.
    pub(super) fn from_number(number: u64) -> Self {
        match number {
            1 => Self::ProtocolViolation,
            2 => Self::ShuttingDown,
            3 => Self::Limits,
            _ => Self::Done,
        }
    }
}
