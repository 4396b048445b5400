//! Registration of an account before a login (XEP-0077 section 3.1). Pure.
//!
//! ```text
//!   features ──▶ what do you ask for? ──▶ (keep the account) ──▶ register it ──▶ registered
//!                                              ▲                     │ conflict, once
//!                                              └─────────────────────┘
//! ```
//!
//! Nothing is asked for where it would be of no use: the server must also offer a way to log in with the password that keeps it secret. Names and
//! passwords are made up by whoever begins, so that nothing here is random.

mod form;

use xmpp_parsers::iq::Iq;
use xmpp_parsers::minidom::Element;

use self::form::Wanted;
use super::Progress;
use super::choice::choose;
use super::offer::Offer;
use super::talk::Talk;
use crate::config::Credential;
use crate::xmpp::channel_binding::ChannelBindings;
use crate::xmpp::error::{AccountError, Step, Words};
use crate::xmpp::intake::Word;
use crate::xmpp::registration::{NewAccount, Refusal, WebPage};

const STEP: Step = Step::Register;

/// Who is to be registered where.
pub(in crate::xmpp) struct Applicant {
    /// The domain of the stream.
    pub(in crate::xmpp) domain: String,
    /// The account, and perhaps another one for the case that its name is taken.
    pub(in crate::xmpp) accounts: Vec<NewAccount>,
    /// The ids of what is said, one for each time that something is.
    pub(in crate::xmpp) ids: [String; 3],
    /// What a login over this connection could be bound to.
    pub(in crate::xmpp) bindings: ChannelBindings,
}

/// See the [module](self).
pub(super) struct Register {
    domain: String,
    /// Those that were not asked for, the next one last.
    accounts: Vec<NewAccount>,
    ids: Vec<String>,
    bindings: ChannelBindings,
    state: State,
}

enum State {
    /// The server has not said what it offers.
    Beginning,
    /// It was asked what it wants to know.
    Asking { id: String },
    /// This account is to be kept before it is asked for.
    Keeping { account: NewAccount, wanted: Wanted },
    /// It was asked for.
    Registering { id: String, account: NewAccount, wanted: Wanted },
}

impl Register {
    pub(super) fn new(applicant: Applicant) -> Self {
        let Applicant { domain, mut accounts, ids, bindings } = applicant;
        accounts.reverse();
        Self { domain, accounts, ids: ids.into(), bindings, state: State::Beginning }
    }

    pub(super) fn on_word(&mut self, word: Word, talk: &mut Talk) -> Result<Option<Progress>, AccountError> {
        match (word, std::mem::replace(&mut self.state, State::Beginning)) {
            (Word::Features(features), State::Beginning) => {
                check(&Offer::read(&features), &self.bindings)?;
                let id = self.say_query(None, talk)?;
                self.state = State::Asking { id };
                Ok(None)
            }
            (Word::Answer(answer), State::Asking { id }) => {
                let payload = read_answer(&answer, &id)?.map_err(refusal_of)?;
                let query = payload.ok_or(AccountError::Protocol(STEP))?;
                let wanted = form::read(query).map_err(|refusal| refused_in(query, refusal))?;
                self.propose(wanted)
            }
            (Word::Answer(answer), State::Registering { id, account, wanted }) => {
                match read_answer(&answer, &id)? {
                    Ok(_) => Ok(Some(Progress::Registered(account))),
                    Err(error) if condition(error) == Some("conflict") => self.propose(wanted),
                    Err(error) => Err(refusal_of(error)),
                }
            }
            _ => Err(AccountError::Protocol(STEP)),
        }
    }

    /// The next account, to be kept before it is asked for.
    fn propose(&mut self, wanted: Wanted) -> Result<Option<Progress>, AccountError> {
        let account = self.accounts.pop().ok_or(Refusal::NamesTaken)?;
        self.state = State::Keeping { account: account.clone(), wanted };
        Ok(Some(Progress::Keep(account)))
    }

    /// It is kept: asks for it.
    pub(super) fn on_kept(&mut self, talk: &mut Talk) -> Result<(), AccountError> {
        let State::Keeping { account, wanted } = std::mem::replace(&mut self.state, State::Beginning) else {
            return Err(AccountError::Protocol(STEP));
        };
        let id = self.say_query(Some(wanted.answer(&account)), talk)?;
        self.state = State::Registering { id, account, wanted };
        Ok(())
    }

    /// Asks what is wanted, or answers that; by this id.
    fn say_query(&mut self, answer: Option<Element>, talk: &mut Talk) -> Result<String, AccountError> {
        let id = self.ids.pop().ok_or(AccountError::Protocol(STEP))?;
        let to = Some(self.domain.parse().map_err(|_| AccountError::Protocol(STEP))?);
        let iq = match answer {
            None => Iq::Get { from: None, to, id: id.clone(), payload: form::question() },
            Some(payload) => Iq::Set { from: None, to, id: id.clone(), payload },
        };
        talk.say(&iq, STEP)?;
        Ok(id)
    }
}

/// Whether it is open, and the account would be of use.
fn check(offer: &Offer, bindings: &ChannelBindings) -> Result<(), AccountError> {
    if !offer.register {
        return Err(Refusal::Closed.into());
    }
    choose(&Credential::Password("".into()), offer, bindings).map(|_| ())
}

/// The payload of a result, or the error, if this is the answer to the request with this id.
fn read_answer<'a>(
    answer: &'a Element,
    id: &str,
) -> Result<Result<Option<&'a Element>, &'a Element>, AccountError> {
    let nonsense = AccountError::Protocol(STEP);
    if answer.attr("id") != Some(id) {
        return Err(nonsense);
    }
    match answer.attr("type") {
        Some("result") => Ok(Ok(answer.children().next())),
        Some("error") => answer.children().find(|child| child.name() == "error").map(Err).ok_or(nonsense),
        _ => Err(nonsense),
    }
}

/// The refusal of a form that asks for what we do not have; with the web page that it names instead, if it does.
fn refused_in(query: &Element, refusal: Refusal) -> AccountError {
    let page = if refusal == Refusal::Web { form::page(query) } else { None };
    AccountError::Registration(refusal, Words::of_page(page))
}

/// An error's condition (RFC 6120 section 8.3.3).
fn condition_of(error: &Element) -> Option<&Element> {
    const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    error.children().find(|child| child.ns() == STANZAS && child.name() != "text")
}

/// Its name.
fn condition(error: &Element) -> Option<&str> {
    condition_of(error).map(Element::name)
}

/// What a server means by an error. XEP-0077 says `not-acceptable` where something required is missing (section 3.1). Prosody says it also
/// to a name that is not valid and for most rules of its modules, ejabberd to a password that is too weak; to a bad name ejabberd says
/// `jid-malformed`.
fn refusal_of(error: &Element) -> AccountError {
    let passes = error.attr("type") == Some("wait");
    let refusal = match condition(error) {
        Some("resource-constraint") => Refusal::TooMany,
        Some("internal-server-error") => Refusal::Fault,
        _ if passes => Refusal::TooMany,
        Some("not-acceptable" | "bad-request" | "jid-malformed") => Refusal::Rules,
        Some("redirect" | "gone") => Refusal::Web,
        _ => Refusal::Closed,
    };
    // `gone` and `redirect` hold the page's URL (RFC 6120 sections 8.3.3.5 and 8.3.3.14).
    let condition = condition_of(error).filter(|_| refusal == Refusal::Web);
    let page = condition.and_then(|condition| WebPage::new(&condition.text()));
    let words = if page.is_some() { Words::of_page(page) } else { Words::of(error) };
    AccountError::Registration(refusal, words)
}
