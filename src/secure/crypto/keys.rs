//! Session keys: what a handshake leaves.

use secrecy::zeroize::Zeroizing;
use xmpp_parsers::jid::FullJid;

use crate::secure::crypto::credential::PathKey;
use crate::secure::crypto::file::FilesKey;
use crate::secure::crypto::relay::RelaysKey;
use crate::secure::crypto::secret::{MacKey, Secret, derive, head, jid_bytes, mac};

/// What protects the packets of one direction.
#[derive(Clone, Debug)]
pub struct DirectionKeys {
    /// Encrypts the packets of epoch 0.
    pub(crate) packet: Secret,
    /// Hides their counters.
    pub(crate) mask: Secret,
}

/// What a handshake leaves to one of its two sides.
#[derive(Debug)]
pub struct SessionKeys {
    /// For the packets that this side sends.
    pub send: DirectionKeys,
    /// For the packets that it receives.
    pub receive: DirectionKeys,
    /// Authenticates further paths.
    pub path_key: PathKey,
    /// Proves in a later handshake that it is the same client.
    pub resume_key: ResumeKey,
    /// Protects files.
    pub files_key: FilesKey,
    /// Protects relays.
    pub relays_key: RelaysKey,
}

/// The two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Bridge,
}

impl Side {
    /// How a key names the sender of what it protects.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Client => 1,
            Self::Bridge => 2,
        }
    }

    /// The one at the other end.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Bridge,
            Self::Bridge => Self::Client,
        }
    }
}

impl SessionKeys {
    /// From the two keys of Noise's `Split()`: the client's packets are encrypted with the first.
    pub(crate) fn derive(client: Secret, bridge: Secret, side: Side) -> Self {
        let secret = Zeroizing::new([*client.expose(), *bridge.expose()].concat());
        let client = DirectionKeys { packet: client, mask: derive(&secret, "client mask") };
        let bridge = DirectionKeys { packet: bridge, mask: derive(&secret, "bridge mask") };
        let (send, receive) = match side {
            Side::Client => (client, bridge),
            Side::Bridge => (bridge, client),
        };
        let path_key = PathKey::new(&derive(&secret, "path"));
        let resume_key = ResumeKey(derive(&secret, "resume"));
        let files_key = FilesKey(derive(&secret, "files"));
        let relays_key = RelaysKey(derive(&secret, "relays"));
        Self { send, receive, path_key, resume_key, files_key, relays_key }
    }
}

/// Shared by the two sides of a session; proves in a later handshake that its client is the same.
#[derive(Clone, Debug)]
pub struct ResumeKey(pub(crate) Secret);

/// What a client shows instead of its [`ResumeKey`]; good for one handshake only.
pub(crate) type ResumeProof = [u8; 16];

impl ResumeKey {
    /// Binds the old session to a handshake by its ephemeral key, and to the two accounts that make it.
    pub(crate) fn prove(&self, ephemeral: &[u8; 32], from: &FullJid, to: &FullJid) -> ResumeProof {
        let mac = mac(&MacKey::new(&self.0), &[ephemeral, &jid_bytes(from), &jid_bytes(to)]);
        head(&mac)
    }
}
