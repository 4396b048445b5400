//! Rows 25 to 27: the arguments of a bridge line, cut in two anywhere and escaped.
//!
//! What the child made of them is seen where it logs in: SCRAM tells the server the user name (RFC 5802 section 7).

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{
    GENERAL_FAILURE, NOT_ALLOWED, TO_AN_ADDRESS, as_tor_does, ask, authenticate, connect, credentials, offer,
    reply, request,
};
use crate::chat_server::{ChatServer, DOMAIN, mechanism};
use crate::child::Launch;

/// What tor can carry.
const MOST: usize = 510;

/// A chat server that lets nobody in, and who tried.
struct Doorkeeper {
    server: ChatServer,
    names: Arc<Mutex<BTreeSet<String>>>,
}

impl Doorkeeper {
    fn start() -> Self {
        let names = Arc::<Mutex<BTreeSet<String>>>::default();
        let seen = Arc::clone(&names);
        let server = ChatServer::start(move |client| {
            client.open(&mechanism("SCRAM-SHA-1"))?;
            client.hear("<auth")?;
            client.hear(">")?;
            let message = BASE64.decode(client.hear("<")?.trim_end_matches('<')).ok()?;
            let message = String::from_utf8(message).ok()?;
            let name = message.strip_prefix("n,,n=")?.split(',').next()?;
            seen.lock().unwrap().insert(name.replace("=2C", ",").replace("=3D", "="));
            client.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
        });
        Self { server, names }
    }

    /// The names since the last time.
    fn names(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.names.lock().unwrap())
    }

    /// Arguments with this user, written as in a bridge line after Tor has escaped it.
    fn arguments(&self, user: &str) -> String {
        format!("mode=classic;jid=bridge@{DOMAIN};login={user}@{DOMAIN}:sesame;{}", self.server.route())
    }
}

fn set(names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    names.into_iter().collect()
}

#[test]
fn row_25_arguments_of_every_length_that_tor_can_send_are_joined() {
    let (door, child) = (Doorkeeper::start(), Launch::client().start());
    let shortest = door.arguments("u").len();
    let lengths: Vec<usize> =
        (shortest..shortest + 3).chain(250..260).chain([300, 400]).chain(505..=MOST).collect();
    let user = |length: usize| "u".repeat(length - shortest + 1);
    for length in &lengths {
        let arguments = door.arguments(&user(*length));
        assert_eq!(arguments.len(), *length);
        assert_eq!(ask(child.socks(), arguments.as_bytes()), NOT_ALLOWED, "{length}");
    }
    assert_eq!(door.names(), set(lengths.into_iter().map(user)));
}

#[test]
fn row_25_no_arguments_and_short_ones_are_no_fault_of_the_handshake() {
    let child = Launch::client().start();
    for arguments in [&b""[..], b"a", b"a=", b"a=b", b"a=b;c=d"] {
        assert_eq!(ask(child.socks(), arguments), GENERAL_FAILURE, "{arguments:?}");
    }
}

/// Escapes, characters of two, three and four bytes, and what looks like a separator.
fn strange(number: usize) -> (String, String) {
    (format!(r"u{number}\;a\=b=c\\é€𝄞\x"), format!(r"u{number};a=b=c\é€𝄞x"))
}

#[test]
fn row_25_the_cut_between_the_two_parts_may_be_anywhere() {
    let (door, child) = (Doorkeeper::start(), Launch::client().start());
    let length = door.arguments(&strange(1000).0).len();
    assert!(length <= 255);
    for cut in 0..=length {
        let arguments = door.arguments(&strange(1000 + cut).0);
        let (name, password) = arguments.as_bytes().split_at(cut);
        // RFC 1929 has no empty password; "nothing more" is one NUL.
        let password = if password.is_empty() { &[0] } else { password };
        let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
        authenticate(&mut stream, &credentials(name, password));
        assert_eq!(request(&mut stream, &TO_AN_ADDRESS), NOT_ALLOWED, "{cut}");
    }
    assert_eq!(door.names(), set((0..=length).map(|cut| strange(1000 + cut).1)));
}

