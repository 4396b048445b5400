//! Quotas: how much each account may send in a day.
//!
//! A leaky bucket for each account, whichever of its logins sends (RFC 2697 has the same with colours): what goes fills it, and it empties
//! within a day. So no day begins at midnight, and nobody is cut off for the rest of one: who has sent all sends as fast as the bucket
//! empties. Answers count as well, and are never held up: they are what somebody else's bytes call for.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use xmpp_parsers::jid::BareJid;

use crate::protocol::AccountId;
use crate::secure::api::QuotaUse;
use crate::secure::tuning::LOW_QUOTA;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The quotas of all accounts that have one.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    quotas: BTreeMap<BareJid, Quota>,
    /// Whose quota each login uses.
    names: BTreeMap<AccountId, BareJid>,
    news: VecDeque<QuotaUse>,
}

/// What an account has to keep to whose quota is used up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restraint {
    /// Whether a small block may go now.
    pub(crate) may_send: bool,
    /// How fast that comes in again, in bytes on the wire a second.
    pub(crate) rate: f64,
}

/// How much one account may send, in bytes on the wire.
#[derive(Debug)]
struct Quota {
    daily: f64,
    /// What is in the bucket at that time; a block may make it more than `daily`.
    used: f64,
    at: Instant,
    /// What was told last, in hundredths.
    told: u8,
    /// What was traced last, in tenths.
    traced: u8,
}

impl Quota {
    fn new(now: Instant, daily: u64, used: u64) -> Self {
        Self { daily: daily.max(1) as f64, used: used as f64, at: now, told: 0, traced: 0 }
    }

    /// Bytes a second.
    fn rate(&self) -> f64 {
        self.daily / DAY.as_secs_f64()
    }

    fn percent(&self) -> u8 {
        (self.used * 100.0 / self.daily) as u8
    }

    /// Which part of it is used at this time.
    fn part_used(&self, now: Instant) -> f64 {
        let emptied = self.rate() * now.saturating_duration_since(self.at).as_secs_f64();
        (self.used - emptied).max(0.0) / self.daily
    }

    fn is_spent(&self) -> bool {
        self.used >= self.daily
    }

    fn update(&mut self, now: Instant) {
        let emptied = self.rate() * now.saturating_duration_since(self.at).as_secs_f64();
        (self.used, self.at) = ((self.used - emptied).max(0.0), now);
        // What goes up and down by less is told once.
        if self.percent() + 1 < self.told {
            self.told = self.percent();
        }
    }

    /// So much goes; true when that is a hundredth more than was told.
    fn on_sent(&mut self, now: Instant, bytes: usize) -> bool {
        self.update(now);
        self.used += bytes as f64;
        let is_news = self.percent() > self.told;
        self.told = self.told.max(self.percent());
        is_news
    }

    /// What is used, in hundredths, when that is another tenth than when this was asked last.
    fn poll_tenth(&mut self) -> Option<u8> {
        let percent = self.percent();
        let before = std::mem::replace(&mut self.traced, percent / 10);
        (percent / 10 > before).then_some(percent)
    }

    fn told_of(&self, account: AccountId, name: &BareJid) -> QuotaUse {
        QuotaUse { account, name: name.clone(), percent: self.percent(), bytes: self.used as u64 }
    }

    /// When a spent one is spent no longer.
    fn free_at(&self) -> Option<Instant> {
        let over = self.is_spent().then(|| (self.used - self.daily) / self.rate())?;
        Some(self.at + Duration::from_secs_f64(over) + Duration::from_millis(1))
    }
}

impl Quotas {
    /// What goes by this login counts for the account of that name, which may send so much in a day and has sent so much of it.
    pub(crate) fn set(&mut self, now: Instant, id: AccountId, name: BareJid, (daily, used): (u64, u64)) {
        // Another login of the account knows better.
        self.quotas.entry(name.clone()).or_insert_with(|| Quota::new(now, daily, used));
        self.names.insert(id, name);
    }

    /// A login is gone for good. The quota of an account without any is told and forgotten.
    pub(crate) fn remove(&mut self, id: AccountId) {
        let Some(name) = self.names.remove(&id) else { return };
        if !self.names.values().any(|other| *other == name) {
            let quota = self.quotas.remove(&name);
            self.news.extend(quota.map(|quota| quota.told_of(id, &name)));
        }
    }

    /// So many bytes on the wire go by a login.
    pub(crate) fn on_sent(&mut self, now: Instant, id: AccountId, bytes: usize) {
        let Some(name) = self.names.get(&id) else { return };
        if let Some(quota) = self.quotas.get_mut(name)
            && quota.on_sent(now, bytes)
        {
            self.news.push_back(quota.told_of(id, name));
        }
    }

    /// The next account that has used a hundredth more of its quota.
    pub(crate) fn poll_news(&mut self) -> Option<QuotaUse> {
        self.news.pop_front()
    }

    /// Tells what all accounts have used.
    pub(crate) fn tell_all(&mut self) {
        for (id, name) in &self.names {
            self.news.extend(self.quotas.get(name).map(|quota| quota.told_of(*id, name)));
        }
    }

    /// Of the account that has used most of its quota, which part that is.
    pub(crate) fn most_used(&self, now: Instant) -> Option<f64> {
        self.quotas.values().map(|quota| quota.part_used(now)).reduce(f64::max)
    }

    /// What the account of a login has used, in hundredths, when that is another tenth than when this was asked last of any of its logins.
    pub(crate) fn poll_tenth(&mut self, id: AccountId) -> Option<u8> {
        self.quotas.get_mut(self.names.get(&id)?)?.poll_tenth()
    }

    /// What an account has to keep to that has sent all, or all but what a large block takes.
    pub(crate) fn restraint(&self, id: AccountId) -> Option<Restraint> {
        let quota = self.quotas.get(self.names.get(&id)?)?;
        let is_low = quota.used + LOW_QUOTA as f64 > quota.daily;
        is_low.then(|| Restraint { may_send: !quota.is_spent(), rate: quota.rate() })
    }

    /// When the first account that has sent all may send again.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.quotas.values().filter_map(Quota::free_at).min()
    }

    /// The logins of accounts that may send again now.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<AccountId> {
        let is_free = |quota: &mut Quota| {
            quota.update(now);
            !quota.is_spent()
        };
        let spent = self.quotas.iter_mut().filter(|(_, quota)| quota.is_spent());
        let free: Vec<BareJid> =
            spent.filter_map(|(name, quota)| is_free(quota).then(|| name.clone())).collect();
        self.names.iter().filter(|(_, name)| free.contains(name)).map(|(id, _)| *id).collect()
    }
}
