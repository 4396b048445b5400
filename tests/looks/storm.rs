//! Ten thousand random stanzas from a stranger, while a session runs between the accounts that get them.
//!
//! They are sent in batches, the same to slixmpp and to each account of ours, and the answers are compared. The seed is
//! told when it fails; `HEXCHAT_SEED` repeats it, each stanza by itself.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hexchat_lab::Kind;
use tokio::time::{sleep, sleep_until};
use xmpp_parsers::minidom::Element;

use crate::answers::{PRIORITY, in_short};
use crate::grammar::{Grammar, Nature, Stanza};
use crate::plainly::{KEPT, Plainly};
use crate::prober::{PATIENCE, Prober};
use crate::steady::{Steady, is_refused, last_word};
use crate::subject::{Connection, Lab, Subject};

/// How many stanzas each account gets: with a bridge and a client at two servers it is ten thousand. Prosody takes longer.
fn stanzas(kind: Kind) -> usize {
    match kind {
        Kind::Prosody => 1_500,
        Kind::Ejabberd => 3_500,
    }
}

/// How many stanzas go out at once.
const BATCH: usize = 100;

/// How long the stranger takes for each batch, at least: up to 800 stanzas a second, answers not counted.
const SLICE: Duration = Duration::from_millis(500);

/// How much of its rate a session keeps, at least.
const KEPT_RATE: f64 = 0.5;

/// A session that carries what it can, and how much that was.
struct Load {
    carried: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<()>,
}

impl Load {
    /// From the bridge's end to the client's.
    fn start(connection: &Connection) -> Self {
        let mut from = connection.reached.try_clone().unwrap();
        let mut to = connection.application.try_clone().unwrap();
        from.set_write_timeout(Some(PATIENCE)).unwrap();
        let (carried, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let sender = thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                let mut sent = 0;
                // Whether everything has arrived is seen at the end.
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(length) = from.write(&[0; 16_384]) else { break };
                    sent += length as u64;
                }
                // The last byte tells the other end that nothing follows.
                sent + u64::from(from.write_all(&[1]).is_ok())
            }
        });
        let receiver = thread::spawn({
            let carried = Arc::clone(&carried);
            move || {
                let mut buffer = [0; 65_536];
                while let Ok(length @ 1..) = to.read(&mut buffer) {
                    carried.fetch_add(length as u64, Ordering::Relaxed);
                    if buffer[length - 1] == 1 {
                        break;
                    }
                }
            }
        });
        Self { carried, is_over, sender, receiver }
    }

    fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Lets it carry what was sent.
    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.sender.join().unwrap();
        self.receiver.join().unwrap();
        assert_eq!(self.carried.load(Ordering::Relaxed), sent, "the session has lost something");
    }
}

/// Bytes a second in each piece of time.
#[derive(Default)]
struct Rates(Vec<f64>);

impl Rates {
    fn note(&mut self, bytes: u64, time: Duration) {
        self.0.push(bytes as f64 / time.as_secs_f64());
    }

    fn median(&mut self) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[self.0.len() / 2]
    }
}

/// What everybody has sent when they have answered this twice; what slixmpp answers from a coroutine comes late.
///
/// # Panics
///
/// When an account does not answer itself: where it is not there, its server does.
async fn last_words(eve: &mut Prober, subjects: &[&Subject], after: impl Fn() -> String) -> Vec<Element> {
    let mut heard = Vec::new();
    for _ in 0..2 {
        let mut asked = BTreeSet::new();
        for subject in subjects {
            let id = eve.new_id();
            eve.send(&last_word(subject, &id)).await;
            asked.insert(id);
        }
        while !asked.is_empty() {
            let stanza = eve.next().await;
            if stanza.attr("id").is_some_and(|id| asked.remove(id)) {
                assert!(is_refused(&stanza), "{:?} is away after {}", stanza.attr("from"), after());
            } else {
                heard.push(stanza);
            }
        }
    }
    heard
}

/// What of this is from `subject`: sorted lines, since not everything is answered in order.
fn lines_of(heard: &[Element], subject: &Subject, eve: &Prober) -> Vec<String> {
    let mut plainly = Plainly::unordered(subject, eve);
    let stanzas = heard.iter().filter(|stanza| subject.sent(stanza));
    let mut lines: Vec<_> = stanzas.map(|stanza| plainly.write(stanza, "").replace(PRIORITY, "")).collect();
    lines.sort();
    lines
}

/// The part of the answers that is the same whoever it is.
fn comparable(lines: Vec<String>, batch: &[Stanza], kind: Kind, subject: &Subject, lab: &Lab) -> Vec<String> {
    let is_classic = subject.jid == lab.classic.jid;
    let serves = subject.jid != lab.client.jid;
    let differs = |stanza: &&Stanza| match stanza.nature {
        Nature::Different | Nature::Fatal => true,
        Nature::Classic => is_classic,
        Nature::Plain | Nature::Contact => false,
    };
    let different: Vec<&str> = batch.iter().filter(differs).map(|stanza| stanza.name()).collect();
    // A user's account is not ours to make friends with, and ejabberd's presence stanzas come in no order.
    let has_same_contacts = kind == Kind::Prosody && serves;
    let is_comparable = |line: &String| {
        let is_different = different.iter().any(|name| line.contains(*name));
        // The server tells contacts more in the name of a bare JID than it tells others.
        let is_for_contacts = line.starts_with("<presence") || line.contains(" from='SUBJECT' ");
        // A bridge of the classic protocol has requests of its own.
        let is_answer = line.contains(KEPT) || !is_classic || is_for_contacts;
        !is_different && is_answer && (has_same_contacts || !is_for_contacts)
    };
    lines.into_iter().filter(is_comparable).collect()
}

