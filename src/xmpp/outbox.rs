//! Outbox: what waits for the wire, ours first and then replies to strangers.

use std::collections::VecDeque;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use xmpp_parsers::iq::Iq;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza::Stanza;

use super::api::Parcel;
use super::backlog::{Counted, Gauge};
use super::reply_window::Window;
use super::stranger_replies::{self, StrangerReplies};

/// A stanza that the library writes counts as 256 bytes in the backlog, about as many as one without content takes.
const TYPICAL_STANZA: usize = 256;

/// Stanzas that the library writes and that nobody asks about that wait, at most: what comes then is never sent. They are answers of
/// the classic protocol, nearly all of them, and a peer that gets none does not go on.
const MOST_UNTAGGED: usize = 4096;

/// And how long they may be together, roughly: 4 MiB, four times as long as so many usual ones. Whoever asks writes the id of the answer,
/// which may be as long as a stanza, and part of what is in it.
const MOST_UNTAGGED_BYTES: usize = 4 * 1024 * 1024;

/// A stanza to send.
pub(super) struct Outgoing {
    pub(super) parcel: Parcel,
    pub(super) tag: Option<u64>,
    /// Its part in the backlog, if it has one.
    pub(super) counted: Option<Counted>,
}

impl Outgoing {
    /// Something that nobody asks about afterwards.
    pub(super) fn untagged(stanza: impl Into<Parcel>) -> Self {
        Self { parcel: stanza.into(), tag: None, counted: None }
    }

    /// Counts in the backlog from now on, unless it is an answer to a stranger.
    pub(super) fn count(&mut self, gauge: &Arc<Gauge>) {
        self.counted = match &self.parcel {
            Parcel::Written(bytes) => Some(gauge.count(bytes.len())),
            Parcel::Stanza(_) => Some(gauge.count(TYPICAL_STANZA)),
            Parcel::Reply(_) => None,
        };
    }

    /// How long it is, roughly, if the library writes it and nobody asks about it.
    fn untagged_length(&self) -> Option<usize> {
        match &self.parcel {
            Parcel::Stanza(stanza) if self.tag.is_none() => {
                let payloads = payloads(stanza).iter().map(length).sum::<usize>();
                Some(stranger_replies::length(stanza) + payloads)
            }
            _ => None,
        }
    }
}

/// The payloads of a stanza. Bodies do not count: ours have none.
fn payloads(stanza: &Stanza) -> &[Element] {
    match stanza {
        Stanza::Iq(Iq::Get { payload, .. } | Iq::Set { payload, .. }) => slice::from_ref(payload),
        Stanza::Iq(Iq::Result { payload, .. } | Iq::Error { payload, .. }) => payload.as_slice(),
        Stanza::Message(message) => &message.payloads,
        Stanza::Presence(presence) => &presence.payloads,
    }
}

/// How long an element is, but for its punctuation.
fn length(element: &Element) -> usize {
    let attributes = element.attrs().iter().map(|(_, value)| value.len()).sum::<usize>();
    let texts = element.texts().map(str::len).sum::<usize>();
    let children = element.children().map(length).sum::<usize>();
    element.name().len() + attributes + texts + children
}

/// What is ours is sent in its order, and before any answer to a stranger.
#[derive(Default)]
pub(super) struct Outbox {
    ours: VecDeque<Outgoing>,
    untagged: Untagged,
    replies: StrangerReplies,
    window: Window,
}

/// Those of ours that nobody asks about.
#[derive(Default)]
struct Untagged {
    count: usize,
    bytes: usize,
}

impl Untagged {
    fn has_room(&self, length: usize) -> bool {
        self.count < MOST_UNTAGGED && self.bytes + length <= MOST_UNTAGGED_BYTES
    }

    fn add(&mut self, length: Option<usize>) {
        self.count += usize::from(length.is_some());
        self.bytes += length.unwrap_or_default();
    }

    fn remove(&mut self, length: Option<usize>) {
        self.count -= usize::from(length.is_some());
        self.bytes -= length.unwrap_or_default();
    }
}

impl Outbox {
    pub(super) fn push_back(&mut self, outgoing: Outgoing) {
        let untagged = outgoing.untagged_length();
        match outgoing.parcel {
            Parcel::Reply(stanza) => self.replies.push(stanza),
            _ if untagged.is_some_and(|length| !self.untagged.has_room(length)) => {}
            _ => {
                self.untagged.add(untagged);
                self.ours.push_back(outgoing);
            }
        }
    }

