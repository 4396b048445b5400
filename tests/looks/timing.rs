//! How long answers take tells nobody what the account understands.
//!
//! Each request is compared with a twin that differs from it in one letter of its namespace: it is as long, has as many
//! attributes and children, and nobody can know it. What remains is what the account does with the one and not with the
//! other. All of them are sent in one run, in random order, so that whatever disturbs the run disturbs all alike.

use std::time::Instant;

use hexchat_lab::Kind;
use rand::seq::SliceRandom as _;

use crate::prober::{Prober, parse};
use crate::statistics::same_distribution;
use crate::subject::{Lab, Subject};

/// How many answers to each request are compared.
const ANSWERS: usize = 1000;

/// How unlikely a difference must be to count as one, in each of two runs.
const ALPHA: f64 = 0.001;

/// In seconds. A delay that must be noticed; on a machine too busy for that, more answers are taken.
const NOTICEABLE: f64 = 300e-6;

/// How often more answers are taken.
const MOST_SERIES: usize = 12;

/// `SID` is a new sid, well-formed and forged.
const REQUESTS: [&str; 6] = [
    "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='SID' stanza='iq'/>",
    "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='SID'>AAAAAAAAAAAAAAAAAAAAAAAAAAAA</data>",
    "<close xmlns='http://jabber.org/protocol/ibb' sid='SID'/>",
    "<packet xmlns='hexchat:packet'><local_ip>127.0.0.1</local_ip><local_port>1</local_port>\
     <remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>eve@chat.example/r</aliases>\
     <id>0</id><data>AAAA</data></packet>",
    "<connect xmlns='hexchat:connect'><local_ip>127.0.0.1</local_ip><local_port>1</local_port>\
     <remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>eve@chat.example/r</aliases></connect>",
    "<query xmlns='jabber:iq:unheard-of'/>",
];

fn twin(request: &str) -> String {
    request
        .replace("protocol/ibb'", "protocol/ibx'")
        .replace("hexchat:", "hexchax:")
        .replace("unheard-of", "unheard-ox")
}

/// The times, in seconds, that the answers to a request and to its twin took.
#[derive(Default)]
struct Times {
    request: Vec<f64>,
    twin: Vec<f64>,
}

impl Times {
    fn differ(&self) -> bool {
        same_distribution(&self.request, &self.twin) < ALPHA
    }

    /// Whether a small delay would be noticed: half of the twin's answers against the other half, delayed.
    fn are_sharp(&self) -> bool {
        let (one, other): (Vec<_>, Vec<_>) = self.twin.iter().enumerate().partition(|(n, _)| n % 2 == 0);
        let one: Vec<f64> = one.into_iter().map(|(_, time)| *time).collect();
        let other: Vec<f64> = other.into_iter().map(|(_, time)| time + NOTICEABLE).collect();
        same_distribution(&one, &other) < ALPHA
    }
}

/// Asks until there are enough answers to notice a small delay.
async fn measure(prober: &mut Prober, subject: &Subject) -> Vec<Times> {
    let mut times: Vec<Times> = REQUESTS.iter().map(|_| Times::default()).collect();
    for _ in 0..MOST_SERIES {
        for _ in 0..ANSWERS {
            ask_all(prober, subject, &mut times).await;
        }
        if times.iter().all(Times::are_sharp) {
            return times;
        }
    }
    panic!("even {} answers do not show a delay of {NOTICEABLE} s", MOST_SERIES * ANSWERS);
}

/// Every request and every twin once, in random order.
async fn ask_all(prober: &mut Prober, subject: &Subject, times: &mut [Times]) {
    let mut order: Vec<(usize, bool)> = (0..times.len()).flat_map(|n| [(n, false), (n, true)]).collect();
    order.shuffle(&mut rand::rng());
    for (n, is_twin) in order {
        let request = if is_twin { twin(REQUESTS[n]) } else { REQUESTS[n].to_owned() };
        let time = ask(prober, subject, &request).await;
        let times = &mut times[n];
        if is_twin { &mut times.twin } else { &mut times.request }.push(time);
    }
}

async fn ask(prober: &mut Prober, subject: &Subject, request: &str) -> f64 {
    let id = prober.new_id();
    let request = request.replace("SID", &forged_sid());
    let stanza = parse(&format!("<iq type='set' id='{id}' to='{}'>{request}</iq>", subject.jid));
    let start = Instant::now();
    prober.send_element(&stanza).await;
    let answers = prober.until_answer(&id).await;
    let time = start.elapsed().as_secs_f64();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].attr("type"), Some("error"));
    time
}

/// A UUID as everybody makes them.
fn forged_sid() -> String {
    let hex = hexchat_pt::xmpp::manners::new_id(rand::random());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
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
#[tokio::test]
async fn answers_take_as_long_for_what_is_known_as_for_what_is_not() {
    let lab = Lab::start(Kind::Prosody, &["eve"]).await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    let first = measure(&mut eve, &lab.bridge).await;
    if !first.iter().any(Times::differ) {
        return;
    }
    let second = measure(&mut eve, &lab.bridge).await;
    for ((request, first), second) in REQUESTS.iter().zip(&first).zip(&second) {
        assert!(!(first.differ() && second.differ()), "{}: {}", request, describe(second));
    }
}

fn describe(times: &Times) -> String {
    let median = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2] * 1e6
    };
    format!("its answers take {:.0} µs, its twin's {:.0} µs", median(&times.request), median(&times.twin))
}
