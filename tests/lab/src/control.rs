//! Client of the little that is needed of tor's control port (control-spec sections 2 and 3).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

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

    /// Sends a signal such as `HUP` or `NEWNYM`.
    ///
    /// # Errors
    ///
    /// When tor does not know it.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        self.command(&format!("SIGNAL {signal}")).map(drop)
    }

    /// Sets an option, as a line of torrc would.
    ///
    /// # Errors
    ///
    /// When tor refuses the value.
    pub fn set_conf(&mut self, option: &str, value: &str) -> Result<()> {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.command(&format!("SETCONF {option}=\"{value}\"")).map(drop)
    }

    /// Asks for a piece of information, such as `status/bootstrap-phase`. Several lines are joined by line feeds.
    ///
    /// # Errors
    ///
    /// When tor does not know it.
    pub fn get_info(&mut self, key: &str) -> Result<String> {
        let answer = self.command(&format!("GETINFO {key}"))?.join("\n");
        let value = answer.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        Ok(value.with_context(|| format!("tor answered something else than {key}"))?.trim_start().to_owned())
    }

    /// Sends a command and returns the lines of its answer, without their status and without a final `250 OK`.
    ///
    /// # Errors
    ///
    /// When tor refuses it, with its reason; when it hangs up.
    pub fn command(&mut self, command: &str) -> Result<Vec<String>> {
        let name = command.split(' ').next().unwrap_or_default();
        write!(self.reader.get_mut(), "{command}\r\n").with_context(|| format!("sending {name}"))?;
        self.read_answer().with_context(|| format!("{name} at the control port"))
    }

    /// An answer is lines `250-TEXT` and `250+TEXT`, the latter followed by data up to a line with a dot, then `250 TEXT`.
    fn read_answer(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.read_line()?;
            let Some(text) = line.strip_prefix("250") else { bail!("tor refused: {line}") };
            match text.split_at_checked(1) {
                Some((" ", "OK")) => return Ok(lines),
                Some((" ", text)) => {
                    lines.push(text.to_owned());
                    return Ok(lines);
                }
                Some(("-", text)) => lines.push(text.to_owned()),
                Some(("+", text)) => {
                    lines.push(text.to_owned());
                    self.read_data(&mut lines)?;
                }
                _ => bail!("not an answer: {line}"),
            }
        }
    }

    fn read_data(&mut self, lines: &mut Vec<String>) -> Result<()> {
        loop {
            let line = self.read_line()?;
            match line.strip_prefix('.') {
                Some("") => return Ok(()),
                // A dot at the beginning of a line was doubled.
                Some(rest) => lines.push(rest.to_owned()),
                None => lines.push(line),
            }
        }
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        let length = self.reader.read_line(&mut line).context("reading")?;
        ensure!(length > 0, "tor hung up");
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// A control port that answers each command with the next of `answers`, and then hangs up.
    fn control_port(answers: &'static [&'static str]) -> (Control, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let answers = ["250 OK\r\n"].iter().chain(answers);
            answers
                .map(|answer| {
                    let mut command = String::new();
                    reader.read_line(&mut command).unwrap();
                    reader.get_mut().write_all(answer.as_bytes()).unwrap();
                    command
                })
                .collect()
        });
        (Control::connect(address).unwrap(), served)
    }

    #[test]
    fn data_that_looks_like_an_answer_is_data() {
        let answer = "250+config-text=\r\n250 OK\r\n552 no\r\n..dot\r\n\r\n.\r\n250 OK\r\n";
        let (mut control, _served) = control_port(Box::leak(Box::new([answer])));
        assert_eq!(control.get_info("config-text").unwrap(), "250 OK\n552 no\n.dot\n");
    }

    #[test]
    fn a_value_is_quoted() {
        let (mut control, served) = control_port(&["250 OK\r\n"]);
        control.set_conf("Nickname", r#"a "b" \c"#).unwrap();
        assert_eq!(served.join().unwrap()[1], "SETCONF Nickname=\"a \\\"b\\\" \\\\c\"\r\n");
    }

    #[test]
    fn a_refusal_gives_the_reason() {
        let (mut control, _served) = control_port(&["552 Unrecognized signal code\r\n"]);
        let error = format!("{:#}", control.signal("NONE").unwrap_err());
        assert!(error.contains("SIGNAL") && error.contains("Unrecognized signal code"), "{error}");
    }

    #[test]
    fn a_control_port_that_hangs_up_is_an_error() {
        let (mut control, _served) = control_port(&["250-half\r\n"]);
        let error = format!("{:#}", control.command("GETINFO half").unwrap_err());
        assert!(error.contains("hung up"), "{error}");
    }
}
