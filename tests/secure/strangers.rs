//! Strangers, who have an account at the same server, but not the bridge line.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use hexchat_lab::recorder::Speaker;
use hexchat_lab::{Kind, Recorder};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::harness::{Lab, Route, Target};
use crate::pair::Bridge;
use crate::prober::Prober;

/// How many first stanzas a stranger tries.
const ATTEMPTS: usize = 10_000;

/// How many of them are on their way at once.
const AT_ONCE: usize = 100;

/// What somebody could have recorded of a client: its full JID, and the stanzas with which it came in.
struct Recorded {
    resource: String,
    sids: Vec<String>,
    blocks: Vec<String>,
}

impl Recorded {
    fn of(recorder: &Recorder) -> Self {
        let conversations = recorder.conversations();
        let said = |speaker| -> String {
            let pieces = conversations.iter().flatten().filter(|(who, _)| *who == speaker);
            pieces.map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect()
        };
        let (client, server) = (said(Speaker::Client), said(Speaker::Server));
        let opens = client.split("<open").skip(1).map(|open| attribute(open, "sid"));
        let blocks = client.split("</data>").filter_map(|block| Some(block.rsplit_once('>')?.1.to_owned()));
        let bound = server.split("</jid>").next().unwrap();
        Self {
            resource: bound.rsplit_once('/').unwrap().1.to_owned(),
            sids: opens.collect(),
            blocks: blocks.filter(|block| !block.is_empty()).collect(),
        }
    }
}

fn attribute(element: &str, name: &str) -> String {
    let (_, rest) = element.split_once(&format!("{name}=")).unwrap();
    rest[1..].split(['\'', '"']).next().unwrap().to_owned()
}

/// One attempt of somebody who has seen what a client said, and tries that, and what is like it.
fn attempt(rng: &mut SmallRng, recorded: &Recorded) -> String {
    let sid = &recorded.sids[rng.random_range(0..recorded.sids.len())];
    let sid = match rng.random_range(0..5) {
        0 => sid.clone(),
        1 => flipped(rng, sid),
        2 => sid[..rng.random_range(0..sid.len())].to_owned(),
        3 => sid.to_uppercase(),
        _ => random_uuid(rng),
    };
    let block = &recorded.blocks[rng.random_range(0..recorded.blocks.len())];
    match rng.random_range(0..6) {
        0 => format!("<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='{sid}'>{block}</data>"),
        1 => format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{sid}'/>"),
        _ => {
            format!(
                "<open xmlns='http://jabber.org/protocol/ibb' block-size='65535' sid='{sid}' stanza='iq'/>"
            )
        }
    }
}

/// Another digit in one place.
fn flipped(rng: &mut SmallRng, sid: &str) -> String {
    let mut digits: Vec<u8> = sid.bytes().collect();
    let place = rng.random_range(0..digits.len());
    if digits[place] != b'-' {
        digits[place] = b"0123456789abcdef"[rng.random_range(0..16)];
    }
    String::from_utf8(digits).unwrap()
}

fn random_uuid(rng: &mut SmallRng) -> String {
    let hex = format!("{:032x}", rng.random::<u128>());
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// What comes back for each of the `requests` to `to`, without what names the request.
async fn answers(prober: &mut Prober, to: &str, requests: &[String]) -> Vec<String> {
    let mut ids = Vec::new();
    for request in requests {
        let id = prober.new_id();
        prober.send(&format!("<iq type='set' id='{id}' to='{to}'>{request}</iq>")).await;
        ids.push(id);
    }
    let mut answers = Vec::new();
    for id in ids {
        let answer = prober.until_answer(&id).await.pop().unwrap();
        answers.push(String::from(&answer).replace(&id, "ID"));
    }
    answers
}

fn say_hello(application: &mut TcpStream, server: &mut TcpStream) {
    application.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    server.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn ten_thousand_first_stanzas_get_what_an_unknown_request_gets_and_nothing_is_dialled() {
    let (lab, target) = (Lab::overheard(Kind::Prosody), Target::start());
    let recorder = Recorder::start(lab.server.address()).unwrap();
    let mut bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let bob = std::fs::read_to_string(bridge.line_file()).unwrap();
    let bob = bob.split("jid=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let forward = bridge.forward(&lab, &["alice"], &Route::Overheard(recorder.address()));
    let (mut application, mut server) = target.connect_through(forward.entrance());
    say_hello(&mut application, &mut server);
    drop((application, server, forward));
    let recorded = Recorded::of(&recorder);
    assert!(!recorded.sids.is_empty() && recorded.blocks.len() > 1);

    let mut eve = Prober::log_in(&lab.server, "alice2").await;
    let unknown = "<query xmlns='jabber:iq:unheard-of'/>".to_owned();
    let refusal = answers(&mut eve, &bob, std::slice::from_ref(&unknown)).await.pop().unwrap();
    assert!(refusal.contains("feature-not-implemented"), "{refusal}");
    let seed = rand::random();
    let mut rng = SmallRng::seed_from_u64(seed);
    for _ in 0..ATTEMPTS / AT_ONCE {
        let attempts: Vec<String> = (0..AT_ONCE).map(|_| attempt(&mut rng, &recorded)).collect();
        for (attempt, answer) in attempts.iter().zip(answers(&mut eve, &bob, &attempts).await) {
            assert_eq!(answer, refusal, "seed {seed}: {attempt}");
        }
    }

    // Even under the client's own name, and though the bridge has been started anew since.
    let genuine: Vec<String> = recorded
        .sids
        .iter()
        .map(|sid| {
            format!(
                "<open xmlns='http://jabber.org/protocol/ibb' block-size='65535' sid='{sid}' stanza='iq'/>"
            )
        })
        .collect();
    for is_restarted in [false, true] {
        if is_restarted {
            bridge.restart();
        }
        let mut thief = Prober::log_in_as(&lab.server, "alice", &recorded.resource).await;
        let refusal = answers(&mut thief, &bob, std::slice::from_ref(&unknown)).await.pop().unwrap();
        for answer in answers(&mut thief, &bob, &genuine).await {
            assert_eq!(answer, refusal, "restarted: {is_restarted}");
        }
    }

    assert!(target.is_untouched(), "a stranger made the bridge dial");
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    let (mut application, mut server) = target.connect_through(forward.entrance());
    say_hello(&mut application, &mut server);
}
