//! The C side, which `include/hexchat-pt.h` declares and explains: the same transport for who has no bindings.
//!
//! No panic gets across: each function catches its own. Every pointer that comes in is checked for null, and used as the header demands.

#![allow(unsafe_code, reason = "the boundary to C")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;

use hexchat_pt::embedded::{Controller, Events};

use crate::controller::{ControllerError, settings};

/// What is called when something happens. Each may be null.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HexchatPtEvents {
    /// Given to each of them.
    pub context: *mut c_void,
    /// A session with a bridge is up.
    pub connected: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Something does not work; the sentence is gone when this returns.
    pub error: Option<unsafe extern "C" fn(context: *mut c_void, sentence: *const c_char)>,
    /// The transport has ended.
    pub stopped: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

// SAFETY: the header demands that `context` may be used by the thread of the events.
unsafe impl Send for HexchatPtEvents {}
// SAFETY: as above; the events are called by one thread at a time.
unsafe impl Sync for HexchatPtEvents {}

impl Events for HexchatPtEvents {
    fn connected(&self) {
        if let Some(connected) = self.connected {
            // SAFETY: the header demands a function of this type that can be called with `context`.
            unsafe { connected(self.context) }
        }
    }

    fn error(&self, sentence: &str) {
        // A log line has no control characters.
        if let (Some(error), Ok(sentence)) = (self.error, CString::new(sentence)) {
            // SAFETY: as above; the sentence lives until the call has returned.
            unsafe { error(self.context, sentence.as_ptr()) }
        }
    }

    fn stopped(&self) {
        if let Some(stopped) = self.stopped {
            // SAFETY: as above.
            unsafe { stopped(self.context) }
        }
    }
}

/// Nobody hears anything.
const UNHEARD: HexchatPtEvents =
    HexchatPtEvents { context: null_mut(), connected: None, error: None, stopped: None };

/// The version, for as long as the program runs.
#[unsafe(no_mangle)]
pub extern "C" fn hexchat_pt_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Makes a transport that does nothing yet, to be freed by [`hexchat_pt_free`]; null, and a sentence in `error`, where it cannot be made.
///
/// # Safety
///
/// `state_dir` and `log_level` are null or C strings, `events` is null or valid, with functions that may be called with its `context` by
/// another thread until the transport is freed; `error` is null or has room for `error_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hexchat_pt_new(
    state_dir: *const c_char,
    log_level: *const c_char,
    unsafe_logging: bool,
    events: *const HexchatPtEvents,
    error: *mut c_char,
    error_size: usize,
) -> *mut Controller {
    let make = || {
        // SAFETY: the caller's promise.
        let (state_dir, log_level) =
            unsafe { (text(state_dir, "state_dir")?, text(log_level, "log_level")?) };
        let state_dir = state_dir.ok_or_else(|| "there is no state_dir".to_owned())?;
        let settings = settings(state_dir, log_level.as_ref(), unsafe_logging).map_err(sentence)?;
        // SAFETY: the caller's promise.
        let events = unsafe { events.as_ref() }.copied().unwrap_or(UNHEARD);
        Ok(Box::into_raw(Box::new(Controller::new(settings, Arc::new(events)))))
    };
    // SAFETY: the caller's promise.
    unsafe { attempt(make, error, error_size) }.unwrap_or(null_mut())
}

/// Starts the transport: 0, or -1 and a sentence in `error`.
///
/// # Safety
///
/// `transport` is null or from [`hexchat_pt_new`] and not freed; `config` and `proxy` are null or C strings; `error` is null or has room
/// for `error_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hexchat_pt_start(
    transport: *const Controller,
    config: *const c_char,
    proxy: *const c_char,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let start = || {
        // SAFETY: the caller's promise.
        let transport = unsafe { transport.as_ref() }.ok_or_else(|| "there is no transport".to_owned())?;
        // SAFETY: the caller's promise.
        let (config, proxy) = unsafe { (text(config, "config")?, text(proxy, "proxy")?) };
        let proxy = proxy.filter(|proxy| !proxy.is_empty());
        let started = transport.start(config.as_deref(), proxy.as_deref());
        started.map(|_| ()).map_err(|error| error.to_string())
    };
    // SAFETY: the caller's promise.
    match unsafe { attempt(start, error, error_size) } {
        Some(()) => 0,
        None => -1,
    }
}

/// The port of 127.0.0.1 where it takes SOCKS connections; 0 where it does not run.
///
/// # Safety
///
/// `transport` is null or from [`hexchat_pt_new`] and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hexchat_pt_port(transport: *const Controller) -> u16 {
    // SAFETY: the caller's promise.
    let transport = unsafe { transport.as_ref() };
    let address = catch_unwind(AssertUnwindSafe(|| transport.and_then(Controller::address)));
    address.ok().flatten().map_or(0, |address| address.port())
}

