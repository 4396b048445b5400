//! Trace of a tunnel: from the secure core, under its lock, to whoever writes it down, who may be slow.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::mpsc;

use super::{Shared, State, Tunnel};
use crate::protocol::AccountId;
use crate::secure::trace::TraceEvent;
use crate::xmpp::sibling_number;

/// Events that wait for whoever takes them, at most: 8192, a megabyte or two. A busy bridge makes that many in some seconds.
const MOST_WAITING: usize = 8192;

/// Of those places the last one is for the word that there was no room.
const RESERVED: usize = 1;

/// An event, when it was, and of which of our accounts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TunnelEvent {
    /// By the clock of the runtime. Threads that take their turns can be some microseconds late.
    pub at: Instant,
    /// The login that it is about, if it is about one.
    pub login: Option<TracedLogin>,
    /// What it was.
    pub event: TraceEvent,
}

/// A login of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedLogin {
    /// The place of the account among all, counted from 1: on a bridge those of the configuration file, in its order.
    pub account: u64,
    /// 0 for the account's own login; further ones are counted from 1, those of all accounts together.
    pub sibling: u64,
}

/// The end that a tunnel has of a trace.
#[derive(Debug)]
pub(super) struct Outlet {
    sender: mpsc::Sender<TunnelEvent>,
    /// Events that found no room since the last that did, and when the last of them was.
    dropped: Option<(u64, Instant)>,
    /// Of which account each sibling is, until it is gone: its family is forgotten before.
    account_of: BTreeMap<AccountId, AccountId>,
}

impl Outlet {
    fn new(sender: mpsc::Sender<TunnelEvent>) -> Self {
        Self { sender, dropped: None, account_of: BTreeMap::new() }
    }

    /// The login that an event is about; `account_of` tells of which account a sibling is.
    fn login_of(
        &mut self,
        event: &TraceEvent,
        account_of: impl FnOnce(AccountId) -> Option<AccountId>,
    ) -> Option<TracedLogin> {
        let id = event.account()?;
        let sibling = sibling_number(id);
        if let Some(account) = account_of(id) {
            self.account_of.insert(id, account);
        }
        let account = self.account_of.get(&id).copied().or((sibling == 0).then_some(id));
        if matches!(event, TraceEvent::AccountGone { .. }) {
            self.account_of.remove(&id);
        }
        account.map(|account| TracedLogin { account: account.0, sibling })
    }

    /// Hands an event over, or counts it. False when nobody wants any.
    fn hand_over(&mut self, traced: TunnelEvent) -> bool {
        let needed = RESERVED + usize::from(self.dropped.is_some());
        if self.sender.capacity() <= needed {
            let missing = if let TraceEvent::Dropped { events } = traced.event { events } else { 1 };
            self.dropped = Some((self.dropped.map_or(0, |(events, _)| events) + missing, traced.at));
        } else {
            self.tell_dropped();
            // There is room, unless nobody wants it.
            let _ = self.sender.try_send(traced);
        }
        !self.sender.is_closed()
    }

    fn tell_dropped(&mut self) {
        if let Some((events, at)) = self.dropped.take() {
            // Its place is reserved.
            let _ =
                self.sender.try_send(TunnelEvent { at, login: None, event: TraceEvent::Dropped { events } });
        }
    }
}

impl Tunnel {
    /// Traces what the secure core decides and what happens to it, from now until the tunnel is shut down or nobody takes it any more.
    pub fn trace(&self) -> mpsc::Receiver<TunnelEvent> {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let mut state = self.shared.lock();
        state.cores.secure.start_trace();
        state.trace = Some(Outlet::new(sender));
        receiver
    }
}

impl Shared {
    /// Passes on what was traced.
    pub(super) fn pass_on_trace(state: &mut State) {
        let Some(outlet) = &mut state.trace else { return };
        while let Some(traced) = state.cores.secure.poll_trace() {
            let (at, event) = (traced.at, traced.event);
            let login = outlet.login_of(&event, |id| state.siblings.account_of(id));
            if !outlet.hand_over(TunnelEvent { at, login, event }) {
                state.cores.secure.stop_trace();
                state.trace = None;
                return;
            }
        }
    }

    /// The trace is over: what waits is written, and no more comes.
    pub(super) fn end_trace(state: &mut State) {
        state.cores.secure.stop_trace();
        if let Some(mut outlet) = state.trace.take() {
            outlet.tell_dropped();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;

    fn traced(session: u64) -> TunnelEvent {
        TunnelEvent { at: Instant::now(), login: None, event: TraceEvent::SessionConfirmed { session } }
    }

    fn all(receiver: &mut mpsc::Receiver<TunnelEvent>) -> Vec<TraceEvent> {
        std::iter::from_fn(|| receiver.try_recv().ok()).map(|traced| traced.event).collect()
    }

    #[test]
    fn what_a_slow_writer_misses_is_counted_and_told_where_it_is_missing() {
        let (sender, mut receiver) = mpsc::channel(3);
        let mut outlet = Outlet::new(sender);
        assert!((0..5).all(|session| outlet.hand_over(traced(session))));
        let confirmed = |session| TraceEvent::SessionConfirmed { session };
        assert_eq!(all(&mut receiver), [confirmed(0), confirmed(1)]);
        outlet.hand_over(traced(5));
        assert_eq!(all(&mut receiver), [TraceEvent::Dropped { events: 3 }, confirmed(5)]);
    }

    #[test]
    fn what_was_missed_last_is_told_at_the_end_though_there_is_no_room() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outlet = Outlet::new(sender);
        outlet.hand_over(traced(0));
        let at = Instant::now();
        outlet.hand_over(TunnelEvent { at, login: None, event: TraceEvent::Dropped { events: 7 } });
        outlet.hand_over(traced(1));
        outlet.tell_dropped();
        assert_eq!(all(&mut receiver)[1..], [TraceEvent::Dropped { events: 8 }]);
    }

    #[test]
    fn a_sibling_is_called_by_its_account_until_it_is_gone() {
        let mut outlet = Outlet::new(mpsc::channel(8).0);
        let (account, sibling) = (AccountId(2), AccountId((1 << 32) + 5));
        let (online, gone) = (
            TraceEvent::AccountOnline { account: sibling, resumed: false },
            TraceEvent::AccountGone { account: sibling },
        );
        let called = Some(TracedLogin { account: 2, sibling: 5 });
        assert_eq!(outlet.login_of(&online, |_| Some(account)), called);
        assert_eq!(outlet.login_of(&gone, |_| None), called, "its family is forgotten by then");
        assert_eq!(outlet.login_of(&gone, |_| None), None);
        let own = TraceEvent::AccountGone { account };
        assert_eq!(outlet.login_of(&own, |_| None), Some(TracedLogin { account: 2, sibling: 0 }));
    }

    #[test]
    fn nothing_is_traced_for_nobody() {
        let (sender, receiver) = mpsc::channel(8);
        let mut outlet = Outlet::new(sender);
        drop(receiver);
        assert!(!outlet.hand_over(traced(0)));
    }
}
