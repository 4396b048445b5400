//! Size limits of servers: what becomes of packets that are too large for one.

use std::time::Instant;

use super::Endpoint;
use crate::classic::api::SetId;
use crate::classic::send::{OnItsWay, Way};
use crate::protocol::size_limits::{EVERYBODY_TAKES, Ladder};
use crate::protocol::{AccountId, CloseReason, SizeLimit, StreamId};

impl Endpoint {
    /// Tells what the server of an account has shown of the largest stanza that it takes: no packet is cut larger from then on that goes by
    /// the account. If a connection has ended because of one, this comes before the word that the account is suspended.
    ///
    /// A packet is sent again as it was, since it may have arrived. What the server has said it refused has not: that is cut anew, and so
    /// is what went behind it. A stream is broken if it has a packet that no account can send any more.
    pub fn handle_size_limit(&mut self, now: Instant, id: AccountId, limit: SizeLimit) {
        let size = self.largest(id);
        self.size_limits.on_shown(now, id, limit, size, self.ladder());
        match limit {
            SizeLimit::Told(_) => {
                if let Some(told) = self.size_limits.told(&id) {
                    self.note_refused(id, told + 1);
                }
            }
            // Whatever else we send is smaller than what every server takes.
            SizeLimit::Exceeded if (self.ladder().on_wire)(size) > EVERYBODY_TAKES => {
                self.note_refused(id, size);
                self.take_back(now, id, size);
            }
            SizeLimit::Exceeded | SizeLimit::Likely | SizeLimit::Suspected => {}
        }
        self.break_hopeless(now);
    }

    /// The largest stanza with a packet that is on its way by the account, in bytes on the wire; none is 0.
    pub fn largest_on_its_way(&self, id: AccountId) -> usize {
        match self.largest(id) {
            0 => 0,
            size => (self.ladder().on_wire)(size),
        }
    }

    /// Whether the server of an account may take a packet with so much data: one that is sent again, and cannot be cut anew.
    pub(super) fn takes(&self, id: AccountId, size: usize) -> bool {
        self.refused.get(&id).is_none_or(|refused| size < *refused)
    }

    fn note_refused(&mut self, id: AccountId, size: usize) {
        let refused = self.refused.entry(id).or_insert(size);
        *refused = size.min(*refused);
    }

    fn ladder(&self) -> Ladder {
        let sizes = self.config.sizes;
        Ladder { sizes: sizes.ladder, on_wire: sizes.on_wire }
    }

    /// Packets that the server of an account has not taken, as far as is known.
    fn untaken(&self, via: AccountId) -> impl Iterator<Item = OnItsWay> {
        let is_untaken =
            move |set: &SetId| self.sets.get(set).is_some_and(|set| set.via == via && set.cost > 0);
        let all = self.streams.values().flat_map(|stream| stream.send.on_their_way());
        all.filter(move |packet| is_untaken(&packet.set))
    }

    /// How much data the largest of them has.
    fn largest(&self, via: AccountId) -> usize {
        self.untaken(via).map(|packet| packet.length).max().unwrap_or_default()
    }

    /// Takes back what was refused because packets of this size were too large, or something before them. On each connection of the account
    /// nothing was taken from the first of these packets on, and what has gone by no other account has not arrived.
    fn take_back(&mut self, now: Instant, via: AccountId, size: usize) {
        let refused = self.untaken(via).filter(|packet| packet.length == size && packet.way.via == Some(via));
        let Some(first) = refused.map(|packet| packet.way.first).min() else { return };
        let streams: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in streams {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            let is_refused = |way: Way| way.via == Some(via) && way.first >= first;
            for set in stream.send.take_back(is_refused) {
                self.forget_set(set);
            }
            self.after_change(now, id);
        }
    }

    /// Breaks the streams with packets that no account can send any more.
    pub(super) fn break_hopeless(&mut self, now: Instant) {
        let all = self.streams.iter().filter(|(_, stream)| stream.is_open());
        let hopeless = all.filter(|(_, stream)| {
            let link = stream.link().and_then(|link| self.routes.link(link));
            let pinned = stream.pinned.as_ref().map(|(via, _)| std::slice::from_ref(via));
            let accounts = pinned.or(link.map(|link| link.accounts.as_slice())).unwrap_or_default();
            let largest = stream.send.largest();
            !accounts.is_empty() && !accounts.iter().any(|account| self.takes(*account, largest))
        });
        let hopeless: Vec<StreamId> = hopeless.map(|(id, _)| *id).collect();
        for id in hopeless {
            self.break_stream(now, id, CloseReason::ProtocolViolation);
        }
    }
}
