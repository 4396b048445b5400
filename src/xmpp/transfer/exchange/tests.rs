//! Tests of exchanges with a web server that says what it is told to.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use futures_util::stream;
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

use super::*;
use crate::xmpp::place::Hosts;

const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";

fn place() -> FilePlace {
    FilePlace::new("https://upload.chat.example:5443/a/b.jpg", &Hosts::of_domains(["chat.example"])).unwrap()
}

/// How a server answers: what it says once it has read so many bytes, and whether it hangs up then.
#[derive(Clone, Copy)]
struct Server {
    reads: usize,
    says: &'static str,
    hangs_up: bool,
}

/// The server's end, which has this much room for what was not read. It gives back what it has read.
async fn serve(mut io: DuplexStream, server: Server) -> (Vec<u8>, DuplexStream) {
    let mut heard = vec![0; server.reads];
    io.read_exact(&mut heard).await.unwrap();
    io.write_all(server.says.as_bytes()).await.unwrap();
    if server.hangs_up {
        io.shutdown().await.unwrap();
    }
    (heard, io)
}

fn upload<'a>(place: &'a FilePlace, fields: &'a [(&'static str, String)], size: usize) -> Upload<'a> {
    Upload { place, fields, content_type: "image/jpeg", size }
}

fn put_head_len(size: usize) -> usize {
    put_head(&upload(&place(), &[], size)).unwrap().len()
}

/// Puts a file of this size whose pieces are these, at a server that has so much room, and whether the connection is kept.
async fn put_at(server: Server, room: usize, size: usize, pieces: &[usize]) -> Result<bool, Fault> {
    let (near, far) = duplex(room);
    let serving = tokio::spawn(serve(far, server));
    let place = place();
    let pieces = pieces.iter().map(|length| Bytes::from(vec![7; *length]));
    let put = put(near, &upload(&place, &[], size), stream::iter(pieces), || ()).await;
    // It ends when what it waits for cannot come any more.
    serving.abort();
    put.map(|kept| kept.is_some())
}

async fn get_at(server: Server, size: usize) -> Result<(usize, bool), Fault> {
    let (near, far) = duplex(1 << 20);
    let reads = get_head(&place()).len();
    let serving = tokio::spawn(serve(far, Server { reads, ..server }));
    let mut body = match get(near, &place(), size).await? {
        Got::File(body) => body,
        Got::NotThere(status, _) => return Err(Fault::Missing(status)),
    };
    let mut length = 0;
    while let Some(bytes) = body.next().await? {
        length += bytes.len();
    }
    let is_kept = body.into_io().is_some();
    serving.await.unwrap();
    Ok((length, is_kept))
}

fn says(says: &'static str) -> Server {
    Server { reads: 0, says, hangs_up: false }
}

#[tokio::test]
async fn a_file_is_put_as_slixmpp_puts_one() {
    let (near, far) = duplex(1 << 16);
    let (place, fields) = (place(), [("Authorization", "Bearer x.y".to_owned())]);
    let upload = upload(&place, &fields, 6);
    let head = put_head(&upload).unwrap();
    let reads = head.len() + 6;
    let serving = tokio::spawn(serve(far, Server { reads, says: CREATED, hangs_up: false }));
    let pieces = stream::iter([Bytes::from_static(b"abc"), Bytes::from_static(b"def")]);
    let mut is_written = false;
    let kept = put(near, &upload, pieces, || is_written = true).await.unwrap();
    assert!(is_written);
    let (heard, _far) = serving.await.unwrap();
    assert_eq!(
        String::from_utf8(heard).unwrap(),
        "PUT /a/b.jpg HTTP/1.1\r\nHost: upload.chat.example:5443\r\nUser-Agent: slixmpp 1.8.3\r\nContent-Length: 6\r\n\
         Content-Type: image/jpeg\r\nAuthorization: Bearer x.y\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n\r\nabcdef"
    );
    assert!(is_silent(&mut kept.unwrap()).await, "the connection is there for the next");
}

