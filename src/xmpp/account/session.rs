//! What the server and the stanza stream say, once an account is logged in.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::{Event, StreamEvent};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stream_features::StreamFeatures;

use super::link::Link;
use super::{Account, Wire, new_id, now};
use crate::xmpp::error::{AccountError, Step};
use crate::xmpp::flight::Fate;
use crate::xmpp::framer::Piece;
use crate::xmpp::outbox::Outgoing;
use crate::xmpp::plain::Heard;
use crate::xmpp::probe::{Probes, answered};
use crate::xmpp::reports::Reports;
use crate::xmpp::retire::put_to_rest;
use crate::xmpp::{AccountEvent, AccountStatus, Parcel, manners, timing};

impl Account {
    pub(super) fn on_event(&mut self, event: Option<Event>, reports: &mut Reports) {
        match event {
            Some(Event::Stanza(stanza)) => match self.line.original_of(&stanza) {
                Some(original) => self.on_original(original, reports),
                None => self.on_stanza(stanza, reports),
            },
            Some(Event::Stream(StreamEvent::Reset { bound_jid, features })) => {
                self.on_reset(bound_jid, &features, reports);
            }
            Some(Event::Stream(StreamEvent::Resumed)) => self.on_resumed(reports),
            Some(Event::Stream(StreamEvent::Suspended)) => self.on_suspended(reports),
            None => self.on_stream_gone(reports),
        }
    }

    /// The stand-in of this has come through the stanza stream.
    fn on_original(&mut self, original: Piece, reports: &mut Reports) {
        match Heard::of(original) {
            Some(Heard::Swift(swift)) => reports.event(AccountEvent::Swift(swift)),
            Some(Heard::Stanza(stanza)) => self.on_stanza(*stanza, reports),
            // No stanza ends a stream.
            Some(Heard::Room | Heard::Silence | Heard::Gone(_)) | None => {}
        }
    }

    /// Something came without XEP-0198, and with it perhaps more.
    pub(super) fn on_heard(&mut self, heard: Heard, reports: &mut Reports) {
        let mut next = Some(heard);
        while let Some(heard) = next {
            match heard {
                Heard::Swift(swift) => reports.event(AccountEvent::Swift(swift)),
                Heard::Stanza(stanza) => self.on_stanza(*stanza, reports),
                Heard::Room => {}
                Heard::Silence => self.outbox.push_front(Outgoing::untagged(self.probes.ask(rand::random()))),
                Heard::Gone(reason) => return self.on_plain_gone(reason, reports),
            }
            next = match &mut self.wire {
                Wire::Plain(plain) if !reports.is_congested() => plain.heard_before(),
                _ => None,
            };
        }
    }

    fn on_plain_gone(&mut self, reason: Option<AccountError>, reports: &mut Reports) {
        self.wire = Wire::None;
        reports.fates(self.unwritten.drain(..).map(Fate::Lost));
        self.disconnected(&reason.unwrap_or_else(|| self.line.last_words()), reports);
        self.attempt_later();
    }

    /// Pings are answered here, so that they are answered however busy the owner is.
    pub(super) fn on_stanza(&mut self, mut stanza: Stanza, reports: &mut Reports) {
        let pong = match &mut stanza {
            Stanza::Iq(iq) => {
                manners::complete(iq, rand::random());
                manners::answer_ping(iq)
            }
            Stanza::Message(_) | Stanza::Presence(_) => None,
        };
        match pong {
            Some(pong) => {
                if let Some(by) = pong.to().and_then(|to| to.try_as_full().ok()) {
                    reports.event(AccountEvent::Pinged { by: by.clone() });
                }
                self.outbox.push_back(Outgoing::untagged(Parcel::courtesy(pong)));
            }
            None if self.is_answer_to_probe(&stanza) => {}
            None => reports.event(AccountEvent::Stanza(Box::new(stanza))),
        }
    }

    /// The answers to pings of ours to our own server are nobody else's business.
    fn is_answer_to_probe(&mut self, stanza: &Stanza) -> bool {
        answered(stanza).is_some_and(|id| self.probes.on_answer(id) || self.outbox.on_answer(now(), id))
    }