/// Ends the transport, and returns when the last event was called and its threads have ended.
///
/// # Safety
///
/// `transport` is null or from [`hexchat_pt_new`] and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hexchat_pt_stop(transport: *const Controller) {
    // SAFETY: the caller's promise.
    let transport = unsafe { transport.as_ref() };
    let _ = catch_unwind(AssertUnwindSafe(|| transport.iter().for_each(|transport| transport.stop())));
}

/// Stops the transport, and frees it.
///
/// # Safety
///
/// `transport` is null or from [`hexchat_pt_new`], and nothing uses it any more: no other thread, and no event, which must not call this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hexchat_pt_free(transport: *mut Controller) {
    if !transport.is_null() {
        // SAFETY: the caller's promise; `hexchat_pt_new` has made it by `Box::into_raw`.
        let transport = unsafe { Box::from_raw(transport) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(transport)));
    }
}

/// The text of an argument of this name; none where it is null.
///
/// # Safety
///
/// It is null or a C string.
unsafe fn text(argument: *const c_char, name: &str) -> Result<Option<String>, String> {
    if argument.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(argument) }.to_str();
    text.map(|text| Some(text.to_owned())).map_err(|_| format!("{name} is not UTF-8"))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it by value")]
fn sentence(error: ControllerError) -> String {
    error.to_string()
}

/// What `work` comes to, or nothing, and then the reason is in `error`.
///
/// # Safety
///
/// `error` is null or has room for `error_size` bytes.
unsafe fn attempt<T>(
    work: impl FnOnce() -> Result<T, String>,
    error: *mut c_char,
    error_size: usize,
) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let reason = match outcome {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(reason)) => reason,
        Err(_) => "a fault in this library; please report it".to_owned(),
    };
    if !error.is_null() && error_size > 0 {
        let kept = &reason.as_bytes()[..reason.floor_char_boundary(error_size - 1)];
        // SAFETY: there is room for `error_size` bytes, of which these are at most all but one; and nothing of ours lies there.
        unsafe {
            error.cast::<u8>().copy_from_nonoverlapping(kept.as_ptr(), kept.len());
            error.add(kept.len()).write(0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::ptr::null;

    use super::*;

    /// What is said of this state directory and level, in a buffer of this size; nothing where it can be made.
    fn said_of(state_dir: *const c_char, log_level: *const c_char, room: usize) -> Option<String> {
        let mut error = vec![0x7f_u8; room + 1];
        // SAFETY: all of them are as the function demands.
        let transport =
            unsafe { hexchat_pt_new(state_dir, log_level, false, null(), error.as_mut_ptr().cast(), room) };
        assert_eq!(error[room], 0x7f, "nothing behind the end");
        if !transport.is_null() {
            // SAFETY: it was just made.
            unsafe { hexchat_pt_free(transport) };
            return None;
        }
        Some(
            CStr::from_bytes_until_nul(&error)
                .map(|text| text.to_str().unwrap().to_owned())
                .unwrap_or_default(),
        )
    }

    #[test]
    fn what_is_wrong_is_said_within_the_room_that_there_is() {
        let folder = c"/nonexistent";
        assert_eq!(said_of(folder.as_ptr(), null(), 100), None);
        assert_eq!(said_of(folder.as_ptr(), c"WARNING".as_ptr(), 100), None);
        let level = said_of(folder.as_ptr(), c"loud".as_ptr(), 100);
        assert_eq!(level.as_deref(), Some("a log level is error, warning, notice, info or debug"));
        assert_eq!(said_of(folder.as_ptr(), c"loud".as_ptr(), 12).as_deref(), Some("a log level"));
        assert_eq!(said_of(null(), null(), 100).as_deref(), Some("there is no state_dir"));
        assert_eq!(said_of(c"\xff".as_ptr(), null(), 100).as_deref(), Some("state_dir is not UTF-8"));
        assert_eq!(said_of(null(), null(), 0).as_deref(), Some(""));
    }

    #[test]
    fn nothing_at_all_is_no_crash() {
        // SAFETY: null is allowed.
        unsafe {
            assert_eq!(hexchat_pt_start(null(), null(), null(), null_mut(), 0), -1);
            assert_eq!(hexchat_pt_port(null()), 0);
            hexchat_pt_stop(null());
            hexchat_pt_free(null_mut());
        }
    }

    #[test]
    fn the_version_is_that_of_the_crate() {
        // SAFETY: it is a C string for as long as the program runs.
        let version = unsafe { CStr::from_ptr(hexchat_pt_version()) };
        assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
