//! Answers of both accounts to the same stanzas.

use hexchat_lab::Kind;

use crate::last_word::{answers_to, until_delivered};
use crate::plainly::Plainly;
use crate::prober::Prober;
use crate::probes::{CLASSIC, CONTACTS, LOST, MALFORMED, MESSAGES, PRESENCE, Probe, REQUESTS};
use crate::subject::{Lab, Subject};

/// What slixmpp says to a request that it does not know.
const REFUSED: &str = "<feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'></feature-not-implemented>\
    <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>No handlers registered for this request.</text>";

/// Our presence stanzas always say their priority, which is the default one.
pub(crate) const PRIORITY: &str = "<priority>0</priority>";

/// The most bytes that are sent before the server has read them: ejabberd counts what it reads in one piece with a stanza as a
/// part of it, and no stanza may be longer than 262,144 bytes.
const AT_ONCE: usize = 100_000;

/// What each of `subjects` sends for each probe, one line a stanza.
async fn interview(
    prober: &mut Prober,
    subjects: &[&Subject],
    probes: &[Probe<'_>],
) -> Vec<Vec<Vec<String>>> {
    let mut plainly: Vec<_> = subjects.iter().map(|subject| Plainly::new(subject, prober)).collect();
    let mut answers = vec![Vec::new(); subjects.len()];
    for (name, probe) in probes {
        let id = prober.new_id();
        let (mut stanzas, mut heard) = (String::new(), Vec::new());
        for subject in subjects {
            stanzas += &fill_in(probe, &id, prober, subject);
            if stanzas.len() > AT_ONCE {
                prober.send(&std::mem::take(&mut stanzas)).await;
                heard.extend(until_delivered(prober).await);
            }
        }
        heard.extend(answers_to(stanzas, prober, subjects, || (*name).to_owned()).await);
        for ((subject, plainly), answers) in subjects.iter().zip(&mut plainly).zip(&mut answers) {
            let from_it = heard.iter().filter(|stanza| subject.sent(stanza));
            answers.push(from_it.map(|stanza| plainly.write(stanza, &id)).collect());
        }
    }
    answers
}

fn fill_in(probe: &str, id: &str, prober: &Prober, subject: &Subject) -> String {
    probe
        .replace("'ID'", &format!("'{id}'"))
        .replace("'TO'", &format!("'{}'", subject.jid))
        .replace("'BARE'", &format!("'{}'", subject.bare()))
        .replace("PROBER", &prober.jid)
}

/// Asks slixmpp and ours, and compares.
pub(crate) async fn compare(prober: &mut Prober, plain: &Subject, ours: &[&Subject], probes: &[Probe<'_>]) {
    let answers = interview(prober, &[&[plain], ours].concat(), probes).await;
    let (expected, answers) = answers.split_first().unwrap();
    let mut differences = String::new();
    for (subject, answers) in ours.iter().zip(answers) {
        for (((name, _), expected), answers) in probes.iter().zip(expected).zip(answers) {
            let answers: Vec<_> = answers.iter().map(|line| line.replace(PRIORITY, "")).collect();
            if answers != *expected {
                let (expected, answers) = (in_short(expected), in_short(&answers));
                differences += &format!("\n{name}:\n  slixmpp {expected:#?}\n  {} {answers:#?}", subject.jid);
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// Lines that a reader can take in.
pub(crate) fn in_short(lines: &[String]) -> Vec<String> {
    const HEAD: usize = 400;
    let shorten = |line: &String| match line.char_indices().nth(HEAD) {
        Some((end, _)) => format!("{}… of {} bytes", &line[..end], line.len()),
        None => line.clone(),
    };
    lines.iter().map(shorten).collect()
}

async fn visit(kind: Kind) -> (Lab, Prober) {
    let lab = Lab::start(kind, &["eve"]).await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    eve.come_online().await;
    (lab, eve)
}

/// A user's account is not ours to make friends with.
#[tokio::test]
async fn a_stranger_gets_slixmpps_answers_on_prosody() {
    let (lab, mut eve) = visit(Kind::Prosody).await;
    for probes in [REQUESTS, MESSAGES, PRESENCE] {
        compare(&mut eve, &lab.plain, &[&lab.classic, &lab.bridge, &lab.client], probes).await;
    }
    compare(&mut eve, &lab.plain, &[&lab.classic, &lab.bridge], CONTACTS).await;
    compare(&mut eve, &lab.plain, &[&lab.bridge, &lab.client], CLASSIC).await;
}

/// What a client answers that uploads files is what slixmpp answers with the plugin for that.
#[tokio::test]
async fn a_stranger_gets_the_answers_of_slixmpp_that_uploads_files() {
    const MORE: &[Probe<'_>] = &[
        (
            "a slot",
            "<iq type='get' id='ID' to='TO'><request xmlns='urn:xmpp:http:upload:0' filename='a.jpg' size='1'/></iq>",
        ),
        (
            "a slot that is set",
            "<iq type='set' id='ID' to='TO'><request xmlns='urn:xmpp:http:upload:0'/></iq>",
        ),
        ("a form", "<message to='TO' id='ID'><x xmlns='jabber:x:data' type='form'/></message>"),
    ];
    let lab = Lab::uploaders(Kind::Prosody, "eve", &["xep_0363"], "").await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    eve.come_online().await;
    compare(&mut eve, &lab.plain, &[&lab.client], &[REQUESTS, MORE].concat()).await;
}

/// ... and what one answers that uses relays is what slixmpp answers with the plugin for those, too.
#[tokio::test]
async fn a_stranger_gets_the_answers_of_slixmpp_that_has_bytestreams() {
    const MORE: &[Probe<'_>] = &[
        (
            "a bytestream",
            "<iq type='set' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/bytestreams' sid='s' mode='tcp'>\
             <streamhost jid='proxy.chat.example' host='127.0.0.1' port='1'/></query></iq>",
        ),
        (
            "a bytestream without an id",
            "<iq type='set' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/bytestreams'>\
             <streamhost jid='proxy.chat.example' host='127.0.0.1' port='1'/></query></iq>",
        ),
        (
            "a bytestream with nowhere to connect to",
            "<iq type='set' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/bytestreams' sid='s'/></iq>",
        ),
        (
            "where the proxy is",
            "<iq type='get' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/bytestreams'/></iq>",
        ),
        (
            "where the proxies are",
            "<iq type='get' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/bytestreams'>\
             <streamhost jid='proxy.chat.example' host='127.0.0.1' port='1'/></query></iq>",
        ),
        (
            "an activation",
            "<iq type='set' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/bytestreams' sid='s'>\
             <activate>PROBER</activate></query></iq>",
        ),
    ];
    let more = "[lanes]\nrelay = true\n";
    let lab = Lab::uploaders(Kind::Prosody, "eve", &["xep_0363", "xep_0065"], more).await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    eve.come_online().await;
    compare(&mut eve, &lab.plain, &[&lab.client], &[REQUESTS, MORE].concat()).await;
}

/// Not the presence stanzas: they leave several of ejabberd's processes, and so in no order.
#[tokio::test]
async fn a_stranger_gets_slixmpps_answers_on_ejabberd() {
    let (lab, mut eve) = visit(Kind::Ejabberd).await;
    for probes in [REQUESTS, MESSAGES] {
        compare(&mut eve, &lab.plain, &[&lab.classic, &lab.bridge, &lab.client], probes).await;
    }
    compare(&mut eve, &lab.plain, &[&lab.bridge, &lab.client], CLASSIC).await;
}

#[tokio::test]
async fn prosody_answers_malformed_requests_itself() {
    let (lab, mut eve) = visit(Kind::Prosody).await;
    compare(&mut eve, &lab.plain, &[&lab.bridge], MALFORMED).await;
}

/// Every request that is refused gets the same words, whether it is one of In-Band Bytestreams, of the classic protocol
/// or of something that does not exist.
#[tokio::test]
async fn all_refusals_are_the_same() {
    let (lab, mut eve) = visit(Kind::Prosody).await;
    for answers in interview(&mut eve, &[&lab.bridge, &lab.client], &[REQUESTS, CLASSIC].concat()).await {
        let refusals: Vec<_> =
            answers.iter().filter(|lines| lines.iter().any(|line| line.contains(REFUSED))).collect();
        assert!(refusals.len() > 30, "only {} requests were refused", refusals.len());
        for refusal in &refusals {
            assert_eq!(refusal, &refusals[0]);
        }
        assert_eq!(refusals[0].len(), 1);
    }
}

/// The stanza parser below us loses an IQ's language, unknown attributes and text beside its child, which slixmpp sends back.
/// When this test fails because it no longer does, move these probes to the others.
#[tokio::test]
async fn what_the_stanza_parser_loses_is_known() {
    let (lab, mut eve) = visit(Kind::Prosody).await;
    let answers = interview(&mut eve, &[&lab.plain, &lab.bridge], LOST).await;
    for (((name, _), expected), answers) in LOST.iter().zip(&answers[0]).zip(&answers[1]) {
        let known: Vec<String> = expected
            .iter()
            .map(|line| {
                line.replace(" extra='yes'", "")
                    .replace("lang='de'", "lang='en'")
                    .replace(">text<error", "><error")
            })
            .collect();
        assert_eq!(answers, &known, "{name}");
    }
}
