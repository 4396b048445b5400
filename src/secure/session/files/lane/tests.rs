//! Tests of a lane: at one end, and of two in a simulated session.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use super::testing::{Luck, OURS, PIECE, SLOW, World, poll_task};
use super::*;
use crate::secure::crypto::entropy::testing::Seeded;
use crate::secure::crypto::secret::Secret;

const MUCH: usize = 10 << 20;

fn lane(side: Side) -> Lane<u32> {
    Lane::new(&FilesKey(Secret::new([1; 32])), side)
}

fn url(text: &str) -> FileUrl {
    FileUrl::new(text).unwrap()
}

fn slot() -> Slot {
    Slot { put: url("https://u/put"), headers: Vec::new(), get: url("https://u/get") }
}

/// The slot that a client asks for.
fn asked(client: &mut Lane<u32>, now: Instant) -> Option<(u64, FileSize)> {
    client.poll_slot(now, (OURS, &mut Allowance::new(usize::MAX, None)), &mut Seeded(1))
}

fn end(file: u64, packets: u64, reason: FileEndReason) -> FileFrame {
    FileFrame::FileEnd { file, packets, reason }
}

/// Makes a file of empty packets.
fn made(lane: &mut Lane<u32>, now: Instant, file: u64) -> Vec<Bytes> {
    let mut sealer = lane.begin(now, file, 60_000).unwrap();
    let packets = std::iter::from_fn(|| sealer.seal(Vec::new()).ok()).collect();
    lane.carry(file, 7);
    packets
}

/// A bridge that puts the file 0 of this size.
fn put_by_bridge(now: Instant, size: FileSize) -> (Lane<u32>, Vec<Bytes>) {
    let mut bridge = lane(Side::Bridge);
    let (size, url) = (size.bytes() as u64, url("https://u/put"));
    bridge.handle_frame(now, FileFrame::Slot { file: 0, size, url, headers: Vec::new() }).unwrap();
    let (file, _) = bridge.best(now, MUCH).unwrap();
    let packets = made(&mut bridge, now, file);
    bridge.put(file, packets.clone());
    assert!(matches!(poll_task(&mut bridge), Some(FileTask::Put { .. })));
    (bridge, packets)
}

/// One that has put it.
fn done_by_bridge(now: Instant, size: FileSize) -> (Lane<u32>, Vec<Bytes>) {
    let (mut bridge, packets) = put_by_bridge(now, size);
    assert_eq!(bridge.handle_put(now, 0, Ok(())), Verdict::default());
    assert_eq!(bridge.poll_frame(), Some(FileFrame::Stored { file: 0 }));
    (bridge, packets)
}

/// What a client fetches next: which file, and from where.
fn fetched(lane: &mut Lane<u32>) -> Option<(u64, usize, FileUrl)> {
    match poll_task(lane)? {
        FileTask::Get { file, size, url, .. } => Some((file.number, size, url)),
        task => panic!("{task:?}"),
    }
}

/// A client that has given away the slot 0, and its size.
fn awaiting_client(now: Instant) -> (Lane<u32>, FileSize) {
    let mut client = lane(Side::Client);
    client.handle_frame(now, FileFrame::Waiting { bytes: MUCH as u64 }).unwrap();
    let (file, size) = asked(&mut client, now).unwrap();
    client.handle_slot(now, file, slot());
    let Some(FileFrame::Slot { file: 0, url, .. }) = client.poll_frame() else { panic!("no slot") };
    assert_eq!(url.as_str(), "https://u/put");
    (client, size)
}

#[test]
fn a_download_goes_from_what_waits_to_what_has_arrived() {
    let now = Instant::now();
    let (mut client, size) = awaiting_client(now);
    let (mut bridge, packets) = done_by_bridge(now, size);
    client.handle_frame(now, FileFrame::Stored { file: 0 }).unwrap();
    assert_eq!(fetched(&mut client), Some((0, size.bytes(), url("https://u/get"))));
    for mut packet in packets {
        assert!(client.handle_bytes(0, &mut packet).unwrap().is_some());
    }
    client.handle_end(now, 0, FileEndReason::Done);
    assert_eq!(client.poll_report(), Some((OURS, Report::Success)));
    let frame = client.poll_frame().unwrap();
    assert_eq!(frame, end(0, size.packets() as u64, FileEndReason::Done));
    assert_eq!(bridge.handle_frame(now, frame).unwrap(), Verdict { arrived: vec![7], lost: vec![] });
    assert_eq!((bridge.under_way(), bridge.poll_report()), (0, None));
}

