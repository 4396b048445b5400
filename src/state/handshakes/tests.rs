//! Tests of the replay log on the disk.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::fs;

use proptest::prelude::*;

use super::super::{StateDir, StateError};
use super::*;
use crate::os::testing::mode;

const NOW: u64 = 29_860_123;

fn sid(n: u64) -> [u8; 16] {
    (u128::from(n) << 64 | 7).to_be_bytes()
}

fn remember(state: &StateDir, n: u64, minute: u64, now: u64) -> Verdict {
    state.remember_handshake(sid(n), minute, now).unwrap()
}

fn lines(directory: &Path) -> usize {
    fs::read_to_string(directory.join(HANDSHAKES_FILE)).unwrap().lines().count()
}

#[test]
fn a_handshake_is_new_once_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..3 {
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(remember(&state, n, NOW, NOW), Verdict::New);
        assert!((0..=n).all(|known| remember(&state, known, NOW, NOW) == Verdict::Replay));
    }
    assert_eq!(mode(&dir.path().join(HANDSHAKES_FILE)), 0o600);
}

#[test]
fn it_is_in_the_file_before_it_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    for n in 0..20 {
        assert_eq!(remember(&state, n, NOW, NOW), Verdict::New);
        let file = Handshakes::read(dir.path()).unwrap();
        assert!(
            file.log.iter().any(|known| *known == (NOW, sid(n)))
                && file.log.len() == usize::try_from(n).unwrap() + 1
        );
    }
}

#[test]
fn a_handshake_is_kept_for_as_long_as_it_could_be_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    remember(&state, 0, NOW + 10, NOW);
    assert_eq!(remember(&state, 0, NOW + 10, NOW + 20), Verdict::Replay);
    assert_eq!(remember(&state, 1, NOW + 21, NOW + 21), Verdict::New);
    assert_eq!(state.handshakes().log.len(), 1);
}

#[test]
fn the_file_does_not_grow_with_what_is_past() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let mut longest = 0;
    for n in 0..400 {
        remember(&state, n, NOW + n, NOW + n);
        longest = longest.max(lines(dir.path()));
    }
    assert!((MIN_GARBAGE..MIN_GARBAGE + 30).contains(&longest), "{longest}");
    let state = {
        drop(state);
        StateDir::open(dir.path()).unwrap()
    };
    assert_eq!(remember(&state, 399, NOW + 399, NOW + 399), Verdict::Replay);
}

#[test]
fn half_a_line_that_a_crash_left_is_no_handshake_and_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let whole = format!("{FORMAT}\n{}", line((NOW, sid(0))));
    for half in [&b"2986"[..], b"29860123 00", b"\0\0\0\0", b"\xff"] {
        fs::write(dir.path().join(HANDSHAKES_FILE), [whole.as_bytes(), half].concat()).unwrap();
        for _restart in 0..2 {
            let state = StateDir::open(dir.path()).unwrap();
            assert_eq!(remember(&state, 0, NOW, NOW), Verdict::Replay);
            remember(&state, 1, NOW, NOW);
        }
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(remember(&state, 1, NOW, NOW), Verdict::Replay);
    }
}

#[test]
fn a_damaged_file_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["\n", "other\n", "hexchat-pt handshakes 1\n1 2\n", "hexchat-pt handshakes 1\n\n", "\0\n"] {
        fs::write(dir.path().join(HANDSHAKES_FILE), text).unwrap();
        let error = StateDir::open(dir.path()).expect_err(text);
        assert!(matches!(error, StateError::DamagedHandshakes { .. }), "{error}");
        assert!(error.advice().contains("move it away"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join(HANDSHAKES_FILE)).unwrap(), text);
    }
    fs::write(dir.path().join(HANDSHAKES_FILE), "hexchat-pt handshakes 2\nx\n").unwrap();
    assert!(matches!(StateDir::open(dir.path()), Err(StateError::TooNew(_))));
}

#[test]
fn nothing_is_accepted_that_cannot_be_written_and_it_is_found_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    // A directory in the place of the file: no rename can replace it, whoever asks.
    let obstacle = dir.path().join(HANDSHAKES_FILE);
    fs::create_dir(&obstacle).unwrap();
    assert!(matches!(state.remember_handshake(sid(0), NOW, NOW), Err(StateError::NotAFile(_))));
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(remember(&state, 0, NOW, NOW), Verdict::Replay);
    assert_eq!(remember(&state, 1, NOW, NOW), Verdict::New);
    drop(state);
    assert_eq!(remember(&StateDir::open(dir.path()).unwrap(), 0, NOW, NOW), Verdict::Replay);
}

#[test]
fn a_state_in_memory_accepts_nothing() {
    let state = StateDir::ephemeral(StateError::Nowhere);
    assert!(matches!(state.remember_handshake(sid(0), NOW, NOW), Err(StateError::NotKept)));
}

#[test]
fn there_are_never_more_than_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let known = (0..MAX_HANDSHAKES as u64).map(|n| (NOW, sid(n))).collect();
    let mut handshakes = Handshakes::of(known);
    let mut remember = |n, minute, now| handshakes.remember(dir.path(), (minute, sid(n)), now);
    assert!(matches!(remember(u64::MAX, NOW, NOW), Err(StateError::TooManyHandshakes)));
    assert_eq!(remember(0, NOW, NOW).unwrap(), Verdict::Replay);
    assert_eq!(remember(u64::MAX, NOW + 11, NOW + 11).unwrap(), Verdict::New);
}

#[test]
fn the_longest_file_can_be_read_again() {
    let most = FORMAT.len() + (2 * MAX_HANDSHAKES + MIN_GARBAGE + 2) * line((u64::MAX, [0xff; 16])).len();
    assert!(most < 16 << 20, "{most}");
}

#[test]
fn a_clock_that_jumps_ahead_and_back_makes_nothing_new_that_was_forgotten_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = StateDir::open(dir.path()).unwrap();
    for n in 0..10 {
        assert_eq!(remember(&state, n, NOW + n, NOW + 10), Verdict::New);
    }
    drop(state);
    state = StateDir::open(dir.path()).unwrap();
    assert_eq!(remember(&state, 10, NOW + 60, NOW + 60), Verdict::New, "an hour ahead");
    for _restart in 0..3 {
        for n in 0..10 {
            assert_eq!(remember(&state, n, NOW + n, NOW + 10), Verdict::Forgotten);
        }
        assert_eq!(remember(&state, 10, NOW + 60, NOW + 60), Verdict::Replay);
        drop(state);
        state = StateDir::open(dir.path()).unwrap();
    }
    assert_eq!(remember(&state, 11, NOW + 10, NOW + 10), Verdict::New, "nobody is locked out for long");
}

#[test]
fn after_handshakes_by_a_clock_that_was_ahead_it_is_known_how_long_others_have_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    remember(&state, 1, NOW + 600, NOW + 600);
    remember(&state, 2, NOW + 660, NOW + 660);
    assert_eq!(remember(&state, 3, NOW, NOW), Verdict::Forgotten);
    assert_eq!(state.minutes_locked(NOW), Some(601));
    assert_eq!(state.minutes_locked(NOW + 601), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(known: BTreeSet<Handshake>) {
        let text: String = known.iter().map(|handshake| line(*handshake)).collect();
        let read = parse(format!("{FORMAT}\n{text}").as_bytes(), Path::new("")).unwrap();
        prop_assert_eq!(read, known);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[0-9a-f \n]{0,200}") {
        let _ = (parse(&bytes, Path::new("")), parse(format!("{FORMAT}\n{text}").as_bytes(), Path::new("")));
    }
}
