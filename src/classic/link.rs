//! Our accounts and a peer's, and what is known of the way between them.
//!
//! All connections between the same two sets of accounts share one link: the rotation over the peer's
//! aliases, which of them bounce at the moment, and whether the peer is alive at all.

use std::time::{Duration, Instant};

use xmpp_parsers::jid::FullJid;

use super::stanza::Aliases;
use super::{AccountId, SetId};

/// After this long without a word from the peer it is asked for one, and again as often.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(15);

/// How long an alias rests after its first bounce in a row; then twice as long each time.
const FIRST_HOLD: Duration = Duration::from_millis(500);
const LONGEST_HOLD: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) struct Link {
    /// Our accounts, by whose JIDs the peer knows us.
    pub(super) accounts: Vec<AccountId>,
    /// The JIDs of `accounts` when the link was made: part of the routing key, so they never change.
    pub(super) ours: Aliases,
    /// The peer's JIDs, likewise.
    pub(super) theirs: Aliases,
    /// How many connections use the link.
    pub(super) streams: usize,
    /// The ping that was not answered yet.
    pub(super) ping: Option<SetId>,
    last_heard: Instant,
    rotation: Vec<Alias>,
    next: usize,
}

/// One of the peer's accounts.
#[derive(Debug)]
struct Alias {
    jid: FullJid,
    bounces: u32,
    held_until: Option<Instant>,
}

impl Alias {
    fn is_held(&self, now: Instant) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }
}

impl Link {
    pub(super) fn new(now: Instant, accounts: Vec<AccountId>, ours: Aliases, theirs: Aliases) -> Self {
        let rotation =
            theirs.iter().map(|jid| Alias { jid: jid.clone(), bounces: 0, held_until: None }).collect();
        Self { accounts, ours, theirs, streams: 0, ping: None, last_heard: now, rotation, next: 0 }
    }

    /// The alias whose turn it is (section 4a v), passing over those that bounce.
    pub(super) fn next_alias(&mut self, now: Instant) -> Option<FullJid> {
        let count = self.rotation.len();
        let turn = (0..count).map(|n| (self.next + n) % count).find(|&n| !self.rotation[n].is_held(now))?;
        self.next = (turn + 1) % count;
        Some(self.rotation[turn].jid.clone())
    }

    /// When the first of the resting aliases may be tried again.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.rotation.iter().filter_map(|alias| alias.held_until).min()
    }

    pub(super) fn on_heard(&mut self, now: Instant, from: &FullJid) {
        self.last_heard = now;
        if let Some(alias) = self.rotation.iter_mut().find(|alias| alias.jid == *from) {
            alias.bounces = 0;
            alias.held_until = None;
        }
    }

    /// The server says that nobody is there. It may only be on its way back from a reconnect.
    pub(super) fn on_bounce(&mut self, now: Instant, from: &FullJid) {
        let Some(alias) = self.rotation.iter_mut().find(|alias| alias.jid == *from) else { return };
        if alias.is_held(now) {
            return; // one of several that were on their way together
        }
        let hold = FIRST_HOLD.saturating_mul(1 << alias.bounces.min(8)).min(LONGEST_HOLD);
        alias.bounces += 1;
        alias.held_until = Some(now + hold);
    }

    pub(super) fn last_heard(&self) -> Instant {
        self.last_heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(resource: &str) -> FullJid {
        FullJid::new(&format!("bob@x/{resource}")).unwrap()
    }

    fn link(now: Instant) -> Link {
        let ours = Aliases::new([FullJid::new("alice@x/r").unwrap()]).unwrap();
        Link::new(now, vec![AccountId(0)], ours, Aliases::new(["1", "2", "3"].map(jid)).unwrap())
    }

    #[test]
    fn aliases_take_turns() {
        let now = Instant::now();
        let mut link = link(now);
        let turns: Vec<_> = (0..4).filter_map(|_| link.next_alias(now)).collect();
        assert_eq!(turns, ["1", "2", "3", "1"].map(jid));
    }

    #[test]
    fn an_alias_that_bounced_rests_longer_each_time_and_is_forgiven_when_heard() {
        let now = Instant::now();
        let mut link = link(now);
        link.on_bounce(now, &jid("1"));
        link.on_bounce(now, &jid("1"));
        assert_eq!(link.next_alias(now), Some(jid("2")));
        let later = now + FIRST_HOLD;
        assert_eq!(link.next_release(), Some(later));
        link.on_bounce(later, &jid("1"));
        assert_eq!(link.next_release(), Some(later + 2 * FIRST_HOLD));
        link.on_heard(later, &jid("1"));
        assert_eq!(link.next_release(), None);
    }

    #[test]
    fn with_every_alias_resting_there_is_nobody_to_send_to() {
        let now = Instant::now();
        let mut link = link(now);
        for resource in ["1", "2", "3"] {
            link.on_bounce(now, &jid(resource));
        }
        assert_eq!(link.next_alias(now), None);
        assert!(link.next_alias(now + FIRST_HOLD).is_some());
    }
}
