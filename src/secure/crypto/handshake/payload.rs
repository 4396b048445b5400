//! Payloads: what is said inside the two messages of a handshake. All numbers are big-endian, and zeros fill it up. Flags that are not
//! known, and what follows the fields of a Welcome, are ignored: options can be added without a new version.
//!
//! | Hello | bytes | Welcome | bytes |
//! | --- | --- | --- | --- |
//! | version, 1 | 1 | version, 1 | 1 |
//! | flags; bit 0: resume, bit 1: files, bit 2: relays | 1 | status; 0 new, 1 resumed | 1 |
//! | session id and proof, with the flag only | 16 + 16 | session id | 16 |
//! | credit of each stream | 4 | credit of each stream | 4 |
//! | credit of the session | 4 | credit of the session | 4 |
//! | frames that the client says early | all others | 1 if it has taken these | 1 |
//! | | | options; bit 0: files, bit 1: relays | 1 |

use std::fmt;

use crate::secure::crypto::entropy::{Entropy, random};
use crate::secure::crypto::handshake::HandshakeError;
use crate::secure::crypto::keys::ResumeProof;

/// Version 1 of the secure protocol, the only one that there is.
pub const PROTOCOL_VERSION: u8 = 1;
const RESUME: u8 = 1;
const TAKEN: u8 = 1;

/// The options of a Welcome are flags of a Hello, but for the lowest, which is [`RESUME`].
const OPTIONS_IN_FLAGS: u32 = 1;

/// The fields of a Hello without resumption.
pub(super) const HELLO_LEN: usize = 1 + 1 + 4 + 4;

/// How many bytes its sender will take before it grants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credits {
    /// In each stream.
    pub stream: u32,
    /// In all streams together.
    pub session: u32,
}

/// A session's name, which its bridge made. Nobody else sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub(crate) [u8; 16]);

impl SessionId {
    /// A new one, which no other session has.
    #[must_use]
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(random(entropy))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// What a bridge says in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What the handshake has led to.
    pub status: Status,
    /// The session that the path belongs to.
    pub session: SessionId,
    /// How much the bridge will take. Of no use in an old session.
    pub credits: Credits,
    /// Whether it has taken what the client said early.
    pub has_taken_early: bool,
    /// Which lanes both ends know. Of no use in an old session.
    pub lanes: Lanes,
}

/// Which lanes an end knows beside the paths of accounts (doc/lanes.md), or both ends do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// Bulk can go by files of an upload service.
    pub files: bool,
    /// A path can go by a relay.
    pub relays: bool,
}

impl Lanes {
    /// Those that this end knows, and the other one does, too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { files: self.files && other.files, relays: self.relays && other.relays }
    }

    fn bits(self) -> u8 {
        u8::from(self.files) | u8::from(self.relays) << 1
    }

    /// Bits that are not known are left out.
    fn from_bits(bits: u8) -> Self {
        Self { files: bits & 1 != 0, relays: bits & 2 != 0 }
    }
}

/// What a handshake has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A new session. One that the client wanted to go on with is lost.
    New,
    /// A further path of the session that the client named.
    Resumed,
}

/// The fields of a Hello.
pub(crate) struct Greeting<'a> {
    pub(crate) credits: Credits,
    pub(crate) resume: Option<(SessionId, ResumeProof)>,
    pub(crate) lanes: Lanes,
    pub(crate) early: &'a [u8],
}

pub(crate) fn write_hello(greeting: &Greeting<'_>, size: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(size);
    let resume = if greeting.resume.is_some() { RESUME } else { 0 };
    payload.extend([PROTOCOL_VERSION, resume | greeting.lanes.bits() << OPTIONS_IN_FLAGS]);
    if let Some((session, proof)) = greeting.resume {
        payload.extend(session.0);
        payload.extend(proof);
    }
    put_credits(&mut payload, greeting.credits);
    payload.extend(greeting.early);
    payload.resize(size.max(payload.len()), 0);
    payload
}

pub(super) fn read_hello(payload: &[u8]) -> Result<Greeting<'_>, HandshakeError> {
    let mut rest = Reader(payload);
    rest.version()?;
    let [flags] = rest.take()?;
    let resume = if flags & RESUME == 0 { None } else { Some((SessionId(rest.take()?), rest.take()?)) };
    let lanes = Lanes::from_bits(flags >> OPTIONS_IN_FLAGS);
    Ok(Greeting { credits: rest.credits()?, resume, lanes, early: rest.0 })
}

pub(crate) fn write_welcome(welcome: &Welcome, size: usize) -> Vec<u8> {
    let status = match welcome.status {
        Status::New => 0,
        Status::Resumed => 1,
    };
    let mut payload = Vec::with_capacity(size);
    payload.extend([PROTOCOL_VERSION, status]);
    payload.extend(welcome.session.0);
    put_credits(&mut payload, welcome.credits);
    // Zeros are padding to older clients, and the payload ends as theirs did where there is nothing to say.
    match (welcome.has_taken_early, welcome.lanes.bits()) {
        (false, 0) => {}
        (true, 0) => payload.push(TAKEN),
        (taken, options) => payload.extend([if taken { TAKEN } else { 0 }, options]),
    }
    payload.resize(size.max(payload.len()), 0);
    payload
}

pub(super) fn read_welcome(payload: &[u8]) -> Result<Welcome, HandshakeError> {
    let mut rest = Reader(payload);
    rest.version()?;
    let status = match rest.take()? {
        [0] => Status::New,
        [1] => Status::Resumed,
        _ => return Err(HandshakeError::Malformed),
    };
    let (session, credits) = (SessionId(rest.take()?), rest.credits()?);
    let has_taken_early = rest.0.first() == Some(&TAKEN);
    let lanes = rest.0.get(1).copied().map(Lanes::from_bits).unwrap_or_default();
    Ok(Welcome { status, session, credits, has_taken_early, lanes })
}

