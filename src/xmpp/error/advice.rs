//! Advice on an account's errors: what can help, as clauses to put behind their texts.

use std::time::Duration;

use super::{AccountError, Step};

const HOUR: Duration = Duration::from_secs(3600);

impl AccountError {
    /// What can help, as clauses to put behind the error's own text. The last one says when there is another attempt.
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
            Self::ClientCertificate => {
                "ask whoever runs the server for a port where a password is enough, and put it into `server`, or use an \
                 account at another server; trying again"
            }
            Self::Tls => "check `tls` and the port in `server`; trying again",
            Self::NoStartTls => "the server may want `tls = \"direct\"`; trying again",
            Self::StartTlsRefused => {
                "if it stays, ask whoever runs the server, give its port for TLS from the first byte as `server` and add `tls = \"direct\"`, or use an \
                 account at another server; trying again"
            }
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
                 trying again within half a minute"
            }
            Self::StanzaTooLarge => "sending smaller ones from now on; trying again",
            Self::OverLimit(..) => {
                "let it rest, and spread the load over more accounts or a server of your own; trying again within 3 hours"
            }
            Self::SeeOtherHost(_) => {
                "if it does not let us in there either, set `server` to where it should; trying again"
            }
            Self::Elsewhere(elsewhere) => elsewhere.advice(),
            Self::Conflict => {
                "give each running program an account or a resource of its own; trying again within half a minute"
            }
            Self::ComponentTaken => {
                "end the other one, or have ejabberd share the domain out among them (domain_balancing); trying again within half a minute"
            }
            // No account was named by then.
            Self::EndedBeforeTls("not-authorized", _) => {
                "use another network if it stays, or ask whoever runs the server; trying again"
            }
            Self::StreamError(_, condition, _) | Self::EndedBeforeTls(condition, _) => {
                advice_on_stream(condition)
            }
            Self::OtherResource => "trying again",
            Self::PlaintextRefused => {
                "use another `tls` than \"none\", or a loopback address in `server` and no proxy"
            }
            Self::Neither { server, .. } => server.advice(),
            Self::WebServer(fault) => fault.advice(),
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

    /// The same where the server is left alone for so long, which is hours: that stands in the place of what the last clause says of the
    /// time.
    pub fn advice_at_rest(&self, rest: Duration) -> String {
        let advice = self.advice();
        let (what_helps, _) = advice.rsplit_once("trying again").unwrap_or_default();
        format!("{what_helps}trying again {}", within(rest))
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
        Step::Stream | Step::Register | Step::Login | Step::Bind => {
            "if it stays, use another network, or ask whoever runs the server; trying again"
        }
        Step::Session => "trying again",
    }
}

/// What can help where a login fails with this condition of RFC 6120 section 6.5.
fn advice_on_login(condition: &str) -> &'static str {
    match condition {
        "aborted" => {
            "the server has broken it off: if it stays, ask whoever runs it, or use an account at another server; trying again"
        }
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
            "the server does not allow something: ask whoever runs it; trying again within half a minute"
        }
        "resource-constraint" => {
            "the server has no room for the account: wait, or use another account; trying again within half a minute"
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

/// "within 2 hours": so long, rounded up to whole hours.
fn within(rest: Duration) -> String {
    match rest.as_secs().div_ceil(HOUR.as_secs()) {
        0 | 1 => "within an hour".to_owned(),
        hours => format!("within {hours} hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::error::{Pause, Words};

    #[test]
    fn how_long_an_account_rests_is_said_roughly() {
        let violation = AccountError::StreamError(Step::Session, "policy-violation", Words::default());
        assert!(violation.advice().ends_with("; trying again within half a minute"));
        for (minutes, within) in
            [(0, "an hour"), (20, "an hour"), (60, "an hour"), (61, "2 hours"), (179, "3 hours")]
        {
            assert_eq!(
                violation.advice_at_rest(Duration::from_secs(minutes * 60)),
                format!(
                    "the server does not allow something: ask whoever runs it; trying again within {within}"
                )
            );
        }
    }

    #[test]
    fn whatever_makes_an_account_rest_says_what_helps_and_once_when_it_tries_again() {
        let ended = |condition| AccountError::StreamError(Step::Session, condition, Words::default());
        for fault in [
            AccountError::OverLimit(Step::Session, Words::default()),
            ended("policy-violation"),
            ended("resource-constraint"),
        ] {
            assert!(matches!(fault.pause(), Pause::Hours | Pause::HoursIfRepeated), "{fault}");
            let advice = fault.advice_at_rest(2 * HOUR);
            assert_eq!(advice.matches("trying again").count(), 1, "{advice}");
            let what_helps = advice.strip_suffix("; trying again within 2 hours").unwrap_or_default();
            assert!(what_helps.len() > 20 && fault.advice().starts_with(what_helps), "{advice}");
        }
        assert_eq!(AccountError::OtherResource.advice_at_rest(HOUR), "trying again within an hour");
    }

    #[test]
    fn who_is_refused_a_login_is_told_what_to_do_whatever_the_server_says() {
        for condition in [
            "aborted",
            "encryption-required",
            "incorrect-encoding",
            "invalid-authzid",
            "invalid-mechanism",
            "malformed-request",
            "mechanism-too-weak",
        ] {
            let advice = AccountError::LoginRefused(condition).advice();
            assert!(advice.len() > 20 && advice.ends_with("; trying again"), "{condition}: {advice}");
        }
    }
}
