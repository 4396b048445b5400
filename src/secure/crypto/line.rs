//! Bridge line: what it says, and the bridge's half of it.

use std::fmt;

use secrecy::zeroize::{Zeroize as _, Zeroizing};

use crate::secure::crypto::entropy::{Entropy, random};
use crate::secure::crypto::handshake::noise;
use crate::secure::crypto::secret::{MacKey, Secret, derive};

/// The secrets of a bridge line: whoever has them may speak to the bridge.
#[derive(Clone)]
pub struct BridgeLine {
    key: Secret,
    psk: Option<Secret>,
}

impl BridgeLine {
    /// From the bridge's X25519 public key, and the pre-shared secret of a private bridge.
    #[must_use]
    pub fn new(key: [u8; 32], mut psk: Option<[u8; 32]>) -> Self {
        let line = Self { key: Secret::new(key), psk: psk.map(Secret::new) };
        psk.zeroize();
        line
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        self.key.expose()
    }

    pub(crate) fn psk(&self) -> Option<&[u8; 32]> {
        self.psk.as_ref().map(Secret::expose)
    }
}

impl PartialEq for BridgeLine {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key() && self.psk() == other.psk()
    }
}

impl Eq for BridgeLine {}

impl fmt::Debug for BridgeLine {
    /// Neither key: even the public one is for those who hold the line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BridgeLine(..)")
    }
}

/// What the two sides of a bridge line share before they have spoken.
#[derive(Clone, Debug)]
pub struct LineKeys {
    /// Authenticates first contacts; `crate::secure::crypto::credential` uses it.
    pub(crate) first_contact: MacKey,
    /// Hides the ephemeral keys of handshakes.
    pub(crate) mask: MacKey,
}

impl LineKeys {
    /// Derives them. Costs six HMACs: to be done once.
    #[must_use]
    pub fn new(line: &BridgeLine) -> Self {
        let [first_contact, mask] = Self::derive(line);
        Self { first_contact: MacKey::new(&first_contact), mask: MacKey::new(&mask) }
    }

    /// `sid_key` and `mask_key`.
    pub(crate) fn derive(line: &BridgeLine) -> [Secret; 2] {
        let mut ikm = Zeroizing::new(Vec::with_capacity(64));
        ikm.extend_from_slice(line.key());
        ikm.extend_from_slice(line.psk().map_or(&[], |psk| &psk[..]));
        ["sid", "handshake mask"].map(|info| derive(&ikm, info))
    }
}

/// A bridge's static X25519 key pair, which is its name for as long as its bridge line is good.
#[derive(Clone)]
pub struct Identity {
    secret: Secret,
    public: [u8; 32],
}

impl Identity {
    /// A new one.
    #[must_use]
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self::from_bytes(random(entropy))
    }

    /// The one with this secret key. Any 32 bytes are one (RFC 7748 section 5).
    #[must_use]
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self { public: noise::public_key(&secret), secret: Secret::new(secret) }
    }

    /// The secret key, to be kept and shown to nobody.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.secret.expose()
    }

    /// The public key, which the bridge line has.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// What the clients of this bridge hold.
    #[must_use]
    pub fn line(&self, psk: Option<[u8; 32]>) -> BridgeLine {
        BridgeLine::new(self.public, psk)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}
