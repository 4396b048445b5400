//! Session: one client and one bridge, with the paths between them and the streams over these.
//!
//! It lives from the first attempt to reach the bridge to the last word, and its [`State`] is the drawing of `doc/protocol.md`
//! section 2.7. Its methods are
//!
//! * getters;
//! * `handle_*`, for what happened to its paths and our accounts, and time;
//! * commands of applications, which name a stream by its number on the wire;
//! * `poll_*`: packets to send, what applications should know ([`StreamEvent`]), and what the endpoint has to do or to know
//!   ([`SessionEvent`]).
//!
//! What it shares with other sessions, it is lent: [`Shared`].

pub(crate) mod acks;
mod blocks;
mod client_side;
mod commands;
pub(crate) mod counters;
mod dial;
mod early;
pub(crate) mod established;
pub(crate) mod express;
mod file_lane;
mod files;
pub(crate) mod flight;
pub(crate) mod jids;
mod measuring;
pub(crate) mod pairs;
mod paths;
mod relay;
mod relay_lane;
pub(crate) mod scheduler;
pub(crate) mod skips;
mod state;
mod stats;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod timeouts;
mod trace;
mod transmit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::{AccountId, CloseReason};
use crate::secure::accounts::sender::Flow;
use crate::secure::api::files::{FileKey, FileTask};
use crate::secure::api::relays::RelayKey;
use crate::secure::budget::ledger::Usage;
use crate::secure::budget::price;
use crate::secure::client_tag::ClientTag;
use crate::secure::crypto::handshake::SessionId;
use crate::secure::ids::{PathId, Place, SessionKey};
use crate::secure::path::Path;
use crate::secure::session::early::Early;
use crate::secure::session::established::Established;
use crate::secure::shared::Shared;
use crate::secure::streams::{StreamEvent, StreamLimits, Streams};
use crate::secure::wire::frame::SessionClose;
pub(crate) use client_side::ClientSide;
pub use measuring::Measured;
pub(crate) use state::{ClosedStreams, State};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Session {
    key: SessionKey,
    role: Role,
    /// On a bridge, the account that shook hands. What the session takes is counted against it; what other accounts join later, and what
    /// the client calls itself, changes nothing about that.
    client: Option<BareJid>,
    /// Whose share of our accounts it takes up: the client's on a bridge. On a client each session has its own, because all are the
    /// user's.
    tag: ClientTag,
    state: State,
    paths: BTreeMap<PathId, Path>,
    /// Since when there has been no stream.
    idle_since: Option<Instant>,
    /// What the ledger has for it.
    usage: Usage,
    /// Streams that could write more if the client had less on its way, by their numbers on the wire.
    crowded: BTreeSet<u64>,
    /// Where it waits for its turn.
    waits_at: Vec<Place>,
    /// When the last express packet went.
    hurried_at: Option<Instant>,
    /// Until when what there is to send waits for more.
    held_until: Option<Instant>,
    /// Paths, accounts or load have changed, so that another path may be wanted.
    has_paths_to_check: bool,
    /// It has been seen to carry much.
    carries_much: bool,
    events: VecDeque<SessionEvent>,
    /// Slots that a client's servers are to be asked for.
    slots_wanted: VecDeque<FileTask>,
    /// Whether it is in the endpoint's queue of those that may have packets to send.
    pub(crate) is_queued: bool,
}

/// Which end of the session this is.
#[derive(Debug)]
pub(crate) enum Role {
    /// Opens paths and streams.
    Client(Box<ClientSide>),
    Bridge {
        /// From which accounts the client may open further paths.
        peer_jids: BTreeSet<FullJid>,
    },
}

/// What an endpoint has to do or to know about a session.
#[derive(Debug)]
pub(crate) enum SessionEvent {
    /// On a bridge: this client has shown that it holds the keys.
    Confirmed(BareJid),
    /// On a bridge: this client has acknowledged what was never sent.
    OptimisticAck(BareJid),
    /// On a bridge: from these accounts the client may open further paths, and from those it may no more.
    PeerJidsChanged { added: Vec<FullJid>, removed: Vec<FullJid> },
    /// On a client: the bridge is not there, as the chat servers say, and what is asked of it for the first time comes to nothing.
    Absent(CloseReason),
    /// It is over, and the peer is to be told why.
    Ended(CloseReason, Option<SessionClose>),
    /// The peer has ended it.
    EndedByPeer(CloseReason),
    /// The relay for which this account stood is over.
    RelayOver(AccountId),
    /// On a client: the bridge does not know it any more, and has made this session by the path.
    Replaced(PathId, Box<Established>),
}

