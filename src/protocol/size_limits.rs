//! Size limits: how much each account's server takes in one stanza, as far as that is known. What gets from one server to another is learnt
//! in the same way.
//!
//! A server says how large a stanza it takes (XEP-0478), or it ends the stream over one that is too large, with the reason or without.
//! From what was answered it is known what it takes in any case; and every server takes stanzas of 10,000 bytes (RFC 6120
//! section 13.12). So what was not told is learnt by one connection that ends, or by two where no reason is given.
//!
//! A limit holds as long as the account: to try again whether the server takes more would end the connection, and what larger stanzas gain
//! is little. Only one that follows from a suspicion lapses. All sizes are those of what a stanza carries, which each protocol has a
//! [ladder](Ladder) of.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Every server takes stanzas of 10,000 bytes (RFC 6120 section 13.12): what nothing else is known of gets no less.
pub(crate) const EVERYBODY_TAKES: usize = 10_000;

/// Where a server says how large a stanza may be, 1 KiB is left for names that are longer than usual, and for what servers on the way
/// add.
const AROUND_BLOCK: usize = 1024;

/// Two connections in a row that end for no known reason, each with a larger block on its way than ever arrived, are blamed on the size.
/// One may have been cut by anything.
const SUSPICIONS: u32 = 2;

/// What was only suspected is believed for an hour: where connections are cut all the time, that costs one more in that time at the most.
pub(crate) const SUSPICION_LASTS: Duration = Duration::from_secs(3600);

/// The sizes to choose from, and what they make of a stanza.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    /// At least one, the smallest first.
    pub(crate) sizes: &'static [usize],
    /// How many bytes a stanza has on the wire that carries so much.
    pub(crate) on_wire: fn(usize) -> usize,
}

/// What a server has shown of the largest stanza that it takes from an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeLimit {
    /// It says that it takes no more bytes than this.
    Told(usize),
    /// It has ended the connection because of one that was too large.
    Exceeded,
    /// It has ended the connection, because of something that it does not allow.
    Likely,
    /// It, or something on the way to it, has ended the connection, and nobody knows why.
    Suspected,
}

/// The size limits of all accounts, or of whatever else the keys stand for.
#[derive(Debug)]
pub(crate) struct SizeLimits<K> {
    known: BTreeMap<K, Known>,
    /// How long what was only suspected is believed.
    suspicion_lasts: Duration,
}

/// What is known of one key. Sizes are those of what a stanza carries, in bytes.
#[derive(Debug, Default)]
struct Known {
    /// The largest that the server has taken.
    taken: usize,
    /// The largest that the server says it takes.
    told: Option<usize>,
    /// The largest that is sent, as far as that follows from connections that have ended.
    most: Option<usize>,
    /// How often in a row the connection has ended while larger blocks than any before were on their way.
    suspicions: u32,
    /// When the limit ends, if it follows from a suspicion.
    lapses: Option<Instant>,
}

impl<K: Clone + Ord> SizeLimits<K> {
    /// None. What is only suspected is believed for so long.
    pub(crate) fn new(suspicion_lasts: Duration) -> Self {
        Self { known: BTreeMap::new(), suspicion_lasts }
    }

    /// Whether nothing is known of any.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether something is known of this one.
    pub(crate) fn has(&self, id: &K) -> bool {
        self.known.contains_key(id)
    }

    /// The largest block of which there is no doubt.
    pub(crate) fn safe(&self, id: &K, ladder: Ladder) -> usize {
        self.known.get(id).map_or_else(|| Known::default().safe(ladder), |known| known.safe(ladder))
    }

    /// The largest block that may go by the account.
    pub(crate) fn get(&self, id: &K) -> usize {
        let known = self.known.get(id);
        known.and_then(|known| known.told.into_iter().chain(known.most).min()).unwrap_or(usize::MAX)
    }

    /// The largest that the server says it takes, if it has said so.
    pub(crate) fn told(&self, id: &K) -> Option<usize> {
        self.known.get(id).and_then(|known| known.told)
    }

    /// The server has taken a block of so many bytes, or none.
    pub(crate) fn on_taken(&mut self, now: Instant, id: K, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let known = self.known.entry(id).or_default();
        if bytes > known.taken {
            (known.taken, known.suspicions) = (bytes, 0);
        }
        let is_disproved = known.most.is_some_and(|most| bytes > most);
        if known.lapses.is_some_and(|at| at <= now || is_disproved) {
            (known.most, known.lapses) = (None, None);
        }
    }

