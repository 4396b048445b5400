//! Incoming frames, and what they do to streams.

use bytes::Bytes;

use crate::protocol::Address;
use crate::secure::streams::receive::Fault;
use crate::secure::streams::stream::Stream;
use crate::secure::streams::{MAX_STREAMS_AHEAD, ProtocolViolation, Role, StreamEvent, Streams};
use crate::secure::wire::frame::{Frame, ResetReason};

impl From<Fault> for ProtocolViolation {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Overflow => Self("more was sent on a stream than there was credit for"),
            Fault::Contradiction => Self("a stream has two different ends"),
        }
    }
}

impl Streams {
    /// Handles a frame of a packet that is authentic and no replay. Frames that are not about streams are the session's, and
    /// ignored here. So are repetitions, and frames about streams that are gone.
    ///
    /// # Errors
    ///
    /// The session must be closed.
    pub(crate) fn handle_frame(&mut self, frame: Frame) -> Result<(), ProtocolViolation> {
        if self.closed.is_some() {
            return Ok(());
        }
        match frame {
            Frame::Open { stream, target } => self.on_open(stream, target)?,
            Frame::Accept { stream } => self.on_accept(stream)?,
            Frame::Data { stream, offset, data, fin } => self.on_data(stream, offset, data, fin)?,
            Frame::Reset { stream, reason, sent } => {
                if self.admit(stream)? {
                    self.check_credit(stream, sent)?;
                    self.with(stream, |stream| stream.on_reset(reason, sent)).transpose()?;
                }
            }
            Frame::Stop { stream } => {
                if self.admit(stream)? {
                    self.with(stream, Stream::on_stop);
                }
            }
            // Only a reader gives credit, and one that reads has had its stream opened.
            Frame::StreamCredit { stream, offset } => {
                self.with(stream, |stream| stream.on_credit(offset));
            }
            Frame::SessionCredit { offset } => self.session_credit = self.session_credit.max(offset),
            Frame::Ping
            | Frame::Ack(_)
            | Frame::Jids { .. }
            | Frame::Close { .. }
            | Frame::File(_)
            | Frame::Relay(_) => {}
        }
        if self.totals.fragments > self.limits.max_fragments {
            return Err(ProtocolViolation("there are too many gaps in what was sent"));
        }
        Ok(())
    }

    /// Whether the peer had enough credit to use the first `end` bytes of a stream.
    fn check_credit(&self, id: u64, end: u64) -> Result<(), ProtocolViolation> {
        let highest = self.streams.get(&id).map_or(0, |stream| stream.receive.highest());
        if end.saturating_sub(highest) > self.credit.granted() - self.totals.received {
            return Err(ProtocolViolation("more was sent than there was credit for"));
        }
        Ok(())
    }

    fn on_open(&mut self, id: u64, target: Address) -> Result<(), ProtocolViolation> {
        if self.role == Role::Client {
            return Err(ProtocolViolation("only a client can open a stream"));
        }
        if !self.admit(id)? {
            return Ok(());
        }
        if self.streams.get(&id).is_some_and(Stream::is_unopened) {
            self.events.push_back(StreamEvent::Incoming { id, target });
            // What came before it is news now.
            self.with(id, |stream| stream.known = true);
        }
        Ok(())
    }

    fn on_accept(&mut self, id: u64) -> Result<(), ProtocolViolation> {
        if self.role == Role::Bridge {
            return Err(ProtocolViolation("only a bridge can accept a stream"));
        }
        if !self.admit(id)? {
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        if !stream.connected && stream.is_live() {
            stream.connected = true;
            self.events.push_back(StreamEvent::Connected(id));
        }
        Ok(())
    }

    fn on_data(&mut self, id: u64, offset: u64, data: Bytes, fin: bool) -> Result<(), ProtocolViolation> {
        if self.admit(id)? {
            self.check_credit(id, offset + data.len() as u64)?;
            self.with(id, |stream| stream.on_data(offset, data, fin)).transpose()?;
        }
        Ok(())
    }

    /// Whether there is a stream of this number: frames arrive in any order, so that any of them can be the first. `false`
    /// says that it is gone.
    fn admit(&mut self, id: u64) -> Result<bool, ProtocolViolation> {
        if self.streams.contains_key(&id) {
            return Ok(true);
        }
        match self.role {
            Role::Client if id < self.next_id => Ok(false),
            Role::Client => Err(ProtocolViolation("a frame is about a stream that was never opened")),
            Role::Bridge if self.seen.contains(id) => Ok(false),
            Role::Bridge => self.admit_new(id).map(|()| true),
        }
    }

    fn admit_new(&mut self, id: u64) -> Result<(), ProtocolViolation> {
        if id >= self.first_unseen() + MAX_STREAMS_AHEAD {
            return Err(ProtocolViolation("a stream's number is far ahead of all others"));
        }
        if self.is_crowded() {
            return Err(ProtocolViolation("far more streams were opened than are allowed"));
        }
        let mut stream = self.new_stream();
        if self.totals.in_use >= self.limits.max_streams || self.room_for_streams == 0 {
            stream.reset(ResetReason::TooManyStreams);
            stream.release();
        } else {
            self.room_for_streams -= 1;
        }
        self.seen.insert(id..id + 1);
        self.add(id, stream);
        Ok(())
    }
}
