//! Ends of the classic protocol, without a network.

use std::time::Instant;

use hexchat_pt::carrier::Decision;
use hexchat_pt::classic::Endpoint;
use hexchat_pt::config::Limits;
use hexchat_pt::protocol::{AccountChange, Address, Core};
use hexchat_pt::tunnel::bounds;

use crate::end::{ACCOUNT, End, Protocol, jids, target};
use crate::wire::Transmit;

/// One end of the classic protocol.
pub struct Classic(Endpoint);

/// One end that asks for a stream and one that lets it in. Both have just logged in.
#[must_use]
pub fn ends(now: Instant) -> [End<Classic>; 2] {
    let [client, bridge] = jids();
    let end = |jid, accept_on: Vec<_>| {
        let mut endpoint = Endpoint::new(bounds::classic(&Limits::default(), &accept_on));
        endpoint.handle_account(now, ACCOUNT, AccountChange::Online { jid, resumed: false });
        Classic(endpoint)
    };
    [End::new(end(client, Vec::new()), 1), End::new(end(bridge, vec![ACCOUNT]), 2)]
}

impl Protocol for Classic {
    const IS_CLASSIC: bool = true;

    fn core(&self) -> &impl Core {
        &self.0
    }

    fn core_mut(&mut self) -> &mut impl Core {
        &mut self.0
    }

    fn connect(&mut self, now: Instant) {
        let [_, bridge] = jids();
        let local = Address::new("127.0.0.1", "40000").expect("an address");
        let asked = self.0.connect(now, &[ACCOUNT], bridge.into(), local, target());
        asked.expect("there is room for a stream");
    }

    fn receive(&mut self, now: Instant, decision: Decision) {
        let Decision::ToClassic { from, incoming } = decision else { panic!("not for us: {decision:?}") };
        self.0.handle_stanza(now, ACCOUNT, &from, incoming);
    }

    fn transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.0.poll_transmit(now).map(Transmit::Classic)
    }
}
