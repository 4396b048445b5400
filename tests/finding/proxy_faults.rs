//! Faults of a proxy: one sentence each, which is the first, and names the proxy.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use hexchat_lab::ports::{free_port, loopback};

use crate::subject::{Subject, chat_server, login};

/// Does this with every connection, until the test is over.
pub(crate) fn proxy(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever was refused may have hung up.
            let _ = serve(stream.unwrap());
        }
    });
    address
}

/// The host and port that a request over HTTP is for.
fn asked(stream: &TcpStream) -> io::Result<String> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    Ok(first.split(' ').nth(1).unwrap_or_default().to_owned())
}

fn http(status: u16) -> String {
    let address = proxy(move |mut stream| {
        asked(&stream)?;
        write!(stream, "HTTP/1.1 {status} x\r\n\r\n")
    });
    format!("http://{address}")
}

fn socks5(code: u8) -> String {
    let address = proxy(move |mut stream| {
        stream.read_exact(&mut [0; 3])?;
        stream.write_all(&[5, 0])?;
        stream.read_exact(&mut [0; 5])?;
        stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])
    });
    format!("socks5://{address}")
}

fn account() -> String {
    "[[account]]\njid = \"bob@chat.example\"\npassword = \"secret-of-bob\"\n".to_owned()
}

/// An account with and without `server`.
fn accounts() -> [String; 2] {
    ["", "server = \"chat.example:5222\"\n"].map(|server| account() + server)
}

#[test]
fn each_fault_of_a_proxy_is_named_in_the_first_sentence_and_said_once() {
    let dead = loopback(free_port().unwrap());
    let not_reached = |code: u16, help| format!("the proxy could not reach it (code {code}); check {help}");
    let refused = |code: u16, help| format!("the proxy refuses this connection (code {code}); {help}");
    let host = "the domain of the account and `server`";
    let unreachable = "cannot reach the proxy: connection refused; check that the proxy runs";
    let cases = vec![
        (format!("socks5://{dead}"), unreachable.to_owned()),
        (format!("http://{dead}"), unreachable.to_owned()),
        (
            http(407),
            "the proxy refused our credentials, or wants some; check the proxy's user name".to_owned(),
        ),
        (http(403), refused(403, "its rules may forbid the host or the port")),
        (socks5(2), refused(2, "its rules may forbid the host or the port")),
        (socks5(7), refused(7, "it makes no connections for others")),
        (socks5(8), refused(8, "it takes no names, or no IPv6 addresses")),
        (http(500), not_reached(500, "the domain of the account, `server`, and the proxy")),
        (http(502), not_reached(502, host)),
        (http(503), not_reached(503, host)),
        (http(504), not_reached(504, host)),
        (socks5(1), not_reached(1, "the domain of the account, `server`, and the proxy")),
        (socks5(3), not_reached(3, "the network that the proxy is in")),
        (socks5(4), not_reached(4, host)),
        (socks5(5), not_reached(5, "that the chat server runs")),
        (
            format!("http://{}", proxy(|_| Ok(()))),
            "the proxy closes the connection without an answer".to_owned(),
        ),
    ];
    thread::scope(|scope| {
        for (uri, sentence) in &cases {
            for account in accounts() {
                scope.spawn(move || {
                    let first = Subject::behind(uri, &account).first_line();
                    let expected = format!("account 1 is not online: dialling the chat server: {sentence}");
                    assert!(first.contains(&expected), "{first}\n{expected}");
                    assert!(first.ends_with("; trying again") && !first.contains("WebSocket"), "{first}");
                    assert_eq!(first.matches("dialling the chat server").count(), 1, "{first}");
                });
            }
        }
    });
}

/// Reads something, says this and hangs up, in whatever protocol.
fn saying(scheme: &str, words: &'static [u8]) -> String {
    let address = proxy(move |mut stream| {
        stream.read_exact(&mut [0; 1])?;
        stream.write_all(words)
    });
    format!("{scheme}://{address}")
}

