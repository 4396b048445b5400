//! Federation: a Prosody and an ejabberd of different domains, each on a machine of its own, that speak to each other.
//!
//! As on the Internet, each machine has an address and the usual ports: 5269 for other servers, where only who shows a certificate for its
//! domain is believed (there is no dialback), and for clients 443, under TLS, and nothing else. A zone in the DNS says so. Whoever else there
//! is has a third machine, [`home`](Federation::home). The machines are network namespaces, with cables between them, and nothing else can
//! be reached.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::ca::{Authority, Certificate};
use crate::dns::{self, DnsServer, Record};
use crate::ejabberd::{READY_LINE, ejabberd_in};
use crate::netns::Namespace;
use crate::overheard::{self, Heard};
use crate::ports::wait_until_open;
use crate::process::{Process, Spawn};
use crate::prosody::{give_to_prosody, upload};
use crate::server::{ChatServer, Kind, ONE_LOGIN, Upload};

/// Where clients connect.
const FOR_CLIENTS: u16 = 443;
/// Where servers connect.
const FOR_SERVERS: u16 = 5269;
/// Where whoever has a slot puts files.
const FOR_FILES: u16 = 5281;

const READY: Duration = Duration::from_secs(60);

/// Who has an account at each server.
const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// Two servers that speak to each other, and a machine for everybody else.
#[derive(Debug)]
pub struct Federation {
    /// The Prosody.
    pub prosody: Site,
    /// The ejabberd.
    pub ejabberd: Site,
    /// Where everybody else is.
    pub home: Namespace,
    /// What all machines ask.
    pub dns: DnsServer,
}

/// What is unusual of a server to other servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Whether its certificate is from an authority that only its clients know.
    pub is_untrusted: bool,
    /// The largest stanza that it takes from other servers, in bytes; none leaves what is usual.
    pub max_stanza: Option<u32>,
    /// Whether a Prosody reads from each client and from each other server as slowly as one that Debian has configured: 10 and 30 kB/s.
    pub has_limits: bool,
    /// What the upload service of a Prosody takes (XEP-0363); without, there is none.
    pub upload: Option<Upload>,
    /// Whether a Prosody notes what passes on each of its connections: see [`Site::heard`].
    pub is_overheard: bool,
}

/// A server on its machine. It has the accounts `alice`, `bob` and `carol`.
#[derive(Debug)]
pub struct Site {
    // Before the folder, so that it has ended when its files go.
    process: Option<Process>,
    folder: TempDir,
    kind: Kind,
    machine: Namespace,
    certificate: Certificate,
    terms: Terms,
}

impl Federation {
    /// Starts both.
    ///
    /// # Errors
    ///
    /// When this machine permits no network namespace; when a server does not come up, with its last words.
    pub fn start(prosody: Terms, ejabberd: Terms) -> Result<Self> {
        ensure!(
            ejabberd.upload.is_none() && !ejabberd.is_overheard,
            "only a Prosody takes files or is overheard here"
        );
        let machine = || Namespace::asking(IpAddr::V4(dns::ON_A_MACHINE));
        let home = machine()?;
        let authority = Authority::new()?;
        let mut prosody = Site::prepare(Kind::Prosody, machine()?, prosody, &authority)?;
        let mut ejabberd = Site::prepare(Kind::Ejabberd, machine()?, ejabberd, &authority)?;
        for site in [&prosody, &ejabberd] {
            let cable = site.name();
            home.connect(&site.machine, cable)?;
            home.add_address(cable, IpAddr::V4(neighbour(site.address())))?;
            site.machine.add_address(cable, IpAddr::V4(site.address()))?;
        }
        connect(&prosody.machine, &ejabberd.machine)?;
        let zone: Vec<_> = [&prosody, &ejabberd].into_iter().flat_map(Site::records).collect();
        let zone: Vec<_> = zone.iter().map(|(name, record)| (name.as_str(), record.clone())).collect();
        let dns = DnsServer::start_on(&[&home, &prosody.machine, &ejabberd.machine], &zone)?;
        prosody.run()?;
        ejabberd.run()?;
        Ok(Self { prosody, ejabberd, home, dns })
    }

