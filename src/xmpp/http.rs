//! HTTP/1.1 (RFC 9112), as much of it as a client needs to ask for a small document, a file or another protocol.
//!
//! What a server says is bounded, and read strictly: what could be understood in two ways is not understood at all.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The most bytes of the head of a response: 16 KiB, twice what web servers send without being told to.
const MAX_HEAD: u64 = 16 * 1024;

/// The most bytes of a document: 64 KiB. Those that are asked for have a few hundred.
const MAX_BODY: usize = 64 * 1024;

/// The most fields of a head: 64. Web servers send a dozen or two.
const MAX_FIELDS: usize = 64;

/// Why a response is none that can be used: inside an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum HttpFault {
    /// It is not HTTP, or can be understood in two ways.
    #[error("it is not HTTP")]
    Nonsense,
    /// It goes on and on.
    #[error("it is too long")]
    TooLong,
}

impl HttpFault {
    /// The one that is inside `error`.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Status and fields of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Whether it is of version 1.1, where connections are kept unless somebody says otherwise.
    is_current: bool,
    fields: Vec<(String, String)>,
}

impl Head {
    /// Reads the head of a response, and nothing behind it.
    ///
    /// # Errors
    ///
    /// There is none, or it is too long.
    pub(super) async fn read(io: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        match io.fill_buf().await?.first() {
            Some(b'H') => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
            // No web server. It may wait for us to say more before it ends its line.
            Some(_) => return Err(nonsense()),
        }
        let mut written = Vec::new();
        let mut io = io.take(MAX_HEAD);
        loop {
            let start = written.len();
            io.read_until(b'\n', &mut written).await?;
            match &written[start..] {
                b"\r\n" => return Self::parse(&written),
                line if line.ends_with(b"\r\n") => {}
                line if line.ends_with(b"\n") => return Err(nonsense()),
                _ if io.limit() == 0 => return Err(too_long()),
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    fn parse(written: &[u8]) -> io::Result<Self> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(written).map_err(|error| match error {
            httparse::Error::TooManyHeaders => too_long(),
            _ => nonsense(),
        })?;
        let field = |field: &httparse::Header<'_>| {
            // What is no text is of no interest.
            (field.name.to_owned(), String::from_utf8_lossy(field.value).trim().to_owned())
        };
        let status = response.code.filter(|_| parsed.is_complete()).ok_or_else(nonsense)?;
        let is_current = response.version == Some(1);
        Ok(Self { status, is_current, fields: response.headers.iter().map(field).collect() })
    }

    /// The values of all fields of this name.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The value of the field of this name.
    ///
    /// # Errors
    ///
    /// It is there more than once.
    pub(super) fn value<'a>(&'a self, name: &'a str) -> io::Result<Option<&'a str>> {
        let mut values = self.values(name);
        let first = values.next();
        if values.next().is_some() { Err(nonsense()) } else { Ok(first) }
    }

    /// How long it says that what follows is, in bytes; none if it does not say.
    ///
    /// # Errors
    ///
    /// It says so twice, or in no number.
    pub(super) fn content_length(&self) -> io::Result<Option<u64>> {
        let Some(length) = self.value("content-length")? else { return Ok(None) };
        let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
        length.parse().ok().filter(|_| is_number).ok_or_else(nonsense).map(Some)
    }

    /// Whether another request may follow on the connection (RFC 9112 section 9.3).
    pub(super) fn is_persistent(&self) -> bool {
        let mut options = self.values("connection").flat_map(|value| value.split(','));
        self.is_current && !options.any(|option| option.trim().eq_ignore_ascii_case("close"))
    }

    /// Reads what follows this head (RFC 9112 section 6.3).
    ///
    /// # Errors
    ///
    /// It is too long, or it is not said in one way how long it is.
    pub(super) async fn read_body(&self, io: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
        match (self.value("transfer-encoding")?, self.content_length()?) {
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => read_chunks(io).await,
            (None, Some(length)) => {
                let mut body = Vec::new();
                read_exactly(io, length, &mut body).await?;
                Ok(body)
            }
            (None, None) => {
                let mut body = Vec::new();
                let most = MAX_BODY as u64 + 1;
                io.take(most).read_to_end(&mut body).await?;
                if body.len() > MAX_BODY { Err(too_long()) } else { Ok(body) }
            }
            (Some(_), _) => Err(nonsense()),
        }
    }
}

/// Chunks up to the last (RFC 9112 section 7.1). What follows that is not waited for.
async fn read_chunks(io: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        (&mut *io).take(MAX_HEAD).read_until(b'\n', &mut line).await?;
        let Ok(httparse::Status::Complete((_, length))) = httparse::parse_chunk_size(&line) else {
            return Err(nonsense());
        };
        if length == 0 {
            return Ok(body);
        }
        read_exactly(io, length, &mut body).await?;
        let mut end = [0; 2];
        io.read_exact(&mut end).await?;
        if &end != b"\r\n" {
            return Err(nonsense());
        }
    }
}

