//! Tests of the handshake between a client and a bridge.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a failed test is a panic")]

use proptest::prelude::*;

use super::*;
use crate::secure::crypto::entropy::testing::Seeded;

const CREDITS: Credits = Credits { stream: 1, session: 2 };

/// What both sides of a handshake know beforehand.
#[derive(Clone, Debug)]
struct Case {
    identity: Identity,
    psk: Option<[u8; 32]>,
    credential: Credential,
    from: FullJid,
    to: FullJid,
}

impl Case {
    fn new(psk: Option<[u8; 32]>) -> Self {
        let (from, to) = (FullJid::new("a@x.example/r").unwrap(), FullJid::new("b@y.example/s").unwrap());
        let identity = Identity::from_bytes([1; 32]);
        let credential = LineKeys::new(&identity.line(psk)).first_contact(5, 1000, &from, &to);
        Self { identity, psk, credential, from, to }
    }

    fn start(&self, resume: Option<Resumption>) -> (Initiator, Vec<u8>) {
        self.start_with(&Hello { credits: CREDITS, resume, lanes: Lanes::default(), early: Vec::new() })
    }

    fn start_with(&self, hello: &Hello) -> (Initiator, Vec<u8>) {
        let line = self.identity.line(self.psk);
        Initiator::start(&line, &self.credential, &self.from, &self.to, hello, &mut Seeded(1))
    }

    fn read(&self, message: &[u8]) -> Result<(Responder, Request), HandshakeError> {
        let Self { identity, psk, credential, from, to } = self;
        Responder::read(identity, psk.as_ref(), credential, from, to, message, &mut Seeded(2))
    }

    /// Both messages, and the client that waits for the second.
    fn messages(&self) -> (Initiator, Vec<u8>, Vec<u8>) {
        let (client, first) = self.start(None);
        let second = self.read(&first).unwrap().0.reply(&welcome()).unwrap().0;
        (client, first, second)
    }
}

fn welcome() -> Welcome {
    let session = SessionId::generate(&mut Seeded(3));
    Welcome {
        status: Status::New,
        session,
        credits: CREDITS,
        has_taken_early: false,
        lanes: Lanes::default(),
    }
}

fn case() -> impl Strategy<Value = Case> {
    any::<Option<[u8; 32]>>().prop_map(Case::new)
}

fn refused<T>(result: Result<T, HandshakeError>) -> bool {
    matches!(result, Err(HandshakeError::NotAuthentic))
}

#[test]
fn both_messages_are_as_long_as_a_usual_packet_and_look_random() {
    let case = Case::new(None);
    let high_bits = |seed: u64| {
        let keys = LineKeys::new(&case.identity.line(None));
        let nonce = u32::try_from(seed).unwrap();
        let case = Case { credential: keys.first_contact(nonce, 1000, &case.from, &case.to), ..case.clone() };
        let (_, first, second) = case.messages();
        assert_eq!((first.len(), second.len()), (MESSAGE_LEN, MESSAGE_LEN));
        // An X25519 key is less than 2^255, and a message that is not masked would show it.
        [first[31] >> 7, second[31] >> 7]
    };
    let ones = (0..200).map(high_bits).fold([0u32; 2], |[a, b], [c, d]| [a + u32::from(c), b + u32::from(d)]);
    assert!(ones.iter().all(|ones| (60..=140).contains(ones)), "{ones:?} of 200");
}

#[test]
fn both_sides_have_the_same_keys_crosswise() {
    for psk in [None, Some([9; 32])] {
        let case = Case::new(psk);
        let (client, first) = case.start(None);
        let (bridge, request) = case.read(&first).unwrap();
        assert!(request.credits == CREDITS && request.resume.is_none());
        let (second, bridge) = bridge.reply(&welcome()).unwrap();
        let (received, client) = client.finish(&second).unwrap();
        assert_eq!(received, welcome());
        assert_eq!(client.send.packet.expose(), bridge.receive.packet.expose());
        assert_eq!(client.send.mask.expose(), bridge.receive.mask.expose());
        assert_eq!(client.receive.packet.expose(), bridge.send.packet.expose());
        assert_eq!(client.receive.mask.expose(), bridge.send.mask.expose());
        assert_ne!(client.send.packet.expose(), client.receive.packet.expose());
        assert_ne!(client.send.mask.expose(), client.receive.mask.expose());
        let (a, b) = (client.path_key, bridge.path_key);
        assert_eq!(b.check(&a.credential(7, &case.from, &case.to), &case.from, &case.to), Some(7));
    }
}

#[test]
fn another_key_secret_jid_or_credential_is_not_authentic_at_either_side() {
    for psk in [None, Some([9; 32])] {
        let case = Case::new(psk);
        let jid = |text: &str| FullJid::new(text).unwrap();
        let others = [
            Case { identity: Identity::from_bytes([2; 32]), ..case.clone() },
            Case { psk: Some([8; 32]), ..case.clone() },
            Case { psk: psk.map_or(Some([0; 32]), |_| None), ..case.clone() },
            Case { from: jid("a@x.example/R"), ..case.clone() },
            Case { to: jid("b@y.example/t"), ..case.clone() },
            Case { from: case.to.clone(), to: case.from.clone(), ..case.clone() },
            Case { credential: "00000000-0000-4000-8000-000000000000".parse().unwrap(), ..case.clone() },
        ];
        for other in others {
            let (client, first, second) = case.messages();
            assert!(refused(other.read(&first)));
            let (other_client, _, other_second) = other.messages();
            assert!(refused(client.finish(&other_second)));
            assert!(refused(other_client.finish(&second)));
        }
    }
}

