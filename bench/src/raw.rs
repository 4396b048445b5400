//! Raw stanzas, the ceiling: a client that does nothing but write stanzas which it has made before, and one that only looks for
//! the end.
//!
//! It knows just enough XMPP for a login, and reads with searches instead of a parser.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hexchat_lab::ChatServer;
use hexchat_lab::server::DOMAIN;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::PATIENCE;
use crate::target::{BEFORE, CELL, Echo};

/// Stands in the last stanza, and nowhere in base64.
const END: u8 = b'*';
/// At least so much is written at a time, in bytes.
const BATCH: usize = 32 * 1024;
const BUFFER: usize = 256 * 1024;
/// A divisor of what Prosody reads before it looks whether that was all of a TLS record, in bytes.
const RECORD: usize = 4096;

/// How stanzas lie in TLS records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// As they come.
    Plain,
    /// In records that end where Prosody's reads do, as ours: it does not rest in the midst of one. Each stanza is filled
    /// up with spaces.
    Aligned,
}

/// With the socket options that ours have: small writes are not held back, and each read is acknowledged at once.
struct Prompt(BufReader<TcpStream>);

impl Read for Prompt {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.buffer().is_empty() {
            rustix::net::sockopt::set_tcp_quickack(self.0.get_ref(), true)?;
        }
        self.0.read(buffer)
    }
}

impl Write for Prompt {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// A logged-in connection.
pub(crate) struct Raw {
    tls: StreamOwned<ClientConnection, Prompt>,
    jid: String,
    buffer: Vec<u8>,
}

impl Raw {
    fn log_in(chat: &ChatServer, user: &str, records: Records) -> Result<Self> {
        let tcp = TcpStream::connect(chat.tls_address())?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let tls = ClientConnection::new(tls_config(chat, records)?, ServerName::try_from(DOMAIN)?)?;
        let tls = StreamOwned::new(tls, Prompt(BufReader::with_capacity(BUFFER, tcp)));
        let jid = format!("{user}@{DOMAIN}/raw");
        let mut raw = Self { tls, jid, buffer: vec![0; BUFFER] };
        raw.authenticate(user).with_context(|| format!("logging {user} in without a library"))?;
        Ok(raw)
    }

    fn authenticate(&mut self, user: &str) -> Result<()> {
        let header = format!(
            "<?xml version='1.0'?><stream:stream to='{DOMAIN}' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
        );
        self.ask(&header, "</stream:features>")?;
        let plain = BASE64.encode(format!("\0{user}\0{}", ChatServer::password(user)));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
        self.ask(&auth, "<success")?;
        self.ask(&header, "</stream:features>")?;
        let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>raw</resource></bind>";
        self.ask(&format!("<iq type='set' id='b'>{bind}</iq>"), "</iq>")?;
        // The answer is one's own presence.
        self.ask("<presence/>", "<presence").map(drop)
    }

