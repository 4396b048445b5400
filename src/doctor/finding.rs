//! Findings: what was found at each stage, as data.

use std::time::Duration;

use serde_json::Value;

/// A stage of the examination, in the order in which they are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The configuration file and the bridge line.
    Configuration,
    /// Where the chat server is.
    Dns,
    /// A connection to it.
    Tcp,
    /// TLS with it, and its certificate.
    Tls,
    /// The login, up to a session.
    Login,
    /// The clock of this machine, against the server's.
    Clock,
    /// What the server offers.
    Server,
    /// What a bridge's operator is to hand out.
    BridgeLine,
    /// Whether the bridge's accounts are there.
    Bridge,
    /// The handshake with the bridge.
    Handshake,
    /// What the bridge connects to.
    Target,
    /// How long there and back takes.
    RoundTrip,
    /// What goes by stanzas.
    Stanzas,
    /// Files, as a lane.
    Files,
    /// The relay, as a lane.
    Relay,
}

impl Stage {
    /// Those of one account.
    pub(crate) const OF_ACCOUNT: [Self; 6] =
        [Self::Dns, Self::Tcp, Self::Tls, Self::Login, Self::Clock, Self::Server];

    /// Those of a bridge, as a client has it.
    pub(crate) const OF_BRIDGE: [Self; 7] = [
        Self::Bridge,
        Self::Handshake,
        Self::Target,
        Self::RoundTrip,
        Self::Stanzas,
        Self::Files,
        Self::Relay,
    ];

    /// Its name, for people and for programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Login => "login",
            Self::Clock => "clock",
            Self::Server => "server",
            Self::BridgeLine => "bridge line",
            Self::Bridge => "bridge",
            Self::Handshake => "handshake",
            Self::Target => "target",
            Self::RoundTrip => "round trip",
            Self::Stanzas => "stanzas",
            Self::Files => "files",
            Self::Relay => "relay",
        }
    }
}

/// What is to be thought of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Tick,
    /// Somebody has to do something.
    Cross,
    /// It could not be found out, or is nothing to worry about.
    Neither,
}

/// What was found at one stage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// Where.
    pub(crate) stage: Stage,
    /// Of which account, counted from 1 as they stand in the file or the bridge line.
    pub(crate) account: Option<usize>,
    /// What is to be thought of it.
    pub(crate) verdict: Verdict,
    /// How long it took.
    pub(crate) took: Duration,
    /// What was found, and what helps.
    pub(crate) sentence: String,
    /// The same for programs.
    pub(crate) facts: Vec<(&'static str, Value)>,
}

impl Finding {
    /// All is well.
    pub(crate) fn tick(stage: Stage, took: Duration, sentence: impl Into<String>) -> Self {
        let (sentence, facts) = (sentence.into(), Vec::new());
        Self { stage, account: None, verdict: Verdict::Tick, took, sentence, facts }
    }

    /// Somebody has to do something.
    pub(crate) fn cross(stage: Stage, took: Duration, sentence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Cross, ..Self::tick(stage, took, sentence) }
    }

    /// Nothing to worry about, or nobody knows.
    pub(crate) fn neither(stage: Stage, took: Duration, sentence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Neither, ..Self::tick(stage, took, sentence) }
    }

    /// These stages were not tried, since that one has failed.
    pub(crate) fn not_tried(stages: &[Stage], failed: Stage) -> impl Iterator<Item = Self> {
        let sentence = format!("not tried, since there is a fault at the stage before: {}", failed.name());
        stages.iter().map(move |stage| Self::neither(*stage, Duration::ZERO, sentence.clone()))
    }

    /// The same, of this account.
    pub(crate) fn of(self, account: usize) -> Self {
        Self { account: Some(account), ..self }
    }

    /// The same, with something for programs.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.push((name, value.into()));
        self
    }
}
