//! Sentences on what a server says of itself: its time, and what it offers. Pure.

use std::time::Duration;

use serde_json::Value;

use super::finding::{Finding, Stage};
use crate::tunnel::WrongClock;
use crate::xmpp::seen::Offers;

/// In milliseconds since 1970.
type Millis = i64;

/// What is known of an upload service or a proxy, once it was looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Known<T> {
    /// Nobody has answered in time.
    #[default]
    Unknown,
    /// There is none.
    None,
    /// There is this one.
    There(T),
}

impl<T> From<Option<T>> for Known<T> {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::None, Self::There)
    }
}

/// What a server was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerFacts {
    pub(super) offers: Offers,
    /// Whether it keeps messages for who is away.
    pub(super) keeps_messages: bool,
    /// Its upload service, and the largest file that it takes, if it says so.
    pub(super) uploads: Known<Option<u64>>,
    /// Its proxy of bytestreams.
    pub(super) proxy: Known<()>,
}

/// What our clock showed, and the server's at that time; or that the server tells no time.
pub(super) fn clock(took: Duration, clocks: Option<(Millis, Millis)>) -> Finding {
    let Some((ours, theirs)) = clocks else {
        let sentence = "the server does not tell its time, so that ours could not be compared";
        return Finding::neither(Stage::Clock, took, sentence);
    };
    let ahead = ours.saturating_sub(theirs) / 1000;
    let finding = match WrongClock::of(ahead) {
        None => Finding::tick(
            Stage::Clock,
            took,
            "the clock of this machine is the chat server's, to within two minutes",
        ),
        Some(wrong) => {
            let sentence = format!(
                "{wrong}: set it, by NTP best; a bridge takes nobody whose clock is more than 10 minutes off its own"
            );
            Finding::cross(Stage::Clock, took, sentence)
        }
    };
    finding.with("seconds_ahead", ahead)
}

/// What the server offers.
pub(super) fn server(took: Duration, facts: &ServerFacts) -> Finding {
    let ServerFacts { offers, keeps_messages, uploads, proxy } = facts;
    let stanza = match offers.max_stanza {
        Some(bytes) => format!("it takes stanzas of up to {bytes} bytes"),
        None => "it does not say how large a stanza may be (smaller ones are sent where one was too large)"
            .to_owned(),
    };
    let uploads_said = match uploads {
        Known::There(Some(bytes)) => format!("it has an upload service, for files of up to {bytes} bytes"),
        Known::There(None) => "it has an upload service".to_owned(),
        Known::None => "it has no upload service".to_owned(),
        Known::Unknown => "it was not found out whether it has an upload service".to_owned(),
    };
    let proxy_said = match proxy {
        Known::There(()) => "a proxy for relays",
        Known::None => "no proxy for relays",
        Known::Unknown => "perhaps a proxy for relays",
    };
    let resumes = if offers.counts { "can be" } else { "cannot be" };
    let keeps = if *keeps_messages { "keeps" } else { "does not say that it keeps" };
    let sentence = format!(
        "{stanza}; no server says how fast it reads; {uploads_said}, and {proxy_said}; sessions {resumes} resumed, and it {keeps} messages \
         for who is away"
    );
    let largest = if let Known::There(largest) = uploads { *largest } else { None };
    Finding::tick(Stage::Server, took, sentence)
        .with("max_stanza_bytes", offers.max_stanza)
        .with("idle_seconds", offers.idle_seconds)
        .with("resumes", offers.counts)
        .with("keeps_messages", *keeps_messages)
        .with("upload", presence(uploads))
        .with("max_file_bytes", largest)
        .with("proxy", presence(proxy))
}

fn presence<T>(known: &Known<T>) -> Value {
    match known {
        Known::Unknown => Value::Null,
        Known::None => Value::Bool(false),
        Known::There(_) => Value::Bool(true),
    }
}

/// The lane of files: whether the user wants them, what the account's server has, and whether the bridge uses them, where that is known.
pub(super) fn files(
    took: Duration,
    wanted: bool,
    uploads: Known<Option<u64>>,
    bridge_knows: bool,
) -> Finding {
    let neither = |sentence| Finding::neither(Stage::Files, took, sentence);
    match uploads {
        _ if !wanted => neither("none are used, as [lanes] upload has it"),
        Known::None => neither(
            "the account's server has no upload service, so bulk goes as slowly as the rest: use an account at a server that has one \
             (XEP-0363) if pages are slow",
        ),
        Known::Unknown => neither("it was not found out whether the account's server has an upload service"),
        Known::There(_) if !bridge_knows => neither(
            "the account's server has an upload service, and the bridge uses none: whoever runs it can have it do so ([lanes] proxy)",
        ),
        Known::There(_) => Finding::tick(
            Stage::Files,
            took,
            "the lane is found: the account's server has an upload service, and the bridge uses it; its speed was not measured, since only \
             what somebody reads goes by it",
        ),
    }
}

