//! Left: what an app says is left of the transport after each round.

use hexchat_lab::process::Process;

/// What there is of something after each round.
pub(crate) fn after_rounds(process: &Process, what: &str) -> Vec<u64> {
    numbers(process, "ROUND ", what)
}

/// The numbers behind this word in the lines that begin so.
pub(crate) fn numbers(process: &Process, beginning: &str, what: &str) -> Vec<u64> {
    let lines = process.lines();
    let of_rounds = lines.iter().filter(|line| line.starts_with(beginning));
    of_rounds
        .map(|line| {
            let mut words = line.split(' ').skip_while(|word| *word != what);
            words.nth(1).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
        })
        .collect()
}

/// What the runtime keeps for the whole process from the first start on: 2, a pair of sockets for signals, which nobody listens for.
const KEPT_DESCRIPTORS: u64 = 2;

/// Whether there are as many threads and descriptors after each round as before the first, but for what the runtime keeps.
pub(crate) fn assert_nothing_is_left(process: &Process, rounds: usize) {
    for (what, kept) in [("threads", 0), ("descriptors", KEPT_DESCRIPTORS)] {
        let (before, left) = (numbers(process, "BEFORE ", what), after_rounds(process, what));
        assert_eq!(left, vec![before[0] + kept; rounds], "{what}: {before:?} before");
    }
}
