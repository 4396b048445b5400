//! Debian's Prosody, on loopback.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::ca::{Certificate, certificate_for};
use crate::ports::{free_port, try_ports};
use crate::process::{Process, Spawn, is_root};
use crate::server::{
    ANONYMOUS, Binding, COMPONENT_SECRET, ChatServer, DOMAIN, Door, RELAY, Rate, Rules, UPLOAD, Upload,
    name_and_domain,
};

const READY: Duration = Duration::from_secs(20);
const PORT_TAKEN: &str = "Failed to open server port";

/// Which of its modules are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modules {
    /// Those of its own package that concern clients.
    Stock,
    /// SASL2 and what belongs to it as well, from Debian's package prosody-modules. How each client has logged in is logged.
    Sasl2,
}

/// Logs by which mechanism of SASL2 a client has logged in, and has what Debian 12's prosody-modules expect of a Prosody that is a
/// little younger: a method of connections and one of stanzas, who opened a stream, dates without parts of a second, and word of a
/// login, without which stanzas may have no more than 10,000 bytes.
const LAB_MODULE: &str = include_str!("mod_lab.lua");

/// Teaches Prosody 0.12 the channel binding of Prosody 13, and XEP-0474, in front of its own SCRAM; and logs by which mechanism a client
/// has logged in.
const BINDING_MODULE: &str = include_str!("mod_lab_binding.lua");

/// A Prosody of our own.
#[derive(Debug)]
pub struct Prosody {
    // Before the folder, so that it has ended when its files go.
    process: Option<Process>,
    folder: TempDir,
    certificate: Certificate,
    ports: Ports,
    rate: Rate,
    modules: Modules,
    rules: Rules,
    /// Those of its users, and [`DOMAIN`].
    domains: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    tls: u16,
    web: u16,
    plain_web: u16,
    component: u16,
    relay: u16,
}

impl Prosody {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When it does not come up, with its last words.
    pub fn start(rate: Rate, users: &[&str], modules: Modules, rules: Rules) -> Result<Self> {
        ensure!(
            rules.component.is_none_or(|(_, processes)| processes == 1),
            "a component of Prosody is one process"
        );
        try_ports(|| {
            let mut server = Self::prepare(rate, users, modules, rules)?;
            server.run()?;
            Ok(server)
        })
    }

