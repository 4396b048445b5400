//! One end of a protocol, with the one connection that it has to its server.

use std::time::Instant;

use bytes::BytesMut;
use hexchat_pt::carrier::Decision;
use hexchat_pt::protocol::{AccountId, Address, Core, Event, Read, StreamId};
use xmpp_parsers::jid::FullJid;

use crate::wire::{Transmit, Wire};

/// The only account of an end.
pub const ACCOUNT: AccountId = AccountId(0);

/// A protocol core, and of its driver what differs from one protocol to the next.
pub trait Protocol {
    /// Whether it speaks the classic protocol.
    const IS_CLASSIC: bool;

    /// The core.
    fn core(&self) -> &impl Core;

    /// The core.
    fn core_mut(&mut self) -> &mut impl Core;

    /// Asks the peer for the one stream that there will be.
    fn connect(&mut self, now: Instant);

    /// Something came from the peer.
    fn receive(&mut self, now: Instant, decision: Decision);

    /// The next stanza to send.
    fn transmit(&mut self, now: Instant) -> Option<Transmit>;
}

/// One end.
pub struct End<P> {
    /// Its core.
    pub protocol: P,
    wire: Wire,
    /// What goes to the server, and where each stanza in it ends.
    out: BytesMut,
    ends: Vec<usize>,
    /// The one stream, once it can be written to.
    stream: Option<StreamId>,
    /// How many bytes the application has read.
    pub read: usize,
}

impl<P: Protocol> End<P> {
    /// An end that has just logged in. The ids of its IQs follow from `key`.
    pub fn new(protocol: P, key: u8) -> Self {
        let (out, ends) = (BytesMut::new(), Vec::new());
        Self { protocol, wire: Wire::new(key), out, ends, stream: None, read: 0 }
    }

    /// Whether there is a stream that can be written to.
    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// The application writes as much as it can of `data`.
    ///
    /// # Panics
    /// When the stream is closed.
    pub fn write(&mut self, now: Instant, data: &[u8]) -> usize {
        let Some(stream) = self.stream else { return 0 };
        let taken = self.protocol.core_mut().write(now, stream, data).expect("the stream is open");
        self.turn(now);
        taken
    }

    /// A stanza comes from the server, and the application reads what there is to read.
    pub fn receive(&mut self, now: Instant, xml: &[u8]) {
        let decision = self.wire.from_wire(xml, P::IS_CLASSIC);
        self.protocol.receive(now, decision);
        self.handle_events(now);
        if let Some(stream) = self.stream {
            while let Read::Data(data) = self.protocol.core_mut().read(now, stream) {
                self.read += data.len();
            }
        }
        self.turn(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn timeout(&self) -> Option<Instant> {
        self.protocol.core().poll_timeout()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.protocol.core_mut().handle_timeout(now);
        self.handle_events(now);
        self.turn(now);
    }

    /// Takes note of what happened, and lets in who asks.
    fn handle_events(&mut self, now: Instant) {
        while let Some(event) = self.protocol.core_mut().poll_event() {
            match event {
                Event::Incoming { stream, .. } => {
                    self.protocol.core_mut().accept(now, stream);
                    self.stream = Some(stream);
                }
                Event::Connected(stream) => self.stream = Some(stream),
                Event::Closed(_, reason) => panic!("{reason}"),
                Event::Readable(_) | Event::Writable(_) => {}
            }
        }
    }

    /// Puts into the buffer what the core wants sent.
    pub fn turn(&mut self, now: Instant) {
        while let Some(transmit) = self.protocol.transmit(now) {
            self.wire.to_wire(transmit, &mut self.out);
            self.ends.push(self.out.len());
        }
    }

    /// Hands the buffer to the server, stanza by stanza, and leaves it empty.
    pub fn take_stanzas(&mut self, mut server: impl FnMut(&[u8])) {
        let mut start = 0;
        for end in self.ends.drain(..) {
            server(&self.out[start..end]);
            start = end;
        }
        self.out.clear();
    }
}

/// The JIDs of the end that asks and of the end that lets in.
pub(crate) fn jids() -> [FullJid; 2] {
    ["client@chat.example/x3kd9", "bridge@chat.example/p7ah2"].map(|jid| FullJid::new(jid).expect("a JID"))
}

/// Where the stream leads.
pub(crate) fn target() -> Address {
    Address::new("127.0.0.1", "9001").expect("an address")
}
