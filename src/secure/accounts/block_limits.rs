//! Block limits: how large a block each account's server takes, as far as that is known.
//!
//! A server says how large a stanza it takes (XEP-0478), or it ends the stream over one that is too large, with the reason or without.
//! From the blocks that were answered it is known what it takes in any case; and every server takes stanzas of 10,000 bytes (RFC 6120
//! section 13.12). So what was not told is learnt by one connection that ends, or by two where no reason is given.
//!
//! A limit holds as long as the account: to try again whether the server takes more would end the connection, and what larger blocks gain is
//! little. Only one that follows from a suspicion lapses.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::protocol::AccountId;
use crate::secure::sizes::Sizes;
use crate::secure::tuning::{AROUND_BLOCK, EVERYBODY_TAKES, SUSPICION_LASTS, SUSPICIONS};

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

/// Those of all accounts.
#[derive(Debug, Default)]
pub(crate) struct BlockLimits(BTreeMap<AccountId, Known>);

/// What is known of one account, in bytes of a block.
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

impl BlockLimits {
    /// The largest block that may go by the account.
    pub(crate) fn get(&self, id: AccountId) -> usize {
        let known = self.0.get(&id);
        known.and_then(|known| known.told.into_iter().chain(known.most).min()).unwrap_or(usize::MAX)
    }

    /// The server has taken a block of so many bytes, or none.
    pub(crate) fn on_taken(&mut self, now: Instant, id: AccountId, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let known = self.0.entry(id).or_default();
        if bytes > known.taken {
            (known.taken, known.suspicions) = (bytes, 0);
        }
        if known.lapses.is_some_and(|at| at <= now) {
            (known.most, known.lapses) = (None, None);
        }
    }

    /// The server has shown something while the largest block on its way had so many bytes; none where nothing was.
    pub(crate) fn on_shown(
        &mut self,
        now: Instant,
        id: AccountId,
        limit: SizeLimit,
        on_its_way: usize,
        sizes: &Sizes,
    ) {
        let known = self.0.entry(id).or_default();
        match limit {
            SizeLimit::Told(bytes) => {
                let told = largest_within(bytes, sizes);
                known.told = Some(known.told.map_or(told, |before| before.min(told)));
            }
            SizeLimit::Exceeded => known.on_exceeded(on_its_way, sizes),
            _ if on_its_way <= known.safe(sizes) => {}
            SizeLimit::Likely => known.on_exceeded(on_its_way, sizes),
            SizeLimit::Suspected => known.on_suspected(now, on_its_way, sizes),
        }
    }

    /// The account is gone for good.
    pub(crate) fn remove(&mut self, id: AccountId) {
        self.0.remove(&id);
    }
}

impl Known {
    /// The largest block of which there is no doubt.
    fn safe(&self, sizes: &Sizes) -> usize {
        self.taken.max(largest_within(EVERYBODY_TAKES, sizes))
    }

    /// A block was too large. If it was none that was larger than all before, the server takes less than it did, or has its own idea of
    /// what everybody takes.
    fn on_exceeded(&mut self, on_its_way: usize, sizes: &Sizes) {
        let safe = self.safe(sizes);
        let smaller = sizes.blocks.iter().copied().rfind(|size| *size < on_its_way);
        let is_known_to_be_safe = (1..=safe).contains(&on_its_way);
        let most = if is_known_to_be_safe { smaller.unwrap_or(sizes.blocks[0]) } else { safe };
        *self = Self { taken: most, told: self.told, most: Some(most), ..Self::default() };
    }

    fn on_suspected(&mut self, now: Instant, on_its_way: usize, sizes: &Sizes) {
        self.suspicions += 1;
        if self.suspicions >= SUSPICIONS {
            self.on_exceeded(on_its_way, sizes);
            self.lapses = Some(now + SUSPICION_LASTS);
        }
    }
}

