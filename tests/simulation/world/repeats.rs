//! Repeated connects: a peer that does not know whether it was heard asks again, in another session.
//!
//! The application takes both streams, and goes on with the one by which it hears something: the other is nobody's. It must never hear
//! the same by both.

use hexchat_pt::protocol::{CloseReason, Event, Read, StreamId};

use crate::flow::{Decision, Outcome};
use crate::network::{Letter, Side};

use super::World;

impl<L: Letter> World<L> {
    /// Another stream for a flow that has one.
    pub(super) fn on_second_stream(&mut self, flow: usize, side: Side, stream: StreamId) {
        let now = self.instant();
        let has_let_go = matches!(self.flows[flow].app(side).outcome, Outcome::Ended | Outcome::Released);
        match self.flows[flow].decision {
            _ if has_let_go => return self.core_mut(side).release(now, stream),
            Decision::Accept => self.core_mut(side).accept(now, stream),
            Decision::Refuse => return self.core_mut(side).release(now, stream),
            Decision::Never => {}
        }
        self.spares.insert((side, stream), flow);
        if matches!(self.flows[flow].app(side).outcome, Outcome::Broken(_)) {
            self.go_on_with(flow, side, stream);
        }
    }

    /// Something has happened to a stream beside the one that the application goes on with.
    pub(super) fn on_spare_event(&mut self, side: Side, stream: StreamId, event: &Event) {
        let (now, flow) = (self.instant(), self.spares[&(side, stream)]);
        let read = match event {
            Event::Readable(_) => self.core_mut(side).read(now, stream),
            Event::Closed(_, reason) => Read::Broken(*reason),
            _ => return,
        };
        match read {
            Read::Blocked => {}
            Read::Broken(_) => {
                self.spares.remove(&(side, stream));
                self.core_mut(side).release(now, stream);
            }
            Read::Data(_) | Read::End => {
                self.go_on_with(flow, side, stream);
                let half_closes = self.program(side).half_closes();
                self.flows[flow].check_read(side, &read, half_closes);
                self.read_all(flow, side);
            }
        }
    }

    /// The stream of a flow is over; true when the application goes on with another one, as it has heard nothing by this one.
    pub(super) fn goes_on_without(&mut self, flow: usize, side: Side, reason: CloseReason) -> bool {
        let mut spares = self.spares.iter().filter(|((at, _), of)| (*at, **of) == (side, flow));
        let Some((_, spare)) = spares.next().map(|(key, _)| *key) else { return false };
        let goes_on = reason != CloseReason::Finished && self.flows[flow].has_heard_nothing(side);
        if goes_on {
            self.go_on_with(flow, side, spare);
        }
        goes_on
    }

    /// The application goes on with this stream. The former one becomes a spare, if it is not over.
    fn go_on_with(&mut self, flow: usize, side: Side, stream: StreamId) {
        let now = self.instant();
        let former =
            self.flows[flow].app(side).stream.filter(|former| self.streams.contains_key(&(side, *former)));
        if let Some(former) = former {
            let read = self.core_mut(side).read(now, former);
            assert!(!matches!(read, Read::Data(_)), "flow {flow}: {side:?} hears the same by two streams");
            self.streams.remove(&(side, former));
            self.spares.insert((side, former), flow);
            if matches!(read, Read::Broken(_)) {
                self.spares.remove(&(side, former));
                self.core_mut(side).release(now, former);
            }
        }
        self.spares.remove(&(side, stream));
        self.streams.insert((side, stream), flow);
        self.flows[flow].restart(side, stream);
        if self.flows[flow].decision == Decision::Accept {
            self.on_connected(flow, side);
        }
    }

    /// Nobody waits for the spare streams of these flows any more.
    pub(super) fn release_spares(&mut self, is_over: impl Fn(usize, Side) -> bool) {
        let now = self.instant();
        let over = self.spares.extract_if(.., |(side, _), flow| is_over(*flow, *side));
        for ((side, stream), _) in over.collect::<Vec<_>>() {
            self.core_mut(side).release(now, stream);
        }
    }
}
