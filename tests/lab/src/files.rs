//! Servers for applications to talk to: files whose content is known, and an echo.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};
use ring::digest::{Context, SHA256};

use crate::random::Random;

/// How much is made and sent at a time, in bytes.
const BLOCK: usize = 64 * 1024;

/// Serves `GET /N`: N bytes that look random and are always the same.
#[derive(Debug)]
pub struct FileServer {
    address: SocketAddr,
}

/// Sends back whatever it gets.
#[derive(Debug)]
pub struct EchoServer {
    address: SocketAddr,
}

impl FileServer {
    /// Starts one; it ends with this process.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start() -> Result<Self> {
        Ok(Self { address: serve(serve_file)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of the file of this length, in hexadecimal.
    pub fn sha256(length: usize) -> String {
        let mut hash = Context::new(&SHA256);
        let mut source = Source::default();
        let mut left = length;
        while left > 0 {
            let block = source.block(left.min(BLOCK));
            left -= block.len();
            hash.update(&block);
        }
        hex(hash)
    }
}

impl EchoServer {
    /// Starts one; it ends with this process.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start() -> Result<Self> {
        Ok(Self { address: serve(echo)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A finished hash, in hexadecimal.
pub fn hex(hash: Context) -> String {
    use std::fmt::Write as _;
    hash.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn serve(answer: fn(TcpStream) -> std::io::Result<()>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A client that goes away is its own business.
            thread::spawn(move || drop(answer(connection)));
        }
    });
    Ok(address)
}

fn serve_file(mut connection: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let mut left: usize = path.trim_start_matches('/').parse().unwrap_or(0);
    write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {left}\r\nConnection: close\r\n\r\n")?;
    let mut source = Source::default();
    while left > 0 {
        let block = source.block(left.min(BLOCK));
        connection.write_all(&block)?;
        left -= block.len();
    }
    Ok(())
}

fn echo(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = vec![0; BLOCK];
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        connection.write_all(&buffer[..length])?;
    }
}

/// A fixed sequence of bytes that does not compress.
struct Source(Random);

impl Default for Source {
    fn default() -> Self {
        Self(Random(0x9e37_79b9_7f4a_7c15))
    }
}

impl Source {
    fn block(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.0.next().to_be_bytes()[0]).take(length).collect()
    }
}
