//! Overheard connections: what a Prosody with a module of the lab's has read, and written, on each of them, after decryption.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Appends what passes to files in a folder, two for each connection.
pub(crate) const MODULE: &str = include_str!("mod_lab_overheard.lua");

/// Who a server speaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A client, by stanzas.
    Client,
    /// Another server, by stanzas.
    Server,
    /// Whoever speaks HTTP.
    Web,
}

/// What was said on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What is at the other end.
    pub channel: Channel,
    /// Where that is.
    pub peer: IpAddr,
    /// What it said: of HTTP heads and bodies, as they came.
    pub said: Vec<u8>,
    /// What the server said; of HTTP, nothing of it is kept.
    pub answered: Vec<u8>,
}

/// All connections that were noted in `folder`, in the order in which they began.
pub(crate) fn read(folder: &Path) -> Result<Vec<Heard>> {
    let entries = fs::read_dir(folder).context("reading what was overheard")?;
    // Those of one connection differ in what stands behind the last dot.
    let names: Result<BTreeSet<_>> = entries.map(|entry| Ok(entry?.path().with_extension(""))).collect();
    names?.iter().map(|name| read_one(name)).collect()
}

fn read_one(path: &Path) -> Result<Heard> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let parts: Vec<_> = name.splitn(3, '-').collect();
    let [_, kind, peer] = parts[..] else { bail!("{name} is no connection") };
    let channel = match kind {
        "c2s" => Channel::Client,
        "s2sin" | "s2sout" => Channel::Server,
        "http" => Channel::Web,
        _ => bail!("{kind} is no kind of connection"),
    };
    let of = |direction: &str| {
        // One that has said nothing has no file.
        let mut file = path.as_os_str().to_owned();
        file.push(direction);
        fs::read(file).unwrap_or_default()
    };
    let peer = peer.parse().with_context(|| format!("{peer} is no address"))?;
    Ok(Heard { channel, peer, said: of(".in"), answered: of(".out") })
}
