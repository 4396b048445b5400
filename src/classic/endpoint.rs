//! Endpoint: one end of the protocol, with all accounts and all streams.

mod accounts;
mod core;
mod outgoing;
mod size_limits;
mod stanzas;
mod timeouts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::classic::api::{Config, Outgoing, SetId, Transmit};
use crate::classic::routing::{LinkId, RoutingTable};
use crate::classic::seq::SeqNum;
use crate::classic::stanza::{Aliases, Payload};
use crate::classic::stream::{Attempt, Connecting, Phase, Stream};
use crate::classic::timers::{TimerKey, Timers};
use crate::classic::window::Window;
use crate::protocol::size_limits::{SUSPICION_LASTS, SizeLimits};
use crate::protocol::{AccountId, Address, CloseReason, Event, StreamId};

/// One end of the protocol; see the [module](super) for how to drive it.
///
/// What both protocols can do is in [`Core`](crate::protocol::Core); the rest is here: [`connect`](Self::connect), the stanzas that
/// come in and go out, and the chat server's word on them.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    accounts: BTreeMap<AccountId, Account>,
    streams: BTreeMap<StreamId, Stream>,
    /// Connects of ours that were not answered yet.
    pending: BTreeMap<PendingKey, StreamId>,
    routes: RoutingTable,
    /// Whom we have asked for a connection.
    asked: BTreeSet<BareJid>,
    /// Where a peer answered from earlier.
    resources: BTreeMap<BareJid, FullJid>,
    sets: BTreeMap<SetId, OutstandingSet>,
    size_limits: SizeLimits<AccountId>,
    /// By account: how much data a packet has that its server refuses, at least.
    refused: BTreeMap<AccountId, usize>,
    half_open: usize,
    /// Everything to send that is not a packet, in order.
    control: VecDeque<Transmit>,
    /// Streams with packets to send, in turn.
    ready: VecDeque<StreamId>,
    events: VecDeque<Event>,
    timers: Timers,
    next_stream: u64,
    next_set: u64,
}

/// Our end, the bare JID that was asked, the target.
type PendingKey = (Address, BareJid, Address);

#[derive(Debug)]
struct Account {
    jid: FullJid,
    online: bool,
    window: Window,
}

/// An IQ of ours that was not answered yet.
#[derive(Debug)]
struct OutstandingSet {
    purpose: Purpose,
    via: AccountId,
    to: FullJid,
    sent: Instant,
    /// What it takes up in the account's window.
    cost: usize,
}

#[derive(Clone, Copy, Debug)]
enum Purpose {
    Packet(StreamId, SeqNum),
    Connect(StreamId),
    Ping(LinkId),
}

