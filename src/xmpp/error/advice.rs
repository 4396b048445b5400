//! Advice on an account's errors: what can help, as clauses to put behind their texts.

use std::time::Duration;

use super::web_status::{CHECK_PATH, advice_on_upgrade};
use super::{AccountError, Step, bind_refusal};

const HOUR: Duration = Duration::from_secs(3600);

/// Where nobody knows what the server means.
const IF_IT_STAYS: &str =
    "if it stays, ask whoever runs the server, or use an account at another server; trying again";

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
            Self::Dns(fault) => fault.advice(),
            Self::RecordsUnknown(unknown) => unknown.advice(),
            Self::Refused => {
                "check that the chat server runs, and `server` with its port (where neither that nor the domain's SRV records name one, it is \
                 5222, or 5223 for `tls = \"direct\"`); trying again"
            }
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
                "if the server has an authority of its own, or has signed its certificate itself, name that certificate in `ca_file`, or its key in `pin` \
                 (in a bridge line, too); otherwise someone may be listening in; trying again"
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
                "use another network; if it is the same there, ask whoever runs the server whether they have changed how it binds logins (channel \
                 binding), and if so, restart this program; trying again"
            }
            Self::Unproven | Self::UnknownDemand => {
                "the server, or who pretends to be it, is at fault; trying again"
            }
            Self::NoMechanism => {
                "ask whoever runs it for SCRAM-SHA-256 or SCRAM-SHA-1, or use an account at another server; trying again"
            }
            Self::NotAnonymous => {
                "name a domain that does, or an account with its password; trying again within half a minute"
            }
            Self::WrongPassword => {
                "correct the login; not trying again, because servers lock accounts that do"
            }
            Self::WrongSecret => "give the same in both configurations; not trying again",
            Self::AccountDisabled => "ask whoever runs the chat server; not trying again",
            Self::Registration(refusal, _) => refusal.advice(),
            Self::NotKept(fault) => fault.advice(),
            Self::PasswordExpired => "set a new one with a chat client; not trying again",
            Self::LoginUnavailable => {
                "the server has a fault that should pass; if it stays, tell whoever runs the server; trying again"
            }
            Self::LoginRefused(condition) => advice_on_login(condition),
            Self::BindRefused(condition, _) => bind_refusal::advice(condition),
            Self::StanzaTooLarge => {
                "sending smaller ones from now on; if it stays, ask whoever runs the server to take 10,000 bytes, as every server has to, or use \
                 an account at another server; trying again"
            }
            Self::LoginTooLarge(_) => {
                "ask whoever runs the server to take 10,000 bytes, as every server has to, or use an account at another server; trying again \
                 within half a minute"
            }
            Self::OverLimit(..) => {
                "let it rest, and spread the load over more accounts or a server of your own; trying again within 3 hours"
            }
            Self::SeeOtherHost(_) => {
                "if that stays, set `server` to where it lets us in; trying again, at that host next"
            }
            Self::NotFollowed(fault) => fault.advice(),
            Self::Elsewhere(elsewhere) => elsewhere.advice(),
            Self::Conflict => {
                "give each running program an account or a resource of its own; trying again within half a minute"
            }
            Self::ComponentTaken => {
                "end the other one, or have ejabberd share the domain out among them (domain_balancing); trying again within half a minute"
            }
            // No account was named by then.
            Self::EndedBeforeTls("not-authorized", _)
            | Self::StreamError(Step::Register, "not-authorized", _) => {
                "use another network if it stays, or ask whoever runs the server; trying again"
            }
            Self::StreamError(_, condition, _) | Self::EndedBeforeTls(condition, _) => {
                advice_on_stream(condition)
            }
            Self::OtherResource => {
                "taking the one that the server gives; if the account does not come online with that, ask whoever runs the server; trying again"
            }
            Self::PlaintextRefused => {
                "use another `tls` than \"none\", or a loopback address in `server` and no proxy"
            }
            Self::Neither { server, .. } => server.advice(),
            Self::WebServer(fault) => fault.advice(),
            Self::NoWebSocketNamed => {
                "put its URL into `server` (server = \"wss://…\"), or use another `tls`; trying again"
            }
            Self::NoWebSocket(status) => advice_on_upgrade(*status),
            Self::NoXmppThere => CHECK_PATH,
            Self::SeeOtherUri => "ask whoever runs the server for the URL to put into `server`; trying again",
            Self::CaFile(_) => "it must be a readable PEM file with at least one certificate",
            Self::BadAddress(_) => "correct the login",
            Self::LoggedOut => "open the account again",
        }
    }

    /// The advice without its clause on attempts: what a person can do, which may be nothing.
    pub fn remedy(&self) -> &'static str {
        let advice = self.advice();
        let is_on_attempts = |clause: &str| {
            ["trying again", "not trying again", "asking again"].iter().any(|word| clause.starts_with(word))
        };
        match advice.rsplit_once("; ") {
            Some((remedy, last)) if is_on_attempts(last) => remedy,
            None if is_on_attempts(advice) => "",
            _ => advice,
        }
    }

    /// What is wrong, and what a person can do about it, for where nothing is tried again.
    pub fn with_remedy(&self) -> String {
        match self.remedy() {
            "" => self.to_string(),
            remedy => format!("{self}; {remedy}"),
        }
    }

    /// The advice where the server is left alone for so long, which is hours.
    pub fn advice_at_rest(&self, rest: Duration) -> String {
        let again = format!("trying again {}", within(rest));
        match self.remedy() {
            "" => again,
            remedy => format!("{remedy}; {again}"),
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
        Step::Upgrade => "check the URL that `server`, or the domain's host-meta, names; trying again",
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
            "the server wants another way to log in than those that we know: ask whoever runs it for SCRAM-SHA-256 or SCRAM-SHA-1, or use an \
             account at another server; trying again"
        }
        "incorrect-encoding" | "invalid-authzid" | "malformed-request" => {
            "check the login for characters that the server may not take; if it has none, ask whoever runs the server, or use an account at another \
             one; trying again"
        }
        _ => IF_IT_STAYS,
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
        "conflict" => {
            "the server may allow no more connections from this address, or of this account: end others, or use another account or network; \
             trying again within half a minute"
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
        _ => IF_IT_STAYS,
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
    }

    #[test]
    fn who_is_refused_a_login_is_told_what_to_do_whatever_the_server_says() {
        for condition in [
            "aborted",
            "credentials-expired",
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

    #[test]
    fn a_certificate_of_its_own_making_can_be_trusted_in_two_ways() {
        let advice = AccountError::CertificateUntrusted.advice();
        for words in ["has signed its certificate itself", "`ca_file`", "`pin`", "bridge line"] {
            assert!(advice.contains(words), "{advice}");
        }
    }

    #[test]
    fn a_fault_that_stays_is_not_only_waited_for() {
        let words = Words::default;
        for fault in [
            AccountError::OtherResource,
            AccountError::LoginUnavailable,
            AccountError::LoginRefused("credentials-expired"),
            AccountError::StreamError(Step::Stream, "undefined-condition", words()),
            AccountError::StreamError(Step::Session, "unsupported-feature", words()),
            AccountError::EndedBeforeTls("undefined-condition", words()),
        ] {
            let advice = fault.advice();
            assert!(
                advice.contains("whoever runs") && advice.ends_with("; trying again"),
                "{fault}: {advice}"
            );
        }
    }

    #[test]
    fn who_is_not_let_register_is_not_told_of_an_account_that_was_deleted() {
        let barred = |step| AccountError::StreamError(step, "not-authorized", Words::default());
        assert!(!barred(Step::Register).advice().contains("deleted"));
        assert!(barred(Step::Session).advice().contains("may have been deleted"));
    }
}
