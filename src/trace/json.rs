//! Words of a trace: what each event is called, and its fields, as an object of JSON.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::protocol::CloseReason;
use crate::secure::trace::{PathEnd, TraceEvent};
use crate::secure::wire::relay_frame::RelayEndReason;
use crate::tunnel::{TracedLogin, TunnelEvent};

/// An object, whose fields stand in this order.
pub(super) struct Object(Vec<(&'static str, Value)>);

impl Object {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// The same where there is a value; otherwise the field is left out.
    fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A line, with its end.
    pub(super) fn to_line(&self) -> String {
        // Text and numbers always have a form in JSON.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Milliseconds, to the microsecond.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// An event, so long after the start.
pub(super) fn of_event(since_start: Duration, traced: &TunnelEvent) -> Object {
    let object = Object::new().with("ms", millis(since_start));
    fields_of(&traced.event, object, traced.login)
}

/// The name of an event, and its fields behind those that the object has.
fn fields_of(event: &TraceEvent, object: Object, login: Option<TracedLogin>) -> Object {
    let named = |name: &'static str| object.with("event", name);
    let of_account = |object| with_login(object, login);
    match *event {
        TraceEvent::AccountOnline { resumed, .. } => {
            of_account(named("account_online")).with("resumed", resumed)
        }
        TraceEvent::AccountSuspended { .. } => of_account(named("account_suspended")),
        TraceEvent::AccountGone { .. } => of_account(named("account_gone")),
        TraceEvent::BudgetUsed { lane, percent, .. } => {
            of_account(named("budget_used")).with("lane", lane.name()).with("percent", percent)
        }
        TraceEvent::SessionOpened { session, files, relays } => {
            named("session_opened").with("session", session).with("files", files).with("relays", relays)
        }
        TraceEvent::SessionConfirmed { session } => named("session_confirmed").with("session", session),
        TraceEvent::SessionResumed { session, path } => on_path(named("session_resumed"), session, path),
        TraceEvent::SessionEnded { session, cause, by_peer } => {
            let ended = named("session_ended").with("session", session);
            ended.with("cause", name_of_reason(cause)).with("by_peer", by_peer)
        }
        TraceEvent::PathAsked { session, path, handshake, .. } => {
            of_account(on_path(named("path_asked"), session, path)).with("handshake", handshake)
        }
        TraceEvent::PathOpened { session, path, lane, .. } => {
            of_account(on_path(named("path_opened"), session, path)).with("lane", lane.name())
        }
        TraceEvent::PathStalled { session, path, suspended, in_flight } => {
            let stalled = on_path(named("path_stalled"), session, path);
            stalled.with("suspended", suspended).with("in_flight", in_flight)
        }
        TraceEvent::PathRecovered { session, path } => on_path(named("path_recovered"), session, path),
        TraceEvent::PathFailed { session, path, cause } => {
            on_path(named("path_failed"), session, path).with("cause", name_of_path_end(cause))
        }
        TraceEvent::PathLost { session, path, cause } => {
            on_path(named("path_lost"), session, path).with("cause", name_of_path_end(cause))
        }
        TraceEvent::WindowChanged { session, path, bytes, round_trip, rate } => {
            let changed = on_path(named("window_changed"), session, path).with("bytes", bytes);
            let changed = changed.with_some("round_trip_ms", round_trip.map(millis));
            changed.with_some("rate", rate.map(|rate| rate as u64))
        }
        TraceEvent::BlockSizeTried { session, path, bytes } => {
            on_path(named("block_size_tried"), session, path).with("bytes", bytes)
        }
        TraceEvent::LaneChosen { session, lane } => {
            named("lane_chosen").with("session", session).with("lane", lane.name())
        }
        TraceEvent::FileMade { session, file, waiting } => {
            named("file_made").with("session", session).with("file", file).with("waiting", waiting)
        }
        TraceEvent::FileTrouble { session, rests, .. } => {
            of_account(named("file_trouble").with("session", session)).with("rests", rests)
        }
        TraceEvent::RelayBegun { session, relay } => {
            named("relay_begun").with("session", session).with("relay", relay)
        }
        TraceEvent::RelayEnded { session, relay, cause } => {
            let ended = named("relay_ended").with("session", session).with("relay", relay);
            ended.with("cause", name_of_relay_end(cause))
        }
        TraceEvent::Retransmitted { session, bytes } => {
            named("retransmitted").with("session", session).with("bytes", bytes)
        }
        TraceEvent::Dropped { events } => named("dropped").with("events", events),
    }
}

fn on_path(object: Object, session: u64, path: u64) -> Object {
    object.with("session", session).with("path", path)
}

fn with_login(object: Object, login: Option<TracedLogin>) -> Object {
    let object = object.with_some("account", login.map(|login| login.account));
    object.with_some("sibling", login.map(|login| login.sibling).filter(|sibling| *sibling > 0))
}

/// Why a session is over, in small letters.
fn name_of_reason(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Finished => "finished",
        CloseReason::Refused => "refused",
        CloseReason::PeerUnavailable => "peer_unavailable",
        CloseReason::LineRefused => "line_refused",
        CloseReason::PeerServerUnreachable => "peer_server_unreachable",
        CloseReason::ConnectTimedOut => "connect_timed_out",
        CloseReason::PeerSilent => "peer_silent",
        CloseReason::SessionLost => "session_lost",
        CloseReason::NoPath => "no_path",
        CloseReason::ProtocolViolation => "protocol_violation",
        CloseReason::Overflow => "overflow",
        CloseReason::Aborted => "aborted",
        CloseReason::NoAccount => "no_account",
        CloseReason::TooManyStreams => "too_many",
    }
}

/// Why a path is over.
fn name_of_path_end(cause: PathEnd) -> &'static str {
    match cause {
        PathEnd::Silent => "silent",
        PathEnd::Refused => "refused",
        PathEnd::Undelivered => "undelivered",
        PathEnd::Unreachable => "unreachable",
        PathEnd::TooLarge => "too_large",
        PathEnd::Damaged => "damaged",
        PathEnd::Closed => "closed",
        PathEnd::AccountReset => "account_reset",
        PathEnd::AccountGone => "account_gone",
        PathEnd::Replaced => "replaced",
        PathEnd::Crowded => "crowded",
        PathEnd::RelayOver => "relay_over",
    }
}

/// Why a relay is over.
fn name_of_relay_end(cause: RelayEndReason) -> &'static str {
    match cause {
        RelayEndReason::Done => "done",
        RelayEndReason::TooSlow => "too_slow",
        RelayEndReason::BadHost => "bad_host",
        RelayEndReason::Refused => "refused",
        RelayEndReason::Unreachable => "unreachable",
        RelayEndReason::Damaged => "damaged",
        RelayEndReason::TooMany => "too_many",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Instant;

    use super::*;
    use crate::protocol::AccountId;
    use crate::secure::stats::Lane;

    const DOCUMENTATION: &str = include_str!("../../doc/trace.md");

    /// One of each, with all fields that it can have.
    fn samples() -> Vec<TraceEvent> {
        let (session, path, account) = (1, 2, AccountId(3));
        let (lane, cause) = (Lane::Files, PathEnd::Silent);
        vec![
            TraceEvent::AccountOnline { account, resumed: true },
            TraceEvent::AccountSuspended { account },
            TraceEvent::AccountGone { account },
            TraceEvent::BudgetUsed { account, lane, percent: 10 },
            TraceEvent::SessionOpened { session, files: true, relays: false },
            TraceEvent::SessionConfirmed { session },
            TraceEvent::SessionResumed { session, path },
            TraceEvent::SessionEnded { session, cause: CloseReason::Finished, by_peer: false },
            TraceEvent::PathAsked { session, path, account, handshake: true },
            TraceEvent::PathOpened { session, path, account: Some(account), lane },
            TraceEvent::PathStalled { session, path, suspended: false, in_flight: 4096 },
            TraceEvent::PathRecovered { session, path },
            TraceEvent::PathFailed { session, path, cause },
            TraceEvent::PathLost { session, path, cause },
            TraceEvent::WindowChanged {
                session,
                path,
                bytes: 8192,
                round_trip: Some(Duration::from_micros(12_345)),
                rate: Some(10_000.7),
            },
            TraceEvent::BlockSizeTried { session, path, bytes: 4096 },
            TraceEvent::LaneChosen { session, lane },
            TraceEvent::FileMade { session, file: 5, waiting: 60_000 },
            TraceEvent::FileTrouble { session, account, rests: true },
            TraceEvent::RelayBegun { session, relay: 0 },
            TraceEvent::RelayEnded { session, relay: 0, cause: RelayEndReason::TooSlow },
            TraceEvent::Retransmitted { session, bytes: 4096 },
            TraceEvent::Dropped { events: 7 },
        ]
    }

    fn line(event: TraceEvent, login: Option<TracedLogin>) -> String {
        let traced = TunnelEvent { at: Instant::now(), login, event };
        of_event(Duration::from_micros(1_234_567), &traced).to_line()
    }

    /// The fields of each event by its name, without those that all have.
    fn fields() -> BTreeMap<String, BTreeSet<String>> {
        let login = Some(TracedLogin { account: 3, sibling: 1 });
        let fields = samples().into_iter().map(|event| {
            let object: Value = serde_json::from_str(&line(event, event.account().and(login))).unwrap();
            let names = object.as_object().unwrap().keys().filter(|name| !matches!(&***name, "ms" | "event"));
            (object["event"].as_str().unwrap().to_owned(), names.cloned().collect())
        });
        fields.collect()
    }

    /// `PathLost` is `path_lost`.
    fn in_small_letters(name: &str) -> String {
        let word =
            |c: char| if c.is_ascii_uppercase() { format!("_{}", c.to_ascii_lowercase()) } else { c.into() };
        name.chars().map(word).collect::<String>().trim_start_matches('_').to_owned()
    }

    /// The variants of an enumeration, as its source has them.
    fn variants(source: &str, name: &str) -> BTreeSet<String> {
        let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
        let (variants, _) = rest.split_once("\n}\n").unwrap();
        let name = |line: &str| {
            Some(line.strip_prefix("    ")?.split(" {").next()?.trim_end_matches(',').to_owned())
        };
        let names = variants.lines().filter_map(name);
        names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase())).collect()
    }

    /// All events that the core can make.
    fn events_of_the_core() -> BTreeSet<String> {
        let names = variants(include_str!("../secure/api/trace.rs"), "TraceEvent");
        names.iter().map(|name| in_small_letters(name)).collect()
    }

    /// All reasons for which a session can be over.
    fn reasons() -> Vec<CloseReason> {
        let reasons = vec![
            CloseReason::Finished,
            CloseReason::Refused,
            CloseReason::PeerUnavailable,
            CloseReason::LineRefused,
            CloseReason::PeerServerUnreachable,
            CloseReason::ConnectTimedOut,
            CloseReason::PeerSilent,
            CloseReason::SessionLost,
            CloseReason::NoPath,
            CloseReason::ProtocolViolation,
            CloseReason::Overflow,
            CloseReason::Aborted,
            CloseReason::NoAccount,
            CloseReason::TooManyStreams,
        ];
        let names: BTreeSet<_> = reasons.iter().map(|reason| format!("{reason:?}")).collect();
        assert_eq!(names, variants(include_str!("../protocol.rs"), "CloseReason"));
        reasons
    }

    #[test]
    fn a_line_has_the_time_the_name_and_the_fields_in_their_order() {
        let event =
            TraceEvent::PathOpened { session: 1, path: 2, account: Some(AccountId(3)), lane: Lane::Chat };
        let login = |sibling| Some(TracedLogin { account: 3, sibling });
        assert_eq!(
            line(event, login(0)),
            "{\"ms\":1234.567,\"event\":\"path_opened\",\"session\":1,\"path\":2,\"account\":3,\"lane\":\"chat\"}\n"
        );
        assert!(line(event, login(4)).contains("\"account\":3,\"sibling\":4,"));
        assert!(!line(event, None).contains("account"));
    }

    #[test]
    fn every_event_is_called_as_the_core_calls_it_and_has_a_sample_here() {
        let samples: BTreeSet<_> = fields().into_keys().collect();
        assert!(samples.len() > 20);
        assert_eq!(samples, events_of_the_core());
    }

    #[test]
    fn the_documentation_has_every_event_with_its_fields_and_no_other() {
        let quoted = |cell: &str| -> BTreeSet<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let (_, table) = DOCUMENTATION.split_once("| event | fields |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|')).map(|row| {
            let cells: Vec<_> = row.split('|').collect();
            (cells[1].trim().trim_matches('`').to_owned(), quoted(cells[2]))
        });
        assert_eq!(rows.collect::<BTreeMap<_, _>>(), fields());
    }

    #[test]
    fn the_documentation_has_every_cause_of_an_end_and_no_other() {
        let told = |what: &str| -> BTreeSet<&str> {
            let (_, table) = DOCUMENTATION.split_once(&format!("Of a {what}:\n\n")).unwrap();
            let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
            rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect()
        };
        assert_eq!(told("session's end"), reasons().into_iter().map(name_of_reason).collect());
        assert_eq!(PathEnd::ALL.len(), variants(include_str!("../secure/api/trace.rs"), "PathEnd").len());
        assert_eq!(told("path's end"), PathEnd::ALL.map(name_of_path_end).into());
        assert_eq!(told("relay's end"), RelayEndReason::ALL.map(name_of_relay_end).into());
    }
}
