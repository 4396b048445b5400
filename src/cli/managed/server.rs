//! Managed bridge: streams become connections to Tor's ORPort.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tor_pt::{Message, Phase, ServerLaunch, SmethodArgs};

use super::Managed;
use crate::accounts::{KeptHints, KeptQuotas, name_in_file, open_accounts};
use crate::bridge::{self, Destination};
use crate::cli::service::{Speaks, bridge_protocols, secure_identity};
use crate::cli::setup::{advised, wait_for_state};
use crate::config::Config;
use crate::lanes;
use crate::metrics;
use crate::secure::Identity;
use crate::state::StateDir;
use crate::trace;
use crate::tunnel::Tunnel;
use crate::xmpp::AccountPool;

pub(super) async fn run(managed: &Managed<'_>, launch: &ServerLaunch) {
    if !managed.launch.wants(&managed.name) {
        managed.stdout.send(Message::SmethodsDone);
        return managed.wait_for_the_end().await;
    }
    let started = tokio::select! {
        started = start(managed, launch) => started,
        () = managed.shutdown.reached(Phase::Drain) => return,
    };
    match started {
        Ok(bridge) => serve(managed, launch, bridge).await,
        Err(error) => managed.fail(&error).await,
    }
}

/// A bridge that can work.
struct Bridge {
    config: Config,
    /// Locked for as long as we run.
    state: Arc<StateDir>,
    speaks: Speaks,
    identity: Option<Identity>,
    lanes: lanes::InUse,
}

/// Everything that does not need the network: what fails here can never work.
async fn start(managed: &Managed<'_>, launch: &ServerLaunch) -> anyhow::Result<Bridge> {
    let mut config = managed.load_config()?;
    config.bridge.apply_options(launch.options(&managed.name).iter())?;
    check(&config)?;
    let state = Arc::new(wait_for_state(launch.common().state_dir()).await.map_err(advised)?);
    let speaks = Speaks { classic: config.bridge.classic, secure: true };
    let identity = secure_identity(&config, &state, speaks)?;
    let lanes = lanes::of_bridge(&config, tor_pt::Dialer::new(&managed.launch))?;
    Ok(Bridge { config, state, speaks, identity, lanes })
}

/// Tells Tor that the method is there, and only then logs in.
async fn serve(managed: &Managed<'_>, launch: &ServerLaunch, bridge: Bridge) {
    let Bridge { config, state, speaks, identity, lanes } = bridge;
    report_method(managed, launch);
    let (pool, events) = AccountPool::with_limits(managed.dialer(), &config.limits);
    pool.keep_hints(Arc::new(KeptHints::new(Arc::clone(&state))));
    let usage = speaks.stream_management().into();
    let accounts = open_accounts(&pool, &state, &config.accounts, usage, name_in_file);
    let secure = (identity, lanes);
    let protocols = bridge_protocols(&config, &state, (&accounts, &pool), speaks.classic, secure);
    let tunnel = Tunnel::start(pool, events, protocols);
    metrics::start(config.metrics, &tunnel);
    trace::open_or_warn(config.trace.as_deref()).into_iter().for_each(|trace| trace.follow(&tunnel));
    tunnel.keep_quotas(Arc::new(KeptQuotas::new(Arc::clone(&state))));
    let destination = destination(managed, launch, config.limits.dial_timeout);
    tokio::select! {
        () = bridge::serve(&tunnel, &destination, &config.limits) => {}
        () = managed.shutdown.reached(Phase::Drain) => {}
    }
    wait_for_streams(managed, &tunnel).await;
    managed.say_goodbye(&tunnel).await;
}

fn check(config: &Config) -> anyhow::Result<()> {
    ensure!(
        !config.accounts.is_empty(),
        "no account: add an [[account]] or a [component] section to the configuration file and name the file with --config"
    );
    Ok(())
}

/// Nothing listens: the address is the one that Tor asked for, or a placeholder.
fn report_method(managed: &Managed<'_>, launch: &ServerLaunch) {
    managed.stdout.send(Message::Smethod {
        transport: managed.name.clone(),
        addr: launch.placeholder_addr(&managed.name),
        args: SmethodArgs::default(),
    });
    managed.stdout.send(Message::SmethodsDone);
}

fn destination(managed: &Managed<'_>, launch: &ServerLaunch, timeout: Duration) -> Destination {
    if let tor_pt::Destination::ExtOrPort { addr, .. } = launch.destination()
        && !addr.ip().is_loopback()
    {
        tracing::warn!("the extended ORPort is not on this machine: whoever is in between can read along");
    }
    Destination::Tor { port: launch.destination().clone(), transport: managed.name.clone(), timeout }
}

/// Live connections may go on until we are told to stop now.
async fn wait_for_streams(managed: &Managed<'_>, tunnel: &Tunnel) {
    tokio::select! {
        () = tunnel.drained() => {}
        () = managed.shutdown.reached(Phase::Now) => {}
    }
}
