//! Debian's ejabberd, on loopback.
//!
//! It runs without Erlang distribution: no node name, no epmd, no port but ours. So `ejabberdctl` cannot reach it, and
//! accounts are made by an expression that it evaluates when it starts, and deleted when it reads their names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::ca::{Certificate, certificate_for};
use crate::ports::{free_port, try_ports, wait_until_open};
use crate::process::{Process, Spawn};
use crate::server::{ANONYMOUS, COMPONENT_SECRET, ChatServer, DOMAIN, Door, RELAY, Rate, Rules, UPLOAD};

/// 180 seconds: a second with nothing else to do, and more than a minute where four start beside six busy processes on two cores.
const READY: Duration = Duration::from_secs(180);
/// What it says once the accounts are there.
pub(crate) const READY_LINE: &str = "lab is ready";

/// An ejabberd of our own.
#[derive(Debug)]
pub struct Ejabberd {
    // Before the folder, so that it has ended when its files go.
    process: Option<Process>,
    folder: TempDir,
    certificate: Certificate,
    port: u16,
    tls_port: u16,
    web_port: u16,
    component_port: u16,
    relay_port: u16,
    rate: Rate,
    rules: Rules,
    users: Vec<String>,
}

impl Ejabberd {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When it does not come up, with its last words.
    pub fn start(rate: Rate, users: &[&str], rules: Rules) -> Result<Self> {
        ensure!(!rules.contacts_only, "ejabberd keeps no IQs of strangers away");
        ensure!(rules.binding.types.is_empty(), "ejabberd binds as Debian's does");
        ensure!(!matches!(rate, Rate::StockBut(_)), "all users of ejabberd have the same limits here");
        ensure!(
            !users.iter().any(|user| user.contains('@')),
            "all users of ejabberd have the same domain here"
        );
        try_ports(|| {
            let mut server = Self::prepare(rate, users, rules)?;
            server.run()?;
            Ok(server)
        })
    }

