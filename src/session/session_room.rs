//! Room for another session: how many a client may have, and which one has to go for a newcomer.
//!
//! A client is the account that shook hands. Whoever has many sessions, or idle ones, makes room for whoever has few: so
//! nobody keeps others out by holding on to all that there are.

use std::collections::BTreeMap;
use std::time::Instant;

use xmpp_parsers::jid::BareJid;

/// Sessions of one account at a time. A client has one for each bridge line and set of accounts; those that it left
/// without a word, by being killed for instance, last for two minutes.
pub(super) const MOST_PER_CLIENT: usize = 8;

/// A session that could make room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a, K> {
    pub(super) key: K,
    pub(super) client: &'a BareJid,
    /// Since when it has had no stream.
    pub(super) idle_since: Option<Instant>,
    /// When its peer last said something.
    pub(super) last_heard: Option<Instant>,
}

/// Which of `sessions`, of which there may be `most`, has to go before `newcomer` gets another one. None when no one has
/// to, or no one is: then there may be no room.
pub(super) fn victim<K: Copy>(sessions: &[Candidate<'_, K>], newcomer: &BareJid, most: usize) -> Option<K> {
    let own: Vec<_> = sessions.iter().copied().filter(|session| session.client == newcomer).collect();
    if own.len() >= MOST_PER_CLIENT {
        return least_used(&own);
    }
    if sessions.len() < most { None } else { of_the_greediest(sessions, own.len()) }
}

/// The one that has been idle for longest, or else the one that was not heard of for longest.
fn least_used<K: Copy>(sessions: &[Candidate<'_, K>]) -> Option<K> {
    let rank =
        |session: &&Candidate<'_, K>| (session.idle_since.is_none(), session.idle_since, session.last_heard);
    sessions.iter().min_by_key(rank).map(|session| session.key)
}

/// Of the client with the most sessions, or among equals of the domain with the most, the one that is least used. One with
/// streams only if its client would still have as many as the newcomer.
fn of_the_greediest<K: Copy>(sessions: &[Candidate<'_, K>], newcomers: usize) -> Option<K> {
    let (mut by_client, mut by_domain) = (BTreeMap::new(), BTreeMap::new());
    for session in sessions {
        *by_client.entry(session.client).or_insert(0_usize) += 1;
        *by_domain.entry(session.client.domain()).or_insert(0_usize) += 1;
    }
    let greed = |session: &Candidate<'_, K>| {
        (by_client.get(session.client).copied(), by_domain.get(session.client.domain()).copied())
    };
    let may_go = |session: &Candidate<'_, K>| {
        let of_client = by_client.get(session.client).copied().unwrap_or(0);
        session.idle_since.is_some() || of_client >= newcomers + 2
    };
    let candidates: Vec<_> = sessions.iter().copied().filter(may_go).collect();
    let most = candidates.iter().map(greed).max()?;
    let greediest: Vec<_> = candidates.into_iter().filter(|session| greed(session) == most).collect();
    least_used(&greediest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
