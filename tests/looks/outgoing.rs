//! Ids and pings that accounts of ours send, as the operators of their servers see them: those of an ordinary client.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use hexchat_lab::recorder::Speaker;
use hexchat_lab::server::DOMAIN;
use hexchat_lab::{ChatServer, Kind, Rate, Recorder};
use hexchat_pt::persona;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::prober::{PATIENCE, Prober};
use crate::subject::{Connection, Lab, Route, USERS};

/// How often each end writes a few bytes, which is a block each time.
const WRITES: usize = 200;

/// What is written in one go: so much that blocks are as large as they get.
const BULK: usize = 1 << 20;

/// Requests at a time: answers to so many are not sent before the server was asked how far it has read.
const FLOOD: usize = 40;

/// A ping that slixmpp sends to its server.
const SLIXMPPS_PING: &str = "import slixmpp, sys
client = slixmpp.ClientXMPP('plain@' + sys.argv[1], '')
client.register_plugin('xep_0199')
iq = client.Iq()
iq['type'] = 'get'
iq['to'] = sys.argv[1]
iq.enable('ping')
print(iq)";

/// The start tag of a stanza, and what its first child is.
#[derive(Debug)]
struct Sent {
    name: String,
    attributes: Vec<(String, String)>,
    child: String,
}

impl Sent {
    /// All stanzas in what a client has written.
    fn all_in(written: &str) -> Vec<Self> {
        let tags: Vec<&str> = written.split('<').collect();
        let read = |(at, tag): (usize, &&str)| Self::read(tag, tags.get(at + 1).copied());
        tags.iter().enumerate().filter_map(read).collect()
    }

