//! Transport names: C identifiers (pt-spec section 3.1).

use std::fmt;
use std::str::FromStr;

/// A transport's name: a C identifier (pt-spec section 3.1), as both C tor and Arti insist.
///
/// It can therefore stand in any line, list or option string without escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportName(String);

/// The text is not a C identifier (`[a-zA-Z_][a-zA-Z0-9_]*`). Trying again cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transport's name is made of letters, digits and underscores, and does not start with a digit")]
#[non_exhaustive]
pub struct BadName;

impl TransportName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TransportName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let digit_first = text.starts_with(|first: char| first.is_ascii_digit());
        if text.is_empty() || digit_first || !word { Err(BadName) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for TransportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_c_identifiers_are_names() {
        for good in ["hexchat", "_", "a1_B", "obfs4"] {
            assert!(good.parse::<TransportName>().is_ok(), "{good}");
        }
        for bad in ["", "hexchat-pt", "4obfs", "a b", "a:b", "é", "a\n", "a,b"] {
            assert_eq!(bad.parse::<TransportName>(), Err(BadName), "{bad}");
        }
    }
}
