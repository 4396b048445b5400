//! Express packets: what is small and in a hurry, while others have much to send.
//!
//! On a slow path a cell would wait for a window that is full of somebody else's blocks, for as long as the server takes for
//! one of them. So one small packet may go beyond the window of each path, and waits no longer than what is on its way. Where all
//! paths are slow and go by several accounts, each has one block on its way if that keeps it busy, so that one of them soon comes to an end;
//! and the account of the oldest is reserved as long as such packets come: it carries bulk in small blocks only, one at a time.
//!
//! A server with a limit pauses after each read, for as long as the limit makes of it, and then reads all that has come meanwhile. So the
//! account by which a packet arrives first is the one whose pause is over first, whatever waits there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::protocol::AccountId;
use crate::secure::ids::PathId;
use crate::secure::path::{Path, transfer};
use crate::secure::tuning::{
    ALIKE, EXPRESS_SIZE, IN_TIME, IN_TIME_SHARE, LARGEST_SLOW_BLOCK, RESERVED_BLOCK,
    RESERVED_BLOCK_OF_SEVERAL, SLOW_BLOCK,
};

/// What is on its way by an account.
#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    bytes: usize,
    /// When the server read something last, as far as it is known here, and how many bytes.
    last_read: Option<(Instant, usize)>,
    /// When the oldest of what is on its way was sent.
    sent: Option<Instant>,
}

impl Ahead {
    fn add(&mut self, path: &Path) {
        self.bytes += path.in_flight();
        self.last_read = self.last_read.max(Some(path.last_read()));
        self.sent = self.sent.into_iter().chain(path.oldest_sent()).min();
    }

    /// How long it takes, beyond this distance there and back, until the server reads what is sent now, at this rate.
    fn wait(&self, now: Instant, rate: f64, distance: Duration) -> Duration {
        let Some((at, bytes)) = self.last_read else { return Duration::ZERO };
        let pause = transfer(bytes, rate);
        let rested = at + pause;
        let Some(sent) = self.sent else { return rested.saturating_duration_since(now + distance) };
        let next = rested.max(sent + distance);
        if now + distance + IN_TIME.max(pause.mul_f64(IN_TIME_SHARE)) <= next {
            return next - now - distance;
        }
        // It comes too late for that, and waits for the pause that follows. What is late already will be as late again, for all we know.
        let pause = transfer(self.bytes, rate);
        let after = next + pause;
        if after > now { after.saturating_duration_since(now + distance) } else { pause + (now - after) }
    }
}

/// The path on which such a packet will arrive first, among those that have none on its way.
pub(crate) fn choose<'a>(
    paths: impl IntoIterator<Item = (PathId, &'a Path)>,
    now: Instant,
) -> Option<PathId> {
    let usable: Vec<_> = paths.into_iter().filter(|(_, path)| path.is_usable()).collect();
    let mut ahead = BTreeMap::<AccountId, Ahead>::new();
    for (_, path) in &usable {
        ahead.entry(path.via()).or_default().add(path);
    }
    // All go from one server to another, and a path that has always been busy does not know how near that is.
    let distance = usable.iter().map(|(_, path)| path.distance()).min()?;
    let rates: Vec<_> =
        usable.iter().filter(|(_, path)| path.has_carried()).map(|(_, path)| path.rate(now)).collect();
    let arrival = |path: &Path| {
        let rate = mean_of_alike(path.rate(now), &rates);
        let wait = ahead.get(&path.via()).map_or(Duration::ZERO, |ahead| ahead.wait(now, rate, distance));
        wait + transfer(path.sizes().wire_size(EXPRESS_SIZE), rate)
    };
    let free = usable.iter().filter(|(_, path)| !path.has_express());
    free.min_by_key(|(id, path)| (arrival(path), *id)).map(|(id, _)| *id)
}

/// The mean of those rates that are about as high as this one. A server has one limit for all logins of an account, and a few reads of one of
/// them show it less exactly than those of all.
fn mean_of_alike(rate: f64, rates: &[f64]) -> f64 {
    let alike = || rates.iter().filter(|other| (rate / ALIKE..=rate * ALIKE).contains(*other));
    let count = alike().count();
    if count == 0 { rate } else { alike().sum::<f64>() / count as f64 }
}

