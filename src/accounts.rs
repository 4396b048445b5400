//! Accounts of a pool, opened as the user configured them.

mod forget;
mod hints;
mod quotas;
mod registry;

use xmpp_parsers::jid::Jid;

use crate::config::{AccountConfig, Credential};
use crate::state::StateDir;
use crate::xmpp::registration::Place;
use crate::xmpp::{AccountId, AccountName, AccountPool, Usage};
pub(crate) use forget::{Forgotten, Scope, forget};
pub(crate) use hints::KeptHints;
pub(crate) use quotas::KeptQuotas;
pub(crate) use registry::Registrations;

/// Whether some of the accounts have to be kept before they can be used, and are not.
pub(crate) fn are_to_be_kept(state: &StateDir, accounts: &[AccountConfig]) -> bool {
    let is_kept = |account: &AccountConfig| {
        state.registration(&Place::of(account).key()).is_some_and(|kept| kept.account().is_some())
    };
    accounts.iter().any(|account| account.credential == Credential::New && !is_kept(account))
}

/// Opens accounts. Each without a resource gets the one that the state has for it, so that peers know it again after a
/// restart; equal ones share a connection. `name` says what the log calls each, counted from 1. Only the classic protocol has a use for stream management.
pub(crate) fn open_accounts(
    pool: &AccountPool,
    state: &StateDir,
    accounts: &[AccountConfig],
    usage: Usage,
    name: impl Fn(usize, &AccountConfig) -> AccountName,
) -> Vec<AccountId> {
    let open = |(index, account): (usize, &AccountConfig)| {
        pool.open_named(with_resource(account, state), usage, Some(name(index + 1, account)))
    };
    accounts.iter().enumerate().map(open).collect()
}

/// What the log calls an account of the configuration file, by its place there.
pub(crate) fn name_in_file(number: usize, account: &AccountConfig) -> AccountName {
    match account.credential {
        // It stands behind all others.
        Credential::Component(_) => AccountName::Component,
        Credential::Password(_) | Credential::Anonymous | Credential::New => AccountName::Section(number),
    }
}

/// The account, with the resource that the state has for it if it has none of its own.
pub(crate) fn with_resource(account: &AccountConfig, state: &StateDir) -> AccountConfig {
    let mut account = account.clone();
    // An anonymous login has no name to keep a resource for.
    if account.credential.keeps_name() && account.jid.is_bare() {
        let bare = account.jid.to_bare();
        match state.resource_for(&bare) {
            Ok(resource) => account.jid = Jid::from(bare.with_resource(&resource)),
            // Such an account cannot be kept either, and its own error says so.
            Err(_) if account.credential == Credential::New => {}
            Err(error) => tracing::warn!(
                "the server will choose a resource, a new one each time: {}",
                error.with_advice()
            ),
        }
    }
    account
}
