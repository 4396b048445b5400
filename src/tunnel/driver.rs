//! Driver: the task that tells the cores what happens at the accounts and what time it is.

use std::pin::Pin;
use std::sync::Weak;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};
use tokio_xmpp::Stanza;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::FullJid;

use super::cores::Cores;
use super::set_back::{ClockWasAhead, SetBack};
use super::{Shared, State};
use crate::carrier::Received;
use crate::classic::SetId;
use crate::persona;
use crate::protocol::AccountChange;
use crate::secure::Incoming;
use crate::xmpp::swift::Swift;
use crate::xmpp::{AccountEvent, AccountId, Parcel};

/// How many events are handled under one lock.
const BATCH: usize = 64;

/// Runs until the tunnel or the pool is gone.
pub(super) async fn run(shared: Weak<Shared>, mut events: mpsc::Receiver<(AccountId, AccountEvent)>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut alarm = Alarm::new();
    let mut set_back = SetBack::default();
    while let Some(strong) = shared.upgrade() {
        let armed = strong.lock().armed;
        alarm.set(armed).await;
        tokio::select! {
            count = events.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
                let seconds = wall_clock();
                let is_set_back = set_back.is_noticed(seconds);
                strong.with(|state, now| {
                    state.cores.secure.handle_wall_clock(now, seconds);
                    if let Some(minutes) = state.cores.secure.minutes_locked(now).filter(|_| is_set_back) {
                        tracing::error!("{}", ClockWasAhead { minutes });
                    }
                    for (account, event) in batch.drain(..) {
                        strong.on_account_event(state, now, account, event);
                    }
                });
            }
            () = alarm.ring(), if armed.is_some() => strong.on_timeout(),
            () = strong.timer_changed.notified() => {}
        }
    }
}

/// Seconds since 1970.
fn wall_clock() -> u64 {
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
            state.armed = None;
        });
    }

    fn on_account_event(&self, state: &mut State, now: Instant, id: AccountId, event: AccountEvent) {
        // What was on its way here when an account was closed would bring it back.
        if matches!(
            event,
            AccountEvent::Online { .. } | AccountEvent::Unreachable(_) | AccountEvent::Failed(_)
        ) && !self.pool.is_open(id)
        {
            return;
        }
        state.announcer.announce(id, &event);
        let change = match event {
            AccountEvent::Stanza(stanza) => return self.on_stanza(state, now, id, *stanza),
            AccountEvent::Swift(swift) => return self.on_swift(state, now, id, swift),
            AccountEvent::Pinged { by } => return state.cores.classic.handle_sign_of_life(now, id, &by),
            AccountEvent::Acked { tag } => return state.cores.classic.handle_server_ack(now, SetId(tag)),
            // The core sends everything again that was not answered when an account loses its state.
            AccountEvent::Lost { .. } | AccountEvent::Unreachable(_) => return,
            AccountEvent::Relieved => {
                let backlog = self.pool.backlog(id);
                return state.cores.secure.handle_backlog(id, backlog.stanzas, backlog.bytes);
            }
            AccountEvent::Online { jid, resumed } => AccountChange::Online { jid, resumed },
            AccountEvent::Suspended { .. } => AccountChange::Suspended,
            AccountEvent::Failed(_) => {
                self.failed.notify_waiters();
                AccountChange::Gone
            }
        };
        state.cores.handle_account(now, id, change);
    }

    fn on_swift(&self, state: &mut State, now: Instant, id: AccountId, swift: Swift) {
        let Cores { classic, secure } = &state.cores;
        let has_bytestream = |from: &FullJid| secure.has_bytestream_with(id, from);
        let received = self.carrier.receive_swift(swift, classic.is_in_use(), has_bytestream);
        self.on_received(state, now, id, received);
    }

    fn on_stanza(&self, state: &mut State, now: Instant, id: AccountId, stanza: Stanza) {
        if let Stanza::Presence(presence) = &stanza {
            return self.on_presence(state, id, presence);
        }
        let Cores { classic, secure } = &state.cores;
        let has_bytestream = |from: &FullJid| secure.has_bytestream_with(id, from);
        let received = self.carrier.receive(stanza, classic.is_in_use(), has_bytestream);
        self.on_received(state, now, id, received);
    }

    fn on_received(&self, state: &mut State, now: Instant, id: AccountId, received: Received) {
        let Cores { classic, secure } = &mut state.cores;
        match received {
            Received::Classic { from, incoming } => {
                classic.handle_stanza(now, id, &from, incoming);
            }
            Received::Secure { from, incoming } => {
                secure.handle_stanza(now, id, &from, incoming);
            }
            Received::Request { from, iq } => self.on_request(state, now, id, from.as_ref(), &iq),
            Received::Nothing => {}
        }
    }

    fn on_request(&self, state: &mut State, now: Instant, id: AccountId, from: Option<&FullJid>, iq: &Iq) {
        let Cores { classic, secure } = &mut state.cores;
        if let Some(from) = from {
            classic.handle_sign_of_life(now, id, from);
            if persona::refuses(iq) {
                // The core that refuses bytestreams refuses this, too: so nobody can tell the one from the other.
                let unknown = Incoming::Unknown { id: iq.id().to_owned() };
                return secure.handle_stanza(now, id, from, unknown);
            }
        }
        if let Some(reply) = persona::reply_to(iq) {
            self.pool.send(id, Parcel::reply(reply), None);
        }
    }
}
