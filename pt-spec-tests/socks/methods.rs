//! Row 23: versions and methods.

use std::io::{Read as _, Write as _};

use super::{GENERAL_FAILURE, TO_AN_ADDRESS, authenticate, connect, credentials, is_closed, offer, request};
use crate::child::Launch;

const NONE: u8 = 0xff;

#[test]
fn row_23_arguments_are_preferred_wherever_they_stand_and_none_are_accepted() {
    let child = Launch::client().start();
    let everything: Vec<u8> = (0..255).collect();
    for (offered, chosen) in [
        (&[0u8, 2][..], 2),
        (&[2, 0], 2),
        (&[2], 2),
        (&[0], 0),
        (&[0, 0], 0),
        (&[1, 0x80, 2], 2),
        (&[2, 1, 0], 2),
        (&[3, 0, 1], 0),
        (&everything, 2),
        (&[1], NONE),
        (&[1, 0x80, 0xfe], NONE),
        (&[], NONE),
    ] {
        let (mut stream, method) = offer(child.socks(), offered).unwrap();
        assert_eq!(method, chosen, "{offered:?}");
        assert!(chosen != NONE || is_closed(&mut stream), "{offered:?}");
    }
}

#[test]
fn row_23_without_arguments_the_request_follows_at_once() {
    let child = Launch::client().start();
    let (mut stream, _) = offer(child.socks(), &[0]).unwrap();
    // There is neither a bridge nor an account.
    assert_eq!(request(&mut stream, &TO_AN_ADDRESS), GENERAL_FAILURE);
    let line = child.says("LOG SEVERITY=warning ");
    assert!(line.contains("bridge line") && line.contains("jid"), "{line}");
}

#[test]
fn row_23_credentials_are_never_judged() {
    let child = Launch::client().start();
    for (name, password) in [
        (&b"name"[..], &b"password"[..]),
        (b"", b""),
        (b"\0", b"\0"),
        (b"\xff\xfe", b"\xc3"),
        (&[b'\\'; 255], &[b'='; 255]),
    ] {
        let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
        authenticate(&mut stream, &credentials(name, password));
        assert_eq!(request(&mut stream, &TO_AN_ADDRESS), GENERAL_FAILURE, "{name:?}");
    }
}

#[test]
fn row_23_whoever_does_not_speak_socks5_is_left_without_an_answer() {
    let child = Launch::client().start();
    let hello = [22, 3, 1, 0, 4, 1, 0, 0, 0];
    for stranger in [
        &[4u8, 1, 0, 80, 127, 0, 0, 1, 0][..],
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n",
        &hello,
        &[0],
        &[6, 1, 0],
    ] {
        let mut stream = connect(child.socks());
        // It may be closed already.
        let _ = stream.write_all(stranger);
        assert!(is_closed(&mut stream), "{stranger:?}");
    }
    let line = child.says("LOG SEVERITY=warning ");
    assert!(line.contains("does not speak SOCKS5"), "{line}");
}

#[test]
fn row_23_credentials_of_another_version_are_refused() {
    let child = Launch::client().start();
    for version in [0, 2, 5, 255] {
        let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
        stream.write_all(&[version, 1, b'a', 1, b'b']).unwrap();
        let mut status = [0; 2];
        stream.read_exact(&mut status).unwrap();
        assert!(status[0] == 1 && status[1] != 0, "{status:?}");
        assert!(is_closed(&mut stream), "{version}");
    }
}
