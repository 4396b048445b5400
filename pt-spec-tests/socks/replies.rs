//! Row 29: which fault gets which code, one fake server each. The log says what happened, in words.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use hexchat_lab::netns::Namespace;
use hexchat_lab::ports::{free_port, loopback};
use hexchat_lab::{Kind, Rate};

use super::{
    ADDRESS_NOT_SUPPORTED, GENERAL_FAILURE, HOST_UNREACHABLE, NETWORK_UNREACHABLE, NOT_ALLOWED, REFUSED,
    TIMED_OUT, ask, impatient,
};
use crate::chat_server::{CLIENT, ChatServer, DOMAIN, attribute, mechanism};
use crate::child::Launch;
use crate::log::complains;

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

/// Asks with these arguments, and expects this code, and these words in the log.
fn expect(launch: Launch, arguments: &str, code: u8, words: &str) {
    let child = launch.start();
    let answer = ask(child.socks(), arguments.as_bytes());
    assert_eq!(answer, code, "{words}: {:?}", child.process.lines());
    let line = complains(&child, words);
    for private in [DOMAIN, "127.0.0.1", "sesame", "alice"] {
        assert!(!line.contains(private), "{line}");
    }
}

/// Arguments that lead to this host.
fn at(host: &str) -> String {
    format!("mode=classic;jid=bridge@{DOMAIN};login=alice@{DOMAIN}:sesame;server={host}")
}

/// A chat server that refuses every login with this condition.
pub(crate) fn refusing(condition: &'static str) -> ChatServer {
    ChatServer::start(move |client| {
        client.open(&mechanism("SCRAM-SHA-1"))?;
        client.hear("<auth")?;
        client.say(format!("<failure xmlns='{SASL}'>{condition}</failure>"))?;
        client.wait()
    })
}

/// Chat servers that end every stream with this condition: at once, and instead of a login.
fn barring(condition: &'static str) -> [ChatServer; 2] {
    let error = format!("<stream:error><{condition} xmlns='{STREAMS}'/></stream:error></stream:stream>");
    let later = error.clone();
    let at_once = ChatServer::start(move |client| {
        client.greet()?;
        client.say(&error)
    });
    let at_login = ChatServer::start(move |client| {
        client.open(&mechanism("SCRAM-SHA-1"))?;
        client.hear("<auth")?;
        client.say(&later)
    });
    [at_once, at_login]
}

#[test]
fn row_29_nobody_listens_is_connection_refused() {
    let nowhere = loopback(free_port().unwrap());
    expect(impatient(), &at(&nowhere.to_string()), REFUSED, "connection refused");
}

#[test]
fn row_29_a_reset_is_connection_refused() {
    let server = ChatServer::start(|client| {
        client.hear("<stream:stream")?;
        client.reset()
    });
    expect(impatient(), &server.anonymously(), REFUSED, "it closed the connection");
}

#[test]
fn row_29_a_server_that_hangs_up_is_connection_refused() {
    let at_once = ChatServer::start(|client| client.hear(">").map(drop));
    let during_the_login = ChatServer::start(|client| {
        client.open(&mechanism("SCRAM-SHA-1"))?;
        client.hear("<auth")?;
        client.hear("<").map(drop)
    });
    for server in [at_once, during_the_login] {
        expect(impatient(), &server.with_password(), REFUSED, "it closed the connection");
    }
}

#[test]
fn row_29_a_network_without_a_route_is_network_unreachable() {
    let nowhere = Namespace::new().unwrap();
    nowhere.run(|| expect(impatient(), &at("198.51.100.1:5222"), NETWORK_UNREACHABLE, "no route to it"));
    nowhere.run(|| expect(impatient(), &at("[2001:db8::1]:5222"), NETWORK_UNREACHABLE, "no route to it"));
}

#[test]
fn row_29_a_route_without_a_host_is_host_unreachable() {
    let nowhere = Namespace::new().unwrap();
    nowhere.run(|| {
        let route = ["route", "add", "unreachable", "198.51.100.0/24"];
        assert!(Command::new("ip").args(route).status().unwrap().success());
        expect(impatient(), &at("198.51.100.1:5222"), HOST_UNREACHABLE, "its machine cannot be reached");
    });
}

#[test]
fn row_29_a_name_that_does_not_resolve_is_host_unreachable() {
    // Where no resolver can be asked either, so that the outcome is the same everywhere.
    let nowhere = Namespace::new().unwrap();
    nowhere.run(|| {
        let words = "dialling the chat server: the name in `server` has no address";
        expect(impatient(), &at("no-such-host.invalid:5222"), HOST_UNREACHABLE, words);
    });
}

