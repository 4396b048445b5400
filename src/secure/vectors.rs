//! The published test vectors (`doc/vectors.txt`), which were made by another implementation.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ring::aead;
use xmpp_parsers::jid::FullJid;

use crate::secure::crypto::credential::{Credential, PathKey};
use crate::secure::crypto::entropy::testing::Given;
use crate::secure::crypto::file::{FileId, FileSealer, FileSize, FilesKey};
use crate::secure::crypto::handshake::payload::Greeting;
use crate::secure::crypto::handshake::{
    Credits, Hello, Initiator, Lanes, Responder, Resumption, SessionId, Status, Welcome, payload,
};
use crate::secure::crypto::keys::{DirectionKeys, ResumeKey, SessionKeys, Side};
use crate::secure::crypto::line::{BridgeLine, Identity, LineKeys};
use crate::secure::crypto::relay::RelaysKey;
use crate::secure::crypto::seal::{Draft, OVERHEAD, Opener, Sealer};
use crate::secure::crypto::secret::Secret;

/// The file, and which of its values have been looked at.
struct Vectors {
    values: BTreeMap<&'static str, &'static str>,
    used: RefCell<BTreeSet<&'static str>>,
}

impl Vectors {
    fn read() -> Self {
        let lines = include_str!("../../doc/vectors.txt").lines();
        let values = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let values = values.map(|line| line.split_once(" = ").unwrap()).collect();
        Self { values, used: RefCell::default() }
    }

    fn text(&self, name: &str) -> &'static str {
        let (name, value) = self.values.get_key_value(name).unwrap_or_else(|| panic!("there is no {name}"));
        self.used.borrow_mut().insert(name);
        value
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let digits = self.text(name).as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap()
    }

    fn jids(&self) -> (FullJid, FullJid) {
        (FullJid::new(self.text("from")).unwrap(), FullJid::new(self.text("to")).unwrap())
    }

    fn identity(&self) -> Identity {
        Identity::from_bytes(self.array("identity_secret"))
    }

    fn check(&self, name: &str, computed: &[u8]) {
        assert_eq!(computed, self.bytes(name), "{name}");
    }
}

const CREDITS: Credits = Credits { stream: 262_144, session: 1_048_576 };
const BRIDGE_CREDITS: Credits = Credits { stream: 131_072, session: 4_194_304 };

/// Runs the handshake whose values begin with `prefix`, both sides, and checks both messages.
fn handshake(
    vectors: &Vectors,
    prefix: &str,
    psk: Option<[u8; 32]>,
    resume: Option<Resumption>,
    welcome: Welcome,
) -> [SessionKeys; 2] {
    let (from, to) = vectors.jids();
    let name = |name: &str| format!("{prefix}_{name}");
    let identity = vectors.identity();
    let line = identity.line(psk);
    let credential: Credential = vectors.text(&name("sid")).parse().unwrap();

    let mut entropy = Given(vectors.bytes("client_ephemeral"));
    let hello = Hello { credits: CREDITS, resume, lanes: Lanes::default(), early: Vec::new() };
    let (client, first) = Initiator::start(&line, &credential, &from, &to, &hello, &mut entropy);
    vectors.check(&name("m1"), &first);
    let mut entropy = Given(vectors.bytes("bridge_ephemeral"));
    let (bridge, request) =
        Responder::read(&identity, psk.as_ref(), &credential, &from, &to, &first, &mut entropy).unwrap();
    assert_eq!(request.credits, CREDITS);
    let claim = request.resume.zip(hello.resume);
    assert!(claim.is_none_or(|(claim, old)| claim.session == old.session && claim.is_proved_by(&old.key)));
    let (second, bridge_keys) = bridge.reply(&welcome).unwrap();
    vectors.check(&name("m2"), &second);
    let (received, client_keys) = client.finish(&second).unwrap();
    assert_eq!(received, welcome);
    [client_keys, bridge_keys]
}

fn check_line(vectors: &Vectors, prefix: &str, line: &BridgeLine) {
    let (from, to) = vectors.jids();
    let (nonce, minute) = (vectors.number("nonce"), vectors.number("minute"));
    let [sid_key, mask_key] = LineKeys::derive(line);
    vectors.check(&format!("{prefix}_sid_key"), sid_key.expose());
    vectors.check(&format!("{prefix}_mask_key"), mask_key.expose());
    let keys = LineKeys::new(line);
    let credential = keys.first_contact(u32::try_from(nonce).unwrap(), minute, &from, &to);
    assert_eq!(credential.to_string(), vectors.text(&format!("{prefix}_sid")));
    assert_eq!(keys.check_first_contact(&credential, minute + 3, &from, &to), Some(minute));
}

fn check_direction(vectors: &Vectors, side: &str, sending: &DirectionKeys, receiving: &DirectionKeys) {
    vectors.check(&format!("{side}_key"), sending.packet.expose());
    vectors.check(&format!("{side}_mask"), sending.mask.expose());
    let plaintext = vectors.bytes("packet_plaintext");
    let mut opener = Opener::new(receiving);
    for counter in [0, 1, (1 << 20) - 1, 1 << 20, 1 << 21] {
        let name = format!("{side}_packet_{counter}");
        let mut draft = Draft::new(0);
        draft.buffer().push(1);
        draft.pad_to(plaintext.len() + OVERHEAD);
        let (sent, packet) = Sealer::at(sending, counter).seal(draft).unwrap();
        vectors.check(&name, &packet);
        let (received, frames) = opener.open(packet.into()).unwrap();
        assert_eq!((sent, received, &frames[..]), (counter, counter, &plaintext[..]), "{name}");
    }
}