    /// Writes something and reads until these words have come.
    fn ask(&mut self, text: &str, end: &str) -> Result<()> {
        self.write(text)?;
        let mut answer = String::new();
        while !answer.contains(end) {
            let length = self.tls.read(&mut self.buffer)?;
            ensure!(length > 0 && !answer.contains("<failure"), "the server answered {answer:?}");
            answer.push_str(&String::from_utf8_lossy(&self.buffer[..length]));
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        Ok(self.tls.write_all(text.as_bytes())?)
    }

    /// Reads a small stanza, all of which comes at once.
    fn await_stanza(&mut self) -> Result<()> {
        self.read_to(b'>')
    }

    /// Reads until a piece has this byte.
    fn read_to(&mut self, end: u8) -> Result<()> {
        loop {
            let length = self.tls.read(&mut self.buffer)?;
            ensure!(length > 0, "the server closed the connection");
            if self.buffer[..length].contains(&end) {
                return Ok(());
            }
        }
    }
}

fn tls_config(chat: &ChatServer, records: Records) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(chat.ca_file()).map_err(|error| anyhow!("{error}"))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    if records == Records::Aligned {
        // The library counts the five bytes in front of a record as well.
        config.max_fragment_size = Some(RECORD + 5);
    }
    Ok(Arc::new(config))
}

/// What arrives a second, in bytes of payload, when each pair's first sends its second as much as it can for so long, in
/// blocks of this size.
pub(crate) fn rate(
    chat: &ChatServer,
    pairs: &[[&str; 2]],
    records: Records,
    block: usize,
    time: Duration,
) -> Result<f64> {
    let log_in = |users: &[&str; 2]| {
        let [from, to] = users.map(|user| Raw::log_in(chat, user, records));
        anyhow::Ok((from?, to?))
    };
    let pairs = pairs.iter().map(log_in).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    thread::scope(|scope| {
        let run =
            |(from, to): (Raw, Raw)| scope.spawn(move || carry(from, to, records, block, started, time));
        let running: Vec<_> = pairs.into_iter().map(run).collect();
        let mut sum = 0.0;
        for pair in running {
            sum += pair.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(sum)
    })
}

fn carry(
    mut from: Raw,
    mut to: Raw,
    records: Records,
    block: usize,
    started: Instant,
    time: Duration,
) -> Result<f64> {
    let jid = to.jid.clone();
    thread::scope(|scope| {
        let reading = scope.spawn(move || to.read_to(END).map(|()| started.elapsed()));
        let payload: Vec<u8> = (0..block).map(|n| (n * n % 251) as u8).collect();
        let mut stanza = data_iq(&jid, &BASE64.encode(payload));
        if records == Records::Aligned {
            stanza += &" ".repeat(stanza.len().next_multiple_of(RECORD) - stanza.len());
        }
        let count = BATCH.div_ceil(stanza.len());
        let batch = stanza.repeat(count);
        let mut sent = 0;
        while started.elapsed() < time {
            from.write(&batch)?;
            sent += count * block;
        }
        from.write(&data_iq(&jid, &char::from(END).to_string()))?;
        let elapsed = reading.join().map_err(|_| anyhow!("a thread panicked"))??;
        Ok(sent as f64 / elapsed.as_secs_f64())
    })
}

fn data_iq(to: &str, text: &str) -> String {
    format!(
        "<iq type='set' id='abcd' to='{to}'><data xmlns='http://jabber.org/protocol/ibb' seq='0' \
         sid='11111111-1111-1111-1111-111111111111'>{text}</data></iq>"
    )
}

/// Times of so many pings from one to the other and back (XEP-0199), with a pause before each, in seconds.
pub(crate) fn ping_times(
    chat: &ChatServer,
    users: [&str; 2],
    count: usize,
    pause: Duration,
) -> Result<Vec<f64>> {
    let log_in = |user| Raw::log_in(chat, user, Records::Plain);
    let (mut from, mut to) = (log_in(users[0])?, log_in(users[1])?);
    let ping = format!("<iq type='get' id='q' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>", to.jid);
    let pong = format!("<iq type='result' id='q' to='{}'/>", from.jid);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut answer = || to.await_stanza().and_then(|()| to.write(&pong));
            (0..BEFORE + count).all(|_| answer().is_ok())
        });
        let mut time = || {
            thread::sleep(pause);
            let started = Instant::now();
            from.write(&ping)?;
            from.await_stanza()?;
            Ok(started.elapsed().as_secs_f64())
        };
        (0..BEFORE).try_for_each(|_| time().map(drop))?;
        (0..count).map(|_| time()).collect()
    })
}

/// Times of so many cells there and back, with a pause before each, in seconds: in blocks of so many bytes, over the sockets
/// that a cell of ours goes over, and with nothing done on the way. It is what the servers and the system take.
pub(crate) fn cell_times(
    chat: &ChatServer,
    users: [&str; 2],
    target: SocketAddr,
    block: usize,
    (count, pause): (usize, Duration),
) -> Result<Vec<f64>> {
    let log_in = |user| Raw::log_in(chat, user, Records::Plain);
    let (from, to) = (log_in(users[0])?, log_in(users[1])?);
    let [there, back] = [&to.jid, &from.jid].map(|to| data_iq(to, &BASE64.encode(vec![7; block])));
    let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
    let entrance = listener.local_addr()?;
    let echo = Echo::start(target)?;
    thread::scope(|scope| {
        scope.spawn(move || near_half(&listener, from, &there));
        scope.spawn(move || far_half(to, echo, &back, BEFORE + count));
        Echo::start(entrance)?.settled_times(count, pause)
    })
}

/// In the place of `forward`, until the application goes away.
fn near_half(listener: &TcpListener, mut raw: Raw, stanza: &str) -> Result<()> {
    let (mut application, _) = listener.accept()?;
    application.set_nodelay(true)?;
    application.read_exact(&mut [0; 1])?;
    let mut cell = [0; CELL];
    loop {
        application.read_exact(&mut cell)?;
        raw.write(stanza)?;
        raw.await_stanza()?;
        application.write_all(&cell)?;
    }
}

/// In the place of `serve`.
fn far_half(mut raw: Raw, mut target: Echo, stanza: &str, count: usize) -> Result<()> {
    for _ in 0..count {
        raw.await_stanza()?;
        target.time()?;
        raw.write(stanza)?;
    }
    Ok(())
}
