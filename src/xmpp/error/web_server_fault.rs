//! Fault of a web server that was asked where a domain's chat server is, and what can help.

use thiserror::Error;

use super::web_status::{advice_on_host_meta, is_too_much};
use super::{AccountError, Step};

/// What is wrong with a web server. It need not be whoever runs the chat server who runs it.
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
    /// It lets nobody in who shows no certificate of their own.
    #[error("the web server that was asked demands a certificate of ours, and there is none")]
    ClientCertificate,
    /// Another fault of TLS.
    #[error("TLS with the web server that was asked failed")]
    Handshake,
    /// It has no document for us, and says so by this status.
    #[error("the web server that was asked answers with status {0}")]
    Status(u16),
    /// What it says is not HTTP, or can be understood in two ways.
    #[error("what was asked there does not answer in HTTP")]
    NotHttp,
    /// Its answer is longer than any host-meta.
    #[error("the web server that was asked says more than any host-meta does")]
    TooLong,
    /// Its answer is something else than a host-meta.
    #[error("the web server that was asked answers with something that is no host-meta")]
    Unreadable,
}

impl WebServerFault {
    /// Whether it is about one form of the document, so that the other may be there.
    pub(in crate::xmpp) fn is_of_document(self) -> bool {
        match self {
            Self::Status(status) => !is_too_much(status),
            Self::NotHttp | Self::TooLong | Self::Unreadable => true,
            _ => false,
        }
    }

    /// Whether web servers that know of no host-meta say so in this way, too: many have a page of their own for that.
    pub(in crate::xmpp) fn may_mean_none(self) -> bool {
        match self {
            Self::Status(status) => status < 500 && !is_too_much(status),
            fault => fault.is_of_document(),
        }
    }

    /// Whether it has had too much of us.
    pub(super) fn is_too_much(self) -> bool {
        matches!(self, Self::Status(status) if is_too_much(status))
    }

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
            Self::Status(status) => advice_on_host_meta(status),
            Self::WrongName
            | Self::NotPinned
            | Self::ClientCertificate
            | Self::Handshake
            | Self::NotHttp
            | Self::TooLong
            | Self::Unreadable => {
                "put the URL of the WebSocket into `server` (server = \"wss://…\"), or ask whoever runs the domain's web server; trying again"
            }
        }
    }
}

impl AccountError {
    /// What a fault of TLS is where it is a web server that was to be asked.
    pub(in crate::xmpp) fn of_web_server(self) -> Self {
        match self {
            Self::CertificateUntrusted => Self::WebServer(WebServerFault::Untrusted),
            Self::CertificateWrongName => Self::WebServer(WebServerFault::WrongName),
            Self::CertificateExpired => Self::WebServer(WebServerFault::Expired),
            Self::CertificateNotPinned => Self::WebServer(WebServerFault::NotPinned),
            Self::ClientCertificate => Self::WebServer(WebServerFault::ClientCertificate),
            Self::Tls => Self::WebServer(WebServerFault::Handshake),
            other => other.during(Step::HostMeta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::ProxyFault;

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
            AccountError::Proxy(ProxyFault::Ended(Step::Tls)),
            AccountError::Proxy(ProxyFault::Stalled(Step::Tls)),
            AccountError::WebServer(WebServerFault::Status(403)),
            AccountError::WebServer(WebServerFault::NotHttp),
            AccountError::WebServer(WebServerFault::TooLong),
            AccountError::WebServer(WebServerFault::Unreadable),
        ] {
            let fault = fault.of_web_server();
            let (text, advice) = (fault.to_string(), fault.advice());
            assert!(text.starts_with("asking the domain of the account for its WebSocket: "), "{text}");
            assert!(!text.contains("chat server"), "{text}");
            assert!(advice.contains("web server") || advice.contains("server = "), "{advice}");
            assert!(!fault.is_permanent(), "{text}");
        }
    }

    #[test]
    fn what_may_mean_that_there_is_no_host_meta_is_told_from_what_keeps_us_from_it() {
        for (fault, may_mean_none, is_of_document) in [
            (WebServerFault::Status(403), true, true),
            (WebServerFault::Status(302), true, true),
            (WebServerFault::Unreadable, true, true),
            (WebServerFault::TooLong, true, true),
            (WebServerFault::Status(502), false, true),
            (WebServerFault::Status(429), false, false),
            (WebServerFault::Untrusted, false, false),
            (WebServerFault::ClientCertificate, false, false),
        ] {
            assert_eq!(
                (fault.may_mean_none(), fault.is_of_document()),
                (may_mean_none, is_of_document),
                "{fault}"
            );
        }
    }
}