    /// A new session: the server knows nothing of an earlier one.
    pub(super) fn on_reset(&mut self, bound: Jid, features: &StreamFeatures, reports: &mut Reports) {
        let acks = features.stream_management.is_some() && !self.line.acks_refused();
        reports.fates(self.flight.reset(acks));
        let Ok(jid) = bound.try_into_full() else { return self.line.hang_up() };
        self.resumes = true;
        self.begin(jid, reports);
    }

    /// A session begins, under this name.
    pub(super) fn begin(&mut self, jid: FullJid, reports: &mut Reports) {
        if self.keeps_name {
            self.identity = jid.clone().into();
        }
        self.bound = Some(jid);
        self.probes = Probes::default();
        let mut presence = Presence::available();
        presence.id = Some(new_id());
        self.outbox.push_front(Outgoing::untagged(presence));
        self.online(false, reports);
    }

    /// The session goes on, and has to prove it: Prosody 0.12 feeds a resumed session's data to the XML parser of the
    /// connection that broke, which swallows everything if it was in the middle of a stanza.
    pub(super) fn on_resumed(&mut self, reports: &mut Reports) {
        reports.fates(self.flight.resume());
        self.outbox.push_front(Outgoing::untagged(self.probes.ask(rand::random())));
        self.online(true, reports);
    }

    pub(super) fn online(&mut self, resumed: bool, reports: &mut Reports) {
        let Some(jid) = self.bound.clone() else { return };
        self.outbox.on_new_connection();
        let proof = resumed.then(|| Box::pin(sleep(timing::PROOF)));
        self.link = Link::Up { since: Instant::now(), proof };
        reports.status(AccountStatus::Online(jid.clone()));
        reports.event(AccountEvent::Online { jid, resumed });
    }

    /// The server has acknowledged something: nothing that it knew before a resumption is open any more.
    pub(super) fn on_news(&mut self, reports: &mut Reports) {
        reports.fates(self.flight.settle());
        if let Link::Up { proof, .. } = &mut self.link {
            *proof = None;
        }
    }

    /// The connection is gone; a slot for the next one follows.
    pub(super) fn on_suspended(&mut self, reports: &mut Reports) {
        if matches!(self.link, Link::Opening(_)) && self.line.acks_refused() {
            return self.on_acks_refused(reports);
        }
        reports.fates(self.flight.suspend());
        let reason = self.line.last_words();
        self.disconnected(&reason, reports);
        // What was too much, or made no sense, would come again behind every resumption.
        let comes_again = matches!(reason, AccountError::TooMuch(_) | AccountError::Protocol(_));
        if self.resumes_badly || comes_again {
            self.drop_stream(reports);
            self.attempt_later();
        }
    }

    /// The resumed session does not work, and neither would the next.
    pub(super) fn on_not_proven(&mut self, reports: &mut Reports) {
        self.resumes_badly = true;
        self.line.hang_up();
        self.drop_stream(reports);
        self.disconnected(&AccountError::TimedOut(Step::Session), reports);
        self.attempt_after(Duration::ZERO);
    }

    /// XEP-0198's `<failed/>` may come without a count, as Prosody's does after a restart. The stanza stream takes that
    /// for a fault of the connection, and would ask to resume the same session for ever. So it is replaced.
    pub(super) fn on_acks_refused(&mut self, reports: &mut Reports) {
        self.without_acks = !self.resumes;
        self.drop_stream(reports);
        self.attempt_after(Duration::ZERO);
    }

    /// The stanza stream has failed, which only a fault in it can cause.
    pub(super) fn on_stream_gone(&mut self, reports: &mut Reports) {
        tracing::warn!("a stream of stanzas broke down; starting another");
        self.line.hang_up();
        self.drop_stream(reports);
        self.disconnected(&AccountError::Protocol(Step::Session), reports);
        self.attempt_later();
    }

    /// Lets the stanza stream go, with its session and all that it holds.
    pub(super) fn drop_stream(&mut self, reports: &mut Reports) {
        reports.fates(self.flight.abandon());
        self.retire_stream();
        self.resumes = false;
    }

    /// Ends the stanza stream and its worker, if that waits for a connection.
    pub(super) fn retire_stream(&mut self) {
        self.wire = Wire::None;
        self.slots.close();
        let unused = self.slot.take().into_iter().chain(std::iter::from_fn(|| self.slots.try_recv().ok()));
        for slot in unused {
            tokio::spawn(put_to_rest(slot, self.identity.clone()));
        }
    }
}
