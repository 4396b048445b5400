//! Programs of the two sides: what they are given, and what they say.

use hexchat_pt::protocol::{CloseReason, Event, Read, StreamId};
use xmpp_parsers::jid::Jid;

use crate::flow::Flow;
use crate::network::{Delivery, Letter, Seat, Side, Stanza};

use super::{Task, World};

impl<L: Letter> World<L> {
    /// Lets both programs say everything that they have to say, and looks at what they keep.
    pub(super) fn settle(&mut self) {
        for side in Side::BOTH {
            loop {
                self.send_all(side);
                let Some(event) = self.core_mut(side).poll_event() else { break };
                self.on_event(side, event);
            }
            self.ask_in_doubt(side);
            let program = self.program(side);
            let bound = program.core().stream_count() * program.most_buffered();
            assert!(program.core().buffered() <= bound, "{side:?} keeps {} bytes", program.core().buffered());
        }
    }

    pub(super) fn send_all(&mut self, side: Side) {
        let now = self.instant();
        while let Some((via, to, stanza)) = self.program_mut(side).poll_transmit(now) {
            if self.killed.contains(&side) {
                continue;
            }
            self.stanzas += 1;
            self.note(format_args!("{side:?}/{} sends {} {}", via.0, stanza.id, stanza.body));
            self.network.send(self.now, Seat { side, account: via }, to, stanza);
        }
    }

    pub(super) fn deliver(&mut self, seat: Seat, delivery: Delivery<L>) {
        if self.killed.contains(&seat.side) {
            return;
        }
        let now = self.instant();
        match delivery {
            Delivery::Stanza { from, stanza } => self.hand_in(seat, &from, stanza),
            Delivery::ServerAck { id } => self.program_mut(seat.side).handle_server_ack(now, &id),
        }
    }

    /// Gives a stanza to a program, whoever sent it.
    pub(crate) fn hand_in(&mut self, seat: Seat, from: &Jid, stanza: Stanza<L>) {
        self.note(format_args!("{:?}/{} gets {} {}", seat.side, seat.account.0, stanza.id, stanza.body));
        let now = self.instant();
        self.program_mut(seat.side).handle_stanza(now, seat.account, from, stanza);
        self.settle();
    }

    pub(super) fn on_event(&mut self, side: Side, event: Event) {
        self.note(format_args!("{side:?} {event:?}"));
        if let Event::Incoming { stream, target } = event {
            return self.on_incoming(side, stream, Flow::number_of(&target));
        }
        let (Event::Connected(stream)
        | Event::Readable(stream)
        | Event::Writable(stream)
        | Event::Closed(stream, _)) = event
        else {
            return;
        };
        if self.ghosts.contains(&(side, stream)) {
            return self.on_ghost_event(side, stream, &event);
        }
        if self.spares.contains_key(&(side, stream)) {
            return self.on_spare_event(side, stream, &event);
        }
        let Some(&flow) = self.streams.get(&(side, stream)) else {
            panic!("{side:?} says something of a stream that nobody has: {event:?}");
        };
        match event {
            Event::Connected(_) => self.on_connected(flow, side),
            Event::Readable(_) => self.read_all(flow, side),
            Event::Writable(_) => self.schedule(self.now, Task::Write(flow, side)),
            Event::Closed(_, reason) => self.on_closed(flow, side, reason),
            Event::Incoming { .. } => {}
        }
    }

    pub(super) fn on_incoming(&mut self, side: Side, stream: StreamId, flow: usize) {
        match self.flows[flow].app(side).stream {
            // Only the secure protocol, which half-closes, asks again in another session.
            Some(_) if self.program(side).half_closes() => return self.on_second_stream(flow, side, stream),
            Some(_) => return self.on_repeated_connect(flow, side, stream),
            None => self.flows[flow].app_mut(side).stream = Some(stream),
        }
        self.streams.insert((side, stream), flow);
        let flow = &self.flows[flow];
        let (number, at) = (flow.number, self.now + flow.decides_after);
        self.schedule(at, Task::Decide(number, side));
    }

    /// Either a copy that comes after the stream has ended, or the peer's second try.
    pub(super) fn on_repeated_connect(&mut self, flow: usize, side: Side, stream: StreamId) {
        let now = self.instant();
        if self.held(flow, side.other()).is_some() {
            self.core_mut(side).release(now, stream);
        } else {
            self.ghosts.insert((side, stream));
            self.core_mut(side).accept(now, stream);
        }
    }

    /// Nobody will ever say anything on such a stream, so only its end is of interest.
    pub(super) fn on_ghost_event(&mut self, side: Side, stream: StreamId, event: &Event) {
        let now = self.instant();
        let ended =
            matches!(event, Event::Readable(_)) && self.core_mut(side).read(now, stream) != Read::Blocked;
        if ended || matches!(event, Event::Closed(..)) {
            self.ghosts.remove(&(side, stream));
            self.core_mut(side).release(now, stream);
        }
    }

    pub(super) fn on_connected(&mut self, flow: usize, side: Side) {
        self.flows[flow].app_mut(side).connected = true;
        self.schedule(self.now, Task::Write(flow, side));
    }

    pub(super) fn on_closed(&mut self, flow: usize, side: Side, reason: CloseReason) {
        if self.goes_on_without(flow, side, reason) {
            return;
        }
        let now = self.now;
        let app = self.flows[flow].app_mut(side);
        assert!(app.closed.is_none(), "{side:?} closes flow {flow} a second time");
        app.closed = Some((now, reason));
        self.read_all(flow, side);
    }
}
