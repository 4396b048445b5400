//! Stanzas that came in.

use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use super::{Endpoint, Phase, SessionKey, TimerKey};
use crate::protocol::{AccountId, CloseReason};
use crate::session::answer_shares::{Answer, UNREAD_PATIENCE};
use crate::session::client_tag::ClientTag;
use crate::session::established::{BadPacket, ClosedByPeer};
use crate::session::frame::SessionClose;
use crate::session::iq::Iq;
use crate::session::path::PathId;
use crate::session::{Incoming, IqId, LONGEST_ID, Outgoing, Transmit};

impl Endpoint {
    /// A stanza came to the account `via`. Whoever has not proved anything gets the answer of a client that knows no
    /// bytestreams, whatever it is that he wants.
    pub fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &FullJid, incoming: Incoming) {
        match incoming {
            Incoming::Open { id, .. } | Incoming::Data { id, .. } | Incoming::Close { id, .. }
                if id.len() > LONGEST_ID =>
            {
                self.on_unknown(now, via, from, id);
            }
            Incoming::Open { id, sid, .. } => {
                if !self.on_open(now, via, from, &id, &sid) {
                    self.refuse_iq(via, from.clone(), id);
                }
            }
            Incoming::Data { id, sid, seq, data } => match self.way_of(via, from, sid) {
                Some(path) => self.on_block(now, path, id, seq, data),
                None => self.refuse_iq(via, from.clone(), id),
            },
            Incoming::Close { id, sid } => match self.way_of(via, from, sid) {
                Some(path) => self.on_close(now, path, id),
                None => self.refuse_iq(via, from.clone(), id),
            },
            Incoming::Unknown { id } => self.on_unknown(now, via, from, id),
            Incoming::Result { iq } => self.on_result(now, via, from, iq),
            Incoming::Error { iq } => self.on_error(now, via, from, iq),
            Incoming::Undelivered { iq } => self.on_undelivered(now, via, from, iq),
        }
    }

    fn way_of(&self, via: AccountId, from: &FullJid, sid: String) -> Option<PathId> {
        self.bytestreams.get(&(via, from.clone(), sid)).copied()
    }

    /// Answers an `open` or a `close` of a client at once, unless the client has called for too many answers.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        client: ClientTag,
        (via, to): (AccountId, FullJid),
        id: String,
    ) {
        let transmit = Transmit { via, to, stanza: Outgoing::Result { id } };
        let answer = self.share_answer(now, Answer { client, path: None, transmit });
        self.control.extend(answer);
    }

    fn answer_block(&mut self, now: Instant, answer: Answer<ClientTag>, bytes: usize) {
        if let Some(at) = self.answers.push(now, answer, bytes) {
            self.timers.arm(TimerKey::Answers, at);
        }
    }

    /// The answer, if it may go behind all IQs that there were so far. Nobody waits for one about a path that is no more.
    pub(super) fn share_answer(&mut self, now: Instant, answer: Answer<ClientTag>) -> Option<Transmit> {
        let (via, client) = (answer.transmit.via, answer.client);
        let is_over = answer.path.is_some_and(|path| !self.ways.contains_key(&path));
        if is_over || !self.accounts.contains_key(&via) {
            return None;
        }
        let (is_next, pace) = (|| self.senders.is_next(via, client), || self.senders.pace(via));
        match self.answer_shares.offer(now, answer, self.last_number, is_next, pace) {
            Some(answer) => Some(self.grant(now, answer)),
            None => {
                self.senders.on_answers_wait(via, client);
                None
            }
        }
    }

    /// An answer goes, as a part of its client's share of the account.
    pub(super) fn grant(&mut self, now: Instant, answer: Answer<ClientTag>) -> Transmit {
        self.on_answers_sent(now, answer.transmit.via, answer.client, answer.size());
        answer.transmit
    }

    /// Something that is no answer goes because of what a client did, and is a part of its share all the same.
    pub(super) fn charge(&mut self, now: Instant, via: AccountId, client: ClientTag, bytes: usize) {
        if self.accounts.contains_key(&via) {
            self.answer_shares.charge(now, via, &client, bytes, self.last_number);
            self.on_answers_sent(now, via, client, bytes);
        }
    }

    fn on_answers_sent(&mut self, now: Instant, via: AccountId, client: ClientTag, bytes: usize) {
        self.senders.on_answers_sent(via, client, bytes);
        self.timers.arm(TimerKey::Unread, now + UNREAD_PATIENCE);
    }

    pub(super) fn note_whether_answers_wait(&mut self, via: AccountId, client: ClientTag) {
        if !self.answer_shares.waits(via, &client) {
            self.senders.on_answers_gone(via, client);
        }
    }

    /// What was written long ago and is not known to be read has been.
    pub(super) fn on_answers_timeout(&mut self, now: Instant) {
        self.answer_shares.handle_timeout(now);
        self.senders.prune();
        if let Some(at) = self.answer_shares.next_timeout() {
            self.timers.arm(TimerKey::Unread, at);
        }
    }

    /// The peer has closed a bytestream.
    fn on_close(&mut self, now: Instant, path: PathId, id: String) {
        let Some(way) = self.ways.get(&path) else { return };
        let (client, to) = (way.client, (way.via, way.peer.clone()));
        self.drop_way(now, path);
        if !self.answer_shares.is_full(to.0, &client) {
            self.answer(now, client, to, id);
        }
    }

    pub(super) fn release_answers(&mut self) {
        self.timers.cancel(TimerKey::Answers);
        self.answers.release();
    }

    pub(super) fn refuse_iq(&mut self, via: AccountId, to: FullJid, id: String) {
        self.control.push_back(Transmit { via, to, stanza: Outgoing::Refusal { id } });
    }

    /// A block of a bytestream that we have.
    fn on_block(&mut self, now: Instant, path: PathId, id: String, seq: u16, data: Vec<u8>) {
        let Some(way) = self.ways.get_mut(&path) else { return };
        let (via, from, client) = (way.via, way.peer.clone(), way.client);
        if self.answer_shares.is_full(via, &client) {
            return self.fail_way(now, path);
        }
        way.last_heard = now;
        let is_next = way.path.on_block(seq).is_ok();
        let bytes = data.len();
        if !is_next || !self.take_block(now, path, data) {
            self.refuse_iq(via, from, id);
            return self.fail_way(now, path);
        }
        let transmit = Transmit { via, to: from, stanza: Outgoing::Result { id } };
        self.answer_block(now, Answer { client, path: Some(path), transmit }, bytes);
        if let Some(key) = self.ways.get(&path).and_then(|way| way.session) {
            self.after_change(now, key);
            self.shed(now);
        }
    }

    /// Takes what is in a block; false when it makes no sense.
    fn take_block(&mut self, now: Instant, path: PathId, data: Vec<u8>) -> bool {
        let Some(way) = self.ways.get_mut(&path) else { return false };
        match &way.phase {
            Phase::Open => way.session.is_none_or(|key| self.on_packet(now, key, data)),
            Phase::Listening => self.on_hello(now, path, &data),
            Phase::Greeting(_) => {
                let Phase::Greeting(initiator) = std::mem::replace(&mut way.phase, Phase::Listening) else {
                    return false;
                };
                self.on_welcome(now, path, *initiator, &data);
                true
            }
            Phase::Opening(_) | Phase::Remembering(_) => false,
        }
    }

    /// A packet of a session; false when the path is to blame for what is wrong with it.
    fn on_packet(&mut self, now: Instant, key: SessionKey, block: Vec<u8>) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return true };
        let Some(state) = session.state.as_mut() else { return false };
        if self.door.is_some() {
            state.streams.set_room_for_streams(self.ledger.room_for_streams(&session.client));
        }
        let outcome = state.handle_packet(now, block);
        if outcome.is_ok() && !session.is_confirmed {
            session.is_confirmed = true;
            self.on_confirmed(now, key);
        }
        match outcome {
            Ok(None) => {}
            Ok(Some(closed)) => self.on_session_closed(now, key, reason_of(closed)),
            Err(BadPacket::Tampered) => return false,
            Err(fault @ (BadPacket::MadeUp | BadPacket::Violation)) => self.on_violation(now, key, fault),
        }
        true
    }

    /// The peer has broken the protocol. Whoever makes up acknowledgements does so to have more sent than the server reads, and does
    /// not come again at once: it would gain what its session had until then.
    fn on_violation(&mut self, now: Instant, key: SessionKey, fault: BadPacket) {
        let client = self.sessions.get(&key).and_then(|session| session.client.clone());
        if fault == BadPacket::MadeUp
            && let (Some(door), Some(client)) = (&mut self.door, client)
        {
            door.on_violation(self.clock.minute(now), client);
        }
        let (reason, farewell) = (CloseReason::ProtocolViolation, SessionClose::ProtocolViolation);
        self.end_session(now, key, reason, Some(farewell));
    }

    /// An IQ of ours was answered.
    fn on_result(&mut self, now: Instant, via: AccountId, from: &FullJid, iq: IqId) {
        let Some((path, iq)) = self.answered(now, via, from, iq) else { return };
        let Some(way) = self.ways.get_mut(&path) else { return };
        way.last_heard = now;
        way.path.on_result(now, iq);
        match &mut way.phase {
            Phase::Opening(opening) => match opening.take() {
                Some(opening) => self.greet(now, path, opening),
                None => self.on_way_open(now, path),
            },
            _ => {
                self.watch(path);
                if let Some(key) = self.ways.get(&path).and_then(|way| way.session) {
                    self.after_change(now, key);
                }
            }
        }
    }

    /// An IQ of ours was refused: the bytestream is over.
    fn on_error(&mut self, now: Instant, via: AccountId, from: &FullJid, iq: IqId) {
        if let Some((path, _)) = self.answered(now, via, from, iq) {
            self.drop_way(now, path);
        }
    }

    /// An IQ of ours found nobody.
    fn on_undelivered(&mut self, now: Instant, via: AccountId, from: &FullJid, iq: IqId) {
        let Some((path, _)) = self.answered(now, via, from, iq) else { return };
        let key = self.ways.get(&path).and_then(|way| way.session);
        self.drop_way(now, path);
        let Some(key) = key else { return };
        if let Some(caller) = self.sessions.get_mut(&key).and_then(|session| session.caller.as_mut()) {
            caller.dialing.on_absent((via, from));
        }
        self.give_up_if_absent(now, key);
    }

    /// An IQ that was answered by the one who was asked, and its path. What answers none that is outstanding is nobody's.
    fn answered(&mut self, now: Instant, via: AccountId, from: &FullJid, id: IqId) -> Option<(PathId, Iq)> {
        let (path, iq) = *self.iqs.get(&id)?;
        let way = self.ways.get(&path)?;
        (way.via == via && way.peer == *from).then(|| {
            self.iqs.remove(&id);
            self.senders.on_answered(now, via, iq);
            self.answer_shares.on_read(now, via, iq.number, || self.senders.pace(via));
            (path, iq)
        })
    }
}

/// What the peer's reason to close a session means for its streams.
fn reason_of(ClosedByPeer(reason): ClosedByPeer) -> CloseReason {
    match reason {
        SessionClose::ProtocolViolation => CloseReason::ProtocolViolation,
        SessionClose::ShuttingDown => CloseReason::SessionLost,
        SessionClose::Limits => CloseReason::TooManyStreams,
        SessionClose::Done => CloseReason::Aborted,
    }
}
