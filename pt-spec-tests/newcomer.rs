//! Mistakes of newcomers: what they are told, in the words that they see. `newcomer/README.md` has the list.

mod by_hand;
mod clocks;
mod operator;
mod table;
mod user;

use crate::child::{Child, Launch};

/// A key that may be a bridge's.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// That of the examples.
const EXAMPLE_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What tor hears of a launch that can never work.
fn method_error(launch: Launch) -> String {
    let child = launch.start();
    let error = if child.greeting().iter().any(|line| line.starts_with("CMETHOD-ERROR")) {
        "CMETHOD-ERROR hexchat "
    } else {
        "SMETHOD-ERROR hexchat "
    };
    child.stays_with(error)
}

/// Waits for a line of the log with these words, whatever its severity.
fn logs(child: &Child, words: &str) -> String {
    let wanted = |line: &str| line.starts_with("LOG ") && line.contains(words);
    child.process.wait_for_line(wanted, crate::child::PATIENCE).unwrap()
}

/// Starts what follows as a user who may read nothing of ours.
fn as_nobody() -> Vec<String> {
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned).into()
}
