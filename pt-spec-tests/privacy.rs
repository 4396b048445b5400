//! Row 47, privacy: secrets are planted wherever the program reads something, then everything goes wrong that can, and all that
//! it writes is searched for them: standard output, standard error, the log file, the state folder.

mod bridge;
mod by_hand;
mod client;
mod configuration;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use tempfile::TempDir;

use crate::child::{Child, Launch};

/// A word that is part of everything secret that has words in it.
const WORD: &str = "planted";
/// Secrets that have none: keys, and addresses that nobody else uses.
const OTHERS: [&str; 6] = [KEY, PSK, "127.0.0.77", "127.0.0.78", "127.0.0.79", "192.0.2.213"];
const KEY: &str = "a1b2c3d4e5f6g7h8i9j0kAlBmCnDoEpFqGrHsItJuKw";
const PSK: &str = "Z9Y8X7W6V5U4T3S2R1Q0zAyBxCwDvEuFtGsHrIqJpKo";
/// Where the chat server is, and Tor, and the proxy.
const CHAT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
const TOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 78);
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 79);

const USER: &str = "planted-user@planted-domain.example";
const BRIDGE: &str = "planted-bridge@planted-domain.example/planted-resource";

/// How a text can look when it was encoded on its way.
fn forms(secret: &str) -> Vec<String> {
    let percent = |upper: bool| -> String {
        secret
            .bytes()
            .map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") })
            .collect()
    };
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    // In base64 it depends on what stands before; the first and last characters mix with the neighbours.
    let shifted = (0..3).map(|shift| {
        let encoded = BASE64.encode("x".repeat(shift) + secret);
        encoded.get(4..encoded.len() - 2).unwrap_or_default().to_owned()
    });
    [secret.to_owned(), percent(true), percent(false), hex].into_iter().chain(shifted).collect()
}

/// The secrets that a text shows, in whatever form.
fn found(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let secrets = OTHERS.iter().chain([&WORD]).flat_map(|secret| forms(secret));
    secrets.filter(|form| text.contains(form.as_str()) || lower.contains(form)).collect()
}

/// A launch with the most talkative log, also in a file.
fn talkative(launch: Launch) -> (Launch, Watch) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let launch = launch.args(&["--log-level", "debug", "--log-file", &log.display().to_string()]);
    (launch, Watch { _folder: folder, log })
}

/// What to search besides the output.
struct Watch {
    _folder: TempDir,
    log: PathBuf,
}

impl Watch {
    /// Everything that the log file holds.
    fn log(&self) -> String {
        String::from_utf8(std::fs::read(&self.log).unwrap()).unwrap()
    }

    /// Searches everything.
    fn assert_discreet(&self, child: &Child, occasion: &str) {
        let kept = kept(&child.state.path().join("pt_state"));
        let output = child.process.lines().join("\n");
        for (place, text) in [("the output", output), ("the log file", self.log()), ("the state", kept)] {
            let found = found(&text);
            assert!(found.is_empty(), "{occasion}: {place} shows {found:?}:\n{text}");
        }
    }
}

/// What is made to keep such things, for its owner alone.
const KEPT: [&str; 2] = ["hexchat_state.json", "hexchat_bridgeline.txt"];

/// Everything in the state folder but those files.
fn kept(folder: &Path) -> String {
    let Ok(entries) = std::fs::read_dir(folder) else { return String::new() };
    let entries = entries.map(|entry| entry.unwrap().path());
    let contents = entries.filter(|path| !KEPT.iter().any(|name| path.ends_with(name))).map(|path| {
        let content = if path.is_dir() {
            kept(&path)
        } else {
            String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()
        };
        format!("{}\n{content}\n", path.file_name().unwrap().display())
    });
    contents.collect()
}

#[test]
fn the_search_finds_secrets_in_every_form() {
    let secret = format!("\0{USER}\0planted-password");
    for text in [
        format!("jid={BRIDGE}"),
        "PLANTED".to_owned(),
        "%70%6c%61%6e%74%65%64".to_owned(),
        BASE64.encode(&secret),
        BASE64.encode(format!("x{secret}")),
        BASE64.encode(format!("xx{secret}")),
        format!("key={KEY};"),
        "dialling 127.0.0.77:5222".to_owned(),
    ] {
        assert!(!found(&text).is_empty(), "{text}");
    }
    assert!(found("CMETHOD hexchat socks5 127.0.0.1:7777").is_empty());
}