    fn read(tag: &str, next: Option<&str>) -> Option<Self> {
        let (name, rest) = tag.split_once([' ', '>'])?;
        if !["iq", "message", "presence"].contains(&name) {
            return None;
        }
        let child = next.and_then(|next| next.split('>').next()).filter(|next| !next.starts_with('/'));
        Some(Self {
            name: name.to_owned(),
            attributes: attributes(rest.split('>').next()?),
            child: child.unwrap_or_default().trim_end_matches(['/', ' ']).replace('"', "'"),
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn is_ping(&self) -> bool {
        self.child.starts_with("ping ")
    }

    /// Its id, where it is the account's own choice. An answer has that of the request, and who may see the presence of an account is
    /// sent the last one once more, with its id, as slixmpp does it.
    fn chosen_id(&self) -> Option<&str> {
        let is_own = match self.name.as_str() {
            "iq" => matches!(self.get("type"), Some("get" | "set")),
            "presence" => self.get("to").is_none() || self.get("type").is_some(),
            _ => true,
        };
        self.get("id").filter(|_| is_own)
    }
}

fn attributes(tag: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = tag.split(['\'', '"']).collect();
    let pairs = parts.chunks_exact(2);
    pairs.map(|pair| (pair[0].trim_matches([' ', '=']).to_owned(), pair[1].to_owned())).collect()
}

/// What clients have sent, connection by connection.
fn sent(recorder: &Recorder) -> Vec<Vec<Sent>> {
    let conversations = recorder.conversations();
    let written = conversations.iter().map(|conversation| {
        let said = conversation.iter().filter(|(speaker, _)| *speaker == Speaker::Client);
        said.flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<u8>>()
    });
    written.map(|written| Sent::all_in(&String::from_utf8_lossy(&written))).collect()
}

fn count(sent: &[Vec<Sent>], is_wanted: impl Fn(&Sent) -> bool) -> usize {
    sent.iter().flatten().filter(|stanza| is_wanted(stanza)).count()
}

/// Sends what makes many ids.
fn talk(connection: &Connection) {
    for _ in 0..WRITES {
        connection.assert_works();
    }
    let mut writer = connection.application.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&vec![7; BULK]).unwrap());
    let mut reader = &connection.reached;
    reader.read_exact(&mut vec![0; BULK]).unwrap();
    writing.join().unwrap();
}

/// Asks every account of ours so much at a time that it asks its server how far that has read.
async fn flood(lab: &Lab, eve: &mut Prober) {
    for subject in [&lab.classic, &lab.bridge, &lab.client] {
        let ids: Vec<String> = (0..FLOOD).map(|_| eve.new_id()).collect();
        let requests = ids.iter().map(|id| {
            format!(
                "<iq type='get' id='{id}' to='{}'><query xmlns='jabber:iq:unheard-of'/></iq>",
                subject.jid
            )
        });
        eve.send(&requests.collect::<String>()).await;
        eve.until_answer(&ids[FLOOD - 1]).await;
    }
}

/// Everything that a bridge, a client of it and a classic bridge send in two logins each: at the login, in a session with traffic,
/// asked by strangers and by somebody who wants to see their presence, after their connections broke, and in the end.
async fn a_life(kind: Kind) -> Vec<Vec<Sent>> {
    let users: Vec<&str> = USERS.iter().chain(&["eve"]).copied().collect();
    let server = ChatServer::start(kind, Rate::Overheard, &users).unwrap();
    let recorder = Recorder::start(server.address()).unwrap();
    let lab = Box::pin(Lab::at(server, Route::Overheard(recorder.address()), "eve")).await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    eve.come_online().await;
    talk(&lab.connection);
    eve.send(&format!("<presence type='subscribe' to='{}'/>", lab.bridge.bare())).await;
    eve.until(|stanza| lab.bridge.sent(stanza) && stanza.attr("type") == Some("subscribe")).await;
    flood(&lab, &mut eve).await;
    recorder.cut();
    for subject in [&lab.classic, &lab.bridge, &lab.client] {
        subject.wait_until_online(&mut eve).await;
    }
    talk(&lab.connection);
    flood(&lab, &mut eve).await;
    let Lab { classic, bridge, client, connection, server: _server, .. } = lab;
    drop(connection);
    for subject in [client, bridge, classic] {
        subject.log_out();
    }
    let is_farewell = |stanza: &Sent| stanza.get("type") == Some("unavailable");
    let deadline = Instant::now() + PATIENCE;
    while count(&sent(&recorder), is_farewell) < 3 {
        assert!(Instant::now() < deadline, "an account did not say farewell");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sent(&recorder)
}

/// The attributes of a ping without the values that differ from one to the next, in no order.
fn looks(ping: &Sent) -> (BTreeSet<(String, String)>, String) {
    let attributes = ping.attributes.iter().filter(|(name, _)| name != "xmlns");
    let without_id = attributes
        .map(|(name, value)| (name.clone(), if name == "id" { String::new() } else { value.clone() }));
    (without_id.collect(), ping.child.clone())
}

fn slixmpps_ping() -> Sent {
    let python = Command::new("/usr/bin/python3").args(["-c", SLIXMPPS_PING, DOMAIN]).output().unwrap();
    let written = String::from_utf8(python.stdout).unwrap();
    Sent::all_in(&written).pop().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&python.stderr)))
}

/// Where the hexadecimal digits of an id are random: not where they say that it is a UUID of version 4.
fn random_digits() -> impl Iterator<Item = usize> {
    (0..32).filter(|place| ![12, 16].contains(place))
}

/// What gives away that ids count something: a digit that changes from one id to the next by some amounts far more often than by
/// others. None of them is that likely once in ten thousand runs.
fn counters(ids: &[&str]) -> Vec<String> {
    let digit = |id: &str, place: usize| usize::from_str_radix(&id[place..=place], 16).unwrap();
    let expected = (ids.len() - 1) as f64 / 16.0;
    let bound = expected + 7.0 * expected.sqrt() + 3.0;
    let mut found = Vec::new();
    for place in random_digits() {
        let mut changes = [0; 16];
        for pair in ids.windows(2) {
            changes[(16 + digit(pair[1], place) - digit(pair[0], place)) % 16] += 1;
        }
        let often = changes.iter().enumerate().filter(|(_, count)| f64::from(**count) > bound);
        found.extend(often.map(|(by, count)| format!("digit {place} changes {count} times by {by}")));
    }
    found
}

