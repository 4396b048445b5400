//! Bounded reads of small files that somebody else wrote. They never wait.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::error::Problem;
use crate::os;

/// The longest file of trust roots: 1 MiB, four times the bundle of a whole system.
const MAX_CERTIFICATES: usize = 1 << 20;

/// Room for the end of a file: 64 bytes. With more than 32 free, the standard library finds the end without growing the
/// buffer, which would leave a copy of what was read behind.
const END_OF_FILE: usize = 64;

/// A file's text, and whether any user of the machine can read it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: Zeroizing<String>,
    pub(super) world_readable: bool,
}

/// Reads a whole file of at most `max` bytes.
///
/// Pipes are refused, because opening one can wait for ever.
pub(super) fn read_text(path: &Path, max: usize) -> Result<Text, Problem> {
    let (bytes, metadata) = read_bytes(path, max)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::NotUtf8)?;
    let text = Zeroizing::new(text.to_owned());
    // `/dev/null` may be read by anybody, and holds no secret.
    let world_readable = metadata.is_file() && os::is_world_readable(&metadata);
    Ok(Text { text, world_readable })
}

/// Checks that a file of trust roots is there and has at least one certificate.
pub(super) fn check_certificates(path: &Path) -> Result<(), Problem> {
    let (pem, _) = read_bytes(path, MAX_CERTIFICATES)?;
    match CertificateDer::pem_slice_iter(&pem).next() {
        Some(Ok(_)) => Ok(()),
        _ => Err(Problem::Invalid("a PEM file with at least one certificate")),
    }
}

fn read_bytes(path: &Path, max: usize) -> Result<(Zeroizing<Vec<u8>>, fs::Metadata), Problem> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    let kind = metadata.file_type();
    if !kind.is_file() && !os::is_char_device(kind) {
        return Err(Problem::NotAFile);
    }
    let bytes = read_bounded(path, metadata.len(), max).map_err(|error| unreadable(&error))?;
    if bytes.len() > max {
        return Err(Problem::TooLong { max });
    }
    Ok((bytes, metadata))
}

fn unreadable(error: &io::Error) -> Problem {
    if os::is_out_of_descriptors(error) { Problem::NoDescriptor } else { Problem::Unreadable(error.kind()) }
}

/// At most one byte more than `max` of a file that is about as long as `length`.
fn read_bounded(path: &Path, length: u64, max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    // A vector that has to grow leaves a copy of itself behind. The end of the file is found in what is left.
    let capacity = usize::try_from(length.min(limit)).unwrap_or(max) + END_OF_FILE;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use crate::os::testing::{make_pipe, set_mode};

    #[test]
    fn a_file_is_read_up_to_its_bound_and_not_beyond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "12345").unwrap();
        assert_eq!(*read_text(&path, 5).unwrap().text, "12345");
        assert_eq!(read_text(&path, 4).unwrap_err(), Problem::TooLong { max: 4 });
    }

    #[test]
    fn what_is_not_a_text_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_text(&path, 9).unwrap_err(), Problem::NotUtf8);
        assert_eq!(read_text(dir.path(), 9).unwrap_err(), Problem::NotAFile);
        let missing = read_text(&dir.path().join("none"), 9).unwrap_err();
        assert_eq!(missing, Problem::Unreadable(io::ErrorKind::NotFound));
        let pipe = dir.path().join("pipe");
        make_pipe(&pipe);
        assert_eq!(read_text(&pipe, 9).unwrap_err(), Problem::NotAFile);
        assert_eq!(*read_text(Path::new("/dev/null"), 9).unwrap().text, "");
    }

    #[test]
    fn a_file_of_trust_roots_has_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let invalid = Err(Problem::Invalid("a PEM file with at least one certificate"));
        for text in ["", "hunter2", "-----BEGIN CERTIFICATE-----\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(check_certificates(&path), invalid, "{text:?}");
        }
        fs::write(&path, b"\xff\n-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n").unwrap();
        assert_eq!(check_certificates(&path), Ok(()));
        let missing = check_certificates(&dir.path().join("none"));
        assert_eq!(missing, Err(Problem::Unreadable(io::ErrorKind::NotFound)));
    }

    #[test]
    fn a_file_that_anybody_can_read_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "").unwrap();
        for (mode, exposed) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            set_mode(&path, mode);
            assert_eq!(read_text(&path, 9).unwrap().world_readable, exposed, "{mode:o}");
        }
    }
}