    fn prepare(rate: Rate, users: &[&str], rules: Rules) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("ejabberd-").tempdir().context("making a folder")?;
        let certificate = certificate_for(&[DOMAIN, ANONYMOUS, UPLOAD], folder.path())?;
        let users = users.iter().map(|&user| user.to_owned()).collect();
        let (port, tls_port, web_port, component_port) =
            (free_port()?, free_port()?, free_port()?, free_port()?);
        let relay_port = free_port()?;
        let process = None;
        let server = Self {
            process,
            folder,
            certificate,
            port,
            tls_port,
            web_port,
            component_port,
            relay_port,
            rate,
            rules,
            users,
        };
        fs::write(server.config_file(), server.config())?;
        server.write_captcha()?;
        Ok(server)
    }

    /// Starts it, for the first time or again.
    ///
    /// # Errors
    ///
    /// When it does not come up, with its last words.
    pub fn run(&mut self) -> Result<()> {
        let folder = self.folder.path();
        let mut process = ejabberd_in(folder, &self.config_file(), self.script())?
            .stdin()
            .start()
            .context("install Debian's package ejabberd")?;
        process.wait_for_line(|line| line == READY_LINE, READY)?;
        let relay = self.rules.relay.map(|_| self.relay_port);
        for port in [self.port, self.tls_port, self.web_port].into_iter().chain(relay) {
            wait_until_open(port, READY, || process.is_running())?;
        }
        // It only logs that a port was taken, and goes on without it.
        if let Some(line) = process.lines().iter().find(|line| line.contains("eaddrinuse")) {
            bail!("ejabberd: {line}");
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
    /// When it does not run, or does not do it.
    pub fn delete_account(&mut self, user: &str) -> Result<()> {
        let process = self.process.as_mut().context("ejabberd does not run")?;
        process.say(user)?;
        process.wait_for_line(|line| line == format!("deleted {user}: ok"), READY)?;
        self.users.retain(|other| other != user);
        Ok(())
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
        self.port
    }

    /// The port for direct TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The port for WebSockets under TLS, and for the host-meta that names it.
    pub fn web_port(&self) -> u16 {
        self.web_port
    }

    /// The port for components.
    pub fn component_port(&self) -> u16 {
        self.component_port
    }

    /// The port of its proxy of bytestreams.
    pub fn relay_port(&self) -> u16 {
        self.relay_port
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
        self.folder.path().join("ejabberd.yml")
    }

    /// Registers the accounts, which fails harmlessly for those that exist, and says when that is done. Then it deletes
    /// those whose names it reads.
    fn script(&self) -> String {
        let users: Vec<_> = self
            .users
            .iter()
            .map(|user| format!("{{<<\"{user}\">>,<<\"{}\">>}}", ChatServer::password(user)))
            .collect();
        format!(
            "{{ok, _}} = application:ensure_all_started(ejabberd), \
             [ejabberd_auth:try_register(U, <<\"{DOMAIN}\">>, P) || {{U, P}} <- [{}]], \
             Delete = fun(User) -> \
                 Done = (catch ejabberd_auth:remove_user(list_to_binary(User), <<\"{DOMAIN}\">>)), \
                 io:format(\"deleted ~s: ~0p~n\", [User, Done]) end, \
             spawn(fun Loop() -> \
                 case io:get_line(\"\") of \
                     Line when is_list(Line) -> Delete(string:trim(Line)), Loop(); \
                     _ -> ok end end), \
             io:format(\"{READY_LINE}~n\").",
            users.join(",")
        )
    }

    fn captcha_file(&self) -> PathBuf {
        self.folder.path().join("captcha.sh")
    }

    /// What makes the pictures of CAPTCHAs: nobody looks at them.
    fn write_captcha(&self) -> Result<()> {
        let path = self.captcha_file();
        fs::write(&path, "#!/bin/sh\nprintf '\\211PNG\\r\\n\\032\\n'\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).context("making a script executable")
    }

    /// What its hosts are, what is special of the one for everybody, and the module by which accounts are registered.
    fn door_config(&self) -> (String, String, &'static str) {
        let (register, module) = match self.rules.door {
            Door::Closed => return (format!("\"{DOMAIN}\""), String::new(), ""),
            Door::Open => ("registration_timeout: infinity\n".to_owned(), "  mod_register: {}\n"),
            Door::Slow => ("registration_timeout: 600\n".to_owned(), "  mod_register: {}\n"),
            Door::Guarded => (
                format!("captcha_cmd: \"{}\"\n", self.captcha_file().display()),
                "  mod_register: {captcha_protected: true}\n",
            ),
        };
        let anonymous = format!(
            "{register}host_config:\n  {ANONYMOUS}:\n    auth_method: anonymous\n    anonymous_protocol: sasl_anon\n"
        );
        (format!("\"{DOMAIN}\", \"{ANONYMOUS}\""), anonymous, module)
    }

    /// What the component adds to the listeners, and what follows them.
    fn component(&self) -> (String, String) {
        let Some((domain, processes)) = self.rules.component else { return Default::default() };
        let port = self.component_port;
        let listener = format!(
            "  - {{port: {port}, ip: \"127.0.0.1\", module: ejabberd_service, \
             hosts: {{\"{domain}\": {{password: \"{COMPONENT_SECRET}\"}}}}}}\n"
        );
        let balancing = (processes > 1).then(|| {
            format!(
                "domain_balancing:\n  \"{domain}\": {{type: bare_source, component_number: {processes}}}\n"
            )
        });
        (listener, balancing.unwrap_or_default())
    }

    /// What handles uploads, and the module for it.
    fn upload(&self) -> (&'static str, String) {
        let Some(upload) = self.rules.upload else { return Default::default() };
        let (port, max_file, folder) = (self.web_port, upload.max_file, self.folder.path().display());
        let module = format!(
            "  mod_http_upload: {{put_url: \"https://{UPLOAD}:{port}/upload\", docroot: \"{folder}/upload\", max_size: {max_file}, access: all}}\n"
        );
        (", /upload: mod_http_upload", module)
    }

    /// The module for its proxy of bytestreams.
    fn relay(&self) -> String {
        let Some(host) = self.rules.relay else { return String::new() };
        let port = self.relay_port;
        format!(
            "  mod_proxy65: {{host: {RELAY}, name: proxy, ip: \"127.0.0.1\", port: {port}, hostname: \"{host}\", access: all}}\n"
        )
    }

    /// Debian's configuration as far as it concerns clients.
    fn config(&self) -> String {
        let starttls = if self.rate == Rate::Overheard { "starttls" } else { "starttls_required" };
        let shaper = match self.rate {
            Rate::Stock | Rate::StockBut(_) => "normal",
            Rate::Unlimited | Rate::Overheard => "none",
        };
        // A listener names a rule, not a shaper: one that is not there does not limit.
        let max_stanza = self.rules.max_stanza.unwrap_or(262_144);
        let listener = format!(
            "ip: \"127.0.0.1\", module: ejabberd_c2s, max_stanza_size: {max_stanza}, shaper: c2s_shaper"
        );
        let max_logins = self.rules.max_logins.unwrap_or(10);
        let (component, balancing) = self.component();
        let (hosts, anonymous, register) = self.door_config();
        let (upload_handler, upload) = self.upload();
        let relay = self.relay();
        format!(
            r#"hosts: [{hosts}]
loglevel: 4
certfiles: ["{bundle}"]
ca_file: "{ca}"
listen:
  - {{port: {port}, {listener}, {starttls}: true}}
  - {{port: {tls_port}, {listener}, tls: true}}
  - port: {web_port}
    ip: "127.0.0.1"
    module: ejabberd_http
    tls: true
    request_handlers: {{/ws: ejabberd_http_ws, /.well-known/host-meta: mod_host_meta, /.well-known/host-meta.json: mod_host_meta{upload_handler}}}
{component}{balancing}shaper:
  normal: {{rate: 3000, burst_size: 20000}}
shaper_rules:
  max_user_sessions: {max_logins}
  c2s_shaper: {shaper}
{anonymous}modules:
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_host_meta: {{websocket_url: "wss://@HOST@:{web_port}/ws"}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{resend_on_timeout: if_offline}}
{register}{upload}{relay}"#,
            bundle = self.certificate.bundle.display(),
            ca = self.certificate.ca.display(),
            port = self.port,
            tls_port = self.tls_port,
            web_port = self.web_port,
        )
    }
}

/// An ejabberd that has its files in `folder`, and evaluates `script` when it has started.
pub(crate) fn ejabberd_in(folder: &Path, config: &Path, script: String) -> Result<Spawn> {
    Ok(Spawn::new("ejabberd", "erl")
        .args(["-noshell", "+sbwt", "none", "-mnesia", "dir"])
        .arg(format!("\"{}/db\"", folder.display()))
        .args(["-s", "ejabberd", "-eval"])
        .arg(script)
        .env("ERL_LIBS", libraries().context("install Debian's package ejabberd")?)
        .env("HOME", folder)
        .env("EJABBERD_CONFIG_PATH", config)
        .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"))
        .env("ERL_CRASH_DUMP", "/dev/null")
        .folder(folder))
}

/// Starts an ejabberd with a configuration that is somebody else's, and ends it.
///
/// # Errors
///
/// When it does not start with it, with what it says.
pub fn start_once(config: &str) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("ejabberd-").tempdir().context("making a folder")?;
    let file = folder.path().join("ejabberd.yml");
    fs::write(&file, config)?;
    let script =
        format!("{{ok, _}} = application:ensure_all_started(ejabberd), io:format(\"{READY_LINE}~n\").");
    let process =
        ejabberd_in(folder.path(), &file, script)?.start().context("install Debian's package ejabberd")?;
    process.wait_for_line(|line| line == READY_LINE, READY).map(drop)
}

/// Reads YAML as ejabberd does, and shows what it has found, as Erlang writes it.
///
/// # Errors
///
/// When it is no YAML.
pub fn read_yaml(text: &str) -> Result<String> {
    let folder = tempfile::tempdir().context("making a folder")?;
    fs::write(folder.path().join("file.yml"), text)?;
    let script = "{ok, _} = application:ensure_all_started(fast_yaml), \
                  {ok, Found} = fast_yaml:decode_from_file(\"file.yml\", [plain_as_atom]), \
                  io:format(\"~0p~n\", [Found]), halt().";
    let mut process = Spawn::new("erl", "erl")
        .args(["-noshell", "-eval", script])
        .env("ERL_LIBS", libraries().context("install Debian's package ejabberd")?)
        .env("ERL_CRASH_DUMP", "/dev/null")
        .folder(folder.path())
        .start()?;
    let status = process.wait(READY)?;
    process.wait_for_end_of_output(READY)?;
    ensure!(status.success(), "{}", process.lines().join("\n"));
    Ok(process.lines().join("\n"))
}

/// The folder in which Debian keeps ejabberd as an Erlang library; it depends on the machine's architecture.
fn libraries() -> Result<PathBuf> {
    for folder in fs::read_dir("/usr/lib")?.flatten() {
        let Ok(mut entries) = fs::read_dir(folder.path()) else { continue };
        let is_ejabberd = |entry: fs::DirEntry| {
            entry.file_name().to_string_lossy().starts_with("ejabberd-") && entry.path().join("ebin").is_dir()
        };
        if entries.any(|entry| entry.is_ok_and(is_ejabberd)) {
            return Ok(folder.path());
        }
    }
    bail!("there is no ejabberd below /usr/lib")
}
