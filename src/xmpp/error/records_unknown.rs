//! Fault at a domain itself, which was tried because nobody could say which machines its SRV records name.

use std::fmt;

use super::{AccountError, DnsFault, ProxyFault};

/// What went wrong where the domain itself was tried for want of an answer about its SRV records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsUnknown {
    fault: Box<AccountError>,
    dns: DnsFault,
}

impl RecordsUnknown {
    /// What went wrong at the domain.
    pub fn fault(&self) -> &AccountError {
        &self.fault
    }

    /// What can help, as a clause to put behind the text.
    pub(super) fn advice(&self) -> &'static str {
        match *self.fault {
            AccountError::CertificateUntrusted => {
                "the chat server may be on another machine or port, which those would name: give it as `server`; if it is this one, name the \
                 authority of its certificate in `ca_file`, or its key in `pin`; otherwise someone may be listening in; trying again"
            }
            _ => {
                "the chat server may be on another machine or port, which those would name: give it as `server`, or use another DNS server; \
                 trying again"
            }
        }
    }
}

impl fmt::Display for RecordsUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, dns } = self;
        write!(f, "{fault} (the SRV records of the domain could not be asked for: {dns})")
    }
}

impl AccountError {
    /// The same fault, and that SRV records could not be asked for. If no other machine would be of more use, it is the fault alone.
    pub(in crate::xmpp) fn without_records(self, dns: DnsFault) -> Self {
        match self {
            Self::Neither { server, web_socket } => {
                Self::Neither { server: server.without_records(dns).into(), web_socket }
            }
            fault if fault.may_be_of_wrong_machine() => {
                Self::RecordsUnknown(RecordsUnknown { fault: fault.into(), dns })
            }
            fault => fault,
        }
    }

    fn may_be_of_wrong_machine(&self) -> bool {
        matches!(
            self,
            Self::NoAddress(_)
                | Self::Refused
                | Self::HostUnreachable
                | Self::TimedOut(_)
                | Self::Closed(_)
                | Self::Io { .. }
                | Self::Protocol(_)
                | Self::NoStartTls
                | Self::StartTlsRefused
                | Self::Tls
                | Self::CertificateUntrusted
                | Self::CertificateWrongName
                | Self::EndedBeforeTls("host-unknown", _)
                | Self::Proxy(ProxyFault::NotReached(_))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::error::NamedBy;

    #[test]
    fn a_fault_at_the_domain_says_that_its_records_were_not_known() {
        let error = AccountError::NoAddress(NamedBy::Account).without_records(DnsFault::Failed);
        assert_eq!(
            error.to_string(),
            "dialling the chat server: the domain of the account has no address (the SRV records of the domain could not be asked for: the \
             DNS server could not find out (SERVFAIL))"
        );
        assert!(error.advice().contains("give it as `server`") && error.advice().ends_with("; trying again"));
    }

    #[test]
    fn where_no_other_machine_would_be_of_use_the_fault_is_all_that_is_said() {
        for fault in [
            AccountError::Dns(DnsFault::Silent),
            AccountError::OnionWithoutProxy,
            AccountError::NoRoute,
            AccountError::Proxy(ProxyFault::HungUp),
        ] {
            assert_eq!(fault.clone().without_records(DnsFault::Silent), fault);
        }
    }

    #[test]
    fn a_websocket_that_fails_too_is_said_as_well() {
        let (server, web_socket) = (AccountError::Refused, AccountError::CertificateExpired);
        let error = AccountError::of_both(server, web_socket).without_records(DnsFault::Silent);
        assert_eq!(
            error.to_string(),
            "dialling the chat server: connection refused (the SRV records of the domain could not be asked for: no DNS server answers) \
             (over a WebSocket: setting up TLS with the chat server: its certificate is not valid at this time)"
        );
    }
}
