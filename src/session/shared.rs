//! Shared state of an endpoint, which all its sessions work on, and what the paths of any of them do with it.

use std::time::Instant;

use bytes::Bytes;
use xmpp_parsers::jid::BareJid;

use super::accounts::Accounts;
use super::client_tag::Tagger;
use super::entropy::{Entropy, random};
use super::introductions::Introductions;
use super::iq::IqId;
use super::ledger::Ledger;
use super::path::Path;
use super::routes::{Owner, Routes};
use super::wall_clock::WallClock;
use super::{BLOCK_SIZE, Config, Outgoing, Transmit};

/// What a `close` of a bytestream weighs beside its recipient, in bytes.
const CLOSE: usize = 160;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) entropy: Box<dyn Entropy>,
    pub(super) clock: WallClock,
    pub(super) tagger: Tagger,
    pub(super) accounts: Accounts,
    pub(super) routes: Routes,
    /// What bridges have told their client.
    pub(super) introductions: Introductions,
    /// What each client takes of what is there for all.
    pub(super) ledger: Ledger<Option<BareJid>>,
    last_number: u64,
}

impl Shared {
    /// Without accounts and sessions, for a bridge or a client.
    pub(super) fn new(config: Config, mut entropy: Box<dyn Entropy>, is_bridge: bool) -> Self {
        let tagger = Tagger::new(&mut *entropy);
        let ledger = Ledger::new(config.budget(), is_bridge);
        Self {
            config,
            entropy,
            clock: WallClock::default(),
            tagger,
            accounts: Accounts::default(),
            routes: Routes::default(),
            introductions: Introductions::default(),
            ledger,
            last_number: 0,
        }
    }

    /// A number that was not used before.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn random(&mut self) -> u64 {
        u64::from_be_bytes(random(&mut *self.entropy))
    }

    /// Asks the peer for the bytestream of a path of `owner`'s.
    pub(super) fn request(&mut self, now: Instant, path: &mut Path, owner: Owner) {
        self.routes.add(path, owner);
        let iq = self.accounts.new_iq(&mut *self.entropy);
        self.routes.expect(path.id(), iq);
        path.on_open_sent(now, iq);
        let stanza = Outgoing::Open { iq: iq.id, sid: path.sid().to_string(), block_size: BLOCK_SIZE };
        self.accounts.send_first(Transmit { via: path.via(), to: path.peer().clone(), stanza });
    }

    /// The block that goes by a path.
    pub(super) fn block(&mut self, now: Instant, path: &mut Path, data: Bytes) -> Transmit {
        let iq = self.accounts.new_iq(&mut *self.entropy);
        self.routes.expect(path.id(), iq);
        self.accounts.on_sent(now, path.sending(), iq, data.len());
        path.block(now, iq, data)
    }

    /// Sends a block before all packets.
    pub(super) fn send_block(&mut self, now: Instant, path: &mut Path, data: Bytes) {
        let transmit = self.block(now, path, data);
        self.accounts.send_first(transmit);
    }

    /// Tells the peer that a bytestream is closed. What that costs is the client's.
    pub(super) fn say_close(&mut self, now: Instant, path: &Path) {
        let bytes = CLOSE + path.peer().as_str().len();
        self.accounts.charge(now, path.via(), path.client(), bytes);
        let stanza = Outgoing::Close { iq: IqId::generate(&mut *self.entropy), sid: path.sid().to_string() };
        self.accounts.send_first(Transmit { via: path.via(), to: path.peer().clone(), stanza });
    }

    /// A path is no more.
    pub(super) fn forget(&mut self, now: Instant, path: &Path) {
        self.routes.remove(path);
        self.accounts.on_path_gone(now, path.sending(), path.outstanding().collect());
    }
}
