//! Our program, with a driver that watches the wire.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hexchat_pt::carrier::ibb::{Incoming, Outgoing, Transmit};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, CloseReason, Core, StreamId};
use hexchat_pt::secure::trace::{TraceEvent, Traced};
use hexchat_pt::secure::{Bridge, Config, Credential, Persisted, Service, Token};
use xmpp_parsers::jid::Jid;

use crate::letters::{Body, Stanza};
use crate::network::Side;
use crate::over_ibb::{OverIbb, WALL_CLOCK};
use crate::program::Program;
use crate::proxy::{self, Caller};
use crate::rng::Rng;
use crate::upload_service::Porter;

/// Bytes in unanswered blocks of one account: 32 MiB, the most that a peer gives credit for on a stream. Nothing else bounds it where
/// the server carries any rate; how it is bounded where one has a rate, the tests of windows show.
const MOST_UNANSWERED: usize = (32 << 20) + (64 << 10);

/// What outlives a program: the disk, and the clock on the wall.
#[derive(Clone, Default)]
pub(crate) struct Machine {
    pub(crate) accepted: Rc<RefCell<Vec<(Credential, u64)>>>,
    pub(crate) disk_is_full: Rc<Cell<bool>>,
    booted: Rc<Cell<Option<Instant>>>,
    /// What both programs have traced, if somebody wants that.
    traces: Option<Rc<RefCell<Vec<Noted>>>>,
}

/// What a program has traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Noted {
    pub(crate) side: Side,
    /// Since the first that was traced.
    pub(crate) at: Duration,
    pub(crate) event: TraceEvent,
    first: Instant,
}

impl Noted {
    /// What is the same in each world of a seed.
    pub(crate) fn without_clock(&self) -> (Side, Duration, TraceEvent) {
        (self.side, self.at, self.event)
    }
}

impl Machine {
    /// One whose programs trace what they do.
    pub(crate) fn traced() -> Self {
        Self { traces: Some(Rc::default()), ..Self::default() }
    }

    /// What they have traced, in its order.
    pub(crate) fn trace(&self) -> Vec<Noted> {
        self.traces.as_ref().map(|traces| traces.borrow().clone()).unwrap_or_default()
    }

    fn note(&self, side: Side, traced: &Traced) {
        let Some(traces) = &self.traces else { return };
        let first = traces.borrow().first().map_or(traced.at, |noted| noted.first);
        let at = traced.at.saturating_duration_since(first);
        traces.borrow_mut().push(Noted { side, at, event: traced.event, first });
    }

    fn wall_clock(&self, now: Instant) -> u64 {
        let booted = self.booted.get().unwrap_or(now);
        self.booted.set(Some(booted));
        WALL_CLOCK + now.saturating_duration_since(booted).as_secs()
    }
}

/// Ours, with a driver that checks what goes over the wire.
pub(crate) struct Ours {
    endpoint: OverIbb,
    machine: Machine,
    /// Whom to connect to, on the client's side.
    bridge: Option<Bridge>,
    /// Who carries its files, if anybody.
    porter: Option<Porter>,
    /// Who calls proxies for it, if anybody.
    caller: Option<Caller>,
    most_buffered: usize,
    online: BTreeSet<AccountId>,
    /// Blocks that were not answered yet: by which account, and how large.
    unanswered: BTreeMap<Token, (AccountId, usize)>,
}

impl Ours {
    pub(crate) fn new(
        config: Config,
        service: Option<Service>,
        bridge: Option<Bridge>,
        machine: Machine,
        entropy: Rng,
    ) -> Self {
        let most_buffered = 2 * config.queue_per_stream + 4096;
        let mut endpoint = OverIbb::new(config, service, Box::new(entropy));
        if machine.traces.is_some() {
            endpoint.start_trace();
        }
        Self {
            endpoint,
            machine,
            bridge,
            porter: None,
            caller: None,
            most_buffered,
            online: BTreeSet::new(),
            unanswered: BTreeMap::new(),
        }
    }

    /// The same, which carries files.
    pub(crate) fn with_porter(mut self, porter: Porter) -> Self {
        self.porter = Some(porter);
        self
    }

    /// The same, which calls proxies.
    pub(crate) fn with_caller(mut self, caller: Caller) -> Self {
        self.caller = Some(caller);
        self
    }

    fn keep_trace(&mut self) {
        let side = if self.bridge.is_some() { Side::Left } else { Side::Right };
        while let Some(traced) = self.endpoint.poll_trace() {
            self.machine.note(side, &traced);
        }
    }

    fn keep_mementos(&mut self, now: Instant) {
        while let Some(record) = self.endpoint.poll_handshake_record() {
            let outcome = if self.machine.disk_is_full.get() {
                Persisted::No
            } else {
                self.machine.accepted.borrow_mut().push((record.credential, record.minute));
                Persisted::Yes
            };
            self.endpoint.handle_persisted(now, &record, outcome);
        }
    }

