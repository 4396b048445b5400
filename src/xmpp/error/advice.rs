//! Advice on an account's errors: what can help, as clauses to put behind their texts.

use super::{AccountError, Step};

impl AccountError {
    /// What can help, as a clause to put behind the error's own text.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoAddress(named_by) => named_by.advice(),
            Self::OnionWithoutProxy => {
                "name a proxy that leads there, such as another tor's (Socks5Proxy in torrc, or TOR_PT_PROXY), or an address that is no \
                 .onion as `server`"
            }
            Self::NoPort => "ask whoever runs the chat server, or give its machine as `server`; trying again",
            Self::NotOffered => {
                "check the domain of the account: nobody can log in there, unless `server` names a machine; trying again"
            }
            Self::LookupFailed => "check the network and /etc/resolv.conf; trying again",
            Self::NoResolver => {
                "put a nameserver into /etc/resolv.conf, or give an address as `server`; trying again"
            }
            Self::Refused => "check that the chat server runs, and `server`; trying again",
            Self::NoRoute => "check the network of this machine; trying again",
            Self::HostUnreachable => "check `server`, and the network; trying again",
            Self::TimedOut(step)
            | Self::Closed(step)
            | Self::TooMuch(step)
            | Self::Protocol(step)
            | Self::Io { step, .. } => advice_at(*step),
            Self::BadSource => {
                "check OutboundBindAddress in torrc and the addresses of this machine; trying again"
            }
            Self::Proxy(fault) => fault.advice(),
            Self::CertificateUntrusted => {
                "if the server has an authority of its own, name its certificate in `ca_file`; if it has signed its certificate itself, name its key in \
                 `pin`; otherwise someone may be listening in; trying again"
            }
            Self::CertificateWrongName => {
                "the certificate must be for the domain of the account, whatever `server` says; trying again"
            }
            Self::CertificateWrongHost => {
                "the certificate must be for the host that the URL in `server` names, or the domain's host-meta; trying again"
            }
            Self::CertificateExpired => {
                "check the clock of this machine; if it is right, tell whoever runs the server; trying again"
            }
            Self::CertificateNotPinned => {
                "the server has a new key, or someone may be listening in: ask whoever gave you `pin`; trying again"
            }
            Self::Tls => "check `tls` and the port in `server`; trying again",
            Self::NoStartTls => "the server may want `tls = \"direct\"`; trying again",
            Self::TooFewIterations => {
                "the server is old, and keeps the password so since it was set: set it anew, or ask whoever runs it for 4096; \
                 or somebody may be in between; trying again"
            }
            Self::NotBound => {
                "somebody may be in between, or the server's TLS ends before it: use another network, or ask whoever runs the server; \
                 trying again"
            }
            Self::Downgraded => {
                "use another network; if whoever runs the server has changed how it binds logins (channel binding), restart this program; \
                 trying again"
            }
            Self::Unproven | Self::UnknownDemand => {
                "the server, or who pretends to be it, is at fault; trying again"
            }
            Self::NoMechanism => {
                "ask whoever runs it for SCRAM-SHA-256 or SCRAM-SHA-1, or use an account at another server; trying again"
            }
            Self::NotAnonymous => "name a domain that does, or an account with its password; trying again",
            Self::WrongPassword => {
                "correct the login; not trying again, because servers lock accounts that do"
            }
            Self::WrongSecret => "give the same in both configurations; not trying again",
            Self::AccountDisabled => "ask whoever runs the chat server; not trying again",
            Self::Registration(refusal, _) => refusal.advice(),
            Self::NotKept(fault) => fault.advice(),
            Self::PasswordExpired => "set a new one with a chat client; not trying again",
            Self::LoginUnavailable => "the server has a fault that passes; trying again",
            Self::LoginRefused(condition) => advice_on_login(condition),
            Self::BindRefused(_) => {
                "it may be logged in too often already: end other sessions of the account, or give each program one of its own; \
                 trying again after a long pause"
            }
            Self::StanzaTooLarge => "sending smaller ones from now on; trying again",
            Self::OverLimit(_) => {
                "let it rest, and spread the load over more accounts or a server of your own; trying again in some hours"
            }
            Self::SeeOtherHost(_) => {
                "if it does not let us in there either, set `server` to where it should; trying again"
            }
            Self::Conflict => {
                "give each running program an account or a resource of its own; trying again after a long pause"
            }
            Self::ComponentTaken => {
                "end the other one, or have ejabberd share the domain out among them (domain_balancing); trying again after a long pause"
            }
            // No account was named by then.
            Self::EndedBeforeTls("not-authorized", _) => {
                "use another network if it stays, or ask whoever runs the server; trying again"
            }
            Self::StreamError(condition, _) | Self::EndedBeforeTls(condition, _) => {
                advice_on_stream(condition)
            }
            Self::OtherResource => "trying again",
            Self::PlaintextRefused => {
                "use another `tls` than \"none\", or a loopback address in `server` and no proxy"
            }
            Self::Neither { server, .. } => server.advice(),
            Self::NoWebSocketNamed => {
                "put its URL into `server` (server = \"wss://…\"), or use another `tls`; trying again"
            }
            Self::NoWebSocket(_) | Self::NoXmppThere => "check the path of the URL in `server`; trying again",
            Self::SeeOtherUri => "ask whoever runs the server for the URL to put into `server`; trying again",
            Self::CaFile(_) => "it must be a readable PEM file with at least one certificate",
            Self::BadAddress(_) => "correct the login",
            Self::LoggedOut => "open the account again",
        }
    }
}

