#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use super::*;
use crate::xmpp::records::Recorded;
use crate::xmpp::websocket::pongs;
use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_websockets::{ClientBuilder, Limits};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSING: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The most bytes of a message here.
const MAX_MESSAGE: usize = 100;

const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const FOOTER: &str = "</stream:stream>";

/// A frame as a server sends it (RFC 6455 section 5.2).
fn frame(opcode: u8, is_last: bool, payload: &[u8]) -> Vec<u8> {
    let first = opcode | if is_last { 0x80 } else { 0 };
    let length = match u8::try_from(payload.len()) {
        Ok(length @ ..126) => vec![length],
        _ => [&[126], &u16::try_from(payload.len()).unwrap().to_be_bytes()[..]].concat(),
    };
    [&[first], &length[..], payload].concat()
}

fn text(message: &str) -> Vec<u8> {
    frame(TEXT, true, message.as_bytes())
}

/// Our end, and the server's, between which no more than `size` bytes are on their way.
fn connection(size: usize) -> (Messages<DuplexStream>, DuplexStream) {
    connection_for(size, MAX_MESSAGE)
}

/// The same for messages that are so long at most.
fn connection_for(size: usize, max_message: usize) -> (Messages<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(size);
    let limits = Limits::default().max_payload_len(Some(max_message));
    (Messages::new(ClientBuilder::new().limits(limits).take_over(near)), far)
}

/// The next frame of ours, which is masked: opcode and payload.
async fn next_frame(far: &mut DuplexStream) -> (u8, String) {
    let mut head = [0; 2];
    far.read_exact(&mut head).await.unwrap();
    assert!(head[0] & 0x80 != 0 && head[1] & 0x80 != 0, "in one frame, and masked");
    let length = match head[1] & 0x7f {
        126 => usize::from(far.read_u16().await.unwrap()),
        length => usize::from(length),
    };
    let (mut mask, mut payload) = ([0; 4], vec![0; length]);
    far.read_exact(&mut mask).await.unwrap();
    far.read_exact(&mut payload).await.unwrap();
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (head[0] & 0x0f, String::from_utf8_lossy(&payload).into_owned())
}

/// All that is read of a server that sends `sent` and is gone then.
async fn read_of(size: usize, sent: Vec<u8>) -> (String, io::Result<()>) {
    let (mut messages, far) = connection(size);
    let mut read = String::new();
    // What we answer is of no interest, and must not stop the server.
    let (mut answers, mut sender) = tokio::io::split(far);
    let serve = async {
        // A server that we hang up on cannot send the rest.
        let _ = sender.write_all(&sent).await;
        let _ = sender.shutdown().await;
    };
    let listen = async {
        let mut nowhere = tokio::io::sink();
        let _ = tokio::io::copy(&mut answers, &mut nowhere).await;
    };
    let end = async {
        let end = messages.read_to_string(&mut read).await.map(|_| ());
        drop(messages);
        end
    };
    let (end, (), ()) = tokio::join!(end, serve, listen);
    (read, end)
}

/// What a fault is to an account.
fn fault_of(end: &io::Result<()>) -> Option<AccountError> {
    end.as_ref().err().map(|error| AccountError::io(Step::Session, error))
}

#[tokio::test]
async fn what_is_written_goes_as_masked_messages_of_one_element_each() {
    let (mut messages, mut far) = connection(4096);
    let long = "x".repeat(1000);
    messages.write_all(format!("<iq/> <iq id='{long}'/><r xmlns='y'/><presence").as_bytes()).await.unwrap();
    messages.flush().await.unwrap();
    for expected in [
        "<iq xmlns='jabber:client'/>".to_owned(),
        format!("<iq xmlns='jabber:client' id='{long}'/>"),
        "<r xmlns='y'/>".to_owned(),
    ] {
        assert_eq!(next_frame(&mut far).await, (TEXT, expected));
    }
    messages.write_all(b"/>").await.unwrap();
    messages.flush().await.unwrap();
    assert_eq!(next_frame(&mut far).await.1, "<presence xmlns='jabber:client'/>");
}

