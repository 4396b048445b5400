//! Overheard stanzas, as the chat server's operator sees them: every stanza of both halves, as they pass without TLS.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use hexchat_lab::Recorder;
use hexchat_lab::recorder::Speaker;

use crate::harness::{Half, Lab, Route, Target, on_both_servers};
use crate::pair::Bridge;

/// What the applications say to each other.
const PLAINTEXT: &[u8] = b"a plaintext that nobody but the two applications should ever see";

/// The namespaces of a chat client that logs in, shows itself, and sends a file by In-Band Bytestreams; with those of what
/// its server says of itself.
const ORDINARY: [&str; 25] = [
    "jabber:client",
    "http://etherx.jabber.org/streams",
    "urn:ietf:params:xml:ns:xmpp-tls",
    "urn:ietf:params:xml:ns:xmpp-sasl",
    "urn:ietf:params:xml:ns:xmpp-bind",
    "urn:ietf:params:xml:ns:xmpp-session",
    "urn:ietf:params:xml:ns:xmpp-stanzas",
    "urn:ietf:params:xml:ns:xmpp-streams",
    "http://jabber.org/protocol/ibb",
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    // Forms in what servers say of themselves.
    "jabber:x:data",
    "http://jabber.org/features/iq-register",
    "jabber:iq:version",
    "jabber:iq:roster",
    "urn:xmpp:ping",
    "urn:xmpp:time",
    "urn:xmpp:sm:2",
    "urn:xmpp:sm:3",
    "urn:xmpp:csi:0",
    "urn:xmpp:features:rosterver",
    "urn:xmpp:features:pre-approval",
    "urn:xmpp:sasl-cb:0",
    "urn:xmpp:carbons:2",
];

/// Everything that was said on all connections, the two directions of each apart.
fn everything(recorder: &Recorder) -> Vec<u8> {
    let conversations = recorder.conversations();
    let directions = conversations.iter().flat_map(|conversation| {
        [Speaker::Client, Speaker::Server].map(|speaker| {
            let said = conversation.iter().filter(move |(who, _)| *who == speaker);
            said.flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<u8>>()
        })
    });
    directions.collect::<Vec<_>>().join(&b"\n"[..])
}

/// The content of every block, one after the other.
fn decoded(log: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(log);
    let contents = text.split("</data>").filter_map(|before| before.rsplit_once('>').map(|(_, text)| text));
    contents.flat_map(|text| BASE64.decode(text).unwrap_or_default()).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// The forms in which `secret` could stand in a log: as it is, and in base64, which has three for what stands within
/// something else.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let encoded = (0..3).map(|offset| {
        let text = BASE64.encode([&vec![0; offset], secret].concat());
        // The ends depend on what is around it.
        text.as_bytes()[4..text.len() - 4].to_vec()
    });
    // A few letters stand in every long base64 text.
    encoded.filter(|form| form.len() >= 12).chain([secret.to_vec()]).collect()
}

/// Which of the `secrets` can be read in the log.
fn readable<'a>(log: &[u8], secrets: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let blocks = decoded(log);
    let is_there = |form: &Vec<u8>| contains(log, form) || contains(&blocks, form);
    secrets.iter().copied().filter(|secret| forms(secret).iter().any(is_there)).collect()
}

fn namespaces(log: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(log);
    let after = text.split("xmlns").skip(1).filter_map(|rest| rest.split_once('='));
    after.filter_map(|(_, value)| value.split(['\'', '"']).nth(1).map(str::to_owned)).collect()
}

/// Says the plaintext from both ends, and hears it at the other.
fn talk(application: &TcpStream, server: &TcpStream) {
    for (mut from, mut to) in [(application, server), (server, application)] {
        let said = PLAINTEXT.repeat(500);
        from.write_all(&said).unwrap();
        let mut heard = vec![0; said.len()];
        to.read_exact(&mut heard).unwrap();
        assert!(heard == said);
    }
}

on_both_servers! {
    fn the_stanzas_of_a_session_show_neither_the_program_nor_what_it_carries_nor_where_to(kind) {
        let (lab, target) = (Lab::overheard(kind), Target::start());
        let recorder = Recorder::start(lab.server.address()).unwrap();
        let route = Route::Overheard(recorder.address());
        let bridge = Bridge::start(&lab, &["bob"], &route, target.address());
        let forward = bridge.forward(&lab, &["alice"], &route);
        let (one, at_one) = target.connect_through(forward.entrance());
        talk(&one, &at_one);
        let (other, at_other) = target.connect_through(forward.entrance());
        recorder.cut();
        talk(&one, &at_one);
        talk(&other, &at_other);
        drop((one, at_one, other, at_other, forward));
        let line = std::fs::read_to_string(bridge.line_file()).unwrap();
        let key = line.split("key=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        drop(bridge);

        let log = everything(&recorder);
        let target = target.address().to_string();
        let raw_key = URL_SAFE_NO_PAD.decode(&key).unwrap();
        let secrets = [&b"hexchat"[..], PLAINTEXT, target.as_bytes(), key.as_bytes(), &raw_key];
        assert_eq!(readable(&log, &secrets), Vec::<&[u8]>::new());
        assert!(decoded(&log).len() > 2 * 3 * 500 * PLAINTEXT.len(), "the log is not all");
        let strange: Vec<_> =
            namespaces(&log).into_iter().filter(|name| !ORDINARY.contains(&name.as_str())).collect();
        assert_eq!(strange, Vec::<String>::new());
    }

    // So that the test above cannot pass because nothing would ever be found.
    fn the_stanzas_of_the_classic_protocol_show_all_of_it(kind) {
        let (lab, target) = (Lab::overheard(kind), Target::start());
        let recorder = Recorder::start(lab.server.address()).unwrap();
        let route = Route::Overheard(recorder.address());
        let _serve = Half::serve(&lab.config(&["bob"], &route), &[target.address()]);
        let forward = Half::forward(&lab.config(&["alice"], &route), &lab.server.jid("bob"), target.address());
        let (application, server) = target.connect_through(forward.entrance());
        talk(&application, &server);
        let log = everything(&recorder);
        let port = format!("<remote_port>{}<", target.address().port());
        let secrets = [&b"hexchat"[..], PLAINTEXT, port.as_bytes()];
        assert_eq!(readable(&log, &secrets), secrets);
        assert!(namespaces(&log).contains("hexchat:packet"));
    }
}
