//! Blocks: what comes by a session's paths, and what becomes of what went.

use std::time::Instant;

use crate::protocol::CloseReason;
use crate::secure::accounts::answer_shares::Answer;
use crate::secure::api::Receipt;
use crate::secure::api::news::News;
use crate::secure::api::trace::PathEnd;
use crate::secure::crypto::handshake::{Initiator, Status};
use crate::secure::delivery::Delivery;
use crate::secure::ids::PathId;
use crate::secure::path::{Path, PathState};
use crate::secure::session::established::{Agreed, BadPacket, ClosedByPeer, Established};
use crate::secure::session::{Role, Session, SessionEvent};
use crate::secure::shared::Shared;
use crate::secure::streams;
use crate::secure::wire::frame::{Frame, SessionClose};

impl Session {
    /// A block came by one of the paths.
    pub(crate) fn handle_block(
        &mut self,
        now: Instant,
        id: PathId,
        receipt: Receipt,
        data: Vec<u8>,
        shared: &mut Shared,
    ) {
        let Some(path) = self.paths.get_mut(&id) else {
            // Never: the routes name only paths that are there.
            return;
        };
        if shared.accounts.is_full_of_answers(path.via(), path.client()) {
            self.fail_path(now, id, PathEnd::Crowded, shared);
            return self.apply_changes(now, shared);
        }
        let bytes = data.len();
        path.on_block(now, bytes);
        if !self.take_block(now, id, data, shared) {
            self.refuse_block(now, id, receipt, shared);
        } else if let Some(path) = self.paths.get(&id) {
            shared.accounts.answer_block(now, Answer::to_block_of(path, receipt), bytes);
        }
        self.apply_changes(now, shared);
    }

    /// A block came by one of the paths, and another one is missing, or it came twice.
    pub(crate) fn handle_gap(&mut self, now: Instant, id: PathId, receipt: Receipt, shared: &mut Shared) {
        let Some(path) = self.paths.get(&id) else {
            // Never: the routes name only paths that are there.
            return;
        };
        if shared.accounts.is_full_of_answers(path.via(), path.client()) {
            self.fail_path(now, id, PathEnd::Crowded, shared);
        } else {
            self.refuse_block(now, id, receipt, shared);
        }
        self.apply_changes(now, shared);
    }

    /// A block is not taken, and its path is over.
    fn refuse_block(&mut self, now: Instant, id: PathId, receipt: Receipt, shared: &mut Shared) {
        if let Some(path) = self.paths.get(&id) {
            shared.accounts.refuse(path.via(), path.peer().clone(), receipt);
        }
        self.fail_path(now, id, PathEnd::Damaged, shared);
    }

    /// Takes what is in a block; false when it makes no sense.
    fn take_block(&mut self, now: Instant, id: PathId, data: Vec<u8>, shared: &mut Shared) -> bool {
        let Some(path) = self.paths.get_mut(&id) else {
            // Never: a block has just come by it.
            return false;
        };
        match path.state() {
            PathState::Open => self.take_packet(now, data, shared),
            PathState::Greeting(_) => {
                let PathState::Greeting(initiator) = path.set_state(PathState::Listening) else {
                    return false;
                };
                self.on_welcome(now, id, *initiator, &data, shared);
                true
            }
            PathState::Opening | PathState::Keeping { .. } | PathState::Listening => false,
        }
    }

    /// On a bridge: takes what the client said in its half of the handshake.
    pub(crate) fn take_early(&mut self, now: Instant, frames: Vec<Frame>, shared: &mut Shared) {
        let Some(established) = self.state.established_mut() else {
            // Never: a bridge has a session once it has answered.
            return;
        };
        established.streams.set_room_for_streams(shared.ledger.room_for_streams(&self.client));
        let mut frames = frames.into_iter();
        if frames.try_for_each(|frame| established.streams.handle_frame(frame)).is_err() {
            self.on_violation(BadPacket::Violation);
        }
        self.apply_changes(now, shared);
    }

    /// Takes a packet; false when the path is to blame for what is wrong with it.
    fn take_packet(&mut self, now: Instant, block: Vec<u8>, shared: &mut Shared) -> bool {
        let Some(established) = self.state.established_mut() else {
            // No path is open before the handshake is done.
            return false;
        };
        if matches!(self.role, Role::Bridge { .. }) {
            established.streams.set_room_for_streams(shared.ledger.room_for_streams(&self.client));
        }
        let outcome = established.handle_packet(now, block);
        if outcome.is_ok() && self.state.on_confirmed() {
            self.trace_confirmed(now, shared);
            self.events.extend(self.client.clone().map(SessionEvent::Confirmed));
        }
        match outcome {
            Ok(None) => {}
            Ok(Some(closed)) => self.end_with(SessionEvent::EndedByPeer(reason_of(closed))),
            Err(BadPacket::Tampered) => return false,
            Err(fault @ (BadPacket::OptimisticAck | BadPacket::Violation)) => self.on_violation(fault),
        }
        true
    }

    /// The peer has broken the protocol.
    pub(super) fn on_violation(&mut self, fault: BadPacket) {
        if fault == BadPacket::OptimisticAck {
            self.events.extend(self.client.clone().map(SessionEvent::OptimisticAck));
        }
        self.end(CloseReason::ProtocolViolation, Some(SessionClose::ProtocolViolation));
    }

    /// The peer has closed a path.
    pub(crate) fn handle_closed(&mut self, now: Instant, id: PathId, receipt: Receipt, shared: &mut Shared) {
        let Some(path) = self.paths.get(&id) else {
            // Never: the routes name only paths that are there.
            return;
        };
        let (via, client, answer) = (path.via(), path.client(), Answer::to_peer_of(path, receipt));
        self.drop_path(now, id, PathEnd::Closed, shared);
        if !shared.accounts.is_full_of_answers(via, client) {
            shared.accounts.answer(now, answer);
        }
        self.apply_changes(now, shared);
    }

