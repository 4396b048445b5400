//! Blocks: what comes by a session's paths, and what becomes of what went.

use std::time::Instant;

use crate::protocol::{Address, CloseReason, StreamId};
use crate::secure::accounts::answer_shares::Answer;
use crate::secure::crypto::handshake::{Initiator, Status};
use crate::secure::ids::PathId;
use crate::secure::iq::Iq;
use crate::secure::path::{Opening, PathState};
use crate::secure::session::established::{BadPacket, ClosedByPeer, Established};
use crate::secure::session::{Role, Session, SessionEvent};
use crate::secure::shared::Shared;
use crate::secure::streams;
use crate::secure::wire::frame::SessionClose;

/// A block that came.
#[derive(Debug)]
pub(crate) struct Block {
    /// The id of its IQ, for the answer.
    pub(crate) id: String,
    pub(crate) seq: u16,
    pub(crate) data: Vec<u8>,
}

impl Session {
    /// A block came by one of the paths.
    pub(crate) fn handle_block(&mut self, now: Instant, id: PathId, block: Block, shared: &mut Shared) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        let (via, client) = (path.via(), path.client());
        if shared.accounts.is_full_of_answers(via, client) {
            self.fail_path(now, id, shared);
            return self.settle(now, shared);
        }
        let (is_next, bytes) = (path.on_block(now, block.seq), block.data.len());
        if !is_next || !self.take_block(now, id, block.data, shared) {
            if let Some(path) = self.paths.get(&id) {
                shared.accounts.refuse(via, path.peer().clone(), block.id);
            }
            self.fail_path(now, id, shared);
        } else if let Some(path) = self.paths.get(&id) {
            shared.accounts.answer_block(now, Answer::to_block_of(path, block.id), bytes);
        }
        self.settle(now, shared);
    }

    /// Takes what is in a block; false when it makes no sense.
    fn take_block(&mut self, now: Instant, id: PathId, data: Vec<u8>, shared: &mut Shared) -> bool {
        let Some(path) = self.paths.get_mut(&id) else { return false };
        match path.state() {
            PathState::Open => self.take_packet(now, data, shared),
            PathState::Greeting(_) => {
                let PathState::Greeting(initiator) = path.set_state(PathState::Listening) else {
                    return false;
                };
                self.on_welcome(now, id, *initiator, &data, shared);
                true
            }
            PathState::Opening(_) | PathState::Remembering(_) | PathState::Listening => false,
        }
    }

    /// Takes a packet; false when the path is to blame for what is wrong with it.
    fn take_packet(&mut self, now: Instant, block: Vec<u8>, shared: &mut Shared) -> bool {
        let Some(established) = self.state.established_mut() else { return false };
        if matches!(self.role, Role::Bridge { .. }) {
            established.streams.set_room_for_streams(shared.ledger.room_for_streams(&self.client));
        }
        let outcome = established.handle_packet(now, block);
        if outcome.is_ok() && self.state.on_packet() {
            self.events.extend(self.client.clone().map(SessionEvent::Confirmed));
        }
        match outcome {
            Ok(None) => {}
            Ok(Some(closed)) => self.events.push_back(SessionEvent::EndedByPeer(reason_of(closed))),
            Err(BadPacket::Tampered) => return false,
            Err(fault @ (BadPacket::MadeUp | BadPacket::Violation)) => self.on_violation(fault),
        }
        true
    }

    /// The peer has broken the protocol.
    fn on_violation(&mut self, fault: BadPacket) {
        if fault == BadPacket::MadeUp {
            self.events.extend(self.client.clone().map(SessionEvent::MadeUp));
        }
        self.end(CloseReason::ProtocolViolation, Some(SessionClose::ProtocolViolation));
    }

    /// The peer has closed the bytestream of a path.
    pub(crate) fn handle_close(&mut self, now: Instant, id: PathId, iq: String, shared: &mut Shared) {
        let Some(path) = self.paths.get(&id) else { return };
        let (via, client, answer) = (path.via(), path.client(), Answer::to_peer_of(path, iq));
        self.drop_path(now, id, shared);
        if !shared.accounts.is_full_of_answers(via, client) {
            shared.accounts.answer(now, answer);
        }
        self.settle(now, shared);
    }

    /// An IQ that went by a path was answered by the peer.
    pub(crate) fn handle_result(&mut self, now: Instant, id: PathId, iq: Iq, shared: &mut Shared) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        let was_usable = path.is_usable();
        path.on_result(now, iq);
        match path.take_opening() {
            Some(Some(opening)) => self.greet(now, id, opening, shared),
            Some(None) => self.on_path_open(now, id, shared),
            None if was_usable => self.fit_buffers(),
            None => self.note_reachability(),
        }
        self.settle(now, shared);
    }

    /// An IQ that went by a path was refused: the bytestream is over.
    pub(crate) fn handle_error(&mut self, now: Instant, id: PathId, shared: &mut Shared) {
        self.drop_path(now, id, shared);
        self.settle(now, shared);
    }

    /// An IQ that went by a path found nobody.
    pub(crate) fn handle_undelivered(&mut self, now: Instant, id: PathId, shared: &mut Shared) {
        let Some(path) = self.paths.get(&id) else { return };
        let (via, peer) = (path.via(), path.peer().clone());
        self.drop_path(now, id, shared);
        if let Some(caller) = self.caller_mut() {
            caller.dialing.on_absent((via, &peer));
        }
        if self.is_calling() && self.caller().is_some_and(|caller| caller.is_absent(&shared.accounts)) {
            return self.end(CloseReason::PeerUnavailable, None);
        }
        self.settle(now, shared);
    }

    // The handshake of a client.

    /// The bridge has let us in: the handshake follows.
    fn greet(&mut self, now: Instant, id: PathId, opening: Opening, shared: &mut Shared) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        path.set_state(PathState::Greeting(opening.initiator));
        path.on_opened();
        shared.send_block(now, path, opening.message.into());
    }

    /// The bridge's half of the handshake has come.
    fn on_welcome(
        &mut self,
        now: Instant,
        id: PathId,
        initiator: Initiator,
        message: &[u8],
        shared: &mut Shared,
    ) {
        let Ok((welcome, keys)) = initiator.finish(message) else { return self.fail_path(now, id, shared) };
        let known = self.established().map(|established| established.id);
        match welcome.status {
            Status::Resumed if known == Some(welcome.session) => self.on_path_open(now, id, shared),
            Status::Resumed => self.fail_path(now, id, shared),
            Status::New => {
                let made = (welcome.session, keys);
                let established = Established::new(now, streams::Role::Client, made, welcome.credits, shared);
                if known.is_some() {
                    return self.events.push_back(SessionEvent::Replaced(id, Box::new(established)));
                }
                for (stream, target) in self.state.on_welcome(established) {
                    self.open_waiting(stream, target);
                }
                self.announce_ours(shared);
                self.on_path_open(now, id, shared);
            }
        }
    }

    /// The handshake is done: a stream that waited for it is opened.
    fn open_waiting(&mut self, stream: StreamId, target: Address) {
        let Some(established) = self.state.established_mut() else { return };
        self.events.push_back(match established.streams.open(target) {
            Ok(wire) => SessionEvent::Opened(stream, wire),
            Err(reason) => SessionEvent::NotOpened(stream, reason),
        });
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
