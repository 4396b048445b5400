//! Registration of accounts: their made-up names and passwords, and who keeps them. Pure.

mod refusal;
mod web_page;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

pub use self::refusal::Refusal;
pub use self::web_page::WebPage;
use crate::config::{AccountConfig, TlsMode};

/// Stands in place of a pin where there is no TLS (`tls=none`, on this machine alone): whoever listens there is believed. Pins have 43
/// characters.
const UNPROVEN: &str = "plaintext";

/// Where an account is registered: at a domain, with whoever is believed to be its server. Who is believed by a pin has no part in what
/// another one is told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    domain: String,
    /// Why somebody is believed to be its server: a pin in base64url, or [`UNPROVEN`]; none for an ordinary certificate.
    belief: Option<String>,
}

impl Place {
    /// That of this account.
    #[must_use]
    pub fn of(account: &AccountConfig) -> Self {
        let pin = account.pin.map(|pin| URL_SAFE_NO_PAD.encode(pin.as_bytes()));
        let is_unproven = account.tls == Some(TlsMode::None);
        let belief = if is_unproven { Some(UNPROVEN.to_owned()) } else { pin };
        Self { domain: account.jid.domain().as_str().to_owned(), belief }
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// How it is written down: the domain, and behind a space the pin if there is one, or the word for none where there is no TLS.
    #[must_use]
    pub fn key(&self) -> String {
        let belief = self.belief.iter().map(String::as_str);
        [self.domain.as_str()].into_iter().chain(belief).collect::<Vec<_>>().join(" ")
    }
}

/// An account that was made up, and perhaps registered.
#[derive(Clone)]
pub struct NewAccount {
    /// Its local part.
    pub user: String,
    /// Its password.
    pub password: SecretString,
}

/// What is known of the account at a place.
#[derive(Debug)]
pub enum Known {
    /// None was asked for.
    Nothing,
    /// This one was asked for, and nobody has logged in to it.
    Asked {
        /// The last that was asked for.
        account: NewAccount,
        /// How many times one was asked for since the server was last left alone.
        times: u32,
    },
    /// This one is registered, and was logged in to.
    Made(NewAccount),
    /// The server has refused of late, and is not to be asked again yet. It may have named a page to register on instead.
    Refused(Refusal, Option<WebPage>),
}

/// Why an account that is to be registered could not be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotKept {
    /// What is wrong and what helps, in words that are safe in any log.
    pub why: String,
    /// Whether that can pass while the program runs.
    pub can_pass: bool,
}

impl NotKept {
    /// What can help, as a clause behind the text.
    pub(crate) fn advice(&self) -> &'static str {
        if self.can_pass {
            "trying again in an hour"
        } else {
            "when that is mended, start this program again; not trying again"
        }
    }
}

/// Keeps what became of registrations, so that no account is registered twice, and none is lost.
///
/// All of it is about the account at one place. What it is told is on the disk when it returns.
pub trait Registry: Send + Sync {
    /// What is known.
    fn recall(&self, place: &Place) -> Known;

    /// Whether an account could be kept, before its server is called.
    ///
    /// # Errors
    ///
    /// None can be.
    fn check(&self) -> Result<(), NotKept>;

    /// This account is about to be asked for, in place of any other.
    ///
    /// # Errors
    ///
    /// It cannot be kept, so that it must not be asked for.
    fn ask(&self, place: &Place, account: &NewAccount) -> Result<(), NotKept>;

    /// This account was logged in to. Of no effect unless it is the one that was asked for.
    fn made(&self, place: &Place, account: &NewAccount);

    /// The server has refused this account, or to be asked, and may have named a page to register on instead. Of no effect if something
    /// else is known by now.
    fn refused(&self, place: &Place, asked: Option<&NewAccount>, refusal: Refusal, page: Option<&WebPage>);
}

/// The random bytes that an account is made of: 8 for its name, and 18 for its password.
pub const RANDOM_BYTES: usize = 26;

/// The bytes of a password: 18, 144 bits, which base64url writes as 24 characters.
const PASSWORD_BYTES: usize = 18;

impl NewAccount {
    /// One that is made of these random bytes. The name looks like one of a person's: three syllables, perhaps a letter more, and
    /// two digits; there are 40 million of them.
    #[must_use]
    pub fn draw(random: &[u8; RANDOM_BYTES]) -> Self {
        let (name, password) = random.split_at(RANDOM_BYTES - PASSWORD_BYTES);
        let password = Zeroizing::new(URL_SAFE_NO_PAD.encode(password));
        Self { user: name_of(name), password: SecretString::from(password.as_str()) }
    }
}

fn name_of(random: &[u8]) -> String {
    const CONSONANTS: [&str; 16] =
        ["b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"];
    const VOWELS: [&str; 5] = ["a", "e", "i", "o", "u"];
    const ENDS: [&str; 5] = ["", "l", "n", "r", "s"];
    let pick = |from: &[&'static str], byte: u8| from[usize::from(byte) % from.len()];
    let mut name: String =
        random[..6].chunks(2).flat_map(|pair| [pick(&CONSONANTS, pair[0]), pick(&VOWELS, pair[1])]).collect();
    name.push_str(pick(&ENDS, random[6]));
    name + &format!("{:02}", random[7] % 100)
}

impl fmt::Debug for NewAccount {
    /// Neither its name nor its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewAccount(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;
    use xmpp_parsers::jid::NodePart;

    proptest! {
        #[test]
        fn what_is_drawn_is_a_name_of_its_own_and_a_password_that_nobody_guesses(random: [u8; RANDOM_BYTES]) {
            let account = NewAccount::draw(&random);
            let name = NodePart::new(&account.user).unwrap();
            prop_assert_eq!(name.as_str(), &account.user, "a server keeps it as it is");
            prop_assert!((8..=9).contains(&account.user.len()), "{}", account.user);
            prop_assert_eq!(account.password.expose_secret().len(), 24);
            let mut other = random;
            other[RANDOM_BYTES - 1] ^= 1;
            let other = NewAccount::draw(&other);
            prop_assert_ne!(account.password.expose_secret(), other.password.expose_secret());
        }
    }

    #[test]
    fn a_name_looks_like_one() {
        let mut random = [0; RANDOM_BYTES];
        random[..8].copy_from_slice(&[8, 0, 11, 2, 7, 0, 2, 184]);
        assert_eq!(NewAccount::draw(&random).user, "marilan84");
    }
}