#[test]
fn what_is_no_proxy_or_wants_something_else_first_is_told_from_one_that_refuses() {
    let page = |code: u16| {
        format!(
            "the proxy sends us to a web page instead (code {code}); if the network wants a login or a click first"
        )
    };
    let nonsense = "the proxy does not speak the protocol that it was configured for; check the proxy's kind";
    let cases = vec![
        (http(302), page(302)),
        (http(511), page(511)),
        (
            http(400),
            "the proxy does not understand what it was asked for (code 400); it may be a web server"
                .to_owned(),
        ),
        (http(408), "the proxy has waited in vain (code 408); the network between".to_owned()),
        (
            http(429),
            "the proxy has had too many requests (code 429); let it rest, or use another proxy".to_owned(),
        ),
        (
            http(501),
            "the proxy refuses this connection (code 501); it makes no connections for others".to_owned(),
        ),
        (saying("http", b"SSH-2.0-OpenSSH_9.2\r\n"), nonsense.to_owned()),
        (saying("http", b"\x05\xff"), nonsense.to_owned()),
        (saying("http", b"\x15\x03\x01\0\x02\x02\x46"), nonsense.to_owned()),
        (saying("socks5", b"H"), nonsense.to_owned()),
    ];
    thread::scope(|scope| {
        for (uri, sentence) in &cases {
            scope.spawn(move || {
                let first = Subject::behind(uri, &account()).first_line();
                let expected = format!("account 1 is not online: dialling the chat server: {sentence}");
                assert!(first.contains(&expected) && !first.contains("WebSocket"), "{first}\n{expected}");
                assert_eq!(first.matches("; trying again").count(), 1, "{first}");
            });
        }
    });
}

#[test]
fn no_other_port_is_advised_where_443_was_refused() {
    let config = format!("{}server = \"chat.example:443\"\ntls = \"direct\"\n", account());
    for uri in [http(403), socks5(2)] {
        let first = Subject::behind(&uri, &config).first_line();
        assert!(
            first.contains("; its rules seem to forbid the host, since 443 is the port that most"),
            "{first}"
        );
    }
}

#[test]
fn a_proxy_that_connects_and_then_hangs_up_is_named_beside_the_server() {
    let over_http = proxy(|mut stream| {
        asked(&stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")
    });
    let text =
        "the proxy connected, and then it, or the server behind it, closed the connection without a word; ";
    for uri in [format!("http://{over_http}"), socks5(0)] {
        for (more, step, help) in [
            ("", "asking the chat server for TLS", "if the proxy passes TLS alone, or the port is for TLS"),
            ("tls = \"direct\"\n", "setting up TLS with the chat server", "check the port in `server`"),
            (
                "tls = \"websocket\"\n",
                "asking the domain of the account for its WebSocket",
                "if it stays, use another proxy, put the URL",
            ),
        ] {
            let line = Subject::behind(&uri, &(account() + more)).says("is not online");
            assert!(line.contains(&format!("is not online: {step}: {text}{help}")), "{line}");
            assert!(line.ends_with("; trying again") && !line.contains("(over a WebSocket"), "{line}");
        }
    }
}

/// A proxy over HTTP that knows where the chat server is, and connects to nothing else.
pub(crate) fn narrow(server: SocketAddr) -> SocketAddr {
    proxy(move |mut stream| {
        if asked(&stream)? != "chat.example:5222" {
            return stream.write_all(b"HTTP/1.1 403 x\r\n\r\n");
        }
        let server = TcpStream::connect(server)?;
        stream.write_all(b"HTTP/1.1 200 x\r\n\r\n")?;
        let (mut to, mut from) = (stream.try_clone()?, server.try_clone()?);
        thread::spawn(move || io::copy(&mut from, &mut to));
        thread::spawn(move || io::copy(&mut stream, &mut &server));
        Ok(())
    })
}

#[test]
fn that_there_are_no_srv_records_is_said_of_a_proxy_that_connects() {
    let server = chat_server();
    let subject = Subject::behind(&format!("http://{}", narrow(server.address())), &login(&server, "bob"));
    subject.says("the proxy lets nobody ask for SRV records");
    subject.is_online();
    assert_eq!(subject.count("is not online"), 0);
}
