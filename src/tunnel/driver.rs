//! Driver: the task that tells the cores what happens at the accounts and what time it is.

use std::pin::Pin;
use std::sync::Weak;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};
use xmpp_parsers::jid::FullJid;

use super::cores::Cores;
use super::set_back::{ClockWasAhead, SetBack};
use super::{Shared, State};
use crate::carrier::ibb::Bytestreams;
use crate::carrier::{Arrival, Decision, Recipient};
use crate::classic::SetId;
use crate::protocol::{AccountChange, SizeLimit};
use crate::xmpp::{AccountError, AccountEvent, AccountId};

/// Up to 64 events are handled under one lock.
const MAX_EVENTS_AT_ONCE: usize = 64;

/// Runs until the tunnel or the pool is gone.
pub(super) async fn run(shared: Weak<Shared>, mut events: mpsc::Receiver<(AccountId, AccountEvent)>) {
    let mut batch = Vec::with_capacity(MAX_EVENTS_AT_ONCE);
    let mut alarm = Alarm::new();
    let mut set_back = SetBack::default();
    while let Some(strong) = shared.upgrade() {
        let armed = strong.lock().armed;
        alarm.set(armed).await;
        tokio::select! {
            count = events.recv_many(&mut batch, MAX_EVENTS_AT_ONCE) => {
                if count == 0 {
                    return;
                }
                let seconds = wall_clock();
                let is_set_back = set_back.observe(seconds);
                strong.with(|state, now| {
                    state.cores.secure.handle_wall_clock(now, seconds);
                    if let Some(minutes) = state.cores.secure.minutes_locked(now).filter(|_| is_set_back) {
                        tracing::error!("{}", ClockWasAhead { minutes });
                    }
                    for (account, event) in batch.drain(..) {
                        strong.on_account_event(state, now, account, event);
                    }
                    strong.see_to_siblings(state, now);
                });
            }
            () = alarm.ring(), if armed.is_some() => strong.on_timeout(),
            () = strong.timer_changed.notified() => {}
        }
    }
}

/// Seconds since 1970.
pub(super) fn wall_clock() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

/// One timer for all deadlines. It is set anew only when it must ring earlier, or has rung: with each setting the
/// runtime wakes itself up, which costs more than to be woken too early now and then.
struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    fn new() -> Self {
        Self(Box::pin(sleep(Duration::ZERO)))
    }

    /// Sees to it that it rings at `at`, or earlier.
    async fn set(&mut self, at: Option<Instant>) {
        let Some(at) = at.map(tokio::time::Instant::from_std) else { return };
        if self.0.is_elapsed() || at < self.0.deadline() {
            // Whoever has just been given something to do need not wait for that.
            tokio::task::yield_now().await;
            self.0.as_mut().reset(at);
        }
    }

    /// Waits for it.
    async fn ring(&mut self) {
        self.0.as_mut().await;
    }
}

impl Shared {
    fn on_timeout(&self) {
        self.with(|state, now| {
            state.cores.handle_timeout(now);
            state.finder.handle_timeout(now);
            state.announcer.handle_timeout(now);
            state.armed = None;
            self.see_to_siblings(state, now);
        });
    }

