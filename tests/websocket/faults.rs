//! Faults on the way to a WebSocket: one sentence each, in good time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hexchat_lab::ports::{free_port, loopback};

use crate::harness::{Half, Lab, Route, on_both_servers};
use crate::web_server::{Client, web_server};

/// What a person should see within that time.
const SOON: Duration = Duration::from_secs(30);

/// Nobody is ever sent there.
const TARGET: &str = "127.0.0.1:9";

/// `forward` with this configuration says these words.
fn says(config: &str, words: &str) {
    let forward = Half::forward(config, "bob@chat.example", TARGET.parse().unwrap());
    forward.says(words, SOON);
}

fn at(url: &str) -> String {
    format!("[[account]]\njid = \"alice@chat.example\"\npassword = \"secret-of-alice\"\nserver = \"{url}\"\n")
}

fn plainly_at(address: SocketAddr) -> String {
    at(&format!("ws://{address}/ws")) + "tls = \"none\"\n"
}

on_both_servers! {
    fn a_certificate_of_an_unknown_authority_is_named(kind) {
        let lab = Lab::start(kind);
        says(&at(&lab.server.web_socket()), "its certificate is from an unknown authority");
    }

    fn a_key_that_is_pinned_is_the_only_one_that_is_trusted(kind) {
        let lab = Lab::start(kind);
        let config = |pin: &str| at(&lab.server.web_socket()) + &format!("pin = \"{pin}\"\n");
        let words = "its certificate does not have the key that `pin` says";
        says(&config(&"A".repeat(43)), words);
        let _online = Half::serve(&config(lab.server.pin()), &[TARGET.parse().unwrap()]);
    }

    fn a_certificate_for_another_host_than_that_of_the_url_is_named(kind) {
        let lab = Lab::start(kind);
        let config = lab.config(&["alice"], &Route::WebSocket).replace("//127.0.0.1", "//localhost");
        says(&config, "it has no certificate for the host of its WebSocket; the certificate must be for the host");
    }

    fn a_path_where_there_is_nothing_is_named(kind) {
        let lab = Lab::start(kind);
        let path = lab.server.web_socket_path();
        let config = lab.config(&["alice"], &Route::WebSocket).replace(path, "/nowhere");
        says(&config, "there is a web server, which answers with status 404; check the path of the URL");
    }
}

#[test]
fn a_port_where_the_server_takes_streams_and_no_websockets_is_noticed() {
    let address = web_server(|mut client| {
        client.say(
            b"<?xml version='1.0'?><stream:stream><stream:error><not-well-formed/></stream:error>\r\n",
        )?;
        client.wait()
    });
    says(
        &plainly_at(address),
        "opening a WebSocket at the chat server: the answer makes no sense; check the URL that `server`",
    );
}

#[test]
fn a_web_server_without_its_chat_server_is_told_from_one_that_has_had_too_much() {
    let down: fn(Client) -> io::Result<()> = |mut client| client.say(b"HTTP/1.1 503 x\r\n\r\n");
    let busy: fn(Client) -> io::Result<()> = |mut client| client.say(b"HTTP/1.1 429 x\r\n\r\n");
    for (answer, words) in [
        (down, "status 503; the chat server behind it may be down: if it stays, ask"),
        (busy, "status 429; let it rest, or use an account at another server; trying again within "),
    ] {
        let words = format!("there is a web server, which answers with {words}");
        says(&plainly_at(web_server(answer)), &words);
    }
}

#[test]
fn a_server_that_does_not_run_is_named() {
    says(&plainly_at(loopback(free_port().unwrap())), "connection refused");
}

#[test]
fn a_websocket_that_is_not_for_xmpp_is_named() {
    let silent: fn(Client) -> io::Result<()> = |mut client| client.upgrade("");
    let chatty: fn(Client) -> io::Result<()> =
        |mut client| client.upgrade("Sec-WebSocket-Protocol: chat\r\n");
    for answer in [silent, chatty] {
        let words = "opening a WebSocket at the chat server: it is not one for XMPP; check the path";
        says(&plainly_at(web_server(answer)), words);
    }
}

#[test]
fn another_place_is_not_gone_to_and_that_is_said() {
    let address = web_server(|mut client| {
        client.upgrade("Sec-WebSocket-Protocol: xmpp\r\n")?;
        client.message("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")?;
        client.message(
            "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='wss://a.example/'/>",
        )?;
        client.wait()
    });
    says(
        &plainly_at(address),
        "it sends clients to another WebSocket, which is not followed; ask whoever runs",
    );
}

#[test]
fn a_server_that_says_nothing_to_the_request_is_given_up_in_time() {
    let address = web_server(|mut client| client.wait());
    says(
        &plainly_at(address),
        "opening a WebSocket at the chat server: no answer in time; check the URL that `server`",
    );
}
