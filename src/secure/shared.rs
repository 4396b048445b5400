//! Shared state of an endpoint, which all its sessions work on.

pub(crate) mod introductions;
pub(crate) mod routes;
pub(crate) mod tally;
pub(crate) mod tracer;
pub(crate) mod uploads;
pub(crate) mod wall_clock;

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use xmpp_parsers::jid::BareJid;

use crate::protocol::AccountId;
use crate::secure::accounts::Accounts;
use crate::secure::api::news::News;
use crate::secure::api::stats::Lane;
use crate::secure::api::trace::TraceEvent;
use crate::secure::api::{Config, Outgoing, Transmit};
use crate::secure::budget::ledger::{Budget, Ledger};
use crate::secure::client_tag::Tagger;
use crate::secure::crypto::entropy::{Entropy, random};
use crate::secure::crypto::handshake::Credits;
use crate::secure::delivery::Token;
use crate::secure::path::Path;
use crate::secure::shared::introductions::Introductions;
use crate::secure::shared::routes::{Owner, Routes};
use crate::secure::shared::tally::Tally;
use crate::secure::shared::tracer::Tracer;
use crate::secure::shared::uploads::Uploads;
use crate::secure::shared::wall_clock::WallClock;
use crate::secure::streams::{self, Credit, StreamLimits};

/// News that wait to be told: 64, more than come at one time.
const MOST_NEWS: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) clock: WallClock,
    pub(crate) tagger: Tagger,
    pub(crate) accounts: Accounts,
    pub(crate) routes: Routes,
    /// What our accounts may put at their upload services.
    pub(crate) uploads: Uploads,
    /// Our accounts whose servers have a proxy for byte streams.
    pub(crate) proxied: BTreeSet<AccountId>,
    /// Our accounts by which a bridge, or whoever is there, has not accepted its bridge line, until somebody asks.
    pub(crate) turned_away: BTreeSet<AccountId>,
    /// What bridges have told their client.
    pub(crate) introductions: Introductions,
    /// What each client takes of what is there for all.
    pub(crate) ledger: Ledger<Option<BareJid>>,
    pub(crate) tally: Tally,
    /// What is traced, if somebody wants that.
    pub(crate) tracer: Tracer,
    /// What has come about and nobody was told yet.
    pub(crate) news: VecDeque<News>,
    last_number: u64,
}

impl Shared {
    /// Without accounts and sessions, for a bridge or a client.
    pub(crate) fn new(config: Config, mut entropy: Box<dyn Entropy>, is_bridge: bool) -> Self {
        let tagger = Tagger::new(&mut *entropy);
        let ledger = Ledger::new(config.budget(is_bridge), is_bridge);
        let accounts = Accounts::new(config.sizes);
        Self {
            config,
            entropy,
            clock: WallClock::default(),
            tagger,
            accounts,
            routes: Routes::default(),
            uploads: Uploads::default(),
            proxied: BTreeSet::new(),
            turned_away: BTreeSet::new(),
            introductions: Introductions::default(),
            ledger,
            tally: Tally::default(),
            tracer: Tracer::default(),
            news: VecDeque::new(),
            last_number: 0,
        }
    }

    /// Something has come about. Where nobody wants to know, a few are kept.
    pub(crate) fn tell(&mut self, news: News) {
        if self.news.len() < MOST_NEWS {
            self.news.push_back(news);
        }
    }

    /// A number that was not used before.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(crate) fn random(&mut self) -> u64 {
        u64::from_be_bytes(random(&mut *self.entropy))
    }

    /// Asks the peer for a path of `owner`'s.
    pub(crate) fn request(&mut self, now: Instant, path: &mut Path, owner: Owner) {
        self.routes.add(path.id(), owner);
        let delivery = self.accounts.new_delivery(&mut *self.entropy);
        self.routes.expect(path.id(), delivery);
        path.on_open_sent(now, delivery);
        let (token, credential) = (delivery.token, *path.credential());
        self.send_first(path, Outgoing::Open { path: path.id(), token, credential });
    }

    /// The block that goes by a path.
    pub(crate) fn block(&mut self, now: Instant, path: &mut Path, data: Bytes) -> Transmit {
        let delivery = self.accounts.new_delivery(&mut *self.entropy);
        self.routes.expect(path.id(), delivery);
        self.accounts.on_sent(now, path.sending(), delivery, data.len());
        self.trace_budget(now, path.via());
        path.block(now, delivery, data)
    }

    /// Traces what an account has used of its budget.
    fn trace_budget(&mut self, now: Instant, account: AccountId) {
        let Some(trace) = self.tracer.on() else { return };
        if let Some(percent) = self.accounts.poll_tenth(account) {
            trace.note(now, TraceEvent::BudgetUsed { account, lane: Lane::Chat, percent });
        }
    }

    /// Sends a block before all packets.
    pub(crate) fn send_block(&mut self, now: Instant, path: &mut Path, data: Bytes) {
        let transmit = self.block(now, path, data);
        self.accounts.send_first(transmit);
    }

    /// A path is no more, and the peer is told. What that costs is the client's.
    pub(crate) fn close(&mut self, now: Instant, path: &Path) {
        let bytes = path.sizes().close + path.peer().as_str().len();
        self.accounts.charge(now, path.via(), path.client(), bytes);
        let token = Token::generate(&mut *self.entropy);
        self.send_first(path, Outgoing::Close { path: path.id(), token });
        self.remove(now, path);
    }

    /// A path is no more, and the peer is not told.
    pub(crate) fn forget(&mut self, now: Instant, path: &Path) {
        self.send_first(path, Outgoing::Forget { path: path.id() });
        self.remove(now, path);
    }

    fn remove(&mut self, now: Instant, path: &Path) {
        self.tally.note_path(&path.stats());
        self.routes.remove(path);
        self.accounts.on_path_gone(now, path.sending(), path.outstanding().collect());
    }

    fn send_first(&mut self, path: &Path, action: Outgoing) {
        self.accounts.send_first(Transmit { via: path.via(), to: path.peer().clone(), action });
    }
}

impl From<Credits> for Credit {
    fn from(credits: Credits) -> Self {
        Self { stream: credits.stream.into(), session: credits.session.into() }
    }
}

impl Config {
    /// How much a peer may send at first before something of it was read.
    pub(crate) fn credits(&self) -> Credits {
        let first = |limit: usize, first: u64| u32::try_from(first.min(limit as u64)).unwrap_or(u32::MAX);
        Credits {
            stream: first(self.queue_per_stream, Credit::FIRST.stream),
            session: first(self.queue_per_session, Credit::FIRST.session),
        }
    }

    pub(crate) fn stream_limits(&self) -> StreamLimits {
        StreamLimits {
            send_buffer: self.queue_per_stream,
            first_credit: self.credits().into(),
            largest_credit: Credit {
                stream: self.queue_per_stream as u64,
                session: self.queue_per_session as u64,
            },
            session_queue: self.queue_per_session,
            max_streams: self.max_streams_per_session,
            // What comes in pieces of 4 KiB, as it does behind a gap, is no violation as long as it is within the credit.
            max_fragments: self.reorder_window.max(self.queue_per_session / 4096),
        }
    }

    /// Clients that share it may together be promised half as much again, each its part of it.
    fn budget(&self, is_shared: bool) -> Budget {
        let half = self.queue_total / 2;
        let promised = if is_shared { half / 2 } else { half };
        Budget { written: half, received: half, promised, streams: self.max_streams }
    }

    /// With room for so many bytes it is worth while to write again.
    pub(crate) fn relief(&self) -> usize {
        streams::FLOOR.min(self.queue_total / 16)
    }
}