/// Who has ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastWord {
    /// We have. The peer is told why, if there is anything to tell it.
    Ours(Option<SessionClose>),
    /// The peer has: a client closes its paths itself, and for a bridge they are no more.
    Theirs,
}

/// What is left of a session that is over.
#[derive(Debug)]
pub(crate) struct ClosedSession {
    pub(crate) role: Role,
    /// By what its client could have taken it up again.
    pub(crate) id: Option<SessionId>,
    pub(crate) streams: Option<ClosedStreams>,
    /// Files of which the driver has something to do that nobody waits for any more.
    pub(crate) files: Vec<FileKey>,
    /// The relay of which the driver has something, and the account that stood for one last.
    pub(crate) relay: (Option<RelayKey>, Option<AccountId>),
}

impl Session {
    /// A client's, still to be made.
    pub(crate) fn connecting(key: SessionKey, side: ClientSide, limits: StreamLimits) -> Self {
        let (role, state) = (Role::Client(Box::new(side)), State::Connecting(Box::new(Early::new(limits))));
        Self::new(key, role, None, ClientTag(key.0), state)
    }

    /// A client's that takes the place of a lost one.
    pub(crate) fn succeeding(key: SessionKey, side: Box<ClientSide>, established: Box<Established>) -> Self {
        Self::new(key, Role::Client(side), None, ClientTag(key.0), State::Established(established))
    }

    /// A bridge's, whose client has not shown yet that it has the keys.
    pub(crate) fn unconfirmed(
        key: SessionKey,
        client: BareJid,
        tag: ClientTag,
        established: Established,
    ) -> Self {
        let role = Role::Bridge { peer_jids: BTreeSet::new() };
        Self::new(key, role, Some(client), tag, State::Unconfirmed(Box::new(established)))
    }

    fn new(key: SessionKey, role: Role, client: Option<BareJid>, tag: ClientTag, state: State) -> Self {
        Self {
            key,
            role,
            client,
            tag,
            state,
            paths: BTreeMap::new(),
            idle_since: None,
            usage: Usage::default(),
            crowded: BTreeSet::new(),
            waits_at: Vec::new(),
            hurried_at: None,
            held_until: None,
            has_paths_to_check: true,
            carries_much: false,
            events: VecDeque::new(),
            slots_wanted: VecDeque::new(),
            is_queued: false,
        }
    }

    /// On a bridge, the account that shook hands.
    pub(crate) fn client(&self) -> Option<&BareJid> {
        self.client.as_ref()
    }

    /// On a client, what it needs to reach the bridge.
    pub(crate) fn client_side(&self) -> Option<&ClientSide> {
        match &self.role {
            Role::Client(side) => Some(side),
            Role::Bridge { .. } => None,
        }
    }

    fn client_side_mut(&mut self) -> Option<&mut ClientSide> {
        match &mut self.role {
            Role::Client(side) => Some(side),
            Role::Bridge { .. } => None,
        }
    }

    /// Whose share of our accounts it takes up.
    pub(crate) fn tag(&self) -> ClientTag {
        self.tag
    }

    /// How it is named where it waits for its turn.
    pub(crate) fn flow(&self) -> Flow<SessionKey> {
        Flow { client: self.tag, key: self.key }
    }

    /// What both ends share, once they do.
    pub(crate) fn established(&self) -> Option<&Established> {
        self.state.established()
    }

    /// Its streams.
    pub(crate) fn streams(&self) -> Option<&Streams> {
        self.state.streams()
    }

    /// Streams that exist, those included that are only being closed.
    pub(crate) fn stream_count(&self) -> usize {
        self.streams().map_or(0, Streams::stream_count)
    }

    /// Whether no application has a stream, and none is being closed of which the bridge knows.
    pub(crate) fn is_idle(&self) -> bool {
        match self.state.early() {
            Some(early) => early.is_idle(),
            None => self.streams().is_none_or(Streams::is_idle),
        }
    }

