//! Errors of an account, and whether trying again can help.

mod advice;
mod bind_refusal;
mod dns_fault;
mod during;
mod elsewhere;
mod named_by;
mod not_followed;
mod proxy_fault;
mod records_unknown;
mod tls_alert;
mod web_server_fault;
mod web_status;

use std::io;

use thiserror::Error;
use xmpp_parsers::sasl::DefinedCondition as SaslCondition;

pub use self::dns_fault::DnsFault;
pub use self::elsewhere::Elsewhere;
pub use self::named_by::NamedBy;
pub use self::not_followed::{NotFollowed, Unfollowed};
pub(super) use self::proxy_fault::EndedUnheard;
pub use self::proxy_fault::ProxyFault;
pub use self::records_unknown::RecordsUnknown;
pub(super) use self::tls_alert::demands_certificate;
pub use self::web_server_fault::WebServerFault;
pub use super::other_host::OtherHost;
use super::registration::{NotKept, Refusal};
pub use super::step::Step;
pub use super::words::Words;

/// Why an account is not online.
///
/// The text says what was being done; [`advice`](Self::advice) says what can help. Neither names the account or the
/// server, and what the server wrote is only in [`Words`]: both are safe in any log. Unless
/// [`is_permanent`](Self::is_permanent), the account keeps trying on its own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccountError {
    /// What was to be dialled has no address.
    #[error("{}: {} has no address", Step::Dial, .0)]
    NoAddress(NamedBy),
    /// The name of an onion service, which nobody but a proxy finds (RFC 7686).
    #[error("{}: a .onion address is reached through a proxy alone, and there is none", Step::Dial)]
    OnionWithoutProxy,
    /// The SRV records of the domain have machines, and port 0 for each.
    #[error("{}: the SRV records of the domain name no port", Step::Dial)]
    NoPort,
    /// The SRV records of the domain say that it has no server for clients (RFC 2782, a target of `.`).
    #[error("{}: the SRV records of the domain say that it has none", Step::Dial)]
    NotOffered,
    /// Nobody knows what DNS has of a name.
    #[error("{}: {}", Step::Dial, .0)]
    Dns(DnsFault),
    /// A fault at the domain itself, whose SRV records could not be asked for.
    #[error("{0}")]
    RecordsUnknown(RecordsUnknown),
    /// Every address refused the connection.
    #[error("{}: connection refused", Step::Dial)]
    Refused,
    /// No route to the network of any address.
    #[error("{}: no route to it", Step::Dial)]
    NoRoute,
    /// A route, and nobody at its end.
    #[error("{}: its machine cannot be reached", Step::Dial)]
    HostUnreachable,
    /// The proxy gave no connection, or none of use.
    #[error("{}: {}", .0.step(), .0)]
    Proxy(ProxyFault),
    /// We cannot call from the address that we were told to use.
    #[error("{}: the source address that Tor demands cannot be used", Step::Dial)]
    BadSource,
    /// A deadline passed.
    #[error("{0}: no answer in time")]
    TimedOut(Step),
    /// The peer closed the connection.
    #[error("{0}: it closed the connection")]
    Closed(Step),
    /// The server sends without end where one stanza should be.
    #[error("{0}: it sent more than any chat server has to say at once")]
    TooMuch(Step),
    /// Another fault of the network.
    #[error("{step}: {kind}")]
    Io {
        /// What was being done.
        step: Step,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
    /// The certificate is from an authority that we do not know.
    #[error("{}: its certificate is from an unknown authority", Step::Tls)]
    CertificateUntrusted,
    /// The certificate is for another domain.
    #[error("{}: it has no certificate for the domain of the account", Step::Tls)]
    CertificateWrongName,
    /// The certificate of a WebSocket is for another host than that of its URL.
    #[error("{}: it has no certificate for the host of its WebSocket", Step::Tls)]
    CertificateWrongHost,
    /// The certificate, or our clock, is out of date.
    #[error("{}: its certificate is not valid at this time", Step::Tls)]
    CertificateExpired,
    /// The certificate has another key than `pin` says.
    #[error("{}: its certificate does not have the key that `pin` says", Step::Tls)]
    CertificateNotPinned,
    /// The server lets nobody in who shows no certificate of their own.
    #[error("{}: it demands a certificate of ours, and there is none", Step::Tls)]
    ClientCertificate,
    /// Another fault of TLS.
    #[error("{}: the handshake failed", Step::Tls)]
    Tls,
    /// The server does not offer TLS where we require it.
    #[error("{}: it offers none", Step::StartTls)]
    NoStartTls,
    /// The server offers TLS, and then does not begin it (RFC 6120 section 5.4.2.2).
    #[error("{}: it refuses to begin", Step::StartTls)]
    StartTlsRefused,
    /// No server was reached, nor, as the last resort, a WebSocket of the domain.
    #[error("{server} (over a WebSocket: {web_socket})")]
    Neither {
        /// Why no server was.
        server: Box<AccountError>,
        /// Why no WebSocket was.
        web_socket: Box<AccountError>,
    },
    /// The domain names no WebSocket under TLS in its host-meta, or has none.
    #[error("{}: it has no host-meta that names one", Step::HostMeta)]
    NoWebSocketNamed,
    /// The domain's web server could not be asked safely.
    #[error("{}: {}", Step::HostMeta, .0)]
    WebServer(WebServerFault),
    /// What answers there is a web server, with this status, and no WebSocket.
    #[error("opening a WebSocket at the chat server: there is a web server, which answers with status {0}")]
    NoWebSocket(u16),
    /// There is a WebSocket, for another protocol.
    #[error("{}: it is not one for XMPP", Step::Upgrade)]
    NoXmppThere,
    /// The server ends the stream and names another place (RFC 7395 section 3.6.2).
    #[error("{}: it sends clients to another WebSocket, which is not followed", Step::Stream)]
    SeeOtherUri,
    /// The server offers no mechanism that we accept.
    #[error("{}: it offers no login mechanism that keeps the password secret", Step::Login)]
    NoMechanism,
    /// The server offers no login without an account.
    #[error("{}: it lets nobody in without an account", Step::Login)]
    NotAnonymous,
    /// The server does not accept the user name and password.
    #[error("{}: wrong user name or password", Step::Login)]
    WrongPassword,
    /// The server knows another secret for the component.
    #[error("{}: it knows another secret for the component", Step::Login)]
    WrongSecret,
    /// The account is disabled.
    #[error("{}: the account is disabled", Step::Login)]
    AccountDisabled,
    /// The password has expired.
    #[error("{}: the password has expired", Step::Login)]
    PasswordExpired,
    /// The server cannot check the password at the moment.
    #[error("{}: it cannot check passwords at the moment", Step::Login)]
    LoginUnavailable,
    /// The login failed with this other condition of RFC 6120 section 6.5.
    #[error("logging in at the chat server: refused ({0})")]
    LoginRefused(&'static str),
    /// The server accepts us without having shown that it knows the password.
    #[error("{}: it does not know the password itself, so that somebody may be in between", Step::Login)]
    Unproven,
    /// The server keeps the password, or claims to, in a form that is too easily guessed from.
    #[error(
        "{}: the server asks for too few iterations of SCRAM, with which a password is quickly guessed",
        Step::Login
    )]
    TooFewIterations,
    /// The server demands an extension of SCRAM, and nobody knows one.
    #[error("{}: the server demands an extension of SCRAM that does not exist", Step::Login)]
    UnknownDemand,
    /// The server's offer is not all that it has offered, or need not be (XEP-0440, XEP-0474).
    #[error("{}: somebody in between may have changed what it offers, to listen in", Step::Login)]
    Downgraded,
    /// The server refuses a login that is bound to the TLS connection, since it is at the end of another.
    #[error(
        "{}: it is at the end of another TLS connection, so that somebody may be in between",
        Step::Login
    )]
    NotBound,
    /// There is no account, since the server has registered none.
    #[error("registering an account at the chat server: {0}{1}")]
    Registration(Refusal, Words),
    /// An account that is to be registered could not be kept, for this reason.
    #[error("{}: it could not be kept: {}", Step::Register, .0.why)]
    NotKept(NotKept),
    /// Another login took our resource.
    #[error("{}: another login with the same resource replaced this one", Step::Session)]
    Conflict,
    /// Somebody else is the component of this domain (XEP-0114).
    #[error("serving the chat server as a component: another process is that component")]
    ComponentTaken,
    /// The server gave us another resource than the one that we asked for, in whose name we had begun to send.
    #[error("{}: it gave the account another resource than the one asked for", Step::Bind)]
    OtherResource,
    /// The server gives the account no resource, with this condition of RFC 6120 section 8.3.3.
    #[error("{}: refused ({}){}", Step::Bind, .0, .1)]
    BindRefused(&'static str, Words),
    /// The server takes no stanza as large as one of ours.
    #[error("{}: it takes no stanza as large as one of ours", Step::Session)]
    StanzaTooLarge,
    /// The server takes no stanza as large as those of a login, of which none is large.
    #[error("{0}: it takes no stanza as large as those of a login")]
    LoginTooLarge(Step),
    /// The server says that we do something too often, or too much of it.
    #[error("{0}: it says that this account, or this address, does too much{1}")]
    OverLimit(Step, Words),
    /// The server wants us to connect to another host, which is tried next.
    #[error("the chat server sends us to another host, {0}")]
    SeeOtherHost(OtherHost),
    /// The same, and we do not go there.
    #[error("{0}")]
    NotFollowed(NotFollowed),
    /// A fault at another host, where the server has sent us.
    #[error("{0}")]
    Elsewhere(Elsewhere),
    /// The server ended the stream with this condition of RFC 6120 section 4.9.3.
    #[error("{0}: it ended the stream ({1}){2}")]
    StreamError(Step, &'static str, Words),
    /// The stream was ended with this condition before TLS: the server may have said so, or anybody in between.
    #[error(
        "asking the chat server for TLS: the stream was ended ({0}), by the server or somebody in between{1}"
    )]
    EndedBeforeTls(&'static str, Words),
    /// The server answered with something that XMPP does not allow there.
    #[error("{0}: the answer makes no sense")]
    Protocol(Step),
    /// `tls = "none"` for a server that is not on this machine, or through a proxy, which need not be.
    #[error(
        "refusing to log in without TLS to a chat server that is not on this machine, or through a proxy"
    )]
    PlaintextRefused,
    /// `ca_file` cannot be used.
    #[error("reading ca_file: {0}")]
    CaFile(&'static str),
    /// The address of the account cannot be logged in to.
    #[error("the address of the account is unusable: {0}")]
    BadAddress(&'static str),
    /// We logged out, or there never was such an account.
    #[error("the account is logged out")]
    LoggedOut,
}

impl AccountError {
    /// Whether the connection ended without a stream error: something between us and the server broke it, or the server closed it and
    /// did not say why.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::Io { .. })
    }

    /// Whether the server ends sessions on purpose, for what only a person can change: [`advice`](Self::advice) says what.
    pub fn is_for_a_person(&self) -> bool {
        matches!(
            self,
            Self::Conflict
                | Self::OverLimit(..)
                | Self::NotFollowed(_)
                | Self::StreamError(_, "policy-violation" | "resource-constraint", _)
        )
    }

    /// Whether it is the login that is wrong, as somebody has written it.
    pub fn is_login_fault(&self) -> bool {
        matches!(self, Self::WrongPassword | Self::WrongSecret | Self::PasswordExpired | Self::BadAddress(_))
    }

    /// Whether trying again with the same configuration is pointless: the server has judged these credentials, or the
    /// configuration can never work. Servers lock accounts after repeated failures, so nothing is tried again then.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::WrongPassword
            | Self::WrongSecret
            | Self::AccountDisabled
            | Self::PasswordExpired
            | Self::PlaintextRefused
            | Self::OnionWithoutProxy
            | Self::CaFile(_)
            | Self::BadAddress(_)
            | Self::Registration(Refusal::Gone, _)
            | Self::NotKept(NotKept { can_pass: false, .. })
            | Self::LoggedOut => true,
            Self::NoAddress(_)
            | Self::NoPort
            | Self::NotOffered
            | Self::Dns(_)
            | Self::RecordsUnknown(_)
            | Self::Refused
            | Self::NoRoute
            | Self::HostUnreachable
            | Self::TooMuch(_)
            | Self::Proxy(_)
            | Self::BadSource
            | Self::TimedOut(_)
            | Self::Closed(_)
            | Self::Io { .. }
            | Self::CertificateUntrusted
            | Self::CertificateWrongName
            | Self::CertificateWrongHost
            | Self::CertificateExpired
            | Self::CertificateNotPinned
            | Self::Neither { .. }
            | Self::NoWebSocketNamed
            | Self::WebServer(_)
            | Self::NoWebSocket(_)
            | Self::NoXmppThere
            | Self::SeeOtherUri
            | Self::ClientCertificate
            | Self::Tls
            | Self::NoStartTls
            | Self::StartTlsRefused
            | Self::NoMechanism
            | Self::NotAnonymous
            | Self::Unproven
            | Self::TooFewIterations
            | Self::UnknownDemand
            | Self::Downgraded
            | Self::NotBound
            | Self::LoginUnavailable
            | Self::LoginRefused(_)
            | Self::Registration(..)
            | Self::NotKept(_)
            | Self::Conflict
            | Self::ComponentTaken
            | Self::OtherResource
            | Self::BindRefused(..)
            | Self::StanzaTooLarge
            | Self::LoginTooLarge(_)
            | Self::OverLimit(..)
            | Self::SeeOtherHost(_)
            | Self::NotFollowed(_)
            | Self::Elsewhere(_)
            | Self::StreamError(..)
            | Self::EndedBeforeTls(..)
            | Self::Protocol(_) => false,
        }
    }

    /// How long the server is to be left alone before the next attempt, where there is one.
    pub(super) fn pause(&self) -> Pause {
        match self {
            Self::StanzaTooLarge | Self::SeeOtherHost(_) => Pause::None,
            // Said once it may have been a moment's, and whoever has no other login would wait for hours.
            Self::Conflict => Pause::HoursIfRepeated,
            Self::StreamError(_, "conflict", _) | Self::LoginTooLarge(_) => Pause::Long,
            Self::BindRefused(condition, _) => bind_refusal::pause(condition),
            Self::Downgraded | Self::NotBound => Pause::Long,
            Self::ComponentTaken | Self::EndedBeforeTls(..) => Pause::Long,
            Self::NotFollowed(fault) if fault.is_endless() => Pause::Long,
            Self::Registration(..) | Self::NotKept(_) => Pause::Hour,
            Self::StreamError(_, "policy-violation" | "resource-constraint", _) => Pause::HoursIfRepeated,
            // Servers count logins that fail, and shut out the address.
            Self::NotAnonymous => Pause::HoursIfRepeated,
            Self::OverLimit(..) => Pause::Hours,
            Self::NoWebSocket(status) if *status == web_status::TOO_MANY => Pause::Hours,
            Self::WebServer(fault) if fault.is_too_much() => Pause::Hours,
            Self::Proxy(fault) if fault.is_too_much() => Pause::Long,
            Self::Neither { server, .. } => server.pause(),
            Self::Elsewhere(elsewhere) => elsewhere.fault().pause(),
            Self::RecordsUnknown(unknown) => unknown.fault().pause(),
            _ => Pause::Usual,
        }
    }

    /// Whether trying again can help in some hours only.
    pub fn rests(&self) -> bool {
        matches!(self.pause(), Pause::Hour | Pause::Hours)
    }

    /// Why there is no connection at all: no server was reached, nor, where one was tried, a WebSocket. What says the same again, or
    /// nothing, is left out.
    pub(super) fn of_both(server: Self, web_socket: Self) -> Self {
        // Where a server sends us is to be followed, whatever a WebSocket has.
        let says_nothing = matches!(server, Self::SeeOtherHost(_))
            || web_socket == Self::NoWebSocketNamed
            || server.has_cause_of(&web_socket);
        if says_nothing {
            return server;
        }
        Self::Neither { server: server.into(), web_socket: web_socket.into() }
    }

    /// Whether both come of one cause.
    fn has_cause_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Proxy(one), Self::Proxy(other)) => one.is_like(*other),
            // Nobody answers: who asks for the host-meta dials before that.
            (
                Self::TimedOut(Step::Dial) | Self::Proxy(ProxyFault::Silent | ProxyFault::Stalled(_)),
                Self::TimedOut(Step::Dial | Step::HostMeta),
            ) => true,
            _ => self == other,
        }
    }

    /// A fault of the connection that is being made.
    pub fn dial(error: &io::Error) -> Self {
        Self::io(Step::Dial, error)
    }

    /// A fault of the connection during `step`.
    pub(super) fn io(step: Step, error: &io::Error) -> Self {
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            // A layer below, which is no socket, knows better.
            return fault.clone();
        }
        if demands_certificate(error) {
            return Self::ClientCertificate;
        }
        if error.get_ref().is_some_and(|inner| inner.is::<EndedUnheard>()) {
            return Self::Proxy(ProxyFault::Ended(step));
        }
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Protocol(step),
            io::ErrorKind::TimedOut => Self::TimedOut(step),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset => Self::Closed(step),
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::NetworkUnreachable => Self::NoRoute,
            io::ErrorKind::HostUnreachable => Self::HostUnreachable,
            kind => Self::Io { step, kind },
        }
    }

    /// What a stream error says to a component: servers say `conflict` to all but one of those of a domain (XEP-0114 section 3).
    pub(super) fn of_component(self) -> Self {
        if self == Self::Conflict { Self::ComponentTaken } else { self }
    }

    /// What a stream error is worth that was said before TLS. Whoever is in between can say it, so that it makes no account rest for hours:
    /// where it is the server that shuts out an address (ejabberd's mod_fail2ban), no password was tried.
    pub(super) fn before_tls(self) -> Self {
        match self {
            Self::LoginTooLarge(_) => Self::EndedBeforeTls("policy-violation", Words::default()),
            Self::OverLimit(_, words) => Self::EndedBeforeTls("policy-violation", words),
            Self::StreamError(_, condition, words) => Self::EndedBeforeTls(condition, words),
            other => other,
        }
    }

    /// The server refused the login.
    pub(super) fn sasl(condition: &SaslCondition) -> Self {
        match condition {
            SaslCondition::NotAuthorized => Self::WrongPassword,
            SaslCondition::AccountDisabled => Self::AccountDisabled,
            SaslCondition::CredentialsExpired => Self::PasswordExpired,
            SaslCondition::TemporaryAuthFailure => Self::LoginUnavailable,
            SaslCondition::Aborted => Self::LoginRefused("aborted"),
            SaslCondition::EncryptionRequired => Self::LoginRefused("encryption-required"),
            SaslCondition::IncorrectEncoding => Self::LoginRefused("incorrect-encoding"),
            SaslCondition::InvalidAuthzid => Self::LoginRefused("invalid-authzid"),
            SaslCondition::InvalidMechanism => Self::LoginRefused("invalid-mechanism"),
            SaslCondition::MalformedRequest => Self::LoginRefused("malformed-request"),
            SaslCondition::MechanismTooWeak => Self::LoginRefused("mechanism-too-weak"),
        }
    }
}

