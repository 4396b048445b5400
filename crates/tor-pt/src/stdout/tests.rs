#![allow(clippy::unwrap_used, reason = "tests")]

use std::pin::pin;
use std::sync::mpsc;

use futures_util::FutureExt as _;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Passes each write on, and waits for a permit before it.
struct Gate {
    permits: mpsc::Receiver<()>,
    written: mpsc::Sender<String>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.permits.recv().map_err(closed)?;
        self.written.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that is stuck until permits are sent, and breaks when their sender is dropped.
fn gated() -> (Stdout, mpsc::Sender<()>, mpsc::Receiver<String>) {
    let (permit, permits) = mpsc::channel();
    let (written, lines) = mpsc::channel();
    (Stdout::with_writer(Gate { permits, written }).unwrap(), permit, lines)
}

/// Permits all that a test may write; the writer may be done before it has taken them all.
fn open(permit: &mpsc::Sender<()>) {
    (0..10_000).for_each(|_| {
        let _ = permit.send(());
    });
}

fn flood(stdout: &Stdout, count: usize) {
    (0..count).for_each(|n| stdout.log(Severity::Error, format!("error {n}")));
}

#[test]
fn lines_are_written_in_order() {
    let (stdout, permit, lines) = gated();
    open(&permit);
    stdout.send_all([Message::Version, Message::log(Severity::Info, "x"), Message::CmethodsDone]);
    assert!(stdout.blocking_flush(LONG));
    let written: Vec<_> = lines.try_iter().collect();
    assert_eq!(written, ["VERSION 1\n", "LOG SEVERITY=info MESSAGE=\"x\"\n", "CMETHODS DONE\n"]);
}

#[test]
fn a_full_pipe_blocks_nobody_and_loses_no_protocol_line() {
    let (stdout, permit, lines) = gated();
    flood(&stdout, 10_000);
    stdout.send(Message::CmethodsDone);
    assert!(!stdout.blocking_flush(Duration::from_millis(1)), "nothing can be written yet");
    open(&permit);
    assert!(stdout.blocking_flush(LONG));
    let written: Vec<_> = lines.try_iter().collect();
    assert_eq!(written.last().unwrap(), "CMETHODS DONE\n");
    assert!(written.len() <= 64, "{}", written.len());
}

#[test]
fn a_flood_before_methods_done_leaves_room_for_the_protocol() {
    let (stdout, permit, lines) = gated();
    open(&permit);
    for _ in 0..100 {
        flood(&stdout, 100);
        assert!(stdout.blocking_flush(LONG));
    }
    stdout.send(Message::CmethodsDone);
    assert!(stdout.blocking_flush(LONG));
    let written: Vec<_> = lines.try_iter().collect();
    assert_eq!(written.len(), BURST as usize + 1);
}

#[test]
fn a_closed_pipe_is_survived() {
    let (stdout, permit, _lines) = gated();
    drop(permit);
    flood(&stdout, 10);
    assert!(stdout.blocking_flush(LONG));
    flood(&stdout, 10);
    stdout.send(Message::CmethodsDone);
    assert!(stdout.blocking_flush(LONG));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_stuck_pipe_keeps_no_other_task_waiting() {
    let (stdout, _permit, _lines) = gated();
    stdout.send(Message::Version);
    let ticks = async {
        let mut tick = tokio::time::interval(LAST_LINES / 10);
        for _ in 0..5 {
            tick.tick().await;
        }
    };
    tokio::select! {
        biased;
        () = stdout.end([Message::CmethodsDone]) => unreachable!("nothing can be written"),
        () = ticks => {}
    }
    stdout.end([]).await; // gives up by itself
    assert!(!stdout.blocking_flush(Duration::ZERO));
}

#[tokio::test]
async fn a_task_can_wait_until_everything_is_written() {
    let (stdout, permit, lines) = gated();
    stdout.send_all([Message::Version, Message::CmethodsDone]);
    let mut flush = pin!(stdout.flush());
    assert!(flush.as_mut().now_or_never().is_none(), "nothing is written yet");
    open(&permit);
    flush.await;
    assert_eq!(lines.try_iter().count(), 2);
}

#[tokio::test]
async fn a_task_that_waits_hears_that_the_pipe_has_closed() {
    let (stdout, permit, _lines) = gated();
    stdout.send(Message::Version);
    let mut flush = pin!(stdout.flush());
    assert!(flush.as_mut().now_or_never().is_none(), "nothing is written yet");
    drop(permit);
    flush.await;
}

#[test]
fn what_is_queued_is_written_after_the_last_handle_is_gone() {
    let (stdout, permit, lines) = gated();
    stdout.send_all([Message::Version, Message::CmethodsDone]);
    drop(stdout);
    open(&permit);
    assert_eq!(lines.recv_timeout(LONG).unwrap(), "VERSION 1\n");
    assert_eq!(lines.recv_timeout(LONG).unwrap(), "CMETHODS DONE\n");
    let ended = lines.recv_timeout(LONG).unwrap_err();
    assert_eq!(ended, mpsc::RecvTimeoutError::Disconnected, "the thread has ended");
}

#[test]
fn a_later_line_says_how_many_were_dropped() {
    let mut state = State::default();
    let start = Instant::now();
    let info = Message::log(Severity::Info, "x");
    (0..BURST + 7).for_each(|_| state.push(&info, start));
    while state.pop().is_some() {}
    state.push(&Message::CmethodsDone, start);
    state.push(&info, start + REFILL);
    let rest: Vec<_> = std::iter::from_fn(|| state.pop()).collect();
    assert_eq!(rest.len(), 3, "{rest:?}");
    assert!(rest[1].contains("7 messages were left out"), "{rest:?}");
}

#[test]
fn only_so_many_informational_lines_wait_however_slowly_they_come() {
    let mut state = State::default();
    let start = Instant::now();
    state.push(&Message::CmethodsDone, start);
    (0..10 * BURST).for_each(|n| state.push(&Message::log(Severity::Info, "x"), start + REFILL * n));
    assert_eq!(state.lines.len(), BURST as usize + 1);
}

#[test]
fn the_throttle_earns_lines_only_after_methods_done() {
    let mut throttle = Throttle::default();
    let start = Instant::now();
    let admitted = |throttle: &mut Throttle, now| (0..100).filter(|_| throttle.admit(now)).count();
    assert_eq!(admitted(&mut throttle, start), BURST as usize);
    assert_eq!(admitted(&mut throttle, start + LONG), 0);
    throttle.start_refilling(start + LONG);
    assert_eq!(admitted(&mut throttle, start + LONG + REFILL * 5 / 2), 2);
    assert_eq!(admitted(&mut throttle, start + LONG + REFILL * 3), 1);
    assert_eq!(admitted(&mut throttle, start + LONG * 1000), BURST as usize);
}
