//! Buckets: the few sizes of files, each drawn a little smaller.
//!
//! The size of a file is fixed when its slot is asked for, before anybody knows what will be in it. So it says which bucket it is and no more,
//! and files have no size by which they could be known: pictures are of any.

use crate::secure::crypto::entropy::{Entropy, random};
use crate::secure::crypto::file::FileSize;

/// How large a file is, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bucket {
    /// Up to 16 KiB, one packet: as much as a stanza path of a stock server carries in 2 seconds.
    Tiny,
    /// Up to 64 KiB.
    Small,
    /// Up to 256 KiB.
    Medium,
    /// Up to 1 MiB.
    Large,
}

impl Bucket {
    pub(crate) const ALL: [Self; 4] = [Self::Tiny, Self::Small, Self::Medium, Self::Large];

    /// The size of its largest file, in bytes.
    pub(crate) fn capacity(self) -> usize {
        match self {
            Self::Tiny => 16 * 1024,
            Self::Small => 64 * 1024,
            Self::Medium => 256 * 1024,
            Self::Large => 1024 * 1024,
        }
    }

    /// How much has to wait for a file of it, in bytes: half of it, because the rest is padding, which costs the server as much; 4 KiB for
    /// one of the smallest, for which a stock server's stanzas take half a second.
    pub(crate) fn least(self) -> usize {
        match self {
            Self::Tiny => 4 * 1024,
            Self::Small | Self::Medium | Self::Large => self.capacity() / 2,
        }
    }

    /// The least that is worth a file, in bytes.
    pub(crate) fn least_of_all() -> usize {
        Self::Tiny.least()
    }

    /// The largest that so much fills, where the service takes files of `limit` bytes.
    pub(crate) fn filled_by(waiting: usize, limit: Option<usize>) -> Option<Self> {
        let fits = |bucket: &Self| limit.is_none_or(|limit| bucket.capacity() <= limit);
        Self::ALL.into_iter().rev().filter(fits).find(|bucket| bucket.least() <= waiting)
    }

    /// The one of a file of this size.
    pub(crate) fn of(size: FileSize) -> Self {
        let holds = |bucket: &Self| size.bytes() <= bucket.capacity();
        Self::ALL.into_iter().find(holds).unwrap_or(Self::Large)
    }

    /// A size of a file: between seven eighths of the largest and all of it.
    pub(crate) fn draw(self, entropy: &mut dyn Entropy) -> FileSize {
        const UNUSABLE: u64 = 16;
        let spread = self.capacity() as u64 / 8;
        let bytes = self.capacity() as u64 - u64::from_be_bytes(random(entropy)) % spread;
        // Where a last packet would hold nothing, the one before is full with so much less.
        let size = FileSize::new(bytes).or_else(|| FileSize::new(bytes - UNUSABLE));
        #[expect(clippy::expect_used, reason = "one of two sizes that are 16 bytes apart is that of a file")]
        size.expect("a size")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use std::collections::BTreeSet;

    use super::*;
    use crate::secure::crypto::entropy::testing::{Given, Seeded};

    #[test]
    fn a_file_is_as_large_as_what_waits_fills_at_least_half_or_one_of_the_smallest() {
        for (waiting, bucket) in [
            (0, None),
            (4095, None),
            (4096, Some(Bucket::Tiny)),
            (32_767, Some(Bucket::Tiny)),
            (32_768, Some(Bucket::Small)),
            (131_071, Some(Bucket::Small)),
            (131_072, Some(Bucket::Medium)),
            (524_288, Some(Bucket::Large)),
            (usize::MAX, Some(Bucket::Large)),
        ] {
            assert_eq!(Bucket::filled_by(waiting, None), bucket, "{waiting}");
        }
        assert_eq!(Bucket::filled_by(usize::MAX, Some(1_000_000)), Some(Bucket::Medium));
        assert_eq!(Bucket::filled_by(usize::MAX, Some(16_383)), None);
    }

    #[test]
    fn sizes_are_all_over_the_last_eighth_of_a_bucket_and_seldom_the_same() {
        for bucket in Bucket::ALL {
            let sizes: BTreeSet<_> = (0..100).map(|seed| bucket.draw(&mut Seeded(seed)).bytes()).collect();
            let (least, most) = (*sizes.first().unwrap(), *sizes.last().unwrap());
            assert!(least >= bucket.capacity() / 8 * 7 && most <= bucket.capacity(), "{least} {most}");
            assert!(sizes.len() > 90 && most - least > bucket.capacity() / 9, "{sizes:?}");
            assert!(sizes.iter().all(|bytes| Bucket::of(FileSize::new(*bytes as u64).unwrap()) == bucket));
        }
    }

    #[test]
    fn a_size_that_no_file_has_is_not_drawn() {
        for less in 0..20_000_u64 {
            let mut entropy = Given((less % 8192).to_be_bytes().to_vec());
            let size = Bucket::Small.draw(&mut entropy);
            assert!(size.bytes() > 57_343 - 16 && size.bytes() <= 65_536);
        }
    }
}
