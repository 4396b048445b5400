//! Panics as log lines.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

/// Makes every panic one error line. The payload can hold anything, so that it is shown only to those who asked for
/// unsafe logging; the place in the source cannot.
pub(super) fn log_panics(with_payload: bool) {
    panic::set_hook(Box::new(move |info| log(info, with_payload)));
}

/// What becomes of the panics of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panics {
    /// Each is one error line, with its payload or without.
    Logged { with_payload: bool },
    /// Nothing is said of them here: whoever catches them does that.
    Silent,
}

thread_local! {
    static OF_THREAD: Cell<Option<Panics>> = const { Cell::new(None) };
}

/// Decides what becomes of the panics of this thread. Those of others go where they went before.
pub(super) fn for_this_thread(panics: Panics) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| match OF_THREAD.try_with(Cell::get).ok().flatten() {
            Some(Panics::Logged { with_payload }) => log(info, with_payload),
            Some(Panics::Silent) => {}
            None => others(info),
        }));
    });
    OF_THREAD.set(Some(panics));
}

/// The place in a crate, without that of the crate on the machine that it was built on.
fn within_crate(file: &str) -> &str {
    if !file.starts_with('/') {
        return file;
    }
    // What a build script wrote lies in no crate: its name alone says enough.
    let of_crate = file.rfind("/src/").and_then(|source| file[..source].rfind('/'));
    of_crate.or(file.rfind('/')).map_or(file, |folder| &file[folder + 1..])
}

fn log(info: &PanicHookInfo<'_>, with_payload: bool) {
    let (file, line) =
        info.location().map_or(("unknown", 0), |place| (within_crate(place.file()), place.line()));
    let payload =
        info.payload_as_str().filter(|_| with_payload).unwrap_or("not shown without --unsafe-logging");
    tracing::error!(file, line, payload, "a fault in this program; please report it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_source_does_not_name_the_machine_it_was_built_on() {
        for (file, shown) in [
            ("/home/me/registry/src/index-1/tokio-1.0.0/src/net/tcp.rs", "tokio-1.0.0/src/net/tcp.rs"),
            ("/rustc/0123abcd/library/core/src/option.rs", "core/src/option.rs"),
            ("src/client.rs", "src/client.rs"),
            ("/home/me/target/debug/build/ring-1/out/generated.rs", "generated.rs"),
        ] {
            assert_eq!(within_crate(file), shown);
        }
    }
}
