//! From an event of `tracing` to the sink and the file.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line::line_of;
use super::timestamp::utc;
use super::{Severity, Sink};

/// The one crate whose events pass.
const OWN_CRATE: &str = "hexchat_pt";

/// Filters, formats and writes.
pub(super) struct LineLayer {
    level: Level,
    sink: Sink,
    file: Option<Mutex<File>>,
}

impl LineLayer {
    pub(super) fn new(level: Severity, sink: Sink, file: Option<File>) -> Self {
        Self { level: level.into(), sink, file: file.map(Mutex::new) }
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level && is_own(metadata.target())
    }

    fn write(&self, severity: Severity, line: String) {
        if let Some(file) = self.file.as_ref().and_then(lock) {
            // Nobody is left to tell that the log cannot be written.
            let _ = writeln!(&*file, "{} [{severity}] {line}", utc(SystemTime::now()));
        }
        match &self.sink {
            Sink::Lines(sink) => sink(severity, line),
            Sink::Stderr => {
                // In one piece: stderr is not buffered, and others may write to it as well.
                let _ = io::stderr().write_all(format!("[{severity}] {line}\n").as_bytes());
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Asked again, because a layer around this one may pass events on without asking.
        if self.passes(event.metadata()) {
            self.write((*event.metadata().level()).into(), line_of(event));
        }
    }
}

fn is_own(target: &str) -> bool {
    target.strip_prefix(OWN_CRATE).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `None` when a thread that panics holds the lock itself.
fn lock(file: &Mutex<File>) -> Option<MutexGuard<'_, File>> {
    if std::thread::panicking() {
        return file.try_lock().ok();
    }
    Some(file.lock().unwrap_or_else(PoisonError::into_inner))
}