#[test]
fn an_upload_goes_by_a_slot_that_the_client_keeps() {
    let now = Instant::now();
    let mut client = lane(Side::Client);
    client.set_waiting(MUCH);
    let (file, size) = asked(&mut client, now).unwrap();
    client.handle_slot(now, file, slot());
    assert_eq!(client.poll_frame(), None);
    let packets = made(&mut client, now, file);
    client.put(file, packets);
    let task = poll_task(&mut client);
    assert!(matches!(task, Some(FileTask::Put { url: to, .. }) if to == url("https://u/put")));
    client.handle_put(now, file, Ok(()));
    let there = client.poll_frame().unwrap();
    assert_eq!(there, FileFrame::File { file, size: size.bytes() as u64, url: url("https://u/get") });
    let mut bridge = lane(Side::Bridge);
    for _ in 0..2 {
        bridge.handle_frame(now, there.clone()).unwrap();
    }
    assert_eq!(fetched(&mut bridge), Some((file, size.bytes(), url("https://u/get"))));
    assert_eq!(fetched(&mut bridge), None, "once");
    let done = end(file, 64, FileEndReason::Done);
    assert_eq!(client.handle_frame(now, done).unwrap().arrived, [7]);
    assert_eq!(client.poll_report(), Some((OURS, Report::Success)));
}

#[test]
fn whoever_fetches_a_file_is_told_once_as_soon_as_all_of_it_is_on_its_way() {
    let now = Instant::now();
    let (mut bridge, _) = put_by_bridge(now, FileSize::new(60_000).unwrap());
    bridge.handle_sent(0);
    assert_eq!(bridge.poll_frame(), Some(FileFrame::Stored { file: 0 }));
    bridge.handle_put(now, 0, Ok(()));
    bridge.handle_sent(0);
    assert_eq!(bridge.poll_frame(), None, "he knows");
    let (mut bridge, _) = put_by_bridge(now, FileSize::new(60_000).unwrap());
    bridge.handle_sent(0);
    assert_eq!(bridge.handle_put(now, 0, Err(FileEndReason::Refused)).lost, [7]);
    bridge.handle_sent(0);
    let frames: Vec<_> = std::iter::from_fn(|| bridge.poll_frame()).collect();
    assert_eq!(
        frames,
        [FileFrame::Stored { file: 0 }, end(0, 0, FileEndReason::Refused)],
        "it did not get there"
    );
}

#[test]
fn a_file_that_could_not_be_put_is_lost_and_both_ends_know() {
    let now = Instant::now();
    let (mut client, size) = awaiting_client(now);
    let (mut bridge, _) = put_by_bridge(now, size);
    let verdict = bridge.handle_put(now, 0, Err(FileEndReason::TooMuch));
    assert_eq!(verdict.lost, [7]);
    let frame = bridge.poll_frame().unwrap();
    client.handle_frame(now, frame).unwrap();
    assert_eq!(client.poll_report(), Some((OURS, Report::Trouble(Trouble::Enough(ENOUGH)))));
    assert_eq!(client.poll_report(), None);
    assert!(asked(&mut client, now).is_some(), "there is room for another");
}

#[test]
fn what_ends_without_being_complete_is_not_done() {
    let now = Instant::now();
    for (reason, told) in
        [(FileEndReason::Done, FileEndReason::Damaged), (FileEndReason::Missing, FileEndReason::Missing)]
    {
        let (mut client, size) = awaiting_client(now);
        let (_, packets) = done_by_bridge(now, size);
        client.handle_frame(now, FileFrame::Stored { file: 0 }).unwrap();
        fetched(&mut client).unwrap();
        client.handle_bytes(0, &mut packets[0].clone()).unwrap();
        client.handle_end(now, 0, reason);
        assert_eq!(client.poll_frame(), Some(end(0, 1, told)));
        assert_eq!(client.poll_report(), Some((OURS, Report::Trouble(Trouble::FileLost))));
    }
}

