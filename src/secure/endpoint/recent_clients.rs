//! Recent clients: accounts that have completed a handshake not long ago.
//!
//! When many ask at once, these are probably users who come back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::BareJid;

use crate::secure::budget::counted::counted;
use crate::secure::budget::domain_group::group_of;

/// An account is remembered for an hour after its last handshake: a client that tor restarts, or whose network was away, finds its
/// reserve again.
const MEMORY: Duration = Duration::from_secs(3600);

/// The most accounts that are remembered: 1024, as many as a bridge has sessions if nobody says otherwise.
const MAX_CLIENTS: usize = 1024;

/// When each account began to be known, and when it last completed a handshake.
#[derive(Debug, Default)]
pub(crate) struct RecentClients(BTreeMap<BareJid, Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    since: Instant,
    last: Instant,
}

impl Known {
    fn is_recent(&self, now: Instant) -> bool {
        self.last + MEMORY > now
    }
}

impl RecentClients {
    /// Whether `client` is one of them.
    pub(crate) fn contains(&self, now: Instant, client: &BareJid) -> bool {
        self.0.get(client).is_some_and(|known| known.is_recent(now))
    }

    /// `client` has completed a handshake. For one too many somebody is forgotten.
    pub(crate) fn insert(&mut self, now: Instant, client: BareJid) {
        if !self.0.contains_key(&client) {
            self.make_room(now);
        }
        let before = self.0.get(&client).filter(|known| known.is_recent(now));
        let since = before.map_or(now, |known| known.since);
        self.0.insert(client, Known { since, last: now });
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < MAX_CLIENTS {
            return;
        }
        self.0.retain(|_, known| known.is_recent(now));
        if self.0.len() >= MAX_CLIENTS
            && let Some(victim) = self.victim()
        {
            self.0.remove(&victim);
        }
    }

    /// Who is forgotten for a newcomer. The half that has been known for the longest stays, so that whoever has accounts at any number
    /// of domains makes none of them unknown that were known before he came. Of the others, the largest domain group loses the one
    /// that has been known for the shortest time.
    fn victim(&self) -> Option<BareJid> {
        let groups = counted(self.0.keys().map(group_of));
        let mut by_age: Vec<_> = self.0.iter().collect();
        by_age.sort_by_key(|(_, known)| known.since);
        let newer = by_age.into_iter().skip(MAX_CLIENTS / 2);
        let victim = newer.max_by_key(|(client, known)| (groups.get(group_of(client)), known.since));
        victim.map(|(client, _)| client.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    #[test]
    fn a_client_is_known_for_an_hour() {
        let (start, mut recent) = (Instant::now(), RecentClients::default());
        assert!(!recent.contains(start, &jid("a@x")));
        recent.insert(start, jid("a@x"));
        assert!(recent.contains(start + MEMORY - Duration::from_secs(1), &jid("a@x")));
        assert!(!recent.contains(start + MEMORY, &jid("a@x")));
    }

    /// Each of these completes a handshake, a millisecond after the one before; the last one is known then, whoever it is.
    fn come(recent: &mut RecentClients, start: Instant, clients: impl Iterator<Item = String>) -> Instant {
        clients.zip(1..).fold(start, |_, (client, millisecond)| {
            let now = start + Duration::from_millis(millisecond);
            recent.insert(now, jid(&client));
            assert!(recent.0.len() <= MAX_CLIENTS && recent.contains(now, &jid(&client)), "{client}");
            now
        })
    }

    #[test]
    fn a_domain_with_endless_accounts_or_subdomains_drives_out_its_own() {
        let start = Instant::now();
        for of_evil in ["evil.example", "sub.evil.example"] {
            let mut recent = RecentClients::default();
            let start = come(&mut recent, start, ["a@x".to_owned()].into_iter());
            let evil = (0..3 * MAX_CLIENTS).map(|n| format!("b{n}@d{n}.{of_evil}"));
            let now = come(&mut recent, start, evil.chain(["c@y".to_owned(), "b@evil.example".to_owned()]));
            assert!(["a@x", "c@y"].iter().all(|client| recent.contains(now, &jid(client))));
        }
    }

    #[test]
    fn whoever_was_known_before_stays_known_however_many_domains_come() {
        let mut recent = RecentClients::default();
        let before: Vec<String> = (0..MAX_CLIENTS / 2).map(|n| format!("a{n}@public.example")).collect();
        let start = come(&mut recent, Instant::now(), before.iter().cloned());
        let now = come(&mut recent, start, (0..3 * MAX_CLIENTS).map(|n| format!("b@d{n}")));
        assert!(before.iter().all(|client| recent.contains(now, &jid(client))));
    }
}
