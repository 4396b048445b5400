//! Credentials: what a path is opened with, an authenticator of 122 bits.
//!
//! To everybody else a [`Credential`] is a random UUID of version 4 (RFC 9562), as programs make them for names that nobody else has:
//! so a carrier can show it wherever such a name is usual. Its 122 free bits, most significant first, are a tag (80 bits) and a field
//! (42 bits) that is masked by means of the tag:
//!
//! | kind | key | field | authenticated value (u64) |
//! | --- | --- | --- | --- |
//! | 1, a first contact | of the bridge line | nonce (26 bits), low 16 bits of the minute | nonce, minute (38 bits) |
//! | 2, a further path | of the session | path number | path number |
//!
//! `tag = HMAC(key, kind ‖ value ‖ jid(from) ‖ jid(to))`, `mask = HMAC(key, 0 ‖ tag)`, the first bits of each; *from* is the
//! client's full JID, *to* the bridge's. A minute is the Unix time divided by 60.
//!
//! Checking costs two HMACs over less than 7 kilobytes (some 200 bytes with usual JIDs), microseconds, whatever the credential
//! is: there is one path through the code, and the only early exit is for a text that is no [`Credential`]. So a forger learns
//! nothing from the time that an answer takes, not even whether the minute or the mask was right.

use std::fmt;
use std::str::FromStr;

use ring::hmac;
use xmpp_parsers::jid::FullJid;

use crate::replay_log::WINDOW_MINUTES;
use crate::secure::crypto::line::LineKeys;
use crate::secure::crypto::secret::{MacKey, Secret, equal, head, jid_bytes, mac};
use crate::uuid;

/// The bits of the field: a session can number 2 to the power of this paths.
const FIELD_BITS: u32 = 42;
const FIELD_MASK: u64 = (1 << FIELD_BITS) - 1;
/// The bits of the field that are a minute.
const MINUTE_BITS: u32 = 16;
/// The bits of the authenticated value that are a minute.
const FULL_MINUTE_BITS: u32 = 38;
const FULL_MINUTE_MASK: u64 = (1 << FULL_MINUTE_BITS) - 1;
/// The first contacts that one minute can tell apart.
const NONCE_MASK: u64 = (1 << (FIELD_BITS - MINUTE_BITS)) - 1;

const FIRST_CONTACT: u8 = 1;
const FURTHER_PATH: u8 = 2;

/// Where a UUID as text has its hyphens, and how long it is.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const TEXT_LENGTH: usize = 36;

/// What proves that its maker may open a path between two accounts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credential([u8; 16]);

type Tag = [u8; 10];

impl Credential {
    /// One that proves nothing.
    pub(crate) const NOBODYS: Self = Self(uuid::with_free_bits(0).to_be_bytes());

    /// The UUID's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Tag and field as a UUID.
    fn pack(tag: Tag, field: u64) -> Self {
        let tag = tag.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        Self(uuid::with_free_bits(tag << FIELD_BITS | u128::from(field)).to_be_bytes())
    }

