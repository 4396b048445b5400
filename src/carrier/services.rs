//! Services of accounts' servers: which there are, and what is asked for there, slots for files and activations of bytestreams. Pure.
//!
//! Services are looked for when somebody has a use for one, since it shows. Nobody waits for an answer for longer than 20 seconds. Where a
//! search has found nothing because somebody did not answer, it begins again after a while.

pub mod discovery;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use thiserror::Error;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::stanza::Stanza;

use super::Arrival;
use super::pending::Random;
use super::relay::activation;
use super::relay::proxy::Proxy;
use super::upload::refusal::Refusal;
use super::upload::service::Service;
use super::upload::slot::{self, NAME_BYTES, Slot, file_name};
use crate::protocol::AccountId;
use crate::secure::files::FileKey;
use crate::xmpp::Parcel;
use crate::xmpp::flat::Flat;
use discovery::{Discovery, Wanted};

/// How long an answer is waited for: 20 seconds, twice what one takes at a stock ejabberd behind as much as it reads.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first pause before a search is repeated: a minute; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause: an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// What is to be done, or is known now.
#[derive(Debug)]
pub enum Step {
    /// The account is to send this.
    Send(AccountId, Parcel),
    /// A search is over for upload services: this one was found, or none.
    FoundService(AccountId, Option<Service>),
    /// A search is over for proxies: this one was found, or none.
    FoundProxy(AccountId, Option<Proxy>),
    /// The request for a slot for a file is answered.
    Answered {
        /// Of which account.
        account: AccountId,
        /// Of which file.
        file: FileKey,
        /// The slot, or why there is none.
        answer: Result<Slot, Failure>,
    },
    /// The request to join both ends of a bytestream is answered.
    Activated {
        /// Of which account.
        account: AccountId,
        /// Which bytestream, by its id.
        sid: String,
        /// Done, or why not.
        answer: Result<(), NotActivated>,
    },
}

/// Why there is no slot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The service refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody has answered.
    #[error("asking the upload service for a slot: no answer in time")]
    Silent,
    /// No service is known.
    #[error("asking for a slot: there is no upload service")]
    NoService,
    /// The account has lost its session with the server.
    #[error("asking the upload service for a slot: the account was logged out")]
    LoggedOut,
}

/// Why a bytestream is not activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotActivated {
    /// The proxy refuses.
    #[error(transparent)]
    Refused(#[from] activation::Refusal),
    /// Nobody has answered.
    #[error("activating a bytestream at the proxy: no answer in time")]
    Silent,
    /// No proxy is known.
    #[error("activating a bytestream: there is no proxy")]
    NoProxy,
    /// The account has lost its session with the server.
    #[error("activating a bytestream at the proxy: the account was logged out")]
    LoggedOut,
}

/// The services of all accounts. After any change, [`poll`](Self::poll) has what follows from it.
#[derive(Debug)]
pub struct Services {
    wanted: Wanted,
    searches: BTreeMap<AccountId, Search>,
    requests: Vec<Request>,
    steps: VecDeque<Step>,
}

/// What is known of one account's services.
#[derive(Debug)]
struct Search {
    domain: Jid,
    discovery: Discovery,
    state: State,
    /// The kinds of services of which it was not said yet whether there are any.
    untold: Wanted,
    /// How long the last pause was, if there was one.
    pause: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Answers are waited for until then.
    Looking(Instant),
    /// It is known what there is.
    Over,
    /// It is looked for again then.
    Pausing(Instant),
}

/// Something that an account has asked for.
#[derive(Debug)]
struct Request {
    account: AccountId,
    question: Question,
    until: Instant,
}

#[derive(Debug)]
enum Question {
    Slot(FileKey, slot::Asked),
    /// Of the bytestream with this id.
    Activation(String, activation::Asked),
}

/// Why there is no answer to a question.
#[derive(Clone, Copy, Debug)]
enum NoAnswer {
    Silent,
    LoggedOut,
}

