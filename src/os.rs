//! Operating system: what differs between systems, behind the same functions on all of them.
//!
//! | what | functions |
//! | --- | --- |
//! | files of the owner alone | [`open_private`], [`open_private_unfollowed`], [`close_to_others`], [`is_world_readable`], [`is_char_device`] |
//! | directories | [`create_private_dir`], [`is_shared`], [`is_foreign`], [`close_dir_to_others`], [`sync_dir`] |
//! | files and sockets that may be open | [`raise_descriptor_limit`], [`descriptor_limit`], [`check_spare_descriptors`], [`out_of_descriptors`], [`is_out_of_descriptors`] |
//! | names | [`names_dns_servers`], [`user`] |
//! | memory | [`disable_core_dumps`] |
//! | TCP | [`acknowledge_at_once`], [`limit_unsent`] |
//!
//! Signals and the parent's death are `tor_pt`'s, which keeps to the same rule in a room of its own.
//!
//! `unix` serves Unix. `portable` needs the standard library and tokio alone and serves every other system: what it cannot
//! do, it leaves undone. So that it cannot rot where nobody has another system, its tests run on Unix as well, and `--cfg
//! portable_os` puts it in the place of `unix`: `make lint` compiles everything with it, `make portable` runs it. That is a
//! configuration and not a feature of the package, so that nobody builds by accident a program that leaves its keys open to
//! other users.

#[cfg(any(not(unix), portable_os, test))]
#[cfg_attr(all(unix, not(portable_os)), expect(unreachable_pub, reason = "here only its tests are wanted"))]
mod portable;
#[cfg(all(test, unix))]
pub(crate) mod testing;
#[cfg(all(unix, not(portable_os)))]
mod unix;

#[cfg(any(not(unix), portable_os))]
pub use portable::*;
#[cfg(all(unix, not(portable_os)))]
pub use unix::*;

/// Whether a program can read which DNS servers there are. On Android only an app can, by its virtual machine, which a program that Tor
/// starts does not have.
#[must_use]
pub fn names_dns_servers() -> bool {
    !cfg!(target_os = "android")
}

#[cfg(test)]
mod tests {
    #[test]
    fn dns_servers_are_read_wherever_somebody_may() {
        assert!(super::names_dns_servers());
    }
}
