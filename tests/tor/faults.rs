//! Faults, as tor's log has them.

use hexchat_lab::tor::Tor;
use hexchat_lab::{ChatServer, Halves, Kind, Rate};

use crate::world::network;
use crate::{SOON, executable};

/// No bridge has this fingerprint; none is reached.
const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

/// Waits for a line of tor's log that has all these words.
fn says(tor: &Tor, words: &[&str]) {
    let wanted = |line: &str| words.iter().all(|word| line.contains(word));
    if let Err(error) = tor.process().wait_for_line(wanted, SOON) {
        panic!("{words:?} was expected: {error:#}");
    }
}

#[test]
fn each_fault_of_a_bridge_line_is_named_in_tors_log() {
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["alice", "asleep"]).unwrap();
    let network = network();
    let halves = Halves { network: &network, chat: &chat, executable: &executable() };
    let login = Halves::login("alice", &ChatServer::password("alice"));
    let client = |bridge: &str, login: &str| {
        network.client(&halves.classic_client(FINGERPRINT, bridge, login).unwrap()).unwrap()
    };

    let wrong_password = client("asleep", &Halves::login("alice", "wrong"));
    let unknown = client("nobody", &login);
    let asleep = client("asleep", &login);
    let no_login = network.client(
        &halves
            .classic_client(FINGERPRINT, "asleep", &login)
            .unwrap()
            .replace(&format!(" login={login}"), ""),
    );
    let no_door = client("asleep", "new@chat.example");
    let no_server = network.client(
        &halves
            .classic_client(FINGERPRINT, "asleep", &login)
            .unwrap()
            .replace(&format!(" server={}", chat.address()), " server=127.0.0.1:1"),
    );

    says(&wrong_password, &["Managed proxy", "wrong user name or password", "not trying again"]);
    says(&no_door, &["Managed proxy", "the server is not open for registration"]);
    says(&no_door, &["onnection not allowed by ruleset"]);
    says(&unknown, &["Managed proxy", "the bridge's account is not online"]);
    says(&unknown, &["Host unreachable"]);
    says(&no_login.unwrap(), &["Managed proxy", "bridge line", "login"]);
    says(&no_server.unwrap(), &["Managed proxy", "connection refused"]);
    says(&asleep, &["Managed proxy", "the bridge did not answer in time"]);
    says(&asleep, &["Host unreachable"]);
    for tor in [&wrong_password, &unknown, &asleep] {
        assert!(!tor.process().lines().iter().any(|line| line.contains("terminated with status code")));
        assert!(
            !tor.process()
                .lines()
                .iter()
                .any(|line| line.contains("Managed proxy") && line.contains("alice@"))
        );
    }
}

#[test]
fn a_configuration_that_can_never_work_is_a_method_error_and_no_respawning() {
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["alice"]).unwrap();
    let network = network();
    let halves = Halves { network: &network, chat: &chat, executable: &executable() };
    let config = halves
        .write_config("bad", "[client]\nserver = \"not a server\"\nsurprise = \"hidden value\"\n")
        .unwrap();
    let torrc = format!(
        "ClientTransportPlugin hexchat exec {}\nBridge hexchat 192.0.2.3:1 {FINGERPRINT} jid=a@b login=c@d:e",
        halves.command(&config)
    );
    let client = network.client(&torrc).unwrap();
    says(&client, &["method error", "line "]);
    says(&client, &["didn't launch any pluggable transport listeners"]);
    assert_eq!(client.transports().len(), 1, "the transport waits for tor to end");
    assert!(!client.process().lines().iter().any(|line| line.contains("hidden value")));
}

/// The line that shows how to use the client half, and those for the bridge, as tor reads them.
#[test]
fn tor_accepts_every_line_of_torrc_example() {
    let example = include_str!("../../torrc.example");
    let (client, bridge) = example.split_once("## A bridge #").unwrap();
    let bridge: String = bridge.lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
    let bridge: String = bridge
        .lines()
        .filter(|line| line.contains(' ') && line.chars().next().is_some_and(char::is_uppercase))
        .filter(|line| !line.ends_with(['.', ';', ',']))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert!(bridge.contains("ServerTransportPlugin hexchat exec") && bridge.contains("BridgeRelay 1"));
    for half in [client, bridge.as_str()] {
        let folder = tempfile::tempdir().unwrap();
        let torrc = folder.path().join("torrc");
        std::fs::write(&torrc, format!("DataDirectory {}/data\n{half}", folder.path().display())).unwrap();
        let output = std::process::Command::new("tor")
            .args(["--verify-config", "--defaults-torrc", "/nonexistent", "-f"])
            .arg(&torrc)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
