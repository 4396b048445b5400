//! Standard output: its one writer (pt-spec section 3.3).
//!
//! Standard output is a pipe to Tor, and Tor may read it slowly, or never, or close it. So a thread
//! of its own does the writing, and nobody has to wait for it. Protocol lines are queued without
//! a bound, since there are few of them; `LOG` and `STATUS` lines are dropped when too many wait or
//! come too fast, and a later line says how many.
//!
//! The limits follow from Arti, which keeps 64 lines and throws away the rest: before `METHODS DONE`
//! at most [`BURST`] informational lines are written, so that the protocol lines always fit.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::message::{Message, Severity};
use super::os;

/// The most informational lines that wait at once, that are written before `METHODS DONE`, and that
/// are written in one burst after it. Half of the 64 lines that Arti keeps: the other half is for the protocol.
pub const BURST: u32 = 32;

/// How long it takes to earn one more informational line after a burst: 8 lines a second fill no log.
const REFILL: Duration = Duration::from_millis(125);

/// How long Tor may take to read the last lines of this process.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A handle to the writer. Clones share it; when the last is gone, the writer finishes the queue and ends.
#[derive(Clone)]
pub struct Stdout(Arc<Owner>);

impl Stdout {
    /// Starts the writer of this process's standard output. Write to it by no other way from then on.
    ///
    /// # Errors
    ///
    /// When the operating system has no file descriptor or thread left.
    pub fn start() -> io::Result<Self> {
        Self::with_writer(os::stdout()?)
    }

    /// Starts a writer of something else.
    ///
    /// # Errors
    ///
    /// When the operating system has no thread left.
    pub fn with_writer(writer: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let of_thread = Arc::clone(&queue);
        thread::Builder::new().name("stdout".into()).spawn(move || of_thread.write_all_to(writer))?;
        Ok(Self(Arc::new(Owner(queue))))
    }

    /// Queues a line; never waits. After the pipe has closed it does nothing.
    #[allow(clippy::needless_pass_by_value, reason = "a message is made to be sent")]
    pub fn send(&self, message: Message) {
        self.0.0.push(&message, Instant::now());
    }

    /// Queues several lines.
    pub fn send_all(&self, messages: impl IntoIterator<Item = Message>) {
        messages.into_iter().for_each(|message| self.send(message));
    }

    /// Queues a `LOG` line.
    pub fn log(&self, severity: Severity, text: impl Into<String>) {
        self.send(Message::log(severity, text));
    }

    /// Returns once all that was queued is written, or the pipe has closed.
    ///
    /// What is not written is lost when the process exits, and Tor may not read: put a timeout around it, as
    /// [`Stdout::end`] does. May be dropped and called anew at will.
    pub async fn flush(&self) {
        self.0.0.written().await;
    }

    /// Queues the last lines of this process, and gives Tor up to a second to take them.
    ///
    /// Must be called within a tokio runtime, with time enabled.
    pub async fn end(&self, messages: impl IntoIterator<Item = Message>) {
        self.send_all(messages);
        let _ = tokio::time::timeout(LAST_LINES, self.flush()).await;
    }

    /// As [`Stdout::flush`], for at most `timeout`; returns whether everything is written or the pipe has closed.
    ///
    /// It blocks the thread: it is for a process whose runtime has ended, or never started.
    #[must_use = "what is not written yet is lost when the process exits"]
    pub fn blocking_flush(&self, timeout: Duration) -> bool {
        self.0.0.block_until_written(timeout)
    }
}

/// What the handles own together: ends the writer when the last of them goes.
struct Owner(Arc<Queue>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().ending = true;
        self.0.changed.notify_all();
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// For threads: there is a line to write, or one has been written.
    changed: Condvar,
    /// For tasks: a line has been written.
    progress: Notify,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    /// How many of `lines` are informational.
    waiting: u32,
    /// Informational lines dropped since the last report.
    dropped: u64,
    throttle: Throttle,
    /// The writer has taken a line and not yet written it.
    writing: bool,
    /// No handle is left.
    ending: bool,
    /// The pipe is closed: nothing can be written any more.
    closed: bool,
}

struct Line {
    text: String,
    informational: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, message: &Message, now: Instant) {
        self.lock().push(message, now);
        self.changed.notify_all();
    }

    /// The writer's thread: until the pipe closes, or the queue ends and is empty.
    fn write_all_to(&self, mut writer: impl Write) {
        while let Some(line) = self.next() {
            let written = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
            self.lock().finish_line(written.is_ok());
            self.changed.notify_all();
            self.progress.notify_waiters();
            if written.is_err() {
                return;
            }
        }
    }

    /// Waits for the next line, newline included.
    fn next(&self) -> Option<String> {
        let idle = |state: &mut State| state.lines.is_empty() && !state.ending;
        let mut state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        state.pop()
    }

    async fn written(&self) {
        loop {
            // Hears of all progress from here on.
            let progress = self.progress.notified();
            if !self.lock().is_busy() {
                return;
            }
            progress.await;
        }
    }

    fn block_until_written(&self, timeout: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |state| state.is_busy());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_busy()
    }
}

impl State {
    fn push(&mut self, message: &Message, now: Instant) {
        if self.closed {
            return;
        }
        if message.is_informational() {
            self.push_informational(message, now);
            return;
        }
        self.append(message);
        if message.is_methods_done() {
            self.throttle.start_refilling(now);
        }
    }

    fn push_informational(&mut self, message: &Message, now: Instant) {
        if self.waiting >= BURST || !self.throttle.admit(now) {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 {
            let text = format!("{} messages were left out here: too many at once", self.dropped);
            self.dropped = 0;
            self.append(&Message::log(Severity::Notice, text));
        }
        self.append(message);
    }

    fn append(&mut self, message: &Message) {
        let informational = message.is_informational();
        self.waiting += u32::from(informational);
        self.lines.push_back(Line { text: format!("{message}\n"), informational });
    }

    fn pop(&mut self) -> Option<String> {
        let line = self.lines.pop_front()?;
        self.waiting -= u32::from(line.informational);
        self.writing = true;
        Some(line.text)
    }

    /// The line from [`State::pop`] is written; or it is not, and never will be.
    fn finish_line(&mut self, is_written: bool) {
        self.writing = false;
        if !is_written {
            self.closed = true;
            self.lines.clear();
        }
    }

    /// Whether something is not written yet.
    fn is_busy(&self) -> bool {
        self.writing || !self.lines.is_empty()
    }
}

/// Allows [`BURST`] lines, and after `METHODS DONE` one more per [`REFILL`].
struct Throttle {
    left: u32,
    /// When the last line was earned; `None` before `METHODS DONE`.
    refilled: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { left: BURST, refilled: None }
    }
}

impl Throttle {
    fn start_refilling(&mut self, now: Instant) {
        self.refilled.get_or_insert(now);
    }

    fn admit(&mut self, now: Instant) -> bool {
        self.refill(now);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: Instant) {
        let Some(refilled) = self.refilled else { return };
        let earned = now.saturating_duration_since(refilled).as_millis() / REFILL.as_millis();
        let earned = u32::try_from(earned).unwrap_or(BURST).min(BURST);
        if earned > 0 {
            self.left = BURST.min(self.left + earned);
            self.refilled = Some(if self.left == BURST { now } else { refilled + REFILL * earned });
        }
    }
}

#[cfg(test)]
mod tests;
