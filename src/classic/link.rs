//! Link: our accounts and a peer's, and what is known of the connection between them.
//!
//! All connections between the same two sets of accounts share one link: the rotation over the peer's
//! aliases, which of them bounce at the moment, and whether the peer is alive at all.
//!
//! The aliases are what the peer says they are, and could be anybody's. So an alias gets packets only once it has spoken this
//! protocol with us. Before that it is tried with one small packet: who answers is one of the peer's, and who returns
//! it gets nothing more.

use std::time::{Duration, Instant};

use xmpp_parsers::jid::FullJid;

use crate::classic::api::SetId;
use crate::classic::stanza::Aliases;
use crate::protocol::AccountId;

/// After this long without a word from the peer it is asked for one, and again as often.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(15);

/// How long an alias rests after its first bounce in a row; then twice as long each time.
const FIRST_HOLD: Duration = Duration::from_millis(500);
const LONGEST_HOLD: Duration = Duration::from_secs(4);

/// How long an alias that is tried may take to answer before the next one is tried: as long as a packet waits to be sent
/// again.
const TRIAL: Duration = Duration::from_secs(20);
/// When so many aliases have not answered, no other is tried: a peer has rarely more accounts that are offline.
const MOST_FAILED: usize = 4;

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
    standing: Standing,
    bounces: u32,
    held_until: Option<Instant>,
}

/// What an alias has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing: the peer has named it.
    Named,
    /// Nothing yet, since it was sent its one packet.
    Tried(Instant),
    /// It has spoken the protocol.
    Known,
    /// It returned the packet.
    Out,
}

/// Where the next packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipient {
    pub(super) alias: FullJid,
    /// Whether it has not spoken yet, so that the packet has to be a small one.
    pub(super) is_trial: bool,
}

impl Alias {
    fn new(jid: FullJid) -> Self {
        Self { jid, standing: Standing::Named, bounces: 0, held_until: None }
    }

    fn is_held(&self, now: Instant) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }

    /// Whether it may get anything.
    fn is_usable(&self, now: Instant) -> bool {
        self.standing == Standing::Known && !self.is_held(now)
    }

    /// Whether its answer may still come.
    fn is_on_trial(&self, now: Instant) -> bool {
        matches!(self.standing, Standing::Tried(since) if now < since + TRIAL)
    }

    fn has_failed(&self, now: Instant) -> bool {
        match self.standing {
            Standing::Tried(_) => !self.is_on_trial(now),
            Standing::Out => true,
            Standing::Named | Standing::Known => false,
        }
    }
}

impl Link {
    pub(super) fn new(now: Instant, accounts: Vec<AccountId>, ours: Aliases, theirs: Aliases) -> Self {
        let rotation = theirs.iter().cloned().map(Alias::new).collect();
        Self { accounts, ours, theirs, streams: 0, ping: None, last_heard: now, rotation, next: 0 }
    }

    /// The alias whose turn it is (section 4a v), passing over those that bounce. `may_try`: whether one that has not spoken
    /// yet will do; [`on_tried`](Self::on_tried) follows then.
    pub(super) fn next_recipient(&mut self, now: Instant, may_try: bool) -> Option<Recipient> {
        let tries = may_try && self.may_try_another(now);
        let count = self.rotation.len();
        let turn = (0..count).map(|n| (self.next + n) % count).find(|&n| {
            let alias = &self.rotation[n];
            alias.is_usable(now) || tries && alias.standing == Standing::Named
        })?;
        self.next = (turn + 1) % count;
        let alias = &self.rotation[turn];
        Some(Recipient { alias: alias.jid.clone(), is_trial: alias.standing == Standing::Named })
    }

    /// The alias whose turn it is, of those that have spoken.
    pub(super) fn next_alias(&mut self, now: Instant) -> Option<FullJid> {
        self.next_recipient(now, false).map(|recipient| recipient.alias)
    }

    fn may_try_another(&self, now: Instant) -> bool {
        let failed = self.rotation.iter().filter(|alias| alias.has_failed(now)).count();
        failed < MOST_FAILED && !self.rotation.iter().any(|alias| alias.is_on_trial(now))
    }

    /// An alias that has not spoken was sent a packet.
    pub(super) fn on_tried(&mut self, now: Instant, alias: &FullJid) {
        if let Some(alias) = self.rotation.iter_mut().find(|other| other.jid == *alias) {
            alias.standing = Standing::Tried(now);
        }
    }

    /// The aliases that have spoken.
    pub(super) fn known_aliases(&self) -> Vec<FullJid> {
        let known = self.rotation.iter().filter(|alias| alias.standing == Standing::Known);
        known.map(|alias| alias.jid.clone()).collect()
    }

