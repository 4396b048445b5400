//! One end of a protocol, with the one connection that it has to its server.

use std::time::Instant;

use hexchat_pt::carrier::Received;
use hexchat_pt::protocol::{AccountId, Address, Read, StreamId};
use xmpp_parsers::jid::FullJid;

use crate::wire::{Transmit, Wire};
use bytes::BytesMut;

/// The only account of an end.
pub const ACCOUNT: AccountId = AccountId(0);

/// A protocol core, its application, and its driver without the connection.
pub trait Core {
    /// Whether it speaks the classic protocol.
    const IS_CLASSIC: bool;

    /// Asks the peer for the one stream that there will be.
    fn connect(&mut self, now: Instant);

    /// The one stream, once it can be written to.
    fn stream(&self) -> Option<StreamId>;

    /// Takes as much as there is room for.
    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> usize;

    /// What the application can read.
    fn read(&mut self, now: Instant, stream: StreamId) -> Read;

    /// Something came from the peer.
    fn receive(&mut self, now: Instant, received: Received);

    /// The next stanza to send.
    fn transmit(&mut self, now: Instant) -> Option<Transmit>;

    /// Takes note of what happened, and lets in who asks.
    fn handle_events(&mut self, now: Instant);

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    fn timeout(&self) -> Option<Instant>;

    /// Time has passed.
    fn handle_timeout(&mut self, now: Instant);
}

/// One end.
pub struct End<C> {
    /// Its core.
    pub core: C,
    wire: Wire,
    /// What goes to the server, and where each stanza in it ends.
    out: BytesMut,
    ends: Vec<usize>,
    /// How many bytes the application has read.
    pub read: usize,
}

impl<C: Core> End<C> {
    /// An end that has just logged in. The ids of its IQs follow from `key`.
    pub fn new(core: C, key: u8) -> Self {
        Self { core, wire: Wire::new(key), out: BytesMut::new(), ends: Vec::new(), read: 0 }
    }

    /// The application writes as much as it can of `data`.
    pub fn write(&mut self, now: Instant, data: &[u8]) -> usize {
        let Some(stream) = self.core.stream() else { return 0 };
        let taken = self.core.write(now, stream, data);
        self.turn(now);
        taken
    }

    /// A stanza comes from the server, and the application reads what there is to read.
    pub fn receive(&mut self, now: Instant, xml: &[u8]) {
        let received = self.wire.from_wire(xml, C::IS_CLASSIC);
        self.core.receive(now, received);
        self.core.handle_events(now);
        if let Some(stream) = self.core.stream() {
            while let Read::Data(data) = self.core.read(now, stream) {
                self.read += data.len();
            }
        }
        self.turn(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
        self.turn(now);
    }

    /// Puts into the buffer what the core wants sent.
    pub fn turn(&mut self, now: Instant) {
        while let Some(transmit) = self.core.transmit(now) {
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
