//! Unix: modes and owners, limits, descriptors, and options of sockets.

use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

/// Opens a file without ever waiting, as opening a pipe that has no other end can. A file that is made is for its owner
/// alone (mode 0600).
///
/// # Errors
/// When the operating system refuses.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    open_with(OFlags::NONBLOCK, options, path)
}

/// The same, but where the path itself is a symbolic link, that is refused and not followed.
///
/// # Errors
/// When the operating system refuses, and for a symbolic link.
pub fn open_private_unfollowed(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    open_with(OFlags::NONBLOCK | OFlags::NOFOLLOW, options, path)
}

fn open_with(flags: OFlags, options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)
}

/// Closes a file to other users, if it is one and not a pipe or a device.
///
/// # Errors
/// When the operating system refuses.
pub fn close_to_others(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Whether any user of the machine can read the file.
#[must_use]
pub fn is_world_readable(metadata: &Metadata) -> bool {
    metadata.mode() & 0o004 != 0
}

/// Whether it is a device that is read like a file: `/dev/null`.
#[must_use]
pub fn is_char_device(kind: FileType) -> bool {
    kind.is_char_device()
}

/// Makes a directory for its owner alone (mode 0700), with those above it; one that is there stays as it is.
///
/// # Errors
/// When the operating system refuses.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether a directory is for all users to put files in, like `/tmp`: it has the sticky bit.
#[must_use]
pub fn is_shared(metadata: &Metadata) -> bool {
    metadata.mode() & 0o1000 != 0
}

/// Whether a file or directory belongs to another user than this process.
#[must_use]
pub fn is_foreign(metadata: &Metadata) -> bool {
    metadata.uid() != rustix::process::geteuid().as_raw()
}

/// As whom this process runs, for people: the name of its user, or the number where it has none.
#[must_use]
pub fn user() -> String {
    let id = rustix::process::geteuid().as_raw();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(id, &users).map_or_else(|| format!("user {id}"), str::to_owned)
}

/// The name of the user with this number (passwd(5)).
fn name_of(id: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
        (is_name && number.parse() == Ok(id)).then_some(name)
    })
}

/// Closes a directory, whose `metadata` was just read, to other users (mode 0700).
///
/// # Errors
/// When the operating system refuses.
pub fn close_dir_to_others(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.mode() & 0o7777 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Puts on the disk which files a directory has.
///
/// # Errors
/// When the operating system refuses.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Lets this process open as many files and sockets as the operating system allows it without being asked again.
///
/// # Errors
/// When the operating system refuses. Then there are as many as before.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(())
}

/// How many files and sockets this process may have open.
#[must_use]
pub fn descriptor_limit() -> usize {
    let soft = getrlimit(Resource::Nofile).current;
    soft.and_then(|soft| usize::try_from(soft).ok()).unwrap_or(usize::MAX)
}

/// Whether this process may open `count` files or sockets more.
///
/// # Errors
/// When it may not.
pub fn check_spare_descriptors(count: usize) -> io::Result<()> {
    let spare: io::Result<Vec<_>> = (0..count).map(|_| io::stdin().as_fd().try_clone_to_owned()).collect();
    spare.map(drop)
}

/// The error of a process that may open no more files and sockets.
#[must_use]
pub fn out_of_descriptors() -> io::Error {
    Errno::MFILE.into()
}

/// Whether something failed because this process, or all of them, may open no more files and sockets. Such an error has no
/// [`kind`](io::Error::kind) of its own.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Makes a crash leave no core file with the secrets in it, here or in the processes that this one starts.
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

/// Has the kernel acknowledge at once what comes next. Linux forgets it again and again.
#[cfg(target_os = "linux")]
pub fn acknowledge_at_once(socket: &TcpStream) {
    // Only speed depends on it, so a refusal is no fault.
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
}

