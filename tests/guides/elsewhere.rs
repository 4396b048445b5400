//! Commands that are not run here: why, and where else they are.

use crate::commands::{self, Command};

/// How a command begins, why it is not run here, and what tries it instead.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("apt install ./", "installs a package", "`packaging/test-deb` does, in a Debian of its own"),
    ("apt purge hexchat-pt", "removes a package", "`packaging/test-deb` does, in a Debian of its own"),
    (
        "install -m 755 target/static/hexchat-pt",
        "writes into /usr/bin",
        "`packaging/check-static` runs what is installed",
    ),
    (
        "chown debian-tor",
        "needs the package's user and folder",
        "`packaging/test-deb` looks at owner and mode of the folder",
    ),
    (
        "chmod 600 /etc/hexchat-pt",
        "needs the package's folder",
        "`a_secret_that_anybody_can_read_is_warned_about`",
    ),
    (
        "echo 'include if exists",
        "changes tor's AppArmor profile",
        "`packaging/test-deb` does, and compiles it",
    ),
    (
        "apparmor_parser --replace",
        "changes the kernel's profiles",
        "`packaging/test-deb` compiles the same profile",
    ),
    (
        "prosodyctl check config",
        "examines this machine's Prosody",
        "`servers` runs it on the lines that stand before it",
    ),
    (
        "prosodyctl adduser",
        "changes this machine's Prosody",
        "accounts of `tests/lab` are written into its Prosody's files",
    ),
    ("systemctl", "needs systemd", "`make check-machine`"),
    ("journalctl", "needs systemd", "the same lines are in tor's log, which `seen` compares"),
    ("cp target/static/hexchat-pt contrib/container/", "needs `make static`", "`make check-container`"),
    ("podman build", "needs podman and an image of Debian", "`make check-container`"),
    ("printf %s 'the password' | podman secret create", "needs podman", "`make check-container`"),
    ("podman run", "needs podman", "`make check-container`"),
    ("podman exec bridge hexchat-pt bridge-line", "needs podman", "`make check-container`"),
    (
        "contrib/tor-browser/install",
        "changes a Tor Browser",
        "`packaging/tests/tor_browser.rs` runs it on folders laid out so",
    ),
    ("HEXCHAT_PT=$PWD/target/debug/hexchat-pt cargo test", "takes minutes", "`make test` ends with it"),
    ("HEXCHAT_SEED=17 cargo test", "runs a suite", "`make test` runs the same suite with other seeds"),
    ("RUSTDOCFLAGS=", "builds everything", "`make lint`"),
];

/// The entry for this command.
pub(crate) fn place_of(command: &Command) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(begin, ..)| command.what().starts_with(begin)).map(|(begin, ..)| *begin)
}

#[test]
fn nothing_is_on_the_list_that_no_document_has() {
    let used: Vec<_> = commands::all().iter().filter_map(place_of).collect();
    let unused: Vec<_> =
        ELSEWHERE.iter().map(|(begin, ..)| begin).filter(|begin| !used.contains(begin)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
