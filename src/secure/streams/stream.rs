//! Stream: both halves of one, and what the peer must still hear about it.

mod control;

use std::time::Duration;

use crate::protocol::{Address, CloseReason, Read};
use crate::secure::streams::receive::{Fault, ReceiveHalf};
use crate::secure::streams::send_buffer::SendBuffer;
use crate::secure::wire::frame::ResetReason;

pub(crate) use control::{Control, Delivery};

#[derive(Debug)]
pub(crate) struct Stream {
    /// Where to, until the bridge knows.
    target: Option<Address>,
    deliveries: [Delivery; Control::ALL.len()],
    reset_reason: ResetReason,
    pub(crate) send: SendBuffer,
    /// Up to where we may send.
    send_credit: u64,
    /// How much may wait to be sent.
    pub(crate) send_capacity: usize,
    pub(crate) receive: ReceiveHalf,
    /// The peer uses up its credit faster than it hears of more.
    pub(crate) needs_wider_window: bool,
    /// The target was reached.
    pub(crate) connected: bool,
    /// Why it ended before both sides were done.
    broken: Option<CloseReason>,
    /// The peer reads nothing more.
    stopped: bool,
    /// The application knows of it.
    pub(crate) known: bool,
    /// It was taken from its client, in favour of others.
    given_up: bool,
    pub(crate) released: bool,
    /// The application waits for something to read.
    pub(crate) read_blocked: bool,
    /// The application waits for room to write.
    pub(crate) write_blocked: bool,
    /// The application knows that it is over.
    pub(crate) told_closed: bool,
    /// In which of the queues for sending it is.
    pub(crate) queued: [bool; 4],
    /// How many more bytes it may send before it is the turn of the next.
    pub(crate) quantum_left: u64,
    /// What the peer owes, and since when, by the peer's clock (`overdue`).
    pub(crate) owed: Option<(Missing, Duration)>,
}

/// What a peer has to send before what it has sent is of any use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The OPEN of a stream of which something else has come.
    Open,
    /// The byte at this offset: later ones have come.
    Byte(u64),
}

impl Stream {
    /// A stream that nobody has spoken of yet.
    pub(crate) fn new(send_capacity: usize, receive_window: u64, send_credit: u64) -> Self {
        Self {
            target: None,
            deliveries: Default::default(),
            reset_reason: ResetReason::Finished,
            send: SendBuffer::default(),
            send_credit,
            send_capacity,
            receive: ReceiveHalf::new(receive_window),
            needs_wider_window: false,
            connected: false,
            broken: None,
            stopped: false,
            known: false,
            given_up: false,
            released: false,
            read_blocked: true,
            write_blocked: false,
            told_closed: false,
            queued: [false; 4],
            quantum_left: 0,
            owed: None,
        }
    }

    /// The bridge is to connect it to `target`.
    pub(crate) fn open(&mut self, target: Address) {
        self.target = Some(target);
        self.known = true;
        self.deliveries[Control::Open as usize] = Delivery::Due;
    }

    pub(crate) fn accept(&mut self) {
        if !self.connected && self.broken.is_none() {
            self.connected = true;
            self.deliveries[Control::Accept as usize] = Delivery::Due;
        }
    }

    /// How many bytes may be written now.
    pub(crate) fn room(&self) -> usize {
        self.send_capacity.saturating_sub(self.send.len())
    }

    /// Why nothing can be written any more.
    pub(crate) fn write_error(&self) -> Option<CloseReason> {
        self.broken.or_else(|| (self.stopped || self.send.is_finished()).then_some(CloseReason::Finished))
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<usize, CloseReason> {
        if let Some(reason) = self.write_error() {
            return Err(reason);
        }
        let taken = data.len().min(self.room());
        self.send.write(&data[..taken]);
        self.write_blocked = taken < data.len();
        Ok(taken)
    }

    pub(crate) fn read(&mut self) -> Read {
        if let Some(data) = self.receive.read() {
            if self.receive.wants_credit() && self.delivery(Control::Credit) != Delivery::Due {
                self.deliveries[Control::Credit as usize] = Delivery::Due;
                self.needs_wider_window = self.receive.has_outgrown_credit();
            }
            return Read::Data(data);
        }
        match self.broken {
            _ if self.receive.is_complete() => Read::End,
            Some(reason) => Read::Broken(reason),
            None => {
                self.read_blocked = true;
                Read::Blocked
            }
        }
    }

    /// Whether reading would tell more than that there is nothing.
    pub(crate) fn is_readable(&self) -> bool {
        self.receive.is_readable() || self.receive.is_complete() || self.broken.is_some()
    }

    /// Why it is over in both directions.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        let done = self.receive.is_complete() && self.send.is_done();
        self.broken.or_else(|| done.then_some(CloseReason::Finished))
    }

    /// Whether nothing has broken it.
    pub(crate) fn is_live(&self) -> bool {
        self.broken.is_none()
    }

    /// Whether it counts in the limit on streams. One that the peer has broken off does as long as the application holds it, which
    /// may take until a slow target has read something: otherwise a peer that resets its streams could have any number of those.
    /// One that was taken from its client does not: somebody else has its place.
    pub(crate) fn is_in_use(&self) -> bool {
        self.is_live() || self.known && !self.released && !self.given_up
    }

