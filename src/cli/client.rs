//! `hexchat-pt client`: the SOCKS port of the transport, without a Tor that launches it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;

use super::dialer::{core_dialer, proxy_of_person};
use super::setup::{Ending, accept, announce, run_command, start_client, state_dir, until_stopped};
use super::socks;
use super::{ClientCommand, Options};
use crate::client::Client;
use crate::config::Config;
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
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
    let tunnel = start_client(&config, core_dialer(tor_pt::Dialer::through(proxy)), trace);
    let client = Arc::new(Client::new(tunnel.clone(), config, state));
    announce(&format!("LISTENING {}", listener.local_addr().context("reading the port")?))?;
    let take_connections = async {
        loop {
            let (tcp, _) = accept(&listener).await;
            tokio::spawn(socks::serve(Arc::clone(&client), tcp));
        }
    };
    until_stopped(&tunnel, take_connections).await
}