    fn prepare(rate: Rate, users: &[&str], modules: Modules, rules: Rules) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("prosody-").tempdir().context("making a folder")?;
        let domains = users.iter().map(|user| name_and_domain(user).1).chain([DOMAIN]);
        let domains: BTreeSet<_> = domains.map(str::to_owned).collect();
        let names: Vec<_> = domains.iter().map(String::as_str).chain([ANONYMOUS, UPLOAD]).collect();
        let certificate = certificate_for(&names, folder.path())?;
        let ports = Ports {
            plain: free_port()?,
            tls: free_port()?,
            web: free_port()?,
            plain_web: free_port()?,
            component: free_port()?,
            relay: free_port()?,
        };
        let server = Self { process: None, folder, certificate, ports, rate, modules, rules, domains };
        fs::write(server.config_file(), server.config())?;
        fs::write(server.folder.path().join("mod_lab.lua"), LAB_MODULE)?;
        fs::write(server.folder.path().join("mod_lab_binding.lua"), BINDING_MODULE)?;
        for domain in &server.domains {
            fs::create_dir_all(server.accounts(domain))?;
        }
        for user in users {
            let account = format!("return {{ [\"password\"] = \"{}\" }};\n", ChatServer::password(user));
            fs::write(server.account_file(user), account)?;
        }
        give_to_prosody(server.folder.path())?;
        Ok(server)
    }

    /// Starts it, for the first time or again.
    ///
    /// # Errors
    ///
    /// When it does not come up, with its last words.
    pub fn run(&mut self) -> Result<()> {
        let process = Spawn::new("prosody", "prosody")
            .args(["-F", "--config"])
            .arg(self.config_file())
            .folder(self.folder.path())
            .user("prosody")
            .start()
            .context("install Debian's package prosody")?;
        let relay = self.rules.relay.map(|_| "'proxy65' on");
        let services = ["'c2s' on", "'c2s_direct_tls' on", "'https' on", "'http' on"];
        for service in services.into_iter().chain(relay) {
            let activated = format!("Activated service {service}");
            let line = process
                .wait_for_line(|line| line.contains(&activated) || line.contains(PORT_TAKEN), READY)
                .context("prosody did not come up")?;
            // It only logs that, and goes on without the port.
            ensure!(!line.contains(PORT_TAKEN), "prosody: {line}");
        }
        self.process = Some(process);
        Ok(())
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Kills it: it says farewell to nobody.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Deletes an account while it runs.
    ///
    /// # Errors
    ///
    /// When it does not run, or there is no such account.
    pub fn delete_account(&self, user: &str) -> Result<()> {
        let shown = self.shell(&["user", "delete", &format!("{user}@{DOMAIN}")])?;
        ensure!(shown.iter().any(|line| line.contains("OK: User deleted")), "{}", shown.join("\n"));
        Ok(())
    }

    /// The full JIDs that are logged in, in order, and those that are lost but kept to be resumed.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn sessions(&self) -> Result<Vec<String>> {
        let shown = self.shell(&["c2s", "show"])?;
        ensure!(shown.iter().any(|line| line.contains("c2s sessions shown")), "{}", shown.join("\n"));
        let jids = shown.iter().flat_map(|line| line.split_whitespace());
        let mut jids: Vec<_> =
            jids.filter(|word| word.contains(&format!("@{DOMAIN}/"))).map(str::to_owned).collect();
        jids.sort();
        Ok(jids)
    }

    /// What its own shell answers to a command.
    fn shell(&self, command: &[&str]) -> Result<Vec<String>> {
        let mut shell = Spawn::new("prosodyctl", "prosodyctl")
            .arg("--config")
            .arg(self.config_file())
            .arg("shell")
            .args(command)
            .folder(self.folder.path())
            .user("prosody")
            .start()?;
        shell.wait_for_line(|line| line.starts_with("OK: ") || line.starts_with('!'), READY)?;
        shell.wait(READY)?;
        Ok(shell.lines())
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> Vec<String> {
        self.process.as_ref().map(Process::lines).unwrap_or_default()
    }

    /// The port for STARTTLS.
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// The port for direct TLS.
    pub fn tls_port(&self) -> u16 {
        self.ports.tls
    }

    /// The port for WebSockets under TLS.
    pub fn web_port(&self) -> u16 {
        self.ports.web
    }

    /// The port for WebSockets without TLS.
    pub fn plain_web_port(&self) -> u16 {
        self.ports.plain_web
    }

    /// The port for components.
    pub fn component_port(&self) -> u16 {
        self.ports.component
    }

    /// The port of its proxy of bytestreams.
    pub fn relay_port(&self) -> u16 {
        self.ports.relay
    }

    /// The key of its certificate, as `pin` in a bridge line has it.
    pub fn pin(&self) -> &str {
        &self.certificate.pin
    }

    /// The certificate of its authority.
    pub fn ca_file(&self) -> &Path {
        &self.certificate.ca
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("prosody.cfg.lua")
    }

    fn accounts(&self, domain: &str) -> PathBuf {
        self.folder.path().join("data").join(domain.replace('.', "%2e")).join("accounts")
    }

    fn account_file(&self, user: &str) -> PathBuf {
        let (name, domain) = name_and_domain(user);
        self.accounts(domain).join(format!("{name}.dat"))
    }

    /// Debian's configuration as far as it concerns clients, and the shell, by which accounts are deleted. Messages for
    /// who is not there are kept: Prosody loads that module by itself.
    fn config(&self) -> String {
        let folder = self.folder.path().display();
        let Certificate { certificate, key, .. } = &self.certificate;
        let hosts: String = self.domains.iter().map(|domain| format!("VirtualHost \"{domain}\"\n")).collect();
        // Without a configuration of its own the module has limits all the same.
        let encryption = self.rate != Rate::Overheard;
        let (limits_module, limits) = match self.rate {
            Rate::Stock => ("\"limits\"; ", limits_except(&[])),
            Rate::StockBut(users) => ("\"limits\"; ", limits_except(users)),
            Rate::Unlimited | Rate::Overheard => ("", String::new()),
        };
        let sasl2 = match self.modules {
            Modules::Stock => "",
            Modules::Sasl2 => r#"; "sasl2"; "sasl2_bind2"; "sasl2_sm"; "sasl2_fast"; "lab""#,
        };
        let strangers = if self.rules.contacts_only { "; \"block_strangers\"" } else { "" };
        let max_stanza = self.rules.max_stanza.map(|bytes| format!("c2s_stanza_size_limit = {bytes}"));
        let (binding_module, binding) = self.binding(certificate);
        let (component_ports, component) = match self.rules.component {
            Some((domain, _)) => (self.ports.component.to_string(), component(domain)),
            None => Default::default(),
        };
        let upload = self.rules.upload.map(upload).unwrap_or_default();
        let relay = self.rules.relay.map(relay).unwrap_or_default();
        let register = if self.rules.door == Door::Closed {
            ""
        } else {
            r#"; "register_ibr"; "user_account_management""#
        };
        let registration = match self.rules.door {
            Door::Slow => {
                "registration_throttle_max = 1\nregistration_throttle_period = 3600\nregistration_allowlist = {}\n"
            }
            Door::Guarded => "additional_registration_fields = { \"email+\" }\n",
            Door::Closed | Door::Open => "",
        };
        let anonymous = if self.rules.door == Door::Closed {
            String::new()
        } else {
            format!("VirtualHost \"{ANONYMOUS}\"\nauthentication = \"anonymous\"\n")
        };
        format!(
            r#"data_path = "{folder}/data"
pidfile = "{folder}/prosody.pid"
admin_socket = "{folder}/prosody.sock"
plugin_paths = {{ "{folder}" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {plain} }}
c2s_direct_tls_ports = {{ {tls} }}
s2s_ports = {{}}
component_ports = {{ {component_ports} }}
proxy65_ports = {{ {relay_port} }}
proxy65_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {plain_web} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{ {web} }}
https_interfaces = {{ "127.0.0.1" }}
http_default_host = "{DOMAIN}"
https_ssl = {{ key = "{key}"; certificate = "{certificate}" }}
modules_enabled = {{ {limits_module}"roster"; "saslauth"; "tls"; "disco"; "carbons"; "pep"; "private"; "blocklist"; "vcard4"; "version"; "uptime"; "time"; "ping"; "websocket"; "smacks"; "csi_simple"; "admin_shell"{sasl2}{register}{strangers}{binding_module} }}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = {encryption}
authentication = "internal_hashed"
log = {{ info = "*console" }}
ssl = {{ key = "{key}"; certificate = "{certificate}" }}
c2s_direct_tls_ssl = {{ key = "{key}"; certificate = "{certificate}" }}
allow_registration = true
{registration}{limits}
{max_stanza}
{binding}{hosts}{anonymous}{component}{upload}{relay}"#,
            max_stanza = max_stanza.unwrap_or_default(),
            plain = self.ports.plain,
            tls = self.ports.tls,
            web = self.ports.web,
            plain_web = self.ports.plain_web,
            relay_port = self.ports.relay,
            key = key.display(),
            certificate = certificate.display(),
        )
    }

    /// The module by which logins are bound, and its configuration.
    fn binding(&self, certificate: &Path) -> (&'static str, String) {
        let Binding { types, hash } = self.rules.binding;
        if types.is_empty() {
            return Default::default();
        }
        let types: String = types.iter().map(|name| format!("\"{name}\"; ")).collect();
        let certificate = certificate.display();
        let config = format!(
            "lab_binding_types = {{ {types}}}\nlab_offer_hash = {hash}\nlab_certificate = \"{certificate}\"\n"
        );
        ("; \"lab_binding\"", config)
    }
}