    fn on_account_event(&self, state: &mut State, now: Instant, id: AccountId, event: AccountEvent) {
        // What was on its way here when an account was closed would bring it back.
        if matches!(
            event,
            AccountEvent::Online { .. }
                | AccountEvent::Confirmed
                | AccountEvent::Rests(_)
                | AccountEvent::StanzaLimit { .. }
                | AccountEvent::Suspended { .. }
                | AccountEvent::Unreachable(_)
                | AccountEvent::Failed(_)
        ) && !self.pool.is_open(id)
        {
            return;
        }
        if let Some(account) = state.siblings.account_of(id) {
            if !self.on_sibling_event(state, now, (account, id), &event) {
                return;
            }
        } else {
            state.announcer.announce(now, id, &event, || self.pool.name(id));
        }
        let change = match event {
            AccountEvent::Stanza(stanza) => return self.on_arrival(state, now, id, Arrival::Parsed(stanza)),
            AccountEvent::Flat(flat) => return self.on_arrival(state, now, id, Arrival::Flat(flat)),
            AccountEvent::Pinged { by } => {
                return self.on_arrival(state, now, id, Arrival::Ping { from: by });
            }
            AccountEvent::Acked { tag } => return state.cores.classic.handle_server_ack(now, SetId(tag)),
            // The core sends everything again that was not answered when an account loses its state.
            AccountEvent::Lost { .. } | AccountEvent::Unreachable(_) => return,
            AccountEvent::Confirmed | AccountEvent::Rests(_) => return,
            AccountEvent::Resource { jid, is_available } => {
                return state.siblings.on_resource(now, id, &jid, is_available);
            }
            AccountEvent::Relieved => {
                let backlog = self.pool.backlog(id);
                return state.cores.secure.handle_backlog(id, backlog.stanzas, backlog.bytes);
            }
            AccountEvent::Online { jid, resumed, .. } => {
                state.desk.handle_online(id, jid.clone());
                state.clocks.on_online(id, &jid, resumed);
                let (siblings, usual) = (self.pool.named_siblings(id), self.pool.usual_sessions(id));
                state.siblings.on_online((id, &jid), resumed, &siblings, usual);
                AccountChange::Online { jid, resumed }
            }
            AccountEvent::StanzaLimit { bytes } => {
                return state.cores.handle_size_limit(now, id, SizeLimit::Told(bytes));
            }
            AccountEvent::Suspended { reason } => {
                if let Some(limit) = size_limit(&reason) {
                    state.cores.handle_size_limit(now, id, limit);
                }
                let largest = state.cores.secure.largest_on_its_way(id);
                state.siblings.on_suspended(now, id, (&reason, largest));
                AccountChange::Suspended
            }
            AccountEvent::Failed(_) => {
                self.failed.notify_waiters();
                self.close_siblings_of(state, now, id, &self.pool.siblings(id));
                state.finder.on_gone(id);
                state.clocks.on_gone(id);
                AccountChange::Gone
            }
        };
        let online = match &change {
            AccountChange::Online { jid, resumed } => Some((jid.clone(), *resumed)),
            _ => None,
        };
        state.cores.handle_account(now, id, change);
        if let Some((jid, resumed)) = online {
            self.set_quota(state, now, id);
            self.see_to_services(state, now, id, (jid, resumed));
        }
    }

    /// The desk decides what becomes of a stanza.
    fn on_arrival(&self, state: &mut State, now: Instant, id: AccountId, arrival: Arrival) {
        let State { cores, desk, bytestreams, finder, clocks, .. } = state;
        if finder.handle(id, &arrival) || clocks.handle(id, &arrival, wall_clock()) {
            return;
        }
        let to = Recipient {
            account: id,
            lets_in: cores.accepts_on(id),
            speaks_classic: cores.classic.is_in_use(),
            has_bytestream_with: &|peer: &FullJid| bytestreams.has_with(id, peer),
        };
        desk.handle(arrival, &to, rand::random);
        while let Some(decision) = desk.poll() {
            self.carry_out(cores, bytestreams, now, id, decision);
        }
    }

    fn carry_out(
        &self,
        cores: &mut Cores,
        bytestreams: &mut Bytestreams,
        now: Instant,
        id: AccountId,
        decision: Decision,
    ) {
        match decision {
            Decision::ToSecure { from, incoming } => {
                bytestreams.handle_stanza(&mut cores.secure, now, id, &from, incoming);
            }
            Decision::ToClassic { from, incoming } => cores.classic.handle_stanza(now, id, &from, incoming),
            Decision::SignOfLife { from } => cores.classic.handle_sign_of_life(now, id, &from),
            Decision::Reply(parcel) => {
                self.pool.send(id, parcel, None);
            }
        }
    }
}

/// What it says of the largest stanza that a server takes when a connection ends so.
pub(super) fn size_limit(reason: &AccountError) -> Option<SizeLimit> {
    match reason {
        AccountError::StanzaTooLarge => Some(SizeLimit::Exceeded),
        AccountError::StreamError(_, "policy-violation", _) => Some(SizeLimit::Likely),
        AccountError::Closed(_) | AccountError::Io { .. } => Some(SizeLimit::Suspected),
        _ => None,
    }
}
