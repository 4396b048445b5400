//! Trace of a session: what is told of it and its paths, to whoever wants a trace.
//!
//! What somebody decides is told there. What changes in many places is looked at where all changes end, and told if it is not what was told
//! last ([`trace_changes`](Session::trace_changes)).

use std::time::Instant;

use crate::protocol::CloseReason;
use crate::secure::api::stats::Lane;
use crate::secure::api::trace::{PathEnd, TraceEvent};
use crate::secure::ids::PathId;
use crate::secure::path::Path;
use crate::secure::session::established::Established;
use crate::secure::session::relay::Relay;
use crate::secure::session::{LastWord, Session};
use crate::secure::shared::Shared;
use crate::secure::wire::relay_frame::RelayEndReason;

impl Session {
    /// How it is called in a trace.
    fn number(&self) -> u64 {
        self.key.0
    }

    /// It has just been agreed on.
    pub(crate) fn trace_opened(&self, now: Instant, shared: &mut Shared) {
        let lanes = self.established().map(|established| (established.files(), established.relay()));
        let (files, relays) =
            lanes.map_or((false, false), |(files, relay)| (files.is_some(), relay.is_some()));
        shared.tracer.note(now, TraceEvent::SessionOpened { session: self.number(), files, relays });
    }

    /// Its client has shown that it holds the keys.
    pub(super) fn trace_confirmed(&self, now: Instant, shared: &mut Shared) {
        shared.tracer.note(now, TraceEvent::SessionConfirmed { session: self.number() });
    }

    /// A new handshake by this path has taken it up again.
    pub(super) fn trace_resumed(&self, now: Instant, path: PathId, shared: &mut Shared) {
        shared.tracer.note(now, TraceEvent::SessionResumed { session: self.number(), path: path.0 });
    }

    /// It is over; one that never was is told by its paths.
    pub(super) fn trace_ended(&self, now: Instant, cause: CloseReason, last: LastWord, shared: &mut Shared) {
        let session = self.number();
        let Some(trace) = shared.tracer.on() else { return };
        for path in self.paths.keys() {
            trace.paths.remove(path);
        }
        let told = trace.sessions.remove(&self.key);
        if let Some(relay) = told.and_then(|told| told.relay) {
            trace.note(now, self.relay_ended(relay));
        }
        if self.established().is_some() {
            trace.note(now, TraceEvent::SessionEnded { session, cause, by_peer: last == LastWord::Theirs });
        }
    }

    /// A client asks for a path.
    pub(super) fn trace_asked(&self, now: Instant, path: &Path, shared: &mut Shared) {
        let (session, handshake) = (self.number(), path.is_first_contact());
        let event = TraceEvent::PathAsked { session, path: path.id().0, account: path.via(), handshake };
        shared.tracer.note(now, event);
    }

    /// Packets may go by this path.
    pub(super) fn trace_path_opened(&self, now: Instant, id: PathId, shared: &mut Shared) {
        let Some((trace, path)) = shared.tracer.on().zip(self.paths.get(&id)) else { return };
        let (session, lane) = (self.number(), path.stats().lane);
        let account = (lane != Lane::Relay).then_some(path.via());
        trace.note(now, TraceEvent::PathOpened { session, path: id.0, account, lane });
    }

    /// This path is over.
    pub(super) fn trace_path_ended(&self, now: Instant, path: &Path, cause: PathEnd, shared: &mut Shared) {
        let Some(trace) = shared.tracer.on() else { return };
        let (session, id) = (self.number(), path.id());
        trace.paths.remove(&id);
        let event = if path.is_open() {
            TraceEvent::PathLost { session, path: id.0, cause }
        } else {
            TraceEvent::PathFailed { session, path: id.0, cause }
        };
        trace.note(now, event);
    }

    /// This path has stalled.
    pub(super) fn trace_stalled(&self, now: Instant, id: PathId, shared: &mut Shared) {
        let Some((trace, path)) = shared.tracer.on().zip(self.paths.get(&id)) else { return };
        let (session, in_flight) = (self.number(), path.in_flight());
        let suspended = path.is_suspended();
        trace.note(now, TraceEvent::PathStalled { session, path: id.0, suspended, in_flight });
    }

    /// Something that went by this path was answered. Before, it may have stalled.
    pub(super) fn trace_answered(&self, now: Instant, id: PathId, had_stalled: bool, shared: &mut Shared) {
        let Some((trace, path)) = shared.tracer.on().zip(self.paths.get(&id)) else { return };
        let session = self.number();
        if had_stalled && path.is_usable() {
            trace.note(now, TraceEvent::PathRecovered { session, path: id.0 });
        }
        if !path.is_open() {
            // It may still be refused.
            return;
        }
        let (window, block) = (path.window().limit(), path.block_size());
        let told = *trace.paths.entry(id).or_default();
        let (is_other_window, is_other_block) = (told.is_news(window), told.block != block);
        if is_other_window {
            let (round_trip, rate) = (path.window().round_trip(), path.window().rate());
            trace.note(
                now,
                TraceEvent::WindowChanged { session, path: id.0, bytes: window, round_trip, rate },
            );
        }
        if is_other_block {
            trace.note(now, TraceEvent::BlockSizeTried { session, path: id.0, bytes: block });
        }
        if let Some(told) = trace.paths.get_mut(&id) {
            told.window = if is_other_window { window } else { told.window };
            told.block = block;
        }
    }

    /// A file is to be filled.
    pub(super) fn trace_file(&self, now: Instant, file: u64, waiting: usize, shared: &mut Shared) {
        shared.tracer.note(now, TraceEvent::FileMade { session: self.number(), file, waiting });
    }

    /// Tells what has changed since it was told last.
    pub(super) fn trace_changes(&self, now: Instant, shared: &mut Shared) {
        let Some((trace, established)) = shared.tracer.on().zip(self.established()) else { return };
        let session = self.number();
        let told = trace.sessions.get(&self.key).copied().unwrap_or_default();
        let mut is = told;
        (is.lane, is.relay) =
            (Some(self.lane(now, established)), established.relay().and_then(Relay::number));
        is.retransmitted = established.totals().retransmitted;
        trace.sessions.insert(self.key, is);
        if let Some(lane) = is.lane.filter(|_| is.lane != told.lane) {
            trace.note(now, TraceEvent::LaneChosen { session, lane });
        }
        if is.relay != told.relay {
            let ended = told.relay.map(|relay| self.relay_ended(relay));
            let begun = is.relay.map(|relay| TraceEvent::RelayBegun { session, relay });
            ended.into_iter().chain(begun).for_each(|event| trace.note(now, event));
        }
        let again = is.retransmitted.saturating_sub(told.retransmitted);
        if again > 0 {
            trace.note(now, TraceEvent::Retransmitted { session, bytes: again });
        }
    }

    /// A relay that was told of is over.
    fn relay_ended(&self, relay: u64) -> TraceEvent {
        let relays = self.established().and_then(Established::relay);
        let cause = relays.map_or(RelayEndReason::Done, |relays| relays.end_of(relay));
        TraceEvent::RelayEnded { session: self.number(), relay, cause }
    }

    /// By which lane bulk goes.
    fn lane(&self, now: Instant, established: &Established) -> Lane {
        if self.fast_relay(now).is_some() {
            Lane::Relay
        } else if established.files().is_some_and(|files| files.choice.said() > 0) {
            Lane::Files
        } else {
            Lane::Chat
        }
    }
}
