#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::Ipv4Addr;

use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const LONG: Duration = Duration::from_secs(20);
const CONNECT: &[u8] = b"\x05\x01\0\x01\xc0\0\x02\x03\0\x01";

type Accepted = JoinHandle<Result<SocksRequest, SocksError>>;

/// A client's end, and the server that is reading its request.
async fn start(limit: Duration) -> (TcpStream, Accepted) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, tokio::spawn(accept(server, limit)))
}

/// Sends all of `bytes` at once; returns the client's end, and what the server made of them.
async fn send(bytes: &[u8]) -> (TcpStream, Result<SocksRequest, SocksError>) {
    let (mut client, server) = start(LONG).await;
    client.write_all(bytes).await.unwrap();
    (client, server.await.unwrap())
}

async fn everything(mut client: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn password_auth(user_name: &[u8], password: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| [u8::try_from(bytes.len()).unwrap()];
    [b"\x01", &length(user_name)[..], user_name, &length(password), password].concat()
}

fn with_args(user_name: &[u8], password: &[u8]) -> Vec<u8> {
    [b"\x05\x02\0\x02", &password_auth(user_name, password)[..], CONNECT].concat()
}

#[tokio::test]
async fn arguments_are_preferred_and_the_reply_waits() {
    let (client, request) = send(&with_args(b"jid=a@b;key=1", b"\0")).await;
    let request = request.unwrap();
    assert_eq!(request.args().get("key"), Some("1"));
    assert!(*request.target() == Target::Ip("192.0.2.3:1".parse().unwrap()));
    assert_eq!(request.peer(), client.local_addr().unwrap());
    drop(request.accept().await.unwrap());
    assert_eq!(everything(client).await, b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0");
}

#[tokio::test]
async fn no_authentication_means_no_arguments() {
    let (client, request) = send(&[b"\x05\x01\0", CONNECT].concat()).await;
    let request = request.unwrap();
    assert!(request.args().is_empty());
    drop(request.accept().await.unwrap());
    assert_eq!(everything(client).await, b"\x05\0\x05\0\0\x01\0\0\0\0\0\0");
}

#[tokio::test]
async fn arguments_may_be_cut_anywhere() {
    let value = "é".repeat(150) + ";\\";
    let encoded = format!("ab={}", value.replace('\\', r"\\").replace(';', r"\;"));
    for cut in [55, 56, 254, 255] {
        let (user_name, password) = encoded.as_bytes().split_at(cut);
        let (_client, request) = send(&with_args(user_name, password)).await;
        assert_eq!(request.unwrap().args().get("ab"), Some(value.as_str()), "{cut}");
    }
}

#[tokio::test]
async fn all_lengths_of_arguments_arrive() {
    for length in [2, 254, 255, 256, 509, 510] {
        let encoded = format!("k={}", "v".repeat(length - 2));
        let (user_name, password) = encoded.as_bytes().split_at(length.min(255));
        let password = if password.is_empty() { b"\0" } else { password };
        let (_client, request) = send(&with_args(user_name, password)).await;
        assert_eq!(request.unwrap().args().get("k").map(str::len), Some(length - 2));
    }
}

#[tokio::test]
async fn all_address_types_are_read() {
    let long = "a".repeat(255);
    for (raw, target) in [
        (
            b"\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x03\x01\xbb".to_vec(),
            Target::Ip("[2001:db8::3]:443".parse().unwrap()),
        ),
        (b"\x03\x01x\0\x50".to_vec(), Target::Domain("x".into(), 80)),
        ([b"\x03\xff", long.as_bytes(), b"\0\x50"].concat(), Target::Domain(long, 80)),
    ] {
        let (_client, request) = send(&[b"\x05\x01\0\x05\x01\0", &raw[..]].concat()).await;
        assert!(*request.unwrap().target() == target);
    }
}

#[tokio::test]
async fn what_follows_the_request_is_kept() {
    let (mut client, request) = send(&[b"\x05\x01\0", CONNECT, b"hello"].concat()).await;
    let mut stream = request.unwrap().accept().await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"hello");
}

#[tokio::test]
async fn a_client_may_send_byte_by_byte() {
    let (mut client, server) = start(LONG).await;
    client.set_nodelay(true).unwrap();
    for byte in with_args(b"a=b", b"\0") {
        client.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(server.await.unwrap().unwrap().args().get("a"), Some("b"));
}

/// Each wrong input, all that the server answers to it, and the error.
#[tokio::test]
async fn each_fault_has_its_answer() {
    let args = |raw: &[u8]| with_args(raw, b"\0");
    let request = |raw: &[u8]| [b"\x05\x01\0", raw].concat();
    let tail = b"\0\x01\0\0\0\0\0\0";
    let to_request = |head: &[u8], code: u8| [head, &[5, code], tail].concat();
    for (sent, answer, error) in [
        (b"\x04\x01\0\x50\x7f\0\0\x01\0".to_vec(), vec![], "NotSocks5"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![], "NotSocks5"),
        (b"\x05\x01\x01".to_vec(), b"\x05\xff".to_vec(), "NoMethod"),
        (b"\x05\0".to_vec(), b"\x05\xff".to_vec(), "NoMethod"),
        (b"\x05\x01\x02\x05\x01a\x01b".to_vec(), b"\x05\x02\x01\x01".to_vec(), "BadAuth"),
        (args(b"secret"), to_request(b"\x05\x02\x01\0", 1), "Args"),
        (args(br"a=secret\"), to_request(b"\x05\x02\x01\0", 1), "Args"),
        (args(b"a=\xff"), to_request(b"\x05\x02\x01\0", 1), "Args"),
        (request(b"\x04\x01\0\x01\x7f\0\0\x01\0\x01"), b"\x05\0".to_vec(), "NotSocks5"),
        (request(b"\x05\x02\0\x01\x7f\0\0\x01\0\x01"), to_request(b"\x05\0", 7), "BadRequest"),
        (request(b"\x05\x03\0\x01\x7f\0\0\x01\0\x01"), to_request(b"\x05\0", 7), "BadRequest"),
        (request(b"\x05\x01\x01\x01\x7f\0\0\x01\0\x01"), to_request(b"\x05\0", 1), "BadRequest"),
        (request(b"\x05\x01\0\x02\x7f\0\0\x01\0\x01"), to_request(b"\x05\0", 8), "BadRequest"),
        (request(b"\x05\x01\0\x03\x01\xff\0\x01"), to_request(b"\x05\0", 1), "BadRequest"),
        (request(b"\x05\x01\0\x03\0\0\x01"), to_request(b"\x05\0", 1), "BadRequest"),
    ] {
        let (mut client, server) = start(LONG).await;
        client.write_all(&sent).await.unwrap();
        let mut got = Vec::new();
        let closed = client.read_to_end(&mut got).await;
        drop(client);
        let failed = server.await.unwrap().unwrap_err();
        assert!(format!("{failed:?}").starts_with(error), "{sent:?}: {failed:?}");
        assert!(!format!("{failed} {failed:?}").contains("secret"), "{failed:?}");
        // To a client that does not speak the protocol we owe no orderly close.
        assert!(got == answer || error == "NotSocks5" && answer.starts_with(&got), "{sent:?}: {got:?}");
        assert!(closed.is_ok() || error == "NotSocks5", "{sent:?}");
    }
}

#[tokio::test]
async fn every_refusal_arrives_though_the_client_has_sent_more() {
    for why in [Reply::GeneralFailure, Reply::NotAllowed, Reply::HostUnreachable, Reply::Timeout] {
        let (client, request) = send(&[b"\x05\x01\0", CONNECT, &[0; 5000]].concat()).await;
        let refusal = tokio::spawn(request.unwrap().refuse(why));
        assert_eq!(everything(client).await, [b"\x05\0", &reply(why.code())[..]].concat());
        refusal.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_slow_client_is_dropped() {
    for begun in [&b""[..], b"\x05", b"\x05\x02\0", b"\x05\x01\x02\x01\x05abc", b"\x05\x01\0\x05\x01"] {
        let (mut client, server) = start(Duration::from_millis(50)).await;
        client.write_all(begun).await.unwrap();
        assert!(matches!(server.await.unwrap(), Err(SocksError::Timeout)), "{begun:?}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_is_an_error_of_its_own() {
    for begun in [&b""[..], b"\x05\x01\x02\x01\x05abc", b"\x05\x01\0\x05\x01\0\x03\x05ab"] {
        let (mut client, server) = start(LONG).await;
        client.write_all(begun).await.unwrap();
        client.shutdown().await.unwrap();
        assert!(matches!(server.await.unwrap(), Err(SocksError::Io(_))), "{begun:?}");
    }
}

#[tokio::test]
async fn a_client_that_gives_up_waiting_is_noticed() {
    let (client, request) = send(&[b"\x05\x01\0", CONNECT].concat()).await;
    let request = request.unwrap();
    let early = time::timeout(Duration::from_millis(20), request.closed()).await;
    assert!(early.is_err(), "the client is still there");
    drop(client);
    time::timeout(LONG, request.closed()).await.unwrap();
}

#[test]
fn failed_connections_have_their_codes() {
    use io::ErrorKind as Kind;
    for (kind, code) in [
        (Kind::ConnectionRefused, 5),
        (Kind::ConnectionReset, 5),
        (Kind::NetworkUnreachable, 3),
        (Kind::HostUnreachable, 4),
        (Kind::TimedOut, 6),
        (Kind::AddrNotAvailable, 8),
        (Kind::Other, 1),
    ] {
        assert_eq!(Reply::from(&io::Error::from(kind)).code(), code, "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_bytes_are_a_request_or_an_error(
        head in prop::sample::select(vec![&b""[..], b"\x05\x01\0", b"\x05\x01\x02\x01", b"\x05\x01\0\x05\x01\0"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = start(LONG).await;
            let _ = client.write_all(&[head, &bytes].concat()).await;
            let _ = client.shutdown().await;
            let _ = server.await.unwrap();
        });
    }
}
