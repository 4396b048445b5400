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

/// Whether there are as many threads and descriptors after each round as after the first. The first one leaves what the runtime keeps for
/// the whole process: a pair of sockets for signals, which nobody listens for.
pub(crate) fn assert_nothing_is_left(process: &Process, rounds: usize) {
    for what in ["threads", "descriptors"] {
        let left = after_rounds(process, what);
        assert_eq!(left.len(), rounds, "{:?}", process.lines());
        assert!(left.iter().all(|count| *count == left[0]), "{what}: {left:?}");
    }
    assert_eq!(after_rounds(process, "threads")[0], 1, "that of the app itself");
}
