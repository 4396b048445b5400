//! Allowance: how much an account may still upload today, and when its service is left alone.
//!
//! Every slot counts, used or not, because it does so at the server. It is the account's, whatever sessions use it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::secure::api::files::UploadService;
use crate::secure::crypto::file::FileSize;
use crate::secure::shared::uploads::bucket::Bucket;

/// How long a slot counts: 24 hours, as at Prosody.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The first rest after a fault that may pass: a minute.
const FIRST_REST: Duration = Duration::from_secs(60);

/// The longest such rest: an hour.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

/// Files that are lost in a row until that counts as a fault of the service: 3. One may have been deleted, or its slot have expired.
const LOST_IN_A_ROW: u32 = 3;

/// What went wrong with a slot or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// This file is lost, and others need not be.
    FileLost,
    /// A fault that may pass.
    MayPass,
    /// The service wants to be left alone for so long.
    Enough(Duration),
    /// Files may not be as large as this one, and no larger than so many bytes, where that is known.
    TooLarge(FileSize, Option<usize>),
    /// The service is of no use to this login.
    Useless,
}

/// What one account may upload.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// Bytes that may be asked for within 24 hours.
    daily: usize,
    /// When so many bytes were asked for, the oldest first.
    asked: VecDeque<(Instant, usize)>,
    /// The largest file, in bytes, if that is known.
    limit: Option<usize>,
    rests_until: Option<Instant>,
    is_useless: bool,
    /// How long the last rest was that was ours to choose.
    last_rest: Option<Duration>,
    lost_in_a_row: u32,
}

impl Allowance {
    /// So many bytes within 24 hours, in files of `limit` bytes at most, if there is a limit.
    pub(crate) fn new(daily: usize, limit: Option<usize>) -> Self {
        Self {
            daily,
            asked: VecDeque::new(),
            limit,
            rests_until: None,
            is_useless: false,
            last_rest: None,
            lost_in_a_row: 0,
        }
    }

    /// What an account may put at this service.
    pub(crate) fn of(now: Instant, service: &UploadService) -> Self {
        let mut allowance = Self::new(bytes(service.daily), None);
        if service.used > 0 {
            allowance.asked.push_back((now, bytes(service.used)));
        }
        allowance.limit_to(service.max_file.map_or(usize::MAX, bytes));
        allowance
    }

    /// The account has logged in anew, and this is its service.
    pub(crate) fn renew(&mut self, service: &UploadService) {
        (self.daily, self.limit, self.is_useless) = (bytes(service.daily), None, false);
        self.limit_to(service.max_file.map_or(usize::MAX, bytes));
    }

    /// How many bytes may be asked for now; 0 while the service is left alone.
    pub(crate) fn left(&self, now: Instant) -> usize {
        let rests = self.is_useless || self.rests_until.is_some_and(|until| now < until);
        if rests { 0 } else { self.daily.saturating_sub(self.used(now)) }
    }

    /// Which part was asked for of what may be asked for in a day; none where there is no bound.
    pub(crate) fn part_used(&self, now: Instant) -> Option<f64> {
        (self.daily < usize::MAX).then(|| self.used(now) as f64 / self.daily.max(1) as f64)
    }

    /// The largest bucket of which one more file may be asked for, that so much would fill.
    pub(crate) fn bucket(&self, now: Instant, waiting: usize) -> Option<Bucket> {
        let left = self.left(now);
        Bucket::filled_by(waiting, Some(self.limit.map_or(left, |limit| limit.min(left))))
    }

    /// A slot for a file of this size is asked for.
    pub(crate) fn take(&mut self, now: Instant, size: FileSize) {
        while self.asked.pop_front_if(|(at, _)| *at + DAY <= now).is_some() {}
        self.asked.push_back((now, size.bytes()));
    }

    /// A file has come whole.
    pub(crate) fn on_success(&mut self) {
        (self.last_rest, self.lost_in_a_row) = (None, 0);
    }

    /// Something went wrong.
    pub(crate) fn on_trouble(&mut self, now: Instant, trouble: Trouble) {
        match trouble {
            Trouble::FileLost => {
                self.lost_in_a_row += 1;
                if self.lost_in_a_row >= LOST_IN_A_ROW {
                    self.back_off(now);
                }
            }
            Trouble::MayPass => self.back_off(now),
            Trouble::Enough(rest) => self.rest(now, rest),
            Trouble::TooLarge(size, limit) => self.limit_to(limit.unwrap_or(size.bytes() - 1)),
            Trouble::Useless => self.is_useless = true,
        }
    }