impl From<Refusal> for AccountError {
    fn from(refusal: Refusal) -> Self {
        Self::Registration(refusal, Words::default())
    }
}

/// How long a server is to be left alone after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Not at all: the next attempt does something else.
    None,
    /// As the back-off says.
    Usual,
    /// As long as the back-off ever says: what is wrong does not pass by itself.
    Long,
    /// For an hour, after which the registry knows whether the server may be asked again.
    Hour,
    /// As long as the back-off ever says, and for hours where it happens again: it may mean "too much".
    HoursIfRepeated,
    /// For hours: it means "too much", and who insists is shut out.
    Hours,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_judged_credential_is_final() {
        let fail = |condition| AccountError::sasl(&condition);
        assert_eq!(fail(SaslCondition::NotAuthorized), AccountError::WrongPassword);
        assert!(fail(SaslCondition::NotAuthorized).is_permanent());
        assert!(fail(SaslCondition::AccountDisabled).is_permanent());
        assert!(!fail(SaslCondition::TemporaryAuthFailure).is_permanent());
        assert!(!fail(SaslCondition::MechanismTooWeak).is_permanent());
        assert!(!AccountError::CertificateUntrusted.is_permanent());
    }

    #[test]
    fn a_dead_network_is_told_apart_from_nonsense() {
        let map = |kind| AccountError::io(Step::Login, &io::Error::from(kind));
        assert_eq!(map(io::ErrorKind::InvalidData), AccountError::Protocol(Step::Login));
        assert_eq!(map(io::ErrorKind::UnexpectedEof), AccountError::Closed(Step::Login));
        assert_eq!(map(io::ErrorKind::TimedOut), AccountError::TimedOut(Step::Login));
        assert_eq!(map(io::ErrorKind::ConnectionRefused), AccountError::Refused);
    }

    #[test]
    fn a_password_that_has_expired_and_an_account_that_is_disabled_are_final_and_told_apart() {
        let fail = |condition| AccountError::sasl(&condition);
        assert_eq!(fail(SaslCondition::CredentialsExpired), AccountError::PasswordExpired);
        assert_eq!(fail(SaslCondition::AccountDisabled), AccountError::AccountDisabled);
        assert!(AccountError::PasswordExpired.is_permanent());
        assert!(AccountError::PasswordExpired.advice().contains("a new one"));
    }

    #[test]
    fn a_fault_that_does_not_pass_by_itself_is_left_alone_for_longer() {
        let stream =
            |condition| AccountError::StreamError(Step::Session, condition, Words::default()).pause();
        assert_eq!(AccountError::StanzaTooLarge.pause(), Pause::None);
        assert_eq!(stream("system-shutdown"), Pause::Usual);
        assert_eq!(stream("not-authorized"), Pause::Usual);
        assert_eq!(AccountError::Conflict.pause(), Pause::HoursIfRepeated);
        assert_eq!(AccountError::NotBound.pause(), Pause::Long);
        assert_eq!(AccountError::from(Refusal::TooMany).pause(), Pause::Hour);
        assert_eq!(stream("policy-violation"), Pause::HoursIfRepeated);
        assert_eq!(stream("resource-constraint"), Pause::HoursIfRepeated);
        assert_eq!(AccountError::OverLimit(Step::Session, Words::default()).pause(), Pause::Hours);
        assert_eq!(AccountError::NoWebSocket(429).pause(), Pause::Hours);
        assert_eq!(AccountError::WebServer(WebServerFault::Status(429)).pause(), Pause::Hours);
        assert_eq!(AccountError::NoWebSocket(503).pause(), Pause::Usual);
    }

    /// Anybody between us and the proxy can say so.
    #[test]
    fn a_proxy_that_has_had_too_much_makes_no_account_rest_for_hours() {
        let fault = |code| AccountError::Proxy(ProxyFault::Refused { code, port: 5222 });
        assert_eq!(fault(429).pause(), Pause::Long);
        assert!(fault(429).advice().ends_with("; trying again within half a minute"));
        assert_eq!(fault(403).pause(), Pause::Usual);
    }

    #[test]
    fn one_cause_is_said_once_and_nothing_of_a_websocket_that_nobody_names() {
        use AccountError::{CertificateExpired, Neither, NoWebSocketNamed, Proxy, Refused, TimedOut};
        let reached = |code| Proxy(ProxyFault::NotReached(code));
        for (server, web_socket) in [
            (Refused, Refused),
            (Refused, NoWebSocketNamed),
            (reached(4), reached(5)),
            (Proxy(ProxyFault::Silent), Proxy(ProxyFault::Stalled(Step::HostMeta))),
            (TimedOut(Step::Dial), TimedOut(Step::HostMeta)),
            (Proxy(ProxyFault::Silent), TimedOut(Step::HostMeta)),
            (Proxy(ProxyFault::Stalled(Step::StartTls)), TimedOut(Step::HostMeta)),
            (Proxy(ProxyFault::Ended(Step::StartTls)), Proxy(ProxyFault::Ended(Step::HostMeta))),
        ] {
            assert_eq!(AccountError::of_both(server.clone(), web_socket), server);
        }
        let both = AccountError::of_both(Refused, CertificateExpired);
        assert!(matches!(both, Neither { .. }));
        assert_eq!(
            both.to_string(),
            "dialling the chat server: connection refused (over a WebSocket: setting up TLS with the chat server: its certificate is \
             not valid at this time)"
        );
        assert_eq!(both.advice(), Refused.advice());
    }

    #[test]
    fn where_nobody_answers_there_is_something_to_try() {
        for step in [Step::HostMeta, Step::Dial, Step::Tls, Step::Upgrade, Step::Stream, Step::Login] {
            let advice = AccountError::TimedOut(step).advice();
            assert!(advice.ends_with("; trying again"), "{step:?}: {advice}");
        }
        assert!(!AccountError::Closed(Step::HostMeta).advice().contains("firewall"));
        for fault in [AccountError::TimedOut, AccountError::Closed, AccountError::Protocol] {
            assert!(fault(Step::StartTls).advice().contains("add `tls = \"direct\"`"));
        }
    }

    #[test]
    fn the_text_says_what_was_being_done() {
        assert_eq!(
            AccountError::WrongPassword.to_string(),
            "logging in at the chat server: wrong user name or password"
        );
        assert_eq!(
            AccountError::TimedOut(Step::Tls).to_string(),
            "setting up TLS with the chat server: no answer in time"
        );
    }
}
