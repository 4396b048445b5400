//! A Prosody of its own for each test, with the accounts `alice` and `bob` at `chat.example`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hexchat_pt::config::{AccountConfig, Credential, ServerAddr, TlsMode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

const DOMAIN: &str = "chat.example";
const PASSWORD: &str = "secret";

pub(crate) struct ChatServer {
    directory: TempDir,
    starttls: u16,
    direct: u16,
    process: Option<Child>,
}

impl ChatServer {
    pub(crate) fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("hexchat-prosody-").tempdir().unwrap();
        let (starttls, direct) = (free_port(), free_port());
        let mut server = Self { directory, starttls, direct, process: None };
        server.write_certificates();
        server.write_accounts();
        server.write_config();
        if getuid().is_root() {
            give_away(server.directory.path(), prosody_user().expect("the user `prosody`"));
        }
        server.restart();
        server
    }

    /// A login at this server, with a resource of its own.
    pub(crate) fn account(&self, user: &str, tls: TlsMode) -> AccountConfig {
        let port = if tls == TlsMode::Direct { self.direct } else { self.starttls };
        AccountConfig {
            jid: format!("{user}@{DOMAIN}/{:016x}", rand::random::<u64>()).parse().unwrap(),
            credential: Credential::Password(PASSWORD.into()),
            server: Some(ServerAddr { host: "127.0.0.1".into(), port }),
            tls,
            ca_file: Some(self.path("ca.pem")),
        }
    }

    /// Where clients connect that use STARTTLS.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.starttls))
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).unwrap();
            kill_process(pid, Signal::TERM).unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        let mut command = Command::new("prosody");
        command.arg("-F").arg("--config").arg(self.path("prosody.cfg.lua"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let (true, Some((uid, gid))) = (getuid().is_root(), prosody_user()) {
            command.uid(uid).gid(gid);
        }
        self.process = Some(command.spawn().expect("prosody (Debian's package) must be installed"));
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&mut self) {
        let start = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert!(ended.is_none(), "prosody ended: {}", self.log());
            assert!(start.elapsed() < Duration::from_secs(20), "prosody does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("prosody.log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn write_certificates(&self) {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self.write("ca.pem", &ca.self_signed(&ca_key).unwrap().pem());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![DOMAIN.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        self.write("server.pem", &certificate.pem());
        self.write("server.key", &key.serialize_pem());
    }

    fn write_accounts(&self) {
        for user in ["alice", "bob"] {
            let file = format!("data/{}/accounts/{user}.dat", DOMAIN.replace('.', "%2e"));
            self.write(&file, &format!("return {{ [\"password\"] = \"{PASSWORD}\" }};\n"));
        }
    }

    fn write_config(&self) {
        let (root, starttls, direct) = (self.directory.path().display(), self.starttls, self.direct);
        let config = format!(
            r#"
data_path = "{root}/data"
pidfile = "{root}/prosody.pid"
log = {{ info = "{root}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {starttls} }}
c2s_direct_tls_ports = {{ {direct} }}
c2s_require_encryption = true
authentication = "internal_hashed"
modules_enabled = {{ "saslauth", "tls", "smacks", "ping", "roster" }}
modules_disabled = {{ "s2s" }}
limits = {{}}
ssl = {{ key = "{root}/server.key", certificate = "{root}/server.pem" }}
c2s_direct_tls_ssl = ssl
VirtualHost "{DOMAIN}"
"#
        );
        self.write("prosody.cfg.lua", &config);
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Prosody refuses to run as root.
fn prosody_user() -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = passwd.lines().find_map(|line| line.strip_prefix("prosody:"))?.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn give_away(path: &Path, (uid, gid): (u32, u32)) {
    chown(path, Some(uid), Some(gid)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path(), (uid, gid));
        }
    }
}
