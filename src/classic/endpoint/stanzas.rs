//! Incoming stanzas, and what each one changes.

use std::time::Instant;

use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use super::{Endpoint, OutstandingSet, Purpose};
use crate::classic::api::{Answer, Incoming, Missing, Outgoing, SetId, Transmit};
use crate::classic::recv::Received;
use crate::classic::send::Body;
use crate::classic::seq::SeqNum;
use crate::classic::stanza::{Header, Payload};
use crate::classic::stream::{Attempt, Phase, Stream};
use crate::classic::window;
use crate::protocol::{AccountId, CloseReason, Event, StreamId};

/// Nobody uses longer ids, and they are kept until the answer.
const MAX_IQ_ID_LENGTH: usize = 256;

impl Endpoint {
    /// A stanza came in on one of our accounts.
    pub fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &Jid, stanza: Incoming) {
        match (stanza, from.try_as_full()) {
            (
                Incoming::Message { payload: Payload::Connect { header, resend }, delayed: false },
                Ok(from),
            ) => {
                self.on_connect(now, via, from, header, resend);
            }
            (Incoming::Set { payload: Payload::Connect { header, resend }, .. }, Ok(from)) => {
                self.on_connect(now, via, from, header, resend);
            }
            (Incoming::Set { id, payload }, Ok(from)) => self.on_set(now, via, from, id, payload),
            (Incoming::Result { set, payload }, Ok(from)) => {
                if let Some(set) = set {
                    self.on_answer(now, set, from);
                }
                if let Some(Payload::ConnectAck { header, success, resend }) = payload {
                    self.on_ack(now, via, from, header, success, resend);
                }
            }
            (Incoming::Error { set, missing }, Ok(from)) => self.on_error(now, set, from, missing),
            (Incoming::MessageBounce { payload, missing }, _) => {
                self.on_message_bounce(now, from, payload, missing);
            }
            _ => {}
        }
    }

    /// A peer is alive: it sent one of our accounts something that is not of this protocol.
    pub fn handle_sign_of_life(&mut self, now: Instant, via: AccountId, from: &FullJid) {
        for link in self.routes.links_from(via, from) {
            if let Some(link) = self.routes.link_mut(link) {
                link.on_heard(now, from);
            }
        }
    }

    /// The server has taken over a set of ours (XEP-0198): it takes up the account no longer, so that a
    /// stream whose answers are withheld stops nobody else. For a peer that answers nothing, that is all
    /// that will ever be known of it.
    pub fn handle_server_ack(&mut self, now: Instant, set: SetId) {
        self.clear_window(now, set);
        if let Some(OutstandingSet { purpose: Purpose::Packet(id, seq), .. }) = self.sets.get(&set)
            && self.streams.get(id).is_some_and(|stream| !stream.answers)
        {
            let (id, seq) = (*id, *seq);
            self.on_packet_arrived(now, set, id, seq);
        }
    }

    /// A set has left its account: the first word of it counts, the server's or the peer's.
    fn clear_window(&mut self, now: Instant, set: SetId) {
        let Some(outstanding) = self.sets.get_mut(&set) else { return };
        let cost = std::mem::take(&mut outstanding.cost);
        if let Some(account) = self.accounts.get_mut(&outstanding.via)
            && cost > 0
        {
            account.window.on_answered(now, outstanding.sent, cost);
            self.size_limits.on_taken(now, outstanding.via, window::data_length(cost).unwrap_or_default());
        }
    }

    fn on_connect(&mut self, now: Instant, via: AccountId, from: &FullJid, header: Header, resend: bool) {
        let accounts = self.accepting_accounts();
        if !accounts.contains(&via) || !header.aliases.contains(from) {
            return;
        }
        let Some(ours) = self.aliases_of(&accounts) else { return };
        if let Some(known) = self.routes.lookup(via, from, header.clone()) {
            return self.repeat_ack(known, via, from);
        }
        if !self.has_room_for(&from.to_bare()) {
            return self.refuse_at_once(via, from, &header, &ours);
        }
        let attempt = Attempt { accounts, ours, via, set: None, fall_back_at: None };
        self.offer(now, from, header, resend, &attempt);
    }

    /// A connect of a known connection. A message to a bare JID may come once a resource; but as long as
    /// the peer has not said anything, our ack may also have been lost.
    fn repeat_ack(&mut self, id: StreamId, via: AccountId, from: &FullJid) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Phase::Open { link } = stream.phase
            && stream.pinned.is_some()
        {
            stream.pinned = Some((via, from.clone()));
            self.send_ack(id, link, via, from, true);
        }
    }

    fn accepting_accounts(&self) -> Vec<AccountId> {
        self.config.accept_on.iter().copied().filter(|id| self.accounts.contains_key(id)).collect()
    }

    /// Whether another connection may be offered, on behalf of this account of a peer's.
    fn has_room_for(&self, peer: &BareJid) -> bool {
        let of_peer = self.streams.values().filter(|stream| stream.asked_by.as_ref() == Some(peer)).count();
        self.half_open < self.config.max_half_open
            && self.streams.len() < self.config.max_streams
            && of_peer < self.config.max_streams_per_peer
    }

    fn offer(&mut self, now: Instant, from: &FullJid, header: Header, resend: bool, attempt: &Attempt) {
        let Header { local, remote, aliases } = header;
        let mut stream =
            Stream::new(now, &self.config, remote.clone(), local, Phase::Closed(CloseReason::Finished));
        stream.tolerant = resend;
        stream.answers = resend;
        stream.asked_by = Some(from.to_bare());
        let id = self.add_stream(stream);
        let link = self.join_link(now, id, attempt, &aliases);
        if let Some(entry) = self.routes.link_mut(link) {
            entry.on_spoken(now, from);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.phase = Phase::Offered { link, via: attempt.via, from: from.clone() };
        }
        self.half_open += 1;
        self.events.push_back(Event::Incoming { stream: id, target: remote });
    }

    fn refuse_at_once(
        &mut self,
        via: AccountId,
        from: &FullJid,
        asked: &Header,
        ours: &crate::classic::Aliases,
    ) {
        let header =
            Header { local: asked.remote.clone(), remote: asked.local.clone(), aliases: ours.clone() };
        let payload = Payload::ConnectAck { header, success: false, resend: false };
        let stanza = Outgoing::Unsolicited(self.new_set_id(), payload);
        self.control.push_back(Transmit { via, to: from.clone().into(), stanza });
    }

    fn on_ack(
        &mut self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        header: Header,
        success: bool,
        resend: bool,
    ) {
        let key = (header.remote.clone(), from.to_bare(), header.local.clone());
        let attempt = self.pending.get(&key).and_then(|id| {
            let attempt = self.connecting(*id)?.attempt.clone()?;
            (attempt.accounts.contains(&via) && header.aliases.contains(from)).then_some((*id, attempt))
        });
        match attempt {
            Some((id, attempt)) if success => {
                self.pending.remove(&key);
                self.on_connected(now, id, &attempt, from, &header, resend);
            }
            Some((id, _)) => self.close(now, id, CloseReason::Refused),
            None => self.on_known_ack(now, via, from, header, success),
        }
    }

    fn on_connected(
        &mut self,
        now: Instant,
        id: StreamId,
        attempt: &Attempt,
        from: &FullJid,
        header: &Header,
        resend: bool,
    ) {
        if let Some(set) = attempt.set {
            self.forget_set(set);
        }
        self.resources.insert(from.to_bare(), from.clone());
        let link = self.join_link(now, id, attempt, &header.aliases);
        if let Some(entry) = self.routes.link_mut(link) {
            entry.on_spoken(now, from);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.phase = Phase::Open { link };
        stream.tolerant = resend;
        stream.answers = resend;
        stream.on_heard(now);
        if !stream.released {
            self.events.push_back(Event::Connected(id));
        }
        self.after_change(now, id);
    }

    /// An ack for a connection that is open already says that the peer still has it.
    fn on_known_ack(&mut self, now: Instant, via: AccountId, from: &FullJid, header: Header, success: bool) {
        if let Some(id) = self.routes.lookup(via, from, header.clone()) {
            self.note_heard(now, id, from);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.on_slowed(now);
            }
            self.after_change(now, id);
        } else if success && header.aliases.contains(from) && self.asked.contains(&from.to_bare()) {
            self.disown(via, from, header);
        }
    }

    /// The peer has a connection that we have not: we gave up waiting for its ack, or it saw a late copy
    /// of a connect. Nobody will ever use it, so it is told. (Strangers are told nothing.)
    fn disown(&mut self, via: AccountId, from: &FullJid, header: Header) {
        let link = self.routes.links_from(via, from).first().and_then(|link| self.routes.link(*link));
        let ours = link.map(|link| link.ours.clone()).or_else(|| self.aliases_of(&[via]));
        let Some(aliases) = ours else { return };
        let header = Header { local: header.remote, remote: header.local, aliases };
        self.send_parting_word(via, from.clone(), Payload::Disconnect { header, id: SeqNum::ZERO });
    }

    fn note_heard(&mut self, now: Instant, id: StreamId, from: &FullJid) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.on_heard(now);
        if let Some(link) = stream.link().and_then(|link| self.routes.link_mut(link)) {
            link.on_spoken(now, from);
        }
    }

    fn on_set(&mut self, now: Instant, via: AccountId, from: &FullJid, iq: String, payload: Payload) {
        // A set of an unknown connection gets nothing, so that a forgotten one is noticed.
        let Some(id) = self.routes.lookup(via, from, payload.header().clone()) else { return };
        if iq.len() > MAX_IQ_ID_LENGTH {
            return;
        }
        self.note_heard(now, id, from);
        let answer = Answer { via, to: from.clone(), id: iq };
        match payload {
            Payload::Packet { id: seq, data, .. } => self.on_body(now, id, seq, Body::Data(data), answer),
            Payload::Disconnect { id: seq, .. } => self.on_body(now, id, seq, Body::Disconnect, answer),
            _ => self.break_stream(now, id, CloseReason::ProtocolViolation),
        }
    }

    fn on_body(&mut self, now: Instant, id: StreamId, seq: SeqNum, body: Body, answer: Answer) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        match stream.recv.receive(seq, body, answer.clone()) {
            Received::Stored => self.on_stored(now, id),
            Received::Waiting => self.answer(answer),
            Received::Redundant if stream.tolerant => self.answer(answer),
            Received::Redundant | Received::OutOfWindow => {
                self.break_stream(now, id, CloseReason::ProtocolViolation);
            }
            Received::Overflow => self.break_stream(now, id, CloseReason::Overflow),
        }
    }

    fn answer(&mut self, answer: Answer) {
        let stanza = Outgoing::Answer(answer.id);
        self.control.push_back(Transmit { via: answer.via, to: answer.to.into(), stanza });
    }

    fn on_stored(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.released {
            stream.recv.discard();
        } else if stream.recv.has_unread() || stream.recv.has_ended() {
            self.events.push_back(Event::Readable(id));
        }
        if stream.recv.has_ended() {
            return self.close(now, id, CloseReason::Finished);
        }
        self.give_answers(now, id);
        self.after_change(now, id);
    }

    fn on_answer(&mut self, now: Instant, set: SetId, from: &FullJid) {
        let Some(outstanding) = self.sets.get(&set).filter(|outstanding| outstanding.to == *from) else {
            return;
        };
        match outstanding.purpose {
            Purpose::Packet(id, seq) => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.answers = true;
                }
                self.note_heard(now, id, from);
                self.on_packet_arrived(now, set, id, seq);
            }
            Purpose::Ping(link) => {
                if let Some(link) = self.routes.link_mut(link) {
                    link.on_heard(now, from);
                }
                self.sets.remove(&set);
            }
            Purpose::Connect(_) => {
                self.sets.remove(&set);
            }
        }
    }

    fn on_packet_arrived(&mut self, now: Instant, set: SetId, id: StreamId, seq: SeqNum) {
        self.clear_window(now, set);
        self.sets.remove(&set);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.send.on_arrived(seq, set);
        if stream.write_blocked && stream.send.room() > 0 && !stream.released {
            stream.write_blocked = false;
            self.events.push_back(Event::Writable(id));
        }
        self.after_change(now, id);
    }

    fn on_error(&mut self, now: Instant, set: SetId, from: &FullJid, missing: Option<Missing>) {
        if self.sets.get(&set).is_none_or(|outstanding| outstanding.to != *from) {
            return;
        }
        if missing.is_none() {
            self.handle_peer_of(now, set, from);
        }
        let Some(outstanding) = self.forget_set(set) else { return };
        match outstanding.purpose {
            Purpose::Packet(id, _) => {
                if let Some(link) = self.streams.get(&id).and_then(Stream::link)
                    && let Some(link) = self.routes.link_mut(link)
                {
                    link.on_bounce(now, from);
                }
                self.unpin(|_, to| to == from);
                self.on_set_lost(now, set, outstanding.purpose);
            }
            Purpose::Connect(id) => self.on_connect_bounced(now, id, missing.unwrap_or(Missing::Peer)),
            Purpose::Ping(_) => {}
        }
    }

    /// An error that the peer's own program sent is a sign of life.
    fn handle_peer_of(&mut self, now: Instant, set: SetId, from: &FullJid) {
        if let Some(OutstandingSet { via, purpose: Purpose::Ping(_), .. }) = self.sets.get(&set) {
            let via = *via;
            self.handle_sign_of_life(now, via, from);
        }
    }

    /// A resource of earlier may not be there any more. Where no server is, no other name helps.
    fn on_connect_bounced(&mut self, now: Instant, id: StreamId, missing: Missing) {
        let Some(connecting) = self.connecting(id) else { return };
        if connecting.to.is_bare() && missing == Missing::Peer {
            self.fall_back_to_bare_jid(now, id);
        } else {
            self.close(now, id, missing.reason());
        }
    }

    /// A connect by message came back. Where the server does not repeat what it said, it may have been
    /// any that was sent there.
    fn on_message_bounce(&mut self, now: Instant, from: &Jid, payload: Option<Payload>, missing: Missing) {
        let asked = payload.map(|payload| {
            let Header { local, remote, .. } = payload.header().clone();
            (local, from.to_bare(), remote)
        });
        let by_message = |id: &StreamId| {
            let attempt = self.connecting(*id).and_then(|connecting| connecting.attempt.as_ref());
            attempt.is_some_and(|attempt| attempt.set.is_none())
        };
        let bounced: Vec<StreamId> = self
            .pending
            .iter()
            .filter(|(key, id)| {
                key.1 == from.to_bare() && asked.as_ref().is_none_or(|asked| asked == *key) && by_message(id)
            })
            .map(|(_, id)| *id)
            .collect();
        for id in bounced {
            self.close(now, id, missing.reason());
        }
    }
}
