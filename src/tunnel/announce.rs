//! Log of accounts: each change once, however often an attempt is repeated.
//!
//! Only what a server has confirmed is said: of an account that is presumed to be online nothing is said before that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use safelog::sensitive;
use tracing::Level;
use xmpp_parsers::jid::FullJid;

use super::known_faults::{AGAIN, KnownFaults};
use crate::secure::News;
use crate::xmpp::{AccountError, AccountEvent, AccountId, AccountName};

const SPENT: &str = "has sent all that it may in a day, and sends slowly until less was sent in the last one; with the consent of whoever \
                     runs its server give it more (daily_stanza_bytes in [guest]), or say mine = true where that is you";

/// Remembers what was said of each account.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    accounts: BTreeMap<AccountId, Told>,
    /// What was said of the upload services of a bridge's clients.
    files_of_clients: BTreeSet<String>,
    /// When it is said again of the first account that it cannot be used.
    next: Option<Instant>,
}

/// What was said of one account, and what is yet to be said.
#[derive(Debug, Default)]
struct Told {
    /// What it is called.
    name: Option<AccountName>,
    /// As whom it is presumed to be online, until its server confirms it.
    presumed: Option<FullJid>,
    /// Why it was not online.
    faults: KnownFaults,
    /// What its server ended connections for. A login that works again in between changes nothing about it.
    ends: KnownFaults,
    /// How many connections have ended for a stanza that was too large.
    too_large: u32,
    /// How long its server is left alone, until it is said why.
    rest: Option<Duration>,
    /// Why it will never be online again, and when that is said again.
    failed: Option<(String, Instant)>,
    /// How much of its quota was said to be used, in hundredths.
    quota: u8,
    /// What was said of its lanes.
    lanes: BTreeSet<String>,
}

/// Things that are said of lanes, at most: 32, more than there are.
const MOST_ABOUT_LANES: usize = 32;

/// What can help is said at the 2nd connection that ends for a stanza that was too large: after one, smaller ones may be enough.
const WORTH_A_WORD: u32 = 2;

impl Announcer {
    /// Says what `event` means for whoever runs the program, if that is news, of the account that is called so.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        id: AccountId,
        event: &AccountEvent,
        name: impl FnOnce() -> AccountName,
    ) {
        let Some((level, news)) = self.news(now, id, event) else { return };
        let name = self.accounts.entry(id).or_default().name.get_or_insert_with(name);
        let after = match event {
            AccountEvent::Failed(error) if error.is_login_fault() => name.after_correction(),
            _ => "",
        };
        match level {
            Level::ERROR => tracing::error!("{name} {news}{after}"),
            Level::WARN => tracing::warn!("{name} {news}"),
            _ => tracing::info!("{name} {news}"),
        }
    }

    /// Says that so many hundredths of the account's quota are used, if they have become four fifths or all.
    pub(super) fn announce_quota(&mut self, id: AccountId, percent: u8) {
        let told = self.accounts.entry(id).or_default();
        if let Some(news) = told.quota_news(percent) {
            tracing::warn!("{} {news}", told.name_of(id));
        }
    }

    /// Says something of what carries bytes beside an account's stanzas, once.
    pub(super) fn announce_lane(&mut self, id: AccountId, news: &str) {
        let told = self.accounts.entry(id).or_default();
        let name = told.name_of(id);
        if is_first(&mut told.lanes, news) {
            tracing::info!("{name}: {news}");
        } else {
            tracing::debug!("{name}: {news}");
        }
    }

    /// Says of the upload services of clients what went wrong, once, whoever they are.
    pub(super) fn announce_files_of_clients(&mut self, fault: &str) {
        if is_first(&mut self.files_of_clients, fault) {
            tracing::info!("a client's files are left for now: {fault}");
        } else {
            tracing::debug!("a client's files are left for now: {fault}");
        }
    }

    fn news(&mut self, now: Instant, id: AccountId, event: &AccountEvent) -> Option<(Level, String)> {
        let news = self.accounts.entry(id).or_default().news(now, event);
        if matches!(event, AccountEvent::Failed(_)) {
            self.note_next();
        }
        news
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Says once more which accounts cannot be used, an hour after it was said last.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for (id, news) in self.said_again(now) {
            let name = self.accounts.get(&id).map_or(AccountName::Numbered(id.0), |told| told.name_of(id));
            tracing::error!("{name} still {news}");
        }
    }

    fn said_again(&mut self, now: Instant) -> Vec<(AccountId, String)> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let accounts = self.accounts.iter_mut();
        let again = accounts.filter_map(|(id, told)| Some((*id, told.failure_again(now)?))).collect();
        self.note_next();
        again
    }

    fn note_next(&mut self) {
        let failed = self.accounts.values().filter_map(|told| told.failed.as_ref());
        self.next = failed.map(|(_, at)| *at).min();
    }

    /// The account is closed: nothing will happen to it any more.
    pub(super) fn forget(&mut self, id: AccountId) {
        self.accounts.remove(&id);
        self.note_next();
    }

    /// Whether it was said that this account cannot be used.
    pub(super) fn has_failed(&self, id: AccountId) -> bool {
        self.accounts.get(&id).is_some_and(|told| told.failed.is_some())
    }
}

