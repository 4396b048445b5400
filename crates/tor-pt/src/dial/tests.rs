#![allow(clippy::unwrap_used, reason = "tests")]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Addresses that no machine here has, so that binding to them fails.
fn elsewhere() -> OutboundBind {
    OutboundBind::new("192.0.2.1".parse().ok(), "2001:db8::1".parse().ok())
}

#[tokio::test]
async fn loopback_is_reached_in_spite_of_a_source_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialer = Dialer { proxy: None, bind: elsewhere() };
    let stream = dialer.connect("127.0.0.1", port).await.unwrap();
    assert!(stream.local_addr().unwrap().ip().is_loopback());
}

#[tokio::test]
async fn a_source_address_that_cannot_be_had_is_an_error() {
    let dialer = Dialer { proxy: None, bind: elsewhere() };
    let error = dialer.connect("198.51.100.1", 9).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<BadSource>()));
}

#[tokio::test]
async fn a_proxy_is_told_the_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let dialer = Dialer { proxy: Some(Proxy::parse(&uri).unwrap()), bind: elsewhere() };
    let proxy = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut line = [0; 33];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
        line
    };
    let (stream, line) = tokio::join!(dialer.connect("no.such.invalid", 5222), proxy);
    assert_eq!(&line, b"CONNECT no.such.invalid:5222 HTTP");
    let mut hello = [0; 5];
    stream.unwrap().read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
}

#[tokio::test]
async fn a_proxy_that_is_down_is_not_gone_around() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let deaf = TcpSocket::new_v4().unwrap(); // bound, so that nobody else gets the port, but not listening
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = Proxy::parse(&format!("socks5://{}", deaf.local_addr().unwrap())).ok();
    let dialer = Dialer { proxy, bind: OutboundBind::default() };
    let error = dialer.connect("127.0.0.1", target.port()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(error.to_string(), "cannot reach the proxy: connection refused");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_said_to_be_one_and_not_shown() {
    let error = Dialer::default().connect("nobody\0knows.invalid", 1).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::HostUnreachable);
    assert_eq!(error.to_string(), "the host's name cannot be resolved");
    assert!(error.get_ref().is_some_and(|inner| inner.is::<Unresolved>()));
}

/// Addresses that answer as their port says, and when the winner was found.
async fn race(ports: &[u16]) -> (io::Result<u16>, Duration) {
    let addrs = ports.iter().map(|port| SocketAddr::from(([192, 0, 2, 1], *port))).collect();
    let start = tokio::time::Instant::now();
    let open = |addr: SocketAddr| async move {
        match addr.port() {
            REFUSES => Err(io::ErrorKind::ConnectionRefused.into()),
            IS_SILENT => {
                sleep(ATTEMPT).await;
                Err(io::ErrorKind::TimedOut.into())
            }
            port => {
                sleep(Duration::from_millis(100)).await;
                Ok(port)
            }
        }
    };
    (first_to_accept(addrs, open).await, start.elapsed())
}

const REFUSES: u16 = 1;
const IS_SILENT: u16 = 2;

#[tokio::test(start_paused = true)]
async fn a_silent_address_holds_up_the_next_for_a_quarter_of_a_second() {
    let (winner, after) = race(&[IS_SILENT, IS_SILENT, 80]).await;
    assert_eq!((winner.unwrap(), after), (80, Duration::from_millis(600)));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_refuses_holds_up_nobody() {
    let (winner, after) = race(&[REFUSES, 80, IS_SILENT]).await;
    assert_eq!((winner.unwrap(), after), (80, Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn the_first_address_wins_when_it_is_quick() {
    let (winner, after) = race(&[80, 81]).await;
    assert_eq!((winner.unwrap(), after), (80, Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn when_every_address_fails_the_last_fault_is_told() {
    let (winner, after) = race(&[REFUSES, IS_SILENT]).await;
    assert_eq!((winner.unwrap_err().kind(), after), (io::ErrorKind::TimedOut, ATTEMPT));
}
