//! Who is a stranger, and that all strangers are alike: they hear the same, and what they wait for takes the same time.

use std::hint::black_box;
use std::time::Instant;

use xmpp_parsers::jid::{BareJid, FullJid};

use super::ways::OPEN_PATIENCE;
use super::{Endpoint, HalfOpenKey, Phase, SessionKey, TimerKey};
use crate::protocol::{AccountId, CloseReason, Core as _};
use crate::session::answer_shares::Answer;
use crate::session::frame::SessionClose;
use crate::session::path::PathId;
use crate::session::sid::Sid;
use crate::session::{Memento, Outgoing, Transmit};

/// A sid that proves nothing. It is checked where there is none, because the check takes time.
const NOBODYS: &str = "00000000-0000-4000-8000-000000000000";

/// What a sid proves.
enum Proof {
    /// That somebody has the bridge line; what was said has this minute.
    Line { minute: u64 },
    /// That the peer of this session opens its path of this number.
    Session { key: SessionKey, number: u64 },
}

impl Endpoint {
    /// Whether `from` has any bytestream with our account `via`. Blocks of others are not worth reading.
    pub fn has_bytestream_with(&self, via: AccountId, from: &FullJid) -> bool {
        let mut next = self.bytestreams.range((via, from.clone(), String::new())..);
        next.next().is_some_and(|((at, peer, _), _)| *at == via && peer == from)
    }

    /// Somebody asks for a bytestream; false when he has not proved that he may.
    pub(super) fn on_open(
        &mut self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        id: &str,
        sid: &str,
    ) -> bool {
        let Some((sid, proof)) = self.recognise(now, via, from, sid) else { return false };
        match proof {
            Proof::Session { key, number } => self.admit_path(now, via, from, id, sid, (key, number)),
            Proof::Line { minute } => self.admit_client(now, via, from, id, sid, minute),
        }
    }

    /// Somebody asks for what nobody knows. He waits for as long as if he had asked for a bytestream.
    pub(super) fn on_unknown(&mut self, now: Instant, via: AccountId, from: &FullJid, id: String) {
        black_box(self.recognise(now, via, from, NOBODYS).is_some());
        self.refuse_iq(via, from.clone(), id);
    }

    /// What `sid` proves, if it is one.
    fn recognise(&self, now: Instant, via: AccountId, from: &FullJid, sid: &str) -> Option<(Sid, Proof)> {
        if !self.accepts_on(via) {
            return None;
        }
        let (sid, is_one) = match sid.parse() {
            Ok(sid) => (sid, true),
            Err(_) => (NOBODYS.parse().ok()?, false),
        };
        let ours = &self.accounts.get(&via)?.jid;
        let proof = self.proof_of_session(&sid, from, ours).or_else(|| {
            let minute = self.door.as_ref()?.check(self.clock.minute(now), &sid, from, ours)?;
            Some(Proof::Line { minute })
        })?;
        is_one.then_some((sid, proof))
    }

    fn proof_of_session(&self, sid: &Sid, from: &FullJid, ours: &FullJid) -> Option<Proof> {
        self.by_jid.get(from)?.iter().find_map(|key| {
            let state = self.sessions.get(key)?.state.as_ref()?;
            Some(Proof::Session { key: *key, number: state.path_key.check(sid, from, ours)? })
        })
    }

    /// A further path of a session, unless its number was used before, or answers to its client wait. Its result goes before
    /// everything that may go by it.
    fn admit_path(
        &mut self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        id: &str,
        sid: Sid,
        (key, number): (SessionKey, u64),
    ) -> bool {
        let client = self.client_of(Some(key), from);
        let state = self.sessions.get_mut(&key).and_then(|session| session.state.as_mut());
        if !state.is_some_and(|state| state.path_numbers.insert(number)) {
            return false;
        }
        let transmit = Transmit { via, to: from.clone(), stanza: Outgoing::Result { id: id.to_owned() } };
        let answer = Answer { client, path: None, transmit };
        let bytes = answer.size();
        if !self.answer_shares.has_room(via, &client, bytes) {
            return false;
        }
        self.charge(now, via, client, bytes);
        self.control.push_back(answer.transmit);
        self.make_room_for_a_path(now, key);
        let path = self.add_way(now, via, from.clone(), sid, Some(key), Phase::Open);
        self.on_way_open(now, path);
        true
    }

    /// Somebody who has the bridge line: he is let in once that has been noted down.
    fn admit_client(
        &mut self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        id: &str,
        sid: Sid,
        minute: u64,
    ) -> bool {
        let (this_minute, client) = (self.clock.minute(now), from.to_bare());
        let Some(door) = self.door.as_mut() else { return false };
        // Whoever has had a session for hours may have lost all its paths, and comes back to it by a handshake.
        let is_known = door.knows(now, &client)
            || self
                .sessions
                .values()
                .any(|session| session.is_confirmed && session.client.as_ref() == Some(&client));
        if !door.admit(this_minute, (minute, sid), &client, is_known) {
            return false;
        }
        self.make_half_open_room(now, &client);
        let path = self.add_way(now, via, from.clone(), sid, None, Phase::Remembering(id.to_owned()));
        self.half_open.insert(HalfOpenKey::Silent(path), client, is_known);
        self.mementos.push_back(Memento { path, sid, minute });
        self.timers.arm(TimerKey::Way(path), now + OPEN_PATIENCE);
        true
    }

    /// Sees to it that there is a place for another handshake of `client` that is not complete.
    fn make_half_open_room(&mut self, now: Instant, client: &BareJid) {
        while self.half_open.len() >= self.config.max_half_open_sessions {
            let random = self.random();
            let Some(victim) = self.half_open.victim(client, random) else { return };
            self.half_open.remove(victim);
            match victim {
                HalfOpenKey::Silent(path) => self.give_up_silent(now, path),
                HalfOpenKey::Unconfirmed(key) => {
                    self.end_session(now, key, CloseReason::NoPath, Some(SessionClose::Limits));
                }
            }
        }
    }

    /// Closes a path on which nothing has been said; one that was not even answered yet is refused.
    fn give_up_silent(&mut self, now: Instant, path: PathId) {
        let Some(way) = self.ways.get(&path) else { return };
        match &way.phase {
            Phase::Remembering(open) => {
                self.refuse_iq(way.via, way.peer.clone(), open.clone());
                self.drop_way(now, path);
            }
            _ => self.fail_way(now, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check of one that is not would be left out.
    #[test]
    fn nobodys_sid_is_one() {
        assert!(NOBODYS.parse::<Sid>().is_ok());
    }
}