/// Prosody refuses to be root, so its files must belong to the user that its package made.
pub(crate) fn give_to_prosody(folder: &Path) -> Result<()> {
    if is_root() {
        let status = std::process::Command::new("chown").args(["-R", "prosody:"]).arg(folder).status();
        if !status.context("running chown")?.success() {
            bail!("there is no user `prosody`: install Debian's package prosody");
        }
    }
    Ok(())
}

fn component(domain: &str) -> String {
    format!("Component \"{domain}\"\n    component_secret = \"{COMPONENT_SECRET}\"\n")
}

fn upload(Upload { max_file, daily }: Upload) -> String {
    format!(
        "Component \"{UPLOAD}\" \"http_file_share\"\n    http_file_share_size_limit = {max_file}\n    \
         http_file_share_daily_quota = {daily}\n"
    )
}

fn relay(host: &str) -> String {
    format!("Component \"{RELAY}\" \"proxy65\"\n    proxy65_address = \"{host}\"\n")
}

/// Debian's limits, for all but these users.
fn limits_except(users: &[&str]) -> String {
    let jid = |(name, domain)| format!("\"{name}@{domain}\"; ");
    let jids: String = users.iter().map(|user| jid(name_and_domain(user))).collect();
    format!("limits = {{ c2s = {{ rate = \"10kb/s\"; }}; }}\nunlimited_jids = {{ {jids}}}")
}
