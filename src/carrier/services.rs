//! Services of all accounts: which there are, and the slots that are asked for there.
//!
//! A service is looked for when somebody has a use for it, since it shows. Nobody waits for an answer for longer than 20 seconds. Where a
//! search has found nothing because somebody did not answer, it begins again after a while.

pub mod discovery;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use thiserror::Error;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::stanza::Stanza;

use super::Arrival;
use super::pending::Random;
use super::upload::refusal::Refusal;
use super::upload::service::Service;
use super::upload::slot::{self, Asked, NAME_BYTES, Slot, file_name};
use crate::protocol::AccountId;
use crate::secure::files::FileKey;
use crate::xmpp::Parcel;
use discovery::Discovery;

/// How long an answer is waited for: 20 seconds, twice what one takes behind all that a stock ejabberd reads at its rate.
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
    /// A search is over: this service was found, or none.
    Found(AccountId, Option<Service>),
    /// What was asked for on behalf of a file is answered.
    Answered {
        /// Of which account.
        account: AccountId,
        /// Of which file.
        file: FileKey,
        /// The slot, or why there is none.
        answer: Result<Slot, Failure>,
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

/// The services of all accounts. After any change, [`poll`](Self::poll) has what follows from it.
#[derive(Debug, Default)]
pub struct Services {
    searches: BTreeMap<AccountId, Search>,
    requests: Vec<Request>,
    steps: VecDeque<Step>,
}

/// What is known of one account's service.
#[derive(Debug)]
struct Search {
    domain: Jid,
    discovery: Discovery,
    state: State,
    /// How long the last pause was.
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

/// A slot that was asked for.
#[derive(Debug)]
struct Request {
    account: AccountId,
    file: FileKey,
    asked: Asked,
    until: Instant,
}

impl Services {
    /// Looks for the service of an account, whose server this is. What was known of it is forgotten.
    pub fn search(&mut self, now: Instant, account: AccountId, server: &Jid, random: Random<'_>) {
        self.forget(account);
        self.begin(now, account, server, None, random);
    }

    /// Whether a service of the account was looked for.
    pub fn knows(&self, account: AccountId) -> bool {
        self.searches.contains_key(&account)
    }

    /// The account has lost its session with the server, or is closed.
    pub fn forget(&mut self, account: AccountId) {
        self.searches.remove(&account);
        let lost = self.requests.extract_if(.., |request| request.account == account);
        let answered = |request: Request| request.answered(Err(Failure::LoggedOut));
        self.steps.extend(lost.map(answered));
    }

    /// The service of an account, if one was found.
    pub fn service(&self, account: AccountId) -> Option<&Service> {
        self.searches.get(&account)?.discovery.outcome()?
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
        self.requests.push(Request { account, file, asked, until: now + PATIENCE });
        self.send(account, iq);
    }

    /// Nobody waits for the slot of a file any more.
    pub fn withdraw(&mut self, file: FileKey) {
        self.requests.retain(|request| request.file != file);
    }

    /// Takes what has come to an account, if it is an answer to something that was asked here.
    pub fn handle(&mut self, account: AccountId, arrival: &Arrival, random: Random<'_>) -> bool {
        let Arrival::Parsed(stanza) = arrival else { return false };
        let Stanza::Iq(iq @ (Iq::Result { .. } | Iq::Error { .. })) = &**stanza else { return false };
        self.take_slot(account, iq) || self.take_discovery(account, iq, random)
    }

    /// Gives up what was waited for long enough, and begins again where it is time to.
    pub fn handle_timeout(&mut self, now: Instant, random: Random<'_>) {
        let late = self.requests.extract_if(.., |request| request.until <= now);
        self.steps.extend(late.map(|request| request.answered(Err(Failure::Silent))));
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
        let discovery = Discovery::new(server.domain(), random);
        let state = State::Looking(now + PATIENCE);
        self.searches.insert(account, Search { domain: server.clone(), discovery, state, pause });
        self.advance(account);
    }

    fn take_slot(&mut self, account: AccountId, iq: &Iq) -> bool {
        let answers =
            |request: &Request| (request.account == account).then(|| request.asked.answer(iq)).flatten();
        let found = self.requests.iter().enumerate().find_map(|(at, request)| Some((at, answers(request)?)));
        let Some((at, answer)) = found else { return false };
        let request = self.requests.remove(at);
        self.steps.push_back(request.answered(answer.map_err(Failure::Refused)));
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
        let outcome = search.discovery.outcome().map(|service| service.cloned());
        if let (State::Looking(_), Some(service)) = (search.state, outcome) {
            search.state = State::Over;
            self.steps.push_back(Step::Found(account, service));
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
        if let Some(Some(_)) = search.discovery.outcome() {
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
    fn answered(self, answer: Result<Slot, Failure>) -> Step {
        Step::Answered { account: self.account, file: self.file, answer }
    }
}
