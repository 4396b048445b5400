//! Peer: slixmpp's In-Band Bytestreams, the one that everybody can have.

use std::cell::Cell;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::process::Spawn;
use hexchat_lab::{ChatServer, Process};

use crate::PATIENCE;

/// Debian's, which finds Debian's slixmpp.
pub(crate) const DEBIAN: &str = "/usr/bin/python3";

const PROGRAM: &str = include_str!("peer.py");
/// How long the last blocks may take.
const GRACE: Duration = Duration::from_secs(10);

/// Two clients, each in a process of its own.
pub(crate) struct Slixmpp {
    giver: Process,
    taker: Process,
    /// How often the giver has given.
    times: usize,
    to: String,
}

impl Slixmpp {
    /// Two that `python` runs.
    pub(crate) fn start(python: &Path, chat: &ChatServer, [giver, taker]: [&str; 2]) -> Result<Self> {
        let (giver, _) = client(python, chat, giver)?;
        let (taker, to) = client(python, chat, taker)?;
        Ok(Self { giver, taker, times: 0, to })
    }

    /// Sends for about so long, and says how many bytes a second were acknowledged.
    pub(crate) fn rate(&mut self, block: usize, at_once: usize, time: Duration) -> Result<f64> {
        ensure!(self.taker.is_running(), "the receiver has ended");
        self.giver.say(&format!("give {} {block} {at_once} {}", self.to, time.as_secs_f64()))?;
        self.times += 1;
        let is_answer = |line: &str| line.starts_with("gave ") || line.starts_with("failed ");
        let seen = Cell::new(0);
        let is_new = |line: &str| {
            seen.set(seen.get() + usize::from(is_answer(line)));
            is_answer(line) && seen.get() == self.times
        };
        let line = self.giver.wait_for_line(is_new, time + GRACE)?;
        ensure!(line.starts_with("gave "), "slixmpp: {line}");
        let mut numbers = line.split(' ').skip(1).map(str::parse::<f64>);
        let mut next = || anyhow::Ok(numbers.next().context("a number is missing")??);
        Ok(next()? / next()? * 1e9)
    }
}

/// The interpreter that finds the newest slixmpp, where `make slixmpp` has installed it, beside our own profile's folder.
pub(crate) fn newest() -> Option<PathBuf> {
    let bench = env::current_exe().ok()?;
    let python = bench.parent()?.parent()?.join("slixmpp-1.17/bin/python3");
    python.exists().then_some(python)
}

fn client(python: &Path, chat: &ChatServer, user: &str) -> Result<(Process, String)> {
    let address = chat.address();
    let process = Spawn::new("slixmpp", python)
        .args(["-c", PROGRAM, &address.ip().to_string(), &address.port().to_string(), &chat.jid(user)])
        .arg(ChatServer::password(user))
        .arg(chat.ca_file())
        .stdin()
        .start()?;
    let line = process.wait_for_line(|line| line.starts_with("online "), PATIENCE)?;
    Ok((process, line.split(' ').nth(1).context("no JID")?.to_owned()))
}
