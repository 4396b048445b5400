//! Ends of the secure protocol, without a network.

use std::time::Instant;

use hexchat_pt::carrier::Decision;
use hexchat_pt::carrier::ibb::Bytestreams;
use hexchat_pt::config::Limits;
use hexchat_pt::protocol::{AccountChange, Core};
use hexchat_pt::secure::crypto::entropy::Entropy;
use hexchat_pt::secure::{Bridge, Endpoint, Identity, Persisted, Service};
use hexchat_pt::tunnel::bounds;

use crate::end::{ACCOUNT, End, Protocol, jids, target};
use crate::wire::Transmit;

/// What the wall clock shows, in seconds since 1970.
const WALL_CLOCK: u64 = 1_800_000_000;

/// One end of the secure protocol.
pub struct Secure {
    endpoint: Endpoint,
    bytestreams: Bytestreams,
    /// Whom to ask for a stream.
    bridge: Option<Bridge>,
}

/// A client and a bridge that have just logged in.
#[must_use]
pub fn ends(now: Instant) -> [End<Secure>; 2] {
    let identity = Identity::from_bytes([7; 32]);
    let [client, bridge] = jids();
    let contact =
        Bridge { line: identity.line(None), peers: [bridge.clone()].into(), accounts: vec![ACCOUNT] };
    let service =
        Service { identity, psk: None, accounts: vec![ACCOUNT], siblings: Vec::new(), accepted: Vec::new() };
    let end = |jid, seed, service, bridge| {
        let mut endpoint =
            Endpoint::new(bounds::secure(&Limits::default()), service, Box::new(Counting(seed)));
        endpoint.handle_wall_clock(now, WALL_CLOCK);
        endpoint.handle_account(now, ACCOUNT, AccountChange::Online { jid, resumed: false });
        Secure { endpoint, bytestreams: Bytestreams::default(), bridge }
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

impl Protocol for Secure {
    const IS_CLASSIC: bool = false;

    fn core(&self) -> &impl Core {
        &self.endpoint
    }

    fn core_mut(&mut self) -> &mut impl Core {
        &mut self.endpoint
    }

    fn connect(&mut self, now: Instant) {
        let bridge = self.bridge.as_ref().expect("a client");
        self.endpoint.connect(now, bridge, target()).expect("there is room for a stream");
    }

    fn receive(&mut self, now: Instant, decision: Decision) {
        let Decision::ToSecure { from, incoming } = decision else { panic!("not for us: {decision:?}") };
        self.bytestreams.handle_stanza(&mut self.endpoint, now, ACCOUNT, &from, incoming);
        while let Some(record) = self.endpoint.poll_handshake_record() {
            self.endpoint.handle_persisted(now, &record, Persisted::Yes);
        }
    }

    fn transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.bytestreams.poll_transmit(&mut self.endpoint, now).map(Transmit::Secure)
    }
}
