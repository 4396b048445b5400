//! Target and application: what `serve` connects to, and what talks to it through `forward`.
//!
//! The first byte of a connection says what it is for: [`SOURCE`] and a number, for so many bytes of a known pattern;
//! [`ECHO`], to get everything back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::read;

use crate::PATIENCE;

const SOURCE: u8 = b'S';
const ECHO: u8 = b'E';
/// So many go before those that count: what comes right after a login or a connect takes longer.
pub(crate) const BEFORE: usize = 10;
/// The size of a Tor cell, in bytes.
pub(crate) const CELL: usize = 514;

/// The pattern repeats after a prime number of bytes, so that a piece that is lost or repeated cannot go unnoticed. It is
/// compared, not computed: that costs next to nothing.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..65_521).map(|_| byte()).collect()
});

/// Starts it; it ends with this process.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // An application that goes away is its own business.
            thread::spawn(move || drop(serve(connection)));
        }
    });
    Ok(address)
}

fn serve(mut connection: TcpStream) -> Result<()> {
    connection.set_nodelay(true)?;
    let mut purpose = [0];
    connection.read_exact(&mut purpose)?;
    match purpose[0] {
        SOURCE => give(connection),
        _ => echo(connection),
    }
}

fn give(mut connection: TcpStream) -> Result<()> {
    let mut length = [0; 8];
    connection.read_exact(&mut length)?;
    let mut left = u64::from_be_bytes(length);
    while left > 0 {
        let piece = &PATTERN[..PATTERN.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        connection.write_all(piece)?;
        left -= piece.len() as u64;
    }
    Ok(())
}

fn echo(mut connection: TcpStream) -> Result<()> {
    // There may be thousands of them.
    let mut buffer = [0; 2 * CELL];
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        connection.write_all(&buffer[..length])?;
    }
}

fn connect(entrance: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(entrance).context("connecting to `forward`")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A file that is being fetched.
pub(crate) struct Download {
    stream: TcpStream,
    buffer: Vec<u8>,
    received: u64,
    pub(crate) started: Instant,
}

impl Download {
    pub(crate) fn start(entrance: SocketAddr, length: u64) -> Result<Self> {
        let mut stream = connect(entrance)?;
        let started = Instant::now();
        stream.write_all(&[&[SOURCE][..], &length.to_be_bytes()].concat())?;
        Ok(Self { stream, buffer: vec![0; PATTERN.len()], received: 0, started })
    }

    /// Reads the next piece; returns how much has come in all, or nothing at the end.
    pub(crate) fn more(&mut self) -> Result<Option<u64>> {
        let place = usize::try_from(self.received % PATTERN.len() as u64)?;
        let expected = &PATTERN[place..];
        let room = &mut self.buffer[..expected.len()];
        let length = read(&mut self.stream, room).context("downloading")?;
        ensure!(self.buffer[..length] == expected[..length], "other bytes arrived than were sent");
        self.received += length as u64;
        Ok((length > 0).then_some(self.received))
    }
}

/// Fetches so many bytes, and says how many came a second.
pub(crate) fn rate_of(entrance: SocketAddr, length: u64) -> Result<f64> {
    let mut download = Download::start(entrance, length)?;
    let mut received = 0;
    while let Some(sum) = download.more()? {
        received = sum;
    }
    ensure!(received == length, "the download ended after {received} of {length} bytes");
    Ok(length as f64 / download.started.elapsed().as_secs_f64())
}

/// Fetches for so long, and says how many bytes a second came in the last half of that time.
pub(crate) fn rate_within(entrance: SocketAddr, time: Duration) -> Result<f64> {
    let mut download = Download::start(entrance, u64::MAX)?;
    let mut half = None;
    loop {
        let received = download.more()?.context("the download ended")?;
        let elapsed = download.started.elapsed();
        if elapsed >= time / 2 {
            let (since, before) = *half.get_or_insert((elapsed, received));
            if elapsed >= time {
                return Ok((received - before) as f64 / (elapsed - since).as_secs_f64());
            }
        }
    }
}

/// Fetches for so long, and says how many bytes a second came in that time.
pub(crate) fn rate_for(entrance: SocketAddr, time: Duration) -> Result<f64> {
    let mut download = Download::start(entrance, u64::MAX)?;
    let mut received = 0;
    while download.started.elapsed() < time {
        received = download.more()?.context("the download ended")?;
    }
    Ok(received as f64 / download.started.elapsed().as_secs_f64())
}

/// A connection on which everything comes back.
pub(crate) struct Echo(TcpStream);

impl Echo {
    pub(crate) fn start(entrance: SocketAddr) -> Result<Self> {
        let mut stream = connect(entrance)?;
        stream.write_all(&[ECHO])?;
        Ok(Self(stream))
    }

    pub(crate) fn send(&mut self) -> Result<()> {
        Ok(self.0.write_all(&[7; CELL])?)
    }

    pub(crate) fn receive(&mut self) -> Result<()> {
        let mut cell = [0; CELL];
        self.0.read_exact(&mut cell).context("waiting for the echo")?;
        ensure!(cell == [7; CELL], "the echo differs");
        Ok(())
    }

    /// Sends a cell and waits for it, in seconds.
    pub(crate) fn time(&mut self) -> Result<f64> {
        let started = Instant::now();
        self.send()?;
        self.receive()?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// So many cells, with a pause before each.
    pub(crate) fn times(&mut self, count: usize, pause: Duration) -> Result<Vec<f64>> {
        let mut time = |_| {
            thread::sleep(pause);
            self.time()
        };
        (0..count).map(&mut time).collect()
    }

    /// The same behind those that do not count.
    pub(crate) fn settled_times(&mut self, count: usize, pause: Duration) -> Result<Vec<f64>> {
        self.times(BEFORE, pause)?;
        self.times(count, pause)
    }
}
