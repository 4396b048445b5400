//! `hexchat-pt forget`: an account that was registered goes, at its server and here.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use xmpp_parsers::jid::BareJid;

use super::dialer::{core_dialer, proxy_of_person};
use super::setup::{announce, open_state, run_command, state_dir};
use super::{Forget, Options};
use crate::accounts::{Forgotten, forget};
use crate::config::{AccountConfig, BridgeArgs, Config, parse_bridge_line, read_bridge_line};
use crate::state::StateError;

pub(super) fn run(options: &Options, command: Forget) -> u8 {
    run_command(options, |config| prepare(config, command), work)
}

struct Prepared {
    config: Config,
    jid: BareJid,
    at: AccountConfig,
    state: PathBuf,
    proxy: Option<tor_pt::Proxy>,
}

fn prepare(config: Config, command: Forget) -> anyhow::Result<Prepared> {
    let jid = command.jid.to_bare();
    ensure!(
        jid.node().is_some(),
        "expected user@domain, or new@domain for whatever account was registered there"
    );
    let line = command.bridge_line_file.as_deref().map(arguments).transpose()?.unwrap_or_default();
    let at = config.new_account_at(jid.domain(), line.iter())?;
    let state = state_dir(command.state.state).ok_or(StateError::Nowhere)?;
    Ok(Prepared { config, jid, at, state, proxy: proxy_of_person()? })
}

fn arguments(path: &Path) -> anyhow::Result<BridgeArgs> {
    Ok(parse_bridge_line(&read_bridge_line(path)?)?)
}

async fn work(prepared: Prepared) -> anyhow::Result<()> {
    let Prepared { config, jid, at, state, proxy } = prepared;
    ensure!(state.exists(), "no such account was registered: there is no {}", state.display());
    let state = open_state(&state).await.context("end the program that uses the state directory first")?;
    let dialer = core_dialer(tor_pt::Dialer::through(proxy));
    let forgotten = forget(&jid, at, &state, &config.limits, dialer).await?;
    announce(match forgotten {
        Forgotten::Removed => "The account was removed from its server, and is forgotten here.",
        Forgotten::WasGone => "The server does not know the account; it is forgotten here.",
        Forgotten::Refusal => "There was no account: the server had refused one, and will be asked again.",
    })
}
