//! Faults of a transfer: what went wrong, and what follows from it.

use std::fmt;
use std::io;

use thiserror::Error;
use tokio_rustls::rustls;

use crate::xmpp::error::AccountError;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A file was put somewhere.
    Putting,
    /// A file was fetched.
    Getting,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Putting => "putting a file at the upload service",
            Self::Getting => "fetching a file from the upload service",
        })
    }
}

/// Why a file is not where it should be. The text names neither the service nor the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{doing}: {fault}")]
pub struct TransferError {
    /// What was being done.
    pub doing: Doing,
    /// What went wrong.
    pub fault: Fault,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody was reached.
    #[error("it cannot be reached")]
    Unreachable,
    /// It has no address, or none that may be dialled.
    #[error("it has no address, or none that may be dialled")]
    NoAddress,
    /// Its certificate is not one for its name, or another fault of TLS.
    #[error("TLS with it failed, or its certificate is not to be trusted")]
    Tls,
    /// It took too long.
    #[error("it did not take place in time")]
    TimedOut,
    /// The connection ended.
    #[error("the connection was closed")]
    Closed,
    /// The answer is none.
    #[error("the answer makes no sense")]
    Nonsense,
    /// What was to be put is longer or shorter than it was said to be, or a field of the request cannot be written.
    #[error("the request is none")]
    BadRequest,
    /// It is somewhere else.
    #[error("it sends us elsewhere, which is not followed (status {0})")]
    Redirected(u16),
    /// There is no such file or slot, or not any more.
    #[error("there is no such file or slot, or not any more (status {0})")]
    Missing(u16),
    /// The service has had enough.
    #[error("it takes no more for now (status {0})")]
    TooMuch(u16),
    /// It refuses in another way.
    #[error("it refuses (status {0})")]
    Refused(u16),
    /// It is in trouble itself.
    #[error("it is in trouble (status {0})")]
    Failing(u16),
    /// What is there is longer or shorter than it was said to be, or nobody says how long it is.
    #[error("the file is not as long as it was said to be")]
    Length,
}

/// What follows from a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// This file is lost, and others need not be.
    FileLost,
    /// The service is to be left alone for a moment, longer each time.
    BackOff,
    /// It is to be left alone for a day.
    Day,
    /// It is of no use before the account logs in anew.
    UntilLogin,
}

impl Fault {
    /// What an answer with this status means.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            300..=399 => Self::Redirected(status),
            401 | 403 | 404 | 409 | 410 => Self::Missing(status),
            429 | 507 => Self::TooMuch(status),
            400..=499 => Self::Refused(status),
            500..=599 => Self::Failing(status),
            _ => Self::Nonsense,
        }
    }

    /// What it is that nobody was reached.
    pub(super) fn of_connection(error: &AccountError) -> Self {
        match error {
            AccountError::NoAddress(_) | AccountError::OnionWithoutProxy | AccountError::BadAddress(_) => {
                Self::NoAddress
            }
            AccountError::TimedOut(_) => Self::TimedOut,
            AccountError::CertificateUntrusted
            | AccountError::CertificateWrongName
            | AccountError::CertificateExpired
            | AccountError::ClientCertificate
            | AccountError::Tls => Self::Tls,
            _ => Self::Unreachable,
        }
    }

    /// What happened to a connection.
    pub(super) fn of_io(error: &io::Error) -> Self {
        let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        match error.kind() {
            _ if is_tls => Self::Tls,
            io::ErrorKind::InvalidData => Self::Nonsense,
            _ => Self::Closed,
        }
    }

    /// While this was done.
    pub(super) fn during(self, doing: Doing) -> TransferError {
        TransferError { doing, fault: self }
    }

    /// What follows from it.
    #[must_use]
    pub fn consequence(self) -> Consequence {
        match self {
            Self::Missing(_) | Self::BadRequest => Consequence::FileLost,
            Self::Unreachable
            | Self::Tls
            | Self::TimedOut
            | Self::Closed
            | Self::Nonsense
            | Self::Failing(_) => Consequence::BackOff,
            Self::TooMuch(_) => Consequence::Day,
            Self::NoAddress | Self::Redirected(_) | Self::Refused(_) | Self::Length => {
                Consequence::UntilLogin
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::error::{NamedBy, Step};

    #[test]
    fn a_status_says_whether_the_file_the_service_or_we_are_at_fault() {
        for (status, fault, consequence) in [
            (302, Fault::Redirected(302), Consequence::UntilLogin),
            (404, Fault::Missing(404), Consequence::FileLost),
            (410, Fault::Missing(410), Consequence::FileLost),
            (413, Fault::Refused(413), Consequence::UntilLogin),
            (429, Fault::TooMuch(429), Consequence::Day),
            (507, Fault::TooMuch(507), Consequence::Day),
            (503, Fault::Failing(503), Consequence::BackOff),
            (999, Fault::Nonsense, Consequence::BackOff),
        ] {
            assert_eq!(Fault::of_status(status), fault);
            assert_eq!(fault.consequence(), consequence, "{status}");
        }
    }

    #[test]
    fn a_fault_of_a_connection_is_told_of_the_upload_service_and_of_no_other() {
        for (error, fault) in [
            (AccountError::NoAddress(NamedBy::Server), Fault::NoAddress),
            (AccountError::CertificateWrongName, Fault::Tls),
            (AccountError::TimedOut(Step::Tls), Fault::TimedOut),
            (AccountError::Refused, Fault::Unreachable),
        ] {
            let error = Fault::of_connection(&error).during(Doing::Getting);
            assert_eq!(error.fault, fault);
            assert!(error.to_string().starts_with("fetching a file from the upload service: "), "{error}");
        }
    }

    #[test]
    fn a_connection_that_breaks_is_told_from_one_on_which_nonsense_is_said() {
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(Fault::of_io(&tls), Fault::Tls);
        assert_eq!(Fault::of_io(&io::ErrorKind::InvalidData.into()), Fault::Nonsense);
        assert_eq!(Fault::of_io(&io::ErrorKind::BrokenPipe.into()), Fault::Closed);
    }
}
