//! Clocks: ours beside those of chat servers and of clients, where a handshake was refused for which that can be the reason.
//!
//! A handshake says the minute, so that nobody can repeat it. Where a bridge refuses one, our account's server is asked for its time, once a
//! login at most: ordinary clients ask for it too, but not all, so that nobody is asked before there is a reason. A bridge asks nobody,
//! since any stranger could have it do so; it hears the time of clients from their handshakes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use xmpp_parsers::jid::{FullJid, Jid};

use super::{Shared, State};
use crate::carrier::Arrival;
use crate::carrier::clock::Question;
use crate::protocol::AccountId;
use crate::xmpp::Parcel;

/// Differences of less than 2 minutes are no reason for anything: ten are let in.
const WORTH_A_WORD: u64 = 120;

/// How many clocks of clients a bridge's log tells apart at most: 8, by the hour.
const MOST_TOLD: usize = 8;

/// What is known of the clocks of accounts' servers.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    accounts: BTreeMap<AccountId, Asked>,
    /// The clocks of clients that the log has, in hours ahead of ours.
    told: BTreeSet<i64>,
}

/// What was asked of one server in this login.
#[derive(Debug)]
enum Asked {
    /// Nothing yet.
    Nothing(Jid),
    /// Its time.
    Time(Question),
    /// It has answered: so many seconds is our clock ahead of its.
    Answered(Option<i64>),
}

/// Our clock is wrong, by the chat server's: so many seconds ahead, or behind where this is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongClock(i64);

impl WrongClock {
    /// A clock that is so many seconds ahead; none where that is no reason for anything.
    pub fn of(ahead: i64) -> Option<Self> {
        (ahead.unsigned_abs() >= WORTH_A_WORD).then_some(Self(ahead))
    }
}

impl fmt::Display for WrongClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 > 0 { "ahead of" } else { "behind" };
        write!(f, "the clock of this machine is {} {side} the chat server's", Span(self.0))
    }
}

/// So many seconds, in minutes or hours.
struct Span(i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.unsigned_abs() / 60 {
            1 => f.write_str("a minute"),
            minutes @ 0..120 => write!(f, "{minutes} minutes"),
            minutes @ 120..2880 => write!(f, "{} hours", minutes / 60),
            minutes => write!(f, "{} days", minutes / 1440),
        }
    }
}

impl Clocks {
    /// An account is online as this. A new login may ask anew.
    pub(super) fn on_online(&mut self, account: AccountId, jid: &FullJid, resumed: bool) {
        let server = Jid::from_parts(None, jid.domain(), None);
        if resumed {
            self.accounts.entry(account).or_insert(Asked::Nothing(server));
        } else {
            self.accounts.insert(account, Asked::Nothing(server));
        }
    }

    pub(super) fn on_gone(&mut self, account: AccountId) {
        self.accounts.remove(&account);
    }

    /// A bridge has refused a handshake by this account: the request to send, if there is one.
    fn on_turned_away(&mut self, account: AccountId) -> Option<Parcel> {
        let asked = self.accounts.get_mut(&account)?;
        let Asked::Nothing(server) = asked else { return None };
        let (question, parcel) = Question::new(server.clone(), &mut rand::random);
        *asked = Asked::Time(question);
        Some(parcel)
    }

    /// Takes what has come to an account, if it is the time that was asked for. Ours is `seconds` since 1970.
    pub(super) fn handle(&mut self, account: AccountId, arrival: &Arrival, seconds: u64) -> bool {
        let Some(asked) = self.accounts.get_mut(&account) else { return false };
        let Asked::Time(question) = asked else { return false };
        let Some(theirs) = question.answer(arrival) else { return false };
        let ours = i64::try_from(seconds).unwrap_or(i64::MAX);
        *asked = Asked::Answered(theirs.map(|theirs| ours.saturating_sub(theirs)));
        true
    }

    /// How wrong our clock is, as the servers of these accounts say: by the least, where they differ.
    pub(super) fn wrong(&self, accounts: &[AccountId]) -> Option<WrongClock> {
        let ahead = accounts.iter().filter_map(|account| match self.accounts.get(account)? {
            Asked::Answered(ahead) => *ahead,
            Asked::Nothing(_) | Asked::Time(_) => None,
        });
        ahead.min_by_key(|ahead| ahead.unsigned_abs()).and_then(WrongClock::of)
    }