async fn read_exactly(
    io: &mut (impl AsyncBufRead + Unpin),
    length: u64,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let start = body.len();
    let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
    let end = end.filter(|end| *end <= MAX_BODY).ok_or_else(too_long)?;
    body.resize(end, 0);
    io.read_exact(&mut body[start..]).await.map(|_| ())
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, HttpFault::Nonsense)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, HttpFault::TooLong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use tokio::io::BufReader;

    /// Status and document of a response that comes in pieces of so many bytes, and what is left behind it.
    fn read_in(size: usize, response: &str) -> io::Result<(u16, String, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let mut io = BufReader::with_capacity(size, response.as_bytes());
            let head = Head::read(&mut io).await?;
            let body = head.read_body(&mut io).await?;
            let mut rest = Vec::new();
            io.read_to_end(&mut rest).await?;
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Ok((head.status, text(body), text(rest)))
        })
    }

    fn read(response: &str) -> Result<(u16, String, String), io::ErrorKind> {
        read_in(4096, response).map_err(|error| error.kind())
    }

    fn fault(response: &str) -> Option<HttpFault> {
        HttpFault::of(&read_in(4096, response).err()?)
    }

    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\n";

    #[test]
    fn a_document_has_the_length_that_its_head_says() {
        let document = |length: &str| format!("HTTP/1.1 200 OK\r\nServer: x\r\n{length}\r\nabcdef");
        assert_eq!(read(&document("Content-length:3\r\n")), Ok((200, "abc".into(), "def".into())));
        assert_eq!(read(&document("")), Ok((200, "abcdef".into(), String::new())));
        assert_eq!(read(CHUNKED), Ok((200, "abc0123456789".into(), String::new())));
    }

    #[test]
    fn a_connection_is_kept_unless_the_version_is_old_or_somebody_says_otherwise() {
        let is_persistent =
            |head: &str| Head::parse(format!("{head}\r\n").as_bytes()).unwrap().is_persistent();
        assert!(is_persistent("HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\n"));
        for head in ["HTTP/1.0 200 OK\r\n", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\n"] {
            assert!(!is_persistent(head), "{head}");
        }
    }

    #[test]
    fn what_can_be_understood_in_two_ways_is_not_understood() {
        for fields in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length : 1\r\n",
            "no field\r\n",
        ] {
            let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\nabc");
            assert_eq!(fault(&response), Some(HttpFault::Nonsense), "{fields}");
        }
    }

    #[test]
    fn a_server_of_another_kind_is_noticed_and_an_end_is_told_apart() {
        for other in ["<stream:stream>", "SSH-2.0-x\r\n\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\n\n"] {
            assert_eq!(fault(other), Some(HttpFault::Nonsense), "{other:?}");
        }
        assert_eq!(read(""), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read("HTTP/1.1 2"), Err(io::ErrorKind::UnexpectedEof));
        let cut = CHUNKED.strip_suffix("789\r\n0\r\n").unwrap();
        assert_eq!(read(cut), Err(io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn nothing_goes_on_without_end() {
        let long = "a".repeat(2 * MAX_BODY);
        let many = "a: b\r\n".repeat(MAX_FIELDS + 1);
        for response in [
            format!("HTTP/1.1 200 OK\r\na: {long}"),
            format!("HTTP/1.1 200 OK\r\n\r\n{long}"),
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", MAX_BODY + 1),
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1FFFF\r\n{long}"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        ] {
            assert_eq!(fault(&response), Some(HttpFault::TooLong), "{}", &response[..50]);
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_response_comes(size in 1usize..100) {
            prop_assert_eq!(read_in(size, CHUNKED).unwrap(), read(CHUNKED).unwrap());
        }

        #[test]
        fn any_response_is_read_or_refused(response in "HTTP/1.1 [0-9]{3} \r\n(Content-Length|Transfer-Encoding|a): ?([0-9]|chunked)\r\n\r\n([0-9]\r\n|.){0,9}") {
            let _ = read(&response);
        }
    }
}
