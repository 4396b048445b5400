//! Writer of a trace: lines of JSON, as many as there is room for.

use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::json::{Object, millis, of_event};
use crate::tunnel::TunnelEvent;

/// The format. A field or an event more does not change its version; one that means something else does.
const FORMAT: &str = "hexchat-pt-trace";
const VERSION: u64 = 1;

/// Room for the last line: 200 bytes, more than it takes.
const LAST_LINE: u64 = 200;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Writer<W: Write> {
    out: BufWriter<W>,
    /// How much there is, what was there before included, and how much there may be, in bytes.
    written: u64,
    most: u64,
    start: Instant,
    /// When the last line was, since the start.
    last: Duration,
}

impl<W: Write> Writer<W> {
    /// One that begins behind so many bytes of so many that there may be. Times are told since `start`.
    pub(super) fn new(out: W, (written, most): (u64, u64), start: Instant) -> Self {
        Self { out: BufWriter::new(out), written, most, start, last: Duration::ZERO }
    }

    /// Whether there is no room for anything but the last line.
    pub(super) fn is_full(&self) -> bool {
        self.written + 2 * LAST_LINE > self.most
    }

    /// Writes what stands before all events: what this is, and when its start was by the clock on the wall. Behind what `is_torn`, it begins
    /// a line.
    pub(super) fn begin(&mut self, wall_clock: SystemTime, is_torn: bool) -> io::Result<()> {
        let epoch = wall_clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let first = Object::new().with("format", FORMAT).with("version", VERSION);
        let first = first.with("program", env!("CARGO_PKG_VERSION")).with("epoch_ms", millis(epoch));
        let line = first.to_line();
        self.write_line(&if is_torn { format!("\n{line}") } else { line })?;
        self.out.flush()
    }

    /// Writes all that comes, until no more does or there is no room.
    pub(super) fn write_all(&mut self, events: &mut mpsc::Receiver<TunnelEvent>) -> io::Result<()> {
        while let Some(traced) = events.blocking_recv() {
            if !self.write(&traced)? {
                return self.out.flush();
            }
            if events.is_empty() {
                self.out.flush()?;
            }
        }
        self.say_last("trace_ended")
    }

    /// Writes an event; false when there is no room, which is said in its place.
    fn write(&mut self, traced: &TunnelEvent) -> io::Result<bool> {
        // Threads that wait for each other can tell of things in another order by microseconds.
        self.last = self.last.max(traced.at.saturating_duration_since(self.start));
        let line = of_event(self.last, traced).to_line();
        if self.written + line.len() as u64 + LAST_LINE > self.most {
            self.say_last("trace_full")?;
            return Ok(false);
        }
        self.write_line(&line)?;
        Ok(true)
    }

    fn say_last(&mut self, event: &'static str) -> io::Result<()> {
        let last = Object::new().with("ms", millis(self.last)).with("event", event);
        self.write_line(&last.to_line())?;
        self.out.flush()
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.written += line.len() as u64;
        self.out.write_all(line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;
    use crate::secure::trace::TraceEvent;

    fn traced(at: Instant) -> TunnelEvent {
        TunnelEvent { at, login: None, event: TraceEvent::SessionConfirmed { session: 1 } }
    }

    /// What is written of so many events, each a millisecond after the one before, where there may be so many bytes.
    fn written(events: u32, most: u64) -> Vec<serde_json::Value> {
        let start = Instant::now();
        let (sender, mut receiver) = mpsc::channel(events.max(1) as usize);
        (0..events).for_each(|n| sender.try_send(traced(start + n * Duration::from_millis(1))).unwrap());
        drop(sender);
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, (0, most), start);
        writer.begin(SystemTime::UNIX_EPOCH + Duration::from_millis(1500), false).unwrap();
        writer.write_all(&mut receiver).unwrap();
        drop(writer);
        assert!(out.len() as u64 <= most, "{} bytes", out.len());
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_first_line_says_what_it_is_and_when_it_began_and_the_last_that_it_ended() {
        let lines = written(2, 10_000);
        assert_eq!(lines.len(), 4);
        assert_eq!((&lines[0]["format"], &lines[0]["version"]), (&FORMAT.into(), &VERSION.into()));
        assert_eq!(lines[0]["epoch_ms"], 1500.0);
        assert_eq!((&lines[2]["ms"], &lines[2]["event"]), (&1.0.into(), &"session_confirmed".into()));
        assert_eq!(lines[3]["event"], "trace_ended");
    }

    #[test]
    fn where_there_is_no_room_for_more_the_last_line_says_so() {
        let lines = written(1000, 2000);
        assert!(lines.len() > 10, "{lines:?}");
        assert_eq!(lines.last().unwrap()["event"], "trace_full");
        assert_eq!(lines.iter().filter(|line| line["event"] == "trace_ended").count(), 0);
    }

    #[test]
    fn times_never_go_back() {
        let start = Instant::now();
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, (0, 10_000), start);
        for micros in [20, 10, 30] {
            writer.write(&traced(start + Duration::from_micros(micros))).unwrap();
        }
        drop(writer);
        let times = String::from_utf8(out).unwrap();
        let times =
            times.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["ms"].clone());
        assert_eq!(times.collect::<Vec<_>>(), [0.02, 0.02, 0.03]);
    }

    #[test]
    fn a_disk_that_is_full_ends_it_with_an_error() {
        let mut disk = [0u8; 40];
        let mut writer = Writer::new(&mut disk[..], (0, 10_000), Instant::now());
        assert!(writer.begin(SystemTime::UNIX_EPOCH, false).is_err());
    }
}
