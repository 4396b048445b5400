//! Exchange with a web server: one request, and its answer (RFC 9112).

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf, split,
};

use super::Upload;
use super::fault::Fault;
use super::file_place::FilePlace;
use crate::persona;
use crate::xmpp::http::Head;

/// Answers that say that there is another to come (1xx), at most: 4. Servers send one or none.
const MOST_INTERIM: usize = 4;

/// Bytes that are read in one go: 16 KiB, the most that a TLS record holds.
const READ_BUFFER: usize = 16 * 1024;

/// What the library that slixmpp uses says in every request.
const COMMON_FIELDS: &str = "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\n";

/// A final answer.
struct Answer {
    head: Head,
    /// Whether another request can follow on this connection.
    is_persistent: bool,
}

/// Whether nothing has come on a connection since it was used last, neither bytes nor its end.
pub(super) async fn is_silent(io: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut byte = [0];
    poll_fn(|cx| {
        let mut buffer = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *io).poll_read(cx, &mut buffer).is_pending())
    })
    .await
}

/// Puts a file. The connection, if it can be used again.
///
/// An answer that comes while the file is still being written is one all the same: a server that wants none of it need not read it. `written`
/// is called once all of the file is on its way, and the answer has not come.
pub(super) async fn put<S>(
    io: S,
    upload: &Upload<'_>,
    body: impl Stream<Item = Bytes> + Unpin,
    written: impl FnOnce(),
) -> Result<Option<S>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = put_head(upload).ok_or(Fault::BadRequest)?;
    let (reader, mut writer) = split(io);
    let mut reader = BufReader::new(reader);
    let (answer, is_written) = {
        let mut answer = pin!(read_answer(&mut reader));
        let mut writing = pin!(write_file(&mut writer, &head, upload.size, body));
        tokio::select! {
            answer = &mut answer => (answer, false),
            outcome = &mut writing => match outcome {
                Ok(()) => {
                    written();
                    (answer.await, true)
                }
                Err(Fault::BadRequest) => return Err(Fault::BadRequest),
                // It has closed the connection, perhaps behind an answer.
                Err(fault) => (Ok(answer.await.map_err(|_| fault)?), false),
            },
        }
    };
    let answer = answer.map_err(|error| Fault::of_io(&error))?;
    match answer.head.status {
        200 | 201 | 204 if is_written => {}
        201..=299 => return Err(Fault::Nonsense),
        status => return Err(Fault::of_status(status)),
    }
    let is_kept = answer.is_persistent && reader.buffer().is_empty();
    Ok(is_kept.then(|| reader.into_inner().unsplit(writer)))
}

/// What comes of asking for a file.
pub(super) enum Got<S> {
    /// The file.
    File(Body<S>),
    /// It is not there, as this status says, and this is the connection, if it can be used again.
    NotThere(u16, Option<S>),
}

/// Whether a file of which a service says this may still be on its way there: ejabberd says 404, and Prosody 410 as long as a slot is not used.
pub(super) fn may_come(status: u16) -> bool {
    matches!(status, 404 | 410)
}

/// Asks for a file of so many bytes.
pub(super) async fn get<S>(mut io: S, place: &FilePlace, size: usize) -> Result<Got<S>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = get_head(place);
    let written = async {
        io.write_all(head.as_bytes()).await?;
        io.flush().await
    };
    written.await.map_err(|error| Fault::of_io(&error))?;
    let mut reader = BufReader::with_capacity(READ_BUFFER, io);
    let head = final_head(&mut reader).await.map_err(|error| Fault::of_io(&error))?;
    match head.status {
        200 => {}
        status if may_come(status) => {
            let is_kept =
                read_rest(&head, &mut reader).await.is_ok_and(|is_read| is_read && head.is_persistent());
            let is_kept = is_kept && reader.buffer().is_empty();
            return Ok(Got::NotThere(status, is_kept.then(|| reader.into_inner())));
        }
        201..=299 => return Err(Fault::Nonsense),
        status => return Err(Fault::of_status(status)),
    }
    let length = head.content_length().map_err(|error| Fault::of_io(&error))?;
    if length != Some(size as u64) || head.values("transfer-encoding").next().is_some() {
        return Err(Fault::Length);
    }
    Ok(Got::File(Body { is_persistent: head.is_persistent(), reader, left: size }))
}

/// A file that comes, of which no byte more is read than it has.
pub(super) struct Body<S> {
    reader: BufReader<S>,
    left: usize,
    is_persistent: bool,
}

impl<S: AsyncRead + Unpin> Body<S> {
    /// The next bytes of it; none at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        let read = self.reader.fill_buf().await.map_err(|error| Fault::of_io(&error))?;
        let bytes = Bytes::copy_from_slice(&read[..read.len().min(self.left)]);
        if bytes.is_empty() {
            return Err(Fault::Closed);
        }
        self.reader.consume(bytes.len());
        self.left -= bytes.len();
        Ok(Some(bytes))
    }

    /// The connection, if it can be used again.
    pub(super) fn into_io(self) -> Option<S> {
        let is_kept = self.left == 0 && self.is_persistent && self.reader.buffer().is_empty();
        is_kept.then(|| self.reader.into_inner())
    }
}

/// The beginning of every request.
fn start_of(method: &str, place: &FilePlace) -> String {
    let url = place.url();
    format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", url.path, url.authority())
}

fn get_head(place: &FilePlace) -> String {
    format!("{}{COMMON_FIELDS}User-Agent: {}\r\n\r\n", start_of("GET", place), persona::DOWNLOADER)
}

/// None where a value would be more than one, or no text.
fn put_head(upload: &Upload<'_>) -> Option<String> {
    let mut head = start_of("PUT", upload.place);
    head += &format!("User-Agent: {}\r\n", persona::UPLOADER);
    head += &format!("Content-Length: {}\r\nContent-Type: {}\r\n", upload.size, upload.content_type);
    for (name, value) in upload.fields {
        if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return None;
        }
        head += &format!("{name}: {value}\r\n");
    }
    Some(head + COMMON_FIELDS + "\r\n")
}

async fn write_file(
    io: &mut (impl AsyncWrite + Unpin),
    head: &str,
    size: usize,
    mut body: impl Stream<Item = Bytes> + Unpin,
) -> Result<(), Fault> {
    let fault = |error: io::Error| Fault::of_io(&error);
    io.write_all(head.as_bytes()).await.map_err(fault)?;
    let mut left = size;
    while let Some(bytes) = body.next().await {
        left = left.checked_sub(bytes.len()).ok_or(Fault::BadRequest)?;
        io.write_all(&bytes).await.map_err(fault)?;
        io.flush().await.map_err(fault)?;
    }
    if left == 0 { Ok(()) } else { Err(Fault::BadRequest) }
}

/// The first head that is final.
async fn final_head(io: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Head> {
    for _ in 0..=MOST_INTERIM {
        let head = Head::read(io).await?;
        if !(100..200).contains(&head.status) {
            return Ok(head);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// The final answer, with what follows its head, which is of no interest.
async fn read_answer(io: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Answer> {
    let head = final_head(io).await?;
    let is_read = read_rest(&head, io).await?;
    Ok(Answer { is_persistent: is_read && head.is_persistent(), head })
}

/// Reads what follows a head; whether another answer can follow on that.
async fn read_rest(head: &Head, io: &mut (impl AsyncBufRead + Unpin)) -> io::Result<bool> {
    let has_end = head.content_length()?.is_some() || head.values("transfer-encoding").next().is_some();
    Ok(head.status == 204 || (has_end && head.read_body(io).await.is_ok()))
}
