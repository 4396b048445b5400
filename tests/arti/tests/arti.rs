//! Arti as the parent of the client's half. It is stricter than C tor about what a transport says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is how a fault is reported")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use hexchat_lab::process::{Spawn, ends_within};
use hexchat_lab::tor::{Tor, children_of};
use hexchat_lab::{ChatServer, FileServer, Halves, Kind, Process, Rate, TorNetwork};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Arti gives a transport five seconds to end.
const END: Duration = Duration::from_secs(5);

const FILE: usize = 1_000_000;

/// hexchat-pt, which this workspace does not build.
fn executable() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/hexchat-pt");
    let path = hexchat_lab::executable(usual);
    path.canonicalize().unwrap_or_else(|_| panic!("{} is not there: build hexchat-pt first", path.display()))
}

/// Starts Arti and lets it fetch a file.
fn start_arti(halves: &Halves, bridge: &Tor, folder: &Path) -> Process {
    let file = folder.join("arti.toml");
    std::fs::write(&file, configuration(halves, bridge, folder)).unwrap();
    let web = FileServer::start().unwrap();
    let arguments = [file.display().to_string(), web.address().to_string(), FILE.to_string()];
    Spawn::new("arti", env!("CARGO_BIN_EXE_hexchat-arti")).args(arguments).stdin().start().unwrap()
}

/// What users of Arti are shown.
const EXAMPLE: &str = include_str!("../../../contrib/arti/arti.toml");

/// The configuration of a client of this network: the example with a bridge line, an executable and a file of this test's.
fn configuration(halves: &Halves, bridge: &Tor, folder: &Path) -> String {
    let login = Halves::login("alice", &ChatServer::password("alice"));
    let torrc = halves.client(bridge, &login).unwrap();
    let bridge_line = torrc.lines().find(|line| line.starts_with("Bridge ")).unwrap();
    let example_line = EXAMPLE.split('"').find(|text| text.starts_with("Bridge ")).unwrap();
    let configuration = replaced(EXAMPLE, example_line, bridge_line);
    let configuration =
        replaced(&configuration, "/usr/bin/hexchat-pt", &halves.executable.display().to_string());
    let configuration = replaced(
        &configuration,
        "/etc/hexchat-pt/hexchat.toml",
        &halves.config_file("client").display().to_string(),
    );
    configuration + &of_one_machine(halves, folder)
}

/// The text with something else in the place of what it has once.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

/// What a private network on one machine needs besides.
fn of_one_machine(halves: &Halves, folder: &Path) -> String {
    format!(
        r#"
[tor_network]
authorities.v3idents = {authorities:?}
fallback_caches = []
[path_rules]
ipv4_subnet_family_prefix = 33
[address_filter]
allow_local_addrs = true
[storage]
cache_dir = "{folder}/cache"
state_dir = "{folder}/state"
permissions.dangerously_trust_everyone = true
"#,
        authorities = halves.network.v3_identities(),
        folder = folder.display(),
    )
}

#[test]
fn arti_bootstraps_and_fetches_and_takes_its_transport_with_it() {
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["bridge", "alice"]).unwrap();
    let network = TorNetwork::start().unwrap();
    let executable = executable();
    let halves = Halves { network: &network, chat: &chat, executable: &executable };
    let bridge = network.bridge(&halves.bridge("bridge").unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut arti = start_arti(&halves, &bridge, folder.path());

    let fetched = arti.wait_for_line(|line| line.starts_with("fetched "), PATIENCE).unwrap();
    assert_eq!(fetched, format!("fetched {}", FileServer::sha256(FILE)));

    let transports = children_of(arti.pid());
    let [transport] = transports[..] else { panic!("{transports:?} instead of one transport") };
    arti.kill();
    assert!(ends_within(transport, END), "hexchat-pt outlives Arti");
}
