//! Names of accounts, as the log has them: by the place where a person has written them.

use std::fmt;

/// What an account is called in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// By a number, in the order in which accounts were opened.
    Numbered(u64),
    /// The section of this number in the configuration file, counted from 1.
    Section(usize),
    /// The component.
    Component,
    /// A login of `[client]`.
    OfClient(Item),
    /// A login of a bridge line, with what the log calls the bridge.
    OfLine(Item, String),
}

/// An item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Counted from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl AccountName {
    /// What to do once the login is corrected, as a clause to put behind the advice; nothing where nobody knows.
    pub fn after_correction(&self) -> &'static str {
        match self {
            Self::Numbered(_) => "",
            Self::Section(_) | Self::Component | Self::OfClient(_) => {
                "; once the file is corrected, restart tor, or this program if tor does not run it"
            }
            Self::OfLine(..) => {
                "; once the bridge line is corrected, where all of a password but letters, digits and -._~ is written %XX, reload tor, or \
                 restart this program if tor does not run it"
            }
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbered(number) => write!(f, "account {number}"),
            Self::Section(number) => write!(f, "account {number}"),
            Self::Component => f.write_str("the component"),
            Self::OfClient(item) => write!(f, "{item} of [client]"),
            Self::OfLine(item, bridge) => write!(f, "{item} of {bridge}"),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of == 1 { f.write_str("the login") } else { write!(f, "login {}", self.number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_called_by_the_place_where_it_stands() {
        let (only, second) = (Item { number: 1, of: 1 }, Item { number: 2, of: 3 });
        for (name, text) in [
            (AccountName::Section(2), "account 2"),
            (AccountName::Component, "the component"),
            (AccountName::OfClient(only), "the login of [client]"),
            (
                AccountName::OfLine(second, "bridge [2001:db8::1]:443".into()),
                "login 2 of bridge [2001:db8::1]:443",
            ),
        ] {
            assert_eq!(name.to_string(), text);
        }
    }
}
