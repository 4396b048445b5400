//! Rows 23 to 29: the SOCKS port, byte by byte.

use std::io::{Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::child::Launch;

/// Success needs a bridge; these are the refusals.
const GENERAL_FAILURE: u8 = 1;
const REFUSED: u8 = 5;
const COMMAND_NOT_SUPPORTED: u8 = 7;
const ADDRESS_NOT_SUPPORTED: u8 = 8;

const TO_AN_ADDRESS: [u8; 10] = [5, 1, 0, 1, 192, 0, 2, 3, 0, 1];

/// Offers methods and returns the one that was chosen.
pub(crate) fn offer(socks: SocketAddr, methods: &[u8]) -> Result<(TcpStream, u8)> {
    let mut stream = TcpStream::connect(socks)?;
    stream.set_read_timeout(Some(Duration::from_secs(40)))?;
    let count = u8::try_from(methods.len()).unwrap();
    stream.write_all(&[&[5, count], methods].concat())?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice)?;
    assert_eq!(choice[0], 5);
    Ok((stream, choice[1]))
}

/// Sends arguments as Tor does: 255 bytes in the name, the rest in the password.
fn authenticate(stream: &mut TcpStream, arguments: &[u8]) {
    let (name, password) = arguments.split_at(arguments.len().min(255));
    let password = if password.is_empty() { &[0] } else { password };
    let lengths = [name.len(), password.len()].map(|length| u8::try_from(length).unwrap());
    stream.write_all(&[&[1, lengths[0]], name, &[lengths[1]], password].concat()).unwrap();
    let mut status = [0; 2];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(status, [1, 0], "arguments are taken and never judged here");
}

/// Sends a request and returns the code of the answer.
fn request(stream: &mut TcpStream, bytes: &[u8]) -> u8 {
    stream.write_all(bytes).unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!((reply[0], reply[2], reply[3]), (5, 0, 1));
    assert_eq!(reply[4..], [0; 6], "the bound address is 0.0.0.0:0");
    reply[1]
}

/// A launch whose requests are answered soon, whatever happens.
fn impatient() -> Launch {
    Launch::client().config("[limits]\nconnect_timeout = 2\n")
}

fn code_for(arguments: &[u8], bytes: &[u8]) -> u8 {
    let child = impatient().start();
    let (mut stream, method) = offer(child.socks(), &[0, 2]).unwrap();
    assert_eq!(method, 2);
    authenticate(&mut stream, arguments);
    request(&mut stream, bytes)
}

#[test]
fn row_23_arguments_are_preferred_and_none_are_accepted() {
    let child = Launch::client().start();
    for (offered, chosen) in [(&[0u8, 2][..], 2), (&[2], 2), (&[0], 0), (&[1, 0x80], 0xff)] {
        assert_eq!(offer(child.socks(), offered).unwrap().1, chosen, "{offered:?}");
    }
}

#[test]
fn row_24_only_connect_to_the_three_kinds_of_address() {
    let bind = [5, 2, 0, 1, 192, 0, 2, 3, 0, 1];
    assert_eq!(code_for(b"jid=a@b", &bind), COMMAND_NOT_SUPPORTED);
    let strange = [5, 1, 0, 9, 192, 0, 2, 3, 0, 1];
    assert_eq!(code_for(b"jid=a@b", &strange), ADDRESS_NOT_SUPPORTED);
}

#[test]
fn rows_25_and_27_bad_arguments_are_refused_and_named_in_the_log() {
    for arguments in
        [&b"jid=planted@x"[..], b"=planted", b"jid=planted\\", b"jid=b@x;jid=planted@x;login=a@b:c"]
    {
        let child = Launch::client().start();
        let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
        authenticate(&mut stream, arguments);
        assert_eq!(request(&mut stream, &TO_AN_ADDRESS), GENERAL_FAILURE);
        let line = child.says("LOG SEVERITY=warning ");
        assert!(!line.contains("planted"), "{line}");
    }
}

#[test]
fn row_25_arguments_of_any_length_up_to_510_bytes_are_joined() {
    for length in [100, 254, 255, 256, 509, 510] {
        let fixed = "jid=b@x;login=a@127.0.0.1:y;server=127.0.0.1:1;pad=";
        let arguments = format!("{fixed}{}", "p".repeat(length - fixed.len()));
        let child = impatient().start();
        let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
        authenticate(&mut stream, arguments.as_bytes());
        // Had a byte been lost, the login or the address would be another, and so the fault.
        assert_eq!(request(&mut stream, &TO_AN_ADDRESS), REFUSED, "{length}");
    }
}

#[test]
fn row_29_a_chat_server_that_refuses_the_connection_is_connection_refused() {
    let arguments = b"jid=bridge@chat.example;login=alice@chat.example:sesame;server=127.0.0.1:1";
    assert_eq!(code_for(arguments, &TO_AN_ADDRESS), REFUSED);
}
