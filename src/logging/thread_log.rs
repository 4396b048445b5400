//! Log of single threads, for who is a part of somebody else's process: what other threads log goes elsewhere.

use std::cell::RefCell;
use std::fmt;

use tracing::Dispatch;
use tracing::dispatcher::{self, DefaultGuard};

use super::panic::{self, Panics};
use super::{Options, subscriber};

thread_local! {
    /// Ends with the thread.
    static GUARD: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

/// A log that threads can be given, and no others have.
#[derive(Clone)]
pub struct ThreadLog {
    dispatch: Dispatch,
    unsafe_logging: bool,
}

impl ThreadLog {
    /// As [`init`](super::init) sets one up for a whole process.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let unsafe_logging = options.unsafe_logging;
        Self { dispatch: Dispatch::new(subscriber(options)), unsafe_logging }
    }

    /// Logs what `work` does in this thread. Its panics become log lines, for the rest of the thread.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        panic::for_this_thread(Panics::Logged { with_payload: self.unsafe_logging });
        dispatcher::with_default(&self.dispatch, || {
            if self.unsafe_logging { safelog::with_safe_logging_suppressed(work) } else { work() }
        })
    }

    /// Logs what this thread does from now on, always scrubbed. For threads whose work others choose.
    pub fn stay(&self) {
        panic::for_this_thread(Panics::Logged { with_payload: self.unsafe_logging });
        let guard = dispatcher::set_default(&self.dispatch);
        GUARD.with(|place| *place.borrow_mut() = Some(guard));
    }

    /// Says nothing of panics of this thread: whoever catches them does that.
    pub fn silence_panics_here() {
        panic::for_this_thread(Panics::Silent);
    }
}

impl fmt::Debug for ThreadLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadLog(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use crate::logging::{Severity, Sink};

    type Lines = Arc<Mutex<Vec<String>>>;

    fn log(level: Severity, unsafe_logging: bool) -> (ThreadLog, Lines) {
        let lines = Lines::default();
        let written = Arc::clone(&lines);
        let sink = Sink::Lines(Box::new(move |_, line| written.lock().unwrap().push(line)));
        (ThreadLog::new(Options { level, file: None, unsafe_logging, sink }), lines)
    }

    fn lines(lines: &Lines) -> Vec<String> {
        lines.lock().unwrap().clone()
    }

    fn greet(who: &str) {
        tracing::info!("{} is here", safelog::sensitive(who));
    }

    #[test]
    fn two_threads_with_a_log_each_write_into_their_own_with_its_level_and_scrubbing() {
        let (mine, quiet, yours) =
            (log(Severity::Notice, false), log(Severity::Warning, false), log(Severity::Notice, true));
        thread::scope(|scope| {
            for (n, (log, _)) in [&mine, &quiet, &yours].into_iter().enumerate() {
                scope.spawn(move || log.run(|| greet(&n.to_string())));
            }
            scope.spawn(|| greet("nobody"));
        });
        assert_eq!(lines(&mine.1), ["[scrubbed] is here"]);
        assert_eq!(lines(&quiet.1), Vec::<String>::new());
        assert_eq!(lines(&yours.1), ["2 is here"]);
    }

    #[test]
    fn a_thread_that_stays_logs_until_its_end_and_lets_go_of_the_log() {
        let (log, written) = log(Severity::Notice, true);
        let helper = log.clone();
        thread::spawn(move || {
            helper.stay();
            greet("somebody");
        })
        .join()
        .unwrap();
        assert_eq!(lines(&written), ["[scrubbed] is here"], "scrubbed, whatever was asked for");
        drop(log);
        assert_eq!(Arc::strong_count(&written), 1);
    }

    #[test]
    fn a_panic_of_a_thread_with_a_log_is_a_line_in_it_without_what_it_says() {
        let (log, written) = log(Severity::Notice, false);
        let panicked = thread::spawn(move || log.run(|| panic!("the password is hunter2"))).join();
        assert!(panicked.is_err());
        let [line] = &lines(&written)[..] else { panic!("one line") };
        assert!(line.contains("a fault in this program") && !line.contains("hunter2"), "{line}");
    }
}
