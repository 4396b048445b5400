//! Allocations of a block are counted, so that they do not grow unnoticed: no other load on the machine disturbs a count.
//!
//! `make bench-core` prints the counts.

#![allow(clippy::print_stdout, reason = "a test's")]

use hexchat_core_bench::block::{Block, CELL, LARGE, MIDDLE};
use hexchat_core_bench::end::Protocol;
use hexchat_core_bench::pair::{Meter, Pair, Side};
use hexchat_core_bench::{classic, secure};

/// So much is carried of each size.
const TOTAL: usize = 1 << 20;

/// The most that one end may allocate: a tenth more than it does. One copy more of a large block is more than that.
struct Ceiling {
    block: Block,
    side: Side,
    /// Allocations for each block.
    allocations: f64,
    /// Bytes for each byte of the application's.
    bytes: f64,
}

/// Whoever allocates less than this part of a ceiling should lower it, or it guards nothing. An optimised build always does:
/// the ceilings are those of `make test`.
const SLACK: f64 = 0.75;

const fn at_most(block: Block, side: Side, allocations: f64, bytes: f64) -> Ceiling {
    Ceiling { block, side, allocations, bytes }
}

const SECURE: [Ceiling; 6] = [
    at_most(CELL, Side::Out, 18.6, 9.3),
    at_most(CELL, Side::Back, 12.9, 5.55),
    at_most(MIDDLE, Side::Out, 19.6, 5.8),
    at_most(MIDDLE, Side::Back, 12.9, 3.0),
    at_most(LARGE, Side::Out, 23.2, 4.1),
    at_most(LARGE, Side::Back, 17.6, 2.4),
];

const CLASSIC: [Ceiling; 4] = [
    at_most(CELL, Side::Out, 112.0, 21.5),
    at_most(CELL, Side::Back, 31.0, 9.8),
    at_most(MIDDLE, Side::Out, 112.0, 5.4),
    at_most(MIDDLE, Side::Back, 31.0, 3.4),
];

/// What one side has allocated. A buffer that grows counts as a new one, because its content is copied.
struct Count {
    side: Side,
    allocations: u64,
    bytes: u64,
}

impl Meter for Count {
    fn measure(&mut self, side: Side, work: impl FnOnce()) {
        let info = allocation_counter::measure(work);
        if side == self.side {
            self.allocations += info.count_total;
            self.bytes += info.bytes_total;
        }
    }
}

/// Allocations for each block, and bytes for each byte of the application's.
fn measured(pair: &mut Pair<impl Protocol>, block: Block, side: Side) -> (f64, f64) {
    let (data, blocks) = (block.data(), TOTAL / block.payload);
    let mut count = Count { side, allocations: 0, bytes: 0 };
    (0..blocks).for_each(|_| pair.carry(&data, &mut count));
    let bytes = count.bytes as f64 / (blocks * block.payload) as f64;
    (count.allocations as f64 / blocks as f64, bytes)
}

/// Prints what is measured, and returns what is not as its ceiling wants it.
fn complaints(protocol: &str, mut pair: Pair<impl Protocol>, ceilings: &[Ceiling]) -> Vec<String> {
    let mut complaints = Vec::new();
    for ceiling in ceilings {
        let (allocations, bytes) = measured(&mut pair, ceiling.block, ceiling.side);
        let per_mb = allocations * 1e6 / ceiling.block.payload as f64;
        let what = format!("{protocol:<8} {:>6} {:<5?}", ceiling.block.name, ceiling.side);
        println!("{what}{allocations:>8.1} allocations a block{per_mb:>9.0} a MB{bytes:>8.2} bytes a byte");
        let allocations = complaint(allocations, ceiling.allocations, "allocations a block");
        let bytes = complaint(bytes, ceiling.bytes, "bytes allocated for each byte carried");
        complaints.extend([allocations, bytes].into_iter().flatten().map(|text| format!("{what} {text}")));
    }
    complaints
}

fn complaint(figure: f64, ceiling: f64, unit: &str) -> Option<String> {
    let advice = if figure > ceiling {
        "Find what allocates more than it did; if it is worth its price, raise the ceiling"
    } else if figure < ceiling * SLACK && cfg!(debug_assertions) {
        "Lower the ceiling, so that it stays so"
    } else {
        return None;
    };
    Some(format!("{figure:.2} {unit}, the ceiling is {ceiling}. {advice}."))
}

fn assert_none(complaints: &[String]) {
    let all = complaints.join("\n");
    assert!(
        all.is_empty(),
        "\n{all}\nThe ceilings are in {}; `make bench-core` prints all figures.",
        file!()
    );
}

#[test]
fn a_block_of_the_secure_protocol_takes_no_more_memory_than_it_did() {
    assert_none(&complaints("secure", Pair::connected(secure::ends).at_full_size(), &SECURE));
}

#[test]
fn a_packet_of_the_classic_protocol_takes_no_more_memory_than_it_did() {
    assert_none(&complaints("classic", Pair::connected(classic::ends), &CLASSIC));
}
