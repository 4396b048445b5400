//! Outgoing files: slots that can be used, and files that were made until the other end has them or not.
//!
//! What a packet of a file carries is on its way until the other end says how many packets have arrived, or says nothing for too long. Then it
//! goes again, as what a packet of a path has carried does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::secure::crypto::file::{FileId, FileSealer, FileSize, FilesKey};
use crate::secure::crypto::keys::Side;
use crate::secure::session::counters::Counters;
use crate::secure::session::files::{NUMBER_RANGES, SLOT_LIFE};
use crate::secure::session::flight::Verdict;
use crate::secure::shared::uploads::bucket::Bucket;

/// Slots that are kept, at most: 16. A client whose window is 4 has no more.
const MOST_SLOTS: usize = 16;

/// No file is waited for longer than 7 seconds, nor is one of unknown pace: what it carries has to come by another way within ten. One of the
/// smallest that takes longer is no faster than a stock server's stanzas.
const MOST_PATIENCE: Duration = Duration::from_secs(7);

/// Files take 3 times as long as usual now and then: their services serve others, too.
const USUAL_TIMES: u32 = 3;

/// However fast files usually are, one is given 4 seconds: a lost segment of a TCP handshake alone takes three.
const LEAST_PATIENCE: Duration = Duration::from_secs(4);

/// Whoever fetches a file that is given up says within 1.5 seconds how much of it has come: a round trip by a path that carries no bulk.
/// Without that all of it would go again, at a stock server for a quarter of a minute before anything new.
const LAST_WORD: Duration = Duration::from_millis(1500);

/// While fewer than 2 files are under way, one more is made of whatever waits: one at a time leaves a third of the time unused.
const FEW: usize = 2;

/// A slot that has waited for 1 second for enough to fill half of it is used for less: it counts against the quota in any case.
const SLOT_PATIENCE: Duration = Duration::from_secs(1);

/// Slots that were on their way when a service turned out to be of no use arrive within 10 seconds, and are not used: what was in a file that
/// was lost would wait for another one.
const REST: Duration = Duration::from_secs(10);

/// Paths wait for files for 3 seconds at most: what is in a file that is lost comes by paths within ten.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// A slot that was not used yet.
#[derive(Clone, Copy, Debug)]
struct Slot {
    size: FileSize,
    since: Instant,
}

/// A file that was begun.
#[derive(Debug)]
struct File<T> {
    size: FileSize,
    since: Instant,
    /// Bytes that waited and are in it.
    content: usize,
    /// When it is given up if it was not heard of, or is lost if it is given up.
    until: Instant,
    /// Nobody is to fetch it any more, and whoever does is asked how much has come.
    is_given_up: bool,
    /// Its content is kept until it was put.
    is_kept: bool,
    /// Whoever is to fetch it was told that it is there, or will be at once.
    is_told: bool,
    /// What its packets carry, in their order.
    cargo: Vec<T>,
}

/// The files of one direction, at the end that makes them. `T` is what one packet carries.
#[derive(Debug)]
pub(crate) struct Outgoing<T> {
    key: FilesKey,
    side: Side,
    /// The numbers that were offered: a file is made once, because its key is for one content.
    numbers: Counters,
    slots: BTreeMap<u64, Slot>,
    files: BTreeMap<u64, File<T>>,
    /// Until when slots that are offered are not taken.
    rests_until: Option<Instant>,
    /// How long whole files of each bucket have taken, smoothed.
    times: BTreeMap<Bucket, Duration>,
}

impl<T> Outgoing<T> {
    /// For files that this side makes.
    pub(crate) fn new(key: FilesKey, side: Side) -> Self {
        Self {
            key,
            side,
            numbers: Counters::new(NUMBER_RANGES),
            slots: BTreeMap::new(),
            files: BTreeMap::new(),
            rests_until: None,
            times: BTreeMap::new(),
        }
    }

