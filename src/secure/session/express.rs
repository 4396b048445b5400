//! Express packets: what is small and in a hurry, while others have much to send.
//!
//! On a slow path a cell would wait for a window that is full of somebody else's blocks, for as long as the server takes for
//! one of them. So one small packet may go beyond the window of each path, and waits no longer than what is on its way. Where all
//! paths are slow and go by several accounts, the oldest is reserved as long as such packets come: it carries bulk in small blocks only, one
//! at a time.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::protocol::AccountId;
use crate::secure::ids::PathId;
use crate::secure::path::{Path, transfer};
use crate::secure::tuning::{EXPRESS_SIZE, LARGEST_SLOW_BLOCK, SLOW_BLOCK};

/// The path on which such a packet will arrive first, among those that have none on its way.
pub(crate) fn choose<'a>(
    paths: impl IntoIterator<Item = (PathId, &'a Path)>,
    now: Instant,
) -> Option<PathId> {
    let usable: Vec<_> = paths.into_iter().filter(|(_, path)| path.is_usable()).collect();
    let mut ahead = BTreeMap::<AccountId, usize>::new();
    for (_, path) in &usable {
        *ahead.entry(path.via()).or_default() += path.in_flight();
    }
    let arrival = |path: &Path| {
        let bytes =
            ahead.get(&path.via()).copied().unwrap_or_default() + path.sizes().wire_size(EXPRESS_SIZE);
        path.latency(now) + transfer(bytes, path.rate(now))
    };
    let free = usable.iter().filter(|(_, path)| !path.has_express());
    free.min_by_key(|(id, path)| (arrival(path), *id)).map(|(id, _)| *id)
}

/// The path that is kept for such packets: the oldest, if all are slow and there is one by another account.
pub(crate) fn reserved<'a>(
    paths: impl IntoIterator<Item = (PathId, &'a Path)>,
    now: Instant,
) -> Option<PathId> {
    let usable: Vec<_> = paths.into_iter().filter(|(_, path)| path.is_usable()).collect();
    let block = |path: &Path| path.sizes().wire_size(LARGEST_SLOW_BLOCK);
    let is_slow = |path: &Path| transfer(block(path), path.rate(now)) > SLOW_BLOCK;
    let (id, oldest) = usable.iter().min_by_key(|(id, _)| *id)?;
    let has_company = usable.iter().any(|(_, path)| path.via() != oldest.via());
    (has_company && usable.iter().all(|(_, path)| is_slow(path))).then_some(*id)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secure::delivery::Delivery;

    /// An open path by this account with blocks of 1000 bytes on its way.
    fn path(now: Instant, account: u64, blocks: u64) -> Path {
        let mut path = Path::by(now, AccountId(account));
        path.allow_blocks();
        for n in 0..blocks {
            path.on_sent(now, Delivery::nth(n), 1000);
        }
        path
    }

    #[test]
    fn the_oldest_of_slow_paths_by_several_accounts_is_reserved() {
        let start = Instant::now();
        // What nothing of is answered for long is slow.
        let now = start + Duration::from_secs(2);
        let reserved_of = |accounts: &[u64]| {
            let paths: Vec<_> = accounts.iter().map(|account| path(start, *account, 2)).collect();
            reserved(paths.iter().enumerate().map(|(n, path)| (PathId(n as u64), path)), now)
        };
        assert_eq!(reserved_of(&[1, 2, 3]), Some(PathId(0)));
        assert_eq!(reserved_of(&[1, 1]), None, "bulk needs an account of its own");
        assert_eq!(reserved_of(&[1]), None);
        assert_eq!(reserved_of(&[]), None);
    }

    #[test]
    fn among_fast_paths_none_is_reserved() {
        let now = Instant::now();
        let paths = [path(now, 1, 2), path(now, 2, 2)];
        assert_eq!(reserved(paths.iter().enumerate().map(|(n, path)| (PathId(n as u64), path)), now), None);
    }

    #[test]
    fn it_goes_where_least_is_in_front_of_it_whatever_else_has_room() {
        let now = Instant::now();
        let paths = [path(now, 1, 9), path(now, 2, 3), path(now, 3, 5)];
        let choice = choose(paths.iter().enumerate().map(|(n, path)| (PathId(n as u64), path)), now);
        assert_eq!(choice, Some(PathId(1)));
    }

    #[test]
    fn what_another_path_of_the_same_account_has_on_its_way_is_in_front_of_it_too() {
        let now = Instant::now();
        let paths = [path(now, 1, 2), path(now, 1, 9), path(now, 2, 5)];
        let choice = choose(paths.iter().enumerate().map(|(n, path)| (PathId(n as u64), path)), now);
        assert_eq!(choice, Some(PathId(2)));
    }

    #[test]
    fn a_path_has_one_on_its_way_at_a_time() {
        let now = Instant::now();
        let mut only = path(now, 1, 2);
        only.note_express();
        assert_eq!(choose([(PathId(0), &only)], now), None);
        only.on_taken(now + Duration::from_secs(1), Delivery::nth(0));
        assert!(only.has_express(), "that was another one's answer");
        only.on_taken(now + Duration::from_secs(1), Delivery::nth(1));
        assert_eq!(choose([(PathId(0), &only)], now), Some(PathId(0)));
    }
}
