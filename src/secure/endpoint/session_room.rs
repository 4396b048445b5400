//! Room for another session: how many a client may have, and which one has to go for a newcomer.
//!
//! A client is the account that shook hands. Whoever has many sessions, or idle ones, makes room for whoever has few, and so do
//! accounts of a domain group that has many: so nobody keeps others out by holding on to all that there are.

use std::collections::BTreeMap;
use std::time::Instant;

use xmpp_parsers::jid::BareJid;

use crate::secure::budget::counted::counted;
use crate::secure::budget::domain_group::group_of;

/// Sessions of one account at a time. A client has one for each bridge line and set of accounts; those that it left
/// without a word, by being killed for instance, last for `session_timeout`.
pub(crate) const MOST_PER_CLIENT: usize = 8;

/// A session that could make room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a, K> {
    pub(crate) key: K,
    pub(crate) client: &'a BareJid,
    /// Since when it has had no stream; none if it has one, or has had none for too short a time to be idle.
    pub(crate) idle_since: Option<Instant>,
    /// When its peer last said something.
    pub(crate) last_heard: Option<Instant>,
}

/// Which of `sessions`, of which there may be `most`, has to go before `newcomer` gets another one. None when no one has
/// to, or no one is: then there may be no room.
pub(crate) fn victim<K: Copy>(sessions: &[Candidate<'_, K>], newcomer: &BareJid, most: usize) -> Option<K> {
    let own: Vec<_> = sessions.iter().copied().filter(|session| session.client == newcomer).collect();
    if own.len() >= MOST_PER_CLIENT {
        return least_used(&own);
    }
    if sessions.len() < most { None } else { of_the_greediest(sessions, newcomer) }
}

/// The one that has been idle for longest, or else the one that was not heard of for longest.
fn least_used<K: Copy>(sessions: &[Candidate<'_, K>]) -> Option<K> {
    let rank =
        |session: &&Candidate<'_, K>| (session.idle_since.is_none(), session.idle_since, session.last_heard);
    sessions.iter().min_by_key(rank).map(|session| session.key)
}

/// One that is idle, or of a client that has two more than the newcomer: of these, the least used one of the client with the most,
/// or among equals of the domain group with the most. If there is none, one whose client has more than the newcomer and whose group
/// has two more than the newcomer's.
///
/// So the client that makes room still has as many sessions as the newcomer gets, or its group has, and neither comes back at the
/// other's expense. Among clients sessions never get less even, and when they are as even as before they get more even among groups:
/// so this ends, however often anybody comes back. Groups come second since a client that loses one of several sessions has another
/// one.
fn of_the_greediest<K: Copy>(sessions: &[Candidate<'_, K>], newcomer: &BareJid) -> Option<K> {
    let holdings = Holdings::of(sessions);
    let (own, of_group) = (holdings.of_client(newcomer), holdings.of_group(newcomer));
    let is_to_spare = |session: &Candidate<'_, K>| {
        session.idle_since.is_some() || holdings.of_client(session.client) >= own + 2
    };
    let is_the_groups_to_spare = |session: &Candidate<'_, K>| {
        holdings.of_client(session.client) > own && holdings.of_group(session.client) >= of_group + 2
    };
    let of_clients = holdings.least_used_of_the_greediest(sessions, is_to_spare);
    of_clients.or_else(|| holdings.least_used_of_the_greediest(sessions, is_the_groups_to_spare))
}

/// How many sessions each client has, and each domain group.
struct Holdings<'a> {
    by_client: BTreeMap<&'a BareJid, usize>,
    by_group: BTreeMap<&'a str, usize>,
}

