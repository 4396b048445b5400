//! Panics as log lines.

use std::panic::{self, PanicHookInfo};

/// Makes every panic one error line. The payload can hold anything, so that it is shown only to those who asked for
/// unsafe logging; the place in the source cannot.
pub(super) fn log_panics(with_payload: bool) {
    panic::set_hook(Box::new(move |info| log(info, with_payload)));
}

fn log(info: &PanicHookInfo<'_>, with_payload: bool) {
    let (file, line) = info.location().map_or(("unknown", 0), |place| (place.file(), place.line()));
    let payload =
        info.payload_as_str().filter(|_| with_payload).unwrap_or("not shown without --unsafe-logging");
    tracing::error!(file, line, payload, "a fault in this program; please report it");
}