#[test]
fn row_29_a_source_address_that_is_not_there_is_address_not_supported() {
    let launch = impatient().set("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "192.0.2.77");
    expect(launch, &at("198.51.100.1:5222"), ADDRESS_NOT_SUPPORTED, "source address");
}

#[test]
fn row_29_a_server_that_says_nothing_is_timed_out() {
    let server = ChatServer::start(|client| client.wait());
    expect(impatient(), &server.anonymously(), TIMED_OUT, "no answer yet");
    // Nor does it help when there is only a listener, and nobody behind it.
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let arguments = at(&deaf.local_addr().unwrap().to_string());
    expect(impatient(), &arguments, TIMED_OUT, "no answer yet");
}

#[test]
fn row_29_a_refused_login_is_not_allowed() {
    for (condition, words) in [
        ("<not-authorized/>", "wrong user name or password"),
        ("<account-disabled/>", "the account is disabled"),
        ("<credentials-expired/>", "the password has expired"),
        ("<invalid-authzid/>", "refused (invalid-authzid)"),
        ("<mechanism-too-weak/>", "refused (mechanism-too-weak)"),
    ] {
        expect(impatient(), &refusing(condition).with_password(), NOT_ALLOWED, words);
    }
}

#[test]
fn row_29_a_login_that_cannot_be_judged_now_is_a_general_failure() {
    let server = refusing("<temporary-auth-failure/>");
    expect(impatient(), &server.with_password(), GENERAL_FAILURE, "cannot check passwords at the moment");
}

#[test]
fn row_29_a_ban_is_not_allowed() {
    for condition in ["policy-violation", "not-authorized"] {
        for server in barring(condition) {
            expect(impatient(), &server.with_password(), NOT_ALLOWED, condition);
        }
    }
}

#[test]
fn row_29_another_stream_error_is_a_general_failure() {
    for condition in ["host-unknown", "system-shutdown", "resource-constraint"] {
        for server in barring(condition) {
            expect(impatient(), &server.with_password(), GENERAL_FAILURE, condition);
        }
    }
}

#[test]
fn row_29_a_bridge_that_is_not_there_is_host_unreachable() {
    for condition in ["service-unavailable", "recipient-unavailable", "item-not-found"] {
        let server = ChatServer::with_session(move |client| {
            client.hear("<message")?;
            let message = client.hear("</message>")?;
            client.say(format!(
                "<message type='error' id='{}' from='bridge@{DOMAIN}' to='{CLIENT}'><error type='cancel'>\
                 <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
                attribute(&message, "id")
            ))?;
            client.wait()
        });
        expect(impatient(), &server.anonymously(), HOST_UNREACHABLE, "the bridge's account is not online");
    }
}

#[test]
fn row_29_a_bridge_whose_resource_is_not_there_is_host_unreachable() {
    let server = ChatServer::with_session(move |client| {
        client.hear("<iq")?;
        let iq = client.hear("</iq>")?;
        client.say(format!(
            "<iq type='error' id='{}' from='bridge@{DOMAIN}/gone' to='{CLIENT}'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            attribute(&iq, "id")
        ))?;
        client.wait()
    });
    let arguments = server.anonymously().replace("jid=bridge@mock.example;", "jid=bridge@mock.example/gone;");
    expect(impatient(), &arguments, HOST_UNREACHABLE, "the bridge's account is not online");
}

#[test]
fn row_29_a_bridge_that_does_not_answer_is_host_unreachable() {
    let server = ChatServer::with_session(|client| client.wait());
    expect(impatient(), &server.anonymously(), HOST_UNREACHABLE, "the bridge did not answer in time");
}

#[test]
fn row_29_a_websocket_without_a_url_is_a_general_failure_in_plain_words() {
    let arguments = at("127.0.0.1:1") + ";tls=websocket";
    expect(impatient(), &arguments, GENERAL_FAILURE, "websocket needs a server that begins with wss://");
}

#[test]
fn row_29_plaintext_to_another_machine_is_refused() {
    let arguments = at("198.51.100.1:5222") + ";tls=none";
    expect(impatient(), &arguments, GENERAL_FAILURE, "bridge line: tls");
}

#[test]
fn row_29_a_certificate_that_is_not_trusted_is_a_general_failure() {
    let server = hexchat_lab::ChatServer::start(Kind::Prosody, Rate::Unlimited, &["alice"]).unwrap();
    let address: SocketAddr = server.address();
    let login = format!("{}:{}", server.jid("alice"), hexchat_lab::ChatServer::password("alice"));
    let arguments = format!("mode=classic;jid=bridge@{DOMAIN};login={login};server={address}");
    expect(impatient(), &arguments, GENERAL_FAILURE, "its certificate is from an unknown authority");
}

#[test]
fn row_29_a_server_without_a_login_that_suits_is_a_general_failure() {
    for features in
        ["", "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"]
    {
        let server = ChatServer::with_features(features, |client| client.wait());
        expect(impatient(), &server.with_password(), GENERAL_FAILURE, "it offers no login mechanism");
    }
}

#[test]
fn row_29_something_that_is_no_chat_server_is_a_general_failure() {
    for banner in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1\r\n", "220 mail.example ESMTP\r\n"]
    {
        let server = ChatServer::start(move |client| {
            client.hear(">")?;
            client.say(banner)?;
            client.wait()
        });
        expect(impatient(), &server.with_password(), GENERAL_FAILURE, "the answer makes no sense");
    }
}
