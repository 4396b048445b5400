//! The little that is needed of tor's control port (control-spec sections 2 and 3).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a control port without authentication.
#[derive(Debug)]
pub struct Control {
    reader: BufReader<TcpStream>,
}

impl Control {
    /// Connects and authenticates.
    ///
    /// # Errors
    ///
    /// When nobody listens, or a password is wanted.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("connecting to the control port")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut control = Self { reader: BufReader::new(stream) };
        control.command("AUTHENTICATE")?;
        Ok(control)
    }

    /// Sends a command and returns the lines of its answer.
    ///
    /// # Errors
    ///
    /// When tor refuses it.
    pub fn command(&mut self, command: &str) -> Result<Vec<String>> {
        write!(self.reader.get_mut(), "{command}\r\n")?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).context("reading from the control port")?;
            let line = line.trim_end().to_owned();
            if line.starts_with("250 ") {
                return Ok(lines);
            }
            if line.is_empty() || line.starts_with(['4', '5']) {
                bail!("tor refused {}: {line}", command.split(' ').next().unwrap_or_default());
            }
            lines.push(line);
        }
    }
}
