//! Timing of answers, which tells nobody what the account understands.
//!
//! Each request is compared with a twin that differs from it in one letter of its namespace: it is as long, has as many
//! attributes and children, and nobody can know it. What remains is what the account does with the one and not with the
//! other.
//!
//! All are sent in rounds, each request and each twin once in a round, in random order. So a request and its twin of the
//! same round can change places, as long as the account treats them alike, whatever else goes on: a machine that gets
//! slower or faster, and other work that comes and goes, disturb both. That is what makes the statistics hold.

use std::time::Instant;

use hexchat_lab::Kind;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::prober::Prober;
use crate::statistics::{Pair, differ};
use crate::subject::{Lab, Subject};

/// How many answers to each request are taken at a time.
const ANSWERS: usize = 500;

/// In seconds. A delay that must be noticed: answers are taken until one would be. The busier the machine, the more that takes.
const NOTICEABLE: f64 = 100e-6;

/// Answers are taken 16 times at most: 8,000 to each request.
const MOST_SERIES: usize = 16;

/// `SID` is a new sid, well-formed and forged; `BLOCK` a large block.
const REQUESTS: [&str; 9] = [
    UNHEARD_OF,
    "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='SID' stanza='iq'/>",
    "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='i781hf64' stanza='iq'/>",
    "<open xmlns='http://jabber.org/protocol/ibb' block-size='many' sid='SID' stanza='iq'/>",
    "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='SID'>AAAAAAAAAAAAAAAAAAAAAAAAAAAA</data>",
    "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='SID'>BLOCK</data>",
    "<close xmlns='http://jabber.org/protocol/ibb' sid='SID'/>",
    "<packet xmlns='hexchat:packet'><local_ip>127.0.0.1</local_ip><local_port>1</local_port>\
     <remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>eve@chat.example/r</aliases>\
     <id>0</id><data>AAAA</data></packet>",
    "<connect xmlns='hexchat:connect'><local_ip>127.0.0.1</local_ip><local_port>1</local_port>\
     <remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>eve@chat.example/r</aliases></connect>",
];

/// Nobody knows it, and neither its twin: the two cannot differ, unless one is delayed.
const UNHEARD_OF: &str = "<query xmlns='jabber:iq:unheard-of'/>";

fn twin(request: &str) -> String {
    request
        .replace("protocol/ibb'", "protocol/ibx'")
        .replace("hexchat:", "hexchax:")
        .replace("unheard-of", "unheard-ox")
}

/// Asks an account.
struct Stopwatch<'a> {
    prober: &'a mut Prober,
    subject: &'a Subject,
    rng: SmallRng,
}

impl Stopwatch<'_> {
    /// The times of each request and its twin. There are enough of them to notice a small delay.
    async fn measure(&mut self) -> Vec<Vec<Pair>> {
        let mut times: Vec<Vec<Pair>> = REQUESTS.iter().map(|_| Vec::new()).collect();
        for _ in 0..MOST_SERIES {
            for _ in 0..ANSWERS {
                self.ask_all(&mut times).await;
            }
            if is_noticed(&times[0]) {
                return times;
            }
        }
        panic!("even {} answers do not show a delay of {NOTICEABLE} s", MOST_SERIES * ANSWERS);
    }

    /// One round.
    async fn ask_all(&mut self, times: &mut [Vec<Pair>]) {
        let mut order: Vec<(usize, bool)> = (0..times.len()).flat_map(|n| [(n, false), (n, true)]).collect();
        order.shuffle(&mut self.rng);
        let mut round = vec![[0.0; 2]; times.len()];
        for (n, is_twin) in order {
            let request = if is_twin { twin(REQUESTS[n]) } else { REQUESTS[n].to_owned() };
            round[n][usize::from(is_twin)] = self.ask(&request).await;
        }
        for (times, pair) in times.iter_mut().zip(round) {
            times.push(pair);
        }
    }

    /// In seconds.
    async fn ask(&mut self, request: &str) -> f64 {
        let id = self.prober.new_id();
        let request = request.replace("SID", &self.forged_sid()).replace("BLOCK", &"AAAA".repeat(2000));
        let stanza = format!("<iq type='set' id='{id}' to='{}'>{request}</iq>", self.subject.jid);
        let start = Instant::now();
        self.prober.send(&stanza).await;
        let answers = self.prober.until_answer(&id).await;
        let time = start.elapsed().as_secs_f64();
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].attr("type"), Some("error"));
        time
    }

    /// A UUID as everybody makes them.
    fn forged_sid(&mut self) -> String {
        let hex = hexchat_pt::persona::new_id(self.rng.random());
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// Whether a small delay would be noticed, and none is where there is none.
fn is_noticed(unheard_of: &[Pair]) -> bool {
    let delayed = |delay: f64| -> Vec<Pair> {
        unheard_of.iter().map(|[request, twin]| [request + delay, *twin]).collect()
    };
    differ(&delayed(NOTICEABLE)) && differ(&delayed(-NOTICEABLE))
}

fn describe(pairs: &[Pair]) -> String {
    let median = |which: usize| {
        let mut times: Vec<f64> = pairs.iter().map(|pair| pair[which]).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2] * 1e6
    };
    format!("its answers take {:.0} µs, its twin's {:.0} µs", median(0), median(1))
}

#[test]
fn a_twin_differs_in_its_name_only() {
    for request in REQUESTS {
        let twin = twin(request);
        assert_eq!(twin.len(), request.len());
        assert_eq!(twin.chars().zip(request.chars()).filter(|(one, other)| one != other).count(), 1);
    }
}

/// A difference that is there is there twice; one by chance is not.
async fn assert_alike(prober: &mut Prober, subject: &Subject) {
    let mut stopwatch = Stopwatch { prober, subject, rng: SmallRng::seed_from_u64(1) };
    let first = stopwatch.measure().await;
    if !first.iter().any(|pairs| differ(pairs)) {
        return;
    }
    let second = stopwatch.measure().await;
    for ((request, first), second) in REQUESTS.iter().zip(&first).zip(&second) {
        assert!(!(differ(first) && differ(second)), "{}: {request}: {}", subject.jid, describe(second));
    }
}

#[tokio::test]
async fn answers_take_as_long_for_what_is_known_as_for_what_is_not() {
    let lab = Lab::start(Kind::Prosody, &["eve"]).await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    for subject in [&lab.bridge, &lab.client] {
        assert_alike(&mut eve, subject).await;
    }
}
