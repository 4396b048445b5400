//! A client that tor has not launched, and that it is told of.

use anyhow::{Context as _, Result};
use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::{Halves, Kind};

use crate::world::World;
use crate::{SOON, executable};

/// Starts one with the configuration of the client's half; where it listens.
fn started(halves: &Halves<'_>, state: &std::path::Path) -> Result<(Process, String)> {
    let config = halves.config_file("client");
    let process = Spawn::new("hexchat-pt client", executable())
        .args(["client", "--listen", "0", "--config"])
        .arg(config)
        .arg("--state")
        .arg(state)
        .clean_env()
        .start()?;
    let line = process.wait_for_line(|line| line.starts_with("LISTENING "), SOON)?;
    let address = line.strip_prefix("LISTENING ").context("an address")?.to_owned();
    Ok((process, address))
}

#[test]
fn tor_bootstraps_and_fetches_by_a_client_that_it_has_not_launched() {
    let state = tempfile::tempdir().unwrap();
    let mut transport = None;
    let world = World::with(
        Kind::Prosody,
        "",
        |halves| halves.bridge("bridge"),
        |halves, bridge, login| {
            let torrc = halves.client(bridge, login)?;
            let (process, address) = started(halves, state.path())?;
            transport = Some(process);
            let launching = format!("exec {}", halves.command(&halves.config_file("client")));
            anyhow::ensure!(torrc.contains(&launching), "tor would launch it");
            Ok(torrc.replacen(&launching, &format!("socks5 {address}"), 1))
        },
    );
    world.fetch();
    let mut transport = transport.unwrap();
    transport.stop();
    assert!(!transport.is_running());
}
