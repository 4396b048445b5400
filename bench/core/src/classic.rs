//! The ends of the classic protocol.

use std::time::Instant;

use hexchat_pt::carrier::Received;
use hexchat_pt::classic::{Config, Endpoint};
use hexchat_pt::protocol::{AccountChange, Address, Event, Read, StreamId};

use crate::end::{ACCOUNT, Core, End, jids, target};
use crate::wire::Transmit;

/// One end of the classic protocol.
pub struct Classic {
    endpoint: Endpoint,
    stream: Option<StreamId>,
}

/// One end that asks for a stream and one that lets it in. Both have just logged in.
#[must_use]
pub fn ends(now: Instant) -> [End<Classic>; 2] {
    let [client, bridge] = jids();
    let end = |jid, accept_on| {
        let mut endpoint = Endpoint::new(Config { accept_on, ..Config::default() });
        endpoint.handle_account(now, ACCOUNT, AccountChange::Online { jid, resumed: false });
        Classic { endpoint, stream: None }
    };
    [End::new(end(client, Vec::new()), 1), End::new(end(bridge, vec![ACCOUNT]), 2)]
}

impl Core for Classic {
    const IS_CLASSIC: bool = true;

    fn connect(&mut self, now: Instant) {
        let [_, bridge] = jids();
        let local = Address::new("127.0.0.1", "40000").expect("an address");
        let asked = self.endpoint.connect(now, &[ACCOUNT], bridge.into(), local, target());
        asked.expect("there is room for a stream");
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
        let Received::Classic { from, incoming } = received else { panic!("not for us: {received:?}") };
        self.endpoint.handle_stanza(now, ACCOUNT, &from, incoming);
    }

    fn transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.endpoint.poll_transmit(now).map(Transmit::Classic)
    }

    fn handle_events(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Incoming { stream, .. } => {
                    self.endpoint.accept(now, stream);
                    self.stream = Some(stream);
                }
                Event::Connected(stream) => self.stream = Some(stream),
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
