//! Signals are a process's own, so each test talks to a child: this test binary, told to run
//! [`a_child_that_reports_its_phases`] alone.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

use super::*;

const STDIN: &str = "TOR_PT_TEST_STDIN";

fn say(text: &str) {
    let mut stdout = io::stdout();
    writeln!(stdout, "\n{text}").unwrap();
    stdout.flush().unwrap();
}

#[tokio::test]
#[ignore = "the child of the tests below"]
async fn a_child_that_reports_its_phases() {
    let watch_stdin = std::env::var_os(STDIN).is_some();
    let shutdown = Shutdown::under_tor(watch_stdin).unwrap();
    if !watch_stdin {
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
    fn start(command: &str, watch_stdin: bool) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        if watch_stdin {
            shell.env(STDIN, "1");
        }
        let mut process = shell.spawn().unwrap();
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

fn exec(watch_stdin: bool) -> Run {
    Run::start(&format!("exec {}", child_command()), watch_stdin)
}

#[test]
fn the_first_interrupt_drains_and_the_second_stops() {
    let mut run = exec(true);
    run.signal(Kill::INT);
    run.expect("Drain");
    run.signal(Kill::INT);
    run.expect_end();
}

#[test]
fn sigterm_stops() {
    let mut run = exec(false);
    run.signal(Kill::TERM);
    run.expect("Now");
    run.expect_end();
}

#[test]
fn the_end_of_stdin_stops_and_input_does_not() {
    let mut run = exec(true);
    run.stdin.as_mut().unwrap().write_all(&[b'x'; 5000]).unwrap();
    run.signal(Kill::INT);
    run.expect("Drain");
    run.stdin = None;
    run.expect_end();
}

#[test]
fn unless_asked_for_the_end_of_stdin_means_nothing() {
    let mut run = exec(false);
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
    let run = exec(true);
    run.signal(Kill::TERM);
    run.expect_end(); // while its standard input is still open
}

#[test]
fn the_death_of_the_parent_stops() {
    // The orphan becomes our child, so that we can see it off.
    set_child_subreaper(Some(getpid())).unwrap();
    let mut run = Run::start(&format!("{} & wait", child_command()), false);
    let orphan = run.pid;
    run.process.kill().unwrap();
    run.expect("Now");
    run.expect_end();
    waitpid(Some(orphan), WaitOptions::empty()).unwrap();
}

#[test]
fn a_hint_without_a_death_is_ignored() {
    let mut run = exec(false);
    run.signal(Kill::URG);
    run.signal(Kill::INT);
    run.expect("Drain");
    run.signal(Kill::INT);
    run.expect_end();
}

#[test]
fn a_phase_never_goes_back() {
    for phase in [Phase::Running, Phase::Drain, Phase::Now] {
        for event in [Event::Interrupt, Event::Terminate, Event::StdinClosed, Event::ParentDied] {
            assert!(phase.after(event) >= phase.max(Phase::Drain), "{phase:?} {event:?}");
        }
    }
}
