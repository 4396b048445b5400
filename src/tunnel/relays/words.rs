//! Words of the log about relays that came to nothing, for the client's user. Pure.

use crate::secure::wire::relay_frame::RelayEndReason;

/// How far a relay had come when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It did not carry yet.
    Beginning,
    /// It carried.
    Up,
}

/// What the log says of its end; nothing where that is as it should be.
pub(super) fn ended(phase: Phase, reason: RelayEndReason, by_peer: bool) -> Option<String> {
    let why = if by_peer { of_bridge(reason)? } else { of_client(reason)? };
    Some(match phase {
        Phase::Beginning => format!("no relay: {why}"),
        Phase::Up => format!("the relay has ended: {why}"),
    })
}

fn of_client(reason: RelayEndReason) -> Option<&'static str> {
    Some(match reason {
        RelayEndReason::Done => return None,
        RelayEndReason::TooSlow => "the proxy, or what goes by it, takes too long",
        RelayEndReason::BadHost => "the proxy is at a host that is not called",
        RelayEndReason::Refused => "the proxy refuses",
        RelayEndReason::Unreachable => "the proxy is not reached, or has ended the connection",
        RelayEndReason::Damaged => "what came by it was none of it, or was changed on the way",
        RelayEndReason::TooMany => "there are as many as may be",
    })
}

fn of_bridge(reason: RelayEndReason) -> Option<&'static str> {
    Some(match reason {
        RelayEndReason::Done => return None,
        RelayEndReason::TooSlow => "to the bridge the proxy, or what goes by it, takes too long",
        RelayEndReason::BadHost => {
            "the bridge does not call the proxy's host, which its operator can add to hosts in [lanes]"
        }
        RelayEndReason::Refused => "the proxy refuses the bridge",
        RelayEndReason::Unreachable => {
            "the bridge does not reach the proxy, or the proxy has ended its connection"
        }
        RelayEndReason::Damaged => "what came to the bridge by it was none of it, or was changed on the way",
        RelayEndReason::TooMany => "the bridge has as many as it may",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_at_which_end_a_relay_has_failed_and_whether_it_had_carried() {
        let reason = RelayEndReason::Unreachable;
        let said = |phase, by_peer| ended(phase, reason, by_peer).unwrap_or_default();
        assert!(said(Phase::Beginning, false).starts_with("no relay: the proxy is not reached"));
        assert!(said(Phase::Beginning, true).starts_with("no relay: the bridge does not reach the proxy"));
        assert!(said(Phase::Up, false).starts_with("the relay has ended: the proxy"));
    }

    #[test]
    fn nothing_is_said_of_one_that_is_not_needed_any_more() {
        for by_peer in [false, true] {
            assert_eq!(ended(Phase::Up, RelayEndReason::Done, by_peer), None);
        }
    }
}
