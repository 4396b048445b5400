//! What is sent: packets, each by the path on which it will arrive first.

use std::time::Instant;

use super::ways::open_paths;
use super::{Endpoint, SessionKey, TimerKey};
use crate::session::Transmit;
use crate::session::client_tag::ClientTag;
use crate::session::path::PathId;
use crate::session::scheduler::{self, Choice};
use crate::session::sender::User;

impl Endpoint {
    /// The next stanza to send. Everything that is polled is taken as sent at `now`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.control.pop_front().or_else(|| self.next_packet(now)).or_else(|| self.next_answer(now))
    }

    /// A packet of the first session that can send one: of those to which something happened, then of those that wait for
    /// room at an account, in turn.
    fn next_packet(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            let transmit = match self.next_ready() {
                Some(key) => self.packet_of(now, key),
                None => {
                    let (account, user) = self.senders.next_turn()?;
                    let transmit = self.packet_of(now, user.key);
                    self.senders.end_turn(account, user);
                    transmit
                }
            };
            if transmit.is_some() {
                return transmit;
            }
        }
    }

    /// The next answer that may go: of those that waited for their server, then of those that waited for each other. At last, what
    /// shows whether a server has read what it was sent.
    fn next_answer(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            let is_next = |via, client: &ClientTag| self.senders.is_next(via, *client);
            if let Some(waited) = self.answer_shares.pop(now, self.last_number, is_next) {
                self.note_whether_answers_wait(waited.transmit.via, waited.client);
                return Some(self.grant(now, waited));
            }
            let Some(answer) = self.answers.pop() else { break };
            let answer = self.share_answer(now, answer);
            if answer.is_some() {
                return answer;
            }
        }
        loop {
            let path = self.answer_shares.next_probe()?;
            let probe = self.probe(now, path);
            if probe.is_some() {
                return probe;
            }
        }
    }

    /// A packet by this very path that wants an answer.
    fn probe(&mut self, now: Instant, path: PathId) -> Option<Transmit> {
        let way = self.ways.get(&path).filter(|way| way.is_open() && way.path.is_usable())?;
        let key = way.session?;
        let state = self.sessions.get_mut(&key)?.state.as_mut()?;
        let block = state.probe(now, path, &mut *self.entropy)?;
        let transmit = self.block(now, path, block);
        self.watch(path);
        self.rearm(now, key);
        transmit
    }

    fn next_ready(&mut self) -> Option<SessionKey> {
        let key = self.ready.pop_front()?;
        if let Some(session) = self.sessions.get_mut(&key) {
            session.queued = false;
        }
        Some(key)
    }

    fn packet_of(&mut self, now: Instant, key: SessionKey) -> Option<Transmit> {
        let session = self.sessions.get_mut(&key)?;
        let user = User { client: session.tag, key };
        for account in session.waits_at.drain(..) {
            self.senders.leave(account, user);
        }
        let state = session.state.as_mut().filter(|state| state.wants_to_send(now))?;
        let paths = open_paths(&session.ways, &self.ways);
        let (waiting, full) = (state.streams.unsent_bytes(), &mut session.waits_at);
        let choice = scheduler::choose(paths, (&self.senders, session.tag), now, waiting, full);
        let Choice::Send(path, room) = choice else {
            session.waits_at.iter().for_each(|account| self.senders.wait(*account, user));
            // Where others wait as well there is no way past them, only an earlier turn.
            return if session.waits_at.is_empty() { self.express_of(now, key) } else { None };
        };
        session.waits_at.clear();
        let on_its_way = self.ways.get(&path)?.path.in_flight();
        if let Some(until) = state.holds_back(now, room, on_its_way) {
            self.timers.arm(TimerKey::Session(key), until);
            return None;
        }
        let block = state.next_packet(now, path, room, &mut *self.entropy)?;
        let is_backed_up = state.streams.is_backed_up();
        self.answers.ride_along(now, block.len());
        let transmit = self.block(now, path, block);
        if is_backed_up && let Some(way) = self.ways.get_mut(&path) {
            way.path.note_backed_up(now);
        }
        self.watch(path);
        self.rearm(now, key);
        self.queue(now, key);
        transmit
    }
}