/// The largest size of which a block, and what is around it, fits into so many bytes; the smallest if none does.
fn largest_within(bytes: usize, sizes: &Sizes) -> usize {
    let fits = |size: &usize| sizes.wire_size(*size) + AROUND_BLOCK <= bytes;
    sizes.blocks.iter().copied().rfind(fits).unwrap_or(sizes.blocks[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::sizes::OF_TESTS;

    const ID: AccountId = AccountId(1);

    fn shown(limits: &mut BlockLimits, limit: SizeLimit, on_its_way: usize) -> usize {
        limits.on_shown(Instant::now(), ID, limit, on_its_way, &OF_TESTS);
        limits.get(ID)
    }

    #[test]
    fn what_a_server_says_holds_from_then_on_though_it_says_more_later() {
        let mut limits = BlockLimits::default();
        assert_eq!(limits.get(ID), usize::MAX);
        let told = [262_144, 40_000, 10_000, 4096, 100, 262_144].map(SizeLimit::Told);
        let sizes = told.map(|told| shown(&mut limits, told, 0));
        assert_eq!(sizes, [48_864, 24_288, 5856, 2048, 1024, 1024]);
        limits.remove(ID);
        assert_eq!(limits.get(ID), usize::MAX);
    }

    #[test]
    fn one_refusal_leads_to_what_the_server_has_taken_before() {
        let mut limits = BlockLimits::default();
        limits.on_taken(Instant::now(), ID, 24_288);
        limits.on_taken(Instant::now(), ID, 1024);
        assert_eq!(shown(&mut limits, SizeLimit::Exceeded, 48_864), 24_288);
    }

    #[test]
    fn one_refusal_of_a_server_that_has_taken_little_leads_to_what_every_server_takes() {
        let mut limits = BlockLimits::default();
        limits.on_taken(Instant::now(), ID, 4096);
        assert_eq!(shown(&mut limits, SizeLimit::Exceeded, 48_864), 5856);
    }

    #[test]
    fn a_server_that_takes_less_than_it_did_or_than_it_must_gets_less_each_time() {
        let mut limits = BlockLimits::default();
        limits.on_taken(Instant::now(), ID, 24_288);
        let sizes = [24_288, 12_000, 5856, 4096, 2048, 1024, 1024]
            .map(|on_its_way| shown(&mut limits, SizeLimit::Exceeded, on_its_way));
        assert_eq!(sizes, [12_000, 5856, 4096, 2048, 1024, 1024, 1024]);
    }

    #[test]
    fn something_that_is_not_allowed_is_a_block_only_where_one_was_larger_than_ever() {
        let mut limits = BlockLimits::default();
        limits.on_taken(Instant::now(), ID, 12_000);
        assert_eq!(shown(&mut limits, SizeLimit::Likely, 12_000), usize::MAX);
        assert_eq!(shown(&mut limits, SizeLimit::Likely, 24_288), 12_000);
    }

    #[test]
    fn a_connection_that_ends_is_suspicious_twice_in_a_row_and_only_with_a_larger_block_than_ever_on_its_way()
    {
        let mut limits = BlockLimits::default();
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
        let (mut limits, now) = (BlockLimits::default(), Instant::now());
        for _ in 0..SUSPICIONS {
            limits.on_shown(now, ID, SizeLimit::Suspected, 48_864, &OF_TESTS);
        }
        assert_eq!(limits.get(ID), 5856);
        limits.on_taken(now + SUSPICION_LASTS / 2, ID, 5856);
        assert_eq!(limits.get(ID), 5856);
        limits.on_taken(now + SUSPICION_LASTS, ID, 5856);
        assert_eq!(limits.get(ID), usize::MAX);
    }

    #[test]
    fn what_a_server_says_outlasts_a_suspicion() {
        let (mut limits, now) = (BlockLimits::default(), Instant::now());
        shown(&mut limits, SizeLimit::Told(40_000), 0);
        for _ in 0..SUSPICIONS {
            limits.on_shown(now, ID, SizeLimit::Suspected, 24_288, &OF_TESTS);
        }
        assert_eq!(limits.get(ID), 5856);
        limits.on_taken(now + SUSPICION_LASTS, ID, 5856);
        assert_eq!(limits.get(ID), 24_288);
    }

    #[test]
    fn a_refusal_of_something_else_than_a_block_leads_to_what_is_safe() {
        let mut limits = BlockLimits::default();
        limits.on_taken(Instant::now(), ID, 12_000);
        assert_eq!(shown(&mut limits, SizeLimit::Exceeded, 0), 12_000);
    }
}
