//! Any system: what the standard library and tokio can do everywhere.
//!
//! Modes, owners, limits and options of sockets are not among it. Files are as private as the folder that they are made
//! in, which on Windows is the user's own.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use tokio::net::TcpStream;

/// Opens a file.
///
/// # Errors
/// When the operating system refuses.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

/// Opens a file that is no symbolic link, as far as can be seen before.
///
/// # Errors
/// When the operating system refuses, and for a symbolic link.
pub fn open_private_unfollowed(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    if path.is_symlink() {
        return Err(io::Error::other("it is a symbolic link"));
    }
    open_private(options, path)
}

/// Nothing: there are no modes.
///
/// # Errors
/// None.
pub fn close_to_others(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Whether any user of the machine is known to be able to read the file: never.
#[must_use]
pub fn is_world_readable(_metadata: &Metadata) -> bool {
    false
}

/// Whether it is a device that is read like a file: never.
#[must_use]
pub fn is_char_device(_kind: FileType) -> bool {
    false
}

/// Makes a directory, with those above it; one that is there stays as it is.
///
/// # Errors
/// When the operating system refuses.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Whether a directory is known to be for all users to put files in: never.
#[must_use]
pub fn is_shared(_metadata: &Metadata) -> bool {
    false
}

/// Whether a file or directory is known to belong to another user: never.
#[must_use]
pub fn is_foreign(_metadata: &Metadata) -> bool {
    false
}

/// Nothing: there are no modes.
///
/// # Errors
/// None.
pub fn close_dir_to_others(_path: &Path, _metadata: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Nothing: not every system can open a directory.
///
/// # Errors
/// None.
pub fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// As whom this process runs, for people: nobody knows.
#[must_use]
pub fn user() -> String {
    "the user who has started it".to_owned()
}

/// Nothing: no limit is known.
///
/// # Errors
/// None.
pub fn raise_descriptor_limit() -> io::Result<()> {
    Ok(())
}

/// How many files and sockets this process may have open: no limit is known.
#[must_use]
pub fn descriptor_limit() -> usize {
    usize::MAX
}

/// Whether this process may open `count` files or sockets more: nothing is known against it.
///
/// # Errors
/// None.
pub fn check_spare_descriptors(_count: usize) -> io::Result<()> {
    Ok(())
}

/// The error of a process that may open no more files and sockets.
#[must_use]
pub fn out_of_descriptors() -> io::Error {
    io::Error::other("too many open files")
}

/// Whether something is known to have failed because no more files and sockets may be open: never.
#[must_use]
pub fn is_out_of_descriptors(_error: &io::Error) -> bool {
    false
}

/// Nothing: it is not known how.
///
/// # Errors
/// None.
pub fn disable_core_dumps() -> io::Result<()> {
    Ok(())
}

/// Nothing: it is not known how.
pub fn acknowledge_at_once(_socket: &TcpStream) {}

/// Nothing: it is not known how.
pub fn limit_unsent(_socket: &TcpStream, _bytes: u32) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use std::io::{Read as _, Write as _};

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_file_is_made_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = open_private(OpenOptions::new().write(true).create_new(true), &path).unwrap();
        close_to_others(&file).unwrap();
        file.write_all(b"text").unwrap();
        let mut text = String::new();
        open_private(OpenOptions::new().read(true), &path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        let metadata = file.metadata().unwrap();
        assert!(!is_world_readable(&metadata) && !is_char_device(metadata.file_type()));
        assert!(open_private_unfollowed(OpenOptions::new().read(true), &path).is_ok());
    }

    #[test]
    fn a_directory_is_made_with_those_above_it_and_used_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("above/below");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.is_dir() && !is_shared(&metadata) && !is_foreign(&metadata));
        close_dir_to_others(&path, &metadata).unwrap();
        sync_dir(&path).unwrap();
    }

    #[test]
    fn there_is_no_limit_to_descriptors() {
        raise_descriptor_limit().unwrap();
        assert!(!user().is_empty());
        assert_eq!(descriptor_limit(), usize::MAX);
        check_spare_descriptors(usize::MAX).unwrap();
        assert!(!is_out_of_descriptors(&out_of_descriptors()));
        assert_eq!(out_of_descriptors().to_string(), "too many open files");
    }

    #[tokio::test]
    async fn what_cannot_be_done_stops_nothing() {
        disable_core_dumps().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        acknowledge_at_once(&socket);
        limit_unsent(&socket, 1);
        assert!(socket.peer_addr().is_ok());
    }
}
