//! Faults of a proxy: one sentence each, which is the first, and names the proxy.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use hexchat_lab::ports::{free_port, loopback};

use crate::subject::{Subject, chat_server, login};

/// Does this with every connection, until the test is over.
fn proxy(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
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

/// An account with and without `server`.
fn accounts() -> [String; 2] {
    let account = "[[account]]\njid = \"bob@chat.example\"\npassword = \"secret-of-bob\"\n";
    ["", "server = \"chat.example:5222\"\n"].map(|server| format!("{account}{server}"))
}

#[test]
fn each_fault_of_a_proxy_is_named_in_the_first_sentence_and_said_once() {
    let dead = loopback(free_port().unwrap());
    let not_reached = |code: u16| {
        format!(
            "the proxy could not reach it (code {code}); check the domain of the account, `server`, and the proxy"
        )
    };
    let refused = |code: u16| {
        format!("the proxy refuses this connection (code {code}); its rules may forbid the host or the port")
    };
    let unreachable = "cannot reach the proxy: connection refused; check that the proxy runs";
    let mut cases = vec![
        (format!("socks5://{dead}"), unreachable.to_owned()),
        (format!("http://{dead}"), unreachable.to_owned()),
        (
            http(407),
            "the proxy refused our credentials, or wants some; check the proxy's user name".to_owned(),
        ),
        (http(403), refused(403)),
        (socks5(2), refused(2)),
        (
            format!("http://{}", proxy(|_| Ok(()))),
            "the proxy closes the connection without an answer".to_owned(),
        ),
    ];
    cases.extend([500, 502, 503, 504].map(|status| (http(status), not_reached(status))));
    cases.extend([1, 4, 5].map(|code| (socks5(code), not_reached(code.into()))));
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

/// A proxy over HTTP that knows where the chat server is, and connects to nothing else.
fn narrow(server: SocketAddr) -> SocketAddr {
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