#[tokio::test(start_paused = true)]
async fn bulk_fills_its_records_with_pongs_and_every_message_stays_what_it_was() {
    let (near, mut far) = duplex(1 << 20);
    let socket = ClientBuilder::new().take_over(Recorded::new(near, pongs::fill));
    let mut messages = Messages::new(socket);
    let sent: Vec<String> = (0..60).map(|n| format!("<iq id='{n}{}'/>", "x".repeat(1000 + n))).collect();
    messages.write_all(sent.concat().as_bytes()).await.unwrap();
    messages.flush().await.unwrap();
    let (mut received, mut length) = (Vec::new(), 0);
    while received.len() < sent.len() || length % 4096 != 0 {
        let frame = tokio::time::timeout(std::time::Duration::from_secs(1), next_frame(&mut far)).await;
        let (opcode, payload) = frame.expect("no records are filled up");
        length += 6 + payload.len() + if payload.len() > 125 { 2 } else { 0 };
        match opcode {
            TEXT => received.push(payload.replace(" xmlns='jabber:client'", "")),
            opcode => assert_eq!(opcode, PONG),
        }
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_long_message_is_read_in_pieces() {
    let long = "<a/>".repeat(50_000);
    let (mut messages, mut far) = connection_for(1 << 20, long.len());
    let sent = [&[0x80 | TEXT, 127], &(long.len() as u64).to_be_bytes()[..], long.as_bytes()].concat();
    far.write_all(&sent).await.unwrap();
    let mut read = Vec::new();
    while read.len() < long.len() {
        let piece = messages.fill_buf().await.unwrap();
        assert!((1..=1 << 16).contains(&piece.len()), "{} bytes at a time", piece.len());
        read.extend_from_slice(piece);
        let length = piece.len();
        messages.consume(length);
    }
    assert!(read == long.as_bytes());
}

#[tokio::test]
async fn a_ping_is_answered_with_what_it_says() {
    let (mut messages, mut far) = connection(4096);
    far.write_all(&[frame(PING, true, b"one"), text("<r/>")].concat()).await.unwrap();
    let mut read = [0; 4];
    messages.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"<r/>");
    assert_eq!(next_frame(&mut far).await, (PONG, "one".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_reads_nothing_cannot_make_us_collect_answers() {
    let (mut messages, mut far) = connection(64);
    let pings = async {
        let ping = frame(PING, true, &[b'x'; 60]);
        let mut sent = 0;
        while tokio::time::timeout(std::time::Duration::from_millis(200), far.write_all(&ping)).await.is_ok()
        {
            sent += 1;
            assert!(sent < 2 * MOST_PINGS, "they are taken without end");
        }
    };
    let mut buffer = [0];
    tokio::select! {
        read = messages.read(&mut buffer) => panic!("{read:?}"),
        () = pings => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_pings_before_it_reads_what_waits_is_listened_to_all_the_same() {
    let (mut messages, mut far) = connection(64);
    let bulk = format!("<iq id='{}'/>", "x".repeat(1000));
    messages.write_all(bulk.as_bytes()).await.unwrap();
    let mut read = [0; 4];
    let listen = messages.read_exact(&mut read);
    let sent = [frame(PING, true, b""), text("<r/>")].concat();
    let (listened, sent) = tokio::join!(listen, far.write_all(&sent));
    listened.unwrap();
    sent.unwrap();
    assert_eq!(&read, b"<r/>");
}

#[tokio::test(start_paused = true)]
async fn when_both_streams_have_ended_the_websocket_is_closed() {
    let (mut messages, mut far) = connection(4096);
    let close = async {
        messages.write_all(FOOTER.as_bytes()).await.unwrap();
        messages.shutdown().await
    };
    let serve = async {
        assert_eq!(next_frame(&mut far).await, (TEXT, CLOSE.to_owned()));
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), next_frame(&mut far)).await;
        assert!(early.is_err(), "nothing is closed before the server has ended its stream");
        far.write_all(&[text("<message/>"), text(CLOSE)].concat()).await.unwrap();
        assert_eq!(next_frame(&mut far).await.0, CLOSING);
        far.write_all(&frame(CLOSING, true, &1000u16.to_be_bytes())).await.unwrap();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "the connection has ended");
    };
    let (closed, ()) = tokio::join!(close, serve);
    closed.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_its_stream_first_gets_our_end_and_then_the_websocket_is_closed() {
    let (mut messages, mut far) = connection(4096);
    far.write_all(&text(CLOSE)).await.unwrap();
    let mut read = vec![0; FOOTER.len()];
    messages.read_exact(&mut read).await.unwrap();
    assert_eq!(read, FOOTER.as_bytes());
    let close = async {
        messages.write_all(FOOTER.as_bytes()).await.unwrap();
        messages.shutdown().await
    };
    let serve = async {
        assert_eq!(next_frame(&mut far).await, (TEXT, CLOSE.to_owned()));
        assert_eq!(next_frame(&mut far).await.0, CLOSING);
        far.write_all(&frame(CLOSING, true, b"")).await.unwrap();
    };
    let (closed, ()) = tokio::join!(close, serve);
    closed.unwrap();
}

#[tokio::test]
async fn a_websocket_that_is_closed_while_the_stream_goes_on_is_a_cut_and_gets_its_answer() {
    let (mut messages, mut far) = connection(4096);
    far.write_all(&[text("<r/>"), frame(CLOSING, true, &1001u16.to_be_bytes())].concat()).await.unwrap();
    let mut read = String::new();
    messages.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "<r/>");
    assert_eq!(next_frame(&mut far).await.0, CLOSING);
    let written = messages.write_all(b"<iq/>").await;
    assert!(fault_of(&written).unwrap().is_cut());
}

#[tokio::test]
async fn what_a_server_must_not_send_ends_the_connection_for_what_it_is() {
    let masked = [&[0x81, 0x84, 0, 0, 0, 0], &b"<r/>"[..]].concat();
    let nonsense = AccountError::Protocol(Step::Session);
    let redirection = CLOSE.replace("/>", " see-other-uri='wss://other.example/'/>");
    for (sent, expected) in [
        (frame(TEXT, true, &[b'x'; MAX_MESSAGE + 1]), AccountError::TooMuch(Step::Session)),
        (
            [frame(TEXT, false, &[b'x'; MAX_MESSAGE]), frame(0, true, b"x")].concat(),
            AccountError::TooMuch(Step::Session),
        ),
        (frame(BINARY, true, b"<r/>"), nonsense.clone()),
        (frame(TEXT, true, b"\xff"), nonsense.clone()),
        (frame(3, true, b""), nonsense.clone()),
        (frame(0, true, b""), nonsense.clone()),
        (frame(PING, false, b""), nonsense.clone()),
        (vec![0xc1, 0], nonsense.clone()),
        (masked, nonsense),
        (text(&redirection), AccountError::SeeOtherUri),
    ] {
        let (_, end) = read_of(4096, sent.clone()).await;
        assert_eq!(fault_of(&end), Some(expected), "{sent:?}");
    }
}

/// A message in frames, and what of the server's own goes between these.
fn message() -> impl Strategy<Value = (Vec<String>, Vec<Option<u8>>)> {
    let part = "[a-zé<>/ ]{0,20}";
    let between = prop::option::of(prop::sample::select(vec![PING, PONG]));
    (prop::collection::vec(part, 1..4), prop::collection::vec(between, 4))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_messages_are_framed_and_cut_and_whatever_is_between_them_the_same_is_read(
        sent in prop::collection::vec(message(), 0..6),
        size in 1usize..200,
    ) {
        let (mut frames, mut expected) = (text(OPEN), String::new());
        for (parts, between) in &sent {
            for (n, part) in parts.iter().enumerate() {
                let opcode = if n == 0 { TEXT } else { 0 };
                frames.extend(frame(opcode, n + 1 == parts.len(), part.as_bytes()));
                frames.extend(between[n].into_iter().flat_map(|opcode| frame(opcode, true, b"x")));
                expected.push_str(part);
            }
        }
        frames.extend(text(CLOSE));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (read, end) = runtime.block_on(read_of(size, frames));
        end.unwrap();
        let read = read.split_once('>').unwrap();
        prop_assert!(read.0.starts_with("<stream:stream "));
        prop_assert_eq!(read.1, expected + FOOTER);
    }
}
