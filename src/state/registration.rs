//! Registrations in the state: the account that was registered at a domain, or the server's refusal.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What became of the registration at one domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Registration {
    /// This account is asked for, and nobody knows whether the server has it.
    Asked(Account),
    /// The server has this account.
    Made(Account),
    /// The server has refused.
    Refused {
        /// Why, in one word.
        why: String,
        /// Until when it is not asked again, in seconds since 1970.
        until: u64,
    },
}

/// An account of our own at that domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its local part.
    pub user: String,
    /// Its password.
    pub password: Password,
}

/// A password, which shows only in the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// From its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Registration {
    /// The account, if there may be one.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Asked(account) | Self::Made(account) => Some(account),
            Self::Refused { .. } => None,
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}