impl Services {
    /// Looks for these kinds of services, whichever account it is.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, searches: BTreeMap::new(), requests: Vec::new(), steps: VecDeque::new() }
    }

    /// Whether there is anything to look for.
    pub fn wants_any(&self) -> bool {
        !self.wanted.is_nothing()
    }

    /// Looks for the services of an account, whose server this is. What was known of them is forgotten.
    pub fn search(&mut self, now: Instant, account: AccountId, server: &Jid, random: Random<'_>) {
        self.forget(account);
        self.begin(now, account, server, None, random);
    }

    /// Whether services of the account were looked for.
    pub fn knows(&self, account: AccountId) -> bool {
        self.searches.contains_key(&account)
    }

    /// The account has lost its session with the server, or is closed.
    pub fn forget(&mut self, account: AccountId) {
        self.searches.remove(&account);
        let lost = self.requests.extract_if(.., |request| request.account == account);
        self.steps.extend(lost.map(|request| request.unanswered(NoAnswer::LoggedOut)));
    }

    /// The upload service of an account, if one was found.
    pub fn service(&self, account: AccountId) -> Option<&Service> {
        self.searches.get(&account)?.discovery.upload()?
    }

    /// The proxy of an account, if one was found.
    pub fn proxy(&self, account: AccountId) -> Option<&Proxy> {
        self.searches.get(&account)?.discovery.proxy()?
    }

    /// Asks the service of an account for a slot for a file of so many bytes.
    pub fn ask(
        &mut self,
        now: Instant,
        (account, file): (AccountId, FileKey),
        size: usize,
        random: Random<'_>,
    ) {
        let Some(service) = self.service(account) else {
            let answer = Err(Failure::NoService);
            return self.steps.push_back(Step::Answered { account, file, answer });
        };
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&random().to_be_bytes()[..NAME_BYTES]);
        let (asked, iq) = slot::ask(&service.jid, file_name(name), size as u64, random);
        self.ask_question(now, account, Question::Slot(file, asked), iq);
    }

    /// Asks the proxy of an account to join both ends of a bytestream that the account has begun, once both are connected there.
    pub fn activate(
        &mut self,
        now: Instant,
        (account, sid): (AccountId, String),
        target: &FullJid,
        random: Random<'_>,
    ) {
        let Some(proxy) = self.proxy(account) else {
            let answer = Err(NotActivated::NoProxy);
            return self.steps.push_back(Step::Activated { account, sid, answer });
        };
        let (asked, iq) = activation::ask(&proxy.jid, &sid, target, random);
        self.ask_question(now, account, Question::Activation(sid, asked), iq);
    }

    /// Nobody waits for the slot of a file any more.
    pub fn withdraw(&mut self, file: FileKey) {
        self.requests.retain(|request| !matches!(request.question, Question::Slot(of, _) if of == file));
    }

    /// Nobody waits for the activation of a bytestream any more.
    pub fn withdraw_activation(&mut self, sid: &str) {
        self.requests
            .retain(|request| !matches!(&request.question, Question::Activation(of, _) if of == sid));
    }

    /// Takes what has come to an account, if it is an answer to something that was asked here.
    pub fn handle(&mut self, account: AccountId, arrival: &Arrival, random: Random<'_>) -> bool {
        let stanza = match arrival {
            Arrival::Parsed(stanza) => stanza,
            Arrival::Flat(Flat::Result { from, id }) => return self.take_done(account, from, id),
            Arrival::Flat(_) | Arrival::Ping { .. } => return false,
        };
        let Stanza::Iq(iq @ (Iq::Result { .. } | Iq::Error { .. })) = &**stanza else { return false };
        self.take_answer(account, iq) || self.take_discovery(account, iq, random)
    }

    /// Gives up what was waited for long enough, and begins again where it is time to.
    pub fn handle_timeout(&mut self, now: Instant, random: Random<'_>) {
        let late = self.requests.extract_if(.., |request| request.until <= now);
        self.steps.extend(late.map(|request| request.unanswered(NoAnswer::Silent)));
        let due = self.searches.iter().filter(|(_, search)| search.state.due().is_some_and(|due| due <= now));
        for account in due.map(|(account, _)| *account).collect::<Vec<_>>() {
            self.on_due(now, account, random);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let requests = self.requests.iter().map(|request| request.until);
        requests.chain(self.searches.values().filter_map(|search| search.state.due())).min()
    }

    /// What is to be done next, or is known.
    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn begin(
        &mut self,
        now: Instant,
        account: AccountId,
        server: &Jid,
        pause: Option<Duration>,
        random: Random<'_>,
    ) {
        let (untold, domain) = (self.wanted, server.clone());
        let discovery = Discovery::new(server.domain(), untold, random);
        let state = State::Looking(now + PATIENCE);
        self.searches.insert(account, Search { domain, discovery, state, untold, pause });
        self.advance(account);
    }

    fn ask_question(&mut self, now: Instant, account: AccountId, question: Question, iq: Iq) {
        self.requests.push(Request { account, question, until: now + PATIENCE });
        self.send(account, iq);
    }

    /// Takes an empty result from somebody with a resource, if it answers an activation: the proxy of a cluster has one. Most of what comes
    /// so answers blocks, so the id is looked at first.
    fn take_done(&mut self, account: AccountId, from: &FullJid, id: &str) -> bool {
        let is_asked = |request: &Request| matches!(&request.question, Question::Activation(_, asked) if asked.has_id(id));
        if !self.requests.iter().any(is_asked) {
            return false;
        }
        let from = Some(from.clone().into());
        self.take_answer(account, &Iq::Result { from, to: None, id: id.to_owned(), payload: None })
    }

    fn take_answer(&mut self, account: AccountId, iq: &Iq) -> bool {
        let answers =
            |request: &Request| (request.account == account).then(|| request.answered(iq)).flatten();
        let found = self.requests.iter().enumerate().find_map(|(at, request)| Some((at, answers(request)?)));
        let Some((at, step)) = found else { return false };
        self.requests.remove(at);
        self.steps.push_back(step);
        true
    }

    fn take_discovery(&mut self, account: AccountId, iq: &Iq, random: Random<'_>) -> bool {
        let Some(search) = self.searches.get_mut(&account) else { return false };
        let is_answer = search.discovery.handle(iq, random);
        if is_answer {
            self.advance(account);
        }
        is_answer
    }

    /// Sends what a search wants to know next, and says what it has found.
    fn advance(&mut self, account: AccountId) {
        let Some(search) = self.searches.get_mut(&account) else { return };
        let requests: Vec<Iq> = std::iter::from_fn(|| search.discovery.poll_request()).collect();
        if let (true, Some(service)) = (search.untold.uploads, search.discovery.upload()) {
            search.untold.uploads = false;
            self.steps.push_back(Step::FoundService(account, service.cloned()));
        }
        if let (true, Some(proxy)) = (search.untold.relays, search.discovery.proxy()) {
            search.untold.relays = false;
            self.steps.push_back(Step::FoundProxy(account, proxy.cloned()));
        }
        if search.untold.is_nothing() {
            search.state = State::Over;
        }
        for request in requests {
            self.send(account, request);
        }
    }

    fn on_due(&mut self, now: Instant, account: AccountId, random: Random<'_>) {
        let Some(search) = self.searches.get_mut(&account) else { return };
        if let State::Pausing(_) = search.state {
            let (server, pause) = (search.domain.clone(), search.pause);
            return self.begin(now, account, &server, pause, random);
        }
        search.discovery.give_up();
        let (service, proxy) = (search.discovery.upload(), search.discovery.proxy());
        if service.flatten().is_some() || proxy.flatten().is_some() {
            return self.advance(account);
        }
        let pause = search.pause.map_or(FIRST_PAUSE, |pause| (2 * pause).min(LONGEST_PAUSE));
        (search.pause, search.state) = (Some(pause), State::Pausing(now + pause));
    }

    fn send(&mut self, account: AccountId, iq: Iq) {
        self.steps.push_back(Step::Send(account, Stanza::from(iq).into()));
    }
}

