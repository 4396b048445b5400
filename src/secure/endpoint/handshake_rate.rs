//! Handshakes in a minute: how many are taken from one account, from one domain group, and from all.
//!
//! Shares follow the dynamic threshold of Choudhury and Hahne (1998): each domain group may take as much as is still
//! free, and each of its accounts a fraction of what is left of that. So one alone gets half of the minute, several share it, and
//! there is something left for whoever comes next. Who was a client lately has a reserve beside that, which groups share likewise.

use std::collections::BTreeMap;

use xmpp_parsers::jid::BareJid;

use crate::secure::budget::domain_group::group_of;
use crate::secure::budget::fair_share;

/// The limits of one minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandshakeLimits {
    /// Handshakes from one account.
    pub(crate) per_jid: usize,
    /// Handshakes from all accounts, the reserve aside.
    pub(crate) total: usize,
}

/// Handshakes a minute that one known account may take from the reserve: one, and one more because it failed.
const RESERVED_EACH: usize = 2;

/// The reserve is a fourth of the total: a flood of newcomers keeps nobody out who was in before.
const RESERVE: usize = 4;

/// What was taken in this minute.
#[derive(Debug, Default)]
pub(crate) struct HandshakeRate {
    minute: u64,
    open: Taken,
    /// From the reserve.
    reserved: Taken,
    by_client: BTreeMap<BareJid, usize>,
}

/// What was taken of one whole.
#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_group: BTreeMap<String, usize>,
}

impl Taken {
    fn add(&mut self, client: &BareJid) {
        self.total += 1;
        *self.by_group.entry(group_of(client).to_owned()).or_default() += 1;
    }

    /// How much of the `whole` is left to the group of `client`: what is free, less what the group has.
    fn left_to(&self, client: &BareJid, whole: usize) -> usize {
        let of_group = self.by_group.get(group_of(client)).copied().unwrap_or(0);
        fair_share::below_threshold(whole, self.total, of_group)
    }
}

impl HandshakeRate {
    /// Whether another handshake of `client` is taken in this minute; then it counts.
    pub(crate) fn admit(
        &mut self,
        minute: u64,
        client: &BareJid,
        is_known: bool,
        limits: HandshakeLimits,
    ) -> bool {
        self.begin(minute);
        let own = self.by_client.get(client).copied().unwrap_or(0);
        if own >= limits.per_jid {
            return false;
        }
        if self.has_share(client, own, limits) {
            self.open.add(client);
        } else if is_known
            && own < RESERVED_EACH
            && self.reserved.left_to(client, limits.total.div_ceil(RESERVE)) > 0
        {
            self.reserved.add(client);
        } else {
            return false;
        }
        self.by_client.insert(client.clone(), own + 1);
        true
    }

    /// No other handshake of `client` is taken in this minute.
    pub(crate) fn use_up(&mut self, minute: u64, client: BareJid) {
        self.begin(minute);
        self.by_client.insert(client, usize::MAX);
    }

    fn begin(&mut self, minute: u64) {
        if self.minute != minute {
            *self = Self { minute, ..Self::default() };
        }
    }

