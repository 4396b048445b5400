//! Events: what happens to a transport, called by a thread that does nothing else, so that whoever is called may be slow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::logging::{LineSink, Severity, ThreadLog};

/// Errors that wait to be heard: 64 at most, many times what there is to say in a minute. Others are in the log alone.
const MOST_WAITING: usize = 64;

/// Is told what happens to a transport, by one thread, one event after the other.
pub trait Events: Send + Sync {
    /// A session with a bridge is up: the first, and each that is made or taken up again later. Of the classic protocol, which has no sessions,
    /// the first stream.
    fn connected(&self);

    /// Something does not work, which somebody should know: a sentence of the log, from warnings on. The transport tries again by itself
    /// where that can help, and says the same again every hour at most.
    fn error(&self, sentence: &str);

    /// It has ended, and nothing follows.
    fn stopped(&self);
}

enum Event {
    Connected,
    Error(String),
    Stopped,
}

/// Takes events without waiting for whoever hears them.
#[derive(Clone)]
pub(super) struct Mailbox {
    sender: Sender<Event>,
    errors: Arc<AtomicUsize>,
}

/// The other end of it.
pub(super) struct Inbox {
    receiver: Receiver<Event>,
    errors: Arc<AtomicUsize>,
}

pub(super) fn mailbox() -> (Mailbox, Inbox) {
    let (sender, receiver) = channel();
    let errors = Arc::new(AtomicUsize::new(0));
    (Mailbox { sender, errors: Arc::clone(&errors) }, Inbox { receiver, errors })
}

impl Mailbox {
    pub(super) fn connected(&self) {
        self.send(Event::Connected);
    }

    pub(super) fn stopped(&self) {
        self.send(Event::Stopped);
    }

    /// Where the log goes besides its file.
    pub(super) fn into_sink(self) -> LineSink {
        Box::new(move |severity, line| {
            if severity >= Severity::Warning && self.errors.fetch_add(1, Relaxed) < MOST_WAITING {
                self.send(Event::Error(line));
            } else if severity >= Severity::Warning {
                self.errors.fetch_sub(1, Relaxed);
            }
        })
    }

    fn send(&self, event: Event) {
        // If nobody hears it any more, it has stopped.
        let _ = self.sender.send(event);
    }
}

impl Inbox {
    /// Calls the events until the last one. What they do wrong is caught, and is for `log`.
    pub(super) fn deliver_to(self, events: &dyn Events, log: &ThreadLog) {
        ThreadLog::silence_panics_here();
        while let Ok(event) = self.receiver.recv() {
            let is_last = matches!(event, Event::Stopped);
            if catch_unwind(AssertUnwindSafe(|| self.deliver(events, event))).is_err() {
                // No warning: that would be another event.
                log.run(|| tracing::info!("the program that was told of an event has failed at it"));
                ThreadLog::silence_panics_here();
            }
            if is_last {
                return;
            }
        }
    }

    fn deliver(&self, events: &dyn Events, event: Event) {
        match event {
            Event::Connected => events.connected(),
            Event::Stopped => events.stopped(),
            Event::Error(sentence) => {
                self.errors.fetch_sub(1, Relaxed);
                events.error(&sentence);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::sync::Mutex;

    use super::*;
    use crate::logging::{Options, Sink};

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Events for Heard {
        fn connected(&self) {
            self.0.lock().unwrap().push("connected".to_owned());
        }

        fn error(&self, sentence: &str) {
            self.0.lock().unwrap().push(sentence.to_owned());
            assert_ne!(sentence, "bad");
        }

        fn stopped(&self) {
            self.0.lock().unwrap().push("stopped".to_owned());
        }
    }

    fn heard(inbox: Inbox) -> (Vec<String>, Vec<String>) {
        let (heard, lines) = (Heard::default(), Arc::new(Mutex::new(Vec::new())));
        let written = Arc::clone(&lines);
        let sink = Sink::Lines(Box::new(move |_, line| written.lock().unwrap().push(line)));
        let options = Options { level: Severity::Notice, file: None, unsafe_logging: false, sink };
        let log = ThreadLog::new(options);
        std::thread::scope(|scope| scope.spawn(|| inbox.deliver_to(&heard, &log)).join().unwrap());
        let lines = lines.lock().unwrap().clone();
        (heard.0.into_inner().unwrap(), lines)
    }

    #[test]
    fn warnings_and_errors_are_events_and_what_is_below_is_not() {
        let (mailbox, inbox) = mailbox();
        let sink = mailbox.clone().into_sink();
        sink(Severity::Notice, "fine".to_owned());
        sink(Severity::Warning, "odd".to_owned());
        mailbox.connected();
        mailbox.stopped();
        assert_eq!(heard(inbox).0, ["odd", "connected", "stopped"]);
    }

    #[test]
    fn who_fails_at_an_event_hears_the_next_one_and_the_log_says_so() {
        let (mailbox, inbox) = mailbox();
        mailbox.clone().into_sink()(Severity::Error, "bad".to_owned());
        mailbox.stopped();
        let (events, log) = heard(inbox);
        assert_eq!(events, ["bad", "stopped"]);
        assert_eq!(log, ["the program that was told of an event has failed at it"]);
    }

    #[test]
    fn errors_that_nobody_hears_are_bounded_and_the_rest_is_not_lost() {
        let (mailbox, inbox) = mailbox();
        let sink = mailbox.clone().into_sink();
        (0..1000).for_each(|n| sink(Severity::Error, n.to_string()));
        mailbox.connected();
        mailbox.stopped();
        assert_eq!(heard(inbox).0.len(), MOST_WAITING + 2);
    }
}