    /// The server has shown something while the largest block on its way had so many bytes; none where nothing was.
    pub(crate) fn on_shown(
        &mut self,
        now: Instant,
        id: K,
        limit: SizeLimit,
        on_its_way: usize,
        ladder: Ladder,
    ) {
        let lapses = now + self.suspicion_lasts;
        let known = self.known.entry(id).or_default();
        match limit {
            SizeLimit::Told(bytes) => {
                let told = largest_within(bytes, ladder);
                known.told = Some(known.told.map_or(told, |before| before.min(told)));
            }
            SizeLimit::Exceeded => known.on_exceeded(on_its_way, ladder),
            _ if on_its_way <= known.safe(ladder) => {}
            SizeLimit::Likely => known.on_exceeded(on_its_way, ladder),
            SizeLimit::Suspected => known.on_suspected(lapses, on_its_way, ladder),
        }
    }

    /// The account is gone for good.
    pub(crate) fn remove(&mut self, id: &K) {
        self.known.remove(id);
    }

    /// Makes room for one more where so many are known: forgets one without a limit, or else the one whose limit lapses first. For limits
    /// that all follow from suspicions.
    pub(crate) fn make_room(&mut self, most: usize) {
        if self.known.len() >= most
            && let Some((id, _)) = self.known.iter().min_by_key(|(_, known)| known.lapses)
        {
            let id = id.clone();
            self.known.remove(&id);
        }
    }
}

impl Known {
    /// The largest block of which there is no doubt.
    fn safe(&self, ladder: Ladder) -> usize {
        self.taken.max(largest_within(EVERYBODY_TAKES, ladder))
    }

    /// A block was too large. If it was none that was larger than all before, the server takes less than it did, or has its own idea of
    /// what everybody takes.
    fn on_exceeded(&mut self, on_its_way: usize, ladder: Ladder) {
        let safe = self.safe(ladder);
        let smaller = ladder.sizes.iter().copied().rfind(|size| *size < on_its_way);
        let is_known_to_be_safe = (1..=safe).contains(&on_its_way);
        let most = if is_known_to_be_safe { smaller.unwrap_or(ladder.sizes[0]) } else { safe };
        *self = Self { taken: most, told: self.told, most: Some(most), ..Self::default() };
    }

    fn on_suspected(&mut self, lapses: Instant, on_its_way: usize, ladder: Ladder) {
        self.suspicions += 1;
        if self.suspicions >= SUSPICIONS {
            self.on_exceeded(on_its_way, ladder);
            // Once it is tried again, one more is enough.
            (self.lapses, self.suspicions) = (Some(lapses), SUSPICIONS - 1);
        }
    }
}

