//! Fault elsewhere: at another host, where the chat server has sent us (`see-other-host`).

use std::fmt;

use super::{AccountError, OtherHost, ProxyFault};

/// A fault at the host where the chat server has sent us.
///
/// Any two of one fault are equal, because a server may send us to another of its hosts each time. A log shows the host only where it
/// shows what is private.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    host: OtherHost,
    fault: Box<AccountError>,
}

impl Elsewhere {
    pub(crate) fn new(host: OtherHost, fault: AccountError) -> Self {
        Self { host, fault: Box::new(fault) }
    }

    /// What went wrong there.
    pub fn fault(&self) -> &AccountError {
        &self.fault
    }

    /// What can help, as a clause to put behind the text.
    pub(super) fn advice(&self) -> &'static str {
        match &*self.fault {
            AccountError::CertificateWrongName => {
                "that host needs a certificate for the domain of the account, too; without one, somebody in between may have sent us there: \
                 ask whoever runs the chat server, or set `server` to where it lets us in; trying again"
            }
            AccountError::CertificateUntrusted => {
                "ask whoever runs the chat server whether that host is theirs: if it is, name the authority of the host's certificate in \
                 `ca_file`; if not, somebody in between has sent us there: set `server` to where the chat server lets us in; trying again"
            }
            AccountError::CertificateNotPinned => {
                "`pin` is the key of another host of the server's, or somebody in between has sent us: ask whoever gave you `pin`, or set \
                 `server` to the host that has that key; trying again"
            }
            // The proxy has connected to the host that sends us there.
            AccountError::Proxy(
                ProxyFault::NotReached { .. }
                | ProxyFault::Refused { .. }
                | ProxyFault::BadHost
                | ProxyFault::HungUp
                | ProxyFault::Silent
                | ProxyFault::Ended(_)
                | ProxyFault::Stalled(_),
            ) => {
                "use a proxy that gets there, ask whoever runs the chat server, or set `server` to where it lets us in; trying again"
            }
            AccountError::NoAddress(_)
            | AccountError::Refused
            | AccountError::NoRoute
            | AccountError::HostUnreachable
            | AccountError::TimedOut(_)
            | AccountError::Closed(_)
            | AccountError::TooMuch(_)
            | AccountError::Io { .. }
            | AccountError::Protocol(_)
            | AccountError::ClientCertificate
            | AccountError::Tls
            | AccountError::NoStartTls
            | AccountError::StartTlsRefused
            | AccountError::StreamError(_, "host-unknown" | "host-gone", _)
            | AccountError::EndedBeforeTls(..) => {
                "ask whoever runs the chat server, or set `server` to where it lets us in; trying again"
            }
            fault => fault.advice(),
        }
    }
}

impl PartialEq for Elsewhere {
    fn eq(&self, other: &Self) -> bool {
        self.fault == other.fault
    }
}

impl Eq for Elsewhere {}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, fault } = self;
        write!(f, "the chat server has sent us to another host, {host}, where this failed: {fault}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use safelog::with_safe_logging_suppressed;

    use super::*;
    use crate::xmpp::error::Step;

    fn at(host: &str, fault: AccountError) -> AccountError {
        AccountError::Elsewhere(Elsewhere::new(OtherHost::parse(host).unwrap(), fault))
    }

    #[test]
    fn the_host_is_shown_only_where_what_is_private_is() {
        for host in ["node7.chat.example", "[2001:db8::7]"] {
            let error = at(host, AccountError::Refused);
            let said = |host: &str| {
                format!(
                    "the chat server has sent us to another host, {host}, where this failed: dialling the chat server: connection refused"
                )
            };
            assert_eq!(error.to_string(), said("[scrubbed]"));
            let shown = with_safe_logging_suppressed(|| error.to_string());
            assert_eq!(shown, said(&format!("{host}:5222")));
            assert!(!format!("{error:?}").contains("chat.example"), "{error:?}");
        }
    }

    #[test]
    fn a_fault_is_the_same_at_whichever_host_and_another_is_not() {
        let refused = at("node7.chat.example", AccountError::Refused);
        assert_eq!(refused, at("node8.chat.example", AccountError::Refused));
        assert_ne!(refused, at("node7.chat.example", AccountError::CertificateWrongName));
    }

    #[test]
    fn the_advice_is_about_the_host_where_we_were_sent() {
        for fault in [
            AccountError::Refused,
            AccountError::CertificateWrongName,
            AccountError::CertificateUntrusted,
            AccountError::CertificateNotPinned,
            AccountError::Proxy(ProxyFault::NotReached(4)),
            AccountError::Proxy(ProxyFault::Ended(Step::StartTls)),
            AccountError::Proxy(ProxyFault::Refused { code: 403, port: 5222 }),
        ] {
            let advice = at("node7.chat.example", fault).advice();
            assert!(advice.contains("set `server` to ") && advice.ends_with("; trying again"), "{advice}");
            assert!(!advice.contains("443") && !advice.contains("its own"), "{advice}");
        }
        assert_eq!(
            at("node7.chat.example", AccountError::CertificateExpired).advice(),
            AccountError::CertificateExpired.advice()
        );
    }
}
