//! Hostile relays, of clients that hold the bridge line and do not keep to the protocol.

use std::time::{Duration, Instant};

use hexchat_pt::protocol::{AccountId, Address};
use hexchat_pt::secure::relays::{RelayKey, RelayTask};
use hexchat_pt::secure::wire::frame::{Frame, SessionClose};
use hexchat_pt::secure::wire::relay_frame::{ADDRESS, RelayEndReason, RelayFrame, Rendezvous};
use hexchat_pt::secure::{Config, Lanes, Statistics};

use crate::over_ibb::OverIbb;
use crate::puppet::{BRIDGE, Puppet, accept, answer, bridge, jid, sent, wait};
use crate::setup::defaults;

const SECOND: Duration = Duration::from_secs(1);

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

fn assert_no_more_kept(before: Statistics, after: Statistics) {
    let is_more = after.charged > before.charged + 4096 || after.entries > before.entries + 40;
    assert!(!is_more, "{before:?}, then {after:?}");
}

#[test]
fn of_thousands_of_relays_that_are_asked_for_at_once_one_is_called_and_nothing_is_kept() {
    let now = Instant::now();
    let mut bridge = bridge(now, config());
    let mut client = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
    let mut joined = 0;
    let mut kept = Vec::new();
    for number in 0..5000 {
        client.send(&mut bridge, now, &[relay(number)]);
        while let Some(task) = bridge.poll_relay_task() {
            joined += usize::from(matches!(task, RelayTask::Join { .. }));
        }
        kept.push(bridge.statistics());
    }
    assert_eq!((joined, bridge.statistics().sessions), (1, 1));
    assert_no_more_kept(kept[99], kept[4999]);
}

#[test]
fn relays_that_come_and_go_by_the_thousand_leave_nothing() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, config());
    let mut client = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
    let target = Address::new("192.0.2.1", "80").unwrap();
    client.send(&mut bridge, now, &[Frame::Open { stream: 0, target }]);
    accept(&mut bridge, now).expect("a stream");
    let mut kept = Vec::new();
    for number in 0..2000 {
        client.send(&mut bridge, now, &[relay(number)]);
        let Some(RelayTask::Join { relay, .. }) = bridge.poll_relay_task() else { panic!("{number}") };
        bridge.handle_relay_joined(now, relay);
        assert!(bridge.handle_relay_up(now, relay, AccountId(RELAY.0 + number)).is_some());
        client.send(&mut bridge, now, &[end(number)]);
        assert_eq!(left(&mut bridge), [relay]);
        for transmit in wait(&mut bridge, &mut now, 6 * SECOND) {
            if transmit.via == BRIDGE {
                answer(&mut bridge, now, &transmit);
            }
        }
        kept.push(bridge.statistics());
    }
    assert_eq!(bridge.statistics().sessions, 1);
    assert_no_more_kept(kept[99], kept[1999]);
}

#[test]
fn a_bridge_without_relays_ends_the_session_of_whoever_asks_for_one() {
    let now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let mut client = Puppet::shake_hands(&mut bridge, now, jid("eve@x/r"), 1);
    client.send(&mut bridge, now, &[relay(0)]);
    assert!(bridge.poll_relay_task().is_none());
    assert_eq!(client.closed(&sent(&mut bridge, now)), Some(SessionClose::ProtocolViolation));
}
