//! Budget of a day: what an account may upload to a server, in bytes. Pure.

use crate::config::DailyFiles;

/// Twice the largest file that a server takes: a fifth of what a Prosody lets a user upload in a day, which is ten such files unless its operator
/// says otherwise.
const LARGEST_FILES: u64 = 2;

/// No more than 100 MB, whatever a server takes: forty pages of 2.5 MB.
const MOST: u64 = 100_000_000;

/// 20 MB where a server does not say what it takes: twice the 10 MB that a Prosody takes unless its operator says otherwise.
const WHERE_NOTHING_IS_SAID: u64 = 20_000_000;

/// With less than 64 KiB left there is room for a few of the smallest files at most, which is as good as none.
const SMALLEST_FILE: u64 = 64 * 1024;

/// What the log says of an account that has nothing left.
pub(in crate::tunnel) const USED_UP: &str = "files are left: it has asked for all the room that it may in a day; bulk goes by stanzas until there \
                                             is some again; daily_file_bytes in [guest] sets another bound, and mine = true lifts it";

/// Whether there is no room for another file where so much was asked for.
pub(in crate::tunnel) fn is_used_up(daily: u64, used: u64) -> bool {
    daily.saturating_sub(used) < SMALLEST_FILE
}

/// What may be uploaded in a day to a server that takes files of so many bytes.
pub(in crate::tunnel) fn daily(allowed: DailyFiles, max_file: Option<u64>) -> u64 {
    match allowed {
        DailyFiles::Unbounded => u64::MAX,
        DailyFiles::Bytes(bytes) => bytes,
        DailyFiles::AsServerSays => max_file
            .map_or(WHERE_NOTHING_IS_SAID, |max_file| max_file.saturating_mul(LARGEST_FILES).min(MOST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_two_of_the_largest_files_and_a_hundred_megabytes_at_most() {
        let of = |max_file| daily(DailyFiles::AsServerSays, max_file);
        assert_eq!(of(Some(10 << 20)), 20 << 20);
        assert_eq!(of(Some(1_000_000)), 2_000_000);
        assert_eq!((of(Some(100 << 20)), of(Some(u64::MAX))), (MOST, MOST));
        assert_eq!(of(None), 20_000_000);
    }

    #[test]
    fn a_day_is_over_when_no_file_fits_any_more() {
        let used = [0, 934_464, 934_465, 2_000_000].map(|used| is_used_up(1_000_000, used));
        assert_eq!(used, [false, false, true, true]);
    }

    #[test]
    fn what_the_user_says_goes_before_and_ones_own_server_has_no_bound() {
        assert_eq!(daily(DailyFiles::Bytes(5_000_000), Some(10 << 20)), 5_000_000);
        assert_eq!(daily(DailyFiles::Unbounded, Some(10 << 20)), u64::MAX);
    }
}
