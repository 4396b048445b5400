//! Accounts of a pool, opened as the user configured them.

mod forget;
mod hints;
mod registry;

use xmpp_parsers::jid::Jid;

use crate::config::AccountConfig;
use crate::state::StateDir;
use crate::xmpp::{AccountId, AccountPool, Usage};
pub(crate) use forget::{Forgotten, forget};
pub(crate) use hints::KeptHints;
pub(crate) use registry::Registrations;

/// Opens accounts. Each without a resource gets the one that the state has for it, so that peers know it again after a
/// restart; equal ones share a connection. Only the classic protocol has a use for stream management.
pub(crate) fn open_accounts(
    pool: &AccountPool,
    state: &StateDir,
    accounts: &[AccountConfig],
    usage: Usage,
) -> Vec<AccountId> {
    accounts.iter().map(|account| pool.open(with_resource(account, state), usage)).collect()
}

/// The account, with the resource that the state has for it if it has none of its own.
pub(crate) fn with_resource(account: &AccountConfig, state: &StateDir) -> AccountConfig {
    let mut account = account.clone();
    // An anonymous login has no name to keep a resource for.
    if account.credential.keeps_name() && account.jid.is_bare() {
        let bare = account.jid.to_bare();
        match state.resource_for(&bare) {
            Ok(resource) => account.jid = Jid::from(bare.with_resource(&resource)),
            Err(error) => tracing::warn!("the server will choose a resource, a new one each time: {error}"),
        }
    }
    account
}
