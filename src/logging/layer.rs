//! Layer of `tracing`: filters and formats events, and writes them to the sink and the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
use crate::os;

/// The one crate whose events pass.
const OWN_CRATE: &str = "hexchat_pt";

/// Filters, formats and writes.
pub(super) struct LineLayer {
    level: Level,
    sink: Sink,
    file: Option<LogFile>,
}

/// A file, and whether somebody knows that it cannot be written to.
struct LogFile {
    file: Mutex<File>,
    path: PathBuf,
    complained: AtomicBool,
}

impl LineLayer {
    pub(super) fn new(level: Severity, sink: Sink, path: Option<PathBuf>) -> Self {
        let opened = path.map(|path| (open(&path), path));
        let mut layer = Self { level: level.into(), sink, file: None };
        match opened {
            Some((Ok(file), path)) => layer.file = Some(LogFile::new(file, path)),
            Some((Err(error), path)) => layer.complain(&path, "opened", &error, "going on without it"),
            None => {}
        }
        layer
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level && is_own(metadata.target())
    }

    fn write(&self, severity: Severity, line: String) {
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.write(severity, &line)) {
            let path = self.file.as_ref().map_or(Path::new(""), |file| &file.path);
            self.complain(path, "written to", &error, "lines will be missing in it");
        }
        self.tell(severity, line);
    }

    /// The file's own faults, for which there is no level.
    fn complain(&self, path: &Path, what: &str, error: &io::Error, outcome: &str) {
        let name = path.to_string_lossy().replace(char::is_control, "?");
        let who = match error.kind() {
            io::ErrorKind::PermissionDenied => format!(" for {}, as whom this process runs", os::user()),
            _ => String::new(),
        };
        let kind = error.kind();
        self.tell(
            Severity::Warning,
            format!("the log file {name} cannot be {what} ({kind}{who}); {outcome}"),
        );
    }

    fn tell(&self, severity: Severity, line: String) {
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

/// Opens a file to append to, and closes it to other users.
fn open(path: &Path) -> io::Result<File> {
    let file = os::open_private(OpenOptions::new().append(true).create(true), path)?;
    os::close_to_others(&file)?;
    Ok(file)
}

fn is_own(target: &str) -> bool {
    target.strip_prefix(OWN_CRATE).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl LogFile {
    fn new(file: File, path: PathBuf) -> Self {
        Self { file: Mutex::new(file), path, complained: AtomicBool::new(false) }
    }

    /// Writes a line. Only the first fault is an error: a full disk would be told with every line.
    fn write(&self, severity: Severity, line: &str) -> io::Result<()> {
        let Some(mut file) = self.lock() else { return Ok(()) };
        // In one piece: a second process may append to the file too.
        let written = file.write_all(format!("{} [{severity}] {line}\n", utc(SystemTime::now())).as_bytes());
        written.or_else(|error| if self.complained.swap(true, Relaxed) { Ok(()) } else { Err(error) })
    }

    /// `None` when a thread that panics holds the lock itself.
    fn lock(&self) -> Option<MutexGuard<'_, File>> {
        if std::thread::panicking() {
            return self.file.try_lock().ok();
        }
        Some(self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
