//! Tests of relays: both ends of one, and what each makes of what cannot be.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use proptest::prelude::*;

use super::*;
use crate::secure::crypto::secret::Secret;
use crate::secure::wire::relay_frame::ADDRESS;

const SECOND: Duration = Duration::from_secs(1);
const SERVER: AccountId = AccountId(1);
const RELAY: AccountId = AccountId(100);

fn end(side: Side) -> Relay {
    Relay::new(RelaysKey(Secret::new([7; 32])), side)
}

fn peer() -> FullJid {
    FullJid::new("bridge@chat.example/r").unwrap()
}

fn rendezvous() -> Rendezvous {
    Rendezvous::new("proxy.example", 7777, [1; ADDRESS]).unwrap()
}

fn task(relay: &mut Relay) -> Option<(u64, &'static str)> {
    let client = BareJid::new("client@chat.example").unwrap();
    let client = Some(&client).filter(|_| relay.side == Side::Bridge);
    let task = relay.poll_task(&Whose { session: SessionKey(5), client })?;
    let relay = task.relay();
    assert_eq!(relay.session, SessionKey(5));
    let name = match task {
        RelayTask::Find { account, peer: to, .. } => {
            assert_eq!((account, to), (SERVER, peer()));
            "find"
        }
        RelayTask::Join { rendezvous: place, .. } => {
            assert_eq!(place, rendezvous());
            "join"
        }
        RelayTask::Activate { .. } => "activate",
        RelayTask::Leave { .. } => "leave",
    };
    Some((relay.number, name))
}

/// Passes on all that one end says.
fn pass(now: Instant, from: &mut Relay, to: &mut Relay) {
    while let Some(frame) = from.poll_frame() {
        to.handle_frame(now, frame).unwrap();
    }
}

/// Two ends that have come as far as this.
fn up(now: Instant) -> (Relay, Relay) {
    let (mut client, mut bridge) = (end(Side::Client), end(Side::Bridge));
    bring_up(now, &mut client, &mut bridge);
    (client, bridge)
}

fn bring_up(now: Instant, client: &mut Relay, bridge: &mut Relay) {
    client.begin(now, SERVER, peer());
    let number = client.number().unwrap();
    assert_eq!(task(client), Some((number, "find")));
    client.handle_found(number, rendezvous());
    pass(now, client, bridge);
    assert_eq!(task(bridge), Some((number, "join")));
    bridge.handle_joined(number);
    pass(now, bridge, client);
    assert_eq!(task(client), Some((number, "activate")));
    assert!(client.handle_up(now, number, RELAY) && bridge.handle_up(now, number, RELAY));
}

#[test]
fn both_ends_call_the_proxy_and_then_the_client_has_it_join_them() {
    let (client, bridge) = up(Instant::now());
    assert_eq!((client.account(), bridge.account()), (Some(RELAY), Some(RELAY)));
    assert_eq!((client.next_timeout(), bridge.next_timeout()), (None, None));
}

#[test]
fn who_cannot_call_the_proxy_says_so_and_the_other_leaves_it() {
    let now = Instant::now();
    let (mut client, mut bridge) = (end(Side::Client), end(Side::Bridge));
    client.begin(now, SERVER, peer());
    client.handle_found(0, rendezvous());
    pass(now, &mut client, &mut bridge);
    bridge.handle_down(now, 0, RelayEndReason::Unreachable);
    pass(now, &mut bridge, &mut client);
    assert_eq!((client.number(), bridge.number()), (None, None));
    assert_eq!(task(&mut client), Some((0, "leave")));
    assert!(!client.is_wanted(now + FIRST_REST / 2) && client.is_wanted(now + FIRST_REST));
    // The bridge knows of nothing, and is told nothing.
    client.begin(now + FIRST_REST, SERVER, peer());
    client.handle_down(now + FIRST_REST, 1, RelayEndReason::Unreachable);
    assert_eq!(client.poll_frame(), None);
}

#[test]
fn a_relay_that_ends_takes_its_account_with_it_at_both_ends() {
    let now = Instant::now();
    let (mut client, mut bridge) = up(now);
    client.handle_down(now, 0, RelayEndReason::Unreachable);
    pass(now, &mut client, &mut bridge);
    for end in [&mut client, &mut bridge] {
        assert_eq!((end.account(), end.poll_over(), end.poll_over()), (None, Some(RELAY), None));
        assert_eq!(task(end), Some((0, "leave")));
    }
}

#[test]
fn a_path_that_is_given_up_ends_its_relay_and_no_other_path_does() {
    let now = Instant::now();
    let (mut client, _) = up(now);
    client.handle_path_gone(now, SERVER);
    assert_eq!(client.account(), Some(RELAY));
    client.handle_path_gone(now, RELAY);
    assert_eq!((client.account(), client.poll_over()), (None, Some(RELAY)));
}