/// Sends a whole handshake in two pieces.
fn ask_in_pieces(socks: SocketAddr, pieces: &[&[u8]]) -> u8 {
    let mut stream = connect(socks);
    for piece in pieces {
        stream.write_all(piece).unwrap();
        // So that they are read one by one, mostly; nothing depends on it.
        sleep(Duration::from_millis(1));
    }
    let mut answers = [0; 4];
    stream.read_exact(&mut answers).unwrap();
    assert_eq!(answers, [5, 2, 1, 0]);
    reply(&mut stream)
}

fn handshake(arguments: &str) -> Vec<u8> {
    [&[5, 1, 2], &as_tor_does(arguments.as_bytes())[..], &TO_AN_ADDRESS].concat()
}

#[test]
fn row_25_the_handshake_may_arrive_in_two_pieces_cut_anywhere() {
    let (door, child) = (Doorkeeper::start(), Launch::client().start());
    let whole = handshake(&door.arguments(&strange(1000).0)).len();
    for cut in 0..=whole {
        let bytes = handshake(&door.arguments(&strange(1000 + cut).0));
        let (first, second) = bytes.split_at(cut);
        assert_eq!(ask_in_pieces(child.socks(), &[first, second]), NOT_ALLOWED, "{cut}");
    }
    assert_eq!(door.names(), set((0..=whole).map(|cut| strange(1000 + cut).1)));
}

#[test]
fn row_25_the_handshake_may_arrive_byte_by_byte() {
    let (door, child) = (Doorkeeper::start(), Launch::client().start());
    let bytes = handshake(&door.arguments(&"u".repeat(400)));
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(ask_in_pieces(child.socks(), &pieces), NOT_ALLOWED);
    assert_eq!(door.names(), set(["u".repeat(400)]));
}

#[test]
fn row_26_two_full_parts_are_the_most_that_socks_can_carry_and_are_read_whole() {
    let (door, child) = (Doorkeeper::start(), Launch::client().start());
    let spare = MOST - door.arguments("").len();
    let arguments = door.arguments(&"u".repeat(spare));
    let (name, password) = arguments.as_bytes().split_at(255);
    assert_eq!(password.len(), 255);
    let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
    authenticate(&mut stream, &credentials(name, password));
    assert_eq!(request(&mut stream, &TO_AN_ADDRESS), NOT_ALLOWED);
    assert_eq!(door.names(), set(["u".repeat(spare)]));
}

#[test]
fn row_27_any_character_may_be_escaped_in_keys_and_values() {
    let (door, child) = (Doorkeeper::start(), Launch::client().start());
    let users =
        [("plain", "plain"), (r"\e\s\c", "esc"), (r"\\\\", r"\\"), (r"a\=\;\\", r"a=;\"), ("a=b", "a=b")];
    for (written, _) in users {
        let arguments = door.arguments(written).replace("login=", r"\lo\g\in=");
        assert_eq!(ask(child.socks(), arguments.as_bytes()), NOT_ALLOWED, "{written}");
    }
    assert_eq!(door.names(), set(users.map(|(_, read)| read.to_owned())));
}

#[test]
fn row_27_arguments_outside_the_grammar_are_refused_and_named_but_not_shown() {
    let good =
        "mode=classic;jid=bridge@mock.example;login=alice@mock.example:sesame;server=127.0.0.1:1;tls=none";
    let cases: [(&[u8], &str); 10] = [
        (b"=planted", "empty key"),
        (b"jid=planted\\", "backslash"),
        (b"\\", "backslash"),
        (b"planted", "equals sign"),
        (b"jid=b@x;planted", "equals sign"),
        (b"jid=b@x;=planted", "empty key"),
        (b"jid=b@x;jid=planted@x;login=a@b:c", "given twice"),
        (b"jid=planted@x", "login"),
        (b"jid=pl\xc3anted@x;login=a@b:c", "UTF-8"),
        (b"\xff\xfe=planted", "UTF-8"),
    ];
    for (arguments, named) in cases {
        let child = Launch::client().start();
        assert_eq!(ask(child.socks(), arguments), GENERAL_FAILURE, "{arguments:?}");
        let line = child.says("LOG SEVERITY=warning ");
        assert!(line.contains(named) && !line.contains("planted"), "{line}");
        // Together with what is right it is as wrong.
        let with_good = [good.as_bytes(), b";", arguments].concat();
        assert_eq!(ask(child.socks(), &with_good), GENERAL_FAILURE, "{arguments:?}");
    }
}