#[test]
fn files_that_come_whole_show_both_ends_that_the_service_is_of_use_until_it_is_of_none() {
    let now = Instant::now();
    let (mut client, size) = awaiting_client(now);
    let (mut bridge, packets) = done_by_bridge(now, size);
    assert!(!client.is_proven(now) && !bridge.is_proven(now));
    client.handle_frame(now, FileFrame::Stored { file: 0 }).unwrap();
    fetched(&mut client).unwrap();
    for mut packet in packets {
        client.handle_bytes(0, &mut packet).unwrap();
    }
    client.handle_end(now, 0, FileEndReason::Done);
    bridge.handle_frame(now, client.poll_frame().unwrap()).unwrap();
    for lane in [&mut client, &mut bridge] {
        assert!(lane.is_proven(now + PROVEN / 2) && !lane.is_proven(now + PROVEN));
        assert!(lane.is_busy(now + BUSY / 2) && !lane.is_busy(now + BUSY));
        lane.handle_frame(now, end(9, 0, FileEndReason::TooSlow)).unwrap();
        assert!(!lane.is_proven(now));
    }
}

#[test]
fn what_nobody_hears_of_is_given_up_at_both_ends() {
    let now = Instant::now();
    let (mut client, size) = awaiting_client(now);
    let (mut bridge, _) = done_by_bridge(now, size);
    client.handle_frame(now, FileFrame::Stored { file: 0 }).unwrap();
    assert!(bridge.handle_timeout(bridge.next_timeout().unwrap()).lost.is_empty(), "some may have come");
    assert_eq!(bridge.poll_frame(), Some(end(0, 0, FileEndReason::TooSlow)));
    assert_eq!(bridge.handle_timeout(bridge.next_timeout().unwrap()).lost, [7]);
    client.handle_timeout(client.next_timeout().unwrap());
    assert_eq!(client.poll_frame(), Some(end(0, 0, FileEndReason::TooSlow)));
    assert_eq!(client.poll_report(), Some((OURS, Report::Trouble(Trouble::MayPass))));
    assert_eq!((fetched(&mut client), client.next_timeout()), (None, None));
}

#[test]
fn only_the_last_word_on_what_waits_is_said() {
    let mut bridge = lane(Side::Bridge);
    [0, MUCH, MUCH, 40_000].into_iter().for_each(|bytes| bridge.set_waiting(bytes));
    let said = bridge.poll_frame().unwrap();
    assert_eq!((said.clone(), bridge.poll_frame()), (FileFrame::Waiting { bytes: 40_000 }, None));
    bridge.handle_lost(said.clone());
    assert_eq!(bridge.poll_frame(), Some(said.clone()));
    bridge.set_waiting(0);
    bridge.handle_lost(said);
    assert_eq!((bridge.poll_frame(), bridge.poll_frame()), (Some(FileFrame::Waiting { bytes: 0 }), None));
}

#[test]
fn a_frame_that_this_peer_cannot_send_is_a_violation() {
    let now = Instant::now();
    let slot = |size| FileFrame::Slot { file: 0, size, url: url("x"), headers: Vec::new() };
    let file = |size| FileFrame::File { file: 0, size, url: url("x") };
    for frame in [slot(65_536), file(65_536)] {
        assert_eq!(lane(Side::Client).handle_frame(now, frame.clone()), Err(Violation));
        assert!(lane(Side::Bridge).handle_frame(now, frame).is_ok());
    }
    for frame in [FileFrame::Waiting { bytes: 1 }, FileFrame::Stored { file: 0 }] {
        assert_eq!(lane(Side::Bridge).handle_frame(now, frame.clone()), Err(Violation));
        assert!(lane(Side::Client).handle_frame(now, frame).is_ok());
    }
    for frame in [slot(0), file(16), slot(1 << 40)] {
        assert_eq!(lane(Side::Bridge).handle_frame(now, frame), Err(Violation), "no file is so long");
    }
}

#[test]
fn a_word_about_a_file_that_nobody_knows_changes_nothing() {
    let now = Instant::now();
    let mut client = lane(Side::Client);
    client.handle_frame(now, FileFrame::Stored { file: 9 }).unwrap();
    client.handle_frame(now, end(9, 4, FileEndReason::Done)).unwrap();
    client.handle_slot(now, 9, slot());
    client.handle_end(now, 9, FileEndReason::Done);
    client.put(9, Vec::new());
    assert!(
        poll_task(&mut client).is_none() && client.poll_frame().is_none() && client.poll_report().is_none()
    );
}

#[test]
fn whoever_fetches_a_file_that_its_maker_gives_up_says_how_much_has_come() {
    let now = Instant::now();
    let (mut client, size) = awaiting_client(now);
    let (_, packets) = done_by_bridge(now, size);
    client.handle_frame(now, FileFrame::Stored { file: 0 }).unwrap();
    fetched(&mut client).unwrap();
    client.handle_bytes(0, &mut packets[0].clone()).unwrap();
    client.handle_frame(now, end(0, 0, FileEndReason::TooSlow)).unwrap();
    assert_eq!(client.poll_frame(), Some(end(0, 1, FileEndReason::TooSlow)));
    assert_eq!(client.poll_report(), Some((OURS, Report::Trouble(Trouble::MayPass))));
    client.handle_frame(now, end(0, 0, FileEndReason::TooSlow)).unwrap();
    assert!(client.poll_frame().is_none(), "it has said so");
}

