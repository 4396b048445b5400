//! Drain: what the cores want done, handed to the accounts and to whoever waits for it.

use std::task::Waker;
use std::time::Instant;

use super::cores::StreamKey;
use super::{Shared, State, Wakers, announce};
use crate::classic;
use crate::protocol::Event;
use crate::secure::News;

impl Shared {
    /// Drains the core: stanzas to the accounts, events to whoever waits for them, and what is to be done about files.
    pub(super) fn drain(&self, state: &mut State, now: Instant) {
        loop {
            self.pass_on(state, now);
            if !self.see_to_lanes(state, now) {
                break;
            }
        }
        if state.is_awaited && state.cores.is_idle() {
            state.is_awaited = false;
            self.closed.notify_waiters();
        }
        let timeouts = [
            state.cores.poll_timeout(),
            state.siblings.next_timeout(),
            state.finder.next_timeout(),
            state.announcer.next_timeout(),
        ];
        let timeout = timeouts.into_iter().flatten().min();
        if timeout.is_some_and(|at| state.armed.is_none_or(|armed| at < armed)) {
            state.armed = timeout;
            self.timer_changed.notify_one();
        }
    }

    fn pass_on(&self, state: &mut State, now: Instant) {
        while let Some(transmit) = state.cores.classic.poll_transmit(now) {
            let via = transmit.via;
            let tag = match &transmit.stanza {
                classic::Outgoing::Set(set, _) => Some(set.0),
                _ => None,
            };
            self.pool.send(via, state.desk.classic(transmit), tag);
        }
        while let Some(transmit) = state.cores.secure.poll_transmit(now) {
            let transmit = match &mut state.relays {
                Some(relays) => relays.send(&mut state.cores.secure, now, transmit),
                None => Some(transmit),
            };
            let Some(transmit) = transmit.and_then(|transmit| state.bytestreams.write(transmit)) else {
                continue;
            };
            let via = transmit.via;
            if let Some(presence) = state.desk.before(&transmit, rand::random) {
                self.pool.send(via, presence, None);
            }
            let backlog = self.pool.send(via, state.desk.secure(transmit), None);
            state.cores.secure.handle_backlog(via, backlog.stanzas, backlog.bytes);
        }
        while let Some(account) = state.cores.secure.poll_doubt() {
            self.pool.doubt(account);
        }
        self.see_to_clocks(state);
        self.note_quotas(state);
        while let Some(news) = state.cores.secure.poll_news() {
            let account = state.siblings.account_of(news.account()).unwrap_or(news.account());
            state.announcer.announce_lane(account, announce::of_session(news));
            if let News::SessionUp(_) = news {
                self.sessions_up.send_modify(|count| *count += 1);
            }
        }
        while let Some(record) = state.cores.secure.poll_handshake_record() {
            // Without a keep nothing is kept, and nobody is let in.
            let _ = self.records.send(record);
        }
        Self::pass_on_trace(state);
        while let Some((key, event)) = state.cores.poll_event() {
            if let (StreamKey::Classic(_), Event::Connected(_)) = (key, &event) {
                self.sessions_up.send_if_modified(|count| {
                    let is_first = *count == 0;
                    *count = (*count).max(1);
                    is_first
                });
            }
            if state.on_event(now, key, event) {
                self.incoming.notify_one();
            }
        }
    }
}

impl State {
    /// Wakes whoever an event is for; true when it is somebody who asks for a connection.
    fn on_event(&mut self, now: Instant, key: StreamKey, event: Event) -> bool {
        match event {
            Event::Incoming { target, .. } => {
                self.incoming.push_back((key, target));
                return true;
            }
            Event::Connected(_) => {
                self.connected.insert(key);
                self.finder.on_connected(now, key);
                self.wake(key, |wakers| wakers.connect.take());
            }
            Event::Readable(_) => self.wake(key, |wakers| wakers.read.take()),
            Event::Writable(_) => self.wake(key, |wakers| wakers.write.take()),
            Event::Closed(..) => {
                self.finder.on_closed(key);
                self.wake(key, |wakers| wakers.connect.take());
                self.wake(key, |wakers| wakers.read.take());
                self.wake(key, |wakers| wakers.write.take());
            }
        }
        false
    }

    fn wake(&mut self, key: StreamKey, which: impl FnOnce(&mut Wakers) -> Option<Waker>) {
        if let Some(waker) = self.wakers.get_mut(&key).and_then(which) {
            waker.wake();
        }
    }
}
