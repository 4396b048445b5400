//! Recent clients: accounts that have completed a handshake not long ago.
//!
//! When many ask at once, these are probably users who come back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::BareJid;

/// How long an account is remembered after its last handshake.
const MEMORY: Duration = Duration::from_secs(3600);

/// More accounts are not remembered; it is also the most sessions that a bridge has if nobody says otherwise.
const MOST: usize = 1024;

/// When each account last completed a handshake.
#[derive(Debug, Default)]
pub(super) struct RecentClients(BTreeMap<BareJid, Instant>);

impl RecentClients {
    /// Whether `client` is one of them.
    pub(super) fn contains(&self, now: Instant, client: &BareJid) -> bool {
        self.0.get(client).is_some_and(|at| *at + MEMORY > now)
    }

    /// `client` has completed a handshake. For one too many, the domain with the most of them loses its oldest, so that
    /// nobody with a server of his own makes all others unknown.
    pub(super) fn insert(&mut self, now: Instant, client: BareJid) {
        self.0.insert(client, now);
        if self.0.len() <= MOST {
            return;
        }
        self.0.retain(|_, at| *at + MEMORY > now);
        if self.0.len() > MOST
            && let Some(oldest) = self.oldest_of_the_largest_domain()
        {
            self.0.remove(&oldest);
        }
    }

    fn oldest_of_the_largest_domain(&self) -> Option<BareJid> {
        let mut domains: BTreeMap<_, usize> = BTreeMap::new();
        self.0.keys().for_each(|client| *domains.entry(client.domain()).or_default() += 1);
        let (largest, _) = domains.into_iter().max_by_key(|(_, clients)| *clients)?;
        let of_largest = self.0.iter().filter(|(client, _)| client.domain() == largest);
        of_largest.min_by_key(|(_, at)| **at).map(|(client, _)| client.clone())
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

    #[test]
    fn a_domain_with_endless_accounts_drives_out_its_own() {
        let (start, mut recent) = (Instant::now(), RecentClients::default());
        recent.insert(start, jid("a@x"));
        for n in 0..3 * MOST as u64 {
            let now = start + Duration::from_millis(n);
            recent.insert(now, jid(&format!("b{n}@y")));
            assert!(recent.0.len() <= MOST);
            assert!(recent.contains(now, &jid("a@x")) && recent.contains(now, &jid(&format!("b{n}@y"))));
        }
    }
}