#[test]
fn rests_grow_with_each_failure_and_are_short_again_after_a_relay_that_was_good() {
    let mut now = Instant::now();
    let mut client = end(Side::Client);
    let mut rest = |client: &mut Relay, reason| {
        let number = client.next_number;
        client.begin(now, SERVER, peer());
        client.handle_down(now, number, reason);
        assert_eq!(std::iter::from_fn(|| task(client)).last(), Some((number, "leave")));
        let rest = client.next_timeout().unwrap() - now;
        now += rest;
        rest
    };
    let rests: Vec<_> = (0..12).map(|_| rest(&mut client, RelayEndReason::Refused).as_secs()).collect();
    assert_eq!(rests, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
    assert_eq!(rest(&mut end(Side::Client), RelayEndReason::BadHost), LONGEST_REST);
    let mut bridge = end(Side::Bridge);
    bring_up(now, &mut client, &mut bridge);
    let later = now + GOOD;
    client.handle_down(later, client.number().unwrap(), RelayEndReason::Unreachable);
    assert_eq!(client.next_timeout(), Some(later + FIRST_REST));
}

#[test]
fn what_takes_too_long_is_given_up_at_both_ends() {
    let now = Instant::now();
    let (mut client, mut bridge) = (end(Side::Client), end(Side::Bridge));
    client.begin(now, SERVER, peer());
    client.handle_found(0, rendezvous());
    pass(now, &mut client, &mut bridge);
    bridge.handle_joined(0);
    for end in [&mut client, &mut bridge] {
        assert_eq!(end.next_timeout(), Some(now + PATIENCE));
        end.handle_timeout(now + PATIENCE / 2);
        assert!(end.number().is_some());
        end.handle_timeout(now + PATIENCE);
        assert!(end.number().is_none());
    }
    assert!(!bridge.handle_up(now + PATIENCE, 0, RELAY), "the client comes too late");
}

#[test]
fn a_bridge_calls_no_proxy_more_often_than_it_should() {
    let now = Instant::now();
    let mut bridge = end(Side::Bridge);
    let relay = |number| RelayFrame::Relay { relay: number, rendezvous: rendezvous() };
    bridge.handle_frame(now, relay(3)).unwrap();
    assert_eq!(task(&mut bridge), Some((3, "join")));
    for number in [3, 2, 0] {
        bridge.handle_frame(now, relay(number)).unwrap();
        assert_eq!((task(&mut bridge), bridge.poll_frame()), (None, None), "{number} is no news");
    }
    bridge.handle_frame(now + LEAST_PAUSE / 2, relay(4)).unwrap();
    let reason = RelayEndReason::TooMany;
    assert_eq!(bridge.poll_frame(), Some(RelayFrame::RelayEnd { relay: 4, reason }));
    assert_eq!((task(&mut bridge), task(&mut bridge)), (Some((3, "leave")), None));
    bridge.handle_frame(now + LEAST_PAUSE, relay(5)).unwrap();
    assert_eq!(task(&mut bridge), Some((5, "join")));
    for number in 6..100 {
        bridge.handle_frame(now + LEAST_PAUSE, relay(number)).unwrap();
    }
    assert!(bridge.frames.len() <= MOST_FRAMES);
}

#[test]
fn nobody_says_what_is_the_others_to_say() {
    let now = Instant::now();
    let told = RelayFrame::Relay { relay: 0, rendezvous: rendezvous() };
    assert_eq!(end(Side::Client).handle_frame(now, told), Err(Violation));
    assert_eq!(end(Side::Bridge).handle_frame(now, RelayFrame::Joined { relay: 0 }), Err(Violation));
    // A bridge that says so of its own accord has nobody who listens.
    let mut client = end(Side::Client);
    client.handle_frame(now, RelayFrame::Joined { relay: 0 }).unwrap();
    assert_eq!(task(&mut client), None);
}

#[test]
fn a_frame_that_was_lost_goes_again_while_it_is_true() {
    let now = Instant::now();
    let mut client = end(Side::Client);
    client.begin(now, SERVER, peer());
    client.handle_found(0, rendezvous());
    let told = client.poll_frame().unwrap();
    client.handle_lost(told.clone());
    assert_eq!(client.poll_frame(), Some(told.clone()));
    client.handle_down(now, 0, RelayEndReason::Refused);
    let end = client.poll_frame().unwrap();
    client.handle_lost(told);
    client.handle_lost(end.clone());
    assert_eq!((client.poll_frame(), client.poll_frame()), (Some(end.clone()), None));
    client.begin(now, SERVER, peer());
    client.handle_lost(end);
    assert_eq!(client.poll_frame(), None, "there is another one");
}

proptest! {
    /// Whatever is lost or comes twice, both ends agree in the end on whether there is a relay.
    #[test]
    fn two_ends_agree_however_frames_are_lost(
        steps in prop::collection::vec((0_usize..7, any::<bool>()), 1..60),
    ) {
        let mut now = Instant::now();
        let (mut client, mut bridge) = (end(Side::Client), end(Side::Bridge));
        for (step, is_lost) in steps {
            now += SECOND;
            let (from, to) = if step < 4 { (&mut client, &mut bridge) } else { (&mut bridge, &mut client) };
            match step {
                0 if from.is_wanted(now) => from.begin(now, SERVER, peer()),
                1 => from.number().into_iter().for_each(|number| from.handle_found(number, rendezvous())),
                2 => from.number().into_iter().for_each(|it| from.handle_down(now, it, RelayEndReason::Refused)),
                4 => from.number().into_iter().for_each(|number| from.handle_joined(number)),
                5 => from.number().into_iter().for_each(|it| from.handle_down(now, it, RelayEndReason::Refused)),
                _ => {
                    if let Some(frame) = from.poll_frame() {
                        if is_lost {
                            from.handle_lost(frame);
                        } else {
                            to.handle_frame(now, frame.clone()).unwrap();
                            to.handle_frame(now, frame).unwrap();
                        }
                    }
                }
            }
            prop_assert!(client.frames.len() <= MOST_FRAMES && bridge.frames.len() <= MOST_FRAMES);
        }
        now += PATIENCE;
        client.handle_timeout(now);
        bridge.handle_timeout(now);
        for _ in 0..MOST_FRAMES {
            pass(now, &mut client, &mut bridge);
            pass(now, &mut bridge, &mut client);
        }
        prop_assert_eq!((client.number(), bridge.number()), (None, None));
    }
}
