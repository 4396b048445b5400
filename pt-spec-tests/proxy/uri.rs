//! Rows 19 and 21: which URIs are taken.

use std::io::Read as _;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hexchat_lab::netns::Namespace;

use crate::child::{Launch, protocol};
use crate::halves::{accept, request};

#[test]
fn rows_19_and_21_a_uri_of_each_kind_is_confirmed() {
    for uri in [
        "http://192.0.2.1:8080",
        "HTTP://192.0.2.1:8080",
        "http://user@192.0.2.1:8080",
        "http://user:pass@[2001:db8::1]:8080",
        "socks4a://192.0.2.1:1080",
        "socks4a://user@[::1]:1080",
        "socks5://192.0.2.1:1080",
        "socks5://user:pass@192.0.2.1:65535",
        "socks5://us%3Aer:p%40ss@192.0.2.1:1080",
        // As tor writes what stands in torrc.
        "socks5://user:100%@192.0.2.1:1080",
        "socks5://user:a/b?c#d@e@192.0.2.1:1080",
    ] {
        let lines = Launch::client().set("TOR_PT_PROXY", uri).start().greeting();
        let lines = protocol(&lines);
        assert_eq!(lines[..2], ["VERSION 1", "PROXY DONE"], "{uri}");
        assert!(lines[2].starts_with("CMETHOD hexchat socks5 127.0.0.1:"), "{uri}: {lines:?}");
    }
}

#[test]
fn rows_19_and_21_what_is_no_proxy_is_an_error_that_shows_none_of_it() {
    for uri in [
        "planted",
        "192.0.2.1:8080",
        "//192.0.2.1:8080",
        "ftp://192.0.2.1:21",
        "socks4://192.0.2.1:1080",
        "socks5h://192.0.2.1:1080",
        "https://192.0.2.1:8080",
        "http://planted.example:8080",
        "http://localhost:8080",
        "http://user:planted@planted.example:8080",
        "http://192.0.2.1",
        "http://192.0.2.1:",
        "http://192.0.2.1:0",
        "http://192.0.2.1:65536",
        "http://192.0.2.1:80a",
        "http://2001:db8::1:8080",
        "http://[2001:db8::1]",
        "http://[192.0.2.1]:8080",
        "http://192.0.2.1:8080/",
        "http://192.0.2.1:8080/planted",
        "http://192.0.2.1:8080?planted",
        "http://192.0.2.1:8080#planted",
        "http://192.0.2.1:8080/planted@198.51.100.1:1",
        "http://user:planted@192.0.2.1:8080/x",
        "socks5://planted@192.0.2.1:1080",
        "socks5://:planted@192.0.2.1:1080",
        "socks4a://user:planted@192.0.2.1:1080",
    ] {
        let mut child = Launch::client().set("TOR_PT_PROXY", uri).start();
        assert_eq!(child.status(), 2, "{uri}");
        let lines = child.greeting();
        let [version, error] = &lines[..] else { panic!("{uri}: {lines:?}") };
        assert!(version == "VERSION 1" && error.starts_with("PROXY-ERROR "), "{uri}: {lines:?}");
        assert!(!error.contains("planted") && !error.contains("192.0.2.1"), "{error}");
    }
}

#[test]
fn row_21_credentials_reach_the_proxy_decoded() {
    for (written, meant) in [
        ("user:pass", "user:pass"),
        ("user", "user:"),
        ("u%73er:p%40s%3As%25", "user:p@s:s%"),
        ("user:100%", "user:100%"),
        ("user:%4x%", "user:%4x%"),
        ("user:a/b@c", "user:a/b@c"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap();
        let head = first_head(&listener, &format!("http://{written}@{proxy}"));
        let sent = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "));
        assert_eq!(sent, Some(BASE64.encode(meant).as_str()), "{written}: {head}");
    }
}

#[test]
fn row_21_a_proxy_at_an_ipv6_address_is_spoken_to() {
    let ours = Namespace::new().unwrap_or_else(|error| panic!("{error:#}"));
    let head = ours.run(|| {
        let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).unwrap();
        let proxy = listener.local_addr().unwrap();
        assert!(proxy.to_string().starts_with("[::1]:"));
        first_head(&listener, &format!("http://{proxy}"))
    });
    assert!(head.starts_with("CONNECT chat.example:5222 HTTP/1.1\r\n"), "{head}");
}

/// What a client half that is to use `uri` says to the proxy first.
fn first_head(listener: &TcpListener, uri: &str) -> String {
    let child = Launch::client().config("[limits]\nconnect_timeout = 1\n").set("TOR_PT_PROXY", uri).start();
    let socks = child.socks();
    std::thread::scope(|scope| {
        // The proxy never answers.
        scope.spawn(move || {
            request(socks, "mode=classic;jid=b@chat.example;login=a@chat.example:x;server=chat.example:5222")
                .map(drop)
        });
        let mut tcp = accept(listener);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tcp.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        String::from_utf8(head).unwrap()
    })
}
