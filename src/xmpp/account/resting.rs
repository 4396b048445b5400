//! Resting accounts: those that their servers have had too much of, by their bare JIDs, and until when they are left alone. All accounts
//! of a pool share the list.
//!
//! An account does not live for long where only requests have brought it. The next one with its name would insist, as far as the server
//! can see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use xmpp_parsers::jid::BareJid;

/// How many are remembered: 256, as many as are [distrusted](super::distrusted). The one whose rest ends first makes room.
const MOST: usize = 256;

/// The list. Clones share it.
#[derive(Clone, Default)]
pub(in crate::xmpp) struct Resting {
    until: Arc<Mutex<BTreeMap<BareJid, Instant>>>,
}

impl Resting {
    /// How long an account has to rest yet.
    pub(super) fn remaining(&self, jid: &BareJid, now: Instant) -> Option<Duration> {
        let until = *self.list().get(jid)?;
        until.checked_duration_since(now).filter(|remaining| !remaining.is_zero())
    }

    pub(super) fn insert(&self, jid: &BareJid, now: Instant, rest: Duration) {
        let mut list = self.list();
        list.retain(|_, until| *until > now);
        if list.len() >= MOST
            && let Some(first) = list.iter().min_by_key(|(_, until)| **until).map(|(jid, _)| jid.clone())
        {
            list.remove(&first);
        }
        list.insert(jid.clone(), now + rest);
    }

    fn list(&self) -> MutexGuard<'_, BTreeMap<BareJid, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn jid(number: usize) -> BareJid {
        format!("user{number}@chat.example").parse().unwrap()
    }

    #[test]
    fn an_account_rests_until_its_time_is_over_and_others_do_not() {
        let (resting, now) = (Resting::default(), Instant::now());
        resting.insert(&jid(1), now, 2 * HOUR);
        assert_eq!(resting.remaining(&jid(1), now + HOUR), Some(HOUR));
        assert_eq!(resting.remaining(&jid(1), now + 2 * HOUR), None);
        assert_eq!(resting.remaining(&jid(2), now), None);
    }

    #[test]
    fn the_list_has_an_end() {
        let (resting, now) = (Resting::default(), Instant::now());
        for number in 0..=MOST {
            resting.insert(&jid(number), now, HOUR + Duration::from_secs(number as u64));
        }
        assert_eq!(resting.list().len(), MOST);
        assert_eq!(resting.remaining(&jid(0), now), None);
        resting.insert(&jid(0), now + 3 * HOUR, HOUR);
        assert_eq!(resting.list().len(), 1, "whose time is over is forgotten");
    }
}
