//! Timeouts: silent peers, packets to repeat, keepalives.

use std::time::Instant;

use super::Endpoint;
use crate::classic::api::SetId;
use crate::classic::link::PING_INTERVAL;
use crate::classic::routing::LinkId;
use crate::classic::stream::{Phase, Stream};
use crate::classic::timers::TimerKey;
use crate::protocol::{CloseReason, StreamId};

impl Endpoint {
    pub(super) fn check_stream(&mut self, now: Instant, id: StreamId) {
        match self.streams.get(&id).map(|stream| &stream.phase) {
            Some(Phase::Connecting(_)) => self.check_connect(now, id),
            Some(Phase::Open { .. }) => self.check_open(now, id),
            Some(Phase::Offered { .. } | Phase::Closed(_)) | None => {}
        }
    }

    fn check_connect(&mut self, now: Instant, id: StreamId) {
        let Some(connecting) = self.connecting(id) else { return };
        let fall_back_at = connecting.attempt.as_ref().and_then(|attempt| attempt.fall_back_at);
        if now >= connecting.deadline {
            self.close(now, id, CloseReason::ConnectTimedOut);
        } else if fall_back_at.is_some_and(|at| now >= at) {
            self.fall_back_to_bare_jid(now, id);
        } else {
            let deadline = connecting.deadline;
            self.timers.arm(TimerKey::Stream(id), fall_back_at.map_or(deadline, |at| at.min(deadline)));
        }
    }

    fn check_open(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.silence_deadline(self.config.silence_timeout).is_some_and(|at| now >= at) {
            return self.give_up(now, id);
        }
        if stream.keepalive_deadline().is_some_and(|at| now >= at) {
            stream.on_keepalive(now);
            self.send_keepalive(now, id);
        }
        self.retry(now, id);
        self.after_change(now, id);
    }

    /// Sends again what has not been answered for too long.
    fn retry(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else { return };
        let is_late = |set: &SetId| {
            let sent = self.sets.get(set).map(|set| set.sent);
            sent.and_then(|sent| stream.retry_deadline(sent)).is_some_and(|at| now >= at)
        };
        let late: Vec<SetId> = stream.send.sets().filter(is_late).collect();
        for set in late {
            if let Some(unanswered) = self.forget_set(set) {
                self.on_set_lost(now, set, unanswered.purpose);
            }
        }
    }

    fn give_up(&mut self, now: Instant, id: StreamId) {
        self.send_reset(id);
        self.close(now, id, CloseReason::PeerSilent);
    }

    /// Tells a peer that is being slowed down that its connection still exists: an ack that nobody
    /// waits for, which the 2013 program ignores.
    fn send_keepalive(&mut self, now: Instant, id: StreamId) {
        let Some(link_id) = self.streams.get(&id).and_then(Stream::link) else { return };
        let Some(link) = self.routes.link(link_id) else { return };
        let Some(via) = self.online_account(&link.accounts) else { return };
        let Some(alias) = self.routes.link_mut(link_id).and_then(|link| link.next_alias(now)) else { return };
        self.send_ack(id, link_id, via, &alias, true);
    }

    pub(super) fn check_link(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.routes.link(id) else { return };
        let dead_at = link.last_heard() + self.config.silence_timeout;
        let ping_at = link.last_heard() + PING_INTERVAL;
        if now >= dead_at {
            for stream in self.routes.streams_of(id) {
                self.give_up(now, stream);
            }
        } else if now >= ping_at {
            self.send_ping(now, id);
            self.timers.arm(TimerKey::Link(id), dead_at.min(now + PING_INTERVAL));
        } else {
            self.timers.arm(TimerKey::Link(id), ping_at);
        }
    }
}
