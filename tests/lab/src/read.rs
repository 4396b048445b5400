//! Reading from what has a time limit, through the interruptions of the system.

use std::io::{self, ErrorKind, Read};

/// Reads, also where the system has interrupted that: it takes up no read again that has a time limit.
///
/// # Errors
///
/// As [`Read::read`], but for [`ErrorKind::Interrupted`].
pub fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
