//! Our two halves, `forward` and `serve`, as a user runs them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use hexchat_lab::process::Spawn;
use hexchat_lab::server::ONE_LOGIN;
use hexchat_lab::{ChatServer, Kind, Process, Rate};
use tempfile::TempDir;

use crate::PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Secure,
    Classic,
}

/// What two halves are started with.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) executable: &'a Path,
    pub(crate) chat: &'a ChatServer,
    pub(crate) protocol: Protocol,
    /// How many each half has.
    pub(crate) accounts: usize,
    pub(crate) target: SocketAddr,
    /// How many sessions each account has at the most, if that is not left to it. Older executables know nothing of it.
    pub(crate) sessions: Option<u8>,
    /// How `forward` and `serve` connect, unless that is straight to the chat server.
    pub(crate) by_way_of: Option<Ways>,
}

/// Where the two halves connect to, `forward` first.
#[derive(Clone, Copy)]
pub(crate) struct Ways {
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) tls: Tls,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// On request.
    Start,
    /// At once (XEP-0368).
    Direct,
}

/// Both halves.
pub(crate) struct Pair {
    // Before the folder, so that they have ended when their files go.
    pub(crate) forward: Process,
    pub(crate) serve: Process,
    pub(crate) entrance: SocketAddr,
    pub(crate) forward_started: Instant,
    _folder: TempDir,
}

/// Their accounts, for as many as there can be.
pub(crate) fn users(accounts: usize) -> Vec<String> {
    (1..=accounts).flat_map(|n| [client(n), bridge(n)]).collect()
}

/// A chat server with accounts for these.
pub(crate) fn server(kind: Kind, rate: Rate, users: &[String]) -> Result<ChatServer> {
    ChatServer::start(kind, rate, &users.iter().map(String::as_str).collect::<Vec<_>>())
}

fn client(n: usize) -> String {
    format!("alice{n}")
}

fn bridge(n: usize) -> String {
    format!("bob{n}")
}

impl Pair {
    /// Starts both; they need not have found each other yet.
    pub(crate) fn start(setup: Setup) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("hexchat-bench-").tempdir()?;
        let serve = setup.serve(folder.path())?;
        let users: Vec<_> = (1..=setup.accounts).map(client).collect();
        let forward_started = Instant::now();
        let forward = setup.forward(folder.path(), "forward", &users)?;
        let entrance = entrance(&forward)?;
        Ok(Self { forward, serve, entrance, forward_started, _folder: folder })
    }
}

/// One `serve`, and many `forward`s with an account each.
pub(crate) struct Crowd {
    /// Each with its entrance.
    pub(crate) forwards: Vec<(Process, SocketAddr)>,
    pub(crate) serve: Process,
    _folder: TempDir,
}

impl Crowd {
    pub(crate) fn users(clients: usize, bridges: usize) -> Vec<String> {
        (1..=clients).map(client).chain((1..=bridges).map(bridge)).collect()
    }

    /// Starts `serve` with the accounts of the setup, and so many clients.
    pub(crate) fn start(setup: Setup, clients: usize) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("hexchat-bench-").tempdir()?;
        let serve = setup.serve(folder.path())?;
        let start = |n| setup.forward(folder.path(), &format!("forward{n}"), &[client(n)]);
        // All log in at a time; then all are waited for.
        let processes = (1..=clients).map(start).collect::<Result<Vec<_>>>()?;
        let with_entrance = |forward: Process| entrance(&forward).map(|entrance| (forward, entrance));
        let forwards = processes.into_iter().map(with_entrance).collect::<Result<Vec<_>>>()?;
        Ok(Self { forwards, serve, _folder: folder })
    }
}

/// Where a `forward` takes connections.
pub(crate) fn entrance(forward: &Process) -> Result<SocketAddr> {
    let line = forward.wait_for_line(|line| line.starts_with("LISTENING "), PATIENCE)?;
    Ok(line.split(' ').nth(1).context("no address")?.parse()?)
}

impl Setup<'_> {
    fn serve(&self, folder: &Path) -> Result<Process> {
        let users: Vec<_> = (1..=self.accounts).map(bridge).collect();
        let mut spawn =
            self.spawn("serve", "serve", folder, &users, 1)?.args(["--allow", &self.target.to_string()]);
        if self.protocol == Protocol::Secure {
            spawn = spawn.arg("--secure");
        }
        let process = spawn.start()?;
        process.wait_for_line(|line| line.starts_with("READY "), PATIENCE)?;
        Ok(process)
    }

    fn forward(&self, folder: &Path, name: &str, users: &[String]) -> Result<Process> {
        let spawn = self.spawn("forward", name, folder, users, 0)?;
        let spawn = spawn.args(["--listen", "127.0.0.1:0", "--target", &self.target.to_string()]);
        let line = folder.join("serve").join("hexchat_bridgeline.txt");
        match self.protocol {
            Protocol::Secure => spawn.arg("--bridge-line-file").arg(line).start(),
            Protocol::Classic => spawn.arg("--to").arg(self.chat.jid(&bridge(1))).start(),
        }
    }

    /// A half with the accounts of `users`, whose state is in a folder of its own `name`.
    fn spawn(&self, half: &str, name: &str, folder: &Path, users: &[String], way: usize) -> Result<Spawn> {
        let (server, tls) = match self.by_way_of {
            Some(Ways { addresses, tls: Tls::Direct }) => (addresses[way], "tls = \"direct\"\n"),
            Some(Ways { addresses, tls: Tls::Start }) => (addresses[way], ""),
            None => (self.chat.address(), ""),
        };
        let sessions = self.sessions.map_or_else(String::new, |most| format!("sessions = {most}\n"));
        let section =
            |user: &String| self.chat.account_section(user, server).replacen(ONE_LOGIN, &sessions, 1) + tls;
        let config: String = users.iter().map(section).collect();
        let file = write_private(&folder.join(format!("{name}.toml")), &config)?;
        let spawn = Spawn::new(half, self.executable).arg(half).arg("--config").arg(file);
        Ok(spawn.arg("--state").arg(folder.join(name)))
    }
}

pub(crate) fn write_private(path: &Path, text: &str) -> Result<PathBuf> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(path.to_owned())
}
