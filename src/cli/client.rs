//! `hexchat-pt client`: the SOCKS port of the transport, without a Tor that launches it.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};

use super::setup::{Ending, announce, proxy_of_person, run_command, state_dir, until_stopped};
use super::{ClientCommand, Options};
use crate::client::SocksPort;
use crate::config::Config;
use crate::dialer::core_dialer;
use crate::state::StateDir;
use crate::trace::{self, TraceFile};

pub(super) fn run(options: &Options, command: ClientCommand) -> u8 {
    run_command(options, |config| prepare(config, command), serve)
}

struct Prepared {
    config: Config,
    state: StateDir,
    listen: SocketAddr,
    proxy: Option<tor_pt::Proxy>,
    trace: Option<TraceFile>,
}

fn prepare(config: Config, command: ClientCommand) -> anyhow::Result<Prepared> {
    ensure!(
        command.listen.ip().is_loopback(),
        "--listen: must be an address of this machine alone, such as 127.0.0.1: whoever reaches the port can use the accounts"
    );
    let state = StateDir::open_or_ephemeral(state_dir(command.state.state).as_deref());
    let trace = trace::open(command.trace.trace.as_deref(), config.trace.as_deref())?;
    Ok(Prepared { config, state, listen: command.listen, proxy: proxy_of_person()?, trace })
}

async fn serve(prepared: Prepared) -> anyhow::Result<Ending> {
    let Prepared { config, state, listen, proxy, trace } = prepared;
    let dialer = core_dialer(tor_pt::Dialer::through(proxy));
    let opened = SocksPort::open(listen, config, state, dialer).await;
    let port = opened.with_context(|| format!("listening on {listen}"))?;
    if let Some(trace) = trace {
        trace.follow(port.tunnel());
    }
    announce(&format!("LISTENING {}", port.address()))?;
    until_stopped(port.tunnel(), port.serve()).await
}
