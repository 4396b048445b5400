//! What keeps the memory of this process, and the passwords in it, from being written somewhere.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Makes a crash leave no core file, here or in the processes that this one starts.
///
/// On Linux, the process also stops being dumpable: a core that the kernel hands to a program, which the limit does
/// not prevent, is not made either, and other processes of the same user can no longer trace this one or read its
/// memory. Its `/proc/PID/fd` and `/proc/PID/environ` then belong to root.
///
/// # Errors
/// When the operating system refuses. Nothing else depends on it.
pub fn disable_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
