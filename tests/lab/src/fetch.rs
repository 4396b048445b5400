//! Fetching a file over HTTP through a SOCKS5 proxy, as Tor's is.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ring::digest::{Context, SHA256};

use crate::files::hex;
use crate::read::read;

/// What came of a fetch.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// How long the file was, in bytes.
    pub length: usize,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
    /// From the request to the last byte.
    pub total: Duration,
}

/// Fetches `http://SERVER/LENGTH`, directly or through a SOCKS5 proxy. `patience` is for each step, not for the whole.
///
/// # Errors
///
/// When the proxy refuses, when the file ends early, or when nothing comes for as long as `patience`.
pub fn fetch(
    proxy: Option<SocketAddr>,
    server: SocketAddr,
    length: usize,
    patience: Duration,
) -> Result<Fetched> {
    let mut stream = TcpStream::connect(proxy.unwrap_or(server)).context("connecting")?;
    stream.set_read_timeout(Some(patience))?;
    let started = Instant::now();
    if proxy.is_some() {
        ask_proxy(&mut stream, server)?;
    }
    write!(stream, "GET /{length} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    let announced = read_head(&mut reader)?;
    let first_byte = started.elapsed();
    let (length, sha256) = read_body(&mut reader)?;
    ensure!(length == announced, "the file ended after {length} of {announced} bytes");
    Ok(Fetched { length, sha256, first_byte, total: started.elapsed() })
}

/// SOCKS5 without authentication, CONNECT to an address (RFC 1928).
fn ask_proxy(stream: &mut TcpStream, to: SocketAddr) -> Result<()> {
    stream.write_all(&[5, 1, 0])?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).context("waiting for the SOCKS proxy")?;
    ensure!(choice == [5, 0], "the SOCKS proxy wants authentication");
    let mut request = vec![5, 1, 0];
    match to.ip() {
        IpAddr::V4(ip) => {
            request.push(1);
            request.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            request.push(4);
            request.extend(ip.octets());
        }
    }
    request.extend(to.port().to_be_bytes());
    stream.write_all(&request)?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).context("waiting for the SOCKS proxy to connect")?;
    if reply[1] != 0 {
        bail!("the SOCKS proxy answered {}", reply[1]);
    }
    Ok(())
}

/// Reads up to the body and says how long that will be.
fn read_head(reader: &mut impl BufRead) -> Result<usize> {
    let mut status = String::new();
    reader.read_line(&mut status).context("waiting for the answer")?;
    ensure!(!status.is_empty(), "no answer");
    ensure!(status.starts_with("HTTP/1.1 200 "), "the server answered {}", status.trim_end());
    let mut announced = None;
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line).context("reading the answer")? > 0, "the answer is cut off");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            announced = value.trim().parse().ok();
        }
        if line == "\r\n" {
            return announced.context("the answer has no length");
        }
    }
}

fn read_body(reader: &mut impl Read) -> Result<(usize, String)> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        let piece = read(reader, &mut buffer).with_context(|| format!("after {length} bytes"))?;
        if piece == 0 {
            return Ok((length, hex(hash)));
        }
        hash.update(&buffer[..piece]);
        length += piece;
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::net::TcpListener;

    use super::*;
    use crate::FileServer;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A web server that answers one request with this.
    fn web_server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    /// A proxy that answers every CONNECT with this code.
    fn refusing_proxy(code: u8) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut [0; 3]).unwrap();
            stream.write_all(&[5, 0]).unwrap();
            stream.read_exact(&mut [0; 10]).unwrap();
            stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        });
        address
    }

    #[test]
    fn a_file_arrives_with_its_hash() {
        let web = FileServer::start().unwrap();
        let fetched = fetch(None, web.address(), 200_000, PATIENCE).unwrap();
        assert_eq!((fetched.length, fetched.sha256), (200_000, FileServer::sha256(200_000)));
        assert!(fetched.first_byte <= fetched.total);
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let web = web_server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
        let error = fetch(None, web, 5, PATIENCE).unwrap_err();
        assert!(error.to_string().contains("after 3 of 5 bytes"), "{error}");
    }

    #[test]
    fn an_error_page_is_not_a_file() {
        let web = web_server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        let error = fetch(None, web, 0, PATIENCE).unwrap_err();
        assert!(error.to_string().contains("404 Not Found"), "{error}");
    }

    #[test]
    fn a_proxy_that_refuses_is_an_error_with_its_code() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let error = fetch(Some(refusing_proxy(5)), nobody, 1, PATIENCE).unwrap_err();
        assert!(error.to_string().contains("answered 5"), "{error}");
    }
}
