//! Attacks of hostile clients. Each goes on until it is told to stop: who is thrown out comes again, as often as the
//! bridge lets him in.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use hexchat_pt::secure::wire::frame::Frame;

use crate::deeds::Deeds;
use crate::intruder::{Intruder, SessionId};
use crate::siege::{Camp, INTRUDERS, MAX_SESSIONS, crowd};
use crate::target::DOWNLOAD;

/// How long an attacker who was thrown out, or not let in, waits before he tries again: 20 times a minute. The bridge of these
/// tests allows 120, so that what an attack has to have is there soon.
const COMES_AGAIN: Duration = Duration::from_secs(3);

/// How often what happens without pause happens.
const TICK: Duration = Duration::from_millis(5);

/// How long the bridge may take to make blocks of what was acknowledged before the next guesses.
const INSTANT: Duration = Duration::from_millis(1);

/// How often sessions are kept alive that nothing else is said in.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// All of them.
async fn intruders(camp: &Camp) -> Vec<Intruder> {
    let mut intruders = Vec::new();
    for user in INTRUDERS {
        intruders.push(camp.intruder(user).await);
    }
    intruders
}

/// What all of them have done.
fn deeds_of(intruders: Vec<Intruder>) -> Deeds {
    intruders.into_iter().map(Intruder::into_deeds).fold(Deeds::default(), Deeds::and)
}

/// A session, as soon as the bridge lets one in; none when the attack is over before.
async fn let_in(eve: &mut Intruder, camp: &Camp) -> Option<SessionId> {
    while !camp.is_over() {
        if let Some(session) = eve.shake_hands().await {
            return Some(session);
        }
        eve.rest(COMES_AGAIN).await;
    }
    None
}

/// Keeps as many sessions for each as the bridge lets it, of those that `begin` has made something of. In position when
/// everybody has tried, and there are sessions.
async fn hold(
    intruders: &mut [Intruder],
    camp: &Camp,
    wanted: usize,
    begin: impl AsyncFn(&mut Intruder, SessionId),
) {
    let mut said = Instant::now();
    while !camp.is_over() {
        join_all(intruders.iter_mut().map(|eve| fill_up(eve, camp, wanted, &begin))).await;
        if intruders.iter().any(|eve| !eve.open_sessions().is_empty()) {
            camp.take_position();
        }
        join_all(intruders.iter_mut().map(|eve| eve.rest(COMES_AGAIN))).await;
        if said.elapsed() >= KEEP_ALIVE {
            said = Instant::now();
            join_all(intruders.iter_mut().map(ping_in_all)).await;
        }
    }
    // A session that the bridge has ended is known to be over once a packet of it was refused.
    join_all(intruders.iter_mut().map(ping_in_all)).await;
    join_all(intruders.iter_mut().map(|eve| eve.rest(COMES_AGAIN))).await;
}

async fn fill_up(
    eve: &mut Intruder,
    camp: &Camp,
    wanted: usize,
    begin: &impl AsyncFn(&mut Intruder, SessionId),
) {
    for _ in eve.open_sessions().len()..wanted {
        if camp.is_over() {
            break;
        }
        let Some(session) = eve.shake_hands().await else { break };
        begin(eve, session).await;
    }
}

async fn ping_in_all(eve: &mut Intruder) {
    for session in eve.open_sessions() {
        eve.say(session, &[Frame::Ping]).await;
    }
}

/// Downloads without reading: claims that requests were answered that it has not seen, and acknowledges packets that it has
/// not got. Ids are guessed as a counter goes on from those that were seen, and at random.
pub(crate) async fn claim_what_never_came(camp: Camp) -> Deeds {
    let mut eve = camp.intruder(INTRUDERS[0]).await;
    while let Some(session) = let_in(&mut eve, &camp).await {
        eve.ids.clear();
        eve.answers = true;
        eve.open_stream(session, 0, &camp.target, &[DOWNLOAD]).await;
        eve.rest(Duration::from_secs(1)).await;
        eve.answers = false;
        camp.take_position();
        let mut guesses = Guesses::after(&eve.ids);
        while !camp.is_over() && eve.is_open(session) {
            eve.acknowledge_everything(session).await;
            guesses.see(&eve.ids);
            for id in guesses.next_round() {
                eve.claim_result(&id).await;
            }
            eve.rest(INSTANT).await;
        }
        eve.rest(COMES_AGAIN).await;
    }
    eve.into_deeds()
}

/// Ids that may be those of requests to come. A guess that comes too early is in vain, and what it would have answered fills
/// the window: so the numbers are swept again and again, each time a little further.
struct Guesses {
    prefix: String,
    /// The newest that was seen.
    seen: u64,
    next: u64,
    end: u64,
    sweeps: u64,
}

