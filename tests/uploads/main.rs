//! Files at the upload services of real chat servers: found, asked for slots, put and fetched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../chat_server/mod.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod chat_server;
mod client;

use std::collections::BTreeSet;

use client::{Client, DAILY, Lab, MAX_FILE};
use futures_util::future::join_all;
use hexchat_lab::{Kind, on_both_servers};
use hexchat_pt::carrier::upload::refusal::Refusal;
use hexchat_pt::carrier::upload::slot::file_name;
use hexchat_pt::xmpp::transfer::fault::{Doing, Fault};

/// The size of most files: 200 kB.
const SIZE: usize = 200_000;

/// So many bytes, another file for each `seed`.
fn content(seed: u8, size: usize) -> Vec<u8> {
    (0..size).map(|n| (n as u8).wrapping_mul(31) ^ (n >> 8) as u8 ^ seed).collect()
}

async fn the_upload_service_is_found_with_its_limit(kind: Kind) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    let service = client.discover().await.expect("a service");
    assert_eq!(service.jid.to_string(), hexchat_lab::server::UPLOAD);
    assert_eq!(service.max_file_size, Some(MAX_FILE.into()));
}

async fn a_server_without_one_is_said_to_have_none(kind: Kind) {
    let lab = Lab::without_uploads(kind);
    let mut client = Client::online(&lab).await;
    assert_eq!(client.discover().await, None);
}

async fn what_was_put_in_pieces_is_fetched_as_it_was(kind: Kind) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    let file = content(1, SIZE);
    let slot = client.slot(SIZE).await.unwrap();
    client.put(&slot, &file, 16 * 1024).await.unwrap();
    assert_eq!(client.get(&slot, SIZE).await.unwrap(), file);
}

async fn a_file_is_not_there_before_it_was_put_and_cannot_be_put_twice(kind: Kind) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    let slot = client.slot(SIZE).await.unwrap();
    let missing = client.get(&slot, SIZE).await.unwrap_err();
    assert!(matches!(missing.fault, Fault::Missing(_)) && missing.doing == Doing::Getting, "{missing}");
    client.put(&slot, &content(1, SIZE), SIZE).await.unwrap();
    let again = client.put(&slot, &content(2, SIZE), SIZE).await.unwrap_err();
    assert!(matches!(again.fault, Fault::Missing(_)) && again.doing == Doing::Putting, "{again}");
    assert_eq!(client.get(&slot, SIZE).await.unwrap(), content(1, SIZE), "the first stays");
}

async fn a_file_that_is_too_large_is_refused_with_the_limit(kind: Kind) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    let refused = client.slot(MAX_FILE as usize + 1).await.unwrap_err();
    assert_eq!(refused, Refusal::TooLarge { limit: Some(MAX_FILE.into()) });
}

async fn a_file_of_another_size_than_its_slot_is_not_taken_nor_one_of_another_size_fetched(kind: Kind) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    let slot = client.slot(SIZE).await.unwrap();
    let refused = client.put(&slot, &content(1, SIZE + 1), 1000).await.unwrap_err();
    assert!(matches!(refused.fault, Fault::Refused(_) | Fault::Missing(_)), "{refused}");
    let slot = client.slot(SIZE).await.unwrap();
    client.put(&slot, &content(1, SIZE), SIZE).await.unwrap();
    assert_eq!(client.get(&slot, SIZE - 1).await.unwrap_err().fault, Fault::Length);
}

async fn files_one_after_the_other_take_a_connection_to_put_them_and_one_to_fetch_them_and_at_once_one_each(
    kind: Kind,
) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    for seed in 0..3 {
        let slot = client.slot(SIZE).await.unwrap();
        client.put(&slot, &content(seed, SIZE), SIZE).await.unwrap();
        assert_eq!(client.get(&slot, SIZE).await.unwrap(), content(seed, SIZE));
    }
    assert_eq!(client.dialled(), 2);
    let mut slots = Vec::new();
    for _ in 0..4 {
        slots.push(client.slot(SIZE).await.unwrap());
    }
    let file = content(9, SIZE);
    for put in join_all(slots.iter().map(|slot| client.put(slot, &file, 10_000))).await {
        put.unwrap();
    }
    for got in join_all(slots.iter().map(|slot| client.get(slot, SIZE))).await {
        assert_eq!(got.unwrap(), file);
    }
    assert_eq!(client.dialled(), 8, "the two that were there, and three more of each");
}

async fn a_service_whose_certificate_nobody_vouches_for_gets_no_file(kind: Kind) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    let slot = client.slot(SIZE).await.unwrap();
    client.trust_public_authorities_alone();
    assert_eq!(client.put(&slot, &content(1, SIZE), SIZE).await.unwrap_err().fault, Fault::Tls);
    assert_eq!(client.get(&slot, SIZE).await.unwrap_err().fault, Fault::Tls);
}

async fn who_does_not_show_what_the_slot_says_may_not_put(kind: Kind) {
    let lab = Lab::start(kind);
    let mut client = Client::online(&lab).await;
    let mut slot = client.slot(SIZE).await.unwrap();
    slot.headers.clear();
    // Where the URL is all the permission that there is, another one is none.
    let at = slot.put.len() - "/0123456789.jpg".len();
    slot.put.replace_range(at..at + 1, "/x");
    let refused = client.put(&slot, &content(1, SIZE), SIZE).await.unwrap_err();
    assert!(matches!(refused.fault, Fault::Missing(_) | Fault::Refused(_)), "{refused}");
}

on_both_servers! {
    async fn the_upload_service_is_found_with_its_limit;
    async fn a_server_without_one_is_said_to_have_none;
    async fn what_was_put_in_pieces_is_fetched_as_it_was;
    async fn a_file_is_not_there_before_it_was_put_and_cannot_be_put_twice;
    async fn a_file_that_is_too_large_is_refused_with_the_limit;
    async fn a_file_of_another_size_than_its_slot_is_not_taken_nor_one_of_another_size_fetched;
    async fn files_one_after_the_other_take_a_connection_to_put_them_and_one_to_fetch_them_and_at_once_one_each;
    async fn a_service_whose_certificate_nobody_vouches_for_gets_no_file;
    async fn who_does_not_show_what_the_slot_says_may_not_put;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_used_up_by_slots_that_nobody_uses_and_then_nothing_is_given() {
    let lab = Lab::start(Kind::Prosody);
    let mut client = Client::online(&lab).await;
    let slots = DAILY / MAX_FILE;
    for _ in 0..slots {
        client.slot(MAX_FILE as usize).await.unwrap();
    }
    for size in [MAX_FILE as usize, 1] {
        assert_eq!(client.slot(size).await.unwrap_err(), Refusal::Quota { retry: None });
    }
}

#[test]
fn no_two_files_have_the_same_name() {
    let names: BTreeSet<String> = (0..100).map(|_| file_name(rand::random())).collect();
    assert_eq!(names.len(), 100);
    assert!(names.iter().all(|name| name.len() == 28 && name.ends_with(".jpg")));
}
