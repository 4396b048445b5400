//! Program of a simulation: a pure core, and what drives it.

use std::time::Instant;

use hexchat_pt::carrier::ibb::{Incoming, Outgoing, Transmit};
use hexchat_pt::protocol::{AccountChange, AccountId, Core as _, Event};
use hexchat_pt::secure::{Config, Service, Token};
use xmpp_parsers::jid::FullJid;

use crate::over_ibb::{OverIbb, WALL_CLOCK};
use crate::rng::Rng;
use crate::world::Time;

pub(crate) struct Program {
    pub(crate) core: OverIbb,
    start: Instant,
    /// When the world looks after it the next time.
    pub(crate) wakes_at: Option<Time>,
}

impl Program {
    pub(crate) fn new(start: Instant, config: Config, service: Option<Service>, rng: Rng) -> Self {
        let mut core = OverIbb::new(config, service, Box::new(rng));
        core.handle_wall_clock(start, WALL_CLOCK);
        Self { core, start, wakes_at: None }
    }

    pub(crate) fn at(&self, time: Time) -> Instant {
        self.start + time
    }

    pub(crate) fn log_in(&mut self, now: Time, account: AccountId, jid: FullJid) {
        let online = AccountChange::Online { jid, resumed: false };
        let now = self.at(now);
        self.core.handle_account(now, account, online);
    }

    pub(crate) fn poll_transmit(&mut self, now: Time) -> Option<Transmit> {
        let now = self.at(now);
        self.core.persist(now);
        self.core.poll_transmit(now)
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.core.poll_event()
    }

    /// When it wants to be looked after.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.core.poll_timeout().map(|at| at.saturating_duration_since(self.start))
    }
}

/// What the one at the other end makes of a stanza.
pub(crate) fn received(stanza: Outgoing) -> Incoming {
    let id = |iq: Token| format!("s{}", iq.0);
    let answered = |id: &str| Token(id[1..].parse().expect("a number"));
    match stanza {
        Outgoing::Open { iq, sid, block_size } => {
            Incoming::Open { id: id(iq), sid: sid.to_string(), block_size }
        }
        Outgoing::Data { iq, sid, seq, data } => {
            Incoming::Data { id: id(iq), sid: sid.to_string(), seq, data: data.to_vec() }
        }
        Outgoing::Close { iq, sid } => Incoming::Close { id: id(iq), sid: sid.to_string() },
        Outgoing::Result { id } => Incoming::Result { iq: answered(&id) },
        Outgoing::Refusal { id } => Incoming::Error { iq: answered(&id) },
    }
}
