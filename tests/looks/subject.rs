//! Subjects: the accounts that should look the same.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
pub(crate) const CLASSIC: &str = "classic";
/// The user behind a bridge of the secure protocol alone.
pub(crate) const BRIDGE: &str = "bridge";
/// The user behind a client of that bridge.
pub(crate) const CLIENT: &str = "client";

/// All of them.
pub(crate) const USERS: [&str; 4] = [PLAIN, CLASSIC, BRIDGE, CLIENT];

/// How accounts of ours reach their server.
#[derive(Clone, Copy)]
pub(crate) enum Route {
    /// With STARTTLS, at this address.
    StartTls(SocketAddr),
    /// Without TLS, past somebody who listens at this address.
    Overheard(SocketAddr),
}

/// A chat server with the accounts online.
pub(crate) struct Lab {
    pub(crate) plain: Subject,
    pub(crate) classic: Subject,
    pub(crate) bridge: Subject,
    /// It has a connection through the bridge.
    pub(crate) client: Subject,
    pub(crate) connection: Connection,
    target: TcpListener,
    // After the clients, which say farewell to it.
    pub(crate) server: ChatServer,
}

/// A chat server where files are uploaded.
pub(crate) struct Uploaders {
    pub(crate) plain: Subject,
    pub(crate) client: Subject,
    _bridge: Subject,
    pub(crate) server: ChatServer,
}

/// A connection through both halves.
pub(crate) struct Connection {
    pub(crate) application: TcpStream,
    /// What came out at the target.
    pub(crate) reached: TcpStream,
}

/// An account that somebody else looks at.
pub(crate) struct Subject {
    /// Its full JID.
    pub(crate) jid: String,
    // Before the folder, so that it has ended when its files go.
    process: Option<Process>,
    program: Program,
    folder: TempDir,
}

/// What logs in to an account.
struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    password: Option<String>,
}

impl Lab {
    /// All accounts, and others for `probers`.
    pub(crate) async fn start(kind: Kind, probers: &[&str]) -> Self {
        let server = Self::server(kind, probers);
        let route = Route::StartTls(server.address());
        Self::at(server, route, probers[0]).await
    }

    /// A chat server where nobody has ever logged in.
    pub(crate) fn server(kind: Kind, probers: &[&str]) -> ChatServer {
        let users: Vec<&str> = USERS.iter().chain(probers).copied().collect();
        ChatServer::start(kind, Rate::Unlimited, &users).unwrap()
    }

    /// All accounts, of which ours reach the server by `route`.
    pub(crate) async fn at(server: ChatServer, route: Route, prober: &str) -> Self {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let allowed = target.local_addr().unwrap().to_string();
        let plain = Subject::plain(&server);
        let classic = Subject::hexchat(&server, route, CLASSIC, &["serve", "--allow", "127.0.0.1:1"]);
        let bridge = Subject::hexchat(&server, route, BRIDGE, &["serve", "--secure", "--allow", &allowed]);
        bridge.line("READY ");
        let client = Subject::client_of(&bridge, &server, route, &allowed);
        let connection = Connection::through(&client, &target);
        let lab = Self { plain, classic, bridge, client, connection, target, server };
        lab.wait_until_online(prober).await;
        lab
    }

    /// Ends all programs, and starts them again.
    pub(crate) async fn start_again(&mut self, prober: &str) {
        for subject in [&mut self.plain, &mut self.classic, &mut self.bridge, &mut self.client] {
            subject.start_again();
        }
        self.connection = Connection::through(&self.client, &self.target);
        self.wait_until_online(prober).await;
    }

    /// slixmpp with these plugins, and a client of ours that uses files, with more in its configuration.
    pub(crate) async fn uploaders(kind: Kind, prober: &str, plugins: &[&str], more: &str) -> Uploaders {
        let server = Self::server(kind, &[prober]);
        let (route, target) = (Route::StartTls(server.address()), "127.0.0.1:1");
        let plain = Subject::slixmpp(&server, plugins);
        let bridge = Subject::hexchat(&server, route, BRIDGE, &["serve", "--secure", "--allow", target]);
        bridge.line("READY ");
        let client = Subject::client_with(&bridge, &server, (route, more), target);
        let mut prober = Prober::log_in(&server, prober).await;
        for subject in [&plain, &client] {
            subject.wait_until_online(&mut prober).await;
        }
        Uploaders { plain, client, _bridge: bridge, server }
    }

    async fn wait_until_online(&self, prober: &str) {
        let mut prober = Prober::log_in(&self.server, prober).await;
        for subject in [&self.plain, &self.classic, &self.bridge, &self.client] {
            subject.wait_until_online(&mut prober).await;
        }
    }
}

