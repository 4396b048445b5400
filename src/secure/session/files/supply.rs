//! Supply of slots: how many a client asks its server for, and when.
//!
//! A slot is asked for when more waits than those that there are will carry, or twice as much once a file has come whole. It begins with one at a time, takes one more for each file that
//! came whole, and goes back to one after any that did not. So it is asked ahead while bulk goes on, and hardly any slot is wasted when it ends.
//! For a minute after a file that came whole, one slot is kept for what comes next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::secure::crypto::entropy::Entropy;
use crate::secure::crypto::file::FileSize;
use crate::secure::session::files::{MOST_UNDER_WAY, SLOT_LIFE};
use crate::secure::shared::uploads::allowance::Allowance;
use crate::secure::shared::uploads::bucket::Bucket;

/// For 1 minute after a file that came whole a slot is kept ready, and used by what somebody who reads fetches next: it does not wait for the
/// three ways of WAITING, the server's answer and SLOT.
const KEPT_READY: Duration = Duration::from_secs(60);

/// The one that is kept ready is of 64 KiB: as much as comes at once where nobody has said how much waits.
const READY: Bucket = Bucket::Small;

/// How far a slot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The server is asked for it.
    Asked,
    /// It can be used.
    Ready,
    /// There is a file in it.
    Filled,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    size: FileSize,
    stage: Stage,
    since: Instant,
}

/// The slots of one direction of a session.
#[derive(Debug)]
pub(crate) struct Supply {
    /// Bytes that wait to be carried.
    waiting: usize,
    slots: BTreeMap<u64, Slot>,
    /// How many files may be under way.
    window: usize,
    /// When a file came whole last.
    last_whole: Option<Instant>,
}

impl Supply {
    /// One without slots.
    pub(crate) fn new() -> Self {
        Self { waiting: 0, slots: BTreeMap::new(), window: 1, last_whole: None }
    }

    /// So much waits now that is in no file.
    pub(crate) fn set_waiting(&mut self, bytes: usize) {
        self.waiting = bytes;
    }

    /// Whether one more would be of use.
    pub(crate) fn wants_slot(&self, now: Instant) -> bool {
        // Beside those that are under way, one is kept ready once there is a reason to believe that it will be of use.
        let has_room = self.slots.len() < self.window + usize::from(self.window > 1);
        has_room && self.wanted(now) >= Bucket::least_of_all()
    }

    /// How much the next slot should carry, in bytes.
    fn wanted(&self, now: Instant) -> usize {
        let is_used = self.last_whole.is_some_and(|last| now < last + KEPT_READY);
        let is_any_left = self.slots.values().any(|slot| slot.stage != Stage::Filled);
        let ready = if is_used && !is_any_left { READY.least() } else { 0 };
        self.uncovered().max(ready)
    }

