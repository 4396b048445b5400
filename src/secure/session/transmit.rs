//! Transmission: packets, each by the path on which it will arrive first.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::protocol::AccountId;
use crate::secure::api::Transmit;
use crate::secure::ids::{PathId, Place};
use crate::secure::path::Path;
use crate::secure::session::scheduler::Choice;
use crate::secure::session::{Session, express, scheduler};
use crate::secure::shared::Shared;
use crate::secure::tuning::{LITTLE_BYTES, RESERVED_LASTS};
use crate::secure::wire::frame::SessionClose;

impl Session {
    /// The next packet, if there is something to send and room for it. Where an account has no room, the session waits for its turn
    /// there.
    pub(crate) fn poll_transmit(&mut self, now: Instant, shared: &mut Shared) -> Option<Transmit> {
        shared.accounts.leave(self.flow(), self.waits_at.drain(..));
        self.held_until = None;
        let relay = self.fast_relay(now);
        let established =
            self.state.established_mut().filter(|established| established.wants_to_send(now))?;
        let is_held = established.holds_bulk(now);
        let waiting = established.streams.unsent_bytes().saturating_add(established.to_measure());
        let waiting = if is_held { waiting.min(LITTLE_BYTES as usize) } else { waiting };
        let accounts = (shared.accounts.senders(), self.tag);
        let is_hurried = self.hurried_at.is_some_and(|at| now < at + RESERVED_LASTS);
        let reserved = express::reserved(open(&self.paths, relay), now);
        self.paths.values_mut().for_each(|path| path.set_sparing(reserved.is_some()));
        let reserved = reserved.filter(|_| is_hurried);
        let is_reserved = |path: &Path| reserved.is_some_and(|reserved| reserved.via == path.via());
        let is_taken = open(&self.paths, relay).any(|(_, path)| is_reserved(path) && path.in_flight() > 0);
        let free = open(&self.paths, relay).filter(|(_, path)| !(is_taken && is_reserved(path)));
        let choice = scheduler::choose(free, accounts, now, waiting, &mut self.waits_at);
        let Choice::Send(id, room) = choice else {
            shared.accounts.wait(self.flow(), &self.waits_at);
            // Where others wait at an account as well nothing overtakes them, and there is only an earlier turn.
            let senders = shared.accounts.senders();
            let is_contested =
                |place: &Place| matches!(place, Place::Account(via) if senders.rivals(*via) > 1);
            return if self.waits_at.iter().any(is_contested) { None } else { self.express(now, shared) };
        };
        self.waits_at.clear();
        let path = self.paths.get_mut(&id)?;
        let room = reserved.filter(|_| is_reserved(path)).map_or(room, |reserved| room.min(reserved.block));
        // A frame cannot be cut in two, and a slot is longer than the smallest block.
        let room =
            room.max(established.room_for_file_frame().min(shared.accounts.senders().largest_on(path)));
        self.held_until = established.holds_back(now, room, path.in_flight());
        if self.held_until.is_some() {
            return None;
        }
        let block = established.next_packet(now, id, room, &mut *shared.entropy)?;
        shared.accounts.carry_answers(now, path.via(), block.len());
        let transmit = shared.block(now, path, block);
        if (established.streams.is_backed_up() || established.to_measure() > 0) && !is_held {
            path.note_backed_up(now);
        }
        Some(transmit)
    }

    /// A packet beyond a window, for what is said of files, and for streams that have little to send while others have much.
    fn express(&mut self, now: Instant, shared: &mut Shared) -> Option<Transmit> {
        let relay = self.fast_relay(now);
        let established = self.state.established_mut().filter(|established| established.wants_express())?;
        let senders = shared.accounts.senders();
        let paths = open(&self.paths, relay).filter(|(_, path)| senders.admits_express(path));
        let id = express::choose(paths, now)?;
        let is_hurried = established.streams.has_little_among_much();
        let block = established.express_packet(now, id, &mut *shared.entropy)?;
        let path = self.paths.get_mut(&id)?;
        let transmit = shared.block(now, path, block);
        path.note_express();
        self.hurried_at = if is_hurried { Some(now) } else { self.hurried_at };
        Some(transmit)
    }

    /// A packet by this very path that wants an answer.
    pub(crate) fn probe(&mut self, now: Instant, id: PathId, shared: &mut Shared) -> Option<Transmit> {
        let path = self.paths.get_mut(&id).filter(|path| path.works())?;
        let block = self.state.established_mut()?.probe(now, id, &mut *shared.entropy)?;
        Some(shared.block(now, path, block))
    }

    /// Tells the peer why the session is over, by the path by which something came last: it is the likeliest to carry something.
    pub(super) fn send_farewell(&mut self, now: Instant, reason: SessionClose, shared: &mut Shared) {
        let works = |path: &&mut Path| path.is_open() && shared.accounts.online(path.via()).is_some();
        let path = self.paths.values_mut().filter(works).max_by_key(|path| path.last_heard());
        let established = self.state.established_mut();
        let block = established.and_then(|established| established.farewell(reason, &mut *shared.entropy));
        if let (Some(path), Some(block)) = (path, block) {
            shared.send_block(now, path, block);
        }
    }
}

/// The paths by which packets may go: the relay alone where there is a fast one. While none works, what goes by one that was only asked for
/// arrives a round trip earlier than if it waited; if that is refused, it goes again.
pub(super) fn open(
    paths: &BTreeMap<PathId, Path>,
    relay: Option<AccountId>,
) -> impl Iterator<Item = (PathId, &Path)> + Clone {
    let is_ready = |path: &Path| path.is_open() || path.is_opening() && !paths.values().any(Path::works);
    let may_carry = move |path: &Path| is_ready(path) && relay.is_none_or(|relay| path.via() == relay);
    paths.iter().filter(move |(_, path)| may_carry(path)).map(|(id, path)| (*id, path))
}