#[test]
fn an_answer_belongs_to_one_first_message() {
    let case = Case::new(None);
    let (_, _, second) = case.messages();
    let hello = Hello { credits: CREDITS, resume: None, lanes: Lanes::default(), early: Vec::new() };
    let line = case.identity.line(None);
    let (client, _) =
        Initiator::start(&line, &case.credential, &case.from, &case.to, &hello, &mut Seeded(77));
    assert!(refused(client.finish(&second)));
    let (client, first) = case.start(None);
    assert!(refused(client.finish(&first)));
    assert!(refused(case.read(&second)));
}

#[test]
fn what_is_said_early_arrives_and_makes_the_first_message_so_much_longer() {
    let case = Case::new(Some([9; 32]));
    for length in [0, 1, MESSAGE_LEN - HELLO_AROUND, LARGEST_HELLO - HELLO_AROUND] {
        let early = vec![7; length];
        let (_, first) = case.start_with(&Hello {
            credits: CREDITS,
            resume: None,
            lanes: Lanes::default(),
            early: early.clone(),
        });
        assert_eq!(first.len(), MESSAGE_LEN.max(HELLO_AROUND + length));
        let (_, request) = case.read(&first).unwrap();
        assert_eq!(request.early[..length], early);
        assert!(request.early[length..].iter().all(|byte| *byte == 0), "padding");
    }
}

#[test]
fn only_the_key_of_the_old_session_proves_a_claim_to_it() {
    let case = Case::new(None);
    let session = SessionId::generate(&mut Seeded(4));
    let key = ResumeKey(Secret::new([5; 32]));
    let (_, first) = case.start(Some(Resumption { session, key: key.clone() }));
    let claim = case.read(&first).unwrap().1.resume.unwrap();
    assert_eq!(claim.session, session);
    assert!(claim.is_proved_by(&key));
    assert!(!claim.is_proved_by(&ResumeKey(Secret::new([6; 32]))));
    let elsewhere = |change: fn(&mut ResumeRequest)| {
        let mut claim = case.read(&first).unwrap().1.resume.unwrap();
        change(&mut claim);
        claim.is_proved_by(&key)
    };
    assert!(elsewhere(|_| {}));
    assert!(!elsewhere(|claim| claim.ephemeral[0] ^= 1));
    assert!(!elsewhere(|claim| claim.from = FullJid::new("c@x.example/r").unwrap()));
    assert!(!elsewhere(|claim| claim.to = FullJid::new("c@x.example/r").unwrap()));
}

#[test]
fn a_bridge_can_go_on_only_with_the_session_that_the_client_named() {
    let case = Case::new(None);
    let [mine, other] = [4, 5].map(|seed| SessionId::generate(&mut Seeded(seed)));
    let answered = |named: Option<SessionId>, session, status| {
        let key = ResumeKey(Secret::new([5; 32]));
        let (client, first) = case.start(named.map(|session| Resumption { session, key }));
        let welcome =
            Welcome { status, session, credits: CREDITS, has_taken_early: false, lanes: Lanes::default() };
        let second = case.read(&first).unwrap().0.reply(&welcome).unwrap().0;
        client.finish(&second).map(|(welcome, _)| welcome.status)
    };
    assert_eq!(answered(Some(mine), mine, Status::Resumed), Ok(Status::Resumed));
    assert_eq!(answered(Some(mine), other, Status::New), Ok(Status::New));
    assert_eq!(answered(Some(mine), other, Status::Resumed), Err(HandshakeError::Malformed));
    assert_eq!(answered(None, other, Status::Resumed), Err(HandshakeError::Malformed));
}

#[test]
fn every_single_bit_counts() {
    for psk in [None, Some([9; 32])] {
        let case = Case::new(psk);
        let (_, first, second) = case.messages();
        for bit in 0..MESSAGE_LEN * 8 {
            let flipped = |message: &[u8]| {
                let mut message = message.to_vec();
                message[bit / 8] ^= 1 << (bit % 8);
                message
            };
            assert!(refused(case.read(&flipped(&first))), "bit {bit} of the first message");
            let client = case.start(None).0;
            assert!(refused(client.finish(&flipped(&second))), "bit {bit} of the second message");
        }
    }
}

proptest! {
    #[test]
    fn a_message_that_is_cut_or_longer_is_not_authentic(
        case in case(),
        length in 0..MESSAGE_LEN,
        tail in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let (_, first, second) = case.messages();
        prop_assert!(refused(case.read(&first[..length])));
        prop_assert!(refused(case.start(None).0.finish(&second[..length])));
        prop_assert!(refused(case.read(&[first, tail.clone()].concat())));
        prop_assert!(refused(case.start(None).0.finish(&[second, tail].concat())));
    }

    #[test]
    fn any_bytes_are_refused(case in case(), bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(refused(case.read(&bytes)));
        prop_assert!(refused(case.start(None).0.finish(&bytes)));
    }
}

#[test]
fn a_message_of_any_length_is_read_or_refused() {
    let case = Case::new(None);
    for length in [65_535, 65_536, 100_000] {
        assert!(refused(case.read(&vec![7; length])));
    }
}
