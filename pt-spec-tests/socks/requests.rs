//! Row 24: what a request may look like.

use super::{
    ADDRESS_NOT_SUPPORTED, COMMAND_NOT_SUPPORTED, GENERAL_FAILURE, NOT_ALLOWED, as_tor_does, authenticate,
    is_closed, offer, request,
};
use crate::child::{Child, Launch};
use crate::socks::replies::refusing;

/// The code for a request with arguments whose login is refused at once.
fn code_for(child: &Child, arguments: &str, bytes: &[u8]) -> u8 {
    let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
    authenticate(&mut stream, &as_tor_does(arguments.as_bytes()));
    let code = request(&mut stream, bytes);
    assert!(is_closed(&mut stream), "{bytes:?}");
    code
}

fn to_domain(name: &[u8]) -> Vec<u8> {
    [&[5, 1, 0, 3, u8::try_from(name.len()).unwrap()], name, &[0, 80]].concat()
}

#[test]
fn row_24_only_connect_to_the_three_kinds_of_address() {
    let server = refusing("<not-authorized/>");
    let (child, arguments) = (Launch::client().start(), server.with_password());
    let long = [b'a'; 255];
    let v6 = [&[5, 1, 0, 4][..], &[0x20, 1, 0xd, 0xb8], &[0; 11], &[3, 1, 0xbb]].concat();
    for (bytes, code) in [
        // Everything is right with these: it is the chat server that does not want us.
        (&[5u8, 1, 0, 1, 192, 0, 2, 3, 0, 1][..], NOT_ALLOWED),
        (&v6, NOT_ALLOWED),
        (&to_domain(b"bridge.example"), NOT_ALLOWED),
        (&to_domain(&long), NOT_ALLOWED),
        // BIND, UDP ASSOCIATE, and what there is not.
        (&[5, 2, 0, 1, 192, 0, 2, 3, 0, 1], COMMAND_NOT_SUPPORTED),
        (&[5, 3, 0, 1, 192, 0, 2, 3, 0, 1], COMMAND_NOT_SUPPORTED),
        (&[5, 0, 0, 1, 192, 0, 2, 3, 0, 1], COMMAND_NOT_SUPPORTED),
        (&[5, 0xff, 0, 3, 1, b'a', 0, 1], COMMAND_NOT_SUPPORTED),
        (&[5, 1, 0, 0, 192, 0, 2, 3, 0, 1], ADDRESS_NOT_SUPPORTED),
        (&[5, 1, 0, 2, 192, 0, 2, 3, 0, 1], ADDRESS_NOT_SUPPORTED),
        (&[5, 1, 0, 0xff, 192, 0, 2, 3, 0, 1], ADDRESS_NOT_SUPPORTED),
        // The reserved byte, names without a letter, and names that are none.
        (&[5, 1, 1, 1, 192, 0, 2, 3, 0, 1], GENERAL_FAILURE),
        (&to_domain(b""), GENERAL_FAILURE),
        (&to_domain("b\u{fc}cher.example".as_bytes()), GENERAL_FAILURE),
        (&to_domain(b"\xff\xfe"), GENERAL_FAILURE),
        (&to_domain(&[0xc3; 255]), GENERAL_FAILURE),
    ] {
        assert_eq!(code_for(&child, &arguments, bytes), code, "{bytes:?}");
    }
}

#[test]
fn row_24_a_request_of_another_version_gets_no_answer() {
    let child = Launch::client().start();
    for version in [0, 4, 6] {
        let (mut stream, _) = offer(child.socks(), &[0]).unwrap();
        let sent = std::io::Write::write_all(&mut stream, &[version, 1, 0, 1, 192, 0, 2, 3, 0, 1]);
        assert!(sent.is_ok() && is_closed(&mut stream), "{version}");
    }
}
