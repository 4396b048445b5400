//! Web server of a domain, on port 443 of an address of its own, that says where the domain's WebSocket is (XEP-0156).

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hexchat_lab::ca::Certificate;
use hexchat_lab::ports::random_loopback;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::faults::tls;

/// Where every browser expects it.
const PORT: u16 = 443;

/// One that runs as long as the test.
pub(crate) struct WebServer {
    pub(crate) address: Ipv4Addr,
    requests: Arc<AtomicUsize>,
}

impl WebServer {
    /// It shows `certificate`, and names `url`.
    pub(crate) fn start(certificate: &Certificate, url: &str) -> Self {
        Self::start_with(tls(certificate, None), url)
    }

    /// Its TLS is this, and it names `url`.
    pub(crate) fn start_with(config: Arc<ServerConfig>, url: &str) -> Self {
        let document =
            format!(r#"{{"links":[{{"rel":"urn:xmpp:alt-connections:websocket","href":"{url}"}}]}}"#);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close", document.len());
        Self::answering(config, format!("{head}\r\n\r\n{document}"))
    }

    /// Its TLS is this, and whatever is asked gets this answer.
    pub(crate) fn answering(config: Arc<ServerConfig>, said: String) -> Self {
        let (listener, address) = listen();
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                // Who hangs up in between has the wrong authority.
                let _ = answer(stream, &config, &said);
            }
        });
        Self { address, requests }
    }

    pub(crate) fn socket(&self) -> SocketAddr {
        (self.address, PORT).into()
    }

    /// How often it was asked.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// On an address of loopback that is nobody else's.
fn listen() -> (TcpListener, Ipv4Addr) {
    let mut addresses = (0..20).map(|_| random_loopback());
    let listened = addresses.find_map(|address| Some((TcpListener::bind((address, PORT)).ok()?, address)));
    listened.expect("an address of loopback whose port 443 is free")
}

fn answer(mut stream: TcpStream, config: &Arc<ServerConfig>, said: &str) -> io::Result<()> {
    let mut connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    if connection.complete_io(&mut stream).is_err() {
        // Who is refused reads why before the connection ends.
        return io::copy(&mut stream, &mut io::sink()).map(|_| ());
    }
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let stream = stream.get_mut();
    stream.write_all(said.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
