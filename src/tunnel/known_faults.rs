//! Known faults of an account: those that the log has of it, so that each is said once. Pure.
//!
//! A domain may have two servers that fail in two ways, one at each attempt in turn: there each way is said once, and not whenever it is
//! another than the last.

use std::time::{Duration, Instant};

use crate::xmpp::AccountError;

/// 8 are known at most: as many ways to fail in turn as somebody may read of.
const MOST: usize = 8;

/// A fault that was said before another is said again when it comes 3 times in a row: then it does not only take turns with others.
const STAYS: u32 = 3;

/// A fault that lasts is said again after an hour: whoever looks at the end of a log sees that it is still there.
pub(crate) const AGAIN: Duration = Duration::from_secs(3600);

/// What was said since the account was online.
#[derive(Debug, Default)]
pub(super) struct KnownFaults {
    /// And when. The latest at the end.
    said: Vec<(AccountError, Instant)>,
    /// Whether the account was online since the latest was said.
    was_online: bool,
    /// What happened last, and how often in a row.
    latest: Option<(AccountError, u32)>,
}

impl KnownFaults {
    /// This has happened. Tells whether it is news.
    pub(super) fn note(&mut self, now: Instant, fault: &AccountError) -> bool {
        let times = self.times_in_a_row(fault);
        self.latest = Some((fault.clone(), times));
        let place = self.said.iter().position(|(said, _)| said == fault);
        let is_known = place.is_some_and(|place| self.was_said_last(place) || times < STAYS);
        if is_known && !place.is_some_and(|place| self.was_said_long_ago(now, place)) {
            return false;
        }
        self.said.retain(|(said, _)| said != fault);
        self.said.push((fault.clone(), now));
        self.said.drain(..self.said.len().saturating_sub(MOST));
        self.was_online = false;
        true
    }

    fn times_in_a_row(&self, fault: &AccountError) -> u32 {
        let before = self.latest.as_ref().filter(|(latest, _)| latest == fault);
        before.map_or(1, |(_, times)| times.saturating_add(1))
    }

    fn was_said_last(&self, place: usize) -> bool {
        !self.was_online && place + 1 == self.said.len()
    }

    fn was_said_long_ago(&self, now: Instant, place: usize) -> bool {
        self.said.get(place).is_some_and(|(_, at)| now.saturating_duration_since(*at) >= AGAIN)
    }

    /// The account is online. What is wrong where its server sends it stays known: the server may let it in and send it away without end.
    pub(super) fn handle_online(&mut self) {
        self.said.retain(|(said, _)| matches!(said, AccountError::Elsewhere(_)));
        self.was_online = true;
        self.latest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::Step;
    use AccountError::{CertificateExpired, Refused};

    /// Of these, which are said.
    fn said(faults: &[AccountError]) -> Vec<bool> {
        let (mut known, now) = (KnownFaults::default(), Instant::now());
        faults.iter().map(|fault| known.note(now, fault)).collect()
    }

    #[test]
    fn a_fault_that_stays_is_said_once_and_so_are_two_that_take_turns() {
        assert_eq!(said(&[Refused, Refused, Refused, Refused]), [true, false, false, false]);
        let turns = [Refused, CertificateExpired, Refused, CertificateExpired, Refused, CertificateExpired];
        assert_eq!(said(&turns), [true, true, false, false, false, false]);
    }

    #[test]
    fn a_fault_that_comes_back_and_stays_is_said_again_once() {
        let faults = [Refused, CertificateExpired, Refused, Refused, Refused, Refused];
        assert_eq!(said(&faults), [true, true, false, false, true, false]);
    }

    #[test]
    fn once_it_was_online_a_fault_is_news_again() {
        let (mut known, now) = (KnownFaults::default(), Instant::now());
        assert!(known.note(now, &Refused));
        known.handle_online();
        assert!(known.note(now, &Refused));
    }

    #[test]
    fn a_fault_that_lasts_is_said_again_every_hour() {
        let (mut known, start) = (KnownFaults::default(), Instant::now());
        let minutes = (0..=150).step_by(5);
        let said: Vec<_> =
            minutes.filter(|minute| known.note(start + Duration::from_secs(60 * minute), &Refused)).collect();
        assert_eq!(said, [0, 60, 120]);
    }

    #[test]
    fn faults_that_take_turns_for_hours_are_each_said_again_every_hour() {
        let (mut known, start) = (KnownFaults::default(), Instant::now());
        let turns = (0..=120_u64).step_by(2).zip([Refused, CertificateExpired].into_iter().cycle());
        let said =
            turns.filter(|(minute, fault)| known.note(start + Duration::from_secs(60 * minute), fault));
        let minutes: Vec<_> = said.map(|(minute, _)| minute).collect();
        assert_eq!(minutes, [0, 2, 60, 62, 120]);
    }

    #[test]
    fn who_fails_in_ever_new_ways_is_said_to() {
        let steps =
            [Step::Dial, Step::StartTls, Step::Tls, Step::Upgrade, Step::Stream, Step::Login, Step::Bind];
        let faults: Vec<_> = steps
            .iter()
            .flat_map(|step| [AccountError::TimedOut(*step), AccountError::Closed(*step)])
            .collect();
        assert!(said(&faults).iter().all(|is_said| *is_said));
        let mut known = KnownFaults::default();
        faults.iter().for_each(|fault| assert!(known.note(Instant::now(), fault)));
        assert_eq!(known.said.len(), MOST);
    }
}