    /// There is a slot for this file. Whether that is new: its frame may have been sent twice. Of a peer's slots only so many are kept.
    pub(crate) fn on_slot(&mut self, now: Instant, number: u64, size: FileSize) -> bool {
        let rests = self.rests_until.is_some_and(|until| now < until);
        let is_taken = !rests && self.slots.len() < MOST_SLOTS && self.numbers.insert(number);
        if is_taken {
            self.slots.insert(number, Slot { size, since: now });
        }
        is_taken
    }

    /// Whether there is a slot for this file that was not used.
    pub(crate) fn has_slot(&self, number: u64) -> bool {
        self.slots.contains_key(&number)
    }

    /// The file that so much should fill. The largest that it is enough for, and of two the one whose slot is older; or the smallest
    /// there is, if hardly any file is under way or that slot has waited for long.
    pub(crate) fn best(&self, now: Instant, waiting: usize) -> Option<(u64, FileSize)> {
        let least = Bucket::least_of_all();
        let usable = self.slots.iter().filter(|(_, slot)| Bucket::of(slot.size).least() <= waiting);
        let fitting = usable.rev().max_by_key(|(_, slot)| Bucket::of(slot.size));
        let is_due = |slot: &Slot| self.files.len() < FEW || slot.since + SLOT_PATIENCE <= now;
        let due = self.slots.iter().filter(|(_, slot)| waiting >= least && is_due(slot));
        fitting.or_else(|| due.min_by_key(|(_, slot)| slot.size)).map(|(number, slot)| (*number, slot.size))
    }

    /// Begins a file with as much of what waits as it holds. Its slot is used up by that.
    pub(crate) fn begin(&mut self, now: Instant, number: u64, waiting: usize) -> Option<FileSealer> {
        let Slot { size, .. } = self.slots.remove(&number)?;
        let until = now + self.patience(Bucket::of(size));
        let file = File {
            size,
            since: now,
            content: waiting.min(size.bytes()),
            until,
            is_given_up: false,
            is_kept: true,
            is_told: false,
            cargo: Vec::new(),
        };
        self.files.insert(number, file);
        Some(FileSealer::new(&self.key, FileId { sender: self.side, number, size }))
    }

    /// The next packet of a file carries this.
    pub(crate) fn carry(&mut self, number: u64, cargo: T) {
        if let Some(file) = self.files.get_mut(&number) {
            file.cargo.push(cargo);
        }
    }

    /// Whoever is to fetch a file is to be told of it now; false where he was before.
    pub(crate) fn tell(&mut self, number: u64) -> bool {
        self.files.get_mut(&number).is_some_and(|file| !std::mem::replace(&mut file.is_told, true))
    }

    /// A file was put, and its content is needed no more.
    pub(crate) fn on_put(&mut self, number: u64) {
        if let Some(file) = self.files.get_mut(&number) {
            file.is_kept = false;
        }
    }

    /// This slot is of no use any more.
    pub(crate) fn forget_slot(&mut self, number: u64) {
        self.slots.remove(&number);
    }