    /// The next slot to ask the server for: the number of the file, which is counted up, and its size.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        next_number: &mut u64,
        allowance: &mut Allowance,
        entropy: &mut dyn Entropy,
    ) -> Option<(u64, FileSize)> {
        if !self.wants_slot(now) {
            return None;
        }
        let size = allowance.bucket(now, self.wanted(now))?.draw(entropy);
        allowance.take(now, size);
        let number = *next_number;
        *next_number += 1;
        self.slots.insert(number, Slot { size, stage: Stage::Asked, since: now });
        Some((number, size))
    }

    /// The server has given this slot; its size, if it was asked for.
    pub(crate) fn on_slot(&mut self, now: Instant, number: u64) -> Option<FileSize> {
        let slot = self.slots.get_mut(&number).filter(|slot| slot.stage == Stage::Asked)?;
        (slot.stage, slot.since) = (Stage::Ready, now);
        Some(slot.size)
    }

    /// The size of this slot, if it is not over.
    pub(crate) fn size(&self, number: u64) -> Option<FileSize> {
        self.slots.get(&number).map(|slot| slot.size)
    }

    /// There is a file in this slot; its size, if that can be.
    pub(crate) fn on_filled(&mut self, number: u64) -> Option<FileSize> {
        let slot = self.slots.get_mut(&number).filter(|slot| slot.stage == Stage::Ready)?;
        slot.stage = Stage::Filled;
        Some(slot.size)
    }

    /// This slot is over, with a file that has come whole or without.
    pub(crate) fn on_over(&mut self, now: Instant, number: u64, is_whole: bool) {
        if self.slots.remove(&number).is_some() {
            self.last_whole = is_whole.then_some(now);
            self.window = if is_whole { (self.window + 1).min(MOST_UNDER_WAY) } else { 1 };
        }
    }

    /// Nobody needs these slots any more: forgets those that were not filled, and says whether each was given.
    pub(crate) fn drop_unfilled(&mut self, is_it: impl Fn(u64) -> bool) -> Vec<(u64, bool)> {
        let unfilled = |number: &u64, slot: &mut Slot| slot.stage != Stage::Filled && is_it(*number);
        let dropped = self.slots.extract_if(.., unfilled);
        let dropped = dropped.map(|(number, slot)| (number, slot.stage == Stage::Ready)).collect();
        self.window = 1;
        dropped
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.slots.values().map(|slot| slot.since + SLOT_LIFE).min()
    }

    /// Forgets slots that cannot be used any more, and says which.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<u64> {
        self.slots.extract_if(.., |_, slot| slot.since + SLOT_LIFE <= now).map(|(number, _)| number).collect()
    }

    /// What waits and has no slot yet. Of what comes in bursts one is being put while the next one comes, and nobody hears of that before it was.
    fn uncovered(&self) -> usize {
        let bursts = if self.window > 1 { 2 } else { 1 };
        let empty = self.slots.values().filter(|slot| slot.stage != Stage::Filled);
        self.waiting.saturating_mul(bursts).saturating_sub(empty.map(|slot| slot.size.bytes()).sum())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;
    use crate::secure::crypto::entropy::testing::Seeded;
    use crate::secure::shared::uploads::allowance::Trouble;

    const MUCH: usize = 100 << 20;

    struct World {
        supply: Supply,
        allowance: Allowance,
        next_number: u64,
        now: Instant,
    }

    impl World {
        fn new(waiting: usize) -> Self {
            let mut supply = Supply::new();
            supply.set_waiting(waiting);
            Self { supply, allowance: Allowance::new(usize::MAX, None), next_number: 0, now: Instant::now() }
        }

        /// The slots that are asked for now.
        fn asked(&mut self) -> Vec<(u64, Bucket)> {
            let World { supply, allowance, next_number, now } = self;
            let entropy = &mut Seeded(1);
            let asked = std::iter::from_fn(|| supply.poll(*now, next_number, allowance, entropy));
            asked.map(|(number, size)| (number, Bucket::of(size))).collect()
        }

        /// This slot is given, filled, and its file comes.
        fn come(&mut self, number: u64, is_whole: bool) {
            assert!(self.supply.on_slot(self.now, number).is_some());
            assert!(self.supply.on_filled(number).is_some());
            self.supply.on_over(self.now, number, is_whole);
        }
    }

    #[test]
    fn nothing_is_asked_for_before_enough_waits_and_then_what_fits() {
        assert!(World::new(4095).asked().is_empty());
        assert_eq!(World::new(4096).asked(), [(0, Bucket::Tiny)]);
        assert_eq!(World::new(32_768).asked(), [(0, Bucket::Small)]);
        assert_eq!(World::new(200_000).asked(), [(0, Bucket::Medium)]);
        assert_eq!(World::new(MUCH).asked(), [(0, Bucket::Large)]);
    }

    #[test]
    fn there_is_one_at_a_time_until_files_come_whole_and_again_after_one_that_did_not() {
        let mut world = World::new(MUCH);
        assert_eq!(world.asked().len(), 1);
        let (mut open, mut counts) = (vec![0], Vec::new());
        for _ in 0..5 {
            world.come(open.remove(0), true);
            open.extend(world.asked().into_iter().map(|(number, _)| number));
            counts.push(open.len());
        }
        assert_eq!(counts, [3, 4, 5, 5, 5], "one more than are under way");
        world.come(open.remove(0), false);
        while let Some(number) = open.pop() {
            assert!(world.asked().is_empty());
            world.supply.on_over(world.now, number, false);
        }
        assert_eq!(world.asked().len(), 1);
    }

    #[test]
    fn slots_are_asked_for_as_far_as_those_that_there_are_do_not_reach_for_what_waits_and_comes_next() {
        let mut world = World::new(MUCH);
        world.asked();
        world.come(0, true);
        world.supply.set_waiting(534_288);
        let asked = world.asked();
        assert_eq!(asked[0], (1, Bucket::Large), "{asked:?}");
        assert!(asked.iter().skip(1).all(|(_, bucket)| *bucket <= Bucket::Medium), "{asked:?}");
        world.supply.set_waiting(0);
        assert!(world.asked().is_empty());
    }

    #[test]
    fn one_is_kept_ready_for_a_minute_after_a_file_that_came_whole() {
        let mut world = World::new(MUCH);
        world.asked();
        world.supply.set_waiting(0);
        world.come(0, true);
        assert_eq!(world.asked(), [(1, READY)]);
        assert!(world.asked().is_empty(), "one is enough");
        world.come(1, true);
        world.now += KEPT_READY;
        assert!(world.asked().is_empty());
    }

    #[test]
    fn a_slot_goes_its_way_once() {
        let mut world = World::new(MUCH);
        world.asked();
        assert!(world.supply.on_filled(0).is_none(), "it was not given yet");
        assert!(world.supply.on_slot(world.now, 1).is_none(), "it was not asked for");
        assert!(world.supply.on_slot(world.now, 0).is_some() && world.supply.on_slot(world.now, 0).is_none());
        assert!(world.supply.on_filled(0).is_some() && world.supply.on_filled(0).is_none());
    }

    #[test]
    fn a_slot_that_nobody_uses_is_forgotten_in_time() {
        let mut world = World::new(MUCH);
        world.asked();
        let at = world.supply.next_timeout().unwrap();
        assert_eq!(at, world.now + SLOT_LIFE);
        assert!(world.supply.handle_timeout(at - SLOT_LIFE / 2).is_empty());
        assert_eq!(world.supply.handle_timeout(at), [0]);
        assert_eq!((world.supply.next_timeout(), world.asked().len()), (None, 1));
    }

    #[test]
    fn an_account_that_may_not_upload_asks_for_nothing() {
        let mut world = World::new(MUCH);
        world.allowance.on_trouble(world.now, Trouble::MayPass);
        assert!(world.asked().is_empty());
    }
}
