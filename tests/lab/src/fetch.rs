//! A file over HTTP through a SOCKS5 proxy, as Tor's is.

use std::io::{BufReader, Read, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ring::digest::{Context, SHA256};

use crate::files::hex;

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
fn read_head(reader: &mut impl std::io::BufRead) -> Result<usize> {
    let mut announced = None;
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line).context("waiting for the answer")? > 0, "no answer");
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
        let read = reader.read(&mut buffer).with_context(|| format!("after {length} bytes"))?;
        if read == 0 {
            return Ok((length, hex(hash)));
        }
        hash.update(&buffer[..read]);
        length += read;
    }
}
