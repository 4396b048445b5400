//! Whose turn it is to send, where many want to and there is room for few.
//!
//! By how much each has sent, as in "Start-time Fair Queueing" (Goyal, Vin, Cheng, 1996): whoever is next began the earliest,
//! by a clock that counts the bytes of each by themselves. So everybody who always waits gets as many bytes as anybody else,
//! in blocks of whatever size, and whoever sends now and then goes before all those.

use std::collections::{BTreeMap, BTreeSet};

/// Those who wait for their turn, and what those have used up who are ahead of others.
#[derive(Debug)]
pub(super) struct Turns<K> {
    /// Where the one began who sent last. Whoever was away begins there: what was not used is not saved up.
    clock: u64,
    /// Where those begin who are ahead of the clock, ...
    begins: BTreeMap<K, u64>,
    /// ... and in order.
    ahead: BTreeSet<(u64, K)>,
    waiting: BTreeSet<(Place, K)>,
    places: BTreeMap<K, Place>,
}

/// Where one begins, and whether that is ahead of the clock: of those who begin at the same place the others go first.
type Place = (u64, bool);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            clock: 0,
            begins: BTreeMap::new(),
            ahead: BTreeSet::new(),
            waiting: BTreeSet::new(),
            places: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord> Turns<K> {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_waiting(&self, key: K) -> bool {
        self.places.contains_key(&key)
    }

    fn begin(&self, key: K) -> u64 {
        self.begins.get(&key).copied().unwrap_or_default().max(self.clock)
    }

    fn place(&self, key: K) -> Place {
        let begin = self.begin(key);
        (begin, begin > self.clock)
    }

    /// Whether nobody who waits comes before `key`.
    pub(super) fn is_next(&self, key: K) -> bool {
        self.waiting.first().is_none_or(|(place, _)| self.place(key) <= *place)
    }

    /// From now on `key` waits.
    pub(super) fn wait(&mut self, key: K) {
        self.leave(key);
        let place = self.place(key);
        self.waiting.insert((place, key));
        self.places.insert(key, place);
    }

    /// It does not wait any more.
    pub(super) fn leave(&mut self, key: K) {
        if let Some(place) = self.places.remove(&key) {
            self.waiting.remove(&(place, key));
        }
    }

    /// Takes out whoever is next.
    pub(super) fn pop(&mut self) -> Option<K> {
        let (_, key) = self.waiting.pop_first()?;
        self.places.remove(&key);
        Some(key)
    }

    /// It has sent so many bytes, in its turn or before.
    pub(super) fn on_sent(&mut self, key: K, bytes: usize) {
        let begin = self.begin(key);
        if let Some(before) = self.begins.insert(key, begin + bytes as u64) {
            self.ahead.remove(&(before, key));
        }
        self.ahead.insert((begin + bytes as u64, key));
        // Nobody who waits falls behind because somebody did not.
        let first = self.waiting.first().map_or(begin, |((waits, _), _)| begin.min(*waits));
        self.clock = first.max(self.clock);
        while let Some(&(begin, past)) = self.ahead.first().filter(|(begin, _)| *begin <= self.clock) {
            self.ahead.remove(&(begin, past));
            self.begins.remove(&past);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves whoever is next, who sends blocks of its size and always waits again; what each has sent.
    fn serve(turns: &mut Turns<u64>, sizes: &[usize], count: usize) -> Vec<usize> {
        let mut sent = vec![0; sizes.len()];
        (0..sizes.len() as u64).for_each(|key| turns.wait(key));
        for _ in 0..count {
            let key = turns.pop().unwrap();
            turns.on_sent(key, sizes[key as usize]);
            sent[key as usize] += sizes[key as usize];
            turns.wait(key);
        }
        sent
    }

    #[test]
    fn those_who_always_wait_get_the_same_bytes_in_blocks_of_any_size() {
        let sent = serve(&mut Turns::default(), &[100, 1000, 4000, 700], 10_000);
        let (most, least) = (sent.iter().max().unwrap(), sent.iter().min().unwrap());
        assert!(most - least <= 2 * 4000, "{sent:?}");
    }

    #[test]
    fn whoever_comes_now_and_then_goes_first() {
        let mut turns = Turns::default();
        serve(&mut turns, &[1000; 50], 500);
        turns.wait(77);
        assert!(turns.is_next(77));
        assert_eq!(turns.pop(), Some(77));
        turns.on_sent(77, 1000);
        turns.wait(77);
        assert_ne!(turns.pop(), Some(77), "but not twice");
    }

    #[test]
    fn whoever_was_away_has_saved_nothing_up() {
        let mut turns = Turns::default();
        serve(&mut turns, &[1000; 2], 1000);
        let before = serve(&mut turns, &[1000; 3], 300);
        assert!(before[2] <= 101_000, "{before:?}");
    }

    #[test]
    fn whoever_is_alone_is_next_and_pays_for_it_with_nothing() {
        let mut turns = Turns::default();
        for _ in 0..1000 {
            assert!(turns.is_next(1));
            turns.on_sent(1, 1000);
        }
        let sent = serve(&mut turns, &[1000; 2], 100);
        assert!(sent[0].abs_diff(sent[1]) <= 2000, "{sent:?}");
    }

    #[test]
    fn whoever_is_taken_out_is_next_even_if_others_have_sent_out_of_turn() {
        let mut turns = Turns::default();
        for n in 0..1000_u64 {
            turns.wait(n % 7);
            turns.on_sent(n % 11, 500 + (n % 13) as usize * 300);
            if n % 3 == 0 {
                let key = turns.pop().unwrap();
                assert!(turns.is_next(key), "{n}: {turns:?}");
                turns.wait(key);
            }
        }
    }

    #[test]
    fn nobody_is_remembered_for_longer_than_it_matters() {
        let mut turns = Turns::default();
        for key in 0..10_000 {
            turns.wait(key);
            turns.leave(key);
            turns.on_sent(key % 100, 1000);
        }
        for _ in 0..10 {
            turns.on_sent(5, 1000);
        }
        assert!(turns.begins.len() <= 2 && turns.ahead.len() <= 2 && turns.places.is_empty(), "{turns:?}");
    }
}
