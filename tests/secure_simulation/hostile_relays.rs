//! Hostile relays, of clients that hold the bridge line and do not keep to the protocol.

use std::time::Instant;

use hexchat_pt::protocol::AccountId;
use hexchat_pt::secure::relays::{RelayKey, RelayTask};
use hexchat_pt::secure::wire::frame::{Frame, SessionClose};
use hexchat_pt::secure::wire::relay_frame::{ADDRESS, RelayEndReason, RelayFrame, Rendezvous};
use hexchat_pt::secure::{Config, Lanes};

use crate::over_ibb::OverIbb;
use crate::puppet::{Puppet, bridge, jid, sent};
use crate::setup::defaults;

/// The account that stands for a relay.
const RELAY: AccountId = AccountId(1 << 40);

fn config() -> Config {
    Config { lanes: Lanes { files: false, relays: true }, ..defaults() }
}

fn relay(number: u64) -> Frame {
    let rendezvous = Rendezvous::new("proxy.x", 7777, [number as u8; ADDRESS]).unwrap();
    Frame::Relay(RelayFrame::Relay { relay: number, rendezvous })
}

fn end(number: u64) -> Frame {
    Frame::Relay(RelayFrame::RelayEnd { relay: number, reason: RelayEndReason::Done })
}

/// How far a relay has come when its client does what it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Joining,
    Joined,
    Up,
}

/// A client whose relay has come so far at the bridge.
fn with_relay(bridge: &mut OverIbb, now: Instant, stage: Stage) -> (Puppet, RelayKey) {
    let mut client = Puppet::shake_hands(bridge, now, jid("eve@x/r"), 1);
    client.send(bridge, now, &[relay(0)]);
    let Some(RelayTask::Join { relay, .. }) = bridge.poll_relay_task() else { panic!("nothing is joined") };
    if stage != Stage::Joining {
        bridge.handle_relay_joined(now, relay);
    }
    if stage == Stage::Up {
        assert!(bridge.handle_relay_up(now, relay, RELAY).is_some());
    }
    sent(bridge, now);
    (client, relay)
}

/// The relays that the driver is to leave.
fn left(bridge: &mut OverIbb) -> Vec<RelayKey> {
    std::iter::from_fn(|| bridge.poll_relay_task())
        .filter_map(|task| if let RelayTask::Leave { relay, .. } = task { Some(relay) } else { None })
        .collect()
}

#[test]
fn a_relay_is_left_whatever_ends_it_and_its_session_at_once() {
    let close = || Frame::Close { reason: SessionClose::Done };
    let joined = || Frame::Relay(RelayFrame::Joined { relay: 0 });
    for stage in [Stage::Joining, Stage::Joined, Stage::Up] {
        for last in [vec![close()], vec![end(0), close()], vec![relay(1), close()], vec![end(0), joined()]] {
            let now = Instant::now();
            let mut bridge = bridge(now, config());
            let (mut client, relay) = with_relay(&mut bridge, now, stage);
            client.send(&mut bridge, now, &last);
            assert_eq!(bridge.statistics().sessions, 0);
            assert_eq!(left(&mut bridge), [relay], "{stage:?}, {last:?}");
        }
    }
}
