#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

fn proxy(uri: &str) -> Proxy {
    Proxy::parse(uri).unwrap()
}

/// What the other end sees and what is left in the stream, when it answers each piece of input as told.
///
/// `script` is pairs of what we must send and what the proxy then says.
async fn play(uri: &str, host: &str, script: &[(&[u8], &[u8])]) -> (Result<(), ProxyError>, Vec<u8>) {
    let (mut ours, mut theirs) = duplex(64 * 1024);
    let mut script: Vec<(Vec<u8>, Vec<u8>)> = script.iter().map(|(a, b)| (a.to_vec(), b.to_vec())).collect();
    let far_end = tokio::spawn(async move {
        for (expected, answer) in script.drain(..) {
            let mut got = vec![0; expected.len()];
            theirs.read_exact(&mut got).await.unwrap();
            assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string());
            theirs.write_all(&answer).await.unwrap();
        }
    });
    let result = proxy(uri).handshake(&mut ours, host, 5222).await;
    far_end.await.unwrap();
    let mut left = Vec::new();
    ours.read_to_end(&mut left).await.unwrap();
    (result, left)
}

#[test]
fn uris_are_read() {
    let v4 = "192.0.2.1:8080".parse().unwrap();
    let credentials =
        |user: &[u8], password: &[u8]| Some(Credentials { user: user.to_vec(), password: password.to_vec() });
    for (uri, kind, addr) in [
        ("http://192.0.2.1:8080", Kind::Http(None), v4),
        ("HTTP://u@192.0.2.1:8080", Kind::Http(credentials(b"u", b"")), v4),
        ("http://u:p%40%3a%25@192.0.2.1:8080", Kind::Http(credentials(b"u", b"p@:%")), v4),
        ("socks4a://192.0.2.1:8080", Kind::Socks4a(vec![]), v4),
        ("socks4a://me@192.0.2.1:8080", Kind::Socks4a(b"me".to_vec()), v4),
        ("socks5://192.0.2.1:8080", Kind::Socks5(None), v4),
        ("socks5://u:p@q:r@192.0.2.1:8080", Kind::Socks5(credentials(b"u", b"p@q:r")), v4),
        ("socks5://u:%FF@[::1]:1", Kind::Socks5(credentials(b"u", b"\xff")), "[::1]:1".parse().unwrap()),
    ] {
        assert!(proxy(uri) == Proxy { kind, addr }, "{uri}");
    }
}

/// C tor does not escape what stands in torrc.
#[test]
fn credentials_as_tor_writes_them_are_read() {
    for (written, meant) in [
        ("100%", "100%"),
        ("%4", "%4"),
        ("%zz%+1", "%zz%+1"),
        ("%%41", "%A"),
        ("50%2525", "50%25"),
        ("a/b?c#d", "a/b?c#d"),
        ("p@q:r", "p@q:r"),
        (" é\"[]", " é\"[]"),
    ] {
        let expected = Kind::Socks5(Some(Credentials { user: b"u".to_vec(), password: meant.into() }));
        assert!(proxy(&format!("socks5://u:{written}@192.0.2.1:1")).kind == expected, "{written}");
    }
}

#[test]
fn useless_uris_are_refused() {
    let password = "x".repeat(256);
    for (uri, error) in [
        ("", ProxyUriError::NotAUri),
        ("192.0.2.1:8080", ProxyUriError::NotAUri),
        ("ftp://192.0.2.1:21", ProxyUriError::UnknownScheme),
        ("socks4://192.0.2.1:21", ProxyUriError::UnknownScheme),
        ("http://192.0.2.1:8080/", ProxyUriError::Trailing),
        ("http://192.0.2.1:8080?q", ProxyUriError::Trailing),
        ("http://192.0.2.1:8080#f", ProxyUriError::Trailing),
        ("http://proxy.example:8080", ProxyUriError::BadAddress),
        ("http://192.0.2.1", ProxyUriError::BadAddress),
        ("http://192.0.2.1:0", ProxyUriError::BadAddress),
        ("http://192.0.2.1:65536", ProxyUriError::BadAddress),
        ("http://::1:80", ProxyUriError::BadAddress),
        ("http://192.0.2.1:8080/x@192.0.2.9:1", ProxyUriError::Trailing),
        ("http://u:p@192.0.2.1:8080?x@192.0.2.9:1", ProxyUriError::Trailing),
        ("http://192.0.2.1#x@192.0.2.9:1", ProxyUriError::Trailing),
        ("http://u:p@192.0.2.1:8080/", ProxyUriError::Trailing),
    ] {
        assert_eq!(Proxy::parse(uri), Err(error), "{uri}");
    }
    for uri in [
        "socks5://u@192.0.2.1:1",
        "socks5://:p@192.0.2.1:1",
        &format!("socks5://u:{password}@192.0.2.1:1"),
        "socks4a://u:p@192.0.2.1:1",
        "socks4a://u%00@192.0.2.1:1",
        "http://a%3ab:p@192.0.2.1:1",
    ] {
        let refused = matches!(Proxy::parse(uri), Err(ProxyUriError::BadCredentials(_)));
        assert!(refused, "{uri}");
    }
}