    fn write_stanza(&mut self, via: AccountId, stanza: Outgoing) -> Stanza {
        let (id, body) = match stanza {
            Outgoing::Open { iq, sid, block_size } => {
                (id_of(iq), Body::Open { sid: sid.to_string(), block_size })
            }
            Outgoing::Data { iq, sid, seq, data } => {
                self.on_block_sent(via, iq, data.len());
                (id_of(iq), Body::Data { sid: sid.to_string(), seq, data })
            }
            Outgoing::Close { iq, sid } => (id_of(iq), Body::Close { sid: sid.to_string() }),
            Outgoing::Result { id } => (id, Body::Result),
            Outgoing::Refusal { id } => (id, Body::Error),
        };
        Stanza { id, body }
    }

    fn on_block_sent(&mut self, via: AccountId, iq: Token, bytes: usize) {
        assert!(self.online.contains(&via), "a block goes out through account {} that is not online", via.0);
        self.unanswered.insert(iq, (via, bytes));
        let sum: usize = self.unanswered.values().filter(|block| block.0 == via).map(|block| block.1).sum();
        assert!(sum <= MOST_UNANSWERED, "{sum} bytes of account {} are unanswered", via.0);
    }
}

fn id_of(iq: Token) -> String {
    format!("s{}", iq.0)
}

fn iq_of(id: &str) -> Option<Token> {
    id.strip_prefix('s')?.parse().ok().map(Token)
}

impl Program<Body> for Ours {
    fn core(&self) -> &dyn Core {
        &*self.endpoint
    }

    fn core_mut(&mut self) -> &mut dyn Core {
        &mut *self.endpoint
    }

    fn handle_account(&mut self, now: Instant, account: AccountId, change: AccountChange) {
        match &change {
            AccountChange::Online { resumed, .. } => {
                self.online.insert(account);
                if !resumed {
                    self.unanswered.retain(|_, (via, _)| *via != account);
                }
            }
            AccountChange::Suspended | AccountChange::Gone => {
                self.online.remove(&account);
            }
        }
        let seconds = self.machine.wall_clock(now);
        self.endpoint.handle_wall_clock(now, seconds);
        let is_online = matches!(change, AccountChange::Online { .. });
        self.endpoint.handle_account(now, account, change);
        if let Some(porter) = self.porter.as_ref().filter(|_| is_online && self.bridge.is_some()) {
            porter.on_online(now, account, &mut self.endpoint);
        }
        if let Some(caller) = self.caller.as_ref().filter(|_| is_online && self.bridge.is_some()) {
            caller.on_online(now, account, &mut self.endpoint);
        }
    }

    fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &Jid, stanza: Stanza) {
        let Stanza { id, body } = stanza;
        let from = from.try_as_full().expect("programs have full JIDs");
        let incoming = match body {
            Body::Open { sid, block_size } => Incoming::Open { id, sid, block_size },
            Body::Data { sid, seq, data } => Incoming::Data { id, sid, seq, data: data.to_vec() },
            Body::Close { sid } => Incoming::Close { id, sid },
            Body::Result | Body::Error | Body::Undelivered => {
                let Some(iq) = iq_of(&id) else { return };
                self.unanswered.remove(&iq);
                match body {
                    Body::Result => Incoming::Result { iq },
                    Body::Undelivered => Incoming::Undelivered { iq },
                    _ => Incoming::Error { iq },
                }
            }
        };
        self.endpoint.handle_stanza(now, via, from, incoming);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<(AccountId, Jid, Stanza)> {
        self.keep_mementos(now);
        self.keep_trace();
        if let Some(porter) = &mut self.porter {
            porter.carry_out(now, &mut self.endpoint);
        }
        if let Some(caller) = &mut self.caller {
            caller.carry_out(now, &mut self.endpoint);
        }
        let caller = &mut self.caller;
        let take = |transmit| match caller {
            Some(caller) => caller.send(now, transmit),
            None => Some(transmit),
        };
        let Transmit { via, to, stanza } = self.endpoint.poll_transmit_but(now, take)?;
        Some((via, to.into(), self.write_stanza(via, stanza)))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let porter = self.porter.as_ref().and_then(Porter::next_timeout);
        let caller = self.caller.as_ref().and_then(Caller::next_timeout);
        [self.core().poll_timeout(), porter, caller].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.core_mut().handle_timeout(now);
        if let Some(porter) = &mut self.porter {
            porter.handle_timeout(now, &mut self.endpoint);
        }
        if let Some(caller) = &mut self.caller {
            caller.handle_timeout(now, &mut self.endpoint);
        }
    }

    fn poll_doubt(&mut self) -> Option<AccountId> {
        // Of relays there is no server to ask.
        std::iter::from_fn(|| self.endpoint.poll_doubt()).find(|account| !proxy::stands_for_a_relay(*account))
    }

    fn connect(
        &mut self,
        now: Instant,
        _: &[AccountId],
        _: Jid,
        [_, remote]: [Address; 2],
        first: &[u8],
    ) -> Result<StreamId, CloseReason> {
        let bridge = self.bridge.clone().expect("only clients connect");
        self.endpoint.connect_and_write(now, &bridge, remote, first)
    }

    fn half_closes(&self) -> bool {
        true
    }

    fn most_buffered(&self) -> usize {
        self.most_buffered
    }
}