#[tokio::test]
async fn a_connection_is_there_for_the_next_where_there_is_no_such_file_and_its_answer_has_an_end() {
    let not_found = [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nNo.", true),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nNo.and more", false),
        ("HTTP/1.1 404 Not Found\r\n\r\n", false),
        ("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
    ];
    for (says, is_kept) in not_found {
        let (near, far) = duplex(1 << 16);
        let serving =
            tokio::spawn(serve(far, Server { reads: get_head(&place()).len(), says, hangs_up: false }));
        let Ok(Got::NotThere(404, io)) = get(near, &place(), 6).await else { panic!("{says}") };
        assert_eq!(io.is_some(), is_kept, "{says}");
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_comes_while_a_file_is_written_is_one() {
    let refused = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n";
    for hangs_up in [false, true] {
        // It has no room for the whole file, and reads nothing of it.
        let server = Server { reads: put_head_len(100_000), says: refused, hangs_up };
        assert_eq!(put_at(server, 4096, 100_000, &[100_000]).await, Err(Fault::Refused(413)));
    }
    let server = Server { reads: put_head_len(100_000), says: CREATED, hangs_up: false };
    assert_eq!(put_at(server, 4096, 100_000, &[100_000]).await, Err(Fault::Nonsense), "it cannot have it");
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_said_to_have_been_closed() {
    let server = Server { reads: put_head_len(10) + 10, says: "", hangs_up: true };
    assert_eq!(put_at(server, 4096, 10, &[10]).await, Err(Fault::Closed));
}

#[tokio::test]
async fn what_is_put_is_as_long_as_it_was_said_to_be() {
    for pieces in [&[4, 5][..], &[4, 7], &[]] {
        let server = Server { reads: put_head_len(10), says: "", hangs_up: false };
        assert_eq!(put_at(server, 4096, 10, pieces).await, Err(Fault::BadRequest), "{pieces:?}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_only_where_the_answer_has_an_end_and_nobody_wants_it_closed() {
    for (answer, is_kept) in [
        (CREATED, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", true),
        ("HTTP/1.1 201 Created\r\n\r\n", false),
        ("HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 201 Created\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\nmore", false),
    ] {
        let server = Server { reads: put_head_len(10) + 10, says: answer, hangs_up: false };
        assert_eq!(put_at(server, 4096, 10, &[10]).await, Ok(is_kept), "{answer}");
    }
}

#[tokio::test]
async fn a_field_that_would_be_two_is_not_sent() {
    for value in ["a\r\nHost: evil", "a\n", "\u{e9}", "\0"] {
        let (place, fields) = (place(), [("Cookie", value.to_owned())]);
        assert_eq!(put_head(&upload(&place, &fields, 1)), None, "{value:?}");
    }
}

#[tokio::test]
async fn a_file_is_fetched_and_not_a_byte_more() {
    let found = says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef");
    assert_eq!(get_at(found, 6).await, Ok((6, true)));
    let more = says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdefg");
    assert_eq!(get_at(more, 6).await, Ok((6, false)), "nobody knows what the rest is");
    let last = says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabcdef");
    assert_eq!(get_at(last, 6).await, Ok((6, false)));
}

#[tokio::test]
async fn a_file_of_another_length_or_without_one_is_not_read() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\nabcdef",
    ] {
        assert_eq!(get_at(says(answer), 6).await, Err(Fault::Length), "{answer}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_is_noticed() {
    let cut = Server { hangs_up: true, ..says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc") };
    assert_eq!(get_at(cut, 6).await, Err(Fault::Closed));
}

#[tokio::test]
async fn answers_that_are_no_file_are_told_apart() {
    for (answer, fault) in [
        ("HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n", Fault::Redirected(302)),
        ("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", Fault::Missing(410)),
        ("HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\nabcdef", Fault::Nonsense),
        ("HTTP/1.1 503 x\r\n\r\n", Fault::Failing(503)),
        ("SSH-2.0-x\r\n", Fault::Nonsense),
    ] {
        assert_eq!(get_at(says(answer), 6).await, Err(fault), "{answer}");
    }
    let endless: &'static str = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MOST_INTERIM + 1).leak();
    assert_eq!(get_at(says(endless), 6).await, Err(Fault::Nonsense));
}

#[tokio::test]
async fn a_connection_on_which_something_came_or_that_has_ended_is_not_used_again() {
    let (mut near, mut far) = duplex(64);
    assert!(is_silent(&mut near).await);
    far.write_all(b"x").await.unwrap();
    assert!(!is_silent(&mut near).await);
    let (mut near, far) = duplex(64);
    drop(far);
    assert!(!is_silent(&mut near).await);
}
