//! Managed client: SOCKS requests of Tor's become streams.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tor_pt::{Message, Phase, SocksRequest, Target, socks};

use super::Managed;
use crate::cli::lanes;
use crate::cli::setup::accept;
use crate::client::{BridgeStream, Client, ClientError};
use crate::metrics;
use crate::protocol::Address;
use crate::state::StateDir;
use crate::tunnel::{Protocols, Tunnel};
use crate::xmpp::AccountPool;

/// How long Tor may take over the SOCKS handshake: 5 seconds, since it is on the same machine.
const SOCKS_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(managed: &Managed<'_>) {
    if !managed.launch.wants(&managed.name) {
        managed.stdout.send(Message::CmethodsDone);
        return managed.wait_for_the_end().await;
    }
    match start(managed).await {
        Ok((listener, client, tunnel)) => {
            serve(managed, listener, &Arc::new(client)).await;
            managed.say_goodbye(&tunnel).await;
        }
        Err(error) => managed.fail(&error).await,
    }
}

/// Listens, and tells Tor so, before anything touches the network.
async fn start(managed: &Managed<'_>) -> anyhow::Result<(TcpListener, Client, Tunnel)> {
    let config = managed.load_config()?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listening for Tor")?;
    let addr = listener.local_addr().context("listening for Tor")?;
    managed.stdout.send(Message::Cmethod { transport: managed.name.clone(), addr });
    managed.stdout.send(Message::CmethodsDone);
    let state = StateDir::open_or_ephemeral(Some(managed.launch.common().state_dir()));
    let (pool, events) = AccountPool::with_limits(managed.dialer(), &config.limits);
    let lanes::InUse { files, relays } = lanes::of_client(&config.lanes, managed.dialer());
    let protocols = Protocols { files, relays, ..Protocols::of_client(&config.limits) };
    let tunnel = Tunnel::start(pool, events, protocols);
    metrics::start(config.metrics, &tunnel);
    Ok((listener, Client::new(tunnel.clone(), config, state), tunnel))
}

/// Takes connections until told to stop, then waits for the live ones until told to stop now.
async fn serve(managed: &Managed<'_>, listener: TcpListener, client: &Arc<Client>) {
    let mut live = JoinSet::new();
    loop {
        tokio::select! {
            (tcp, _) = accept(&listener) => drop(live.spawn(serve_one(Arc::clone(client), tcp))),
            Some(_) = live.join_next() => {}
            () = managed.shutdown.reached(Phase::Drain) => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = async { while live.join_next().await.is_some() {} } => {}
        () = managed.shutdown.reached(Phase::Now) => {}
    }
}

async fn serve_one(client: Arc<Client>, tcp: TcpStream) {
    // Without it small cells wait for each other; that it fails means the connection is gone.
    let _ = tcp.set_nodelay(true);
    // What comes before the relay is in boxes, so that the task has no room for it while it relays.
    match Box::pin(socks::accept(tcp, SOCKS_TIMEOUT)).await {
        Ok(request) => answer(&client, request).await,
        Err(error) => client.warn_once(None, &format!("a SOCKS request was refused: {error}")),
    }
}

async fn answer(client: &Client, request: SocksRequest) {
    let arguments: Vec<_> = request.args().iter().collect();
    let address = match request.target() {
        Target::Ip(address) => Some(*address),
        Target::Domain(..) => None,
    };
    let bridge = client.name(&arguments, address);
    let outcome = tokio::select! {
        outcome = Box::pin(connect(client, &arguments, &request)) => outcome,
        () = request.closed() => return,
    };
    match outcome {
        Ok(stream) => {
            client.recovered(bridge);
            if let Ok(tcp) = request.accept().await {
                // It was reached before Tor was told so.
                let _ = stream.relay(tcp).await;
            }
        }
        Err(error) => {
            client.explain_once(bridge, &error);
            // If Tor has gone away there is nobody to tell.
            let _ = request.refuse(error.reply()).await;
        }
    }
}

async fn connect(
    client: &Client,
    arguments: &[(&str, &str)],
    request: &SocksRequest,
) -> Result<BridgeStream, ClientError> {
    let bridge = client.resolve(arguments)?;
    let remote = match request.target() {
        Target::Ip(address) => Some(Address::from(*address)),
        Target::Domain(host, port) => Address::new(host.clone(), port.to_string()),
    };
    let remote = remote.ok_or(ClientError::BadTarget)?;
    client.connect(&bridge, request.peer().into(), remote).await
}
