//! Bridge service: the key, the replay log, and the bridge line that is handed out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, ensure};
use xmpp_parsers::jid::FullJid;

use super::setup::advised;
use crate::accounts::with_resource;
use crate::config::{BridgeSettings, Config, NewBridgeLine, PublicKey, read_bridge_line};
use crate::lanes::InUse;
use crate::logging::Repeats;
use crate::secure::{HandshakeRecord, Identity, Service};
use crate::state::{BRIDGE_LINE_FILE, StateDir, StateError, Verdict};
use crate::tunnel::{ClockWasAhead, KeepHandshake, Protocols, bounds};
use crate::xmpp::{AccountId, AccountPool, StreamManagement};

/// The most accounts that a bridge line names: 4. Clients are told of others once they are in, and where there are many
/// nobody can list them all.
const NAMED: usize = 4;

/// Which protocols a bridge speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaks {
    pub(super) classic: bool,
    pub(super) secure: bool,
}

impl Speaks {
    /// What the protocols need of the accounts: one that repairs losses itself needs less.
    pub(super) fn stream_management(self) -> StreamManagement {
        if self.classic { StreamManagement::Wanted } else { StreamManagement::Unwanted }
    }
}

/// What a bridge needs for the secure protocol before any account logs in; nothing when it speaks the classic one alone.
/// Its bridge line is written down.
///
/// # Errors
///
/// When the state directory cannot be used, or no bridge line can be made of the accounts.
pub(super) fn secure_identity(
    config: &Config,
    state: &StateDir,
    speaks: Speaks,
) -> anyhow::Result<Option<Identity>> {
    let jids = named(config, state);
    if !speaks.secure {
        return Ok(None);
    }
    if jids.is_empty() && speaks.classic {
        tracing::warn!("no account has a name of its own for a bridge line: only classic clients are served");
        return Ok(None);
    }
    ensure!(
        !jids.is_empty(),
        "no account has a user name, which a bridge line must give: add an [[account]] with jid = \"user@domain\""
    );
    let has_new_key = !state.has_identity();
    let identity =
        Identity::from_bytes(*state.identity().map_err(advised).context("reading the bridge's key")?);
    write_bridge_line(config, state, &jids, (&identity, has_new_key))?;
    Ok(Some(identity))
}

/// How a bridge speaks, at all of `accounts`: securely if it has an identity for that.
pub(super) fn bridge_protocols(
    config: &Config,
    state: &Arc<StateDir>,
    (accounts, pool): (&[AccountId], &AccountPool),
    classic: bool,
    (identity, InUse { files, relays }): (Option<Identity>, InUse),
) -> Protocols {
    let accept_on = if classic { accounts } else { &[] };
    Protocols {
        classic: bounds::classic(&config.limits, accept_on),
        secure: bounds::secure(&config.limits),
        service: identity.map(|identity| service(config, state, (accounts, pool), identity)),
        files,
        relays,
    }
}

fn service(
    config: &Config,
    state: &Arc<StateDir>,
    (accounts, pool): (&[AccountId], &AccountPool),
    identity: Identity,
) -> (Service, KeepHandshake) {
    if let Some(minutes) = state.minutes_locked(this_minute()) {
        tracing::error!("{}", ClockWasAhead { minutes });
    }
    let service = Service {
        identity,
        psk: psk_of(&config.bridge),
        accounts: accounts.to_vec(),
        siblings: accounts.iter().flat_map(|account| pool.siblings(*account)).collect(),
        // The replay log on the disk knows them.
        accepted: Vec::new(),
    };
    (service, keep(Arc::clone(state)))
}

fn psk_of(settings: &BridgeSettings) -> Option<[u8; 32]> {
    settings.psk.as_ref().map(|psk| *psk.expose())
}

/// The accounts that a bridge line can name: those with an address of their own.
fn named(config: &Config, state: &StateDir) -> Vec<FullJid> {
    let accounts = config.accounts.iter().map(|account| with_resource(account, state));
    accounts.filter_map(|account| account.jid.try_into_full().ok()).take(NAMED).collect()
}

fn write_bridge_line(
    config: &Config,
    state: &StateDir,
    jids: &[FullJid],
    (identity, has_new_key): (&Identity, bool),
) -> anyhow::Result<()> {
    let key = PublicKey::from_bytes(*identity.public_key());
    let line =
        NewBridgeLine::new(jids, &key, config.bridge.psk.as_ref()).context("making the bridge line")?;
    let earlier = state.path().and_then(|directory| read_bridge_line(&directory.join(BRIDGE_LINE_FILE)).ok());
    let written = state.write_file(BRIDGE_LINE_FILE, line.to_file().as_bytes());
    written.map_err(advised).context("keeping the bridge line")?;
    if let Some(news) = news_of_line(has_new_key, earlier.as_deref(), line.as_str()) {
        tracing::info!("{news}; `hexchat-pt bridge-line --state DIR` prints the one to hand out");
    }
    Ok(())
}

/// What its operator has to know of a bridge's line: that those which were handed out do not work any more, or may not.
fn news_of_line(has_new_key: bool, earlier: Option<&str>, now: &str) -> Option<&'static str> {
    match (has_new_key, earlier) {
        (true, _) => Some(
            "this bridge has a new key, since its state directory had none: bridge lines of an earlier one do not work any more",
        ),
        (false, Some(earlier)) if earlier != now => {
            Some("the bridge line has changed: those that were handed out before may not work any more")
        }
        (false, _) => None,
    }
}

/// Minutes since 1970.
fn this_minute() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 60)
}

/// Keeps handshakes in the state directory.
fn keep(state: Arc<StateDir>) -> KeepHandshake {
    let repeats = Mutex::new(Repeats::default());
    let warn = move |error: &StateError| {
        let text = format!(
            "clients are turned away, because handshakes cannot be remembered: {}",
            error.with_advice()
        );
        let mut repeats = repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for (text, count) in repeats.take_counts(now) {
            tracing::warn!("{text} ({count} more of them in the last minutes)");
        }
        if repeats.is_news(now, &text) {
            tracing::warn!("{text}");
        }
    };
    Arc::new(move |record: &HandshakeRecord| {
        match state.remember_handshake(*record.credential.as_bytes(), record.minute, this_minute()) {
            Ok(Verdict::New) => true,
            Ok(Verdict::Replay | Verdict::Forgotten) => false,
            Err(error) => {
                warn(&error);
                false
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_hears_of_a_new_key_and_of_a_line_that_is_another_and_of_nothing_else() {
        let told = |has_new_key, earlier| news_of_line(has_new_key, earlier, "line").unwrap_or_default();
        assert!(told(true, None).contains("new key") && told(true, Some("other")).contains("new key"));
        assert!(told(false, Some("other")).contains("has changed"));
        assert_eq!([told(false, Some("line")), told(false, None)], ["", ""]);
    }
}
