//! Child processes that never outlive their owner.
//!
//! A process is ended when its [`Process`] is dropped. If its owner dies without dropping anything (SIGKILL, an
//! abort), a watcher does it: a shell that reads a pipe of which only the owner holds the other end, and that kills the
//! process when the pipe closes. (`PR_SET_PDEATHSIG` would not do: it fires when the *thread* that spawned the process ends,
//! and test threads end early.)

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end after SIGTERM when its owner lets go of it.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    /// The process whose mounts all have that this thread starts, if they are not our own.
    static MOUNTS_OF: Cell<Option<u32>> = const { Cell::new(None) };
}

/// A process that is to be started.
#[derive(Debug)]
pub struct Spawn {
    name: String,
    command: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    clean_env: bool,
    folder: Option<PathBuf>,
    stdin: bool,
    inherit_output: bool,
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    watcher: Child,
    output: Arc<Output>,
}

/// What a process has written, line by line.
#[derive(Debug, Default)]
struct Output {
    state: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    /// What came over its standard output alone, as it came.
    stdout: Vec<u8>,
    /// How many of its pipes are closed.
    closed: usize,
}

impl Spawn {
    /// A process that is called `name` in errors.
    pub fn new(name: &str, program: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.to_owned(),
            command: vec![program.as_ref().to_owned()],
            env: Vec::new(),
            clean_env: false,
            folder: None,
            stdin: false,
            inherit_output: false,
        }
    }

    /// Lets it write where we write, instead of collecting what it writes.
    #[must_use]
    pub fn inherit_output(mut self) -> Self {
        self.inherit_output = true;
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: AsRef<OsStr>>(self, args: impl IntoIterator<Item = T>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Passes nothing of our own environment on.
    #[must_use]
    pub fn clean_env(mut self) -> Self {
        self.clean_env = true;
        self
    }

    /// Starts it in this folder.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Gives it a pipe as standard input; see [`Process::say`] and [`Process::close_stdin`].
    #[must_use]
    pub fn stdin(mut self) -> Self {
        self.stdin = true;
        self
    }

    /// Runs it as this system user, when we are root and may.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        if is_root() {
            let prefix = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"];
            self.command.splice(0..0, prefix.map(OsString::from));
        }
        self
    }

    /// Starts it where a shell has first run this script in a mount namespace of its own, with `path` as `$0`: only root can.
    #[must_use]
    pub fn after_mounting(mut self, script: &str, path: &Path) -> Self {
        let script = format!("{script} && exec \"$@\"");
        let prefix = ["unshare", "--mount", "--", "sh", "-c", &script].map(OsString::from);
        self.command.splice(0..0, prefix.into_iter().chain([path.as_os_str().to_owned()]));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the program is not there; the error names it.
    pub fn start(mut self) -> Result<Process> {
        if let Some(pid) = MOUNTS_OF.get() {
            let prefix = ["nsenter", "--mount", "--target", &pid.to_string(), "--"].map(OsString::from);
            self.command.splice(0..0, prefix);
        }
        let (program, args) = self.command.split_first().context("no program")?;
        let mut command = Command::new(program);
        let output = || if self.inherit_output { Stdio::inherit() } else { Stdio::piped() };
        command.args(args).stdout(output()).stderr(output());
        // A Ctrl-C at the terminal is for us; we end our processes ourselves.
        command.process_group(0);
        command.stdin(if self.stdin { Stdio::piped() } else { Stdio::null() });
        if self.clean_env {
            command.env_clear();
        }
        command.envs(self.env);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child =
            command.spawn().with_context(|| format!("starting {} ({})", self.name, program.display()))?;
        let watcher = watch(child.id())?;
        let output = Arc::new(Output::default());
        collect(child.stdout.take(), &output, |lines, bytes| lines.stdout.extend(bytes));
        collect(child.stderr.take(), &output, |_, _| ());
        Ok(Process { name: self.name, child, watcher, output })
    }
}

/// Lets all that this thread starts from now on see the mounts that process `pid` sees.
pub(crate) fn start_within(pid: u32) {
    MOUNTS_OF.set(Some(pid));
}

/// Whether we are root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether process `pid` exists and has not ended: a zombie does not count.
pub fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

