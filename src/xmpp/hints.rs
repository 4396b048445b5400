//! Hints between runs: in which way servers were reached last, so that a cold start begins with it. Pure.

/// A way to reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the servers for STARTTLS.
    StartTls,
    /// By those for direct TLS.
    Direct,
    /// By a WebSocket.
    WebSocket,
}

/// Keeps hints. One that is wrong costs time, and nothing else.
pub trait Hints: Send + Sync {
    /// The way that worked last at this domain, if it is known.
    fn recall(&self, domain: &str) -> Option<Way>;

    /// This one has worked.
    fn keep(&self, domain: &str, way: Way);
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::StartTls, Self::Direct, Self::WebSocket];

    /// Its name, as `tls` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Direct => "direct",
            Self::WebSocket => "websocket",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}
