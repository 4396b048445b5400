//! Cap and expiry of the logins that only requests bring: how many there may be, and how long each stays after its last
//! use. Pure.
//!
//! Everybody on this machine can send a request with a login of his own to the SOCKS port. If each stayed, whoever wants to
//! could have this process connect to wherever he likes, any number of times, for as long as it runs; and what was taken
//! out of torrc would stay logged in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::xmpp::AccountId;

/// Bounds for logins that only requests have brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// How many there are at most.
    pub most: usize,
    /// How long one stays that nothing uses.
    pub idle: Duration,
}

impl Default for LoginLimits {
    /// 64, which are three for each of the bridges that a tor keeps busy, and then some; and ten minutes, in which a tor
    /// that is in use comes back.
    fn default() -> Self {
        Self { most: 64, idle: Duration::from_secs(600) }
    }
}

/// Who uses which of them.
#[derive(Debug)]
pub(super) struct Logins {
    limits: LoginLimits,
    logins: BTreeMap<AccountId, Login>,
}

#[derive(Debug)]
struct Login {
    users: usize,
    /// When the last user went.
    unused_since: Instant,
}

/// There would be too many, all of them in use. These are new and must go again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany(pub(super) Vec<AccountId>);

impl Logins {
    pub(super) fn new(limits: LoginLimits) -> Self {
        Self { limits, logins: BTreeMap::new() }
    }

    /// Somebody uses these. Says which others must go for it: those that were not used for longest.
    pub(super) fn take(&mut self, now: Instant, ids: &[AccountId]) -> Result<Vec<AccountId>, TooMany> {
        let new: Vec<AccountId> = ids.iter().copied().filter(|id| !self.logins.contains_key(id)).collect();
        for id in ids {
            self.logins.entry(*id).or_insert(Login { users: 0, unused_since: now }).users += 1;
        }
        let excess = self.logins.len().saturating_sub(self.limits.most);
        let mut unused = self.unused();
        if unused.len() < excess {
            self.give_back(now, ids);
            self.forget(&new);
            return Err(TooMany(new));
        }
        unused.truncate(excess);
        self.forget(&unused);
        Ok(unused)
    }

    /// Those that nobody uses, the longest unused first.
    fn unused(&self) -> Vec<AccountId> {
        let mut unused: Vec<_> = self.logins.iter().filter(|(_, login)| login.users == 0).collect();
        unused.sort_by_key(|(_, login)| login.unused_since);
        unused.into_iter().map(|(id, _)| *id).collect()
    }

    fn forget(&mut self, ids: &[AccountId]) {
        self.logins.retain(|id, _| !ids.contains(id));
    }

    /// One user of these is gone.
    pub(super) fn give_back(&mut self, now: Instant, ids: &[AccountId]) {
        for id in ids {
            if let Some(login) = self.logins.get_mut(id) {
                login.users = login.users.saturating_sub(1);
                login.unused_since = now;
            }
        }
    }

    /// When [`take_expired`](Self::take_expired) finds the next one.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let unused = self.logins.values().filter(|login| login.users == 0);
        unused.map(|login| login.unused_since + self.limits.idle).min()
    }

    /// Forgets those that were not used for too long, unless `stays` says otherwise: these are asked about again later.
    pub(super) fn take_expired(&mut self, now: Instant, stays: impl Fn(AccountId) -> bool) -> Vec<AccountId> {
        let mut expired = Vec::new();
        for (id, login) in &mut self.logins {
            if login.users > 0 || now < login.unused_since + self.limits.idle {
                continue;
            }
            if stays(*id) {
                login.unused_since = now;
            } else {
                expired.push(*id);
            }
        }
        self.forget(&expired);
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LoginLimits = LoginLimits { most: 4, idle: Duration::from_secs(600) };
    const SECOND: Duration = Duration::from_secs(1);

    fn id(n: u64) -> AccountId {
        AccountId(n)
    }

    #[test]
    fn a_login_goes_so_long_after_its_last_user() {
        let (mut logins, start) = (Logins::new(LIMITS), Instant::now());
        for _ in 0..2 {
            assert_eq!(logins.take(start, &[id(1)]), Ok(vec![]));
        }
        logins.give_back(start, &[id(1)]);
        assert_eq!(logins.next_expiry(), None, "somebody uses it");
        logins.give_back(start + SECOND, &[id(1)]);
        let due = start + SECOND + LIMITS.idle;
        assert_eq!(logins.next_expiry(), Some(due));
        assert_eq!(logins.take_expired(due - SECOND, |_| false), []);
        assert_eq!(logins.take_expired(due, |_| true), [], "there is a reason to keep it");
        assert_eq!(logins.next_expiry(), Some(due + LIMITS.idle));
        assert_eq!(logins.take_expired(due + LIMITS.idle, |_| false), [id(1)]);
        assert_eq!(logins.next_expiry(), None);
    }

    #[test]
    fn whoever_comes_back_in_time_keeps_it() {
        let (mut logins, start) = (Logins::new(LIMITS), Instant::now());
        logins.take(start, &[id(1)]).unwrap_or_default();
        logins.give_back(start, &[id(1)]);
        logins.take(start + LIMITS.idle - SECOND, &[id(1)]).unwrap_or_default();
        assert_eq!(logins.take_expired(start + 2 * LIMITS.idle, |_| false), []);
    }

    #[test]
    fn one_too_many_takes_the_place_of_the_one_that_was_unused_for_longest() {
        let (mut logins, start) = (Logins::new(LIMITS), Instant::now());
        for n in 1..=4 {
            assert_eq!(logins.take(start, &[id(n)]), Ok(vec![]));
        }
        logins.give_back(start + SECOND, &[id(3)]);
        logins.give_back(start + 2 * SECOND, &[id(2)]);
        assert_eq!(logins.take(start + 3 * SECOND, &[id(5), id(6)]), Ok(vec![id(3), id(2)]));
        assert_eq!(logins.take(start + 3 * SECOND, &[id(5)]), Ok(vec![]), "it is one of them already");
    }

    #[test]
    fn when_all_are_in_use_one_more_is_refused_and_leaves_no_trace() {
        let (mut logins, now) = (Logins::new(LIMITS), Instant::now());
        logins.take(now, &[id(1), id(2), id(3)]).unwrap_or_default();
        assert_eq!(logins.take(now, &[id(3), id(4), id(5)]), Err(TooMany(vec![id(4), id(5)])));
        assert_eq!(logins.logins.len(), 3);
        logins.give_back(now, &[id(3)]);
        assert!(logins.next_expiry().is_some(), "the one that was refused does not use the third any more");
    }
}