fn put_credits(payload: &mut Vec<u8>, credits: Credits) {
    payload.extend(credits.stream.to_be_bytes());
    payload.extend(credits.session.to_be_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], HandshakeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(HandshakeError::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn version(&mut self) -> Result<(), HandshakeError> {
        match self.take()? {
            [PROTOCOL_VERSION] => Ok(()),
            [other] => Err(HandshakeError::Version(other)),
        }
    }

    fn credits(&mut self) -> Result<Credits, HandshakeError> {
        let mut number = || self.take().map(u32::from_be_bytes);
        Ok(Credits { stream: number()?, session: number()? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;

    use super::*;

    const CREDITS: Credits = Credits { stream: 0x0102_0304, session: 0x0506_0708 };

    #[test]
    fn a_hello_is_laid_out_as_the_table_says() {
        let old = SessionId([7; 16]);
        let payload = write_hello(&greeting(Some((old, [9; 16])), &[]), 44);
        assert_eq!(payload[..2], [1, 1]);
        assert_eq!(payload[2..34], [[7; 16], [9; 16]].concat());
        assert_eq!(payload[34..], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0]);
        let payload = write_hello(&greeting(None, &[]), 0);
        assert_eq!(payload, [1, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_welcome_is_laid_out_as_the_table_says() {
        for (has_taken_early, taken) in [(false, 0), (true, 1)] {
            let (status, session) = (Status::Resumed, SessionId([7; 16]));
            let welcome =
                Welcome { status, session, credits: CREDITS, has_taken_early, lanes: Lanes::default() };
            let payload = write_welcome(&welcome, 28);
            assert_eq!(payload, [&[1, 1], &[7; 16][..], &[1, 2, 3, 4, 5, 6, 7, 8, taken, 0]].concat());
            assert_eq!(read_welcome(&payload), Ok(welcome));
        }
    }

    fn greeting(resume: Option<(SessionId, ResumeProof)>, early: &[u8]) -> Greeting<'_> {
        Greeting { credits: CREDITS, resume, lanes: Lanes::default(), early }
    }

    #[test]
    fn lanes_are_flags_of_the_one_and_options_of_the_other_that_older_peers_leave_zero() {
        for (bits, lanes) in [(0, (false, false)), (1, (true, false)), (2, (false, true)), (3, (true, true))]
        {
            let lanes = Lanes { files: lanes.0, relays: lanes.1 };
            let hello = write_hello(&Greeting { lanes, ..greeting(None, &[]) }, 208);
            assert_eq!((hello[1], read_hello(&hello).unwrap().lanes), (bits << 1, lanes));
            for has_taken_early in [false, true] {
                let (status, session) = (Status::New, SessionId([7; 16]));
                let welcome = Welcome { status, session, credits: CREDITS, has_taken_early, lanes };
                let payload = write_welcome(&welcome, 208);
                assert_eq!(payload[26..28], [u8::from(has_taken_early), bits]);
                assert_eq!(read_welcome(&payload), Ok(welcome));
                let older = read_welcome(&payload[..26]).unwrap();
                assert_eq!(older.lanes, Lanes::default(), "an older one says nothing");
            }
        }
    }

    #[test]
    fn the_ends_use_what_both_know() {
        let (files, relays) = (Lanes { files: true, relays: false }, Lanes { files: false, relays: true });
        let both = Lanes { files: true, relays: true };
        assert_eq!((files.and(relays), files.and(both), both.and(relays)), (Lanes::default(), files, relays));
    }

    #[test]
    fn a_later_version_is_told_from_nonsense() {
        let error = |payload: &[u8]| read_hello(payload).err().unwrap();
        assert_eq!(error(&[2]), HandshakeError::Version(2));
        assert_eq!(read_welcome(&[0; 208]), Err(HandshakeError::Version(0)));
        assert_eq!(read_welcome(&[&[1, 2], &[0; 30][..]].concat()), Err(HandshakeError::Malformed));
        assert_eq!(error(&[]), HandshakeError::Malformed);
        assert_eq!(error(&[1, 0, 1, 2, 3, 4, 5, 6, 7]), HandshakeError::Malformed);
        assert_eq!(error(&[1, 1, 1, 2, 3, 4, 5, 6, 7, 8]), HandshakeError::Malformed);
    }

    proptest! {
        #[test]
        fn unknown_flags_are_ignored_and_what_comes_after_the_known_fields_is_said_early(
            flags in any::<u8>(),
            early in any::<Vec<u8>>(),
        ) {
            let mut payload = write_hello(&greeting(None, &early), 0);
            prop_assert_eq!(payload.len(), HELLO_LEN + early.len());
            payload[1] = flags & !RESUME;
            let read = read_hello(&payload).unwrap();
            prop_assert!(read.credits == CREDITS && read.resume.is_none() && read.lanes == Lanes::from_bits(flags >> 1));
            prop_assert_eq!(read.early, &early);
        }

        #[test]
        fn what_comes_after_the_known_fields_of_a_welcome_is_ignored(tail in any::<Vec<u8>>()) {
            let (status, session) = (Status::New, SessionId([7; 16]));
            let welcome = Welcome { status, session, credits: CREDITS, has_taken_early: true, lanes: Lanes { files: true, relays: true } };
            let mut payload = write_welcome(&welcome, 0);
            payload.extend(tail);
            prop_assert_eq!(read_welcome(&payload), Ok(welcome));
        }

        #[test]
        fn any_payload_is_read_or_refused(payload in any::<Vec<u8>>()) {
            let _ = (read_hello(&payload), read_welcome(&payload));
        }
    }
}