impl State {
    fn due(self) -> Option<Instant> {
        match self {
            Self::Looking(until) | Self::Pausing(until) => Some(until),
            Self::Over => None,
        }
    }
}

impl Request {
    /// What is answered, if this is the answer.
    fn answered(&self, iq: &Iq) -> Option<Step> {
        let account = self.account;
        Some(match &self.question {
            Question::Slot(file, asked) => {
                let answer = asked.answer(iq)?.map_err(Failure::Refused);
                Step::Answered { account, file: *file, answer }
            }
            Question::Activation(sid, asked) => {
                let answer = asked.answer(iq)?.map_err(NotActivated::Refused);
                Step::Activated { account, sid: sid.clone(), answer }
            }
        })
    }

    fn unanswered(self, why: NoAnswer) -> Step {
        let account = self.account;
        match self.question {
            Question::Slot(file, _) => {
                let failure = match why {
                    NoAnswer::Silent => Failure::Silent,
                    NoAnswer::LoggedOut => Failure::LoggedOut,
                };
                Step::Answered { account, file, answer: Err(failure) }
            }
            Question::Activation(sid, _) => {
                let failure = match why {
                    NoAnswer::Silent => NotActivated::Silent,
                    NoAnswer::LoggedOut => NotActivated::LoggedOut,
                };
                Step::Activated { account, sid, answer: Err(failure) }
            }
        }
    }
}
