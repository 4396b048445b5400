//! Names: a SOCKS5 proxy that finds every name on this machine (RFC 1928), and notes which it was asked for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Read, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;

use crate::cutter::TcpCutter;
use crate::line::Line;

/// A proxy. It serves until the program ends.
#[derive(Clone, Debug)]
pub struct Names {
    address: SocketAddr,
    line: Line,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The names that it was asked for, each as often as that was.
    asked: Vec<String>,
    /// Connections to names.
    open: Vec<TcpStream>,
    is_stopped: bool,
    /// The lines to where it has connected to, unless there is nothing about them.
    lines: BTreeMap<SocketAddr, TcpCutter>,
}

impl Names {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub fn start() -> Result<Self> {
        Self::start_on(Line::default())
    }

    /// One to whom everything is at the other end of such a line.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub fn start_on(line: Line) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let names = Self { address: listener.local_addr()?, line, inner: Arc::default() };
        let serving = names.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let names = serving.clone();
                // Whoever is cut off sees it.
                thread::spawn(move || names.serve(client));
            }
        });
        Ok(names)
    }

    /// Where it takes connections.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a configuration names it.
    pub fn uri(&self) -> String {
        format!("socks5://{}", self.address)
    }

    /// The names that it was asked for, each as often as that was.
    pub fn asked(&self) -> Vec<String> {
        self.inner().asked.clone()
    }

    /// Ends all connections to names, and makes no more.
    pub fn stop(&self) {
        self.inner().is_stopped = true;
        self.cut();
    }

    /// Ends all connections to names.
    pub fn cut(&self) {
        for connection in self.inner().open.drain(..) {
            // It may be closed.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        // It wants no credentials, whatever is offered.
        read_counted(&mut client, 1)?;
        client.write_all(&[5, 0])?;
        let [_, _, _, kind] = read_array(&mut client)?;
        let (name, host) = match kind {
            1 => (None, IpAddr::from(Ipv4Addr::from(read_array(&mut client)?))),
            4 => (None, IpAddr::from(Ipv6Addr::from(read_array::<16>(&mut client)?))),
            _ => {
                let name = String::from_utf8_lossy(&read_counted(&mut client, 0)?).into_owned();
                (Some(name), Ipv4Addr::LOCALHOST.into())
            }
        };
        let port = u16::from_be_bytes(read_array(&mut client)?);
        let server = match self.note(name.as_deref(), &client) {
            true => self.connect((host, port).into()),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        };
        let code = if server.is_ok() { 0 } else { 5 };
        client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])?;
        let server = server?;
        for tcp in [&client, &server] {
            tcp.set_nodelay(true)?;
        }
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || copy(&from, &to));
        copy(&server, &client);
        Ok(())
    }

    fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        if self.line == Line::default() {
            return TcpStream::connect(to);
        }
        let address = match self.inner().lines.entry(to) {
            Entry::Occupied(line) => line.get().address(),
            Entry::Vacant(place) => {
                place.insert(TcpCutter::start_on(self.line, to).map_err(io::Error::other)?).address()
            }
        };
        TcpStream::connect(address)
    }

    /// Whether the connection to a name, or to an address, may be made.
    fn note(&self, name: Option<&str>, client: &TcpStream) -> bool {
        let Some(name) = name else { return true };
        let mut inner = self.inner();
        inner.asked.push(name.to_owned());
        inner.open.extend(client.try_clone());
        !inner.is_stopped
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes behind as many others, with their number before them.
fn read_counted(from: &mut TcpStream, skip: usize) -> io::Result<Vec<u8>> {
    let mut skipped = vec![0; skip];
    from.read_exact(&mut skipped)?;
    let [count] = read_array(from)?;
    let mut bytes = vec![0; count.into()];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_array<const N: usize>(from: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    // However it ends, the other end hears of it.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
