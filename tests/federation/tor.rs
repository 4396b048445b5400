//! Real tor from one server to the other.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hexchat_lab::federation::Site;
use hexchat_lab::fetch::fetch;
use hexchat_lab::{ChatServer, Federation, FileServer, TorNetwork, executable};

use crate::federation;
use crate::harness::write_private;

/// How long the first bootstrap may take on a busy machine.
const BOOTSTRAP: Duration = Duration::from_secs(120);

/// What a person should see within that time.
const SOON: Duration = Duration::from_secs(40);

/// Long enough that it takes many stanzas.
const FILE: usize = 200_000;

/// The transport, with this configuration.
fn command(folder: &Path, name: &str, config: &str) -> String {
    let config = write_private(folder, name, config);
    format!("{} --config {}", executable(env!("CARGO_BIN_EXE_hexchat-pt")).display(), config.display())
}

fn bootstraps_and_fetches(here: &Site, there: &Site) {
    let network = TorNetwork::start().unwrap();
    let exec = command(network.folder(), "bridge.toml", &there.account_section("bob"));
    let bridge =
        network.bridge(&format!("ExtORPort auto\nServerTransportPlugin hexchat exec {exec}")).unwrap();
    let text = fs::read_to_string(bridge.data().join("pt_state/hexchat_bridgeline.txt")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Bridge ")).unwrap();
    let line = line.replace("<FINGERPRINT>", &bridge.fingerprint().unwrap());

    let ca_file = format!("[client]\nca_file = \"{}\"\n", here.ca_file().display());
    let exec = command(network.folder(), "client.toml", &ca_file);
    let login = format!("{}:{}", here.jid("alice"), ChatServer::password("alice"));
    let torrc = format!("ClientTransportPlugin hexchat exec {exec}\n{line} login={login}");
    let client = network.client(&torrc).unwrap();
    client.wait_until_bootstrapped(BOOTSTRAP, |_| {}).unwrap();

    let web = FileServer::start().unwrap();
    let fetched = fetch(Some(client.socks()), web.address(), FILE, SOON).unwrap();
    assert_eq!(fetched.sha256, FileServer::sha256(FILE));
}

/// Each half is told a name, a password and whom to believe, and nothing of where a server is; and all that a server has for clients is
/// direct TLS on port 443.
#[test]
fn tor_bootstraps_from_one_server_to_the_other_by_direct_tls_at_port_443_which_srv_records_name() {
    let Federation { prosody, ejabberd, home, dns } = federation();
    home.run(|| bootstraps_and_fetches(&prosody, &ejabberd));
    let asked = dns.asked();
    for question in [
        "33 _xmpps-client._tcp.prosody.example",
        "33 _xmpps-client._tcp.ejabberd.example",
        "33 _xmpp-server._tcp.prosody.example",
        "33 _xmpp-server._tcp.ejabberd.example",
    ] {
        assert!(asked.iter().any(|other| other == question), "{question}: {asked:?}");
    }
}