    /// Sends something of ours before everything else.
    pub(super) fn push_front(&mut self, outgoing: Outgoing) {
        self.untagged.add(outgoing.untagged_length());
        self.ours.push_front(outgoing);
    }

    /// Whether there is something to send now.
    pub(super) fn has_due(&self, now: Instant) -> bool {
        !self.ours.is_empty() || self.window.wants_ping(now) || self.may_answer()
    }

    fn may_answer(&self) -> bool {
        !self.replies.is_empty() && self.window.has_room()
    }

    /// The next stanza to send. `ping`: one to the server, which shows how far it reads.
    pub(super) fn pop(&mut self, now: Instant, ping: impl FnOnce() -> Iq) -> Option<Outgoing> {
        if self.window.wants_ping(now) {
            let ping = ping();
            self.window.on_ping(now, ping.id().to_owned());
            return Some(Outgoing::untagged(ping));
        }
        let ours = self.pop_ours();
        if ours.is_some() {
            self.window.on_ours_sent();
        }
        ours.or_else(|| self.pop_reply())
    }

    /// The next one that somebody may ask about.
    pub(super) fn pop_ours(&mut self) -> Option<Outgoing> {
        let outgoing = self.ours.pop_front()?;
        self.untagged.remove(outgoing.untagged_length());
        Some(outgoing)
    }

    fn pop_reply(&mut self) -> Option<Outgoing> {
        if !self.may_answer() {
            return None;
        }
        let reply = self.replies.pop()?;
        self.window.on_sent(reply.length);
        Some(Outgoing::untagged(Parcel::Stanza(reply.stanza)))
    }

    /// Whether an answer with this id is to a ping of [`pop`](Self::pop)'s.
    pub(super) fn on_answer(&mut self, now: Instant, id: &str) -> bool {
        self.window.on_answer(now, id)
    }

    /// What was on its way went with its connection.
    pub(super) fn on_new_connection(&mut self) {
        self.window = Window::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::persona;
    use bytes::Bytes;
    use std::time::Duration;
    use xmpp_parsers::presence::Presence;

    const MOMENT: Duration = Duration::from_millis(1);

    fn reply(n: usize) -> Outgoing {
        let to = "eve@chat.example/r".parse().unwrap();
        Outgoing::untagged(Parcel::reply(Iq::empty_result(to, n.to_string())))
    }

    fn block() -> Outgoing {
        Outgoing::untagged(Parcel::Written(Bytes::from_static(b"<iq/>")))
    }

    fn pop(outbox: &mut Outbox, now: Instant) -> Option<Parcel> {
        outbox
            .pop(now, || persona::ping("x".parse().unwrap(), "ping".to_owned()))
            .map(|outgoing| outgoing.parcel)
    }

    /// What is sent at once: how many answers, and whether a ping.
    fn burst(outbox: &mut Outbox, now: Instant) -> (usize, bool) {
        let (mut answers, mut has_asked) = (0, false);
        while let Some(parcel) = pop(outbox, now) {
            let Parcel::Stanza(stanza) = parcel else { panic!("{parcel:?}") };
            match *stanza {
                Stanza::Iq(Iq::Get { id, .. }) => has_asked = id == "ping",
                _ => answers += 1,
            }
        }
        (answers, has_asked)
    }

    #[test]
    fn ours_goes_before_any_number_of_answers_to_strangers() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        (0..1000).for_each(|n| outbox.push_back(reply(n)));
        outbox.push_back(block());
        assert!(matches!(pop(&mut outbox, now), Some(Parcel::Written(_))));
    }

    #[test]
    fn a_few_kilobytes_of_answers_are_sent_until_the_server_shows_that_it_has_read_them() {
        let (mut outbox, mut now) = (Outbox::default(), Instant::now());
        (0..100).for_each(|n| outbox.push_back(reply(n)));
        let (first, has_asked) = burst(&mut outbox, now);
        assert!(has_asked && (10..16).contains(&first), "{first}");
        assert!(!outbox.has_due(now), "the rest waits");
        outbox.push_back(block());
        assert!(matches!(pop(&mut outbox, now), Some(Parcel::Written(_))), "and nothing else does");

        assert!(!outbox.on_answer(now, "another"));
        let mut sent = first;
        while sent < 100 {
            now += MOMENT;
            assert!(outbox.on_answer(now, "ping"));
            sent += burst(&mut outbox, now).0;
        }
        assert_eq!(sent, 100);
    }