    /// The service is of no use for now: neither are slots that were not used, and those that come within the next seconds.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.slots.clear();
        self.rests_until = Some(now + REST);
    }

    /// The other end is done with a file, or we are: so many of its packets have arrived.
    pub(crate) fn on_over(&mut self, now: Instant, number: u64, packets: u64) -> Verdict<T> {
        self.slots.remove(&number);
        let Some(file) = self.files.remove(&number) else { return Verdict::default() };
        let packets = usize::try_from(packets).unwrap_or(usize::MAX);
        if packets >= file.size.packets() {
            self.note_time(Bucket::of(file.size), now.saturating_duration_since(file.since));
        }
        let mut arrived = file.cargo;
        let lost = arrived.split_off(packets.min(arrived.len()));
        Verdict { arrived, lost }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let slots = self.slots.values().map(|slot| slot.since + SLOT_LIFE);
        slots.chain(self.files.values().map(|file| file.until)).min()
    }

    /// Forgets slots that cannot be used any more, and gives up files that were not heard of: their numbers, and what is lost by that.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> (Vec<u64>, Vec<T>) {
        self.slots.retain(|_, slot| now < slot.since + SLOT_LIFE);
        let mut given_up = Vec::new();
        let late = self.files.iter_mut().filter(|(_, file)| file.until <= now && !file.is_given_up);
        for (number, file) in late {
            given_up.push(*number);
            file.is_given_up = true;
            // One that nobody was told of is fetched by nobody.
            file.until = if file.is_told { now + LAST_WORD } else { now };
        }
        let lost = self.files.extract_if(.., |_, file| file.until <= now);
        (given_up, lost.flat_map(|(_, file)| file.cargo).collect())
    }

    /// How many files were begun and are not over.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.files.len()
    }

    /// Bytes of files that were begun and are not over, and of those that can be.
    pub(crate) fn bytes(&self) -> usize {
        let slots = self.slots.values().map(|slot| slot.size.bytes());
        slots.chain(self.files.values().map(|file| file.size.bytes())).sum()
    }

    /// Bytes that are on their way in files.
    pub(crate) fn content(&self) -> usize {
        self.files.values().map(|file| file.content).sum()
    }

    /// Bytes of files that are kept until they were put.
    pub(crate) fn kept(&self) -> usize {
        self.files.values().filter(|file| file.is_kept).map(|file| file.size.bytes()).sum()
    }

    /// Until when those that were begun are worth waiting for: for twice as long as they should take. None where there are none.
    pub(crate) fn expected_until(&self) -> Option<Instant> {
        let until = |file: &File<T>| {
            let usual = self.expected(Bucket::of(file.size)).unwrap_or(LONGEST_WAIT);
            file.since + (2 * usual).min(LONGEST_WAIT)
        };
        self.files.values().map(until).max()
    }

    /// How long a file may take before it is lost.
    fn patience(&self, bucket: Bucket) -> Duration {
        let usual = self.expected(bucket);
        usual.map_or(MOST_PATIENCE, |time| (USUAL_TIMES * time).clamp(LEAST_PATIENCE, MOST_PATIENCE))
    }

    /// How long a file of this bucket will take. One that is larger than any that has come takes longer by as much.
    pub(crate) fn expected(&self, bucket: Bucket) -> Option<Duration> {
        let larger = self.times.range(bucket..).next().map(|(_, time)| *time);
        let smaller = || {
            let (known, time) = self.times.range(..bucket).next_back()?;
            u32::try_from(bucket.capacity() / known.capacity()).ok().map(|times| *time * times)
        };
        larger.or_else(smaller)
    }

    /// Smoothed as round trips are (RFC 6298).
    fn note_time(&mut self, bucket: Bucket, took: Duration) {
        self.times.entry(bucket).and_modify(|time| *time = (7 * *time + took) / 8).or_insert(took);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;
    use crate::secure::crypto::secret::Secret;

    const SECOND: Duration = Duration::from_secs(1);

    fn outgoing() -> (Outgoing<u32>, Instant) {
        (Outgoing::new(FilesKey(Secret::new([1; 32])), Side::Bridge), Instant::now())
    }

    fn size(bytes: u64) -> FileSize {
        FileSize::new(bytes).unwrap()
    }

    /// A file with three packets, of which each carries its number.
    fn begun(outgoing: &mut Outgoing<u32>, now: Instant, number: u64) {
        outgoing.on_slot(now, number, size(49_152));
        assert!(outgoing.begin(now, number, 40_000).is_some());
        (0..3).for_each(|packet| outgoing.carry(number, packet));
    }

    #[test]
    fn the_largest_file_that_is_filled_is_made_and_of_two_the_older() {
        let (mut outgoing, now) = outgoing();
        for (number, bytes) in [(3, 65_536), (5, 1_048_576), (7, 60_000), (9, 1_000_000)] {
            outgoing.on_slot(now, number, size(bytes));
        }
        let best = |after, waiting| outgoing.best(now + after, waiting).map(|(number, _)| number);
        let soon = SECOND / 2;
        assert_eq!(
            [4095, 32_768, 524_287, 524_288].map(|waiting| best(soon, waiting)),
            [None, Some(3), Some(3), Some(5)]
        );
    }

    #[test]
    fn a_large_slot_that_nothing_fills_is_used_for_less_after_a_while() {
        let (mut outgoing, now) = outgoing();
        (2..4).for_each(|number| begun(&mut outgoing, now, number));
        outgoing.on_slot(now, 1, size(1_048_576));
        assert_eq!(outgoing.best(now + SECOND / 2, 40_000), None);
        assert_eq!(outgoing.best(now + SECOND, 40_000), Some((1, size(1_048_576))));
        assert_eq!(outgoing.best(now + SECOND, 4095), None);
        outgoing.on_over(now, 2, 3);
        assert_eq!(
            outgoing.best(now, 40_000),
            Some((1, size(1_048_576))),
            "hardly anything else is under way"
        );
    }

    #[test]
    fn a_slot_is_used_once_however_often_it_is_offered() {
        let (mut outgoing, now) = outgoing();
        begun(&mut outgoing, now, 4);
        outgoing.on_slot(now, 4, size(49_152));
        assert!(outgoing.best(now, usize::MAX).is_none() && outgoing.begin(now, 4, 40_000).is_none());
        outgoing.on_over(now, 4, 3);
        outgoing.on_slot(now, 4, size(49_152));
        assert!(outgoing.best(now, usize::MAX).is_none(), "its key has been used");
    }

    #[test]
    fn what_was_in_packets_that_have_not_arrived_is_lost_and_the_rest_is_not() {
        for (packets, arrived) in [(0, 0), (1, 1), (3, 3), (u64::MAX, 3)] {
            let (mut outgoing, now) = outgoing();
            begun(&mut outgoing, now, 4);
            let verdict = outgoing.on_over(now, 4, packets);
            assert_eq!(verdict.arrived, (0..arrived).collect::<Vec<_>>());
            assert_eq!(verdict.lost, (arrived..3).collect::<Vec<_>>());
            assert_eq!(outgoing.on_over(now, 4, 3), Verdict::default(), "it was over");
        }
    }

    #[test]
    fn a_peer_that_offers_slots_without_end_is_not_remembered_by_all_of_them() {
        let (mut outgoing, now) = outgoing();
        assert_eq!(
            (0..100).filter(|number| outgoing.on_slot(now, *number, size(49_152))).count(),
            MOST_SLOTS
        );
        outgoing.begin(now, 0, 40_000);
        assert!(outgoing.on_slot(now, 100, size(49_152)) && !outgoing.has_slot(0));
    }

    #[test]
    fn a_file_that_is_not_heard_of_is_lost_before_its_bytes_are_overdue() {
        let (mut outgoing, now) = outgoing();
        begun(&mut outgoing, now, 4);
        outgoing.on_slot(now, 5, size(49_152));
        let lost = now + MOST_PATIENCE;
        assert_eq!(outgoing.next_timeout(), Some(lost));
        assert_eq!(outgoing.handle_timeout(lost - SECOND), (vec![], vec![]));
        assert_eq!(outgoing.handle_timeout(lost), (vec![4], vec![0, 1, 2]));
        assert_eq!((outgoing.under_way(), outgoing.next_timeout()), (0, Some(now + SLOT_LIFE)));
        outgoing.handle_timeout(now + SLOT_LIFE);
        assert_eq!((outgoing.best(now, usize::MAX), outgoing.next_timeout()), (None, None));
    }

    #[test]
    fn a_file_is_lost_when_it_takes_three_times_as_long_as_usual() {
        for (usual, patience) in [(SECOND / 10, 4), (2 * SECOND, 6), (7 * SECOND, 7)] {
            let (mut outgoing, now) = outgoing();
            begun(&mut outgoing, now, 4);
            outgoing.on_over(now + usual, 4, 3);
            begun(&mut outgoing, now, 5);
            assert_eq!(outgoing.next_timeout(), Some(now + patience * SECOND));
        }
    }

    #[test]
    fn of_a_file_that_is_given_up_what_had_come_is_not_lost_if_whoever_fetches_it_says_so_in_time() {
        for says_so in [true, false] {
            let (mut outgoing, now) = outgoing();
            begun(&mut outgoing, now, 4);
            assert!(outgoing.tell(4) && !outgoing.tell(4));
            let given_up = now + MOST_PATIENCE;
            assert_eq!(outgoing.handle_timeout(given_up), (vec![4], vec![]));
            assert_eq!(outgoing.next_timeout(), Some(given_up + LAST_WORD));
            if says_so {
                assert_eq!(outgoing.on_over(given_up, 4, 2), Verdict { arrived: vec![0, 1], lost: vec![2] });
            } else {
                assert_eq!(outgoing.handle_timeout(given_up + LAST_WORD), (vec![], vec![0, 1, 2]));
            }
        }
    }

    #[test]
    fn a_file_is_kept_until_it_was_put() {
        let (mut outgoing, now) = outgoing();
        begun(&mut outgoing, now, 4);
        outgoing.on_slot(now, 5, size(60_000));
        assert_eq!((outgoing.kept(), outgoing.bytes()), (49_152, 109_152));
        outgoing.on_put(4);
        assert_eq!((outgoing.kept(), outgoing.bytes()), (0, 109_152));
        outgoing.on_over(now, 4, 3);
        outgoing.rest(now);
        assert_eq!(outgoing.bytes(), 0);
    }

    #[test]
    fn slots_of_a_service_that_rests_are_not_taken_for_a_while() {
        let (mut outgoing, now) = outgoing();
        outgoing.rest(now);
        assert!(!outgoing.on_slot(now + REST - SECOND, 4, size(49_152)));
        assert!(outgoing.on_slot(now + REST, 5, size(49_152)));
    }

    #[test]
    fn a_slot_that_is_over_before_it_was_used_is_not_used() {
        let (mut outgoing, now) = outgoing();
        outgoing.on_slot(now, 4, size(49_152));
        outgoing.on_over(now, 4, 0);
        assert!(outgoing.begin(now, 4, 40_000).is_none());
    }

    #[test]
    fn how_long_a_file_takes_is_learned_from_those_that_came_whole() {
        let (mut outgoing, now) = outgoing();
        let expected = |outgoing: &Outgoing<u32>| Bucket::ALL.map(|bucket| outgoing.expected(bucket));
        begun(&mut outgoing, now, 0);
        outgoing.on_over(now + 9 * SECOND, 0, 2);
        assert_eq!(expected(&outgoing), [None; 4]);
        begun(&mut outgoing, now, 1);
        outgoing.on_over(now + SECOND, 1, 3);
        assert_eq!(expected(&outgoing), [1, 1, 4, 16].map(|seconds| Some(seconds * SECOND)));
        outgoing.on_slot(now, 2, size(1_048_576));
        outgoing.begin(now, 2, 40_000);
        outgoing.on_over(now + 2 * SECOND, 2, 64);
        assert_eq!(expected(&outgoing), [1, 1, 2, 2].map(|seconds| Some(seconds * SECOND)));
        begun(&mut outgoing, now, 3);
        outgoing.on_over(now + 9 * SECOND, 3, 3);
        assert_eq!(outgoing.expected(Bucket::Small), Some(2 * SECOND));
    }
}
