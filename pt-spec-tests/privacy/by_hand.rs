//! Secrets given to commands of a person, which write to standard error.

use std::path::Path;

use hexchat_lab::executable;
use hexchat_lab::ports::free_port;
use hexchat_lab::process::{Process, Spawn};

use super::{BRIDGE, CHAT, USER, found};
use crate::chat_server::{ChatServer, mechanism};
use crate::child::PATIENCE;

/// Runs a command with this configuration, its log also in a file.
fn run(folder: &Path, config: &str, command: &[&str]) -> Process {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join("hexchat.toml");
    std::fs::write(&file, config).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    Spawn::new("hexchat-pt", executable(env!("CARGO_BIN_EXE_hexchat-pt")))
        .args(command)
        .args(["--log-level", "debug"])
        .arg("--config")
        .arg(&file)
        .arg("--state")
        .arg(folder.join("state"))
        .arg("--log-file")
        .arg(folder.join("log"))
        .start()
        .unwrap()
}

const FORWARD: [&str; 7] =
    ["forward", "--listen", "127.0.0.1:0", "--to", BRIDGE, "--target", "192.0.2.213:80"];
const SERVE: [&str; 3] = ["serve", "--allow", "192.0.2.213:80"];

#[test]
fn row_47_commands_whose_login_fails_show_nobody_and_say_it_once() {
    let server = ChatServer::start_at(CHAT, |client| {
        client.open(&mechanism("SCRAM-SHA-1"))?;
        client.hear("<auth")?;
        client.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")?;
        client.wait()
    });
    let config = format!(
        "[[account]]\njid = \"{USER}\"\npassword = \"planted-password\"\nserver = \"{}\"\ntls = \"none\"\n",
        server.address()
    );
    for command in [&FORWARD[..], &SERVE] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = run(folder.path(), &config, command);
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(1));
        // The pipe is read by another thread.
        process.wait_for_line(|line| line.contains("wrong user name or password"), PATIENCE).unwrap();
        let lines = process.lines();
        let said = lines.iter().filter(|line| line.contains("wrong user name or password")).count();
        assert_eq!(said, 1, "{lines:?}");
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(log.contains("wrong user name or password"), "{log}");
        assert!(found(&(lines.join("\n") + &log)).is_empty(), "{lines:?}\n{log}");
    }
}

#[test]
fn row_47_commands_with_values_that_cannot_work_do_not_show_them() {
    let dead = format!("{CHAT}:{}", free_port().unwrap());
    let good =
        format!("[[account]]\njid = \"{USER}\"\npassword = \"planted-password\"\nserver = \"{dead}\"\n");
    let bad = "[[account]]\njid = \"planted@@planted\"\n";
    let cases: [(&str, &[&str]); 6] = [
        (bad, &FORWARD),
        (bad, &SERVE),
        (
            &good,
            &["forward", "--listen", "127.0.0.1:0", "--to", "planted@@planted", "--target", "192.0.2.213:80"],
        ),
        (&good, &["forward", "--listen", "127.0.0.1:0", "--to", BRIDGE, "--target", "planted"]),
        (&good, &["forward", "--listen", "planted:1", "--to", BRIDGE, "--target", "192.0.2.213:80"]),
        (&good, &["serve", "--allow", "planted"]),
    ];
    for (config, command) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut process = run(folder.path(), config, command);
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(2), "{command:?}");
        process.wait_for_line(|line| !line.is_empty(), PATIENCE).unwrap();
        let lines = process.lines();
        assert!(found(&lines.join("\n")).is_empty(), "{lines:?}");
    }
}