impl<'a> Holdings<'a> {
    fn of<K>(sessions: &[Candidate<'a, K>]) -> Self {
        let clients = || sessions.iter().map(|session| session.client);
        Self { by_client: counted(clients()), by_group: counted(clients().map(group_of)) }
    }

    fn of_client(&self, client: &BareJid) -> usize {
        self.by_client.get(client).copied().unwrap_or(0)
    }

    /// Of the group that the client is in.
    fn of_group(&self, client: &BareJid) -> usize {
        self.by_group.get(group_of(client)).copied().unwrap_or(0)
    }

    fn least_used_of_the_greediest<K: Copy>(
        &self,
        sessions: &[Candidate<'_, K>],
        may_go: impl Fn(&Candidate<'_, K>) -> bool,
    ) -> Option<K> {
        let greed =
            |session: &Candidate<'_, K>| (self.of_client(session.client), self.of_group(session.client));
        let candidates: Vec<_> = sessions.iter().copied().filter(may_go).collect();
        let most = candidates.iter().map(greed).max()?;
        let greediest: Vec<_> = candidates.into_iter().filter(|session| greed(session) == most).collect();
        least_used(&greediest)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// An account, since how many seconds it has been idle, and how many seconds ago it was heard of.
    type Given<'a> = (&'a str, Option<u64>, u64);

    /// Which of these sessions makes room.
    fn goes(sessions: &[Given<'_>], newcomer: &str, most: usize) -> Option<usize> {
        let now = Instant::now() + Duration::from_secs(10_000);
        let ago = |seconds| now - Duration::from_secs(seconds);
        let jids: Vec<_> = sessions.iter().map(|given| BareJid::new(given.0).unwrap()).collect();
        let candidates: Vec<_> = sessions
            .iter()
            .zip(&jids)
            .enumerate()
            .map(|(key, ((_, idle, heard), client))| Candidate {
                key,
                client,
                idle_since: idle.map(ago),
                last_heard: Some(ago(*heard)),
            })
            .collect();
        victim(&candidates, &BareJid::new(newcomer).unwrap(), most)
    }

    #[test]
    fn as_long_as_there_is_room_nobody_goes() {
        assert_eq!(goes(&[("a@x", Some(5), 1)], "b@x", 2), None);
    }

    #[test]
    fn of_whoever_has_most_the_one_that_has_been_idle_for_longest_goes() {
        let sessions = [("a@x", Some(900), 1), ("b@x", Some(5), 1), ("b@x", Some(7), 1), ("b@x", None, 1)];
        assert_eq!(goes(&sessions, "c@x", 4), Some(2));
    }

    #[test]
    fn among_clients_with_as_many_the_domain_with_most_makes_room() {
        let sessions = [("a@x", Some(900), 1), ("b@y", Some(5), 1), ("c@y", Some(7), 1)];
        assert_eq!(goes(&sessions, "d@z", 3), Some(2));
    }

    #[test]
    fn one_with_streams_goes_only_if_its_client_has_two_more_than_the_newcomer() {
        let sessions = [("a@x", None, 9), ("b@x", None, 3), ("b@x", None, 5)];
        assert_eq!(goes(&sessions, "c@x", 3), Some(2));
        assert_eq!(goes(&sessions, "a@x", 3), None);
        assert_eq!(goes(&sessions[..2], "c@x", 2), None);
    }

    #[test]
    fn accounts_of_one_domain_or_of_its_subdomains_make_room_when_they_have_two_more_than_the_newcomers() {
        let sessions =
            [("a@d1.evil.example", None, 3), ("a@d2.evil.example", None, 5), ("a@evil.example", None, 1)];
        assert_eq!(goes(&sessions, "c@home.example", 3), Some(1));
        assert_eq!(goes(&sessions, "c@evil.example", 3), None);
        let sessions = [sessions[0], sessions[1], ("b@home.example", None, 1)];
        assert_eq!(goes(&sessions, "c@home.example", 3), None, "they would have one more then");
    }

    #[test]
    fn an_idle_session_goes_before_one_with_streams_of_a_client_that_has_no_other() {
        let sessions = [("a@evil", None, 9), ("b@evil", None, 9), ("c@home", Some(3), 1)];
        assert_eq!(goes(&sessions, "d@elsewhere", 3), Some(2));
    }

    #[test]
    fn a_client_gets_no_second_session_at_the_expense_of_anybodys_only_one() {
        let sessions =
            [("a@public", None, 9), ("b@public", None, 9), ("c@public", None, 9), ("d@home", None, 9)];
        assert_eq!(goes(&sessions, "d@home", 4), None);
    }

    proptest! {
        /// Everybody who has lost a session, or has got none, asks again and again.
        #[test]
        fn whoever_comes_back_how_often_sessions_are_at_rest_in_the_end(
            wanted in proptest::collection::vec((0..4_usize, 1..4_usize), 2..16),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 40),
            most in 1..12_usize,
        ) {
            let clients: Vec<String> =
                wanted.iter().enumerate().map(|(n, (domain, _))| format!("c{n}@d{domain}")).collect();
            let mut held: Vec<usize> = Vec::new();
            let mut come = |client: usize| {
                if held.iter().filter(|other| **other == client).count() >= wanted[client].1 {
                    return false;
                }
                let sessions: Vec<Given<'_>> = held.iter().map(|client| (&*clients[*client], None, 1)).collect();
                let victim = goes(&sessions, &clients[client], most);
                if let Some(victim) = victim {
                    held.remove(victim);
                }
                if held.len() < most {
                    held.push(client);
                }
                victim.is_some()
            };
            for index in &order {
                come(index.index(clients.len()));
            }
            let mut comes_to_rest = || !(0..clients.len()).map(&mut come).fold(false, |any, moved| any | moved);
            prop_assert!((0..200).any(|_| comes_to_rest()));
        }
    }

    #[test]
    fn an_idle_session_of_a_modest_client_goes_before_anybody_is_turned_away() {
        let sessions = [("a@x", Some(9), 1), ("b@x", None, 1), ("b@x", None, 1)];
        assert_eq!(goes(&sessions, "b@x", 3), Some(0));
    }

    #[test]
    fn one_account_has_no_more_than_its_share_and_drives_out_its_own() {
        let mut sessions = vec![("a@x", None, 1); MOST_PER_CLIENT - 1];
        assert_eq!(goes(&sessions, "a@x", 100), None);
        sessions.insert(3, ("a@x", None, 50));
        assert_eq!(goes(&sessions, "a@x", 100), Some(3));
        sessions[5].1 = Some(0);
        assert_eq!(goes(&sessions, "a@x", 100), Some(5), "an idle one goes first");
        assert_eq!(goes(&sessions, "b@x", 100), None);
    }
}
