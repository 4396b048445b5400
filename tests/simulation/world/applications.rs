//! Applications: what they write and read, and when they let go of a stream.

use hexchat_pt::protocol::{AccountId, Read, StreamId};

use crate::flow::{Decision, End, Flow, Outcome};
use crate::network::{Letter, Side};

use super::{Task, World};

impl<L: Letter> World<L> {
    pub(super) fn start(&mut self, flow: usize) {
        let now = self.instant();
        let Flow { opener, to, local, remote, .. } = &self.flows[flow];
        let (opener, to, local, remote) = (*opener, to.clone(), local.clone(), remote.clone());
        let accounts: Vec<AccountId> = self.network.seats(opener).iter().map(|seat| seat.account).collect();
        self.note(format_args!("{opener:?} connects flow {flow}"));
        let first = self.flows[flow].first();
        let result = self.program_mut(opener).connect(now, &accounts, to, [local, remote], &first);
        let app = self.flows[flow].app_mut(opener);
        match result {
            Ok(stream) => {
                app.stream = Some(stream);
                app.written = first.len() as u64;
                self.streams.insert((opener, stream), flow);
            }
            Err(reason) => app.outcome = Outcome::Broken(reason),
        }
    }

    /// The stream of an application that has not let go of it.
    pub(super) fn held(&self, flow: usize, side: Side) -> Option<StreamId> {
        let app = self.flows[flow].app(side);
        app.stream.filter(|_| app.outcome == Outcome::Undecided)
    }

    pub(super) fn decide(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        let Some(stream) = self.held(flow, side) else { return };
        match self.flows[flow].decision {
            Decision::Accept => {
                self.core_mut(side).accept(now, stream);
                self.on_connected(flow, side);
            }
            Decision::Refuse => {
                self.core_mut(side).release(now, stream);
                self.let_go(flow, side, Outcome::Released);
            }
            Decision::Never => {}
        }
    }

    pub(super) fn write(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        let Some(stream) = self.held(flow, side).filter(|_| self.flows[flow].app(side).connected) else {
            return;
        };
        let piece = self.flows[flow].next_piece(side);
        if !piece.is_empty() && !self.flows[flow].app(side).finished {
            let Ok(taken) = self.core_mut(side).write(now, stream, &piece) else {
                return self.end_if_nobody_listens(flow, side);
            };
            let app = self.flows[flow].app_mut(side);
            app.written += taken as u64;
            let again = self.now + app.script.pace;
            if taken == piece.len() {
                self.schedule(again, Task::Write(flow, side));
            }
        }
        self.finish_if_done(flow, side);
    }

    /// The peer has said all that it had to say, and will not read what is still to be said.
    pub(super) fn end_if_nobody_listens(&mut self, flow: usize, side: Side) {
        if self.flows[flow].app(side).saw_end {
            self.release_stream(flow, side);
            self.let_go(flow, side, Outcome::Ended);
        }
    }

    pub(super) fn finish_if_done(&mut self, flow: usize, side: Side) {
        let Some(stream) = self.held(flow, side) else { return };
        let (app, peer) = (self.flows[flow].app(side), self.flows[flow].app(side.other()));
        let written = app.written == app.script.total;
        let done = match app.script.end {
            _ if app.saw_end => written,
            End::Never => false,
            End::Written => written,
            End::AllDone => written && app.read == peer.script.total,
        };
        if done && app.connected && !app.finished {
            self.note(format_args!("{side:?} finishes flow {flow}"));
            self.flows[flow].app_mut(side).finished = true;
            let now = self.instant();
            self.core_mut(side).finish(now, stream);
            if self.flows[flow].app(side).saw_end {
                self.release_stream(flow, side);
                self.let_go(flow, side, Outcome::Ended);
            }
        }
    }

    pub(super) fn read_all(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        if !self.flows[flow].app(side).is_reading(self.now) {
            return;
        }
        while let Some(stream) = self.held(flow, side) {
            let read = self.core_mut(side).read(now, stream);
            if let Read::Broken(reason) = read
                && self.goes_on_without(flow, side, reason)
            {
                return;
            }
            let half_closes = self.program(side).half_closes();
            self.flows[flow].check_read(side, &read, half_closes);
            let app = self.flows[flow].app(side);
            let saw_end = app.saw_end;
            if app.script.reads_first > 0 && app.read >= app.script.reads_first && app.written == 0 {
                self.schedule(self.now, Task::Write(flow, side));
            }
            if read == Read::Blocked || saw_end {
                break;
            }
        }
        let app = self.flows[flow].app(side);
        match app.outcome {
            Outcome::Undecided if app.closed.is_some() => self.end_if_nobody_listens(flow, side),
            Outcome::Undecided => self.finish_if_done(flow, side),
            Outcome::Ended | Outcome::Broken(_) => self.release_stream(flow, side),
            Outcome::Released => {}
        }
    }

    pub(super) fn release(&mut self, flow: usize, side: Side, outcome: Outcome) {
        if self.held(flow, side).is_some() {
            self.release_stream(flow, side);
            self.let_go(flow, side, outcome);
            self.release_spares(|of, at| (of, at) == (flow, side));
        }
    }

    pub(super) fn release_stream(&mut self, flow: usize, side: Side) {
        let now = self.instant();
        if let Some(stream) = self.flows[flow].app(side).stream
            && self.streams.remove(&(side, stream)).is_some()
        {
            self.note(format_args!("{side:?} lets go of flow {flow}"));
            self.flows[flow].app_mut(side).finished = true;
            self.core_mut(side).release(now, stream);
        }
    }

    pub(super) fn let_go(&mut self, flow: usize, side: Side, outcome: Outcome) {
        let app = self.flows[flow].app_mut(side);
        app.outcome = outcome;
        if let Some(stream) = app.stream {
            self.streams.remove(&(side, stream));
        }
    }

    /// The applications that wait for a peer that is no more are stopped.
    pub(crate) fn hang_up_orphans(&mut self) {
        for flow in 0..self.flows.len() {
            if self.flows[flow].is_orphaned() {
                Side::BOTH.iter().for_each(|&side| self.release(flow, side, Outcome::Released));
            }
        }
        self.release_spares(|_, _| true);
        for (side, stream) in std::mem::take(&mut self.ghosts) {
            let now = self.instant();
            self.core_mut(side).release(now, stream);
        }
        self.settle();
    }
}
