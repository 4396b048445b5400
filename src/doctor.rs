//! Doctor: goes through the stages from a configuration to a bridge as a person would, and says of each what was found and what to do.
//!
//! It has no login and no tunnel of its own: accounts log in by [`xmpp`](crate::xmpp), which tells what is seen on the way, and the bridge is
//! reached by [`client`](crate::client). So what it shows is what the program does, and its sentences are those of the program's errors.
//!
//! | module | what it is |
//! | --- | --- |
//! | `finding` | what was found at a stage, as data |
//! | `report` | findings as lines, or as JSON |
//! | `ladder`, `blame` | steps of a login as stages, and at which one it has failed (pure) |
//! | `sentences` | what is said of a server's clock and of what it offers (pure) |
//! | `account` | the examination of one account |
//! | `bridge`, `throughput` | the examination of a bridge, as its client has it |
//!
//! A stage behind one that has failed is not tried. Neither names nor addresses are in what it says.

mod account;
mod blame;
mod bridge;
mod finding;
mod ladder;
mod report;
mod sentences;
mod throughput;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use xmpp_parsers::jid::{FullJid, Jid};

use crate::config::{AccountConfig, BridgeConfig, Config};
use crate::protocol::Address;
use crate::state::{StateDir, StateError};
use crate::tunnel::{FileLane, RelayLane};
use crate::xmpp::Dialer;
pub(crate) use finding::{Finding, Stage};
pub(crate) use report::{Form, Report};

/// What an examination works with.
pub(crate) struct Setting {
    /// What the user wrote.
    pub(crate) config: Config,
    /// How everything is dialled.
    pub(crate) dialer: Dialer,
    /// Whether that goes through a proxy.
    pub(crate) goes_by_proxy: bool,
    /// What is kept between runs.
    pub(crate) state: Arc<StateDir>,
    /// Files, where the user wants them.
    pub(crate) files: Option<FileLane>,
    /// Relays, where the user wants them.
    pub(crate) relays: Option<RelayLane>,
    /// What a bridge is asked to connect to.
    pub(crate) target: Address,
    /// Whether the user has named it. A bridge under Tor leads to its own relay, whatever it is asked for.
    pub(crate) is_target_given: bool,
}

/// What is examined.
pub(crate) enum Subject {
    /// A client: its accounts, and the bridge that it has a line of.
    Client(Box<BridgeConfig>),
    /// The accounts of a bridge. This is to be said of what it hands out.
    Bridge(String),
}

/// Goes through all stages behind the configuration.
///
/// # Errors
///
/// When the report cannot be written.
pub(crate) async fn examine(setting: &Setting, subject: Subject, report: &mut Report) -> io::Result<()> {
    let (accounts, peers) = match &subject {
        Subject::Client(bridge) => (bridge.accounts.clone(), full(&bridge.peers)),
        Subject::Bridge(_) => (setting.config.accounts.clone(), Vec::new()),
    };
    report.set_accounts(accounts.len());
    let mut online = None;
    for (number, config) in (1..).zip(&accounts) {
        // One account is enough to ask for the bridge.
        let peers = if online.is_none() { &peers[..] } else { &[] };
        let checkup = account::examine(setting, (number, config), peers, report).await?;
        online = online.or(Some(checkup).filter(|checkup| checkup.is_online));
    }
    match (subject, online) {
        (Subject::Bridge(what_to_hand_out), _) => {
            report.add(Finding::neither(Stage::BridgeLine, Duration::ZERO, what_to_hand_out))
        }
        (Subject::Client(_), None) => report.add_untried(&Stage::OF_BRIDGE, Stage::Login),
        (Subject::Client(bridge), Some(checkup)) => bridge::examine(setting, *bridge, &checkup, report).await,
    }
}

fn full(peers: &[Jid]) -> Vec<FullJid> {
    peers.iter().filter_map(|peer| peer.clone().try_into_full().ok()).collect()
}

/// The account with a resource of its own, so that nothing else that is logged in to it loses its connection.
fn with_own_resource(account: &AccountConfig) -> AccountConfig {
    let mut account = account.clone();
    let is_component = matches!(account.credential, crate::config::Credential::Component(_));
    if account.credential.keeps_name() && !is_component {
        let bare = account.jid.to_bare();
        // It is drawn anew each time, by whoever keeps nothing.
        if let Ok(resource) = StateDir::ephemeral(StateError::Nowhere).resource_for(&bare) {
            account.jid = Jid::from(bare.with_resource(&resource));
        }
    }
    account
}
