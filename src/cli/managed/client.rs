//! Managed client: SOCKS requests of Tor's become streams.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tor_pt::{Message, Phase};

use super::Managed;
use crate::client::{self, Client, accept, socks};
use crate::state::StateDir;
use crate::trace;
use crate::tunnel::Tunnel;

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
    let tunnel = client::start(&config, managed.dialer());
    if let Some(trace) = trace::open_or_warn(config.trace.as_deref()) {
        trace.follow(&tunnel);
    }
    Ok((listener, Client::new(tunnel.clone(), config, state), tunnel))
}

/// Takes connections until told to stop, then waits for the live ones until told to stop now.
async fn serve(managed: &Managed<'_>, listener: TcpListener, client: &Arc<Client>) {
    let mut live = JoinSet::new();
    loop {
        tokio::select! {
            (tcp, _) = accept(&listener) => drop(live.spawn(socks::serve(Arc::clone(client), tcp))),
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
