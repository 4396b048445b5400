//! Signals are a process's own, so each test talks to a child: this test binary, told to run
//! [`a_child_that_reports_its_phases`] alone.

#![cfg(all(unix, not(portable_os)))]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal as Kill, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

use super::*;

/// The variable by which a test tells its child how it was started: one of the three texts below.
const STARTED: &str = "TOR_PT_TEST_STARTED";
const UNDER_TOR: &str = "under Tor";
const UNDER_TOR_WITH_STDIN: &str = "under Tor, which closes standard input";
const BY_A_PERSON: &str = "by a person";

fn say(text: &str) {
    let mut stdout = io::stdout();
    writeln!(stdout, "\n{text}").unwrap();
    stdout.flush().unwrap();
}

#[tokio::test]
#[ignore = "the child of the tests below"]
async fn a_child_that_reports_its_phases() {
    let started = std::env::var(STARTED).unwrap();
    let shutdown = match started.as_str() {
        BY_A_PERSON => Shutdown::by_signals(),
        started => Shutdown::under_tor(started == UNDER_TOR_WITH_STDIN),
    };
    let shutdown = shutdown.unwrap();
    if started == UNDER_TOR {
        thread::spawn(|| {
            let read = io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
            say(&format!("end of input after {read} bytes"));
        });
    }
    say(&format!("pid {}", std::process::id()));
    shutdown.reached(Phase::Drain).await;
    say(&format!("{:?}", shutdown.phase()));
    shutdown.reached(Phase::Now).await;
    say("stopped");
}

fn child_command() -> String {
    let exe = std::env::current_exe().unwrap();
    let name = "shutdown::tests::a_child_that_reports_its_phases";
    format!("'{}' --exact {name} --ignored --nocapture", exe.display())
}

/// A child, its standard input, and what it says.
struct Run {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Box<dyn Iterator<Item = String>>,
    /// The child itself, which may be the child of `process`.
    pid: Pid,
}

impl Run {
    fn start(command: &str, started: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = shell.env(STARTED, started).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut lines = Box::new(stdout.lines().map_while(Result::ok));
        let pid = lines.by_ref().find_map(|line| line.strip_prefix("pid ")?.parse().ok());
        let pid = Pid::from_raw(pid.unwrap()).unwrap();
        Self { stdin: process.stdin.take(), process, lines, pid }
    }

    fn signal(&self, signal: Kill) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits for the child to say `text`.
    fn expect(&mut self, text: &str) {
        assert!(self.lines.any(|line| line == text), "the child ended without saying {text}");
    }

    /// Waits for the child to stop by itself.
    fn expect_end(mut self) {
        self.expect("stopped");
        assert!(self.lines.any(|line| line.contains("1 passed")));
        self.process.wait().unwrap();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // For a test that failed; otherwise both are gone already.
        if thread::panicking() {
            let _ = kill_process(self.pid, Kill::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn exec(started: &str) -> Run {
    Run::start(&format!("exec {}", child_command()), started)
}

#[test]
fn the_first_interrupt_drains_and_the_second_stops() {
    let mut run = exec(UNDER_TOR_WITH_STDIN);
    run.signal(Kill::INT);
    run.expect("Drain");
    run.signal(Kill::INT);
    run.expect_end();
}

#[test]
fn sigterm_stops() {
    let mut run = exec(UNDER_TOR);
    run.signal(Kill::TERM);
    run.expect("Now");
    run.expect_end();
}

#[test]
fn the_end_of_stdin_stops_and_input_does_not() {
    let mut run = exec(UNDER_TOR_WITH_STDIN);
    run.stdin.as_mut().unwrap().write_all(&[b'x'; 5000]).unwrap();
    run.signal(Kill::INT);
    run.expect("Drain");
    run.stdin = None;
    run.expect_end();
}

#[test]
fn unless_asked_for_the_end_of_stdin_means_nothing() {
    let mut run = exec(UNDER_TOR);
    // Had the shutdown read along, some of this would be missing.
    run.stdin.take().unwrap().write_all(&[b'x'; 1_000_000]).unwrap();
    run.expect("end of input after 1000000 bytes");
    run.signal(Kill::INT);
    run.expect("Drain");
    run.signal(Kill::TERM);
    run.expect_end();
}

#[test]
fn a_thread_that_waits_for_input_does_not_keep_the_process() {
    let run = exec(UNDER_TOR_WITH_STDIN);
    run.signal(Kill::TERM);
    run.expect_end(); // while its standard input is still open
}

#[test]
fn the_death_of_the_parent_stops() {
    // The orphan becomes our child, so that we can see it off.
    set_child_subreaper(Some(getpid())).unwrap();
    let mut run = Run::start(&format!("{} & wait", child_command()), UNDER_TOR);
    let orphan = run.pid;
    run.process.kill().unwrap();
    run.expect("Now");
    run.expect_end();
    waitpid(Some(orphan), WaitOptions::empty()).unwrap();
}

#[test]
fn a_hint_without_a_death_is_ignored() {
    let mut run = exec(UNDER_TOR);
    run.signal(Kill::URG);
    run.signal(Kill::INT);
    run.expect("Drain");
    run.signal(Kill::INT);
    run.expect_end();
}

#[test]
fn a_hang_up_ends_what_a_person_has_started_and_nothing_else() {
    let mut run = exec(UNDER_TOR);
    run.signal(Kill::HUP);
    run.signal(Kill::INT);
    run.expect("Drain");
    run.signal(Kill::TERM);
    run.expect_end();
    let mut run = exec(BY_A_PERSON);
    run.signal(Kill::HUP);
    run.expect("Now");
    run.expect_end();
}

#[test]
fn the_first_interrupt_by_a_person_drains() {
    let mut run = exec(BY_A_PERSON);
    run.signal(Kill::INT);
    run.expect("Drain");
    run.signal(Kill::TERM);
    run.expect_end();
}

#[test]
fn a_phase_never_goes_back() {
    let signals = [Signal::Interrupt, Signal::Terminate, Signal::HangUp].map(Event::Signal);
    for phase in [Phase::Running, Phase::Drain, Phase::Now] {
        for event in signals.into_iter().chain([Event::StdinClosed, Event::ParentDied]) {
            assert!(phase.after(event) >= phase.max(Phase::Drain), "{phase:?} {event:?}");
        }
    }
}
