//! Files beside paths: bulk goes by an upload service where that is faster, whatever the service does.

use std::time::Duration;

use crate::flow::{End, Script};
use crate::network::{Conditions, Side};
use crate::setup::{Setup, World};
use crate::upload_service::{Mood, Site, Uploads};

const SECOND: Duration = Duration::from_secs(1);
const MB: u64 = 1_000_000;

/// Stock servers at a round trip of 100 ms.
fn stock(rate: u64) -> Conditions {
    Conditions { rate: Some(rate), uplink: 20..30, downlink: 20..30, ..Conditions::default() }
}

fn world(seed: u64, conditions: Conditions, uploads: &Uploads) -> World {
    let uploads = Some((uploads.clone(), [true; 2]));
    World::new(Setup { seed, conditions, uploads, keep_log: false, ..Setup::default() })
}

/// How long a download of so many bytes takes; it comes whole, and nothing is left.
fn download(world: &mut World, bytes: u64) -> Duration {
    let begin = world.now();
    let flow = world.open(Script::default(), Script::writes(bytes).and_ends(End::Written));
    world.run_until_done(40_000 * SECOND, |world| world.flows()[flow].is_over_at(Side::Left));
    let took = world.now() - begin;
    world.assert_intact(flow);
    took
}

#[test]
fn bulk_at_stock_rates_comes_by_files_a_hundred_times_as_fast() {
    let uploads = Uploads::new(1, Site::default());
    let mut with = world(1, stock(10_000), &uploads);
    let by_files = download(&mut with, 20 * MB);
    let (put, fetched) = uploads.carried();
    eprintln!("{by_files:?}, {put} put, {fetched} fetched, {} slots", uploads.slots());
    // 20 MB at 10 kB/s in base64.
    let by_stanzas = Duration::from_secs(2700);
    assert!(by_stanzas > 100 * by_files, "{by_files:?}");
    assert!(put < 25_000_000, "{put} bytes were put");
    with.run_until_quiet(300 * SECOND);
    with.assert_nothing_left();
}