#[test]
fn a_peer_that_takes_no_frames_gets_no_more_files_fetched() {
    let (mut bridge, now) = (lane(Side::Bridge), Instant::now());
    let mut count = 0;
    for file in 0..10_000 {
        bridge.handle_frame(now, FileFrame::File { file, size: 65_536, url: url("https://u/1") }).unwrap();
        while let Some((file, ..)) = fetched(&mut bridge) {
            bridge.handle_end(now, file, FileEndReason::BadUrl);
            count += 1;
        }
    }
    assert_eq!(count, MOST_FRAMES);
}

#[test]
fn of_a_service_that_is_left_no_slot_is_used_and_the_other_end_hears_which_ones_it_has() {
    let now = Instant::now();
    let (mut client, size) = awaiting_client(now);
    let mut bridge = lane(Side::Bridge);
    let size = size.bytes() as u64;
    bridge
        .handle_frame(now, FileFrame::Slot { file: 0, size, url: url("https://u/put"), headers: Vec::new() })
        .unwrap();
    client.leave(OURS);
    let told = client.poll_frame().unwrap();
    assert_eq!(told, end(0, 0, LEFT));
    bridge.handle_frame(now, told).unwrap();
    assert_eq!(bridge.best(now, MUCH), None);
    assert!(asked(&mut client, now).is_some(), "there is room for another when it has rested");
}

#[test]
fn an_answer_to_a_slot_that_was_left_changes_nothing_and_nobody_waits_for_it() {
    let (mut client, now) = (lane(Side::Client), Instant::now());
    client.set_waiting(MUCH);
    let (file, _) = asked(&mut client, now).unwrap();
    client.leave(OURS);
    assert!(matches!(poll_task(&mut client), Some(FileTask::Cancel { .. })));
    client.handle_slot(now, file, slot());
    assert!(client.poll_frame().is_none() && client.best(now, MUCH).is_none());
}

#[test]
fn a_bridge_whose_file_the_service_did_not_take_uses_none_of_its_other_slots() {
    let now = Instant::now();
    let (_, size) = awaiting_client(now);
    let (mut bridge, _) = put_by_bridge(now, size);
    let size = size.bytes() as u64;
    bridge
        .handle_frame(now, FileFrame::Slot { file: 1, size, url: url("https://u/2"), headers: Vec::new() })
        .unwrap();
    assert!(bridge.best(now, MUCH).is_some());
    bridge.handle_put(now, 0, Err(FileEndReason::Unreachable));
    assert!(bridge.best(now, MUCH).is_none());
}

#[test]
fn bulk_goes_by_files_either_way_and_comes_whole_in_a_fraction_of_the_time() {
    for (seed, pieces) in [(1, [0, 300]), (2, [300, 0]), (3, [150, 150]), (4, [20, 300])] {
        let all = pieces[0] + pieces[1];
        let world = World::new(seed, pieces, Luck { faults: 0, daily: usize::MAX }).run();
        let took = world.now - world.start;
        assert!(took < SLOW * all / 15, "{pieces:?} took {took:?}");
        assert!(world.by_file > all as usize * 3 / 4, "{} by file", world.by_file);
        assert!(world.asked < 3 * all as usize * PIECE, "{} were asked for", world.asked);
    }
}

#[test]
fn whatever_goes_wrong_everything_comes_whole() {
    for seed in 0..80 {
        let luck = Luck { faults: seed % 5 * 12, daily: 20_000_000 };
        World::new(seed, [60, 120], luck).run();
    }
}

#[test]
fn with_a_small_allowance_or_none_the_rest_goes_another_way() {
    for daily in [0, 65_536, 1_000_000] {
        let world = World::new(1, [0, 60], Luck { faults: 0, daily }).run();
        assert!(world.by_file * PIECE <= daily, "{} by file", world.by_file);
        assert_eq!(world.by_file > 0, daily > 0);
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let run = || {
        let world = World::new(7, [60, 120], Luck { faults: 20, daily: usize::MAX }).run();
        (world.now - world.start, world.count, world.asked)
    };
    assert_eq!(run(), run());
}
