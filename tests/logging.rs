//! Logging as a whole process has it: one test, because a process sets it up once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test is a panic")]

use std::fs;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use hexchat_pt::logging::{Options, SetUpAlready, Severity, Sink, init};
use hexchat_pt::os::disable_core_dumps;
use safelog::sensitive;

#[test]
fn a_process_logs_no_secret_and_leaves_no_core() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let sink = || {
        let log = Arc::clone(&log);
        Sink::Lines(Box::new(move |severity, line| log.lock().unwrap().push((severity, line))))
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let options =
        || Options { level: Severity::Debug, file: Some(file.clone()), unsafe_logging: false, sink: sink() };
    init(options()).unwrap();
    assert_eq!(init(options()), Err(SetUpAlready));

    tracing::error!(target: "fast_socks5", "login=alice@x.example:hunter2");
    tracing::info!(target: "hexchat_pt::client", jid = %sensitive("alice@x.example"), "connecting");
    let panicked = catch_unwind(|| panic!("the password is hunter2"));
    assert!(panicked.is_err());

    let shown = lines.lock().unwrap().clone();
    let [(Severity::Notice, first), (Severity::Error, second)] = shown.as_slice() else {
        panic!("{shown:?}")
    };
    assert_eq!(first, "connecting jid=[scrubbed]");
    assert!(second.contains("tests/logging.rs") && !second.contains("hunter2"), "{second}");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains("hunter2") && !text.contains("alice"), "{text}");

    disable_core_dumps().unwrap();
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}
