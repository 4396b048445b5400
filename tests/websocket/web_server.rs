//! Web server that answers each request as a test wants it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// One connection, of which the request has been read.
pub(crate) struct Client {
    tcp: TcpStream,
    key: String,
}

/// Starts one; it ends with the test.
pub(crate) fn web_server(answer: fn(Client) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            // A client that hangs up is no business of a server's.
            let _ = Client::accept(tcp).and_then(answer);
        }
    });
    address
}

impl Client {
    fn accept(tcp: TcpStream) -> io::Result<Self> {
        let mut key = String::new();
        for line in BufReader::new(tcp.try_clone()?).lines() {
            let line = line?;
            match line.split_once(": ") {
                Some(("Sec-WebSocket-Key", value)) => value.clone_into(&mut key),
                None if line.is_empty() => break,
                _ => {}
            }
        }
        Ok(Self { tcp, key })
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.write_all(bytes)
    }

    /// Agrees to a WebSocket, with these fields as well (RFC 6455 section 4.2.2).
    pub(crate) fn upgrade(&mut self, fields: &str) -> io::Result<()> {
        let accepted = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", self.key);
        let accepted = BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, accepted.as_bytes()));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accepted}\r\n{fields}\r\n"
        );
        self.say(answer.as_bytes())
    }

    /// Sends a message, which is short.
    pub(crate) fn message(&mut self, text: &str) -> io::Result<()> {
        self.say(&[&[0x81, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat())
    }

    /// Reads until the client is gone.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.tcp.read_to_end(&mut Vec::new()).map(|_| ())
    }
}