    /// Since when there has been no stream.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.idle_since
    }

    /// What the ledger has for it.
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// Brings the ledger in line with what it takes by now.
    pub(crate) fn note_usage(&mut self, shared: &mut Shared) {
        let early = self.state.early().map(|early| early.streams().usage());
        let mut usage = early.or_else(|| self.established().map(Established::usage)).unwrap_or_default();
        usage.received += price::PATH * self.paths.len();
        if usage != self.usage {
            shared.ledger.replace(&self.client, &self.usage, &usage);
            self.usage = usage;
        }
    }

    /// Whether nothing is missing in the handshake: on a bridge, its client has shown that it holds the keys.
    pub(crate) fn is_confirmed(&self) -> bool {
        !matches!(self.state, State::Unconfirmed(_))
    }

    /// Whether one of its paths is this one, between these accounts.
    pub(crate) fn has_path(&self, id: PathId, via: AccountId, peer: &FullJid) -> bool {
        self.paths.get(&id).is_some_and(|path| path.via() == via && path.peer() == peer)
    }

    /// On a bridge: the client opens the path with this number; false when it has done so before.
    pub(crate) fn record_path_number(&mut self, number: u64) -> bool {
        self.state.established_mut().is_some_and(|established| established.path_numbers.insert(number))
    }

    /// A path goes on in another session.
    pub(crate) fn give_away(&mut self, id: PathId) -> Option<Path> {
        self.paths.remove(&id)
    }

    /// Whether there is something to send.
    pub(crate) fn wants_to_send(&self, now: Instant) -> bool {
        self.established().is_some_and(|established| established.wants_to_send(now))
    }

    /// The next thing that applications should know.
    pub(crate) fn poll_event(&mut self) -> Option<StreamEvent> {
        self.state.streams_mut()?.poll_event()
    }

    /// The next thing that the endpoint has to do or to know.
    pub(crate) fn poll_endpoint_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Does what follows from every change. From none, once it is over: above all its names stay as the endpoint has them, which is to
    /// forget them.
    fn apply_changes(&mut self, now: Instant, shared: &mut Shared) {
        if self.is_over() {
            return;
        }
        self.take_news(now, shared);
        self.use_relay(now, shared);
        self.use_files(now, shared);
        if let Some(early) = self.state.early_mut() {
            early.prune();
        }
        self.idle_since = self.is_idle().then(|| self.idle_since.unwrap_or(now));
        let carries_much = self.established().is_some_and(Established::carries_much);
        if self.has_paths_to_check || carries_much != self.carries_much {
            (self.has_paths_to_check, self.carries_much) = (false, carries_much);
            self.dial(now, shared);
        }
        self.trace_changes(now, shared);
    }

    /// Takes note of what the peer says of its accounts.
    fn take_news(&mut self, now: Instant, shared: &mut Shared) {
        let Some(established) = self.state.established_mut() else {
            // Nobody says anything before the handshake.
            return;
        };
        if !established.jids.take_news() {
            return;
        }
        let theirs = established.jids.theirs();
        match &mut self.role {
            Role::Client(side) => {
                side.update_bridge_jids(now, theirs, &mut shared.introductions);
                self.has_paths_to_check = true;
            }
            Role::Bridge { peer_jids } => {
                let in_use = self.paths.values().map(Path::peer);
                let current: BTreeSet<FullJid> = theirs.iter().chain(in_use).cloned().collect();
                let former = std::mem::replace(peer_jids, current);
                let added = peer_jids.difference(&former).cloned().collect();
                let removed = former.difference(peer_jids).cloned().collect();
                self.events.push_back(SessionEvent::PeerJidsChanged { added, removed });
            }
        }
    }

    fn end(&mut self, reason: CloseReason, farewell: Option<SessionClose>) {
        self.end_with(SessionEvent::Ended(reason, farewell));
    }

    /// It is over, which the endpoint learns by `event`. What has ended it first is what counts.
    fn end_with(&mut self, event: SessionEvent) {
        if !self.is_over() {
            self.state.close();
            self.events.push_back(event);
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// It is over, and its streams end with `reason`: what is left of it.
    pub(crate) fn close(
        mut self,
        now: Instant,
        reason: CloseReason,
        last: LastWord,
        shared: &mut Shared,
    ) -> ClosedSession {
        if let LastWord::Ours(Some(farewell)) = last {
            self.send_farewell(now, farewell, shared);
        }
        self.trace_ended(now, reason, last, shared);
        let is_client = self.client_side().is_some();
        for path in self.paths.values() {
            // A bridge's would go before everything else, and a client can have it end many paths at once. A genuine client learns
            // from the farewell, or from the answer to its next block.
            if is_client && matches!(last, LastWord::Ours(_)) {
                shared.close(now, path);
            } else {
                shared.forget(now, path);
            }
        }
        shared.accounts.leave(self.flow(), self.waits_at.drain(..));
        shared.accounts.prune();
        shared.ledger.replace(&self.client, &self.usage, &Usage::default());
        shared.tally.ended += self.own_totals();
        let (files, relay) = (self.busy_files(), self.busy_relay());
        let (id, streams) = self.state.into_parts();
        let streams = streams.and_then(|streams| ClosedStreams::new(self.client, streams, reason));
        ClosedSession { role: self.role, id, streams, files, relay }
    }
}