    #[test]
    fn who_asks_one_question_after_the_other_never_waits_for_the_server() {
        let (mut outbox, mut now) = (Outbox::default(), Instant::now());
        let mut asked = None;
        for n in 0..10_000 {
            outbox.push_back(reply(n));
            let (answers, has_asked) = burst(&mut outbox, now);
            assert_eq!(answers, 1, "question {n}");
            // There and back again takes the server as long as the stranger.
            if asked.take().is_some() {
                outbox.on_answer(now, "ping");
            }
            asked = has_asked.then_some(());
            now += 100 * MOMENT;
        }
    }

    #[test]
    fn a_server_that_reads_slowly_is_sent_fewer_answers_at_a_time() {
        let flight = |delay: Duration| {
            let (mut outbox, mut now) = (Outbox::default(), Instant::now());
            (0..500).for_each(|n| outbox.push_back(reply(n)));
            let mut sent = burst(&mut outbox, now).0;
            for _ in 0..16 {
                now += delay;
                outbox.on_answer(now, "ping");
                sent += burst(&mut outbox, now).0;
            }
            sent
        };
        assert!(flight(300 * MOMENT) < flight(MOMENT));
        assert!(flight(300 * MOMENT) < 16 * 16);
    }

    #[test]
    fn a_server_that_answers_no_pings_stops_no_answers_for_good() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        (0..100).for_each(|n| outbox.push_back(reply(n)));
        burst(&mut outbox, now);
        let (answers, has_asked) = burst(&mut outbox, now + Duration::from_secs(20));
        assert!(answers > 0 && has_asked);
    }

    #[test]
    fn there_are_never_more_than_so_many_of_ours_that_nobody_asks_about_and_everything_else_is_kept() {
        let mut outbox = Outbox::default();
        (0..2 * MOST_UNTAGGED).for_each(|_| outbox.push_back(Outgoing::untagged(Presence::available())));
        (0..2 * MOST_UNTAGGED).for_each(|_| outbox.push_back(block()));
        let tagged = |tag| Outgoing { tag: Some(tag), ..Outgoing::untagged(Presence::available()) };
        (0..2 * MOST_UNTAGGED as u64).for_each(|tag| outbox.push_back(tagged(tag)));
        assert_eq!(std::iter::from_fn(|| outbox.pop_ours()).count(), 5 * MOST_UNTAGGED);
        outbox.push_back(Outgoing::untagged(Presence::available()));
        assert!(outbox.pop_ours().is_some(), "there is room again");
    }

    #[test]
    fn long_ids_of_those_who_ask_do_not_fill_memory() {
        let mut outbox = Outbox::default();
        let long =
            |n: usize| Iq::empty_result("eve@chat.example/r".parse().unwrap(), "x".repeat(200_000 + n));
        (0..MOST_UNTAGGED).for_each(|n| outbox.push_back(Outgoing::untagged(long(n))));
        let kept = std::iter::from_fn(|| outbox.pop_ours()).count();
        assert!((10..=MOST_UNTAGGED_BYTES / 200_000).contains(&kept), "{kept}");
        outbox.push_back(Outgoing::untagged(long(0)));
        assert!(outbox.pop_ours().is_some(), "there is room again");
    }

    #[test]
    fn what_is_in_answers_counts_as_their_ids_do() {
        let mut outbox = Outbox::default();
        let payload = format!("<a xmlns='x' b='{0}'><c>{0}</c></a>", "x".repeat(4000));
        let payload: Element = payload.parse().unwrap();
        let to = "eve@chat.example/r".parse().unwrap();
        let answer = Iq::Result { from: None, to: Some(to), id: "1".to_owned(), payload: Some(payload) };
        (0..MOST_UNTAGGED).for_each(|_| outbox.push_back(Outgoing::untagged(answer.clone())));
        let kept = std::iter::from_fn(|| outbox.pop_ours()).count();
        assert!((100..=MOST_UNTAGGED_BYTES / 8000).contains(&kept), "{kept}");
    }
}