/// The key of a later epoch shows in what it has encrypted.
fn check_later_key(vectors: &Vectors, epoch: u64) {
    let counter = epoch << 20;
    let key: [u8; 32] = vectors.array(&format!("client_key_epoch_{epoch}"));
    let mut sealed = vectors.bytes(&format!("client_packet_{counter}"))[6..].to_vec();
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &key).unwrap());
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    let frames = key.open_in_place(nonce, aead::Aad::empty(), &mut sealed).unwrap();
    vectors.check("packet_plaintext", frames);
}

fn check_paths(vectors: &Vectors, key: &PathKey) {
    let (from, to) = vectors.jids();
    for (name, number) in [("path_sid_0", 0), ("path_sid_1", 1), ("path_sid_last", (1 << 42) - 1)] {
        let credential = key.credential(number, &from, &to);
        assert_eq!(credential.to_string(), vectors.text(name));
        assert_eq!(key.check(&credential, &from, &to), Some(number));
    }
}

fn check_files(vectors: &Vectors, key: &FilesKey) {
    vectors.check("files_key", key.0.expose());
    let size = |bytes| FileSize::new(bytes).unwrap();
    for (name, sender, number, size) in [
        ("client_file_0", Side::Client, 0, size(64)),
        ("bridge_file_7", Side::Bridge, 7, size(64)),
        ("client_file_1_packet_1", Side::Client, 1, size(16_448)),
    ] {
        let mut sealer = FileSealer::new(key, FileId { sender, number, size });
        let sealed = std::iter::from_fn(|| sealer.seal(vectors.bytes("file_plaintext")).ok());
        vectors.check(name, &sealed.last().unwrap());
    }
}

fn check_relays(vectors: &Vectors, key: &RelaysKey) {
    vectors.check("relays_key", key.0.expose());
    let taken = &[2, 0, 0, 0, 0, 0, 0, 0, 0];
    for (name, number, side, bodies) in [
        ("client_relay_0", 0, Side::Client, [&[0; 17][..], b"\x01hello"]),
        ("bridge_relay_7", 7, Side::Bridge, [&[0], taken]),
    ] {
        let mut sealer = key.sealer(number, side);
        for (n, body) in bodies.into_iter().enumerate() {
            vectors.check(&format!("{name}_record_{n}"), &sealer.seal(&[body]).unwrap());
        }
    }
}

fn check_proof(vectors: &Vectors, key: &ResumeKey) {
    let (from, to) = vectors.jids();
    let ephemeral = *Identity::from_bytes(vectors.array("client_ephemeral")).public_key();
    vectors.check("psk_proof", &key.prove(&ephemeral, &from, &to));
}

fn check_payloads(vectors: &Vectors, prefix: &str, resume: Option<SessionId>, welcome: &Welcome) {
    let resume = resume.map(|session| (session, vectors.array("psk_proof")));
    let hello =
        payload::write_hello(&Greeting { credits: CREDITS, resume, lanes: welcome.lanes, early: &[] }, 0);
    vectors.check(&format!("{prefix}_hello"), &hello);
    vectors.check(&format!("{prefix}_welcome"), &payload::write_welcome(welcome, 0));
}

#[test]
fn everything_is_computed_as_the_published_vectors_say() {
    let vectors = Vectors::read();
    let identity = vectors.identity();
    vectors.check("identity_public", identity.public_key());
    let psk = vectors.array("psk");
    check_line(&vectors, "nk", &identity.line(None));
    check_line(&vectors, "psk", &identity.line(Some(psk)));

    let session = SessionId((0xe0..0xf0).collect::<Vec<u8>>().try_into().unwrap());
    let welcome = Welcome {
        status: Status::New,
        session,
        credits: BRIDGE_CREDITS,
        has_taken_early: false,
        lanes: Lanes::default(),
    };
    let [client, bridge] = handshake(&vectors, "nk", None, None, welcome);
    check_direction(&vectors, "client", &client.send, &bridge.receive);
    check_direction(&vectors, "bridge", &bridge.send, &client.receive);
    check_later_key(&vectors, 1);
    check_later_key(&vectors, 2);
    check_payloads(&vectors, "nk", None, &welcome);
    for (name, files, relays) in [("files", true, false), ("relays", false, true)] {
        check_payloads(&vectors, name, None, &Welcome { lanes: Lanes { files, relays }, ..welcome });
    }
    for keys in [&client, &bridge] {
        vectors.check("resume_key", keys.resume_key.0.expose());
        check_paths(&vectors, &keys.path_key);
        check_files(&vectors, &keys.files_key);
        check_relays(&vectors, &keys.relays_key);
    }
    check_paths(&vectors, &PathKey::new(&Secret::new(vectors.array("path_key"))));

    let (old, key) = (SessionId(vectors.array("psk_old_session")), vectors.array("psk_old_resume_key"));
    let resume = Resumption { session: old, key: ResumeKey(Secret::new(key)) };
    check_proof(&vectors, &resume.key);
    let welcome = Welcome {
        status: Status::Resumed,
        session: old,
        credits: BRIDGE_CREDITS,
        has_taken_early: false,
        lanes: Lanes::default(),
    };
    handshake(&vectors, "psk", Some(psk), Some(resume), welcome);
    check_payloads(&vectors, "psk", Some(old), &welcome);

    let unused: Vec<_> =
        vectors.values.keys().filter(|name| !vectors.used.borrow().contains(*name)).collect();
    assert!(unused.is_empty(), "nothing was compared with {unused:?}");
}
