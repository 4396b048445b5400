//! `hexchat-pt forget`: an account that was registered goes, at its server and here, or here alone.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, ensure};
use xmpp_parsers::jid::BareJid;

use super::setup::{Ending, advised, announce, open_state, proxy_of_person, run_command, state_dir};
use super::{Forget, Options};
use crate::accounts::{Forgotten, Scope, forget};
use crate::config::{AccountConfig, BridgeArgs, Config, parse_bridge_line, read_bridge_line};
use crate::dialer::core_dialer;
use crate::state::StateError;

pub(super) fn run(options: &Options, command: Forget) -> u8 {
    run_command(options, |config| prepare(config, command), work)
}

struct Prepared {
    config: Config,
    jid: BareJid,
    at: AccountConfig,
    state: PathBuf,
    scope: Scope,
}

fn prepare(config: Config, command: Forget) -> anyhow::Result<Prepared> {
    let jid = command.jid.to_bare();
    ensure!(
        jid.node().is_some(),
        "expected user@domain, or new@domain for whatever account was registered there (in the plain spelling :user:domain or \
         :new:domain)"
    );
    let line = command.bridge_line_file.as_deref().map(arguments).transpose()?.unwrap_or_default();
    let at = config.new_account_at(jid.domain(), line.iter())?;
    let state = state_dir(command.state.state).ok_or(StateError::Nowhere).map_err(advised)?;
    let scope = match command.local {
        true => Scope::HereAlone,
        false => Scope::ServerToo(core_dialer(tor_pt::Dialer::through(proxy_of_person()?))),
    };
    Ok(Prepared { config, jid, at, state, scope })
}

fn arguments(path: &Path) -> anyhow::Result<BridgeArgs> {
    Ok(parse_bridge_line(&read_bridge_line(path)?)?)
}

async fn work(prepared: Prepared) -> anyhow::Result<Ending> {
    let Prepared { config, jid, at, state, scope } = prepared;
    ensure!(state.exists(), "no such account was registered: there is no {}", state.display());
    let state = open_state(&state).await;
    let state =
        state.map_err(|error| anyhow!("nothing was forgotten: {error}; {}", error.advice_on_forgetting()))?;
    let forgotten = forget(&jid, at, &state, &config.limits, scope).await?;
    announce(match forgotten {
        Forgotten::Removed => "The account was removed from its server, and is forgotten here.",
        Forgotten::Copy => {
            "The account is forgotten here alone. Its server was not asked: if it has the account, that stays there, and nobody has \
             its password any more."
        }
        Forgotten::Refusal => "There was no account: the server had refused one, and will be asked again.",
    })?;
    Ok(Ending::Done)
}
