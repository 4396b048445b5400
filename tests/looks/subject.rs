//! The two accounts that should look the same.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::{ChatServer, Kind, Rate};
use tempfile::TempDir;
use xmpp_parsers::minidom::Element;

use crate::prober::{PATIENCE, Prober};

/// The user behind the reference.
pub(crate) const PLAIN: &str = "plain";
/// The user behind our account.
pub(crate) const OURS: &str = "ours";
/// The user behind the account of a bridge that speaks the secure protocol alone.
pub(crate) const BRIDGE: &str = "quiet";

/// A chat server with both accounts online.
pub(crate) struct Lab {
    pub(crate) plain: Subject,
    pub(crate) ours: Subject,
    pub(crate) bridge: Subject,
    // After the clients, which say farewell to it.
    pub(crate) server: ChatServer,
}

/// An account that somebody else looks at.
pub(crate) struct Subject {
    /// Its full JID.
    pub(crate) jid: String,
    // Before the folder, so that it has ended when its files go.
    process: Process,
    _folder: TempDir,
}

impl Lab {
    /// Both accounts, and others for `probers`.
    pub(crate) async fn start(kind: Kind, probers: &[&str]) -> Self {
        let users: Vec<&str> = [PLAIN, OURS, BRIDGE].iter().chain(probers).copied().collect();
        let server = ChatServer::start(kind, Rate::Unlimited, &users).unwrap();
        let [plain, ours, bridge] =
            [Subject::plain, Subject::ours, Subject::bridge].map(|start| start(&server));
        let mut prober = Prober::log_in(&server, probers[0]).await;
        for subject in [&plain, &ours, &bridge] {
            subject.wait_until_online(&mut prober).await;
        }
        Self { plain, ours, bridge, server }
    }
}

impl Subject {
    /// The reference: slixmpp.
    fn plain(server: &ChatServer) -> Self {
        let folder = TempDir::new().unwrap();
        let address = server.address();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/looks/plain_client.py");
        // Debian's, whatever other Python the machine has.
        let process = Spawn::new("plain_client", "/usr/bin/python3")
            .arg(script)
            .args([server.jid(PLAIN), address.ip().to_string(), address.port().to_string()])
            .arg(server.ca_file())
            .env("PLAIN_CLIENT_PASSWORD", ChatServer::password(PLAIN))
            .folder(folder.path())
            .start()
            .unwrap();
        let line = process.wait_for_line(|line| line.starts_with("READY "), PATIENCE).unwrap();
        Self { jid: line["READY ".len()..].to_owned(), process, _folder: folder }
    }

    /// One of our accounts that serve the classic protocol.
    fn ours(server: &ChatServer) -> Self {
        Self::hexchat(server, OURS, &["serve", "--allow", "127.0.0.1:1"])
    }

    /// A bridge's account.
    fn bridge(server: &ChatServer) -> Self {
        Self::hexchat(server, BRIDGE, &["serve", "--secure", "--allow", "127.0.0.1:1"])
    }

    fn hexchat(server: &ChatServer, user: &str, args: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let jid = format!("{}/resource", server.jid(user));
        let section = server.account_section(user, server.address()).replacen(&server.jid(user), &jid, 1);
        let process = Spawn::new(args[0], env!("CARGO_BIN_EXE_hexchat-pt"))
            .args(args)
            .arg("--config")
            .arg(write_private(folder.path(), &section))
            .arg("--state")
            .arg(folder.path().join("state"))
            .start()
            .unwrap();
        Self { jid, process, _folder: folder }
    }

    /// Its bare JID.
    pub(crate) fn bare(&self) -> &str {
        self.jid.split('/').next().unwrap()
    }

    /// Whether it sent `stanza`, or its server in its name.
    pub(crate) fn sent(&self, stanza: &Element) -> bool {
        stanza.attr("from").is_some_and(|from| from == self.bare() || from == self.jid)
    }

    /// Ends it as its user would.
    pub(crate) fn log_out(self) {
        drop(self.process);
    }

    /// Until then the server answers in its name.
    pub(crate) async fn wait_until_online(&self, prober: &mut Prober) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let id = prober.new_id();
            prober
                .send(&format!(
                    "<iq type='get' id='{id}' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
                    self.jid
                ))
                .await;
            let answers = prober.until_answer(&id).await;
            if answers.iter().any(|answer| answer.attr("type") == Some("result")) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{} does not come online", self.jid);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn write_private(folder: &Path, content: &str) -> PathBuf {
    let path = folder.join("hexchat.toml");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    path
}
