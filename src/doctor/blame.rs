//! Blame: at which stage a login has failed, by its error. Pure.

use super::finding::Stage;
use crate::xmpp::{AccountError, ProxyFault, Step};

/// At which stage this is wrong.
pub(super) fn stage_of(error: &AccountError) -> Stage {
    match error {
        AccountError::BadAddress(_)
        | AccountError::CaFile(_)
        | AccountError::PlaintextRefused
        | AccountError::NotKept(_) => Stage::Configuration,
        AccountError::NoAddress(_)
        | AccountError::OnionWithoutProxy
        | AccountError::NoPort
        | AccountError::NotOffered
        | AccountError::Dns(_)
        | AccountError::NoWebSocketNamed => Stage::Dns,
        AccountError::RecordsUnknown(unknown) => stage_of(unknown.fault()),
        AccountError::Neither { server, .. } => stage_of(server),
        AccountError::Elsewhere(elsewhere) => stage_of(elsewhere.fault()),
        AccountError::Refused
        | AccountError::NoRoute
        | AccountError::HostUnreachable
        | AccountError::BadSource => Stage::Tcp,
        AccountError::Proxy(ProxyFault::Ended(step) | ProxyFault::Stalled(step)) => of_step(*step),
        AccountError::Proxy(_) => Stage::Tcp,
        AccountError::TimedOut(step)
        | AccountError::Closed(step)
        | AccountError::TooMuch(step)
        | AccountError::Protocol(step)
        | AccountError::OverLimit(step, _)
        | AccountError::StreamError(step, ..)
        | AccountError::Io { step, .. } => of_step(*step),
        AccountError::CertificateUntrusted
        | AccountError::CertificateWrongName
        | AccountError::CertificateWrongHost
        | AccountError::CertificateExpired
        | AccountError::CertificateNotPinned
        | AccountError::ClientCertificate
        | AccountError::Tls
        | AccountError::NoStartTls
        | AccountError::StartTlsRefused
        | AccountError::EndedBeforeTls(..)
        | AccountError::WebServer(_)
        | AccountError::NoWebSocket(_)
        | AccountError::NoXmppThere => Stage::Tls,
        _ => Stage::Login,
    }
}

fn of_step(step: Step) -> Stage {
    match step {
        Step::Dial => Stage::Tcp,
        Step::HostMeta | Step::StartTls | Step::Tls | Step::Upgrade => Stage::Tls,
        Step::Stream | Step::Register | Step::Login | Step::Bind | Step::Session => Stage::Login,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_of_the_stage_at_which_it_shows() {
        for (error, stage) in [
            (AccountError::PlaintextRefused, Stage::Configuration),
            (AccountError::NotOffered, Stage::Dns),
            (AccountError::Refused, Stage::Tcp),
            (AccountError::TimedOut(Step::Dial), Stage::Tcp),
            (AccountError::Proxy(ProxyFault::Silent), Stage::Tcp),
            (AccountError::Proxy(ProxyFault::Stalled(Step::Tls)), Stage::Tls),
            (AccountError::CertificateExpired, Stage::Tls),
            (AccountError::TimedOut(Step::StartTls), Stage::Tls),
            (AccountError::WrongPassword, Stage::Login),
            (AccountError::Closed(Step::Bind), Stage::Login),
        ] {
            assert_eq!(stage_of(&error), stage, "{error}");
        }
        let both = AccountError::Neither {
            server: Box::new(AccountError::Refused),
            web_socket: Box::new(AccountError::NoWebSocketNamed),
        };
        assert_eq!(stage_of(&both), Stage::Tcp);
    }

    #[test]
    fn what_helps_is_said_and_nothing_of_further_attempts() {
        let sentence = AccountError::WrongPassword.with_remedy();
        assert_eq!(sentence, "logging in at the chat server: wrong user name or password; correct the login");
        for error in [AccountError::Refused, AccountError::Closed(Step::Session), AccountError::NotOffered] {
            assert!(!error.with_remedy().contains("trying again"), "{error}");
        }
    }
}