impl Endpoint {
    /// An end without accounts or streams.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            accounts: BTreeMap::new(),
            streams: BTreeMap::new(),
            pending: BTreeMap::new(),
            routes: RoutingTable::default(),
            asked: BTreeSet::new(),
            resources: BTreeMap::new(),
            sets: BTreeMap::new(),
            size_limits: SizeLimits::new(SUSPICION_LASTS),
            refused: BTreeMap::new(),
            half_open: 0,
            control: VecDeque::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            timers: Timers::default(),
            next_stream: 0,
            next_set: 0,
        }
    }

    /// Whether anybody can have reason to speak this protocol with us. To everybody else, it should not be there.
    pub fn is_in_use(&self) -> bool {
        !self.config.accept_on.is_empty() || !self.streams.is_empty()
    }

    /// Asks the hexchat peer behind `to` for a connection to `remote` on behalf of the application at
    /// `local`. Only `accounts` will be used, and the peer will know them as ours. The outcome is an
    /// [`Event::Connected`] or [`Event::Closed`].
    ///
    /// While none of the accounts is online the connect waits, within
    /// [`Config::connect_timeout`].
    ///
    /// # Errors
    ///
    /// [`CloseReason::TooManyStreams`]; also when a connect with the very same addresses is pending,
    /// because the answers could not be told apart.
    pub fn connect(
        &mut self,
        now: Instant,
        accounts: &[AccountId],
        to: Jid,
        local: Address,
        remote: Address,
    ) -> Result<StreamId, CloseReason> {
        let key = (local.clone(), to.to_bare(), remote.clone());
        if self.streams.len() >= self.config.max_streams || self.pending.contains_key(&key) {
            return Err(CloseReason::TooManyStreams);
        }
        let phase = Phase::Connecting(Connecting {
            to,
            accounts: accounts.to_vec(),
            deadline: now + self.config.connect_timeout,
            attempt: None,
        });
        let id = self.add_stream(Stream::new(now, &self.config, local, remote, phase));
        self.asked.insert(key.1.clone());
        self.pending.insert(key, id);
        self.send_connect(now, id);
        Ok(id)
    }

    fn add_stream(&mut self, stream: Stream) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        self.streams.insert(id, stream);
        id
    }

    /// Tells the peer that the target of an [`Event::Incoming`] cannot be reached or is not allowed.
    pub(super) fn refuse(&mut self, now: Instant, id: StreamId) {
        let Some((link, via, from)) = self.offer_of(id) else { return };
        self.send_ack(id, link, via, &from, false);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.released = true;
        }
        self.close(now, id, CloseReason::Refused);
    }

    /// Where the answer to a stream that waits for a decision goes.
    fn offer_of(&self, id: StreamId) -> Option<(LinkId, AccountId, FullJid)> {
        match &self.streams.get(&id)?.phase {
            Phase::Offered { link, via, from } => Some((*link, *via, from.clone())),
            _ => None,
        }
    }

    fn send_ack(&mut self, id: StreamId, link: LinkId, via: AccountId, to: &FullJid, success: bool) {
        let set = self.new_set_id();
        let (Some(stream), Some(link)) = (self.streams.get(&id), self.routes.link(link)) else { return };
        let header = stream.header(&link.ours);
        let payload = Payload::ConnectAck { header, success, resend: stream.tolerant };
        let stanza = Outgoing::Unsolicited(set, payload);
        self.control.push_back(Transmit { via, to: to.clone().into(), stanza });
    }

    /// Gives the answers that reading has made room for.
    fn give_answers(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let answers = stream.recv.take_answers();
        stream.note_withholding(now);
        for answer in answers {
            let stanza = Outgoing::Answer(answer.id);
            self.control.push_back(Transmit { via: answer.via, to: answer.to.into(), stanza });
        }
    }

    /// Brings the queue, the timers and the life of a stream in line with its state.
    fn after_change(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !stream.is_open() {
            return;
        }
        if stream.send.is_done() {
            return self.close(now, id, CloseReason::Finished);
        }
        if stream.send.wants_to_send() && !stream.queued {
            stream.queued = true;
            self.ready.push_back(id);
        }
        let silence = stream.silence_deadline(self.config.silence_timeout);
        let oldest = stream.send.sets().next().and_then(|set| self.sets.get(&set));
        let retry = oldest.and_then(|oldest| stream.retry_deadline(oldest.sent));
        let deadlines = [silence, retry, stream.keepalive_deadline()];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            self.timers.arm(TimerKey::Stream(id), at);
        }
    }

    /// The stream can go on no more: the peer is told so, and the application.
    fn break_stream(&mut self, now: Instant, id: StreamId, reason: CloseReason) {
        self.send_reset(id);
        self.close(now, id, reason);
    }

    /// Nothing is left to do for the peer, or can be done: the stream leaves every table, and only what
    /// the application may still read is kept until it lets go.
    fn close(&mut self, now: Instant, id: StreamId, reason: CloseReason) {
        self.give_answers(now, id);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if matches!(stream.phase, Phase::Closed(_)) {
            return;
        }
        let phase = std::mem::replace(&mut stream.phase, Phase::Closed(reason));
        let sets: Vec<SetId> = stream.send.sets().collect();
        let (local, remote, released) = (stream.local.clone(), stream.remote.clone(), stream.released);
        self.unroute(phase, &local, &remote);
        for set in sets {
            self.forget_set(set);
        }
        self.timers.cancel(TimerKey::Stream(id));
        if released {
            self.streams.remove(&id);
        } else {
            self.events.push_back(Event::Closed(id, reason));
        }
    }

    fn unroute(&mut self, phase: Phase, local: &Address, remote: &Address) {
        match phase {
            Phase::Connecting(connecting) => {
                self.pending.remove(&(local.clone(), connecting.to.to_bare(), remote.clone()));
                if let Some(set) = connecting.attempt.and_then(|attempt| attempt.set) {
                    self.forget_set(set);
                }
            }
            Phase::Offered { link, .. } => {
                self.half_open -= 1;
                self.leave_link(link, local, remote);
            }
            Phase::Open { link } => self.leave_link(link, local, remote),
            Phase::Closed(_) => {}
        }
    }

    fn leave_link(&mut self, link: LinkId, local: &Address, remote: &Address) {
        if let Some(unused) = self.routes.remove_route(link, local, remote) {
            self.timers.cancel(TimerKey::Link(link));
            self.timers.cancel(TimerKey::Release(link));
            if let Some(ping) = unused.ping {
                self.forget_set(ping);
            }
        }
    }

    /// Nobody waits for the answer to a set any more.
    fn forget_set(&mut self, set: SetId) -> Option<OutstandingSet> {
        let outstanding = self.sets.remove(&set)?;
        if let Some(account) = self.accounts.get_mut(&outstanding.via) {
            account.window.on_forgotten(outstanding.cost);
        }
        Some(outstanding)
    }

    /// A stream joins a link, by an ack or an offer.
    fn join_link(&mut self, now: Instant, id: StreamId, attempt: &Attempt, theirs: &Aliases) -> LinkId {
        let link = self.routes.link_between(now, &attempt.accounts, &attempt.ours, theirs);
        if let Some(stream) = self.streams.get(&id) {
            self.routes.add_route(link, stream.local.clone(), stream.remote.clone(), id);
        }
        self.timers.arm(TimerKey::Link(link), now + crate::classic::link::PING_INTERVAL);
        link
    }
}
