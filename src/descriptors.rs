//! File descriptors: how many this process may have open, and how many of them connections may take.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process open as many files and sockets as the operating system allows it without being asked again.
///
/// # Errors
/// When the operating system refuses. Then there are as many as before.
pub fn raise_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(())
}

/// How many files and sockets this process may have open.
#[must_use]
pub fn limit() -> usize {
    let soft = getrlimit(Resource::Nofile).current;
    soft.and_then(|soft| usize::try_from(soft).ok()).unwrap_or(usize::MAX)
}

/// How many of `limit` the connections of streams may take. The rest is for the accounts, the state directory, which must
/// be written before anybody is let in, the resolver, and connections that are just being closed.
#[must_use]
pub fn for_streams(limit: usize) -> usize {
    (limit / 2).max(1)
}

/// Whether something failed because there are no descriptors left.
#[must_use]
pub fn are_exhausted(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_left_for_what_is_no_stream() {
        assert_eq!([for_streams(1024), for_streams(usize::MAX), for_streams(1)], [512, usize::MAX / 2, 1]);
    }

    #[test]
    fn the_limit_is_the_highest_that_is_allowed_once_it_is_raised() {
        raise_limit().unwrap();
        let hard = getrlimit(Resource::Nofile).maximum;
        assert_eq!(limit() as u64, hard.unwrap_or(usize::MAX as u64));
    }

    #[test]
    fn want_of_descriptors_is_told_from_other_faults() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(are_exhausted(&error(Errno::MFILE)) && are_exhausted(&error(Errno::NFILE)));
        assert!(!are_exhausted(&error(Errno::CONNREFUSED)));
    }
}
