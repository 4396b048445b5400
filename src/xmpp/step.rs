//! Steps of an attempt to log in, for error texts.

use std::fmt;

/// A part of the way from nothing to a usable session, for error texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking the domain where its WebSocket is (XEP-0156).
    HostMeta,
    /// Name resolution and the TCP connection.
    Dial,
    /// The XML stream up to and including `<starttls/>` (RFC 6120 section 5).
    StartTls,
    /// The TLS handshake.
    Tls,
    /// Making a WebSocket of the connection (RFC 7395 section 3.1).
    Upgrade,
    /// The XML stream's header and features (RFC 6120 section 4).
    Stream,
    /// Registration of an account (XEP-0077).
    Register,
    /// SASL (RFC 6120 section 6).
    Login,
    /// Resource binding (RFC 6120 section 7), or resumption (XEP-0198 section 5).
    Bind,
    /// All that follows.
    Session,
}

impl Step {
    /// Whether it comes after all that protects a connection.
    pub(super) fn is_secured(self) -> bool {
        match self {
            Self::HostMeta | Self::Dial | Self::StartTls | Self::Tls => false,
            Self::Upgrade | Self::Stream | Self::Register | Self::Login | Self::Bind | Self::Session => true,
        }
    }

    /// Whether it comes before the server is told which account wants in.
    pub(super) fn is_before_login(self) -> bool {
        !self.is_secured() || matches!(self, Self::Upgrade | Self::Stream)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostMeta => "asking the domain of the account for its WebSocket",
            Self::Dial => "dialling the chat server",
            Self::StartTls => "asking the chat server for TLS",
            Self::Tls => "setting up TLS with the chat server",
            Self::Upgrade => "opening a WebSocket at the chat server",
            Self::Stream => "opening the stream with the chat server",
            Self::Register => "registering an account at the chat server",
            Self::Login => "logging in at the chat server",
            Self::Bind => "opening a session at the chat server",
            Self::Session => "keeping the session with the chat server",
        })
    }
}
