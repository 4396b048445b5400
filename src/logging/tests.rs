//! Tests of the log: what is written where, and what is scrubbed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test is a panic")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use safelog::sensitive;
use tracing::{debug, error, info, trace, warn};

use super::*;
use crate::os::testing::{make_pipe, mode, set_mode};

/// What a sink was given.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Severity, String)>>>);

impl Log {
    fn sink(&self) -> Sink {
        let log = self.clone();
        Sink::Lines(Box::new(move |severity, line| log.0.lock().unwrap().push((severity, line))))
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }
}

fn options(level: Severity, sink: Sink) -> Options {
    Options { level, file: None, unsafe_logging: false, sink }
}

/// What is logged at a level while `act` runs.
fn logged(level: Severity, act: impl FnOnce()) -> Log {
    let log = Log::default();
    tracing::subscriber::with_default(subscriber(options(level, log.sink())), act);
    log
}

fn one_of_each() {
    error!("e");
    warn!("w");
    info!("i");
    debug!("d");
    trace!("t");
}

#[test]
fn each_macro_has_its_severity() {
    use Severity::{Debug, Error, Info, Notice, Warning};
    let log = logged(Debug, one_of_each);
    let severities: Vec<_> = log.0.lock().unwrap().iter().map(|(severity, _)| *severity).collect();
    assert_eq!(severities, [Error, Warning, Notice, Info, Debug]);
}

#[test]
fn a_level_lets_through_what_matters_as_much_or_more() {
    for (level, expected) in
        [("error", "e"), ("warn", "ew"), ("warning", "ew"), ("notice", "ewi"), ("info", "ewid")]
    {
        assert_eq!(logged(level.parse().unwrap(), one_of_each).lines().concat(), expected, "{level}");
    }
    assert_eq!("loud".parse::<Severity>(), Err(UnknownSeverity));
}

#[test]
fn severities_read_back_as_they_are_written() {
    for severity in [Severity::Error, Severity::Warning, Severity::Notice, Severity::Info, Severity::Debug] {
        assert_eq!(severity.to_string().parse(), Ok(severity));
        assert_eq!(Severity::from(Level::from(severity)), severity);
    }
}

#[test]
fn events_of_libraries_do_not_pass_at_any_level() {
    let log = logged(Severity::Debug, || {
        error!(target: "fast_socks5", "hunter2");
        error!(target: "fast_socks5::server", "hunter2");
        error!(target: "tokio_xmpp::xmlstream", "hunter2");
        error!(target: "hexchat_pt_imitation", "hunter2");
        error!(target: "", "hunter2");
        error!(target: "hexchat_pt", "ours");
        error!(target: "hexchat_pt::xmpp", "ours");
    });
    assert_eq!(log.lines(), ["ours", "ours"]);
}

#[test]
fn what_is_sensitive_is_scrubbed_unless_unsafe_logging_is_on() {
    let act = || {
        let jid = "alice@x.example";
        warn!(jid = %sensitive(jid), debug = ?sensitive(jid), "no answer from {}", sensitive(jid));
    };
    assert_eq!(
        logged(Severity::Debug, act).lines(),
        ["no answer from [scrubbed] jid=[scrubbed] debug=[scrubbed]"]
    );
    let shown = safelog::with_safe_logging_suppressed(|| logged(Severity::Debug, act));
    assert_eq!(
        shown.lines(),
        ["no answer from alice@x.example jid=alice@x.example debug=\"alice@x.example\""]
    );
}

#[test]
fn an_event_is_a_message_and_its_fields() {
    let log = logged(Severity::Debug, || {
        info!(streams = 3, ok = true, name = "two words", empty = "", quote = "\"", plain = "x", "up");
        info!(n = 1_u64);
    });
    assert_eq!(log.lines(), [r#"up streams=3 ok=true name="two words" empty="" quote="\"" plain=x"#, "n=1"]);
}

#[test]
fn nothing_in_a_value_ends_the_line() {
    let log = logged(Severity::Debug, || info!(v = "a\nb\u{1b}[2J", d = ?"c\nd", "x\r\ny\u{2028}\u{202e}"));
    assert_eq!(log.lines(), [r#"x\r\ny\u{2028}\u{202e} v=a\nb\u{1b}[2J d="c\nd""#]);
}

#[test]
fn a_long_line_has_an_end() {
    let long = "é".repeat(100_000);
    let log = logged(Severity::Debug, || {
        info!(%long, "short");
        info!("{long}");
    });
    for line in log.lines() {
        assert!((4000..5000).contains(&line.len()) && line.ends_with('…'), "{}", line.len());
    }
}

#[test]
fn a_log_file_is_private_and_appended_to_with_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "before\n").unwrap();
    set_mode(&path, 0o644);
    let log = Log::default();
    let options = Options { file: Some(path.clone()), ..options(Severity::Notice, log.sink()) };
    tracing::subscriber::with_default(subscriber(options), one_of_each);

    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let [before, lines @ ..] = lines.as_slice() else { panic!("{text}") };
    let without_time: Vec<_> =
        lines.iter().filter_map(|line| line.split_once("Z ")).map(|(_, rest)| rest).collect();
    assert_eq!(*before, "before");
    assert_eq!(without_time, ["[error] e", "[warning] w", "[notice] i"]);
    assert_eq!(mode(&path), 0o600);
}

/// What reaches the sink while something is logged to this file as well.
fn logged_to(file: &Path) -> Vec<String> {
    let log = Log::default();
    let options = Options { file: Some(file.to_owned()), ..options(Severity::Error, log.sink()) };
    tracing::subscriber::with_default(subscriber(options), || {
        one_of_each();
        one_of_each();
    });
    log.lines()
}

#[test]
fn a_log_file_that_cannot_be_opened_is_said_once_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    make_pipe(&pipe);
    for path in [dir.path(), &pipe, Path::new("/nonexistent/log")] {
        let lines = logged_to(path);
        let start = format!("the log file {} cannot be opened (", path.display());
        assert!(lines[0].starts_with(&start), "{lines:?}");
        assert!(lines[0].ends_with("); going on without it"), "{lines:?}");
        assert_eq!(lines[1..], ["e", "e"]);
    }
}

#[test]
fn a_log_file_that_cannot_be_written_to_is_said_once_and_stops_nothing() {
    let lines = logged_to(Path::new("/dev/full"));
    assert_eq!(
        lines,
        [
            "the log file /dev/full cannot be written to (no storage space); lines will be missing in it",
            "e",
            "e"
        ]
    );
}

proptest! {
    #[test]
    fn any_text_stays_on_one_line(message in any::<String>(), value in any::<String>()) {
        let log = logged(Severity::Debug, || info!(value, ?value, "{message}"));
        for line in log.lines() {
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
    }
}
