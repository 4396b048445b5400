//! Reports of faults: each is said once, in words, to the person who started the program; nothing hangs.

mod chat;
mod configuration;
mod targets;

use std::time::Duration;

/// How long a person waits for an explanation.
const EXPLANATION: Duration = Duration::from_secs(30);
