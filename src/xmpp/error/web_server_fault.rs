//! Fault of a web server that was asked where a domain's chat server is, and what can help.

use thiserror::Error;

use super::{AccountError, ProxyFault, Step};

/// What is wrong with the TLS of a web server. It need not be whoever runs the chat server who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebServerFault {
    /// The certificate is from an authority that we do not know.
    #[error("the web server that was asked has a certificate from an unknown authority")]
    Untrusted,
    /// The certificate is for another host.
    #[error("the web server that was asked has no certificate for its own name")]
    WrongName,
    /// The certificate, or our clock, is out of date.
    #[error("the web server that was asked has a certificate that is not valid at this time")]
    Expired,
    /// The certificate has another key than `pin` says.
    #[error("the web server that was asked does not have the key that `pin` says")]
    NotPinned,
    /// Another fault, such as that it wants a certificate of ours.
    #[error("TLS with the web server that was asked failed")]
    Handshake,
}

impl WebServerFault {
    /// What can help, as a clause to put behind the text.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Untrusted => {
                "if it has an authority of its own, name its certificate in `ca_file`; otherwise someone may be listening in: use another network, or \
                 put the URL of the WebSocket into `server` (server = \"wss://…\"); trying again"
            }
            Self::Expired => {
                "check the clock of this machine; if it is right, tell whoever runs the web server, or put the URL of the WebSocket into `server` \
                 (server = \"wss://…\"); trying again"
            }
            Self::WrongName | Self::NotPinned | Self::Handshake => {
                "put the URL of the WebSocket into `server` (server = \"wss://…\"), or ask whoever runs the domain's web server; trying again"
            }
        }
    }
}

impl AccountError {
    /// What a fault of TLS is where it is a web server that was to be asked.
    pub(in crate::xmpp) fn of_web_server(self) -> Self {
        const STEP: Step = Step::HostMeta;
        match self {
            Self::CertificateUntrusted => Self::WebServer(WebServerFault::Untrusted),
            Self::CertificateWrongName => Self::WebServer(WebServerFault::WrongName),
            Self::CertificateExpired => Self::WebServer(WebServerFault::Expired),
            Self::CertificateNotPinned => Self::WebServer(WebServerFault::NotPinned),
            Self::Tls | Self::ClientCertificate => Self::WebServer(WebServerFault::Handshake),
            Self::Proxy(ProxyFault::Ended(_)) => Self::Proxy(ProxyFault::Ended(STEP)),
            other => other.during(STEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fault_of_a_web_server_is_told_of_the_chat_server() {
        for fault in [
            AccountError::CertificateUntrusted,
            AccountError::CertificateWrongName,
            AccountError::CertificateExpired,
            AccountError::CertificateNotPinned,
            AccountError::ClientCertificate,
            AccountError::Tls,
            AccountError::TimedOut(Step::Tls),
            AccountError::Closed(Step::Tls),
            AccountError::Io { step: Step::Tls, kind: std::io::ErrorKind::Other },
            AccountError::Protocol(Step::Tls),
        ] {
            let fault = fault.of_web_server();
            let (text, advice) = (fault.to_string(), fault.advice());
            assert!(text.starts_with("asking the domain of the account for its WebSocket: "), "{text}");
            assert!(!text.contains("chat server"), "{text}");
            assert!(advice.contains("web server") || advice.contains("server = "), "{advice}");
            assert!(!fault.is_permanent(), "{text}");
        }
    }
}
