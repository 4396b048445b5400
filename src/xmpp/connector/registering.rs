//! Registering: the account of a login that brings none, as its registry has it.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::zeroize::Zeroizing;
use xmpp_parsers::jid::{DomainRef, Jid, NodePart};

use super::{Connector, Progress};
use crate::config::Credential;
use crate::persona;
use crate::xmpp::dialer::Dialer;
use crate::xmpp::error::{AccountError, Step};
use crate::xmpp::login::{self, LoggedIn};
use crate::xmpp::negotiation::{Applicant, Negotiation, Who};
use crate::xmpp::registration::{Known, NewAccount, RANDOM_BYTES, Refusal, Registry};

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

impl Connector {
    /// Whom we are known as, but for the resource: nobody yet, where an account is still to be registered.
    pub(in crate::xmpp) fn identity(&self) -> Jid {
        let jid = &self.who.jid;
        let Some(registering) = &self.registering else { return jid.clone() };
        let known = match registering.recall() {
            Known::Made(account) => jid_of(&account, jid.domain()).ok(),
            Known::Nothing | Known::Asked(_) | Known::Refused(_) => None,
        };
        Jid::from_parts(known.as_ref().and_then(Jid::node), jid.domain(), jid.resource())
    }

    /// Logs in to the account that is registered, or registers it before that.
    pub(super) async fn log_in_registered(
        &self,
        registering: &Registering,
        dialer: &Dialer,
        first_request: &Bytes,
        progress: &mut Progress,
    ) -> Result<LoggedIn, AccountError> {
        let (account, is_made) = match registering.recall() {
            Known::Refused(refusal) => return Err(AccountError::Registration(refusal)),
            Known::Made(account) => (account, true),
            Known::Asked(account) => (account, false),
            Known::Nothing => (self.register(registering, None, dialer, progress).await?, true),
        };
        let result = self.attempts(&self.as_registered(&account)?, dialer, first_request, progress).await;
        match result {
            Err(AccountError::WrongPassword) if is_made => Err(Registering::gone()),
            // What was asked for has not arrived.
            Err(AccountError::WrongPassword) => {
                let account = self.register(registering, Some(account), dialer, progress).await?;
                self.attempts(&self.as_registered(&account)?, dialer, first_request, progress).await
            }
            Ok(logged_in) => {
                if !is_made {
                    registering.note(&Ok(()));
                }
                Ok(logged_in)
            }
            Err(error) => Err(error),
        }
    }

    /// Registers an account: this one, or one that is made up.
    async fn register(
        &self,
        registering: &Registering,
        first: Option<NewAccount>,
        dialer: &Dialer,
        progress: &mut Progress,
    ) -> Result<NewAccount, AccountError> {
        let io = self.connect(dialer, progress).await?;
        progress.step = Step::Register;
        let applicant = Applicant {
            domain: self.who.domain.clone(),
            accounts: [first.unwrap_or_else(draw), draw()],
            ids: std::array::from_fn(|_| persona::new_id(rand::random())),
        };
        let negotiation = Negotiation::register(applicant, self.max_stanza);
        let registered =
            login::register(io, negotiation, &mut progress.step, |account| registering.ask(account)).await;
        registering.note(&registered);
        registered
    }

    /// Who logs in to an account that is registered.
    fn as_registered(&self, account: &NewAccount) -> Result<Who, AccountError> {
        let jid = jid_of(account, self.who.jid.domain())?;
        let from = self.who.from.as_ref().map(|_| jid.to_string());
        let credential = Credential::Password(account.password.clone());
        Ok(Who { jid, credential, from, ..self.who.clone() })
    }
}

/// An account that nobody has yet.
fn draw() -> NewAccount {
    NewAccount::draw(&Zeroizing::new(rand::random::<[u8; RANDOM_BYTES]>()))
}

/// The JID of an account that was registered at this domain.
fn jid_of(account: &NewAccount, domain: &DomainRef) -> Result<Jid, AccountError> {
    let user = NodePart::new(&account.user);
    let user = user.map_err(|_| AccountError::BadAddress("the state has a user name for it that is none"))?;
    Ok(Jid::from_parts(Some(&*user), domain, None))
}
