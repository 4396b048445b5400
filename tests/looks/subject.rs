//! The accounts that should look the same.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::{ChatServer, Kind, Rate};
use tempfile::TempDir;
use xmpp_parsers::minidom::Element;

use crate::prober::{PATIENCE, Prober};

/// The user behind the reference.
pub(crate) const PLAIN: &str = "plain";
/// The user behind a bridge of the classic protocol.
const CLASSIC: &str = "classic";
/// The user behind a bridge of the secure protocol alone.
const BRIDGE: &str = "bridge";
/// The user behind a client of that bridge.
const CLIENT: &str = "client";

/// A chat server with the accounts online.
pub(crate) struct Lab {
    pub(crate) plain: Subject,
    pub(crate) classic: Subject,
    pub(crate) bridge: Subject,
    /// It has a connection through the bridge.
    pub(crate) client: Subject,
    _connection: [TcpStream; 2],
    // After the clients, which say farewell to it.
    pub(crate) server: ChatServer,
}

/// An account that somebody else looks at.
pub(crate) struct Subject {
    /// Its full JID.
    pub(crate) jid: String,
    // Before the folder, so that it has ended when its files go.
    process: Process,
    folder: TempDir,
}

impl Lab {
    /// All accounts, and others for `probers`.
    pub(crate) async fn start(kind: Kind, probers: &[&str]) -> Self {
        let users: Vec<&str> = [PLAIN, CLASSIC, BRIDGE, CLIENT].iter().chain(probers).copied().collect();
        let server = ChatServer::start(kind, Rate::Unlimited, &users).unwrap();
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let allowed = target.local_addr().unwrap().to_string();
        let plain = Subject::plain(&server);
        let classic = Subject::hexchat(&server, CLASSIC, &["serve", "--allow", "127.0.0.1:1"]);
        let bridge = Subject::hexchat(&server, BRIDGE, &["serve", "--secure", "--allow", &allowed]);
        bridge.process.wait_for_line(|line| line.starts_with("READY "), PATIENCE).unwrap();
        let client = Subject::client_of(&bridge, &server, &allowed);
        let mut prober = Prober::log_in(&server, probers[0]).await;
        for subject in [&plain, &classic, &bridge, &client] {
            subject.wait_until_online(&mut prober).await;
        }
        let connection = connect_through(&client, &target);
        Self { plain, classic, bridge, client, _connection: connection, server }
    }
}

/// A connection through both halves, and what comes out at the target.
fn connect_through(client: &Subject, target: &TcpListener) -> [TcpStream; 2] {
    let line = client.process.wait_for_line(|line| line.starts_with("LISTENING "), PATIENCE).unwrap();
    let mut application = TcpStream::connect(&line["LISTENING ".len()..]).unwrap();
    let (mut reached, _) = target.accept().unwrap();
    application.write_all(b"hello").unwrap();
    reached.read_exact(&mut [0; 5]).unwrap();
    [application, reached]
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
        Self { jid: line["READY ".len()..].to_owned(), process, folder }
    }

    /// One that reaches `bridge` by its bridge line.
    fn client_of(bridge: &Self, server: &ChatServer, target: &str) -> Self {
        let line = bridge.folder.path().join("state/hexchat_bridgeline.txt");
        let line = line.to_str().unwrap();
        let args = ["forward", "--listen", "127.0.0.1:0", "--bridge-line-file", line, "--target", target];
        Self::hexchat(server, CLIENT, &args)
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
        Self { jid, process, folder }
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
