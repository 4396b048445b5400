//! Apps in C, linked with either library.

use hexchat_lab::process::{Process, Spawn};

use crate::PATIENCE;
use crate::left::{after_rounds, assert_nothing_is_left, numbers};
use crate::library::{Link, compile};
use crate::world::World;

/// How often the transport is started and stopped in one process. Each round takes a twentieth of a second.
const ROUNDS: usize = 100;

/// Rounds after which what is made once and kept is there.
const SETTLED: usize = 20;

/// What the heap may grow by in the 80 rounds after that: 20 kB, which is 250 bytes a round. It has grown by 5 kB, and not at all in the
/// last forty; from one round to the next it goes up and down by 1 kB, by what the allocator keeps for threads that have ended.
const MOST_GROWTH: u64 = 20_000;

/// Dirty pages of the whole process with a session up: 3 MB. What the test is built from has more code than the release, which is in no such
/// page, and more addresses in its tables, which are in some.
const MOST_DIRTY_KB: u64 = 3 * 1024;

fn run(world: &World, link: Link, rounds: usize) -> Process {
    let folder = tempfile::tempdir().unwrap();
    let app = Spawn::new("app", compile(folder.path(), link))
        .arg(rounds.to_string())
        .arg(world.state_dir())
        .arg(world.config())
        .args([world.arguments(), world.target()]);
    let mut process = app.start().unwrap();
    let status = process.wait(3 * PATIENCE).unwrap();
    process.wait_for_end_of_output(PATIENCE).unwrap();
    assert!(status.success(), "{:?}", process.lines());
    process
}

#[test]
fn an_app_in_c_starts_and_stops_it_a_hundred_times_and_nothing_is_left() {
    let world = World::start();
    let process = run(&world, Link::Shared, ROUNDS);
    assert_nothing_is_left(&process, ROUNDS);
    let heap = after_rounds(&process, "heap");
    let least = |rounds: &[u64]| *rounds.iter().min().unwrap();
    let (settled, last) = (least(&heap[SETTLED - 5..SETTLED]), least(&heap[ROUNDS - 5..]));
    assert!(last < settled + MOST_GROWTH, "{heap:?}");
    let dirty = numbers(&process, "SESSION ", "dirty");
    println!("dirty pages with one session: {} kB at first, {} kB at last", dirty[0], dirty[ROUNDS - 1]);
    println!("heap after each round: {heap:?}");
    assert!(dirty.iter().all(|kilobytes| *kilobytes < MOST_DIRTY_KB), "{dirty:?}");
    assert_eq!(world.log().matches("stopped\n").count(), ROUNDS);
}

#[test]
fn an_app_in_c_is_linked_with_the_static_library_as_well() {
    let world = World::start();
    let process = run(&world, Link::Static, 2);
    assert_nothing_is_left(&process, 2);
    let refused = process.wait_for_line(|line| line.starts_with("REFUSED "), PATIENCE).unwrap();
    assert!(refused.contains("hexchat-pt.toml"), "{refused}");
    assert!(process.lines().contains(&format!("VERSION {}", hexchat_pt_ffi::version())));
}
