//! Rows 23 to 29: the SOCKS port, byte by byte (RFC 1928, RFC 1929).

mod abuse;
mod arguments;
mod methods;
pub(crate) mod replies;
mod requests;
mod slow;
mod tunnel;

use std::io::{Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::child::Launch;

/// The reply codes (RFC 1928 section 6).
pub(crate) const SUCCEEDED: u8 = 0;
pub(crate) const GENERAL_FAILURE: u8 = 1;
pub(crate) const NOT_ALLOWED: u8 = 2;
pub(crate) const NETWORK_UNREACHABLE: u8 = 3;
pub(crate) const HOST_UNREACHABLE: u8 = 4;
pub(crate) const REFUSED: u8 = 5;
pub(crate) const TIMED_OUT: u8 = 6;
pub(crate) const COMMAND_NOT_SUPPORTED: u8 = 7;
pub(crate) const ADDRESS_NOT_SUPPORTED: u8 = 8;

/// CONNECT to 192.0.2.3:1.
pub(crate) const TO_AN_ADDRESS: [u8; 10] = [5, 1, 0, 1, 192, 0, 2, 3, 0, 1];

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(40);

/// A fresh connection.
pub(crate) fn connect(socks: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(socks).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Offers methods and returns the one that was chosen.
pub(crate) fn offer(socks: SocketAddr, methods: &[u8]) -> Result<(TcpStream, u8)> {
    let mut stream = connect(socks);
    let count = u8::try_from(methods.len()).unwrap();
    stream.write_all(&[&[5, count], methods].concat())?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice)?;
    assert_eq!(choice[0], 5);
    Ok((stream, choice[1]))
}

/// The message of RFC 1929 with these two.
fn credentials(name: &[u8], password: &[u8]) -> Vec<u8> {
    let [names, passwords] = [name, password].map(|part| u8::try_from(part.len()).unwrap());
    [&[1, names], name, &[passwords], password].concat()
}

/// Arguments as Tor sends them: 255 bytes in the name, the rest in the password, or a NUL when there is none.
fn as_tor_does(arguments: &[u8]) -> Vec<u8> {
    let (name, password) = arguments.split_at(arguments.len().min(255));
    credentials(name, if password.is_empty() { &[0] } else { password })
}

/// Sends credentials, which are taken whatever they are.
fn authenticate(stream: &mut TcpStream, credentials: &[u8]) {
    stream.write_all(credentials).unwrap();
    let mut status = [0; 2];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(status, [1, 0], "arguments are taken and never judged here");
}

/// Reads the answer to a request.
fn reply(stream: &mut TcpStream) -> u8 {
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!((reply[0], reply[2], reply[3]), (5, 0, 1));
    assert_eq!(reply[4..], [0; 6], "row 28: the bound address is 0.0.0.0:0");
    reply[1]
}

/// Sends a request and returns the code of the answer.
fn request(stream: &mut TcpStream, bytes: &[u8]) -> u8 {
    stream.write_all(bytes).unwrap();
    reply(stream)
}

/// Asks for a connection as Tor does, and returns the code of the answer.
pub(crate) fn ask(socks: SocketAddr, arguments: &[u8]) -> u8 {
    let (mut stream, method) = offer(socks, &[0, 2]).unwrap();
    assert_eq!(method, 2);
    authenticate(&mut stream, &as_tor_does(arguments));
    request(&mut stream, &TO_AN_ADDRESS)
}

/// The same, without waiting for any answer.
pub(crate) fn begin(socks: SocketAddr, arguments: &[u8]) -> TcpStream {
    let mut stream = connect(socks);
    let request = [&[5, 1, 2], &as_tor_does(arguments)[..], &TO_AN_ADDRESS].concat();
    stream.write_all(&request).unwrap();
    stream
}

/// Asks for a connection as Tor does, and gets it.
pub(crate) fn succeed(socks: SocketAddr, arguments: &[u8]) -> TcpStream {
    let (mut stream, _) = offer(socks, &[2]).unwrap();
    authenticate(&mut stream, &as_tor_does(arguments));
    assert_eq!(request(&mut stream, &TO_AN_ADDRESS), SUCCEEDED);
    stream
}

/// Whether the child ends the connection without another byte.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(error) => rest.is_empty() && error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// A launch whose requests are answered soon, whatever happens.
pub(crate) fn impatient() -> Launch {
    Launch::client().config("[limits]\nconnect_timeout = 3\n")
}
