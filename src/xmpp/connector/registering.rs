//! Registering: the account of a login that brings none, as its registry has it.

use std::sync::Arc;

use xmpp_parsers::jid::{DomainRef, Jid, NodePart};

use crate::xmpp::error::AccountError;
use crate::xmpp::registration::{Known, NewAccount, Refusal, Registry};

/// The account at one domain.
pub(super) struct Registering {
    registry: Arc<dyn Registry>,
    domain: String,
}

impl Registering {
    pub(super) fn new(registry: Arc<dyn Registry>, domain: &str) -> Self {
        Self { registry, domain: domain.to_owned() }
    }

    pub(super) fn recall(&self) -> Known {
        self.registry.recall(&self.domain)
    }

    /// Keeps an account that is about to be asked for.
    pub(super) fn ask(&self, account: &NewAccount) -> Result<(), AccountError> {
        self.registry.ask(&self.domain, account).map_err(AccountError::Registration)
    }

    /// The server has answered, or not.
    pub(super) fn note<T>(&self, outcome: &Result<T, AccountError>) {
        match outcome {
            Ok(_) => self.registry.made(&self.domain),
            Err(AccountError::Registration(refusal)) if refusal.rest().is_some() => {
                self.registry.refused(&self.domain, *refusal);
            }
            Err(_) => {}
        }
    }

    /// What is left when a server does not know an account that it has registered.
    pub(super) fn gone() -> AccountError {
        AccountError::Registration(Refusal::Gone)
    }
}

/// The JID of an account that was registered at this domain.
pub(super) fn jid_of(account: &NewAccount, domain: &DomainRef) -> Result<Jid, AccountError> {
    let user = NodePart::new(&account.user);
    let user = user.map_err(|_| AccountError::BadAddress("the state has a user name for it that is none"))?;
    Ok(Jid::from_parts(Some(&*user), domain, None))
}