    /// Whether the account's share is not used up. The fraction is such that one account alone gets all that it may have.
    fn has_share(&self, client: &BareJid, own: usize, limits: HandshakeLimits) -> bool {
        let fraction = (limits.total / limits.per_jid).saturating_sub(2).max(1);
        own.saturating_mul(fraction) < self.open.left_to(client, limits.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HandshakeLimits = HandshakeLimits { per_jid: 20, total: 600 };

    fn jid(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    /// How many of `times` handshakes are taken from each of `clients`, who ask in turn.
    fn taken(rate: &mut HandshakeRate, times: usize, clients: &[String]) -> Vec<usize> {
        let mut taken = vec![0; clients.len()];
        for _ in 0..times {
            for (client, taken) in clients.iter().zip(&mut taken) {
                *taken += usize::from(rate.admit(1, &jid(client), false, LIMITS));
            }
        }
        taken
    }

    fn accounts(count: usize, domain: &str) -> Vec<String> {
        (0..count).map(|n| format!("a{n}@{domain}")).collect()
    }

    #[test]
    fn one_account_gets_its_limit_and_in_the_next_minute_again() {
        let mut rate = HandshakeRate::default();
        for minute in [1, 2] {
            let taken = (0..100).filter(|_| rate.admit(minute, &jid("a@x"), false, LIMITS)).count();
            assert_eq!(taken, LIMITS.per_jid);
        }
    }

    #[test]
    fn who_has_used_up_a_minute_comes_in_in_the_next() {
        let mut rate = HandshakeRate::default();
        assert!(rate.admit(1, &jid("a@x"), false, LIMITS));
        rate.use_up(2, jid("a@x"));
        assert!(!rate.admit(2, &jid("a@x"), true, LIMITS) && rate.admit(2, &jid("b@x"), false, LIMITS));
        assert!(rate.admit(3, &jid("a@x"), false, LIMITS));
    }

    #[test]
    fn accounts_of_one_domain_or_of_its_subdomains_leave_half_of_the_minute_to_others() {
        let subdomains = (0..1000).map(|n| format!("a@d{n}.hoarder.example")).collect();
        for hoarders in [accounts(1000, "hoarder.example"), subdomains] {
            let mut rate = HandshakeRate::default();
            assert_eq!(taken(&mut rate, 20, &hoarders).iter().sum::<usize>(), LIMITS.total / 2);
            let others: usize = taken(&mut rate, 1, &accounts(1000, "chat.example")).iter().sum();
            assert_eq!(others, LIMITS.total / 4);
        }
    }

    #[test]
    fn thirty_accounts_that_ask_all_the_time_leave_room_for_newcomers_of_their_own_domain() {
        let mut rate = HandshakeRate::default();
        let hoarders = taken(&mut rate, 60, &accounts(30, "chat.example"));
        assert!(hoarders.iter().all(|taken| (6..=8).contains(taken)), "{hoarders:?}");
        assert!(rate.admit(1, &jid("newcomer@chat.example"), false, LIMITS));
    }

    #[test]
    fn all_together_get_no_more_than_the_total() {
        let mut rate = HandshakeRate::default();
        let clients: Vec<String> = (0..5000).map(|n| format!("a{n}@d{n}")).collect();
        assert_eq!(taken(&mut rate, 3, &clients).iter().sum::<usize>(), LIMITS.total);
    }

    #[test]
    fn who_is_known_comes_in_when_nobody_else_does_until_its_groups_part_of_the_reserve_is_used_up() {
        let mut rate = HandshakeRate::default();
        let clients: Vec<String> = (0..1000).map(|n| format!("a{n}@d{n}")).collect();
        taken(&mut rate, 1, &clients);
        assert!(!rate.admit(1, &jid("b@chat.example"), false, LIMITS));
        let mut from_known =
            |client: &str| (0..10).filter(|_| rate.admit(1, &jid(client), true, LIMITS)).count();
        assert_eq!(from_known("b@chat.example"), RESERVED_EACH);
        let (reserve, crowd) = (LIMITS.total / RESERVE, accounts(500, "known.example"));
        let others: usize = crowd.iter().map(|client| from_known(client)).sum();
        assert_eq!(others, (reserve - RESERVED_EACH) / 2);
        assert_eq!(from_known("c@chat.example"), RESERVED_EACH);
        let all: usize = clients.iter().map(|client| from_known(client)).sum();
        assert!(others + 2 * RESERVED_EACH + all <= reserve);
    }

    #[test]
    fn small_limits_are_limits_too() {
        let mut rate = HandshakeRate::default();
        let limits = HandshakeLimits { per_jid: 1, total: 1 };
        assert!(rate.admit(1, &jid("a@x"), false, limits));
        assert!(!rate.admit(1, &jid("b@y"), false, limits));
        assert!(rate.admit(2, &jid("b@y"), false, limits));
    }
}