    /// The peer has taken something that went by a path.
    pub(crate) fn handle_taken(&mut self, now: Instant, id: PathId, delivery: Delivery, shared: &mut Shared) {
        let Some(path) = self.paths.get_mut(&id) else {
            // Never: the routes name only paths that are there.
            return;
        };
        let was_usable = path.is_usable();
        let had_stalled = path.is_open() && !was_usable && !path.is_suspended();
        path.on_taken(now, delivery);
        if path.is_first_contact() && path.largest_taken() == 0 {
            shared.tell(News::BridgeFound(path.via()));
        }
        shared.accounts.on_path_taken(now, path, delivery);
        self.trace_answered(now, id, had_stalled, shared);
        if self.paths.get(&id).is_some_and(Path::is_opening) {
            self.on_path_open(now, id, shared);
        } else if was_usable {
            self.fit_buffers();
        } else {
            self.note_reachability();
        }
        self.apply_changes(now, shared);
    }

    /// Something that went by a path was refused, as is whatever comes behind a block that was lost: the path is over.
    pub(crate) fn handle_refused(&mut self, now: Instant, id: PathId, shared: &mut Shared) {
        if let Some(path) = self.paths.get(&id) {
            shared.accounts.on_path_trouble(now, path);
            if path.is_first_contact() {
                shared.turned_away.insert(path.via());
                self.client_side_mut().into_iter().for_each(|side| side.pairs.on_refused());
            }
        }
        if let Some(early) = self.state.early_mut() {
            early.on_failed(CloseReason::LineRefused);
        }
        self.drop_path(now, id, PathEnd::Refused, shared);
        self.apply_changes(now, shared);
    }

    /// Something that went by a path found nobody.
    pub(crate) fn handle_undelivered(&mut self, now: Instant, id: PathId, shared: &mut Shared) {
        self.on_absent(now, id, (CloseReason::PeerUnavailable, PathEnd::Undelivered), shared);
    }

    /// Something that went by a path did not even reach the peer's server.
    pub(crate) fn handle_unreachable(&mut self, now: Instant, id: PathId, shared: &mut Shared) {
        if let Some(path) = self.paths.get(&id) {
            shared.accounts.on_path_trouble(now, path);
        }
        self.on_absent(now, id, (CloseReason::PeerServerUnreachable, PathEnd::Unreachable), shared);
    }

    fn on_absent(
        &mut self,
        now: Instant,
        id: PathId,
        (reason, cause): (CloseReason, PathEnd),
        shared: &mut Shared,
    ) {
        let Some(path) = self.paths.get(&id) else {
            // Never: the routes name only paths that are there.
            return;
        };
        let (via, peer) = (path.via(), path.peer().clone());
        if let Some(early) = self.state.early_mut() {
            // Without a session no path is for anything but a handshake.
            early.on_failed(reason);
        }
        self.drop_path(now, id, cause, shared);
        if let Some(side) = self.client_side_mut() {
            side.pairs.on_absent((via, &peer));
        }
        if self.client_side().is_some_and(|side| side.is_absent(&shared.accounts)) {
            if self.is_connecting() {
                return self.end(reason, None);
            }
            self.events.push_back(SessionEvent::Absent(reason));
        }
        self.apply_changes(now, shared);
    }

    // The handshake of a client.

    /// The bridge's half of the handshake has come.
    fn on_welcome(
        &mut self,
        now: Instant,
        id: PathId,
        initiator: Initiator,
        message: &[u8],
        shared: &mut Shared,
    ) {
        let Ok((welcome, keys)) = initiator.finish(message) else {
            return self.fail_path(now, id, PathEnd::Damaged, shared);
        };
        let known = self.established().map(|established| established.id);
        if matches!(welcome.status, Status::New) || known == Some(welcome.session) {
            shared.tally.completed += 1;
            if let Some(path) = self.paths.get(&id) {
                shared.tell(News::SessionUp(path.via()));
            }
        }
        match welcome.status {
            Status::Resumed if known == Some(welcome.session) => {
                self.trace_resumed(now, id, shared);
                self.on_path_open(now, id, shared);
            }
            Status::Resumed => self.fail_path(now, id, PathEnd::Damaged, shared),
            Status::New => {
                let lanes = welcome.lanes.and(shared.config.lanes);
                let agreed = Agreed { id: welcome.session, keys, lanes };
                if known.is_some() {
                    let role = streams::Role::Client;
                    let established = Established::new(now, role, agreed, welcome.credits, shared);
                    return self.end_with(SessionEvent::Replaced(id, Box::new(established)));
                }
                self.state.on_welcome(|early| {
                    let credit = welcome.credits.into();
                    let streams = early.on_welcome(credit, welcome.has_taken_early);
                    Established::with_streams(now, agreed, streams, &mut *shared.entropy)
                });
                self.trace_opened(now, shared);
                self.announce_ours(shared);
                self.on_path_open(now, id, shared);
            }
        }
    }
}

/// What the peer's reason to close a session means for its streams.
fn reason_of(ClosedByPeer(reason): ClosedByPeer) -> CloseReason {
    match reason {
        SessionClose::ProtocolViolation => CloseReason::ProtocolViolation,
        SessionClose::ShuttingDown => CloseReason::SessionLost,
        SessionClose::Limits => CloseReason::TooManyStreams,
        SessionClose::Done => CloseReason::Aborted,
    }
}
