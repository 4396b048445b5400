//! Storm: ten thousand random stanzas from a stranger, while a session runs between the accounts that get them.
//!
//! They are sent in batches, the same to slixmpp and to each account of ours, and the answers are compared. The seed is
//! told when it fails; `HEXCHAT_SEED` repeats it, each stanza by itself.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hexchat_lab::{Kind, on_both_servers, read};
use tokio::time::sleep;
use xmpp_parsers::minidom::Element;

use crate::answers::{PRIORITY, in_short};
use crate::grammar::{Grammar, Nature, Stanza};
use crate::last_word::{answers_to, until_delivered};
use crate::plainly::Plainly;
use crate::prober::{PATIENCE, Prober};
use crate::steady::Steady;
use crate::subject::{Connection, Lab, Subject};

/// How many stanzas each account gets: with a bridge's and a client's at two servers it is ten thousand, and half as many again
/// with that of a classic bridge. Prosody takes longer.
fn stanzas(kind: Kind) -> usize {
    match kind {
        Kind::Prosody | Kind::ProsodyModules => 1_200,
        Kind::Ejabberd => 3_800,
    }
}

/// How many stanzas go out to each account at once.
const BATCH: usize = 100;

/// How long the stranger rests after each batch, at least.
const SLICE: Duration = Duration::from_millis(200);

/// How much of its rate a session keeps, at least. It keeps nine tenths, in the median of all batches, and three quarters on a machine that
/// has five times as much to do as it can. There rates differ by a factor of ten between one second and another, so that each batch is
/// compared with the moment before it.
const KEPT_RATE: f64 = 0.4;

/// A session that carries data: what it can while it is measured, and little otherwise.
struct Load {
    carried: Arc<AtomicU64>,
    pace: Arc<Mutex<Pace>>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// As much as it can.
    Full,
    /// A cell now and then.
    Slow,
    /// No more.
    Over,
}

