//! Seeds of many random worlds, and the way back to the one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Tries `count` seeds, or as many as `HEXCHAT_SEEDS` says, or just `HEXCHAT_SEED`, which is the one that `run` keeps a
/// log of.
pub(crate) fn try_seeds(test: &str, count: u64, run: impl Fn(u64, bool) + Sync) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("HEXCHAT_SEED") {
        run(seed, true);
        return;
    }
    let count = number("HEXCHAT_SEEDS").unwrap_or(count);
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(u64::MAX);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= count || failed.load(Ordering::Relaxed) != u64::MAX {
            break;
        }
        if catch_unwind(AssertUnwindSafe(|| run(seed, false))).is_err() {
            let binary = env!("CARGO_CRATE_NAME");
            eprintln!("replay: HEXCHAT_SEED={seed} cargo test --test {binary} -- --nocapture {test}");
            failed.fetch_min(seed, Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let seed = failed.into_inner();
    assert_eq!(seed, u64::MAX, "seed {seed} fails");
}