async fn assert_looks_ordinary(kind: Kind) {
    let sent = a_life(kind).await;
    let is_of = |name: &'static str| move |stanza: &Sent| stanza.child.starts_with(name);
    // Three accounts; the classic one resumes its session.
    assert!(count(&sent, is_of("bind ")) >= 5, "not every login was recorded");
    assert!(
        count(&sent, is_of("open ")) >= 2 && count(&sent, is_of("close ")) >= 1,
        "not every path was recorded"
    );
    assert!(count(&sent, is_of("data ")) > 4 * WRITES, "not all of the traffic was recorded");
    assert!(count(&sent, Sent::is_ping) >= 4, "pings are missing");

    let mut known = BTreeSet::new();
    for stanza in sent.iter().flatten().filter(|stanza| stanza.chosen_id().is_some()) {
        let id = stanza.chosen_id().unwrap();
        assert!(persona::random_of(id).is_some(), "an id of another form: {stanza:?}");
        assert!(known.insert(id), "an id that came before: {stanza:?}");
    }
    for connection in &sent {
        let ids: Vec<&str> = connection.iter().filter_map(Sent::chosen_id).collect();
        if ids.len() > WRITES {
            assert_eq!(counters(&ids), Vec::<String>::new());
        }
    }
    for set in sent.iter().flatten().filter(|stanza| stanza.name == "iq") {
        assert!(set.get("id").is_some(), "an IQ without an id: {set:?}");
    }
    let expected = looks(&slixmpps_ping());
    for ping in sent.iter().flatten().filter(|stanza| stanza.is_ping()) {
        assert_eq!(looks(ping), expected, "{ping:?}");
    }
}

#[tokio::test]
async fn ids_and_pings_of_accounts_at_prosody_are_an_ordinary_clients() {
    assert_looks_ordinary(Kind::Prosody).await;
}

#[tokio::test]
async fn ids_and_pings_of_accounts_at_ejabberd_are_an_ordinary_clients() {
    assert_looks_ordinary(Kind::Ejabberd).await;
}

#[test]
fn ids_that_count_are_noticed_wherever_the_counter_stands_and_others_are_not() {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut ids = |counter: fn(u128) -> u128, is_random: u128| -> Vec<String> {
        let id = |n| persona::new_id(counter(n) | rng.random::<u128>() & is_random);
        (0..400).map(id).collect()
    };
    let noticed = |ids: &[String]| !counters(&ids.iter().map(String::as_str).collect::<Vec<_>>()).is_empty();
    assert!(!noticed(&ids(|_| 0, u128::MAX)));
    assert!(noticed(&ids(|n| n, !0xffff)), "at the end");
    assert!(noticed(&ids(|n| n << 100, !(0xffff << 100))), "in front");
    assert!(noticed(&ids(|n| n << 66, !(0xff << 66))), "in between");
    assert!(noticed(&ids(|_| 7 << 32, !(0xff << 32))), "not even counting");
}

#[test]
fn what_is_sent_is_read_as_it_was_written() {
    let sent = Sent::all_in(
        "<?xml version='1.0'?><stream:stream to='x'><iq xmlns='jabber:client' type='get' id='a'><ping xmlns='urn:xmpp:ping'/></iq>\
         <r xmlns='urn:xmpp:sm:3'/><iq type='result' id='b'/><presence id=\"c\" to='d'></presence>",
    );
    let ids: Vec<_> = sent.iter().map(|stanza| (stanza.get("id"), stanza.chosen_id())).collect();
    assert_eq!(ids, [(Some("a"), Some("a")), (Some("b"), None), (Some("c"), None)]);
    assert!(sent[0].is_ping() && sent[0].child == "ping xmlns='urn:xmpp:ping'" && !sent[1].is_ping());
}