impl Load {
    /// From the bridge's end to the client's.
    fn start(connection: &Connection) -> Self {
        let mut from = connection.reached.try_clone().unwrap();
        let mut to = connection.application.try_clone().unwrap();
        from.set_write_timeout(Some(PATIENCE)).unwrap();
        let (carried, pace) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Pace::Slow)));
        let sender = thread::spawn({
            let pace = Arc::clone(&pace);
            move || {
                let mut sent = 0;
                // Whether everything has arrived is seen at the end.
                loop {
                    let pace = *pace.lock().unwrap();
                    let size = match pace {
                        Pace::Full => 16_384,
                        Pace::Slow => 512,
                        Pace::Over => break,
                    };
                    if from.write_all(&[0; 16_384][..size]).is_err() {
                        break;
                    }
                    if pace == Pace::Slow {
                        thread::sleep(Duration::from_millis(20));
                    }
                    sent += size as u64;
                }
                // The last byte tells the other end that nothing follows.
                sent + u64::from(from.write_all(&[1]).is_ok())
            }
        });
        let receiver = thread::spawn({
            let carried = Arc::clone(&carried);
            move || {
                let mut buffer = [0; 65_536];
                while let Ok(length @ 1..) = read(&mut to, &mut buffer) {
                    carried.fetch_add(length as u64, Ordering::Relaxed);
                    if buffer[length - 1] == 1 {
                        break;
                    }
                }
            }
        });
        Self { carried, pace, sender, receiver }
    }

    fn set(&self, pace: Pace) {
        *self.pace.lock().unwrap() = pace;
    }

    /// What it carries at full pace, in bytes a second, while `work` is done.
    async fn rate_during<T>(&self, work: impl Future<Output = T>) -> (f64, T) {
        self.set(Pace::Full);
        let (before, since) = (self.carried.load(Ordering::Relaxed), Instant::now());
        let done = work.await;
        let bytes = self.carried.load(Ordering::Relaxed) - before;
        let rate = bytes as f64 / since.elapsed().as_secs_f64();
        self.set(Pace::Slow);
        (rate, done)
    }

    /// Lets it carry what was sent.
    fn end(self) {
        self.set(Pace::Over);
        let sent = self.sender.join().unwrap();
        self.receiver.join().unwrap();
        assert_eq!(self.carried.load(Ordering::Relaxed), sent, "the session has lost something");
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Sends `stanzas`, and rests for as long as the server takes to pass them on, or for `rest` if that is longer.
async fn pass_on(stanzas: &str, eve: &mut Prober, rest: Duration) -> Vec<Element> {
    let since = Instant::now();
    eve.send(stanzas).await;
    let heard = until_delivered(eve).await;
    sleep(since.elapsed().max(rest)).await;
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

/// What only an account that serves classic understands.
const CLASSIC: &str = "hexchat:";

/// The part of the answers that is the same whoever it is.
fn comparable(
    lines: Vec<String>,
    batch: &[Stanza],
    has_same_contacts: bool,
    is_classic: bool,
) -> Vec<String> {
    let is_understood = |text: &str| is_classic && text.contains(CLASSIC);
    let differs = |stanza: &&Stanza| {
        matches!(stanza.nature, Nature::Different | Nature::Fatal) || is_understood(stanza.xml())
    };
    let different: Vec<&str> = batch.iter().filter(differs).map(|stanza| stanza.name()).collect();
    let is_comparable = |line: &String| {
        let is_different = different.iter().any(|name| line.contains(*name));
        // The server tells contacts more in the name of a bare JID than it tells others.
        let is_for_contacts = line.starts_with("<presence") || line.contains(" from='SUBJECT' ");
        !is_different && !is_understood(line) && (has_same_contacts || !is_for_contacts)
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

/// A stranger, and those who get the same stanzas from it.
struct Storm {
    steady: Steady,
    eve: Prober,
    kind: Kind,
    load: Load,
    /// The session's rate while each batch comes, as a part of what it was just before.
    kept_rates: Vec<f64>,
}

impl Storm {
    async fn start(kind: Kind) -> Self {
        let steady = Steady::start(Lab::server(kind, &["eve"]), "eve").await;
        let mut eve = Box::pin(Prober::log_in_as(&steady.lab.server, "eve", "r")).await;
        eve.come_online().await;
        let load = Load::start(&steady.lab.connection);
        Self { steady, eve, kind, load, kept_rates: Vec::new() }
    }

    /// Sends `batch` to everybody, and says what differs. The session is measured until the server has passed it on to our
    /// accounts and as long again, so that it has had time for others; and while nothing comes.
    async fn try_batch(&mut self, batch: &[Stanza], slice: Duration) -> Vec<String> {
        let lab = &self.steady.lab;
        let ours = self.steady.ours();
        let written: Vec<String> = batch.iter().map(|stanza| stanza.xml().to_owned()).collect();
        let after = || format!("one of {:#?}", in_short(&written));

        let (without, ()) = self.load.rate_during(sleep(slice)).await;
        let stanzas: String = ours.iter().flat_map(|subject| batch.iter().map(|it| it.to(subject))).collect();
        let (with, mut answers) = self.load.rate_during(pass_on(&stanzas, &mut self.eve, slice)).await;
        self.kept_rates.push(with / without.max(1.0));
        answers.extend(answers_to(String::new(), &mut self.eve, &ours, after).await);
        self.steady.assert_connected(&after());

        let bearable = batch.iter().filter(|stanza| stanza.nature != Nature::Fatal);
        let stanzas = bearable.map(|stanza| stanza.to(&lab.plain)).collect();
        let expected = answers_to(stanzas, &mut self.eve, &[&lab.plain], after).await;

        let compare = |subject: &&Subject| {
            // A user's account is not ours to make friends with, and ejabberd's presence stanzas come in no order.
            let has_same_contacts = self.kind == Kind::Prosody && subject.jid != lab.client.jid;
            let is_classic = subject.jid == lab.classic.jid;
            let lines = |heard: &[Element], of: &Subject| {
                comparable(lines_of(heard, of, &self.eve), batch, has_same_contacts, is_classic)
            };
            difference(&lines(&expected, &lab.plain), &lines(&answers, subject), batch, subject)
        };
        ours.iter().filter_map(compare).collect()
    }
}

async fn ten_thousand_random_stanzas_change_nothing(kind: Kind) {
    let replayed = std::env::var("HEXCHAT_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seed = replayed.unwrap_or_else(rand::random);
    println!("replay, one by one: HEXCHAT_SEED={seed} cargo test --test looks ten_thousand_random");
    let (at_once, slice) = if replayed.is_some() { (1, Duration::ZERO) } else { (BATCH, SLICE) };
    let mut storm = Storm::start(kind).await;
    let mut grammar = Grammar::new(seed, kind);
    let (mut made, mut differences) = (0, Vec::new());
    while made < stanzas(kind) {
        let batch = grammar.batch(at_once);
        made += batch.len();
        differences.extend(storm.try_batch(&batch, slice).await);
    }
    let Storm { steady, mut eve, load, kept_rates, .. } = storm;
    load.end();
    steady.assert_undisturbed(&mut eve, "random stanzas").await;
    assert!(differences.is_empty(), "{}", differences.concat());
    if replayed.is_none() {
        let kept = median(kept_rates);
        assert!(
            kept > KEPT_RATE,
            "beside a stranger's stanzas the session carries {kept:.2} of what it does without"
        );
    }
}

on_both_servers! {
    async fn ten_thousand_random_stanzas_change_nothing;
}
