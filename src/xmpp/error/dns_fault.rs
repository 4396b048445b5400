//! Fault of DNS: why a name could not be looked up, and what can help.

use thiserror::Error;

/// Why nobody knows what DNS has of a name. That it has nothing is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DnsFault {
    /// No DNS server has answered.
    #[error("no DNS server answers")]
    Silent,
    /// This machine names no DNS server.
    #[error("this machine is configured with no DNS server")]
    NoServer,
    /// It has a fault, or does not believe what it was told (RFC 4035 section 5.5).
    #[error("the DNS server could not find out (SERVFAIL)")]
    Failed,
    /// It does not answer us, or not this question.
    #[error("the DNS server refuses to answer (REFUSED)")]
    Refused,
    /// It answers something else.
    #[error("the answer of the DNS server is of no use")]
    Useless,
}

impl DnsFault {
    /// What can help, as a clause to put behind the text.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Silent => "check the network and /etc/resolv.conf; trying again",
            Self::NoServer => {
                "put a nameserver into /etc/resolv.conf, or give an address as `server`; trying again"
            }
            Self::Failed => {
                "if it stays, the DNS of that name may be broken, or its signatures (DNSSEC): tell whoever runs it, name another DNS server in \
                 /etc/resolv.conf, or give an address as `server`; trying again"
            }
            Self::Refused | Self::Useless => {
                "it may not be for this network: name another in /etc/resolv.conf, or give an address as `server`; trying again"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::error::AccountError;

    #[test]
    fn each_fault_says_what_to_try() {
        for fault in
            [DnsFault::Silent, DnsFault::NoServer, DnsFault::Failed, DnsFault::Refused, DnsFault::Useless]
        {
            assert!(fault.to_string().contains("DNS server"), "{fault}");
            let advice = AccountError::Dns(fault).advice();
            assert!(advice.contains("/etc/resolv.conf") && advice.ends_with("; trying again"), "{advice}");
        }
    }
}
