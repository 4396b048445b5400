//! Tests of credentials: which are good for what, and that no other is.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use proptest::prelude::*;

use super::*;
use crate::secure::crypto::line::BridgeLine;

/// A minute of the year 2026.
const NOW: u64 = 29_860_123;

fn line(key: u8, psk: Option<u8>) -> LineKeys {
    LineKeys::new(&BridgeLine::new([key; 32], psk.map(|byte| [byte; 32])))
}

fn path_key(byte: u8) -> PathKey {
    PathKey::new(&Secret::new([byte; 32]))
}

fn jid(text: &str) -> FullJid {
    FullJid::new(text).unwrap()
}

fn jids() -> (FullJid, FullJid) {
    (jid("a@x.example/r"), jid("b@y.example/s"))
}

#[test]
fn a_first_contact_is_good_for_ten_minutes_either_way() {
    let (from, to) = jids();
    let credential = line(1, None).first_contact(9, NOW, &from, &to);
    let check = |now| line(1, None).check_first_contact(&credential, now, &from, &to);
    for now in NOW - 10..=NOW + 10 {
        assert_eq!(check(now), Some(NOW));
    }
    for now in [NOW - 11, NOW + 11, NOW - 32_768, NOW + 32_768, 0, u64::MAX] {
        assert_eq!(check(now), None, "{now}");
    }
}

#[test]
fn a_first_contact_is_not_good_again_when_its_low_bits_come_round() {
    let (from, to) = jids();
    let credential = line(1, None).first_contact(9, NOW, &from, &to);
    for rounds in 1..4 {
        assert_eq!(line(1, None).check_first_contact(&credential, NOW + (rounds << 16), &from, &to), None);
        assert_eq!(line(1, None).check_first_contact(&credential, NOW - (rounds << 16), &from, &to), None);
    }
}

#[test]
fn the_window_goes_across_the_wrap_of_the_low_bits() {
    let (from, to) = jids();
    let wrap = 456 << 16;
    for (minute, now) in [(wrap - 1, wrap + 9), (wrap + 9, wrap - 1), (wrap, wrap - 10), (wrap - 10, wrap)] {
        let credential = line(1, None).first_contact(9, minute, &from, &to);
        assert_eq!(line(1, None).check_first_contact(&credential, now, &from, &to), Some(minute));
    }
    let credential = line(1, None).first_contact(9, wrap + 9, &from, &to);
    assert_eq!(line(1, None).check_first_contact(&credential, wrap - 2, &from, &to), None);
}

#[test]
fn a_credential_is_good_for_one_line_or_session_and_one_pair_of_accounts() {
    let (from, to) = jids();
    let elsewhere = jid("a@x.example/R");
    let first = line(1, None).first_contact(9, NOW, &from, &to);
    for other in [line(2, None), line(1, Some(0)), line(1, Some(3))] {
        assert_eq!(other.check_first_contact(&first, NOW, &from, &to), None);
    }
    let further = path_key(1).credential(9, &from, &to);
    assert_eq!(path_key(2).check(&further, &from, &to), None);
    for (a, b) in [(&elsewhere, &to), (&from, &elsewhere), (&to, &from)] {
        assert_eq!(line(1, None).check_first_contact(&first, NOW, a, b), None);
        assert_eq!(path_key(1).check(&further, a, b), None);
    }
}

#[test]
fn the_two_kinds_are_not_good_for_each_other_even_with_one_key() {
    let (from, to) = jids();
    let keys = line(1, None);
    let path_key = PathKey(keys.first_contact.clone());
    assert_eq!(path_key.check(&keys.first_contact(9, NOW, &from, &to), &from, &to), None);
    let value = first_contact_value(9, NOW);
    let further = path_key.credential(value, &from, &to);
    assert_eq!(keys.check_first_contact(&further, NOW, &from, &to), None);
}