/// The lane of relays, likewise: used where both ends say so. `rate` is what it carries, in bytes per second, where all goes by it.
pub(super) fn relay(
    took: Duration,
    wanted: bool,
    proxy: Known<()>,
    (bridge_knows, rate): (bool, Option<f64>),
) -> Finding {
    let neither = |sentence| Finding::neither(Stage::Relay, took, sentence);
    match (proxy, rate) {
        _ if !wanted => neither("none is used, as [lanes] relay has it"),
        (_, Some(rate)) => {
            let sentence = format!("the lane is joined, and carries {}/s to the bridge", bytes(rate));
            Finding::tick(Stage::Relay, took, sentence).with("bytes_per_second", rate.round())
        }
        (Known::None, None) => Finding::cross(
            Stage::Relay,
            took,
            "[lanes] relay asks for a relay, and the account's server has no proxy for one: use an account at a server that has one \
             (XEP-0065), or take relay = true out",
        ),
        (Known::Unknown, None) => {
            neither("it was not found out whether the account's server has a proxy for relays")
        }
        (Known::There(()), None) if !bridge_knows => neither(
            "the account's server has a proxy for relays, and the bridge wants none: whoever runs it can have it so ([lanes] relay)",
        ),
        (Known::There(()), None) => neither(
            "the account's server has a proxy for relays, and both ends want one, but none was joined that is faster than stanzas: if that \
             stays, see whether both ends reach the proxy's port",
        ),
    }
}

/// So many bytes, in words.
pub(super) fn bytes(count: f64) -> String {
    match count {
        ..1e4 => format!("{:.1} kB", count / 1e3),
        1e4..1e6 => format!("{:.0} kB", count / 1e3),
        _ => format!("{:.1} MB", count / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    const NOW: Millis = 1_700_000_000_000;

    #[test]
    fn a_clock_is_wrong_from_two_minutes_on_and_by_how_much_is_said() {
        for (seconds, verdict, named) in [
            (0, Verdict::Tick, "within two minutes"),
            (119, Verdict::Tick, "within two minutes"),
            (-119, Verdict::Tick, "within two minutes"),
            (120, Verdict::Cross, "2 minutes ahead of"),
            (-125, Verdict::Cross, "2 minutes behind"),
            (3600, Verdict::Cross, "60 minutes ahead of"),
            (-7200, Verdict::Cross, "2 hours behind"),
            (200_000, Verdict::Cross, "2 days ahead of"),
        ] {
            let finding = clock(Duration::ZERO, Some((NOW + seconds * 1000, NOW)));
            assert_eq!(finding.verdict, verdict, "{seconds}");
            assert!(finding.sentence.contains(named), "{}", finding.sentence);
        }
        assert_eq!(clock(Duration::ZERO, None).verdict, Verdict::Neither);
    }

    #[test]
    fn what_a_server_offers_is_said_in_a_sentence_and_for_programs() {
        let offers = Offers { max_stanza: Some(262_144), idle_seconds: None, counts: true };
        let uploads = Known::There(Some(1000));
        let facts = ServerFacts { offers, keeps_messages: true, uploads, proxy: Known::None };
        let finding = server(Duration::ZERO, &facts);
        for part in ["up to 262144 bytes", "up to 1000 bytes", "no proxy", "can be resumed", "keeps messages"]
        {
            assert!(finding.sentence.contains(part), "{part}: {}", finding.sentence);
        }
        let fact =
            |name| finding.facts.iter().find(|(fact, _)| *fact == name).map(|(_, value)| value.clone());
        assert_eq!(fact("max_file_bytes"), Some(1000.into()));
        assert_eq!((fact("upload"), fact("proxy")), (Some(true.into()), Some(false.into())));
    }

    #[test]
    fn who_asks_for_a_relay_at_a_server_without_a_proxy_is_told_so() {
        let verdict = |wanted, proxy, rate| relay(Duration::ZERO, wanted, proxy, (true, rate)).verdict;
        assert_eq!(verdict(true, Known::None, None), Verdict::Cross);
        assert_eq!(verdict(false, Known::None, None), Verdict::Neither);
        assert_eq!(verdict(true, Known::There(()), None), Verdict::Neither);
        assert_eq!(verdict(true, Known::There(()), Some(1e6)), Verdict::Tick);
    }

    #[test]
    fn a_missing_upload_service_is_no_fault() {
        let finding = files(Duration::ZERO, true, Known::None, true);
        assert_eq!(finding.verdict, Verdict::Neither);
        assert!(finding.sentence.contains("no upload service"));
        assert_eq!(files(Duration::ZERO, true, Known::There(None), true).verdict, Verdict::Tick);
    }

    #[test]
    fn bytes_are_said_roughly() {
        assert_eq!([900.0, 12_345.0, 2_340_000.0].map(bytes), ["0.9 kB", "12 kB", "2.3 MB"]);
    }
}
