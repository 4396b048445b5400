//! Files beside paths: bulk goes by an upload service where that is faster, whatever the service does.

use std::time::Duration;

use crate::flow::{End, Script};
use crate::network::{Conditions, Side};
use crate::setup::{Setup, World, times_of_cells};
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

/// How long it takes until so much has come either way, and both applications have seen the end of it.
fn transfer(world: &mut World, up: u64, down: u64) -> Duration {
    let begin = world.now();
    let [up, down] = [up, down].map(|bytes| Script::writes(bytes).and_ends(End::AllDone));
    let flow = world.open(up, down);
    run_to_the_end(world, flow);
    world.now() - begin
}

fn run_to_the_end(world: &mut World, flow: usize) {
    world.run_until_done(40_000 * SECOND, |world| {
        Side::BOTH.iter().all(|&side| world.flows()[flow].is_over_at(side))
    });
    world.assert_intact(flow);
}

fn download(world: &mut World, bytes: u64) -> Duration {
    transfer(world, 0, bytes)
}

#[test]
fn bulk_at_stock_rates_comes_by_files_a_hundred_times_as_fast() {
    let uploads = Uploads::new(1, Site::default());
    let mut with = world(1, stock(10_000), &uploads);
    let by_files = download(&mut with, 20 * MB);
    let (put, fetched) = uploads.carried();
    // 20 MB at 10 kB/s in base64.
    let by_stanzas = Duration::from_secs(2700);
    assert!(by_stanzas > 100 * by_files, "{by_files:?}");
    // A third of it is padding at most.
    assert!(put < 27_000_000 && fetched <= put, "{put} bytes were put, {fetched} fetched");
    with.run_until_quiet(300 * SECOND);
    with.assert_nothing_left();
}

#[test]
fn bulk_goes_up_by_files_too() {
    let uploads = Uploads::new(2, Site::default());
    let took = transfer(&mut world(2, stock(10_000), &uploads), 5 * MB, 0);
    assert!(took < 30 * SECOND, "{took:?}");
}

#[test]
fn both_ways_at_once_share_one_service() {
    let uploads = Uploads::new(3, Site::default());
    let took = transfer(&mut world(3, stock(10_000), &uploads), 3 * MB, 5 * MB);
    assert!(took < 40 * SECOND, "{took:?}");
}

#[test]
fn where_paths_are_fast_no_slot_is_asked_for() {
    let fast = [(None, 0..1), (Some(2_000_000), 0..1), (Some(2_000_000), 20..30), (Some(1_000_000), 90..100)];
    for (rate, delay) in fast {
        let uploads = Uploads::new(4, Site::default());
        let conditions =
            Conditions { rate, uplink: delay.clone(), downlink: delay.clone(), ..Conditions::default() };
        let mut world = world(4, conditions, &uploads);
        let took = download(&mut world, 20 * MB);
        // Far away the window of a path takes seconds to open, and one slot may be asked for until then.
        let most = usize::from(delay.start > 50);
        assert!(uploads.slots() <= most, "{rate:?} {delay:?}: {took:?}");
    }
}

#[test]
fn what_is_small_never_goes_by_a_file() {
    let uploads = Uploads::new(5, Site::default());
    let mut world = world(5, stock(10_000), &uploads);
    download(&mut world, 4_000);
    assert_eq!(uploads.slots(), 0);
}

#[test]
fn an_end_that_knows_no_files_is_served_as_before() {
    for files in [[true, false], [false, true], [false, false]] {
        let uploads = Uploads::new(6, Site::default());
        let setup =
            Setup { conditions: stock(10_000), uploads: Some((uploads.clone(), files)), ..Setup::default() };
        download(&mut World::new(setup), 300_000);
        assert_eq!(uploads.slots(), 0);
    }
}

#[test]
fn whatever_a_service_does_in_the_middle_of_a_download_it_goes_on_within_ten_seconds_and_comes_whole() {
    for (seed, mood) in Mood::BAD.into_iter().enumerate() {
        let uploads = Uploads::new(seed as u64, Site::default());
        let mut world = world(seed as u64, stock(10_000), &uploads);
        let flow = world
            .open(Script::default().and_ends(End::AllDone), Script::writes(12 * MB).and_ends(End::AllDone));
        while world.app(flow, Side::Left).read < 4 * MB {
            world.run_for(SECOND / 10);
            assert!(world.now() < 60 * SECOND, "{mood:?}: files do not begin");
        }
        uploads.set_mood(mood);
        let mut last = (world.now(), world.app(flow, Side::Left).read);
        let mut longest = Duration::ZERO;
        while world.now() < 100 * SECOND && last.1 < 12 * MB {
            world.run_for(SECOND / 10);
            let read = world.app(flow, Side::Left).read;
            if read > last.1 {
                longest = longest.max(world.now() - last.0);
                last = (world.now(), read);
            }
        }
        longest = longest.max(world.now() - last.0);
        assert!(longest < 10 * SECOND, "{mood:?}: nothing came for {longest:?}");
        // The rest comes by whatever there is.
        uploads.set_mood(Mood::Well);
        run_to_the_end(&mut world, flow);
    }
}

#[test]
fn a_small_quota_is_kept_to_and_the_rest_comes_by_stanzas() {
    let site = Site { daily: 700_000, ..Site::default() };
    let uploads = Uploads::new(7, site);
    let mut world = world(7, stock(10_000), &uploads);
    download(&mut world, 1_500_000);
    let (put, _) = uploads.carried();
    assert!(put > 400_000 && put <= 700_000, "{put} bytes were put");
}

#[test]
fn a_cell_beside_a_download_by_files_waits_for_no_file() {
    let uploads = Uploads::new(8, Site::default());
    let mut world = world(8, stock(10_000), &uploads);
    world.open(Script::default(), Script::writes(100 * MB));
    let cells = world.open(Script::default(), Script::writes(514));
    world.run_until(10 * SECOND);
    let times = times_of_cells(&mut world, cells, SECOND / 17);
    assert!(times[10] < SECOND && times[19] < 15 * SECOND / 10, "{times:?}");
}