    /// When the first of the resting aliases may be tried again.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.rotation.iter().filter_map(|alias| alias.held_until).min()
    }

    /// An alias has spoken the protocol with us: it wants what we send.
    pub(super) fn on_spoken(&mut self, now: Instant, from: &FullJid) {
        self.on_heard(now, from);
        if let Some(alias) = self.rotation.iter_mut().find(|alias| alias.jid == *from) {
            alias.standing = Standing::Known;
        }
    }

    /// An alias is alive.
    pub(super) fn on_heard(&mut self, now: Instant, from: &FullJid) {
        self.last_heard = now;
        if let Some(alias) = self.rotation.iter_mut().find(|alias| alias.jid == *from) {
            alias.bounces = 0;
            alias.held_until = None;
        }
    }

    /// A packet came back. Whoever has spoken may only be on its way back from a reconnect.
    pub(super) fn on_bounce(&mut self, now: Instant, from: &FullJid) {
        let Some(alias) = self.rotation.iter_mut().find(|alias| alias.jid == *from) else { return };
        if alias.standing != Standing::Known {
            alias.standing = Standing::Out;
            return;
        }
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

    fn aliases(count: usize) -> Vec<FullJid> {
        (1..=count).map(|n| jid(&n.to_string())).collect()
    }

    /// With a peer that has named so many aliases.
    fn new_link(now: Instant, count: usize) -> Link {
        let ours = Aliases::new([FullJid::new("alice@x/r").unwrap()]).unwrap();
        Link::new(now, vec![AccountId(0)], ours, Aliases::new(aliases(count)).unwrap())
    }

    /// With three aliases that have all spoken.
    fn link(now: Instant) -> Link {
        let mut link = new_link(now, 3);
        aliases(3).iter().for_each(|alias| link.on_spoken(now, alias));
        link
    }

    /// Who gets the next packets, if each that may be tried is.
    fn packets(link: &mut Link, now: Instant, count: usize) -> Vec<FullJid> {
        let next = |link: &mut Link| {
            let recipient = link.next_recipient(now, true)?;
            if recipient.is_trial {
                link.on_tried(now, &recipient.alias);
            }
            Some(recipient.alias)
        };
        (0..count).filter_map(|_| next(link)).collect()
    }

    #[test]
    fn aliases_take_turns() {
        let now = Instant::now();
        let mut link = link(now);
        let turns: Vec<_> = (0..4).filter_map(|_| link.next_alias(now)).collect();
        assert_eq!(turns, ["1", "2", "3", "1"].map(jid));
    }

    #[test]
    fn an_alias_that_has_not_spoken_gets_one_packet_and_no_second_one_before_its_answer() {
        let now = Instant::now();
        let mut link = new_link(now, 2);
        link.on_spoken(now, &jid("1"));
        assert_eq!(packets(&mut link, now, 6), ["1", "2", "1", "1", "1", "1"].map(jid));
        link.on_spoken(now, &jid("2"));
        assert_eq!(packets(&mut link, now, 4).iter().filter(|alias| **alias == jid("2")).count(), 2);
    }

    #[test]
    fn an_answer_to_a_ping_is_no_wish_to_get_packets() {
        let now = Instant::now();
        let mut link = new_link(now, 2);
        link.on_spoken(now, &jid("1"));
        packets(&mut link, now, 2);
        link.on_heard(now, &jid("2"));
        assert_eq!(packets(&mut link, now, 3), ["1", "1", "1"].map(jid));
        assert_eq!(link.next_alias(now), Some(jid("1")), "and neither is one asked");
    }

    #[test]
    fn an_alias_that_returns_its_first_packet_is_out_until_it_speaks() {
        let now = Instant::now();
        let mut link = new_link(now, 2);
        link.on_spoken(now, &jid("1"));
        packets(&mut link, now, 2);
        link.on_bounce(now, &jid("2"));
        let much_later = now + Duration::from_secs(3600);
        assert_eq!(packets(&mut link, much_later, 3), ["1", "1", "1"].map(jid));
        assert_eq!(link.known_aliases(), [jid("1")]);
        link.on_spoken(much_later, &jid("2"));
        assert_eq!(packets(&mut link, much_later, 2).len(), 2);
        assert_eq!(link.known_aliases(), ["1", "2"].map(jid));
    }

    #[test]
    fn of_many_aliases_only_a_few_are_tried_in_vain() {
        let mut now = Instant::now();
        let mut link = new_link(now, 60);
        link.on_spoken(now, &jid("1"));
        let mut tried = 0;
        for round in 0..100 {
            now += TRIAL;
            for alias in packets(&mut link, now, 10).into_iter().filter(|alias| *alias != jid("1")) {
                tried += 1;
                if round % 2 == 0 {
                    link.on_bounce(now, &alias);
                }
            }
        }
        assert_eq!(tried, MOST_FAILED);
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
