//! Registering: the account of a login that brings none, as its registry has it.

mod ended;

use std::sync::Arc;

use bytes::Bytes;
use secrecy::zeroize::Zeroizing;
use tokio::sync::OwnedMutexGuard;
use xmpp_parsers::jid::{DomainRef, Jid, NodePart};

use super::{Connector, Progress};
use crate::config::Credential;
use crate::persona;
use crate::xmpp::dialer::Dialer;
use crate::xmpp::error::{AccountError, Step, Words};
use crate::xmpp::login::{self, LoggedIn, Protected};
use crate::xmpp::negotiation::{Applicant, Negotiation, Who};
use crate::xmpp::registrar::Registrar;
use crate::xmpp::registration::{Known, NewAccount, Place, RANDOM_BYTES, Refusal};

/// How many accounts are asked for before the server is left alone: 2, one and then another name, or one that has not arrived and then
/// the same again. More would be a server's answers having us register without end.
const MOST_ASKED: u32 = 2;

/// The account at one place.
pub(super) struct Registering {
    registrar: Arc<Registrar>,
    place: Place,
}

impl Registering {
    pub(super) fn new(registrar: Arc<Registrar>, place: Place) -> Self {
        Self { registrar, place }
    }

    fn recall(&self) -> Known {
        self.registrar.registry.recall(&self.place)
    }

    /// What is known, and unless that is an account, the turn: others wait until it is known what becomes of this one.
    async fn recall_in_turn(&self) -> (Known, Option<OwnedMutexGuard<()>>) {
        match self.recall() {
            made @ Known::Made(_) => (made, None),
            _ => {
                let turn = self.registrar.turn(&self.place).await;
                (self.recall(), Some(turn))
            }
        }
    }

    /// Whether one could be kept.
    fn check(&self) -> Result<(), AccountError> {
        self.registrar.registry.check().map_err(AccountError::NotKept)
    }

    /// Keeps an account that is about to be asked for.
    fn ask(&self, account: &NewAccount) -> Result<(), AccountError> {
        self.registrar.registry.ask(&self.place, account).map_err(AccountError::NotKept)
    }

    /// This account was logged in to.
    fn made(&self, account: &NewAccount) {
        self.registrar.registry.made(&self.place, account);
    }

    /// The server has refused, and is left alone for hours.
    fn refuse(&self, asked: Option<&NewAccount>, refusal: Refusal, words: Words) -> AccountError {
        if refusal.rest().is_some() {
            self.registrar.registry.refused(&self.place, asked, refusal, words.page());
        }
        AccountError::Registration(refusal, words)
    }
}

impl Connector {
    /// Whom we are known as, but for the resource: nobody yet, where an account is still to be registered.
    pub(in crate::xmpp) fn identity(&self) -> Jid {
        let jid = &self.who.jid;
        let Some(registering) = &self.registering else { return jid.clone() };
        let known = match registering.recall() {
            Known::Made(account) => jid_of(&account, jid.domain()).ok(),
            Known::Nothing | Known::Asked { .. } | Known::Refused(..) => None,
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
        let (known, _turn) = registering.recall_in_turn().await;
        let asked = match known {
            Known::Refused(refusal, page) => {
                return Err(AccountError::Registration(refusal, Words::of_page(page)));
            }
            Known::Made(account) => {
                let result =
                    self.attempts(&self.as_registered(&account)?, dialer, first_request, progress).await;
                return result.map_err(|error| or_else_if_refused(error, || Refusal::Gone.into()));
            }
            Known::Asked { account, times } => {
                let result = self.log_in_first(registering, &account, dialer, first_request, progress).await;
                match result {
                    Err(AccountError::WrongPassword) if times >= MOST_ASKED => {
                        return Err(registering.refuse(Some(&account), Refusal::Unsettled, Words::default()));
                    }
                    // What was asked for has not arrived.
                    Err(AccountError::WrongPassword) => Some(account),
                    result => return result,
                }
            }
            Known::Nothing => None,
        };
        registering.check()?;
        let account = self.register(registering, asked, dialer, progress).await?;
        let result = self.log_in_first(registering, &account, dialer, first_request, progress).await;
        result.map_err(|error| {
            or_else_if_refused(error, || {
                registering.refuse(Some(&account), Refusal::Unapproved, Words::default())
            })
        })
    }

    /// Logs in to an account that nobody has logged in to yet.
    async fn log_in_first(
        &self,
        registering: &Registering,
        account: &NewAccount,
        dialer: &Dialer,
        first_request: &Bytes,
        progress: &mut Progress,
    ) -> Result<LoggedIn, AccountError> {
        let logged_in = self.attempts(&self.as_registered(account)?, dialer, first_request, progress).await?;
        registering.made(account);
        Ok(logged_in)
    }

    /// Registers this account again, or one that is made up.
    async fn register(
        &self,
        registering: &Registering,
        again: Option<NewAccount>,
        dialer: &Dialer,
        progress: &mut Progress,
    ) -> Result<NewAccount, AccountError> {
        let Protected { io, bindings } = self.connect(dialer, progress).await?;
        progress.step = Step::Register;
        let applicant = Applicant {
            domain: self.who.domain.clone(),
            accounts: again.clone().map_or_else(|| vec![draw(), draw()], |account| vec![account]),
            ids: std::array::from_fn(|_| persona::new_id(rand::random())),
            bindings,
        };
        let negotiation = Negotiation::register(applicant, self.max_stanza);
        let mut asked = again.clone();
        let keep = |account: &NewAccount| {
            asked = Some(account.clone());
            registering.ask(account)
        };
        let registered = login::register(io, negotiation, &mut progress.step, keep).await;
        registered.map_err(|error| match error {
            AccountError::Registration(Refusal::NamesTaken, words) if again.is_some() => {
                registering.refuse(asked.as_ref(), Refusal::Unapproved, words)
            }
            AccountError::Registration(refusal, words) => registering.refuse(asked.as_ref(), refusal, words),
            error => match ended::refusal(&error) {
                // Of what was asked for it would not be known whether it is there.
                Some((refusal, words)) if asked.is_none() => registering.refuse(None, refusal, words),
                _ => error.during(Step::Register),
            },
        })
    }

    /// Who logs in to an account that is registered.
    fn as_registered(&self, account: &NewAccount) -> Result<Who, AccountError> {
        let jid = jid_of(account, self.who.jid.domain())?;
        let from = self.who.from.as_ref().map(|_| jid.to_string());
        let credential = Credential::Password(account.password.clone());
        Ok(Who { jid, credential, from, ..self.who.clone() })
    }
}

/// The error, or what it means where the server has refused the password of an account that we have made.
fn or_else_if_refused(error: AccountError, meaning: impl FnOnce() -> AccountError) -> AccountError {
    if error == AccountError::WrongPassword { meaning() } else { error }
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
