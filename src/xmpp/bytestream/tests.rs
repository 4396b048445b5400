//! Tests of connections to a proxy that says what it is told to.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::future::pending;
use std::sync::Mutex;

use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::xmpp::dialer::Dialer;
use crate::xmpp::place::{Hosts, Reach};

const ADDRESS: [u8; ADDRESS_BYTES] = [0xab; ADDRESS_BYTES];

fn place(port: u16) -> Place {
    Place::new("localhost", port, &Hosts::of_domains(["localhost"])).unwrap()
}

/// Dials the proxy, whose end this is.
fn proxied() -> (PlaceDialer, DuplexStream) {
    let (near, far) = duplex(256);
    let near = Mutex::new(Some(near));
    let dialer = Dialer::through(move |_, _| {
        let near = near.lock().unwrap().take();
        Box::pin(async { near.map(Socket::new).ok_or(AccountError::Refused) })
    });
    (PlaceDialer::new(&dialer, Reach::Public), far)
}

/// What comes of a connection where the proxy answers so: to the greeting, and to the request.
async fn outcome(to_greeting: &[u8], to_request: &[u8]) -> Result<Vec<u8>, BytestreamError> {
    let (dialer, mut proxy) = proxied();
    let at = place(7777);
    let serve = async {
        let mut greeting = [0; 3];
        proxy.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 0]);
        proxy.write_all(to_greeting).await.unwrap();
        if to_greeting == [5, 0] {
            let mut request = [0; 47];
            proxy.read_exact(&mut request).await.unwrap();
            let expected = [&[5, 1, 0, 3, 40], "ab".repeat(20).as_bytes(), &[0, 0]].concat();
            assert_eq!(request[..], expected[..]);
            proxy.write_all(to_request).await.unwrap();
        }
        drop(proxy);
    };
    let (connected, ()) = tokio::join!(connect(&dialer, &at, ADDRESS), serve);
    let mut rest = Vec::new();
    connected?.read_to_end(&mut rest).await.unwrap();
    Ok(rest)
}

#[tokio::test]
async fn the_proxy_is_asked_for_the_address_in_two_pieces_and_what_follows_its_answer_is_the_bytestreams() {
    let name = [&[5, 0, 0, 3, 2], &b"ab"[..], &[0, 0], b"hello"].concat();
    let v4 = [&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0], &b"hello"[..]].concat();
    let v6 = [&[5, 0, 0, 4][..], &[0; 18], b"hello"].concat();
    for answer in [name, v4, v6] {
        assert_eq!(outcome(&[5, 0], &answer).await.unwrap(), b"hello", "{answer:?}");
    }
}

#[tokio::test]
async fn what_the_proxy_refuses_is_told_from_what_is_no_answer() {
    for (to_greeting, to_request, expected) in [
        (&[5, 0xff][..], &[][..], BytestreamError::Login),
        (&[5, 2], &[], BytestreamError::Nonsense),
        (&[4, 0], &[], BytestreamError::Nonsense),
        (b"HTTP/1.1 400", &[], BytestreamError::Nonsense),
        (&[5], &[], BytestreamError::Closed),
        (&[5, 0], &[5, 1, 0, 3, 0, 0, 0], BytestreamError::Refused(1)),
        (&[5, 0], &[5, 0xee, 0, 3, 0, 0, 0], BytestreamError::Refused(0xee)),
        (&[5, 0], &[5, 0, 0, 9, 0], BytestreamError::Nonsense),
        (&[5, 0], &[0, 0, 0, 1], BytestreamError::Nonsense),
        (&[5, 0], &[5, 0, 0, 3, 255, 0], BytestreamError::Closed),
        (&[5, 0], &[], BytestreamError::Closed),
    ] {
        assert_eq!(outcome(to_greeting, to_request).await.unwrap_err(), expected, "{to_request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_not_reached_or_says_nothing_is_given_up_in_time() {
    let nobody = PlaceDialer::new(&Dialer::through(|_, _| Box::pin(pending())), Reach::Public);
    let (silent, _proxy) = proxied();
    for (dialer, patience) in [(nobody, CONNECTING), (silent, ASKING)] {
        let start = Instant::now();
        let error = connect(&dialer, &place(7777), ADDRESS).await.unwrap_err();
        assert_eq!(error, BytestreamError::TimedOut);
        assert!(start.elapsed() <= patience + Duration::from_millis(10), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn this_machine_is_dialled_only_where_it_is_listed_or_everything_may_be() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let direct = |reach| PlaceDialer::new(&Dialer::direct(), reach);
    let refused = connect(&direct(Reach::Public), &place(port), ADDRESS).await.unwrap_err();
    assert_eq!(refused, BytestreamError::NoAddress);
    let listed = Hosts::default().and(["127.0.0.1".to_owned()]);
    let listed = Place::new("127.0.0.1", port, &listed).unwrap();
    for (reach, place) in [(Reach::Anywhere, &place(port)), (Reach::Public, &listed)] {
        let dialer = direct(reach);
        let (outcome, accepted) =
            tokio::join!(connect(&dialer, place, ADDRESS), async { drop(listener.accept().await.unwrap()) });
        assert_eq!((outcome.unwrap_err(), accepted), (BytestreamError::Closed, ()), "otherwise it is");
    }
}

#[tokio::test]
async fn a_proxy_that_takes_no_connections_is_unreachable() {
    let dialer = Dialer::through(|_, _| Box::pin(async { Err(AccountError::Refused) }));
    let dialer = PlaceDialer::new(&dialer, Reach::Public);
    let error = connect(&dialer, &place(7777), ADDRESS).await.unwrap_err();
    assert_eq!(error, BytestreamError::Unreachable);
}