/// What can help where nobody answers, or nothing that makes sense, at this step.
fn advice_at(step: Step) -> &'static str {
    match step {
        Step::Dial => {
            "check `server`, and the network: a firewall may let nobody through to that port; trying again"
        }
        Step::HostMeta => {
            "if it stays, put the URL of the WebSocket into `server` (server = \"wss://…\"), or ask whoever runs the domain's web server; \
             trying again"
        }
        Step::StartTls => {
            "if its port is for TLS from the first byte, as 5223 and 443 mostly are, put it into `server` and add `tls = \"direct\"`; if not, use another \
             network, or ask whoever runs the server; trying again"
        }
        Step::Tls => {
            "check `tls` and the port in `server`; if they are right, the network may let no TLS through to there: use another; trying \
             again"
        }
        Step::Upgrade => "check the URL in `server`; trying again",
        Step::Stream | Step::Register | Step::Login => {
            "if it stays, use another network, or ask whoever runs the server; trying again"
        }
        Step::Session => "trying again",
    }
}

/// What can help where a login fails with this condition of RFC 6120 section 6.5.
fn advice_on_login(condition: &str) -> &'static str {
    match condition {
        "encryption-required" => "the server wants TLS: give another `tls`; trying again",
        "invalid-mechanism" | "mechanism-too-weak" => {
            "the server wants another way to log in than those that we know; trying again"
        }
        "incorrect-encoding" | "invalid-authzid" | "malformed-request" => {
            "check the login for characters that the server may not take; trying again"
        }
        _ => "trying again",
    }
}

/// What can help where a server ends the stream with this condition of RFC 6120 section 4.9.3.
fn advice_on_stream(condition: &str) -> &'static str {
    match condition {
        "host-unknown" | "host-gone" => {
            "the server does not serve the domain of the account: check the domain and `server`; trying again"
        }
        "not-authorized" => {
            "the account may have been deleted, or its password changed: check that with a chat client; trying again"
        }
        "policy-violation" => {
            "the server does not allow something: ask whoever runs it; trying again after a long pause"
        }
        "resource-constraint" => {
            "the server has no room for the account: wait, or use another account; trying again after a long pause"
        }
        "system-shutdown" | "reset" => "the server restarts, or wants a new login; trying again",
        "remote-connection-failed" | "internal-server-error" => {
            "the server has a fault of its own: if it stays, tell whoever runs it; trying again"
        }
        "see-other-host" => {
            "the server wants us elsewhere, and names no host there: set `server`; trying again"
        }
        _ => "trying again",
    }
}
