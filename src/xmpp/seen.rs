//! Steps of a login as they are seen, for whoever examines it. Nothing here names a host, an address or an account.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::DnsFault;

/// What was seen of a login on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is known where the server may be.
    Found(Whereabouts),
    /// A connection was made, directly or through the proxy, in so much time.
    Connected {
        /// From the call to the connection.
        took: Duration,
        /// How it is to be protected.
        how: How,
    },
    /// The connection is protected as it is to be: nobody in between can read it, and the certificate was accepted.
    Secured(Protection),
    /// What the server offers in a session.
    Offered(Offers),
}

/// How it was found out where a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// The configuration, the bridge line or another server has named it, or it is the domain, whose records are not asked for.
    Given,
    /// The domain has so many SRV records for clients.
    Records(usize),
    /// It has none: it is the domain itself.
    NoRecords,
    /// Nobody has told whether it has any.
    Unknown(DnsFault),
    /// The proxy lets nobody ask for them.
    Unasked,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Not at all.
    Plain,
    /// By TLS that is asked for in XMPP.
    StartTls,
    /// By TLS from the first byte.
    Direct,
    /// By TLS from the first byte, with a WebSocket in it.
    WebSocket,
}

/// What protects a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing.
    None,
    /// TLS of the version before the present one.
    Tls12,
    /// TLS of the present version.
    Tls13,
    /// The TLS of a web server.
    WebServer,
}

/// What a server offers in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The largest stanza that it takes, in bytes, where it says so (XEP-0478).
    pub max_stanza: Option<usize>,
    /// After how many seconds it ends a silent connection, where it says so (XEP-0478).
    pub idle_seconds: Option<u32>,
    /// Whether it counts stanzas, so that a session can be resumed (XEP-0198).
    pub counts: bool,
}

type Tell = dyn Fn(Seen) + Send + Sync;

/// Whoever is told of what is seen, if anybody.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Tell>>);

impl Observer {
    /// Tells this.
    pub fn new(tell: impl Fn(Seen) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(super) fn tell(&self, seen: Seen) {
        if let Some(tell) = &self.0 {
            tell(seen);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}
