//! The ends of the secure protocol.

use std::time::Instant;

use hexchat_pt::carrier::Received;
use hexchat_pt::protocol::{AccountChange, Event, Read, StreamId};
use hexchat_pt::session::entropy::Entropy;
use hexchat_pt::session::{Bridge, Config, Endpoint, Identity, Remembered, Service};

use crate::end::{ACCOUNT, Core, End, jids, target};
use crate::wire::Transmit;

/// What the wall clock shows, in seconds since 1970.
const WALL_CLOCK: u64 = 1_800_000_000;

/// One end of the secure protocol.
pub struct Secure {
    endpoint: Endpoint,
    /// Whom to ask for a stream.
    bridge: Option<Bridge>,
    asked: Option<StreamId>,
    stream: Option<StreamId>,
}

/// A client and a bridge that have just logged in.
#[must_use]
pub fn ends(now: Instant) -> [End<Secure>; 2] {
    let identity = Identity::from_bytes([7; 32]);
    let [client, bridge] = jids();
    let contact =
        Bridge { line: identity.line(None), peers: [bridge.clone()].into(), accounts: vec![ACCOUNT] };
    let service = Service { identity, psk: None, accounts: vec![ACCOUNT], accepted: Vec::new() };
    let end = |jid, seed, service, bridge| {
        let mut endpoint = Endpoint::new(Config::default(), service, Box::new(Counting(seed)));
        endpoint.handle_wall_clock(now, WALL_CLOCK);
        endpoint.handle_account(now, ACCOUNT, AccountChange::Online { jid, resumed: false });
        Secure { endpoint, bridge, asked: None, stream: None }
    };
    [End::new(end(client, 1, None, Some(contact)), 1), End::new(end(bridge, 2, Some(service), None), 2)]
}

/// The same "randomness" in each run.
#[derive(Debug)]
pub struct Counting(pub u64);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

impl Core for Secure {
    const IS_CLASSIC: bool = false;

    fn connect(&mut self, now: Instant) {
        let bridge = self.bridge.as_ref().expect("a client");
        self.asked = self.endpoint.connect(now, bridge, target()).ok();
    }

    fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> usize {
        self.endpoint.write(now, stream, data).expect("the stream is open")
    }

    fn read(&mut self, now: Instant, stream: StreamId) -> Read {
        self.endpoint.read(now, stream)
    }

    fn receive(&mut self, now: Instant, received: Received) {
        let Received::Secure { from, incoming } = received else { panic!("not for us: {received:?}") };
        self.endpoint.handle_stanza(now, ACCOUNT, &from, incoming);
        while let Some(memento) = self.endpoint.poll_memento() {
            self.endpoint.handle_remembered(now, &memento, Remembered::Kept);
        }
    }

    fn transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.endpoint.poll_transmit(now).map(Transmit::Secure)
    }

    fn handle_events(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Incoming { stream, .. } => {
                    self.endpoint.accept(now, stream);
                    self.stream = Some(stream);
                }
                Event::Connected(stream) => self.stream = self.asked.filter(|asked| *asked == stream),
                Event::Closed(_, reason) => panic!("{reason}"),
                Event::Readable(_) | Event::Writable(_) => {}
            }
        }
    }

    fn timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.handle_events(now);
    }
}