/// Whether something is said for the first time.
fn is_first(said: &mut BTreeSet<String>, text: &str) -> bool {
    said.len() < MOST_ABOUT_LANES && said.insert(text.to_owned())
}

impl Told {
    /// What it is called, whose number is `id`.
    fn name_of(&self, id: AccountId) -> AccountName {
        self.name.clone().unwrap_or(AccountName::Numbered(id.0))
    }

    /// What is to be said of the account, and how loudly.
    fn news(&mut self, now: Instant, event: &AccountEvent) -> Option<(Level, String)> {
        match event {
            AccountEvent::Online { jid, presumed: true, .. } => {
                self.presumed = Some(jid.clone());
                None
            }
            AccountEvent::Online { jid, resumed, .. } => Some(self.online(jid, *resumed)),
            AccountEvent::Confirmed => {
                let jid = self.presumed.take()?;
                Some(self.online(&jid, false))
            }
            AccountEvent::Rests(rest) => {
                self.rest = Some(*rest);
                None
            }
            AccountEvent::Suspended { reason } => match self.presumed.take() {
                // The next login follows at once, and takes what it gets.
                Some(_) if *reason == AccountError::OtherResource => None,
                Some(_) => self.not_online(now, reason),
                None => Some(self.lost(now, reason)),
            },
            AccountEvent::Unreachable(error) => self.not_online(now, error),
            AccountEvent::Failed(error) => {
                let news = format!("cannot be used: {error}; {}", error.advice());
                self.failed = Some((news.clone(), now + AGAIN));
                Some((Level::ERROR, news))
            }
            _ => None,
        }
    }

    fn online(&mut self, jid: &FullJid, resumed: bool) -> (Level, String) {
        self.faults.handle_online();
        let again = if resumed { " again" } else { "" };
        (Level::INFO, format!("is online as {}{again}", sensitive(jid)))
    }

    /// What is to be said again now of one that has failed.
    fn failure_again(&mut self, now: Instant) -> Option<String> {
        let (news, at) = self.failed.as_mut().filter(|(_, at)| *at <= now)?;
        *at = now + AGAIN;
        Some(news.clone())
    }

    fn lost(&mut self, now: Instant, reason: &AccountError) -> (Level, String) {
        let rest = self.rest.take();
        let is_news = match reason {
            AccountError::StanzaTooLarge => {
                self.too_large = self.too_large.saturating_add(1);
                self.too_large == WORTH_A_WORD
            }
            reason => reason.is_for_a_person() && self.ends.note(now, reason),
        };
        if is_news || rest.is_some() {
            (Level::WARN, format!("lost its connection: {}", with_advice(reason, rest)))
        } else {
            (Level::INFO, format!("lost its connection: {reason}"))
        }
    }

    fn not_online(&mut self, now: Instant, error: &AccountError) -> Option<(Level, String)> {
        let rest = self.rest.take();
        if let AccountError::SeeOtherHost(_) = error {
            // The next login is there, and says what it gets.
            return None;
        }
        let is_news = self.faults.note(now, error) || rest.is_some();
        is_news.then(|| (Level::WARN, format!("is not online: {}", with_advice(error, rest))))
    }

    fn quota_news(&mut self, percent: u8) -> Option<&'static str> {
        let (step, news) = match percent {
            0..80 => {
                self.quota = 0;
                return None;
            }
            80..100 => (80, "has sent four fifths of what it may in a day (daily_stanza_bytes in [guest])"),
            100.. => (100, SPENT),
        };
        (std::mem::replace(&mut self.quota, step) < step).then_some(news)
    }
}

