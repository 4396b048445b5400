//! Registrations in the state: the account that was registered at a domain, or the server's refusal.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What became of the registration at one place: a domain, with whoever is believed to be its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Registration {
    /// This account was asked for, and nobody has logged in to it.
    Asked {
        /// The last that was asked for.
        #[serde(flatten)]
        account: Account,
        /// How many times one was asked for since the server was last left alone.
        #[serde(default)]
        times: u32,
        /// Until when its server is left alone, in seconds since 1970.
        #[serde(default)]
        until: u64,
    },
    /// The server has this account, and has let us in.
    Made(Account),
    /// The server has refused.
    Refused {
        /// Why, in one word.
        why: String,
        /// Until when it is not asked again, in seconds since 1970.
        until: u64,
        /// The URL of the web page on which it registers accounts, if it has named one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page: Option<String>,
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
    /// This account was asked for, as the `times`th one.
    #[must_use]
    pub fn asked(account: Account, times: u32) -> Self {
        Self::Asked { account, times, until: 0 }
    }

    /// The account, if there may be one.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Asked { account, .. } | Self::Made(account) => Some(account),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[test]
    fn a_refusal_that_was_kept_before_pages_were_is_read() {
        let kept = r#"{"is":"refused","why":"web","until":3}"#;
        let read: Registration = serde_json::from_str(kept).unwrap();
        assert_eq!(read, Registration::Refused { why: "web".to_owned(), until: 3, page: None });
        assert_eq!(serde_json::to_string(&read).unwrap(), kept);
        let page = Some("https://chat.example/register".to_owned());
        let named = Registration::Refused { why: "web".to_owned(), until: 3, page };
        let written = serde_json::to_string(&named).unwrap();
        assert_eq!(serde_json::from_str::<Registration>(&written).unwrap(), named);
    }

    #[test]
    fn what_was_kept_before_requests_were_counted_is_read() {
        let kept = r#"{"is": "asked", "user": "marilan84", "password": "secret"}"#;
        let account = Account { user: "marilan84".to_owned(), password: Password::new("secret") };
        assert_eq!(
            serde_json::from_str::<Registration>(kept).unwrap(),
            Registration::asked(account.clone(), 0)
        );
        let counted = Registration::Asked { account, times: 2, until: 3 };
        let written = serde_json::to_string(&counted).unwrap();
        assert_eq!(serde_json::from_str::<Registration>(&written).unwrap(), counted);
    }
}