#[test]
fn every_free_bit_counts() {
    let (from, to) = jids();
    let first = line(1, None).first_contact(9, NOW, &from, &to);
    let further = path_key(1).credential(9, &from, &to);
    for bit in 0..128 {
        let flipped =
            |credential: Credential| Credential((u128::from_be_bytes(credential.0) ^ 1 << bit).to_be_bytes());
        // Six bits say that it is a UUID of version 4; a text with others does not parse.
        if flipped(first).to_string().parse::<Credential>().is_ok() {
            assert_eq!(line(1, None).check_first_contact(&flipped(first), NOW, &from, &to), None, "{bit}");
            assert_eq!(path_key(1).check(&flipped(further), &from, &to), None, "{bit}");
        } else {
            assert!((76..80).contains(&bit) || (62..64).contains(&bit), "{bit}");
        }
    }
}

#[test]
fn nothing_in_a_credential_stays_the_same_from_one_to_the_next() {
    let (from, to) = jids();
    let credentials: Vec<_> = (0..400).map(|number| path_key(1).credential(number, &from, &to)).collect();
    for bit in (0..128).filter(|bit| !(76..80).contains(bit) && !(62..64).contains(bit)) {
        let ones =
            credentials.iter().filter(|credential| u128::from_be_bytes(credential.0) >> bit & 1 == 1).count();
        assert!((120..=280).contains(&ones), "bit {bit}: {ones} of 400");
    }
}

#[test]
fn other_spellings_and_other_uuids_are_not_credentials() {
    let good = "9dd5eb31-8f0d-48de-ae5e-c385f4f7fc8a";
    assert_eq!(good.parse::<Credential>().unwrap().to_string(), good);
    for bad in [
        "",
        "9DD5EB31-8f0d-48de-ae5e-c385f4f7fc8a",
        "9dd5eb318f0d48deae5ec385f4f7fc8a",
        "9dd5eb31-8f0d-48de-ae5e-c385f4f7fc8",
        "9dd5eb31-8f0d-48de-ae5e-c385f4f7fc8a0",
        "9dd5eb31-8f0d-48de-ae5e-c385f4f7fc8g",
        "9dd5eb31-8f0d-48de-ae5ec-385f4f7fc8a",
        " 9dd5eb31-8f0d-48de-ae5e-c385f4f7fc8a",
        "{9dd5eb31-8f0d-48de-ae5e-c385f4f7fc8a}",
        "+dd5eb31-8f0d-48de-ae5e-c385f4f7fc8a",
        "9dd5eb31-8f0d-18de-ae5e-c385f4f7fc8a",
        "9dd5eb31-8f0d-48de-ce5e-c385f4f7fc8a",
        "9dd5eb31-8f0d-48de-2e5e-c385f4f7fc8a",
    ] {
        assert_eq!(bad.parse::<Credential>(), Err(NotACredential), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_first_contact_is_recognised(nonce in any::<u32>(), minute in 10..1u64 << 38, late in -10..=10i64) {
        let (from, to) = jids();
        let credential = line(1, Some(2)).first_contact(nonce, minute, &from, &to);
        prop_assert_eq!(credential.to_string().parse(), Ok(credential));
        let now = minute.checked_add_signed(late).unwrap();
        prop_assert_eq!(line(1, Some(2)).check_first_contact(&credential, now, &from, &to), Some(minute));
    }

    #[test]
    fn any_path_number_is_recognised(number in 0..1u64 << 42) {
        let (from, to) = jids();
        let credential = path_key(1).credential(number, &from, &to);
        prop_assert_eq!(credential.to_string().parse(), Ok(credential));
        prop_assert_eq!(path_key(1).check(&credential, &from, &to), Some(number));
    }

    #[test]
    fn tag_and_field_come_apart_as_they_were_put_together(tag in any::<Tag>(), field in 0..1u64 << 42) {
        prop_assert_eq!(Credential::pack(tag, field).unpack(), (tag, field));
    }

    #[test]
    fn any_text_is_a_credential_or_not(text in any::<String>(), now in any::<u64>(), bits in any::<u128>()) {
        let (from, to) = jids();
        prop_assert_eq!(text.parse::<Credential>(), Err(NotACredential));
        prop_assert_eq!(line(1, None).check_first_contact(&Credential(bits.to_be_bytes()), now, &from, &to), None);
    }
}
