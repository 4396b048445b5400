//! Transmission: connects, packets, pings.

use std::time::Instant;

use xmpp_parsers::jid::{FullJid, Jid};

use super::{Account, Endpoint, OutstandingSet, Purpose};
use crate::classic::api::{Outgoing, SetId, Transmit};
use crate::classic::link::Recipient;
use crate::classic::routing::LinkId;
use crate::classic::send::Body;
use crate::classic::stanza::{Aliases, Payload};
use crate::classic::stream::{Attempt, Connecting, Phase};
use crate::classic::timers::TimerKey;
use crate::classic::window;
use crate::protocol::{AccountId, StreamId};

/// The data of a packet to an alias that may be a bystander, in bytes: less than the connect weighs that named it.
const TRIAL_CHUNK: usize = 256;

impl Endpoint {
    /// The next stanza to send. Everything that is polled is taken as sent at `now`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.control.pop_front().or_else(|| self.next_packet(now))
    }

    /// A packet of the first stream in turn that can send one.
    fn next_packet(&mut self, now: Instant) -> Option<Transmit> {
        for _ in 0..self.ready.len() {
            if !self.accounts.values().any(Account::can_send) {
                return None;
            }
            let id = self.ready.pop_front()?;
            let transmit = self.packet_of(now, id);
            match self.streams.get_mut(&id) {
                Some(stream) if stream.is_open() && stream.send.wants_to_send() => self.ready.push_back(id),
                Some(stream) => stream.queued = false,
                None => {}
            }
            if transmit.is_some() {
                return transmit;
            }
        }
        None
    }

    fn packet_of(&mut self, now: Instant, id: StreamId) -> Option<Transmit> {
        let stream =
            self.streams.get(&id).filter(|stream| stream.is_open() && stream.send.wants_to_send())?;
        let size = stream.send.size_of_due();
        let (via, Recipient { alias: to, is_trial }) = match stream.pinned.clone() {
            Some((via, alias)) => (self.least_loaded(&[via], size)?, Recipient { alias, is_trial: false }),
            None => self.pick_route(now, id)?,
        };
        let stream = self.streams.get(&id)?;
        let most = self.size_limits.get(&via);
        let chunk = match self.accounts.get(&via)?.window.chunk(stream.send.unsent(), most) {
            _ if is_trial => TRIAL_CHUNK,
            Some(chunk) => chunk,
            // The next answer comes soon.
            None if stream.send.is_busy() => return None,
            None => most.min(window::CHUNK),
        };
        let set = self.new_set_id();
        let stream = self.streams.get_mut(&id)?;
        stream.on_sending(now);
        let (seq, body) = stream.send.take_due(set, via, chunk)?;
        let cost = window::cost(body.len());
        let header = stream.header(&self.routes.link(stream.link()?)?.ours);
        let payload = match body {
            Body::Data(data) => Payload::Packet { header, id: seq, data },
            Body::Disconnect => Payload::Disconnect { header, id: seq },
        };
        if is_trial && let Some(link) = stream.link().and_then(|link| self.routes.link_mut(link)) {
            link.on_tried(now, &to);
        }
        self.track(now, set, Purpose::Packet(id, seq), via, to.clone(), cost);
        self.after_change(now, id);
        Some(Transmit { via, to: to.into(), stanza: Outgoing::Set(set, payload) })
    }

    /// The account and the alias for the next packet: ours is the least loaded, theirs the next in
    /// turn.
    fn pick_route(&mut self, now: Instant, id: StreamId) -> Option<(AccountId, Recipient)> {
        let stream = self.streams.get(&id)?;
        let (link_id, size) = (stream.link()?, stream.send.size_of_due());
        let may_try = !stream.send.sends_again();
        let via = self.least_loaded(&self.routes.link(link_id)?.accounts, size)?;
        let link = self.routes.link_mut(link_id)?;
        let recipient = link.next_recipient(now, may_try);
        if recipient.is_none()
            && let Some(at) = link.next_release()
        {
            self.timers.arm(TimerKey::Release(link_id), at);
        }
        Some((via, recipient?))
    }

    /// Of those whose server takes a packet with `size` bytes of data.
    fn least_loaded(&self, accounts: &[AccountId], size: usize) -> Option<AccountId> {
        let candidates = accounts.iter().filter_map(|id| Some((*id, self.accounts.get(id)?)));
        candidates
            .filter(|(id, account)| account.can_send() && self.takes(*id, size))
            .min_by_key(|(_, account)| account.window.in_flight())
            .map(|(id, _)| id)
    }

    pub(super) fn new_set_id(&mut self) -> SetId {
        let set = SetId(self.next_set);
        self.next_set += 1;
        set
    }

    fn track(
        &mut self,
        now: Instant,
        set: SetId,
        purpose: Purpose,
        via: AccountId,
        to: FullJid,
        cost: usize,
    ) {
        if let Some(account) = self.accounts.get_mut(&via) {
            account.window.on_sent(now, cost);
        }
        self.sets.insert(set, OutstandingSet { purpose, via, to, sent: now, cost });
    }

    /// Sends the connect of a stream, if one of its accounts is online, and sets its timer.
    pub(super) fn send_connect(&mut self, now: Instant, id: StreamId) {
        let attempt = self.connecting(id).and_then(|connecting| self.prepare_attempt(now, connecting));
        let set = self.new_set_id();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Phase::Connecting(connecting) = &mut stream.phase else { return };
        let Some((mut attempt, to)) = attempt else {
            return self.timers.arm(TimerKey::Stream(id), connecting.deadline);
        };
        attempt.set = to.is_full().then_some(set);
        connecting.attempt = Some(attempt.clone());
        let at = attempt.fall_back_at.map_or(connecting.deadline, |at| at.min(connecting.deadline));
        let payload = Payload::Connect { header: stream.header(&attempt.ours), resend: true };
        self.timers.arm(TimerKey::Stream(id), at);
        let stanza = match to.try_as_full() {
            Ok(full) => {
                self.track(now, set, Purpose::Connect(id), attempt.via, full.clone(), 0);
                Outgoing::Set(set, payload)
            }
            Err(_) => Outgoing::Message(payload),
        };
        self.control.push_back(Transmit { via: attempt.via, to, stanza });
    }

    pub(super) fn connecting(&self, id: StreamId) -> Option<&Connecting> {
        match &self.streams.get(&id)?.phase {
            Phase::Connecting(connecting) => Some(connecting),
            _ => None,
        }
    }

    /// From which of our accounts, to which JID.
    fn prepare_attempt(&self, now: Instant, connecting: &Connecting) -> Option<(Attempt, Jid)> {
        let known = connecting.accounts.iter().filter(|id| self.accounts.contains_key(id));
        let accounts: Vec<AccountId> = known.copied().collect();
        let via = self.online_account(&accounts)?;
        let ours = self.aliases_of(&accounts)?;
        let learnt = self.resources.get(&connecting.to.to_bare()).filter(|_| connecting.to.is_bare());
        let to = learnt.map_or_else(|| connecting.to.clone(), |full| full.clone().into());
        let fall_back_at = learnt.map(|_| Attempt::patience(now));
        Some((Attempt { accounts, ours, via, set: None, fall_back_at }, to))
    }

    pub(super) fn online_account(&self, accounts: &[AccountId]) -> Option<AccountId> {
        accounts.iter().copied().find(|id| self.accounts.get(id).is_some_and(|account| account.online))
    }

    pub(super) fn aliases_of(&self, accounts: &[AccountId]) -> Option<Aliases> {
        Aliases::new(accounts.iter().filter_map(|id| Some(self.accounts.get(id)?.jid.clone())))
    }

    /// Sends the connects that have waited for an account like this one.
    pub(super) fn send_waiting_connects(&mut self, now: Instant, account: AccountId) {
        let waits =
            |connecting: &Connecting| connecting.attempt.is_none() && connecting.accounts.contains(&account);
        let waiting: Vec<StreamId> =
            self.pending.values().copied().filter(|id| self.connecting(*id).is_some_and(waits)).collect();
        for id in waiting {
            self.send_connect(now, id);
        }
    }

    /// Sends the connect of a stream to the bare JID, after a resource of earlier was not there.
    pub(super) fn fall_back_to_bare_jid(&mut self, now: Instant, id: StreamId) {
        let Some(connecting) = self.connecting(id) else { return };
        let set = connecting.attempt.as_ref().and_then(|attempt| attempt.set);
        let peer = connecting.to.to_bare();
        self.resources.remove(&peer);
        if let Some(set) = set {
            self.forget_set(set);
        }
        self.send_connect(now, id);
    }

    /// Tells the peer that we have given up a stream. It may have fallen silent to us only; if it has
    /// not, and has nothing to send, it would keep its end for ever. All of its aliases that have spoken are told, because
    /// nobody will look after a bounce. The id is one that no correct peer uses, so that the end cannot
    /// be taken for a complete one.
    pub(super) fn send_reset(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id).filter(|stream| stream.is_open()) else { return };
        let Some(link) = stream.link().and_then(|link| self.routes.link(link)) else { return };
        let Some(via) = self.online_account(&link.accounts) else { return };
        let payload = Payload::Disconnect { header: stream.header(&link.ours), id: stream.send.fatal_id() };
        for alias in link.known_aliases() {
            self.send_parting_word(via, alias, payload.clone());
        }
    }

    /// A set about something that we do not have (any more), whose answer is of no interest.
    pub(super) fn send_parting_word(&mut self, via: AccountId, to: FullJid, payload: Payload) {
        let stanza = Outgoing::Set(self.new_set_id(), payload);
        self.control.push_back(Transmit { via, to: to.into(), stanza });
    }

    /// Asks the peer of a link for a sign of life.
    pub(super) fn send_ping(&mut self, now: Instant, link_id: LinkId) {
        let Some(link) = self.routes.link(link_id) else { return };
        let Some(via) = self.online_account(&link.accounts) else { return };
        let set = self.new_set_id();
        let Some(link) = self.routes.link_mut(link_id) else { return };
        let Some(to) = link.next_alias(now) else { return };
        if let Some(unanswered) = link.ping.replace(set) {
            self.forget_set(unanswered);
        }
        self.track(now, set, Purpose::Ping(link_id), via, to.clone(), 0);
        self.control.push_back(Transmit { via, to: to.into(), stanza: Outgoing::Ping(set) });
    }
}

impl Account {
    fn can_send(&self) -> bool {
        self.online && self.window.has_room()
    }
}