    /// Whether the peer has used it and has not opened it.
    pub(crate) fn is_unopened(&self) -> bool {
        !self.known && self.is_live()
    }

    /// What the peer has to send before the rest is of use.
    pub(crate) fn missing(&self) -> Option<Missing> {
        if self.is_unopened() { Some(Missing::Open) } else { self.receive.gap().map(Missing::Byte) }
    }

    /// Whether neither side needs it any more.
    pub(crate) fn is_forgettable(&self) -> bool {
        let arrived = |control: Control| matches!(self.delivery(control), Delivery::Not | Delivery::Arrived);
        let sent = match self.delivery(Control::Reset) {
            Delivery::Not => self.send.is_done() && arrived(Control::Open) && arrived(Control::Accept),
            Delivery::Due | Delivery::Sent => false,
            Delivery::Arrived => true,
        };
        self.released && sent && self.receive.is_done()
    }

    /// Breaks it off in both directions. The peer is told where ours ends.
    pub(crate) fn reset(&mut self, reason: ResetReason) {
        if self.delivery(Control::Reset) == Delivery::Not && self.close_reason().is_none() {
            self.broken = Some(reason.into());
            self.tell_reset(reason);
            self.receive.discard();
        }
    }

    /// Breaks it off in favour of others, whether the application knows of it or not.
    pub(crate) fn give_up(&mut self, reason: ResetReason) {
        self.given_up = true;
        self.reset(reason);
        self.release_unknown();
    }

    /// Breaks it off in both directions for a reason that is the application's to know. The peer may know nothing of it yet.
    pub(crate) fn break_off(&mut self, reason: CloseReason) {
        if self.close_reason().is_none() {
            self.reset(ResetReason::Aborted);
            self.broken = Some(reason);
        }
    }

    fn tell_reset(&mut self, reason: ResetReason) {
        self.send.abandon();
        self.target = None;
        self.reset_reason = reason;
        self.deliveries = Default::default();
        self.deliveries[Control::Reset as usize] = Delivery::Due;
    }

    /// The application has let go of it.
    pub(crate) fn release(&mut self) {
        if self.released {
            return;
        }
        self.released = true;
        let unwritten = self.send.sent() == 0 && self.send.len() == 0 && !self.send.is_finished();
        let unused = !self.connected && unwritten;
        if unused {
            self.reset(ResetReason::Finished);
        }
        self.receive.discard();
        if self.broken.is_none() {
            self.send.finish();
            self.deliveries[Control::Credit as usize] = Delivery::Not;
            if !self.receive.has_end() {
                self.deliveries[Control::Stop as usize] = Delivery::Due;
            }
        }
    }

    /// The session is over, and with it everything that was to be told.
    pub(crate) fn end(&mut self, reason: CloseReason) {
        if self.close_reason().is_none() {
            self.broken = Some(reason);
        }
        self.deliveries = Default::default();
        self.send.abandon();
        self.receive.cut_off();
        self.release_unknown();
    }

    /// When it is over before the application has heard of it, nobody else will let go of it.
    fn release_unknown(&mut self) {
        if !self.known {
            self.released = true;
            self.receive.discard();
        }
    }

    pub(crate) fn on_data(&mut self, offset: u64, data: bytes::Bytes, fin: bool) -> Result<(), Fault> {
        match self.receive.receive(offset, data, fin) {
            Err(Fault::Overflow) => self.reset(ResetReason::Overflow),
            outcome => outcome?,
        }
        self.on_end_known();
        Ok(())
    }

    /// The peer has broken it off. It must know where our direction ends, unless it has got everything.
    pub(crate) fn on_reset(&mut self, reason: ResetReason, sent: u64) -> Result<(), Fault> {
        let over = self.close_reason().is_some();
        self.receive.break_off(sent)?;
        if !over {
            self.broken = Some(reason.into());
            if !self.send.is_done() {
                self.tell_reset(ResetReason::Finished);
            }
        }
        self.on_end_known();
        self.release_unknown();
        Ok(())
    }

    /// Nobody has to be asked for an end, or given credit, when the end is there.
    fn on_end_known(&mut self) {
        if self.receive.has_end() {
            self.deliveries[Control::Stop as usize] = Delivery::Not;
            self.deliveries[Control::Credit as usize] = Delivery::Not;
        }
    }

    /// The peer reads nothing more.
    pub(crate) fn on_stop(&mut self) {
        if self.broken.is_none() && !self.stopped {
            self.stopped = true;
            self.send.stop();
        }
    }

    pub(crate) fn on_credit(&mut self, offset: u64) {
        self.send_credit = self.send_credit.max(offset);
    }

    /// How many bytes that were never sent may be sent now.
    pub(crate) fn unsent(&self) -> u64 {
        self.send.unsent(self.send_credit)
    }

    /// Whether data or an end must be sent that needs no credit.
    pub(crate) fn has_urgent(&self) -> bool {
        self.delivery(Control::Reset) == Delivery::Not && self.broken.is_none() && self.send.has_urgent()
    }

    fn delivery(&self, control: Control) -> Delivery {
        self.deliveries[control as usize]
    }
}