/// Whether process `pid`, which is a child of another's, ends by itself within this time. If not, it is killed.
pub fn ends_within(pid: u32, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while is_alive(pid) {
        if Instant::now() > deadline {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // It may have ended just now.
                let _ = kill_process(pid, Signal::KILL);
            }
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Starts the watcher of process `pid`.
fn watch(pid: u32) -> Result<Child> {
    Command::new("sh")
        .args(["-c", "cat >/dev/null; kill -KILL \"$0\" 2>/dev/null"])
        .arg(pid.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("starting a watcher")
}

/// Reads `pipe` to its end; `keep` is given every line, its newline included, before it can be seen.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    output: &Arc<Output>,
    keep: impl Fn(&mut Lines, &[u8]) + Send + 'static,
) {
    let output = Arc::clone(output);
    let Some(pipe) = pipe else { return };
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let mut state = output.lock();
            keep(&mut state, &line);
            state.lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            drop(state);
            line.clear();
            output.more.notify_all();
        }
        output.lock().closed += 1;
        output.more.notify_all();
    });
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has written so far, to either pipe.
    pub fn lines(&self) -> Vec<String> {
        self.output.lock().lines.clone()
    }

    /// The bytes that it has written to its standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.output.lock().stdout.clone()
    }

    /// Waits until it has closed its output, as it does at the latest when it ends.
    ///
    /// # Errors
    ///
    /// After `timeout`: it, or a process of its own, still holds the output.
    pub fn wait_for_end_of_output(&self, timeout: Duration) -> Result<()> {
        let open = |state: &mut Lines| state.closed < 2;
        let state = self.output.lock();
        let waited = self.output.more.wait_timeout_while(state, timeout, open);
        match waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            true => bail!("{} has not closed its output within {timeout:?}", self.name),
            false => Ok(()),
        }
    }

    /// The first line for which `wanted` holds, once it is written.
    ///
    /// # Errors
    ///
    /// After `timeout`, or when the process has closed its output; with the last lines that it wrote.
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool, timeout: Duration) -> Result<String> {
        let deadline = Instant::now() + timeout;
        let mut seen = 0;
        let mut state = self.output.lock();
        loop {
            if let Some(line) = state.lines.iter().skip(seen).find(|line| wanted(line)) {
                return Ok(line.clone());
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed == 2 {
                let tail = state.lines.iter().rev().take(10).rev().cloned().collect::<Vec<_>>().join("\n  ");
                bail!("{} did not say what was expected; it said last:\n  {tail}", self.name);
            }
            state = self.output.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            let _ = kill_process(pid, signal);
        }
    }

    /// Writes a line to its standard input, when it has one.
    ///
    /// # Errors
    ///
    /// When it has none, or does not read it any more.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let name = &self.name;
        let stdin = self.child.stdin.as_mut().with_context(|| format!("{name} has no standard input"))?;
        writeln!(stdin, "{line}").with_context(|| format!("writing to {name}"))
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    ///
    /// After `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} has not ended within {timeout:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end, and makes it end when it does not.
    pub fn stop(&mut self) {
        if self.is_running() {
            self.signal(Signal::TERM);
            if self.wait(PATIENCE).is_err() {
                self.kill();
            }
        }
    }

    /// Makes it end at once.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        // Only now that the pid is free: the watcher must not live to see it used again.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eventually(holds: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if holds() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let process = Spawn::new("sleeper", "sleep").arg("1000").start().unwrap();
        let (pid, watcher) = (process.pid(), process.watcher.id());
        assert!(is_alive(pid));
        drop(process);
        assert!(!is_alive(pid) && !is_alive(watcher));
    }

    #[test]
    fn a_process_whose_owner_is_killed_is_gone() {
        let process = Spawn::new("sleeper", "sleep").arg("1000").start().unwrap();
        let pid = process.pid();
        // What the owner's death does: the pipe closes, and nothing is dropped.
        let mut process = std::mem::ManuallyDrop::new(process);
        drop(process.watcher.stdin.take());
        assert!(eventually(|| !is_alive(pid)));
        let _ = process.child.wait();
        let _ = process.watcher.wait();
    }

    #[test]
    fn lines_are_found_whether_they_were_written_before_or_after() {
        let script = "echo one; sleep 0.2; echo two >&2";
        let process = Spawn::new("talker", "sh").args(["-c", script]).start().unwrap();
        let wait =
            |text: &'static str| process.wait_for_line(move |line| line == text, Duration::from_secs(5));
        assert_eq!(wait("two").unwrap(), "two");
        assert_eq!(wait("one").unwrap(), "one");
        assert!(wait("three").unwrap_err().to_string().contains("two"));
        process.wait_for_end_of_output(Duration::from_secs(5)).unwrap();
        assert_eq!(process.stdout(), b"one\n");
    }
}