#[test]
fn debug_shows_neither_credentials_nor_address() {
    let shown = format!("{:?}", proxy("socks5://user:hunter2@192.0.2.1:1"));
    assert!(!shown.contains("hunter2") && !shown.contains("user") && !shown.contains("192"), "{shown}");
}

#[tokio::test]
async fn http_connect_asks_and_leaves_what_follows() {
    let ask = b"CONNECT chat.example:5222 HTTP/1.1\r\nHost: chat.example:5222\r\n\r\n";
    let answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n<stream>";
    let (result, left) = play("http://192.0.2.1:1", "chat.example", &[(ask, answer)]).await;
    result.unwrap();
    assert_eq!(left, b"<stream>");
}

#[tokio::test]
async fn http_connect_sends_credentials_and_brackets() {
    let ask = b"CONNECT [2001:db8::1]:5222 HTTP/1.1\r\nHost: [2001:db8::1]:5222\r\n\
        Proxy-Authorization: Basic dTpw\r\n\r\n";
    let (result, _) = play("http://u:p@192.0.2.1:1", "2001:db8::1", &[(ask, b"HTTP/1.0 200\r\n\r\n")]).await;
    result.unwrap();
}

#[tokio::test]
async fn http_refusals_are_told_apart() {
    for (status, fault) in [
        (407, "the proxy refused our credentials, or wants some"),
        (403, "the proxy refuses this connection (code 403)"),
        (405, "the proxy refuses this connection (code 405)"),
        (302, "the proxy refuses this connection (code 302)"),
        (429, "the proxy refuses this connection (code 429)"),
        (501, "the proxy refuses this connection (code 501)"),
        (511, "the proxy refuses this connection (code 511)"),
        (404, "the proxy could not reach the host (code 404)"),
        (500, "the proxy could not reach the host (code 500)"),
        (502, "the proxy could not reach the host (code 502)"),
        (503, "the proxy could not reach the host (code 503)"),
        (504, "the proxy could not reach the host (code 504)"),
        (520, "the proxy could not reach the host (code 520)"),
        (100, "the proxy does not speak the protocol that it was configured for"),
        (999, "the proxy does not speak the protocol that it was configured for"),
    ] {
        let answer = format!("HTTP/1.1 {status} secret banner\r\n\r\n");
        let error = play("http://192.0.2.1:1", "h", &[(b"CONNECT ", answer.as_bytes())]).await.0.unwrap_err();
        assert_eq!(error.to_string(), fault);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_or_never_ends_is_refused() {
    let endless = b"HTTP/1.1 200 OK\r\nX: ".iter().copied().chain([b'x'; 9000]).collect::<Vec<_>>();
    for answer in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n", &endless] {
        let (result, _) = play("http://192.0.2.1:1", "h", &[(b"CONNECT ", answer)]).await;
        assert!(matches!(result, Err(ProxyError::Protocol)), "{result:?}");
    }
}

/// What speaks something else may hang up before its answer is as long as one of a proxy, or wait for us to say more.
#[tokio::test]
async fn an_answer_of_another_protocol_is_noticed_however_short_it_is() {
    let tls_alert = b"\x15\x03\x01\0\x02\x02\x46";
    for (uri, answers) in [
        ("http://192.0.2.1:1", [&b"SSH-2.0-x\r\n"[..], b"\x05\xff", b"\0", tls_alert]),
        ("socks4a://192.0.2.1:1", [b"HTTP/1", b"\x05\xff", b"\x04", tls_alert]),
        ("socks5://192.0.2.1:1", [b"H", b"SSH-2.0-x\r\n", b"\0\x5b", tls_alert]),
    ] {
        for answer in answers {
            let (mut ours, mut theirs) = duplex(4096);
            theirs.write_all(answer).await.unwrap();
            let result = proxy(uri).handshake(&mut ours, "h", 5222).await;
            assert!(
                matches!(result, Err(ProxyError::Protocol)),
                "{uri}: {}: {result:?}",
                answer.escape_ascii()
            );
        }
    }
}

#[tokio::test]
async fn socks4a_sends_names_and_ipv4_addresses() {
    let granted = b"\0\x5a\0\0\0\0\0\0rest";
    let name = b"\x04\x01\x14\x66\0\0\0\x01me\0chat.example\0";
    let (result, left) = play("socks4a://me@192.0.2.1:1", "chat.example", &[(name, granted)]).await;
    result.unwrap();
    assert_eq!(left, b"rest");
    let addr = b"\x04\x01\x14\x66\xc0\0\x02\x07\0";
    play("socks4a://192.0.2.1:1", "192.0.2.7", &[(addr, granted)]).await.0.unwrap();
    let v6 = play("socks4a://192.0.2.1:1", "::1", &[]).await.0;
    assert!(matches!(v6, Err(ProxyError::BadHost)));
    let refused = play("socks4a://192.0.2.1:1", "192.0.2.7", &[(addr, b"\0\x5b\0\0\0\0\0\0")]).await.0;
    assert!(matches!(refused, Err(ProxyError::NotReached(91))));
}

#[tokio::test]
async fn socks5_works_with_and_without_a_password() {
    let request = b"\x05\x01\0\x03\x0cchat.example\x14\x66";
    let granted = b"\x05\0\0\x03\x04host\0\x01rest";
    let open = [(&b"\x05\x01\0"[..], &b"\x05\0"[..]), (request, granted)];
    let (result, left) = play("socks5://192.0.2.1:1", "chat.example", &open).await;
    result.unwrap();
    assert_eq!(left, b"rest");
    let locked = [
        (&b"\x05\x02\0\x02"[..], &b"\x05\x02"[..]),
        (b"\x01\x01u\x02pw", b"\x01\0"),
        (request, b"\x05\0\0\x01\0\0\0\0\0\0"),
    ];
    play("socks5://u:pw@192.0.2.1:1", "chat.example", &locked).await.0.unwrap();
}

#[tokio::test]
async fn socks5_sends_addresses_as_such() {
    let hello = (&b"\x05\x01\0"[..], &b"\x05\0"[..]);
    let v4 = (&b"\x05\x01\0\x01\xc0\0\x02\x07\x14\x66"[..], &b"\x05\0\0\x01\0\0\0\0\0\0"[..]);
    play("socks5://192.0.2.1:1", "192.0.2.7", &[hello, v4]).await.0.unwrap();
    let v6 = (&b"\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x14\x66"[..], v4.1);
    play("socks5://192.0.2.1:1", "::1", &[hello, v6]).await.0.unwrap();
}

#[tokio::test]
async fn socks5_refusals_are_told_apart() {
    let hello = (&b"\x05\x01\0"[..], &b"\x05\0"[..]);
    let result = play("socks5://192.0.2.1:1", "h", &[(hello.0, b"\x05\xff")]).await.0;
    assert!(matches!(result, Err(ProxyError::Auth)));
    let result = play("socks5://192.0.2.1:1", "h", &[(hello.0, b"\x05\x02")]).await.0;
    assert!(matches!(result, Err(ProxyError::Protocol)), "a method that was not offered");
    // 2 is what its rules forbid; 254 is a code that no standard knows.
    for (code, is_refused) in
        [(1, false), (2, true), (3, false), (4, false), (5, false), (0xf0, false), (254, true)]
    {
        let reply = [5, code, 0, 1];
        let error =
            play("socks5://192.0.2.1:1", "h", &[hello, (b"\x05\x01\0\x03", &reply)]).await.0.unwrap_err();
        let said = match error {
            ProxyError::Refused(said) if is_refused => said,
            ProxyError::NotReached(said) if !is_refused => said,
            error => unreachable!("{error}"),
        };
        assert_eq!(said, u16::from(code));
    }
    let denied = [(&b"\x05\x02\0\x02"[..], &b"\x05\x02"[..]), (b"\x01\x01u\x01p", b"\x01\x01")];
    let result = play("socks5://u:p@192.0.2.1:1", "h", &denied).await.0;
    assert!(matches!(result, Err(ProxyError::Auth)));
}

#[tokio::test]
async fn a_host_that_could_add_a_header_is_refused() {
    for host in ["", "a b", "a\r\nX: y", "a\0b", "é", &"x".repeat(256), "a@b", "[::1]"] {
        let (result, _) = play("http://192.0.2.1:1", host, &[]).await;
        assert!(matches!(result, Err(ProxyError::BadHost)), "{host:?}");
    }
}

proptest! {
    #[test]
    fn any_uri_is_read_or_refused(uri in "(http|socks4a|socks5)://[ -~]{0,40}") {
        let _ = Proxy::parse(&uri);
    }

    #[test]
    fn any_answer_is_an_answer_or_an_error(answer in prop::collection::vec(any::<u8>(), 0..64), kind in 0..3) {
        let uri = ["http://192.0.2.1:1", "socks4a://192.0.2.1:1", "socks5://u:p@192.0.2.1:1"][kind as usize];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = duplex(4096);
            theirs.write_all(&answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            let _ = proxy(uri).handshake(&mut ours, "h", 1).await;
        });
    }
}