    /// When there may be another slot, where that is a matter of time.
    #[cfg(test)]
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let rest = self.rests_until.filter(|until| now < *until);
        let room = self.asked.iter().map(|(at, _)| *at + DAY).find(|over| now < *over);
        if self.is_useless { None } else { rest.or(room) }
    }

    /// Whether the service is not to be asked any more.
    #[cfg(test)]
    pub(crate) fn is_useless(&self) -> bool {
        self.is_useless
    }

    fn used(&self, now: Instant) -> usize {
        self.asked.iter().filter(|(at, _)| now < *at + DAY).map(|(_, bytes)| bytes).sum()
    }

    fn back_off(&mut self, now: Instant) {
        let rest = self.last_rest.map_or(FIRST_REST, |last| (2 * last).min(LONGEST_REST));
        (self.last_rest, self.lost_in_a_row) = (Some(rest), 0);
        self.rest(now, rest);
    }

    fn rest(&mut self, now: Instant, rest: Duration) {
        self.rests_until = self.rests_until.max(Some(now + rest));
    }

    fn limit_to(&mut self, limit: usize) {
        self.limit = Some(self.limit.map_or(limit, |known| known.min(limit)));
        self.is_useless |= limit < Bucket::Tiny.capacity();
    }
}

/// As far as there are so many.
fn bytes(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;

    const MUCH: usize = usize::MAX;
    const HOUR: Duration = Duration::from_secs(3600);

    fn size(bytes: u64) -> FileSize {
        FileSize::new(bytes).unwrap()
    }

    /// With nothing but a daily bound.
    fn allowance(daily: usize) -> (Allowance, Instant) {
        (Allowance::new(daily, None), Instant::now())
    }

    #[test]
    fn every_slot_counts_for_a_day() {
        let (mut allowance, start) = allowance(1_400_000);
        assert_eq!(allowance.bucket(start, MUCH), Some(Bucket::Large));
        allowance.take(start, size(1_048_576));
        assert_eq!(allowance.bucket(start, MUCH), Some(Bucket::Medium));
        allowance.take(start + HOUR, size(262_144));
        assert_eq!(allowance.bucket(start + HOUR, MUCH), Some(Bucket::Small));
        allowance.take(start + HOUR, size(65_536));
        assert_eq!(allowance.bucket(start + 23 * HOUR, MUCH), Some(Bucket::Tiny), "23 kB are left");
        assert_eq!(allowance.next_timeout(start + 23 * HOUR), Some(start + 24 * HOUR));
        assert_eq!(allowance.bucket(start + 24 * HOUR, MUCH), Some(Bucket::Large));
        allowance.take(start + 26 * HOUR, size(65_536));
        assert_eq!(allowance.asked.len(), 1, "what does not count is forgotten");
    }

    #[test]
    fn a_limit_that_is_known_bounds_files_and_one_below_all_of_them_ends_it() {
        let start = Instant::now();
        let mut allowance = Allowance::new(MUCH, Some(1_048_575));
        assert_eq!(allowance.bucket(start, MUCH), Some(Bucket::Medium));
        allowance.on_trouble(start, Trouble::TooLarge(size(250_000), None));
        assert_eq!(allowance.bucket(start, MUCH), Some(Bucket::Small));
        allowance.on_trouble(start, Trouble::TooLarge(size(60_000), Some(10_000)));
        assert!(allowance.bucket(start, MUCH).is_none() && allowance.is_useless());
        assert_eq!(allowance.next_timeout(start), None);
    }

    #[test]
    fn a_fault_that_may_pass_is_a_rest_that_doubles_up_to_an_hour_until_a_file_has_come() {
        let (mut allowance, mut now) = allowance(MUCH);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            allowance.on_trouble(now, Trouble::MayPass);
            let until = now + Duration::from_secs(60 * minutes);
            assert_eq!(allowance.next_timeout(now), Some(until));
            assert!(allowance.bucket(until - Duration::from_secs(1), MUCH).is_none());
            assert!(allowance.bucket(until, MUCH).is_some());
            now = until;
        }
        allowance.on_success();
        allowance.on_trouble(now, Trouble::MayPass);
        assert_eq!(allowance.next_timeout(now), Some(now + FIRST_REST));
    }

    #[test]
    fn lost_files_are_a_fault_when_there_are_three_in_a_row() {
        let (mut allowance, now) = allowance(MUCH);
        for _ in 0..2 {
            allowance.on_trouble(now, Trouble::FileLost);
            allowance.on_trouble(now, Trouble::FileLost);
            assert!(allowance.bucket(now, MUCH).is_some());
            allowance.on_success();
        }
        (0..3).for_each(|_| allowance.on_trouble(now, Trouble::FileLost));
        assert!(allowance.bucket(now, MUCH).is_none());
    }

    #[test]
    fn a_service_that_has_had_enough_is_left_alone_for_as_long_as_it_wants() {
        let (mut allowance, now) = allowance(MUCH);
        allowance.on_trouble(now, Trouble::Enough(DAY));
        allowance.on_trouble(now, Trouble::MayPass);
        assert_eq!(allowance.next_timeout(now), Some(now + DAY), "a shorter rest does not end it");
        assert!(
            allowance.bucket(now + 23 * HOUR, MUCH).is_none() && allowance.bucket(now + DAY, MUCH).is_some()
        );
        allowance.on_trouble(now, Trouble::Useless);
        assert!(allowance.bucket(now + 100 * DAY, MUCH).is_none());
    }
}
