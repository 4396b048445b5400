//! Dialling: a client opens the paths that its session wants.

use std::collections::BTreeSet;
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::handshake::{Hello, Initiator, Resumption};
use crate::secure::ids::PathId;
use crate::secure::path::{Contact, Path, PathState};
use crate::secure::session::early::Early;
use crate::secure::session::pairs::{Attempt, Candidates, Pair};
use crate::secure::session::{ClientSide, Role, Session};
use crate::secure::shared::Shared;
use crate::secure::shared::routes::Owner;
use crate::secure::tuning::{FEW_PATHS, MAX_PATHS};

/// A handshake that has begun, and our half of it.
type Handshake = (Initiator, Vec<u8>);

impl Session {
    /// Opens the paths that a client's session wants and does not have.
    pub(super) fn dial(&mut self, now: Instant, shared: &mut Shared) {
        let dial_at = loop {
            match self.next_dial(now, shared) {
                Attempt::Wait(until) => break until,
                Attempt::Try(pair) => {
                    if self.open_path(now, pair, shared).is_none() {
                        break None;
                    }
                }
            }
        };
        if let Some(side) = self.client_side_mut() {
            side.dial_at = dial_at;
        }
    }

    /// Whether it tries another pair of accounts.
    fn next_dial(&self, now: Instant, shared: &Shared) -> Attempt {
        let Some(side) = self.client_side() else {
            // A bridge opens no paths.
            return Attempt::Wait(None);
        };
        // Before there is a session, and when it must be asked for, one attempt at a time.
        let is_trying = self.paths.values().any(|path| !path.is_open());
        if is_trying && (self.established().is_none() || self.state.must_ask()) {
            return Attempt::Wait(None);
        }
        let have_all_stalled = !self.paths.values().any(|path| !path.is_open() || path.is_usable());
        // Whether the bridge still knows the session only an attempt can tell, and be it between the same accounts.
        let busy = if have_all_stalled {
            BTreeSet::new()
        } else {
            let of_accounts = self.paths.values().filter(|path| side.uses(path.via()));
            of_accounts.map(|path| (path.via(), path.peer())).collect()
        };
        let ours: Vec<AccountId> = side.usable(&shared.accounts).collect();
        let theirs = side.peers();
        let candidates = Candidates { ours: &ours, theirs: &theirs, busy: &busy, most: self.most_paths() };
        side.pairs.next(now, &candidates)
    }

    /// So many paths are enough. One that has stalled is none.
    fn most_paths(&self) -> usize {
        if self.carries_much {
            return MAX_PATHS;
        }
        let stalled = self.paths.values().filter(|path| path.is_open() && !path.is_usable()).count();
        MAX_PATHS.min(FEW_PATHS + stalled)
    }

    /// Asks for a path between two accounts. What goes by it first does not wait for the answer: that would be a round trip.
    fn open_path(&mut self, now: Instant, (via, peer): Pair, shared: &mut Shared) -> Option<()> {
        let ours = shared.accounts.online(via)?.clone();
        let (credential, handshake) = self.credentials(now, &ours, &peer, shared)?;
        let leg = shared.accounts.leg(via, &peer);
        let contact = Contact { via, peer, leg, client: self.tag, credential };
        let id = PathId(shared.next_number());
        let (state, hello) = match handshake {
            Some((initiator, hello)) => (PathState::Greeting(Box::new(initiator)), Some(hello)),
            None => (PathState::Opening, None),
        };
        let mut path = Path::new(now, id, contact, state, shared.config.sizes);
        shared.request(now, &mut path, Owner::Session(self.key));
        path.allow_blocks();
        if let Some(hello) = hello {
            shared.tally.begun += 1;
            shared.send_block(now, &mut path, hello.into());
        }
        self.trace_asked(now, &path, shared);
        self.paths.insert(id, path);
        Some(())
    }

    /// The id that proves that we may ask, and for a first contact the handshake and our half of it.
    fn credentials(
        &mut self,
        now: Instant,
        ours: &FullJid,
        peer: &FullJid,
        shared: &mut Shared,
    ) -> Option<(Credential, Option<Handshake>)> {
        let must_ask = self.state.must_ask();
        let early = self.state.early_mut().map(Early::write).unwrap_or_default();
        let Role::Client(side) = &mut self.role else {
            // A bridge opens no paths.
            return None;
        };
        match self.state.established() {
            Some(established) if !must_ask => {
                Some((established.path_key.credential(side.next_path_number(), ours, peer), None))
            }
            established => {
                let resume = established.map(|established| Resumption {
                    session: established.id,
                    key: established.resume_key.clone(),
                });
                let hello =
                    Hello { credits: shared.config.credits(), resume, lanes: shared.config.lanes, early };
                Some(first_contact(now, side, (ours, peer), &hello, shared))
            }
        }
    }
}

/// A new handshake, in which the bridge hears this.
fn first_contact(
    now: Instant,
    side: &ClientSide,
    (ours, peer): (&FullJid, &FullJid),
    hello: &Hello,
    shared: &mut Shared,
) -> (Credential, Option<Handshake>) {
    let nonce = shared.random();
    let credential = side.keys.first_contact(nonce as u32, shared.clock.minute(now), ours, peer);
    let handshake = Initiator::start(&side.line, &credential, ours, peer, hello, &mut *shared.entropy);
    (credential, Some(handshake))
}
