//! `hexchat-pt forward`: the protocol document's client.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use xmpp_parsers::jid::Jid;

use super::setup::{Ending, all_rejected, announce, proxy_of_person, run_command, state_dir, until_stopped};
use super::{Forward, Options};
use crate::bridge::Target;
use crate::client::{Client, ClientError, NamedBridge, accept, start};
use crate::config::{BridgeConfig, Config, exposed_bridge_line, parse_bridge_line};
use crate::dialer::core_dialer;
use crate::protocol::Address;
use crate::state::StateDir;
use crate::trace::{self, TraceFile};

pub(super) fn run(options: &Options, command: Forward) -> u8 {
    run_command(options, |config| prepare(config, command), forward)
}

struct Prepared {
    config: Config,
    state: StateDir,
    /// The arguments of a bridge line.
    arguments: Vec<(String, String)>,
    listen: SocketAddr,
    target: Target,
    proxy: Option<tor_pt::Proxy>,
    trace: Option<TraceFile>,
}

fn prepare(config: Config, command: Forward) -> anyhow::Result<Prepared> {
    let arguments = match (command.to, &command.bridge_line_file) {
        (Some(jid), _) => addressed_to(&jid, &config),
        (None, Some(path)) => read_bridge_line(path)?,
        (None, None) => Vec::new(),
    };
    // Its faults are faults of what was written: they should be found before anything starts.
    BridgeConfig::resolve(arguments.iter().map(|(key, value)| (key, value)), &config)?;
    let state = StateDir::open_or_ephemeral(state_dir(command.state.state).as_deref());
    let proxy = proxy_of_person()?;
    let trace = trace::open(command.trace.trace.as_deref(), config.trace.as_deref())?;
    Ok(Prepared { config, state, arguments, listen: command.listen, target: command.target, proxy, trace })
}

/// The document's client names an account and nothing else: unless the file says more, it speaks the classic protocol.
fn addressed_to(jid: &Jid, config: &Config) -> Vec<(String, String)> {
    let mode = if config.client.names_a_protocol() { None } else { Some(("mode", "classic".to_owned())) };
    let arguments = [("jid", jid.to_string())].into_iter().chain(mode);
    arguments.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn read_bridge_line(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let arguments = parse_bridge_line(&text).with_context(|| format!("reading {}", path.display()))?;
    if let Some(warning) = exposed_bridge_line(path, &arguments) {
        tracing::warn!("{warning}");
    }
    Ok(arguments.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

async fn forward(prepared: Prepared) -> anyhow::Result<Ending> {
    let Prepared { config, state, arguments, listen, target, proxy, trace } = prepared;
    let remote = target.to_address().context("the target's name cannot be written into a header")?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
    let tunnel = start(&config, core_dialer(tor_pt::Dialer::through(proxy)));
    if let Some(trace) = trace {
        trace.follow(&tunnel);
    }
    let client = std::sync::Arc::new(Client::new(tunnel.clone(), config, state));
    let bridge = client.resolve(&arguments)?;
    let accounts = client.log_in(&bridge);
    announce(&format!("LISTENING {}", listener.local_addr().context("reading the port")?))?;
    let take_connections = async {
        loop {
            let (tcp, peer) = accept(&listener).await;
            tokio::spawn(serve_one(client.clone(), bridge.clone(), tcp, peer, remote.clone()));
        }
    };
    let work = async {
        tokio::select! {
            never = take_connections => never,
            ending = all_rejected(&tunnel, &accounts) => Ok(ending),
        }
    };
    until_stopped(&tunnel, work).await
}

async fn serve_one(
    client: std::sync::Arc<Client>,
    bridge: NamedBridge,
    tcp: TcpStream,
    peer: SocketAddr,
    remote: Address,
) {
    // Without it small pieces wait for each other; that it fails means the connection is gone.
    let _ = tcp.set_nodelay(true);
    // In a box, so that the task has no room for it while it relays.
    let fault = match Box::pin(client.ask(&bridge, &tcp, peer.into(), remote)).await {
        Ok(stream) => stream.relay(tcp).await.err().map(ClientError::from),
        Err(error) => {
            // The application should see that it failed, not that it is over.
            let _ = tcp.set_zero_linger();
            Some(error)
        }
    };
    match fault {
        None => {}
        Some(error) if error.is_announced() => {
            tracing::info!("a connection was not forwarded: no account is online");
        }
        Some(error) => tracing::warn!("a connection was not forwarded: {error}"),
    }
}
