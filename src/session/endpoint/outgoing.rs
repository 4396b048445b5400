//! What is sent: packets, each by the path on which it will arrive first.

use std::time::Instant;

use super::{Endpoint, SessionKey, TimerKey};
use crate::session::Transmit;
use crate::session::scheduler::{self, Choice};

impl Endpoint {
    /// The next stanza to send. Everything that is polled is taken as sent at `now`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.control.pop_front().or_else(|| self.next_packet(now)).or_else(|| self.answers.pop())
    }

    /// A packet of the first session in turn that can send one.
    fn next_packet(&mut self, now: Instant) -> Option<Transmit> {
        while let Some(key) = self.ready.pop_front() {
            if let Some(transmit) = self.packet_of(now, key) {
                self.ready.push_back(key);
                return Some(transmit);
            }
            if let Some(session) = self.sessions.get_mut(&key) {
                session.queued = false;
            }
        }
        None
    }

    fn packet_of(&mut self, now: Instant, key: SessionKey) -> Option<Transmit> {
        let session = self.sessions.get_mut(&key)?;
        let state = session.state.as_mut().filter(|state| state.wants_to_send(now))?;
        let open = session
            .ways
            .iter()
            .filter_map(|id| Some((*id, self.ways.get(id)?)))
            .filter(|(_, way)| way.is_open());
        let waiting = state.streams.unsent_bytes();
        let Choice::Send(path) = scheduler::choose(open.map(|(id, way)| (id, &way.path)), now, waiting)
        else {
            return self.express_of(now, key);
        };
        let room = self.ways.get(&path)?.path.room();
        if let Some(until) = state.holds_back(now, room) {
            self.timers.arm(TimerKey::Session(key), until);
            return None;
        }
        let block = state.next_packet(now, path, room)?;
        self.answers.ride_along(now, block.len());
        let transmit = self.block(now, path, block);
        self.watch(path);
        self.rearm(now, key);
        transmit
    }
}
