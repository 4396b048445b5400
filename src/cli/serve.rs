//! `hexchat-pt serve`: the protocol document's server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use super::service::{Speaks, bridge_protocols, secure_identity};
use super::setup::{
    Ending, advised, all_rejected, announce, open_state, proxy_of_person, run_command, state_dir,
    until_stopped,
};
use super::{Options, Serve};
use crate::accounts::{KeptHints, KeptQuotas, name_in_file, open_accounts};
use crate::bridge::{self, Destination};
use crate::config::Config;
use crate::dialer::core_dialer;
use crate::lanes;
use crate::metrics;
use crate::state::StateError;
use crate::trace::{self, TraceFile};
use crate::tunnel::Tunnel;
use crate::xmpp::{AccountId, AccountPool, AccountStatus};

pub(super) fn run(options: &Options, command: Serve) -> u8 {
    run_command(options, |config| prepare(config, command), serve)
}

struct Prepared {
    config: Config,
    state: PathBuf,
    destination: Destination,
    speaks: Speaks,
    dialer: tor_pt::Dialer,
    lanes: lanes::InUse,
    trace: Option<TraceFile>,
}

fn prepare(config: Config, command: Serve) -> anyhow::Result<Prepared> {
    ensure!(
        !config.accounts.is_empty(),
        "no account: give --config FILE with at least one [[account]] section, or a [component]"
    );
    let state = state_dir(command.state.state).ok_or(StateError::Nowhere).map_err(advised)?;
    let speaks = Speaks { classic: config.bridge.classic || !command.secure, secure: command.secure };
    let dialer = tor_pt::Dialer::through(proxy_of_person()?);
    let lanes = if speaks.secure { lanes::of_bridge(&config, dialer.clone())? } else { Default::default() };
    let destination = Destination::Allowed(command.allow);
    let trace = trace::open(command.trace.trace.as_deref(), config.trace.as_deref())?;
    Ok(Prepared { config, state, destination, speaks, dialer, lanes, trace })
}

async fn serve(prepared: Prepared) -> anyhow::Result<Ending> {
    let Prepared { config, state, destination, speaks, dialer, lanes, trace } = prepared;
    let state = Arc::new(open_state(&state).await.map_err(advised)?);
    let identity = secure_identity(&config, &state, speaks)?;
    let (pool, events) = AccountPool::with_limits(core_dialer(dialer), &config.limits);
    pool.keep_hints(Arc::new(KeptHints::new(Arc::clone(&state))));
    let usage = speaks.stream_management().into();
    let accounts = open_accounts(&pool, &state, &config.accounts, usage, name_in_file);
    let secure = (identity, lanes);
    let protocols = bridge_protocols(&config, &state, (&accounts, &pool), speaks.classic, secure);
    let tunnel = Tunnel::start(pool, events, protocols);
    metrics::start(config.metrics, &tunnel);
    trace.into_iter().for_each(|trace| trace.follow(&tunnel));
    tunnel.keep_quotas(Arc::new(KeptQuotas::new(Arc::clone(&state))));
    let work = async {
        tokio::select! {
            () = bridge::serve(&tunnel, &destination, &config.limits) => Ok(Ending::Done),
            announced = announce_when_ready(tunnel.pool(), &accounts) => announced,
            ending = all_rejected(&tunnel, &accounts) => Ok(ending),
        }
    };
    until_stopped(&tunnel, work).await
}

/// Once all accounts are online or have failed for good, says under which names; then waits for ever.
async fn announce_when_ready(pool: &AccountPool, accounts: &[AccountId]) -> anyhow::Result<Ending> {
    let mut settling = JoinSet::new();
    for id in accounts {
        let mut status = pool.subscribe(*id);
        settling.spawn(async move {
            let settled = status
                .wait_for(|status| matches!(status, AccountStatus::Online(_) | AccountStatus::Failed(_)));
            settled.await.map(|status| status.clone())
        });
    }
    let mut online = Vec::new();
    while let Some(settled) = settling.join_next().await {
        if let Ok(Ok(AccountStatus::Online(jid))) = settled {
            online.push(jid.to_string());
        }
    }
    if !online.is_empty() {
        online.sort();
        announce(&format!("READY {}", online.join(","))).context("announcing the accounts")?;
    }
    std::future::pending().await
}
