//! Names of all settings, by section, and of the arguments of a bridge line.

use super::{guest, lanes};

/// What a bridge line may say. `ca_file` is not among them: a stranger's line names no file on this machine.
pub(super) const ARGUMENTS: [&str; 8] = ["jid", "key", "psk", "login", "server", "tls", "pin", "mode"];

pub(super) const ACCOUNT: &[&str] =
    &["jid", "password", "password_file", "server", "tls", "pin", "ca_file", "roster", "sessions", "mine"];
pub(super) const COMPONENT: &[&str] =
    &["domain", "user", "secret", "secret_file", "server", "tls", "ca_file"];
pub(super) const CLIENT: &[&str] =
    &["jid", "key", "psk", "login", "server", "tls", "pin", "mode", "ca_file", "roster", "sessions", "mine"];
pub(super) const BRIDGE: &[&str] = &["classic", "psk"];

pub(super) const METRICS: &[&str] = &["listen"];
pub(super) const TRACE: &[&str] = &["file"];

/// All sections with their keys; those of `[limits]` are in [`Limits::BOUNDS`](super::Limits::BOUNDS).
pub(super) const SECTIONS: [(&str, &[&str]); 9] = [
    ("account", ACCOUNT),
    ("component", COMPONENT),
    ("client", CLIENT),
    ("bridge", BRIDGE),
    ("guest", guest::KEYS),
    ("lanes", lanes::KEYS),
    ("limits", &[]),
    ("metrics", METRICS),
    ("trace", TRACE),
];