/// What is not the same in the two answers to `batch`; nothing if they are alike.
fn difference(
    expected: &[String],
    answers: &[String],
    batch: &[Stanza],
    subject: &Subject,
) -> Option<String> {
    if expected == answers {
        return None;
    }
    // A line that comes more often is one, too.
    let only_in = |one: &[String], other: &[String]| -> Vec<String> {
        let mut left = one.to_vec();
        for line in other {
            if let Some(place) = left.iter().position(|known| known == line) {
                left.remove(place);
            }
        }
        left
    };
    let (missing, surplus) = (only_in(expected, answers), only_in(answers, expected));
    let lines = [&missing[..], &surplus[..]].concat();
    let matters = |stanza: &&Stanza| {
        stanza.nature == Nature::Contact || lines.iter().any(|line| line.contains(stanza.name()))
    };
    let asked = batch.iter().filter(matters);
    let asked: Vec<String> = asked.map(|stanza| stanza.xml().to_owned()).collect();
    Some(format!(
        "{}: asked {:#?}\nslixmpp alone: {:#?}\nit alone: {:#?}\n",
        subject.jid,
        in_short(&asked),
        in_short(&missing),
        in_short(&surplus)
    ))
}

/// Sends `batch` to everybody, and says what differs.
async fn try_batch(steady: &Steady, eve: &mut Prober, kind: Kind, batch: &[Stanza]) -> Vec<String> {
    let (plain, ours) = (&steady.lab.plain, steady.ours());
    let everybody = [&[plain], &ours[..]].concat();
    for subject in &everybody {
        let bearable = |stanza: &&Stanza| stanza.nature != Nature::Fatal || subject.jid != plain.jid;
        let stanzas: String = batch.iter().filter(bearable).map(|stanza| stanza.to(subject)).collect();
        eve.send(&stanzas).await;
    }
    let names =
        || format!("{:#?}", in_short(&batch.iter().map(|it| it.xml().to_owned()).collect::<Vec<_>>()));
    let heard = last_words(eve, &everybody, names).await;
    steady.assert_connected(&names());
    let lines = |whose: &Subject, as_of: &Subject| {
        comparable(lines_of(&heard, whose, eve), batch, kind, as_of, &steady.lab)
    };
    let compare = |subject| difference(&lines(plain, subject), &lines(subject, subject), batch, subject);
    ours.into_iter().filter_map(compare).collect()
}

async fn ten_thousand_random_stanzas_change_nothing(kind: Kind) {
    let replayed = std::env::var("HEXCHAT_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seed = replayed.unwrap_or_else(rand::random);
    println!("replay, one by one: HEXCHAT_SEED={seed} cargo test --test looks ten_thousand_random");
    let at_once = if replayed.is_some() { 1 } else { BATCH };
    let steady = Steady::start(Lab::server(kind, &["eve"]), "eve").await;
    let mut eve = Prober::log_in_as(&steady.lab.server, "eve", "r").await;
    eve.come_online().await;
    let load = Load::start(&steady.lab.connection);
    let slice = if replayed.is_some() { Duration::ZERO } else { SLICE };
    let (mut with, mut without) = (Rates::default(), Rates::default());
    let mut grammar = Grammar::new(seed, kind);
    let (mut made, mut differences) = (0, Vec::new());
    while made < stanzas(kind) {
        let batch = grammar.batch(at_once);
        made += batch.len();
        let (before, since) = (load.carried(), Instant::now());
        differences.extend(try_batch(&steady, &mut eve, kind, &batch).await);
        sleep_until((since + slice).into()).await;
        with.note(load.carried() - before, since.elapsed());
        let (before, since) = (load.carried(), Instant::now());
        sleep(slice / 2).await;
        without.note(load.carried() - before, since.elapsed());
    }
    load.end();
    steady.assert_undisturbed(&mut eve, "random stanzas").await;
    assert!(differences.is_empty(), "{}", differences.concat());
    let (with, without) = (with.median(), without.median());
    println!("{kind:?}: {with:.0} bytes a second, {without:.0} without the stranger");
    assert!(
        replayed.is_some() || with > KEPT_RATE * without,
        "beside a stranger's stanzas the session carries {with:.0} bytes a second, and {without:.0} without"
    );
}

#[tokio::test]
async fn ten_thousand_random_stanzas_change_nothing_on_prosody() {
    ten_thousand_random_stanzas_change_nothing(Kind::Prosody).await;
}

#[tokio::test]
async fn ten_thousand_random_stanzas_change_nothing_on_ejabberd() {
    ten_thousand_random_stanzas_change_nothing(Kind::Ejabberd).await;
}