    /// What is to be said of a client's clock, if that is news: so many minutes is it ahead of ours.
    fn news_of_client(&mut self, minutes: i64) -> Option<String> {
        if self.told.len() >= MOST_TOLD || !self.told.insert(minutes / 60) {
            return None;
        }
        let side = if minutes > 0 { "ahead of" } else { "behind" };
        Some(format!(
            "a client that has the bridge line was not let in, because its clock is {} {side} the one of this machine: check the clock \
             of this machine; if it is right, theirs is wrong, or somebody repeats what a client has sent",
            Span(minutes.saturating_mul(60))
        ))
    }
}

impl Shared {
    /// Asks for the time, or says what is known of it, where a handshake was refused.
    pub(super) fn see_to_clocks(&self, state: &mut State) {
        while let Some(account) = state.cores.secure.poll_turned_away() {
            if let Some(request) = state.clocks.on_turned_away(account) {
                self.pool.send(account, request, None);
            }
        }
        if let Some(minutes) = state.cores.secure.poll_strange_clock()
            && let Some(news) = state.clocks.news_of_client(minutes)
        {
            tracing::warn!("{news}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use xmpp_parsers::iq::Iq;
    use xmpp_parsers::stanza::Stanza;

    use super::*;

    const ID: AccountId = AccountId(1);
    /// 2026-12-01, midnight.
    const SERVERS: u64 = 1_796_083_200;

    fn online() -> Clocks {
        let mut clocks = Clocks::default();
        clocks.on_online(ID, &"a@chat.example/r".parse().unwrap(), false);
        clocks
    }

    fn answer_to(request: Parcel) -> Arrival {
        let Parcel::Stanza(stanza) = request else { unreachable!("it is a stanza") };
        let Stanza::Iq(iq) = *stanza else { unreachable!("it is an IQ") };
        let time = "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2026-12-01T00:00:00Z</utc></time>";
        let payload = Some(time.parse().unwrap());
        let answer = Iq::Result { from: iq.to().cloned(), to: None, id: iq.id().to_owned(), payload };
        Arrival::Parsed(Box::new(answer.into()))
    }

    /// What is known once the server was asked, while our clock showed this.
    fn asked_at(seconds: u64) -> Option<WrongClock> {
        let mut clocks = online();
        let request = clocks.on_turned_away(ID).unwrap();
        assert!(clocks.handle(ID, &answer_to(request), seconds));
        clocks.wrong(&[ID])
    }

    #[test]
    fn a_server_is_asked_once_a_login_and_only_after_a_refusal() {
        let mut clocks = online();
        assert!(clocks.wrong(&[ID]).is_none());
        assert!(clocks.on_turned_away(ID).is_some() && clocks.on_turned_away(ID).is_none());
        clocks.on_online(ID, &"a@chat.example/r".parse().unwrap(), true);
        assert!(clocks.on_turned_away(ID).is_none(), "the session goes on");
        clocks.on_online(ID, &"a@chat.example/r".parse().unwrap(), false);
        assert!(clocks.on_turned_away(ID).is_some());
        assert!(clocks.on_turned_away(AccountId(2)).is_none(), "it is not online");
    }

    #[test]
    fn two_minutes_are_worth_a_word() {
        assert_eq!(asked_at(SERVERS + 119), None);
        assert_eq!(asked_at(SERVERS - 119), None);
        let said = |seconds| asked_at(seconds).unwrap().to_string();
        assert_eq!(said(SERVERS + 120), "the clock of this machine is 2 minutes ahead of the chat server's");
        assert_eq!(said(SERVERS - 3600), "the clock of this machine is 60 minutes behind the chat server's");
        assert_eq!(said(SERVERS + 7300), "the clock of this machine is 2 hours ahead of the chat server's");
        assert_eq!(said(0), "the clock of this machine is 20788 days behind the chat server's");
    }

    #[test]
    fn the_clock_of_a_client_is_said_once_by_the_hour() {
        let mut clocks = Clocks::default();
        let said = [61, 62, -61, 61, 600].map(|minutes| clocks.news_of_client(minutes).is_some());
        assert_eq!(said, [true, false, true, false, true]);
        let text = Clocks::default().news_of_client(-61).unwrap();
        assert!(text.contains("its clock is 61 minutes behind the one of this machine: check"), "{text}");
    }
}