/// The largest size of which a block, and what is around it, fits into so many bytes; the smallest if none does.
fn largest_within(bytes: usize, ladder: Ladder) -> usize {
    let fits = |size: &usize| (ladder.on_wire)(*size) + AROUND_BLOCK <= bytes;
    ladder.sizes.iter().copied().rfind(fits).unwrap_or(ladder.sizes[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three bytes are encoded as four, with 220 around them.
    const LADDER: Ladder = Ladder {
        sizes: &[1024, 2048, 4096, 5856, 12_000, 24_288, 48_864],
        on_wire: |block| block.div_ceil(3) * 4 + 220,
    };

    const ID: u32 = 1;
    const LASTS: Duration = Duration::from_secs(3600);

    fn limits() -> SizeLimits<u32> {
        SizeLimits::new(LASTS)
    }

    fn shown(limits: &mut SizeLimits<u32>, limit: SizeLimit, on_its_way: usize) -> usize {
        limits.on_shown(Instant::now(), ID, limit, on_its_way, LADDER);
        limits.get(&ID)
    }

    #[test]
    fn what_a_server_says_holds_from_then_on_though_it_says_more_later() {
        let mut limits = limits();
        assert_eq!(limits.get(&ID), usize::MAX);
        let told = [262_144, 40_000, 10_000, 4096, 100, 262_144].map(SizeLimit::Told);
        let sizes = told.map(|told| shown(&mut limits, told, 0));
        assert_eq!(sizes, [48_864, 24_288, 5856, 2048, 1024, 1024]);
        limits.remove(&ID);
        assert_eq!(limits.get(&ID), usize::MAX);
    }

    #[test]
    fn one_refusal_leads_to_what_the_server_has_taken_before() {
        let mut limits = limits();
        limits.on_taken(Instant::now(), ID, 24_288);
        limits.on_taken(Instant::now(), ID, 1024);
        assert_eq!(shown(&mut limits, SizeLimit::Exceeded, 48_864), 24_288);
    }

    #[test]
    fn one_refusal_of_a_server_that_has_taken_little_leads_to_what_every_server_takes() {
        let mut limits = limits();
        limits.on_taken(Instant::now(), ID, 4096);
        assert_eq!(shown(&mut limits, SizeLimit::Exceeded, 48_864), 5856);
    }

    #[test]
    fn a_server_that_takes_less_than_it_did_or_than_it_must_gets_less_each_time() {
        let mut limits = limits();
        limits.on_taken(Instant::now(), ID, 24_288);
        let sizes = [24_288, 12_000, 5856, 4096, 2048, 1024, 1024]
            .map(|on_its_way| shown(&mut limits, SizeLimit::Exceeded, on_its_way));
        assert_eq!(sizes, [12_000, 5856, 4096, 2048, 1024, 1024, 1024]);
    }

    #[test]
    fn something_that_is_not_allowed_is_a_block_only_where_one_was_larger_than_ever() {
        let mut limits = limits();
        limits.on_taken(Instant::now(), ID, 12_000);
        assert_eq!(shown(&mut limits, SizeLimit::Likely, 12_000), usize::MAX);
        assert_eq!(shown(&mut limits, SizeLimit::Likely, 24_288), 12_000);
    }

    #[test]
    fn a_connection_that_ends_is_suspicious_twice_in_a_row_and_only_with_a_larger_block_than_ever_on_its_way()
    {
        let mut limits = limits();
        limits.on_taken(Instant::now(), ID, 12_000);
        let cut = SizeLimit::Suspected;
        for on_its_way in [0, 1024, 12_000, 24_288] {
            assert_eq!(shown(&mut limits, cut, on_its_way), usize::MAX, "{on_its_way}");
        }
        limits.on_taken(Instant::now(), ID, 24_288);
        assert_eq!(shown(&mut limits, cut, 48_864), usize::MAX, "it was not the size");
        assert_eq!(shown(&mut limits, cut, 48_864), 24_288);
    }

    #[test]
    fn what_was_only_suspected_is_tried_again_after_some_time() {
        let (mut limits, now) = (limits(), Instant::now());
        for _ in 0..SUSPICIONS {
            limits.on_shown(now, ID, SizeLimit::Suspected, 48_864, LADDER);
        }
        assert_eq!(limits.get(&ID), 5856);
        limits.on_taken(now + LASTS / 2, ID, 5856);
        assert_eq!(limits.get(&ID), 5856);
        limits.on_taken(now + LASTS, ID, 5856);
        assert_eq!(limits.get(&ID), usize::MAX);
        assert_eq!(shown(&mut limits, SizeLimit::Suspected, 24_288), 5856, "one more is enough");
    }

    #[test]
    fn for_another_one_that_is_forgotten_whose_limit_lapses_first_or_that_has_none() {
        let (mut limits, now) = (limits(), Instant::now());
        for (id, times, at) in [(1, 2, now), (2, 2, now - LASTS / 2), (3, 1, now)] {
            (0..times).for_each(|_| limits.on_shown(at, id, SizeLimit::Suspected, 48_864, LADDER));
        }
        limits.make_room(4);
        for gone in [3, 2, 1] {
            assert!(limits.has(&gone), "{gone}");
            limits.make_room(1);
            assert!(!limits.has(&gone), "{gone}");
        }
        assert!(limits.is_empty());
    }

    #[test]
    fn a_suspicion_ends_when_something_larger_was_taken_after_all() {
        let (mut limits, now) = (limits(), Instant::now());
        for _ in 0..SUSPICIONS {
            limits.on_shown(now, ID, SizeLimit::Suspected, 48_864, LADDER);
        }
        limits.on_taken(now, ID, 5856);
        assert_eq!(limits.get(&ID), 5856);
        limits.on_taken(now, ID, 48_864);
        assert_eq!(limits.get(&ID), usize::MAX);
    }

    #[test]
    fn what_a_server_says_outlasts_a_suspicion() {
        let (mut limits, now) = (limits(), Instant::now());
        shown(&mut limits, SizeLimit::Told(40_000), 0);
        for _ in 0..SUSPICIONS {
            limits.on_shown(now, ID, SizeLimit::Suspected, 24_288, LADDER);
        }
        assert_eq!(limits.get(&ID), 5856);
        limits.on_taken(now + LASTS, ID, 5856);
        assert_eq!(limits.get(&ID), 24_288);
    }

    #[test]
    fn a_refusal_of_something_else_than_a_block_leads_to_what_is_safe() {
        let mut limits = limits();
        limits.on_taken(Instant::now(), ID, 12_000);
        assert_eq!(shown(&mut limits, SizeLimit::Exceeded, 0), 12_000);
    }
}