impl Connection {
    fn through(client: &Subject, target: &TcpListener) -> Self {
        let entrance = client.line("LISTENING ");
        let application = TcpStream::connect(entrance).unwrap();
        let (reached, _) = target.accept().unwrap();
        for end in [&application, &reached] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_nodelay(true).unwrap();
        }
        let connection = Self { application, reached };
        connection.assert_works();
        connection
    }

    /// # Panics
    ///
    /// When what is written at one end does not come out at the other.
    pub(crate) fn assert_works(&self) {
        for (mut from, mut to) in [(&self.application, &self.reached), (&self.reached, &self.application)] {
            from.write_all(b"hello").unwrap();
            let mut heard = [0; 5];
            to.read_exact(&mut heard).expect("the connection through the bridge to go on");
            assert_eq!(&heard, b"hello");
        }
    }
}

impl Subject {
    /// The reference: slixmpp.
    fn plain(server: &ChatServer) -> Self {
        Self::slixmpp(server, &[])
    }

    /// slixmpp with further plugins.
    fn slixmpp(server: &ChatServer, plugins: &[&str]) -> Self {
        let address = server.address();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/looks/plain_client.py");
        let mut args: Vec<OsString> = vec![
            script.into(),
            server.jid(PLAIN).into(),
            address.ip().to_string().into(),
            address.port().to_string().into(),
            server.ca_file().into(),
        ];
        args.extend(plugins.iter().map(OsString::from));
        // Debian's, whatever other Python the machine has.
        let program =
            Program { path: "/usr/bin/python3".into(), args, password: Some(ChatServer::password(PLAIN)) };
        let mut plain = Self { jid: String::new(), process: None, program, folder: TempDir::new().unwrap() };
        plain.start_again();
        plain
    }

    /// One that reaches `bridge` by its bridge line, without files.
    fn client_of(bridge: &Self, server: &ChatServer, route: Route, target: &str) -> Self {
        Self::client_with(bridge, server, (route, "[lanes]\nupload = false\n"), target)
    }

    /// The same, with more in its configuration.
    fn client_with(bridge: &Self, server: &ChatServer, (route, more): (Route, &str), target: &str) -> Self {
        let line = bridge.folder.path().join("state/hexchat_bridgeline.txt");
        let line = line.to_str().unwrap();
        let args = ["forward", "--listen", "127.0.0.1:0", "--bridge-line-file", line, "--target", target];
        Self::configured(server, (route, more), CLIENT, &args)
    }

    fn hexchat(server: &ChatServer, route: Route, user: &str, args: &[&str]) -> Self {
        Self::configured(server, (route, ""), user, args)
    }

    fn configured(server: &ChatServer, (route, more): (Route, &str), user: &str, args: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let jid = format!("{}/resource", server.jid(user));
        let section = match route {
            Route::StartTls(address) => server.account_section(user, address),
            Route::Overheard(address) => server.account_section(user, address) + "tls = \"none\"\n",
        };
        let section = section.replacen(&server.jid(user), &jid, 1) + more;
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.extend(["--config".into(), write_private(folder.path(), &section).into()]);
        args.extend(["--state".into(), folder.path().join("state").into()]);
        let program =
            Program { path: hexchat_lab::executable(env!("CARGO_BIN_EXE_hexchat-pt")), args, password: None };
        let process = Some(program.start(folder.path()));
        Self { jid, process, program, folder }
    }

    /// Ends its program, if it runs, and starts it.
    fn start_again(&mut self) {
        self.process = None;
        self.process = Some(self.program.start(self.folder.path()));
        if self.program.password.is_some() {
            // The server has chosen a resource.
            self.jid = self.line("READY ");
        }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a program that runs")
    }

    /// What it writes behind this word, once it does.
    fn line(&self, word: &str) -> String {
        let line = self.process().wait_for_line(|line| line.starts_with(word), PATIENCE).unwrap();
        line[word.len()..].to_owned()
    }

    /// How often it has told its user that it lost its connection.
    pub(crate) fn losses(&self) -> usize {
        self.process().lines().iter().filter(|line| line.contains("lost its connection")).count()
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

impl Program {
    fn start(&self, folder: &Path) -> Process {
        let spawn = Spawn::new("account", &self.path).args(&self.args).folder(folder);
        let spawn = match &self.password {
            Some(password) => spawn.env("PLAIN_CLIENT_PASSWORD", password),
            None => spawn,
        };
        spawn.start().unwrap()
    }
}

fn write_private(folder: &Path, content: &str) -> PathBuf {
    let path = folder.join("hexchat.toml");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    path
}
