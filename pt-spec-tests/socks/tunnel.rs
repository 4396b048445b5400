//! Rows 24 and 28: what happens to a request that succeeds.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{REFUSED, SUCCEEDED, TO_AN_ADDRESS, as_tor_does, authenticate, offer, reply, request, succeed};
use crate::bridge::Asked;
use crate::chat_server::ChatServer;
use crate::child::{Launch, PATIENCE};

/// A bridge that tells when it was asked, and answers when it is told how.
fn bridge() -> (ChatServer, Receiver<()>, Sender<&'static str>) {
    let (asked, was_asked) = channel();
    let (answer, answers) = channel();
    let answers = Mutex::new(answers);
    let server = ChatServer::with_session(move |client| {
        let mut connection = Asked::by(client)?;
        asked.send(()).ok()?;
        connection.answer(client, answers.lock().unwrap().recv().ok()?)?;
        let mut all = Vec::new();
        for id in 0.. {
            let data = connection.packet(client, id)?;
            all.extend_from_slice(&data);
            connection.send(client, &data)?;
            if all.ends_with(b"!") {
                break;
            }
        }
        client.wait()
    });
    (server, was_asked, answer)
}

#[test]
fn row_28_success_is_told_when_the_bridge_has_answered_and_not_before() {
    let (server, was_asked, answer) = bridge();
    let child = Launch::client().start();
    let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
    authenticate(&mut stream, &as_tor_does(server.anonymously().as_bytes()));
    stream.write_all(&TO_AN_ADDRESS).unwrap();
    was_asked.recv_timeout(PATIENCE).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "an answer too early");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    answer.send("success").unwrap();
    assert_eq!(reply(&mut stream), SUCCEEDED);
}

#[test]
fn row_28_a_refusal_by_the_bridge_is_told_too() {
    let (server, _asked, answer) = bridge();
    answer.send("failure").unwrap();
    let child = Launch::client().start();
    let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
    authenticate(&mut stream, &as_tor_does(server.anonymously().as_bytes()));
    assert_eq!(request(&mut stream, &TO_AN_ADDRESS), REFUSED);
}

#[test]
fn row_24_what_is_sent_behind_the_request_is_not_lost() {
    let (server, was_asked, answer) = bridge();
    let child = Launch::client().start();
    let (mut stream, _) = offer(child.socks(), &[2]).unwrap();
    let early = "early data ".repeat(500) + "!";
    // Everything at once, before anything is answered.
    let credentials = as_tor_does(server.anonymously().as_bytes());
    stream.write_all(&[&credentials, &TO_AN_ADDRESS[..], early.as_bytes()].concat()).unwrap();
    was_asked.recv_timeout(PATIENCE).unwrap();
    answer.send("success").unwrap();
    let mut status = [0; 2];
    stream.read_exact(&mut status).unwrap();
    assert_eq!((status, reply(&mut stream)), ([1, 0], SUCCEEDED));
    let mut echo = vec![0; early.len()];
    stream.read_exact(&mut echo).unwrap();
    assert!(echo == early.as_bytes(), "what came back differs");
}

#[test]
fn row_7_a_client_serves_requests_without_a_usable_state_folder() {
    let unusable = |path: &str| Launch::client().set("TOR_PT_STATE_LOCATION", path);
    for launch in [unusable("/proc/self"), unusable("/proc/nothing"), Launch::client().with_read_only_state()]
    {
        let (server, _asked, answer) = bridge();
        answer.send("success").unwrap();
        let child = launch.start();
        let mut stream = succeed(child.socks(), server.anonymously().as_bytes());
        stream.write_all(b"echo!").unwrap();
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"echo!");
        child.says("LOG SEVERITY=notice MESSAGE=\"nothing will be kept for the next run");
    }
}
