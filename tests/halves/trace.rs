//! Trace of a half, as whoever looks for a fault reads it.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::{Half, PATIENCE};

/// The lines of a trace behind the first, once the half has been asked to end: each is JSON, times do not go back, and no text is in any but
/// words of ours.
pub(crate) fn trace_of(half: &mut Half, path: &Path) -> Vec<Value> {
    half.process().signal(Signal::TERM);
    assert_eq!(half.exit_status(PATIENCE), 0);
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = lines.remove(0);
    assert_eq!((&first["format"], &first["version"]), (&"hexchat-pt-trace".into(), &1.into()), "{first}");
    assert!(first["epoch_ms"].as_f64() > Some(1.7e12), "{first}");
    let times: Vec<_> = lines.iter().map(|line| line["ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(lines.last().unwrap()["event"], "trace_ended");
    lines.iter().for_each(assert_nameless);
    lines
}

/// Names, addresses, keys and ids have other letters than words of ours, or are longer.
fn assert_nameless(line: &Value) {
    for (field, value) in line.as_object().unwrap() {
        let is_word =
            |text: &str| text.len() < 24 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_fine = match value {
            Value::String(text) => is_word(text),
            // Of what an account is called, there is only a number, and of what a process counts there is not that much.
            Value::Number(number) => number.as_f64() < Some(1e12),
            Value::Bool(_) => true,
            _ => false,
        };
        assert!(is_fine, "{field} in {line}");
    }
}

/// Those of a trace that are called so.
pub(crate) fn called<'a>(trace: &'a [Value], event: &str) -> Vec<&'a Value> {
    trace.iter().filter(|line| line["event"] == event).collect()
}