impl Guesses {
    /// So many guesses at a time: fewer than the blocks that the bridge makes of one acknowledgement.
    const ROUND: u64 = 8;
    /// How much further each sweep goes: no more than what a sweep makes of it, or else it would run away from the blocks.
    const FURTHER: u64 = 64;
    /// How far back a sweep begins, ...
    const BACK: u64 = 512;
    /// ... but for one in so many, which begins at the newest that was seen.
    const WHOLE: u64 = 16;

    fn after(ids: &[String]) -> Self {
        let newest = ids.last().map(String::as_str).unwrap_or_default();
        let prefix = newest.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let seen = number_of(newest, prefix).unwrap_or_default();
        Self { prefix: prefix.to_owned(), seen, next: seen, end: seen + Self::FURTHER, sweeps: 0 }
    }

    fn see(&mut self, ids: &[String]) {
        self.seen = ids.last().and_then(|id| number_of(id, &self.prefix)).unwrap_or(self.seen);
    }

    fn next_round(&mut self) -> Vec<String> {
        if self.next >= self.end {
            self.sweeps += 1;
            self.end += Self::FURTHER;
            let is_whole = self.sweeps.is_multiple_of(Self::WHOLE);
            self.next = if is_whole { self.seen } else { self.seen.max(self.end.saturating_sub(Self::BACK)) };
        }
        let numbers = self.next..self.next + Self::ROUND;
        self.next = numbers.end;
        let random = format!("{:032x}", rand::random::<u128>());
        numbers.map(|number| format!("{}{number}", self.prefix)).chain([random]).collect()
    }
}

fn number_of(id: &str, prefix: &str) -> Option<u64> {
    id.strip_prefix(prefix)?.parse().ok()
}

/// Sends small blocks, so many in a second, and reads no answer: each is to be answered with its id.
async fn send_small_blocks(camp: Camp, in_a_second: f64, suffix: &str) -> Deeds {
    let mut eve = camp.intruder(INTRUDERS[0]).await;
    while let Some(session) = let_in(&mut eve, &camp).await {
        camp.take_position();
        let mut last = Instant::now();
        while !camp.is_over() && eve.is_open(session) {
            // What a server that is too slow for it has delayed is not made up for.
            let due = last.elapsed().min(TICK * 4).as_secs_f64() * in_a_second;
            last = Instant::now();
            for _ in 0..due.ceil() as usize {
                eve.say_as(session, &[Frame::Ping], suffix).await;
            }
            eve.rest(TICK).await;
        }
        eve.rest(COMES_AGAIN).await;
    }
    eve.into_deeds()
}

/// 400 small blocks a second, whose answers are as short as answers can be.
pub(crate) async fn ask_for_many_answers(camp: Camp) -> Deeds {
    send_small_blocks(camp, 400.0, "").await
}

/// Small blocks whose ids have 2 kB, and so their answers.
pub(crate) async fn ask_for_long_answers(camp: Camp) -> Deeds {
    send_small_blocks(camp, 1000.0, &"x".repeat(2000)).await
}

/// Sends what takes little to send and much to keep: a byte for each of thousands of streams that are never opened, pieces
/// with gaps between them, packets whose counters are far apart.
pub(crate) async fn send_small_things(camp: Camp) -> Deeds {
    let mut intruders = vec![camp.intruder(INTRUDERS[0]).await];
    hold(&mut intruders, &camp, 10, async |eve, session| {
        let byte =
            |stream, offset| Frame::Data { stream, offset, data: Bytes::from_static(b"x"), fin: false };
        let unopened = (0..5_000).map(|stream| byte(stream, 0));
        let gaps = (0..1_000).flat_map(|stream| (1..16).map(move |piece| byte(stream, 2 * piece)));
        let frames: Vec<Frame> = unopened.chain(gaps).collect();
        for frames in frames.chunks(2_000) {
            eve.say(session, frames).await;
        }
        for _ in 0..1_000 {
            eve.skip_counter(session);
            eve.say(session, &[Frame::Ping]).await;
        }
    })
    .await;
    deeds_of(intruders)
}

/// Fills what a session may keep, but for a part of it: the first byte of each stream never comes.
async fn leave_gaps(eve: &mut Intruder, session: SessionId, share: f64) {
    const PIECE: usize = 32 * 1024;
    let credits = eve.credits(session);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
    let mut left = (f64::from(credits.session) * share) as usize;
    for stream in 0.. {
        let mut offset = 1;
        while offset + PIECE as u64 <= u64::from(credits.stream) {
            if left < PIECE || !eve.is_open(session) {
                return;
            }
            let data = Bytes::from(vec![0; PIECE]);
            eve.say(session, &[Frame::Data { stream, offset, data, fin: false }]).await;
            offset += PIECE as u64;
            left -= PIECE;
        }
    }
}

/// Nine sixteenths of what the bridge keeps for all, in gaps of streams that are never opened.
pub(crate) async fn keep_gaps(camp: Camp) -> Deeds {
    let mut intruders = vec![camp.intruder(INTRUDERS[0]).await];
    hold(&mut intruders, &camp, 9, async |eve, session| leave_gaps(eve, session, 0.5).await).await;
    deeds_of(intruders)
}

