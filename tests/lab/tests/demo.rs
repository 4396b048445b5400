//! A demonstration that is interrupted leaves nothing running and nothing behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is how a fault is reported")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hexchat_lab::Process;
use hexchat_lab::process::{Spawn, is_alive};
use rustix::process::Signal;
use tempfile::TempDir;

/// How long it may take until the network is up and the bridge starts its transport, on a busy machine.
const STARTED: Duration = Duration::from_secs(120);

/// How long cleaning up may take.
const CLEAN: Duration = Duration::from_secs(10);

/// A demonstration whose transport never ends by itself, whatever tor does.
struct Demo {
    process: Process,
    /// Where it has its files.
    folder: TempDir,
    transport: u32,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let transport = folder.path().join("transport");
        let pid_file = folder.path().join("pid");
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        for folder in [folder.path(), &temporary] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
        }
        // Renamed, so that whoever sees the file sees all of it.
        let script = format!(
            "#!/bin/sh\ntrap '' HUP INT TERM\necho $$ >{pid}.new\nmv {pid}.new {pid}\nexec sleep 1000\n",
            pid = pid_file.display()
        );
        fs::write(&transport, script).unwrap();
        fs::set_permissions(&transport, fs::Permissions::from_mode(0o755)).unwrap();
        let mut process = Spawn::new("demo", env!("CARGO_BIN_EXE_demo"))
            .arg(&transport)
            .env("TMPDIR", &temporary)
            .start()
            .unwrap();
        let transport = wait_for_pid(&pid_file, &mut process);
        Self { process, folder, transport }
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn wait_for_pid(file: &Path, process: &mut Process) -> u32 {
    let deadline = Instant::now() + STARTED;
    loop {
        if let Ok(text) = fs::read_to_string(file) {
            return text.trim().parse().unwrap();
        }
        let going_on = process.is_running() && Instant::now() < deadline;
        assert!(going_on, "no transport was started:\n{}", process.lines().join("\n"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn assert_cleans_up_after(signal: Signal) {
    let mut demo = Demo::start();
    assert!(is_alive(demo.transport) && !demo.leftovers().is_empty());
    demo.process.signal(signal);
    let status = demo.process.wait(CLEAN).unwrap();
    assert_eq!(status.code(), Some(128 + signal.as_raw()), "as a shell reports a signal");
    // At once, without waiting: whoever sees the prompt again can rely on it.
    assert!(!is_alive(demo.transport), "the transport outlives the demonstration");
    assert_eq!(demo.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_demonstration_that_is_interrupted_leaves_nothing() {
    assert_cleans_up_after(Signal::INT);
}

#[test]
fn a_demonstration_that_is_told_to_end_leaves_nothing() {
    assert_cleans_up_after(Signal::TERM);
}

#[test]
fn a_demonstration_whose_terminal_is_closed_leaves_nothing() {
    assert_cleans_up_after(Signal::HUP);
}