/// Nothing: only Linux can be told to acknowledge at once.
#[cfg(not(target_os = "linux"))]
pub fn acknowledge_at_once(_socket: &TcpStream) {}

/// Has the kernel take no more than `bytes` that it cannot send yet.
#[cfg(target_os = "linux")]
pub fn limit_unsent(socket: &TcpStream, bytes: u32) {
    // Only others' delay depends on it, so a refusal is no fault.
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(bytes);
}

/// Nothing: only Linux can be told to take less.
#[cfg(not(target_os = "linux"))]
pub fn limit_unsent(_socket: &TcpStream, _bytes: u32) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::super::testing::{make_pipe, mode, set_mode};
    use super::*;

    #[test]
    fn a_file_that_is_made_is_for_its_owner_alone_and_one_that_is_there_can_be_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = open_private(OpenOptions::new().append(true).create(true), &path).unwrap();
        assert_eq!(mode(&path), 0o600);
        set_mode(&path, 0o644);
        assert!(is_world_readable(&file.metadata().unwrap()));
        close_to_others(&file).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(!is_world_readable(&file.metadata().unwrap()));
    }

    #[test]
    fn a_symbolic_link_is_followed_only_where_that_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("f"), dir.path().join("l"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        assert!(open_private_unfollowed(&mut options, &link).is_err() && !file.exists());
        open_private(&mut options, &link).unwrap();
        open_private_unfollowed(&mut options, &file).unwrap();
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_device_is_told_from_a_file_and_stays_as_it_is() {
        let null = open_private(OpenOptions::new().write(true), Path::new("/dev/null")).unwrap();
        let before = mode(Path::new("/dev/null"));
        close_to_others(&null).unwrap();
        assert_eq!(mode(Path::new("/dev/null")), before);
        assert!(is_char_device(null.metadata().unwrap().file_type()));
        let file = tempfile::tempfile().unwrap();
        assert!(!is_char_device(file.metadata().unwrap().file_type()));
    }

    #[test]
    fn a_user_is_named_as_the_system_names_it() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\n\ndebian-tor:x:107:114::/var/lib/tor:/bin/false\n:x:5:5:::\nodd";
        assert_eq!(name_of(0, users), Some("root"));
        assert_eq!(name_of(107, users), Some("debian-tor"));
        assert_eq!((name_of(5, users), name_of(9, users)), (None, None));
        assert!(!user().is_empty());
    }

    #[test]
    fn a_pipe_without_another_end_is_opened_or_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        make_pipe(&pipe);
        assert!(open_private(OpenOptions::new().read(true), &pipe).is_ok());
        assert!(open_private(OpenOptions::new().write(true), &pipe).is_err());
    }

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_one_that_is_there_can_be_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("above/below");
        create_private_dir(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        set_mode(&path, 0o1777);
        create_private_dir(&path).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert!(is_shared(&metadata) && !is_foreign(&metadata));
        close_dir_to_others(&path, &metadata).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert!(!is_shared(&fs::metadata(&path).unwrap()));
        sync_dir(&path).unwrap();
        assert!(sync_dir(&path.join("none")).is_err());
    }

    #[test]
    fn the_limit_is_the_highest_that_is_allowed_once_it_is_raised() {
        raise_descriptor_limit().unwrap();
        let hard = getrlimit(Resource::Nofile).maximum;
        assert_eq!(descriptor_limit() as u64, hard.unwrap_or(usize::MAX as u64));
        check_spare_descriptors(8).unwrap();
    }

    #[test]
    fn want_of_descriptors_is_told_from_other_faults() {
        let error = |errno: Errno| io::Error::from(errno);
        assert!(is_out_of_descriptors(&out_of_descriptors()) && is_out_of_descriptors(&error(Errno::NFILE)));
        assert!(!is_out_of_descriptors(&error(Errno::CONNREFUSED)));
        assert_eq!(out_of_descriptors().to_string(), "Too many open files (os error 24)");
    }
}
