//! Legs between servers: how large a block gets from a server of ours to one of a peer's, as far as that has shown.
//!
//! A server that another one sends too large a stanza ends the connection between them, on which everybody's stanzas go (RFC 6120 section
//! 13.12; so do Prosody and ejabberd). What was on its way there is lost, the sender's server makes another connection for the next stanza,
//! and neither of the two clients is told. So it is suspicious if a path loses a block, or is silent, while a larger block than any that has
//! arrived is on its way to another server. All our accounts at a server share its legs.

use std::collections::BTreeMap;
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::size_limits::{Ladder, SizeLimits};
use crate::protocol::{AccountId, SizeLimit};
use crate::secure::path::Path;
use crate::secure::tuning::LEG_SUSPICION_LASTS;

/// At most 256 legs are remembered, some 50 kB; one more takes the place of the one whose limit lapses first.
const MOST_LEGS: usize = 256;

/// The domains at either end.
type Leg = (String, String);

/// What is known of all legs. Of a leg that has aroused no suspicion nothing is kept.
#[derive(Debug)]
pub(crate) struct Legs {
    /// The domains of our accounts.
    homes: BTreeMap<AccountId, String>,
    limits: SizeLimits<Leg>,
}

impl Default for Legs {
    fn default() -> Self {
        Self { homes: BTreeMap::new(), limits: SizeLimits::new(LEG_SUSPICION_LASTS) }
    }
}

impl Legs {
    /// An account has this name.
    pub(crate) fn on_online(&mut self, account: AccountId, jid: &FullJid) {
        self.homes.insert(account, jid.domain().to_string());
    }

    /// An account is gone for good.
    pub(crate) fn remove(&mut self, account: AccountId) {
        self.homes.remove(&account);
    }

    /// The leg that a path goes by, unless both its ends have the same server.
    fn leg(&self, path: &Path) -> Option<Leg> {
        let (home, abroad) = (self.homes.get(&path.via())?, path.peer().domain().as_str());
        (home != abroad).then(|| (home.clone(), abroad.to_owned()))
    }

    /// The largest block that may go by the path.
    pub(crate) fn limit(&self, path: &Path) -> usize {
        if self.limits.is_empty() {
            return usize::MAX;
        }
        self.leg(path).map_or(usize::MAX, |leg| self.limits.get(&leg))
    }

    /// Blocks of the path have arrived.
    pub(crate) fn on_taken(&mut self, now: Instant, path: &Path) {
        if self.limits.is_empty() {
            return;
        }
        if let Some(leg) = self.leg(path).filter(|leg| self.limits.has(leg)) {
            self.limits.on_taken(now, leg, path.largest_taken());
        }
    }

    /// The path has lost a block, or is silent. Whether the size of what is on its way may be the reason.
    pub(crate) fn on_trouble(&mut self, now: Instant, path: &Path, ladder: Ladder) -> bool {
        let (on_its_way, taken) = (path.largest_outstanding(), path.largest_taken());
        let is_suspicious = |leg: &Leg| on_its_way > taken.max(self.limits.safe(leg, ladder));
        let Some(leg) = self.leg(path).filter(is_suspicious) else { return false };
        if !self.limits.has(&leg) {
            self.limits.make_room(MOST_LEGS);
        }
        self.limits.on_taken(now, leg.clone(), taken);
        self.limits.on_shown(now, leg, SizeLimit::Suspected, on_its_way, ladder);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::delivery::Delivery;
    use crate::secure::sizes::OF_TESTS;

    /// An account at the server of the other ends of all paths here, and two at another one.
    const AT_THEIRS: AccountId = AccountId(0);
    const AT_OURS: [AccountId; 2] = [AccountId(1), AccountId(2)];

    fn legs() -> Legs {
        let mut legs = Legs::default();
        for (id, jid) in [
            (AT_THEIRS, "a@chat.example/r"),
            (AT_OURS[0], "b@home.example/r"),
            (AT_OURS[1], "c@home.example/r"),
        ] {
            legs.on_online(id, &FullJid::new(jid).unwrap());
        }
        legs
    }

    /// A path on which a block of the first size has arrived and one of the other is on its way.
    fn path(via: AccountId, taken: usize, on_its_way: usize) -> Path {
        let now = Instant::now();
        let mut path = Path::by(now, via);
        path.on_sent(now, Delivery::nth(1), taken);
        path.on_taken(now, Delivery::nth(1));
        path.on_sent(now, Delivery::nth(2), on_its_way);
        path
    }

    fn on_trouble(legs: &mut Legs, path: &Path) -> bool {
        legs.on_trouble(Instant::now(), path, OF_TESTS.ladder())
    }

    #[test]
    fn two_paths_in_trouble_lead_to_what_has_arrived_for_all_accounts_at_the_server() {
        let mut legs = legs();
        assert!(on_trouble(&mut legs, &path(AT_OURS[0], 12_000, 24_288)));
        assert_eq!(legs.limit(&path(AT_OURS[0], 1024, 1024)), usize::MAX);
        assert!(on_trouble(&mut legs, &path(AT_OURS[1], 4096, 24_288)));
        let limits = AT_OURS.map(|id| legs.limit(&path(id, 1024, 1024)));
        assert_eq!(limits, [12_000; 2]);
        assert_eq!(legs.limit(&path(AT_THEIRS, 1024, 1024)), usize::MAX);
    }

    #[test]
    fn a_path_between_accounts_of_one_server_is_never_suspicious() {
        let mut legs = legs();
        for _ in 0..3 {
            assert!(!on_trouble(&mut legs, &path(AT_THEIRS, 1024, 48_864)));
        }
        assert_eq!(legs.limit(&path(AT_THEIRS, 1024, 1024)), usize::MAX);
    }

    #[test]
    fn nor_is_one_with_nothing_on_its_way_that_is_larger_than_what_arrived_or_than_every_server_takes() {
        let mut legs = legs();
        for (taken, on_its_way) in [(24_288, 24_288), (48_864, 1024), (1024, 5856)] {
            assert!(!on_trouble(&mut legs, &path(AT_OURS[0], taken, on_its_way)), "{taken}, {on_its_way}");
        }
        assert!(legs.limits.is_empty());
    }

    #[test]
    fn a_larger_block_that_arrives_by_any_path_shows_that_it_was_something_else() {
        let mut legs = legs();
        assert!(on_trouble(&mut legs, &path(AT_OURS[0], 12_000, 24_288)));
        let other = path(AT_OURS[1], 24_288, 1024);
        legs.on_taken(Instant::now(), &other);
        assert!(!on_trouble(&mut legs, &path(AT_OURS[0], 12_000, 24_288)));
        assert!(on_trouble(&mut legs, &path(AT_OURS[0], 12_000, 48_864)));
        assert_eq!(legs.limit(&other), usize::MAX);
    }
}