    /// The addresses of the machine for everybody else.
    pub fn home_addresses(&self) -> [Ipv4Addr; 2] {
        [&self.prosody, &self.ejabberd].map(|site| neighbour(site.address()))
    }
}

/// Lays a cable between the servers' machines. Neither has the address that the zone says at its end of it; so each is the other's way to
/// whatever is none of its neighbours.
fn connect(one: &Namespace, other: &Namespace) -> Result<()> {
    let ends = [Ipv4Addr::new(10, 77, 3, 1), Ipv4Addr::new(10, 77, 3, 2)].map(IpAddr::V4);
    one.connect(other, "servers")?;
    one.add_address("servers", ends[0])?;
    other.add_address("servers", ends[1])?;
    one.add_default_route(ends[1])?;
    other.add_default_route(ends[0])
}

/// The address at the other end of the cable.
fn neighbour(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 1)
}

impl Site {
    fn prepare(kind: Kind, machine: Namespace, terms: Terms, authority: &Authority) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("site-").tempdir().context("making a folder")?;
        let stranger = Authority::new()?;
        let issuer = if terms.is_untrusted { &stranger } else { authority };
        let domain = domain_of(kind);
        let certificate = issuer.certify(2049, &[&domain, &format!("upload.{domain}")], folder.path())?;
        let site = Self { process: None, folder, kind, machine, certificate, terms };
        fs::write(site.trusted(), authority.pem())?;
        match kind {
            Kind::Ejabberd => fs::write(site.config_file(), site.ejabberd_config())?,
            Kind::Prosody | Kind::ProsodyModules => site.prepare_prosody()?,
        }
        Ok(site)
    }

    fn prepare_prosody(&self) -> Result<()> {
        fs::write(self.config_file(), self.prosody_config())?;
        let accounts =
            self.folder.path().join("data").join(self.domain().replace('.', "%2e")).join("accounts");
        fs::create_dir_all(&accounts)?;
        for user in USERS {
            let account = format!("return {{ [\"password\"] = \"{}\" }};\n", ChatServer::password(user));
            fs::write(accounts.join(format!("{user}.dat")), account)?;
        }
        fs::create_dir(self.overheard())?;
        fs::write(self.folder.path().join("mod_lab_overheard.lua"), overheard::MODULE)?;
        give_to_prosody(self.folder.path())
    }

    /// Starts it, for the first time or again.
    ///
    /// # Errors
    ///
    /// When it does not come up, with its last words.
    pub fn run(&mut self) -> Result<()> {
        let process = self.machine.run(|| match self.kind {
            Kind::Ejabberd => self.run_ejabberd(),
            Kind::Prosody | Kind::ProsodyModules => self.run_prosody(),
        })?;
        self.process = Some(process);
        Ok(())
    }

    fn run_prosody(&self) -> Result<Process> {
        // Its package lets it listen on port 443 in no other way, either.
        let process = Spawn::new("prosody", "setpriv")
            .args(["--reuid", "prosody", "--regid", "prosody", "--init-groups"])
            .args(["--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service", "--"])
            .args(["prosody", "-F", "--config"])
            .arg(self.config_file())
            .folder(self.folder.path())
            .start()
            .context("install Debian's package prosody")?;
        for service in ["c2s_direct_tls", "s2s"] {
            let activated = format!("Activated service '{service}' on");
            let failed = "Failed to open server port";
            let line = process
                .wait_for_line(|line| line.contains(&activated) || line.contains(failed), READY)
                .context("prosody did not come up")?;
            // It only logs that, and goes on without the port.
            if line.contains(failed) {
                bail!("prosody: {line}");
            }
        }
        Ok(process)
    }

    fn run_ejabberd(&self) -> Result<Process> {
        let folder = self.folder.path();
        let mut process = ejabberd_in(folder, &self.config_file(), self.ejabberd_script())?
            .start()
            .context("install Debian's package ejabberd")?;
        process.wait_for_line(|line| line == READY_LINE, READY)?;
        for port in [FOR_CLIENTS, FOR_SERVERS] {
            wait_until_open(port, READY, || process.is_running())?;
        }
        Ok(process)
    }

    /// Kills it: it says farewell to nobody.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> Vec<String> {
        self.process.as_ref().map(Process::lines).unwrap_or_default()
    }

    /// What it has heard on each connection, if its [terms](Terms::is_overheard) say so.
    ///
    /// # Errors
    ///
    /// When it notes nothing.
    pub fn heard(&self) -> Result<Vec<Heard>> {
        overheard::read(&self.overheard())
    }

    /// The files that it keeps for whoever put them there.
    ///
    /// # Errors
    ///
    /// When nobody has put any.
    pub fn uploads(&self) -> Result<Vec<Vec<u8>>> {
        let host = self.upload_domain().replace('.', "%2e");
        let folder = self.folder.path().join("data").join(host).join("http_file_share");
        let entries = fs::read_dir(folder).context("nothing was put there")?;
        entries.map(|entry| Ok(fs::read(entry?.path())?)).collect()
    }

    /// The machine on which it runs.
    pub fn machine(&self) -> &Namespace {
        &self.machine
    }

    /// The domain of its upload service, which is the host in its URLs.
    pub fn upload_domain(&self) -> String {
        format!("upload.{}", self.domain())
    }

    /// The URLs of its upload service are at this host and port.
    pub fn upload_authority(&self) -> String {
        format!("{}:{FOR_FILES}", self.upload_domain())
    }

    /// Its domain.
    pub fn domain(&self) -> String {
        domain_of(self.kind)
    }

    /// A user's bare JID.
    pub fn jid(&self, user: &str) -> String {
        format!("{user}@{}", self.domain())
    }

    /// A configuration file's `[[account]]` section for `user`, who knows nothing but a name and a password.
    pub fn account_section(&self, user: &str) -> String {
        format!(
            "[[account]]\njid = \"{}\"\npassword = \"{}\"\nca_file = \"{}\"\n{ONE_LOGIN}",
            self.jid(user),
            ChatServer::password(user),
            self.certificate.ca.display()
        )
    }

    /// Where clients connect, by direct TLS.
    pub fn for_clients(&self) -> SocketAddr {
        (self.address(), FOR_CLIENTS).into()
    }

    /// Where its upload service is, if it has one.
    pub fn for_files(&self) -> SocketAddr {
        (self.address(), FOR_FILES).into()
    }

    /// The certificate of the authority that its clients know.
    pub fn ca_file(&self) -> &std::path::Path {
        &self.certificate.ca
    }

    fn name(&self) -> &'static str {
        name_of(self.kind)
    }

    fn address(&self) -> Ipv4Addr {
        match self.kind {
            Kind::Ejabberd => Ipv4Addr::new(10, 77, 2, 2),
            Kind::Prosody | Kind::ProsodyModules => Ipv4Addr::new(10, 77, 1, 2),
        }
    }

    /// Its part of the zone.
    fn records(&self) -> Vec<(String, Record)> {
        let (domain, host) = (self.domain(), format!("host.{}", self.domain()));
        vec![
            (format!("_xmpps-client._tcp.{domain}"), Record::srv(0, FOR_CLIENTS, &host)),
            (format!("_xmpp-server._tcp.{domain}"), Record::srv(0, FOR_SERVERS, &host)),
            (host, Record::A(self.address())),
            (self.upload_domain(), Record::A(self.address())),
        ]
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join(match self.kind {
            Kind::Ejabberd => "ejabberd.yml",
            Kind::Prosody | Kind::ProsodyModules => "prosody.cfg.lua",
        })
    }

    fn overheard(&self) -> PathBuf {
        self.folder.path().join("overheard")
    }

    /// The authority that it believes where other servers are concerned.
    fn trusted(&self) -> PathBuf {
        self.folder.path().join("trusted.pem")
    }

    /// Debian's configuration as far as it concerns messages and other servers, and a server without dialback.
    fn prosody_config(&self) -> String {
        let max_stanza = self.terms.max_stanza.map(|bytes| format!("s2s_stanza_size_limit = {bytes}"));
        let limits = if self.terms.has_limits { r#"; "limits""# } else { "" };
        let overheard = if self.terms.is_overheard { r#"; "lab_overheard""# } else { "" };
        let (https_ports, upload) = match self.terms.upload {
            Some(terms) => (FOR_FILES.to_string(), upload(&self.upload_domain(), terms)),
            None => Default::default(),
        };
        format!(
            r#"data_path = "{folder}/data"
pidfile = "{folder}/prosody.pid"
interfaces = {{ "0.0.0.0" }}
c2s_ports = {{}}
c2s_direct_tls_ports = {{ {FOR_CLIENTS} }}
s2s_ports = {{ {FOR_SERVERS} }}
http_ports = {{}}
https_ports = {{ {https_ports} }}
https_interfaces = {{ "0.0.0.0" }}
https_ssl = {{ key = "{key}"; certificate = "{certificate}" }}
plugin_paths = {{ "{folder}" }}
lab_overheard = "{folder}/overheard"
modules_enabled = {{ "roster"; "saslauth"; "tls"; "disco"; "carbons"; "ping"; "smacks"; "csi_simple"; "s2s"{limits}{overheard} }}
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = true
{max_stanza}
limits = {{ c2s = {{ rate = "10kb/s" }}; s2sin = {{ rate = "30kb/s" }} }}
authentication = "internal_hashed"
log = {{ info = "*console" }}
ssl = {{ key = "{key}"; certificate = "{certificate}"; cafile = "{trusted}" }}
c2s_direct_tls_ssl = {{ key = "{key}"; certificate = "{certificate}" }}
VirtualHost "{domain}"
{upload}"#,
            folder = self.folder.path().display(),
            max_stanza = max_stanza.unwrap_or_default(),
            key = self.certificate.key.display(),
            certificate = self.certificate.certificate.display(),
            trusted = self.trusted().display(),
            domain = self.domain(),
        )
    }

    /// The same. By itself it answers for up to five minutes that another server cannot be reached, once it could not be; here, for one
    /// second.
    fn ejabberd_config(&self) -> String {
        let max_stanza = self.terms.max_stanza.unwrap_or(524_288);
        format!(
            r#"hosts: ["{domain}"]
loglevel: 4
certfiles: ["{bundle}"]
ca_file: "{trusted}"
s2s_use_starttls: required
s2s_max_retry_delay: 1
listen:
  - {{port: {FOR_CLIENTS}, ip: "0.0.0.0", module: ejabberd_c2s, max_stanza_size: 262144, tls: true}}
  - {{port: {FOR_SERVERS}, ip: "0.0.0.0", module: ejabberd_s2s_in, max_stanza_size: {max_stanza}}}
modules:
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{resend_on_timeout: if_offline}}
"#,
            domain = self.domain(),
            bundle = self.certificate.bundle.display(),
            trusted = self.trusted().display(),
        )
    }

    /// Registers the accounts, which fails harmlessly for those that exist, and says when that is done.
    fn ejabberd_script(&self) -> String {
        let domain = self.domain();
        let users = USERS.map(|user| format!("{{<<\"{user}\">>,<<\"{}\">>}}", ChatServer::password(user)));
        format!(
            "{{ok, _}} = application:ensure_all_started(ejabberd), \
             [ejabberd_auth:try_register(U, <<\"{domain}\">>, P) || {{U, P}} <- [{}]], \
             io:format(\"{READY_LINE}~n\").",
            users.join(",")
        )
    }
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Ejabberd => "ejabberd",
        Kind::Prosody | Kind::ProsodyModules => "prosody",
    }
}

fn domain_of(kind: Kind) -> String {
    format!("{}.example", name_of(kind))
}
