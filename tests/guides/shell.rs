//! Commands that a shell runs here: they need no more than files and servers of a test's own.

use std::fs;
use std::path::Path;

use hexchat_lab::process::Spawn;
use hexchat_lab::{ChatServer, Kind, Rate};

use crate::PATIENCE;
use crate::commands::{self, Command};

/// How they begin.
const BEGINNINGS: [&str; 3] = ["openssl x509 -in cert.pem", "tar --create", "tar --extract"];

/// Whether this one is run here.
pub(crate) fn runs(command: &Command) -> bool {
    BEGINNINGS.iter().any(|begin| command.what().starts_with(begin))
}

/// Those that begin so, as a person is told to type them.
fn beginning(begin: &str) -> Vec<String> {
    let all = commands::all().into_iter().map(|command| command.what().to_owned());
    let found: Vec<_> = all.filter(|text| text.starts_with(begin)).collect();
    assert!(!found.is_empty(), "no command begins with {begin}");
    found
}

/// Runs it and returns what it says on its standard output.
fn run(text: &str, folder: &Path) -> String {
    let mut shell = Spawn::new("sh", "sh").args(["-e", "-c", text]).folder(folder).start().unwrap();
    let status = shell.wait(PATIENCE).unwrap();
    shell.wait_for_end_of_output(PATIENCE).unwrap();
    assert!(status.success(), "{text}: {:#?}", shell.lines());
    String::from_utf8(shell.stdout()).unwrap()
}

#[test]
fn the_pin_of_a_certificate_is_printed() {
    let server = ChatServer::start(Kind::Prosody, Rate::Unlimited, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address = server.address();
    run(
        &format!(
            "openssl s_client -connect {address} -starttls xmpp -xmpphost chat.example </dev/null | openssl x509 >cert.pem"
        ),
        folder.path(),
    );
    for text in beginning("openssl x509 -in cert.pem") {
        assert_eq!(run(&text, folder.path()).trim(), server.pin(), "{text}");
    }
}

#[test]
fn what_is_put_aside_of_a_bridge_is_what_comes_back() {
    let (of_tor, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let there = |name: &str| of_tor.path().join(name);
    for folder in ["pt_state", "keys"] {
        fs::create_dir(there(folder)).unwrap();
        fs::write(there(folder).join("secret"), folder).unwrap();
    }
    let at_ours = |text: String| {
        text.replace("/var/lib/tor", of_tor.path().to_str().unwrap())
            .replace("/root", aside.path().to_str().unwrap())
    };
    for text in beginning("tar --create") {
        run(&at_ours(text), aside.path());
    }
    for folder in ["pt_state", "keys"] {
        fs::remove_dir_all(there(folder)).unwrap();
    }
    for text in beginning("tar --extract") {
        run(&at_ours(text), aside.path());
    }
    for folder in ["pt_state", "keys"] {
        assert_eq!(fs::read_to_string(there(folder).join("secret")).unwrap(), folder);
    }
}