    fn unpack(self) -> (Tag, u64) {
        let free = uuid::free_bits(u128::from_be_bytes(self.0));
        let mut tag = [0; 10];
        tag.copy_from_slice(&(free >> FIELD_BITS << 48).to_be_bytes()[..10]);
        #[expect(clippy::cast_possible_truncation, reason = "the field is what is left")]
        (tag, free as u64 & FIELD_MASK)
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It can stand in front of every block, so this is done by hand.
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let mut text = [b'-'; TEXT_LENGTH];
        let places = text.iter_mut().enumerate().filter(|(place, _)| !HYPHENS.contains(place));
        for ((_, place), digit) in places.zip(digits) {
            *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Credential {
    /// It is on the wire for the server to see, and tells nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({self})")
    }
}

/// A text that is not a UUID of version 4 in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID of version 4 in lower case")]
pub struct NotACredential;

impl FromStr for Credential {
    type Err = NotACredential;

    fn from_str(text: &str) -> Result<Self, NotACredential> {
        if text.len() != TEXT_LENGTH {
            return Err(NotACredential);
        }
        let mut bits = 0u128;
        for (place, byte) in text.bytes().enumerate() {
            match byte {
                b'-' if HYPHENS.contains(&place) => {}
                _ if HYPHENS.contains(&place) => return Err(NotACredential),
                b'0'..=b'9' => bits = bits << 4 | u128::from(byte - b'0'),
                b'a'..=b'f' => bits = bits << 4 | u128::from(byte - b'a' + 10),
                _ => return Err(NotACredential),
            }
        }
        uuid::is_version_4(bits).then_some(Self(bits.to_be_bytes())).ok_or(NotACredential)
    }
}

impl LineKeys {
    /// What a client opens a path with to a bridge that does not know it yet. Only the low 26 bits of
    /// `nonce` count, which should be random.
    #[must_use]
    pub fn first_contact(&self, nonce: u32, minute: u64, from: &FullJid, to: &FullJid) -> Credential {
        let nonce = u64::from(nonce) & NONCE_MASK;
        let field = nonce << MINUTE_BITS | minute & ((1 << MINUTE_BITS) - 1);
        seal(&self.first_contact, FIRST_CONTACT, first_contact_value(nonce, minute), field, from, to)
    }

    /// The minute of a first contact that was made with this bridge line, by these two, and is of the last or next ten
    /// minutes. The caller has to refuse one that it has seen.
    #[must_use]
    pub fn check_first_contact(
        &self,
        credential: &Credential,
        now_minute: u64,
        from: &FullJid,
        to: &FullJid,
    ) -> Option<u64> {
        self.minute_of_first_contact(credential, now_minute, from, to)
            .filter(|minute| is_of_now(*minute, now_minute))
    }

    /// The same, be it of the last or next ten minutes or not.
    pub(crate) fn minute_of_first_contact(
        &self,
        credential: &Credential,
        now_minute: u64,
        from: &FullJid,
        to: &FullJid,
    ) -> Option<u64> {
        let (tag, field) = open(&self.first_contact, credential);
        let minute = nearest_minute(field, now_minute);
        let value = first_contact_value(field >> MINUTE_BITS, minute);
        equal(&tag, &tag_of(&self.first_contact, FIRST_CONTACT, value, from, to)).then_some(minute)
    }
}

/// Whether a first contact of this minute can be let in.
pub(crate) fn is_of_now(minute: u64, now_minute: u64) -> bool {
    minute.abs_diff(now_minute) <= WINDOW_MINUTES
}

/// What authenticates the further paths of one session.
#[derive(Clone, Debug)]
pub struct PathKey(MacKey);

impl PathKey {
    pub(crate) fn new(key: &Secret) -> Self {
        Self(MacKey::new(key))
    }

    /// What the session's path with this number is opened with; the low 42 bits count. A number is good once.
    #[must_use]
    pub fn credential(&self, number: u64, from: &FullJid, to: &FullJid) -> Credential {
        let number = number & FIELD_MASK;
        seal(&self.0, FURTHER_PATH, number, number, from, to)
    }

    /// The number of the session's path that is opened with this, if these two can have it. The caller has to refuse one that it
    /// has seen.
    #[must_use]
    pub fn check(&self, credential: &Credential, from: &FullJid, to: &FullJid) -> Option<u64> {
        let (tag, number) = open(&self.0, credential);
        equal(&tag, &tag_of(&self.0, FURTHER_PATH, number, from, to)).then_some(number)
    }
}

fn seal(key: &hmac::Key, kind: u8, value: u64, field: u64, from: &FullJid, to: &FullJid) -> Credential {
    let tag = tag_of(key, kind, value, from, to);
    Credential::pack(tag, field ^ mask_of(key, tag))
}

/// The tag, and the field without its mask.
fn open(key: &hmac::Key, credential: &Credential) -> (Tag, u64) {
    let (tag, field) = credential.unpack();
    (tag, field ^ mask_of(key, tag))
}

fn tag_of(key: &hmac::Key, kind: u8, value: u64, from: &FullJid, to: &FullJid) -> Tag {
    head(&mac(key, &[&[kind], &value.to_be_bytes(), &jid_bytes(from), &jid_bytes(to)]))
}

fn mask_of(key: &hmac::Key, tag: Tag) -> u64 {
    u64::from_be_bytes(head(&mac(key, &[&[0], &tag]))) >> (u64::BITS - FIELD_BITS)
}

fn first_contact_value(nonce: u64, minute: u64) -> u64 {
    nonce << FULL_MINUTE_BITS | minute & FULL_MINUTE_MASK
}

/// The minute nearest to now that ends with the low bits of the field.
fn nearest_minute(field: u64, now_minute: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "the distance is modulo 2^16, and negative for the past"
    )]
    let ahead = field.wrapping_sub(now_minute) as u16 as i16;
    now_minute.wrapping_add_signed(ahead.into())
}

#[cfg(test)]
mod tests;