/// More than the bridge keeps for all, in sessions of three accounts, each of which keeps less than an honest one.
pub(crate) async fn stay_below_the_greediest(camp: Camp) -> Deeds {
    let mut intruders = intruders(&camp).await;
    intruders.truncate(3);
    hold(&mut intruders, &camp, 7, async |eve, session| leave_gaps(eve, session, 0.4).await).await;
    deeds_of(intruders)
}

/// Ten accounts make more sessions together than there may be, and say a word in each now and then.
pub(crate) async fn hold_all_sessions(camp: Camp) -> Deeds {
    let mut intruders = intruders(&camp).await;
    let each = MAX_SESSIONS / intruders.len() + 1;
    hold(&mut intruders, &camp, each, async |_, _| ()).await;
    deeds_of(intruders)
}

/// Opens so many streams in a session, to a target that accepts all.
async fn open_streams(eve: &mut Intruder, session: SessionId, camp: &Camp, count: u64) {
    let open = |stream| Frame::Open { stream, target: camp.target.clone() };
    for streams in (0..count).map(open).collect::<Vec<_>>().chunks(100) {
        eve.say(session, streams).await;
        eve.rest(Duration::from_millis(100)).await;
    }
}

/// Opens as many streams in one session as that may have.
pub(crate) async fn open_all_streams(camp: Camp) -> Deeds {
    let mut intruders = vec![camp.intruder(INTRUDERS[0]).await];
    hold(&mut intruders, &camp, 1, async |eve, session| open_streams(eve, session, &camp, 1_100).await).await;
    deeds_of(intruders)
}

/// Many accounts of one domain make as many sessions as they are let, with many streams in each.
pub(crate) async fn come_in_crowds(camp: Camp) -> Deeds {
    const SESSIONS: usize = 8;
    const STREAMS: u64 = 50;
    let mut intruders = Vec::new();
    for user in crowd() {
        intruders.push(camp.intruder(&user).await);
    }
    hold(&mut intruders, &camp, SESSIONS, async |eve, session| {
        open_streams(eve, session, &camp, STREAMS).await;
    })
    .await;
    deeds_of(intruders)
}

/// So many handshakes are begun before those are sent that the figures are about: by then all places are taken.
const HALF_OPEN: usize = 64;

/// Ten accounts begin handshakes and finish none.
pub(crate) async fn begin_handshakes_without_end(camp: Camp) -> Deeds {
    let mut intruders = intruders(&camp).await;
    let mut begun = 0;
    while !camp.is_over() {
        for eve in &mut intruders {
            begun += usize::from(eve.begin_handshake().await.is_some());
            eve.rest(Duration::from_millis(50)).await;
        }
        if begun >= HALF_OPEN {
            camp.take_position();
        }
    }
    deeds_of(intruders)
}

/// Only pings, and tells the ids of what came from the bridge.
pub(crate) async fn watch_ids(camp: Camp, tell: Sender<Vec<String>>) -> Deeds {
    let mut eve = camp.intruder(INTRUDERS[0]).await;
    let session = eve.shake_hands().await.expect("a session");
    // One that is not used is ended after ten minutes.
    open_streams(&mut eve, session, &camp, 1).await;
    camp.take_position();
    while !camp.is_over() {
        eve.say(session, &[Frame::Ping]).await;
        eve.rest(Duration::from_millis(100)).await;
    }
    tell.send(eve.ids.clone()).expect("somebody who wants to know");
    eve.into_deeds()
}

/// How many further paths an attacker tries to open.
const PATHS: usize = 60;
/// How many resources he tells of at a time.
const TOLD: usize = 10;

/// Opens paths of one session from ever further resources.
pub(crate) async fn open_paths_without_end(camp: Camp) -> Deeds {
    let mut eve = camp.intruder(INTRUDERS[0]).await;
    let session = eve.shake_hands().await.expect("a session");
    // One that is not used is ended after ten minutes.
    open_streams(&mut eve, session, &camp, 1).await;
    let mut others = Vec::new();
    for number in 0..PATHS {
        others.push(camp.intruder_at(INTRUDERS[0], &format!("r{number}")).await);
    }
    let mut number = 0;
    for (told, others) in others.chunks_mut(TOLD).enumerate() {
        let jids = others.iter().map(|other| other.jid().clone()).collect();
        eve.say_and_wait(session, &[Frame::Jids { serial: told as u64 + 1, jids }]).await;
        for other in others {
            other.open_path_of(&eve, session, number).await;
            number += 1;
        }
    }
    camp.take_position();
    while !camp.is_over() {
        eve.say(session, &[Frame::Ping]).await;
        eve.rest(Duration::from_millis(100)).await;
        for other in &mut others {
            other.rest(Duration::from_millis(1)).await;
        }
    }
    others.push(eve);
    deeds_of(others)
}