/// The account that is kept for such packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reserved {
    pub(crate) via: AccountId,
    /// The largest block of bulk that it carries meanwhile.
    pub(crate) block: usize,
}

/// The account to keep for them: that of the oldest path, if all paths that carry something are slow and another account can carry the bulk.
pub(crate) fn reserved<'a>(
    paths: impl Iterator<Item = (PathId, &'a Path)> + Clone,
    now: Instant,
) -> Option<Reserved> {
    let usable = paths.filter(|(_, path)| path.is_usable());
    let via = usable.clone().min_by_key(|(id, _)| *id)?.1.via();
    let mut others = usable.clone().map(|(_, path)| path.via()).filter(|other| *other != via);
    let second = others.next()?;
    let block = if others.any(|other| other != second) { RESERVED_BLOCK_OF_SEVERAL } else { RESERVED_BLOCK };
    let largest = |path: &Path| path.sizes().wire_size(LARGEST_SLOW_BLOCK);
    let is_slow = |path: &Path| transfer(largest(path), path.rate(now)) > SLOW_BLOCK;
    let mut used = usable.filter(|(_, path)| path.has_carried()).peekable();
    let is_of_use = used.peek().is_some() && used.all(|(_, path)| is_slow(path));
    is_of_use.then_some(Reserved { via, block })
}

#[cfg(test)]
mod tests {
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
    fn the_account_of_the_oldest_of_slow_paths_by_several_accounts_is_reserved() {
        let start = Instant::now();
        // What nothing of is answered for long is slow.
        let now = start + Duration::from_secs(2);
        let reserved_of = |accounts: &[u64]| {
            let paths: Vec<_> = accounts.iter().map(|account| path(start, *account, 2)).collect();
            reserved(paths.iter().enumerate().map(|(n, path)| (PathId(n as u64), path)), now)
        };
        let via = AccountId(1);
        assert_eq!(reserved_of(&[1, 2, 3]), Some(Reserved { via, block: RESERVED_BLOCK_OF_SEVERAL }));
        assert_eq!(reserved_of(&[1, 1, 2]), Some(Reserved { via, block: RESERVED_BLOCK }));
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
    fn what_carries_nothing_says_nothing_of_how_slow_paths_are() {
        let start = Instant::now();
        let paths = [path(start, 1, 2), path(start, 2, 0)];
        let paths = || paths.iter().enumerate().map(|(n, path)| (PathId(n as u64), path));
        assert!(reserved(paths(), start + Duration::from_secs(2)).is_some());
        assert_eq!(reserved(paths().skip(1), start + Duration::from_secs(2)), None);
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
    fn what_comes_before_a_server_reads_waits_for_that_and_else_for_the_pause_behind_it() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        // It pauses for 0.5 seconds, of which an eighth are 62 milliseconds, and then for 0.2.
        let ahead = Ahead { bytes: 2000, last_read: Some((start, 5000)), sent: Some(start) };
        let wait = |after| ahead.wait(start + ms(after), 10_000.0, ms(20));
        assert_eq!([0, 300, 410].map(wait), [480, 180, 70].map(ms));
        assert_eq!([430, 500, 600].map(wait), [250, 180, 80].map(ms));
        assert_eq!([700, 900].map(wait), [200, 400].map(ms), "it is late");
    }

    #[test]
    fn logins_of_one_account_are_as_fast_as_they_are_on_average_and_others_as_they_are() {
        let rates = [2700.0, 3300.0, 10_000.0];
        assert_eq!(
            [2700.0, 3300.0, 10_000.0, 80.0].map(|rate| mean_of_alike(rate, &rates)),
            [3000.0, 3000.0, 10_000.0, 80.0]
        );
    }

    #[test]
    fn a_server_to_which_nothing_is_on_its_way_pauses_all_the_same() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let ahead = Ahead { bytes: 0, last_read: Some((start, 5000)), sent: None };
        let wait = |after| ahead.wait(start + ms(after), 10_000.0, ms(20));
        assert_eq!([0, 300, 480, 700].map(wait), [480, 180, 0, 0].map(ms));
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