/// What is said of a session.
pub(super) fn of_session(news: News) -> &'static str {
    match news {
        News::BridgeFound(_) => "the bridge is found",
        News::SessionUp(_) => "the session with the bridge is up",
    }
}

/// A fault and what can help, where the server is left alone for so long, if it is.
fn with_advice(error: &AccountError, rest: Option<Duration>) -> String {
    let advice = rest.map_or_else(|| error.advice().to_owned(), |rest| error.advice_at_rest(rest));
    format!("{error}; {advice}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::xmpp::{Elsewhere, OtherHost, Step, Words};

    const ID: AccountId = AccountId(1);

    /// All that is said of one account that these things happen to, a line for each.
    fn said(events: impl IntoIterator<Item = AccountEvent>) -> Vec<String> {
        let (mut announcer, now) = (Announcer::default(), Instant::now());
        let lines = events.into_iter().filter_map(|event| announcer.news(now, ID, &event));
        lines.map(|(level, news)| format!("{level} {news}")).collect()
    }

    fn online(presumed: bool) -> AccountEvent {
        let jid = "alice@chat.example/here".parse().unwrap();
        AccountEvent::Online { jid, resumed: false, presumed }
    }

    fn suspended(reason: AccountError) -> AccountEvent {
        AccountEvent::Suspended { reason }
    }

    #[test]
    fn an_account_is_said_to_be_online_when_its_server_has_confirmed_it() {
        assert_eq!(said([online(true)]), Vec::<String>::new());
        let line = "INFO is online as [scrubbed]";
        assert_eq!(said([online(true), AccountEvent::Confirmed]), [line]);
        assert_eq!(said([online(false)]), [line]);
    }

    #[test]
    fn a_resource_that_was_presumed_and_is_refused_is_one_sentence() {
        let refused = || AccountError::BindRefused("resource-constraint", Words::default());
        let lines = said([online(true), suspended(refused()), AccountEvent::Unreachable(refused())]);
        assert_eq!(
            lines,
            [
                "WARN is not online: opening a session at the chat server: refused (resource-constraint); it may be logged in too often \
              already: end other sessions of the account, or give each program one of its own; trying again within half a minute"
            ]
        );
    }

    #[test]
    fn a_request_for_a_resource_that_is_never_answered_is_one_sentence() {
        let silent = || AccountError::TimedOut(Step::Bind);
        let lines = said([
            online(true),
            suspended(silent()),
            online(true),
            suspended(silent()),
            AccountEvent::Unreachable(silent()),
        ]);
        assert_eq!(
            lines,
            [
                "WARN is not online: opening a session at the chat server: no answer in time; if it stays, use another network, or ask \
              whoever runs the server; trying again"
            ]
        );
    }

    #[test]
    fn who_gets_another_resource_than_was_presumed_is_online_as_that_and_nothing_else_is_said() {
        let lines = said([online(true), suspended(AccountError::OtherResource), online(false)]);
        assert_eq!(lines, ["INFO is online as [scrubbed]"]);
    }

    fn sent_away() -> AccountError {
        AccountError::SeeOtherHost(OtherHost::parse("node7.chat.example").unwrap())
    }

    fn refused_there() -> AccountEvent {
        let host = OtherHost::parse("node7.chat.example").unwrap();
        AccountEvent::Unreachable(AccountError::Elsewhere(Elsewhere::new(host, AccountError::Refused)))
    }

    #[test]
    fn a_server_that_sends_us_to_a_host_where_we_fail_is_one_sentence_however_often_it_does() {
        let twice = (0..2).flat_map(|_| [AccountEvent::Unreachable(sent_away()), refused_there()]);
        let lines = said(twice);
        let sentence = "WARN is not online: the chat server has sent us to another host, [scrubbed], where this failed: dialling the chat \
                        server: connection refused; ";
        assert!(lines.len() == 1 && lines[0].starts_with(sentence), "{lines:?}");
    }

    #[test]
    fn a_server_that_lets_us_in_and_then_does_so_warns_of_that_once() {
        let lines = said((0..2).flat_map(|_| [online(false), suspended(sent_away()), refused_there()]));
        let warnings = lines.iter().filter(|line| line.starts_with("WARN"));
        assert_eq!(warnings.count(), 1, "{lines:?}");
        assert_eq!(
            lines[1],
            "INFO lost its connection: the chat server sends us to another host, [scrubbed]"
        );
    }

    #[test]
    fn what_helps_against_a_stanza_that_is_too_large_is_said_once_when_smaller_ones_do_not() {
        let too_large = || suspended(AccountError::StanzaTooLarge);
        let lines = said([too_large(), online(false), too_large(), online(false), too_large()]);
        let end = "lost its connection: keeping the session with the chat server: it takes no stanza as large as one of ours";
        let online = "INFO is online as [scrubbed]".to_owned();
        assert_eq!(
            lines,
            [
                format!("INFO {end}"),
                online.clone(),
                format!(
                    "WARN {end}; sending smaller ones from now on; if it stays, ask whoever runs the server to take 10,000 bytes, as every \
                     server has to, or use an account at another server; trying again"
                ),
                online,
                format!("INFO {end}"),
            ]
        );
    }

    #[test]
    fn how_long_an_account_rests_is_said_each_time_it_does() {
        let violation =
            || suspended(AccountError::StreamError(Step::Session, "policy-violation", Words::default()));
        let rests = || AccountEvent::Rests(Duration::from_secs(100 * 60));
        let sentence = "WARN lost its connection: keeping the session with the chat server: it ended the stream (policy-violation); \
                        the server does not allow something: ask whoever runs it; trying again within";
        assert_eq!(
            said([violation(), rests(), violation(), rests(), violation(), violation()]),
            [
                format!("{sentence} half a minute"),
                format!("{sentence} 2 hours"),
                format!("{sentence} 2 hours"),
                "INFO lost its connection: keeping the session with the chat server: it ended the stream (policy-violation)".to_owned(),
            ]
        );
    }

    #[test]
    fn four_fifths_of_a_quota_and_all_of_it_are_said_once_each_until_it_is_less() {
        let mut told = Told::default();
        let said = [79, 80, 99, 100, 100, 50, 100].map(|percent| told.quota_news(percent));
        let most = "has sent four fifths of what it may in a day (daily_stanza_bytes in [guest])";
        assert_eq!(said, [None, Some(most), None, Some(SPENT), None, None, Some(SPENT)]);
    }

    #[test]
    fn what_fails_for_good_is_said_again_every_hour_until_the_account_is_closed() {
        let (mut announcer, start) = (Announcer::default(), Instant::now());
        assert_eq!(announcer.next_timeout(), None);
        let failed = AccountEvent::Failed(AccountError::WrongPassword);
        let first = announcer.news(start, ID, &failed).map(|(_, news)| news).unwrap();
        let mut hours = Vec::new();
        for _ in 0..3 {
            let next = announcer.next_timeout().unwrap();
            assert_eq!(announcer.said_again(next - Duration::from_secs(1)), []);
            assert_eq!(announcer.said_again(next), [(ID, first.clone())]);
            hours.push((next - start).as_secs() / 3600);
        }
        assert_eq!(hours, [1, 2, 3]);
        announcer.forget(ID);
        assert_eq!(announcer.next_timeout(), None);
    }

    #[test]
    fn what_is_said_of_files_is_said_once() {
        let mut said = BTreeSet::new();
        let texts = ["its server takes no files", "files are left", "its server takes no files"];
        assert_eq!(texts.map(|text| is_first(&mut said, text)), [true, true, false]);
        let many = (0..100).filter(|n| is_first(&mut said, &n.to_string()));
        assert_eq!(many.count() + 2, MOST_ABOUT_LANES);
    }

    #[test]
    fn a_fault_that_is_repeated_is_said_again_where_the_account_rests_after_it() {
        let fault = || {
            AccountEvent::Unreachable(AccountError::StreamError(
                Step::Register,
                "policy-violation",
                Words::default(),
            ))
        };
        let rests = || AccountEvent::Rests(Duration::from_secs(3 * 3600));
        let lines = said([fault(), fault(), rests(), fault()]);
        let sentence = "WARN is not online: registering an account at the chat server: it ended the stream (policy-violation); the server \
                        does not allow something: ask whoever runs it; trying again within";
        assert_eq!(lines, [format!("{sentence} half a minute"), format!("{sentence} 3 hours")]);
    }
}
