//! Known faults of an account: those that the log has of it, so that each is said once. Pure.
//!
//! A domain may have two servers that fail in two ways, one at each attempt in turn: there each way is said once, and not whenever it is
//! another than the last.

use crate::xmpp::AccountError;

/// 8 are known at most: as many ways to fail in turn as somebody may read of.
const MOST: usize = 8;

/// What was said before something else is said again when it comes 3 times in a row: then it has not only taken its turn.
const STAYS: u32 = 3;

/// What was said since the account was online.
#[derive(Debug, Default)]
pub(super) struct KnownFaults {
    /// The latest at the end.
    said: Vec<AccountError>,
    /// Whether nothing was said since the latest.
    is_last_word: bool,
    /// What happened last, and how often in a row.
    latest: Option<(AccountError, u32)>,
}

impl KnownFaults {
    /// This has happened. Tells whether it is news.
    pub(super) fn note(&mut self, fault: &AccountError) -> bool {
        let times = self.times_in_a_row(fault);
        self.latest = Some((fault.clone(), times));
        let place = self.said.iter().position(|said| said == fault);
        if place.is_some_and(|place| self.is_last_word(place) || times < STAYS) {
            return false;
        }
        self.said.retain(|said| said != fault);
        self.said.push(fault.clone());
        self.said.drain(..self.said.len().saturating_sub(MOST));
        self.is_last_word = true;
        true
    }

    fn times_in_a_row(&self, fault: &AccountError) -> u32 {
        let before = self.latest.as_ref().filter(|(latest, _)| latest == fault);
        before.map_or(1, |(_, times)| times.saturating_add(1))
    }

    fn is_last_word(&self, place: usize) -> bool {
        self.is_last_word && place + 1 == self.said.len()
    }

    /// The account is online. What is wrong where its server sends it stays known: the server may let it in and send it away without end.
    pub(super) fn handle_online(&mut self) {
        self.said.retain(|said| matches!(said, AccountError::Elsewhere(_)));
        self.is_last_word = false;
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
        let mut known = KnownFaults::default();
        faults.iter().map(|fault| known.note(fault)).collect()
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
        let mut known = KnownFaults::default();
        assert!(known.note(&Refused));
        known.handle_online();
        assert!(known.note(&Refused));
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
        faults.iter().for_each(|fault| assert!(known.note(fault)));
        assert_eq!(known.said.len(), MOST);
    }
}
