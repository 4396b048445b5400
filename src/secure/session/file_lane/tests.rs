//! Tests of a session with files, beside a peer whose every word is the test's.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use bytes::Bytes;

use super::*;
use crate::protocol::CloseReason;
use crate::secure::api::files::SlotOwner;
use crate::secure::crypto::entropy::testing::Seeded;
use crate::secure::session::testing::{OURS, Peer, World};
use crate::secure::session::{LastWord, SessionEvent};
use crate::secure::shared::uploads::allowance::Allowance;
use crate::secure::wire::file_frame::{FileFrame, FileUrl};

fn url() -> FileUrl {
    FileUrl::new("https://upload.example/1").unwrap()
}

/// The peer says this about files.
fn says(world: &mut World, peer: &mut Peer, frame: FileFrame) {
    peer.established.files_mut().unwrap().lane.handle_lost(frame);
    let packet = peer.established.next_packet(world.now, peer.path, 4096, &mut world.entropy).unwrap();
    world.gets(peer, packet.to_vec());
}

fn is_violated(world: &mut World) -> bool {
    matches!(world.last_event(), Some(SessionEvent::Ended(CloseReason::ProtocolViolation, _)))
}

/// The peer, a client, has put a file with these frames, and the bridge fetches it.
fn with_file(frames: &[u8]) -> (World, u64, Bytes) {
    let (mut world, mut peer) = World::established_bridge();
    let lane = &mut peer.established.files_mut().unwrap().lane;
    lane.set_waiting(100_000);
    let allowance = &mut Allowance::new(usize::MAX, None);
    let (number, size) = lane.poll_slot(world.now, (OURS, allowance), &mut Seeded(1)).unwrap();
    lane.handle_slot(world.now, number, Slot { put: url(), headers: Vec::new(), get: url() });
    let packet = lane.begin(world.now, number, 60_000).unwrap().seal(frames.to_vec()).unwrap();
    let frame = FileFrame::File { file: number, size: size.bytes() as u64, url: url() };
    says(&mut world, &mut peer, frame);
    let task = world.session.poll_file_task();
    let client = world.session.client().cloned().unwrap();
    let expected = SlotOwner::Client(client);
    assert!(matches!(task, Some(FileTask::Get { owner, .. }) if owner == expected));
    (world, number, packet)
}

#[test]
fn a_frame_about_files_is_a_violation_where_they_were_not_agreed_on() {
    let stored = FileFrame::Stored { file: 0 };
    let (mut world, mut peer) = World::established_client();
    says(&mut world, &mut peer, stored.clone());
    assert!(!is_violated(&mut world));
    world.session.state.established_mut().unwrap().forget_files();
    says(&mut world, &mut peer, stored);
    assert!(is_violated(&mut world));
}

#[test]
fn what_a_peer_of_this_side_cannot_say_is_a_violation() {
    let (mut world, mut peer) = World::established_bridge();
    says(&mut world, &mut peer, FileFrame::Stored { file: 0 });
    assert!(is_violated(&mut world));
}

#[test]
fn a_frame_that_was_lost_with_its_path_goes_again() {
    let (mut world, peer) = World::established_bridge();
    let established = world.session.state.established_mut().unwrap();
    established.files_mut().unwrap().lane.set_waiting(100_000);
    for _ in 0..2 {
        assert!(established.wants_to_send(world.now));
        established.next_packet(world.now, peer.path, 1024, &mut world.entropy).unwrap();
        assert_eq!(established.files().unwrap().lane.next_frame_len(), None);
        established.requeue_sent_by(peer.path);
        assert!(established.files().unwrap().lane.next_frame_len().is_some());
    }
}

#[test]
fn a_frame_waits_for_a_block_that_holds_it() {
    let (mut world, peer) = World::established_bridge();
    let established = world.session.state.established_mut().unwrap();
    let long = FileUrl::new(&"a".repeat(1500)).unwrap();
    established.files_mut().unwrap().lane.handle_lost(FileFrame::File { file: 0, size: 64, url: long });
    let room = established.room_for_file_frame();
    assert!((1500..2048).contains(&room), "{room}");
    established.next_packet(world.now, peer.path, 1024, &mut world.entropy);
    assert!(established.files().unwrap().lane.next_frame_len().is_some());
    established.next_packet(world.now, peer.path, room, &mut world.entropy).unwrap();
    assert_eq!(established.files().unwrap().lane.next_frame_len(), None);
}

#[test]
fn bytes_of_streams_come_by_a_file() {
    // DATA of stream 0 from offset 0 on, before its OPEN.
    let (mut world, number, packet) = with_file(&[5, 0, 0, 5, b'h', b'e', b'l', b'l', b'o']);
    assert!(world.session.handle_file_bytes(world.now, number, packet, &mut world.shared));
    assert_eq!(world.session.streams().unwrap().buffered_bytes(), 5);
    assert!(world.last_event().is_none_or(|event| !matches!(event, SessionEvent::Ended(..))));
}

#[test]
fn anything_but_data_in_a_file_is_a_violation() {
    let (mut world, number, packet) = with_file(&[1]);
    assert!(!world.session.handle_file_bytes(world.now, number, packet, &mut world.shared));
    assert!(is_violated(&mut world));
}

#[test]
fn a_file_that_was_damaged_is_not_read_on_and_its_maker_hears_of_it() {
    let (mut world, number, packet) = with_file(&[]);
    let mut damaged = packet.to_vec();
    damaged[7] ^= 1;
    assert!(!world.session.handle_file_bytes(world.now, number, damaged.into(), &mut world.shared));
    let lane = &mut world.session.files_mut().unwrap().lane;
    let reason = FileEndReason::Damaged;
    assert_eq!(lane.poll_frame(), Some(FileFrame::FileEnd { file: number, packets: 0, reason }));
    assert!(!world.session.handle_file_bytes(world.now, number, packet, &mut world.shared), "it is over");
}

#[test]
fn what_is_to_be_done_for_a_session_that_is_over_is_cancelled() {
    let (world, number, _) = with_file(&[]);
    let World { session, mut shared, now, .. } = world;
    let key = FileKey { session: session.key, number };
    assert_eq!(session.busy_files(), [key]);
    let closed = session.close(now, CloseReason::Finished, LastWord::Theirs, &mut shared);
    assert_eq!(closed.files, [key]);
}

#[test]
fn what_is_kept_of_files_is_charged() {
    let (mut world, number, _) = with_file(&[]);
    let before = world.session.usage();
    world.session.note_usage(&mut world.shared);
    let after = world.session.usage();
    assert!(after.received > before.received + 16_000, "{after:?}");
    world.session.handle_file_end(world.now, number, FileEndReason::Missing, &mut world.shared);
    world.session.files_mut().unwrap().lane.poll_frame().unwrap();
    world.session.note_usage(&mut world.shared);
    assert!(world.session.usage().received < after.received - 16_000);
}
