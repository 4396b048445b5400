//! Secrets of the client's half, which come by SOCKS.

use std::sync::mpsc::channel;

use hexchat_lab::ports::free_port;

use super::{BRIDGE, CHAT, KEY, PROXY, PSK, USER, Watch, talkative};
use crate::bridge::Asked;
use crate::chat_server::{ChatServer, Conversation, mechanism};
use crate::child::{Child, Launch, PATIENCE};
use crate::socks::{SUCCEEDED, ask};

/// Who the server says we are.
const BOUND: &str = "planted-user@planted-domain.example/planted-resource";

fn start(launch: Launch) -> (Child, Watch) {
    let (launch, watch) = talkative(launch.config("[limits]\nconnect_timeout = 2\n"));
    (launch.start(), watch)
}

/// A bridge line that leads to `server`, with a login.
fn arguments(login: &str, server: &str) -> String {
    format!("mode=classic;jid={BRIDGE};login={login};server={server}")
}

fn with_password(server: &str) -> String {
    arguments(&format!("{USER}:planted-password%21"), server)
}

fn without(server: &ChatServer) -> String {
    arguments("planted-domain.example", &format!("{};tls=none", server.address()))
}

#[test]
fn row_47_arguments_that_cannot_work_are_not_shown() {
    let (child, watch) = start(Launch::client());
    let good = with_password("127.0.0.77:1");
    for bad in [
        "jid=planted@@planted;login=planted-domain.example",
        "jid=,planted@x",
        "jid=planted\u{1}@x.example",
        "login=planted@x.example",
        "login=planted@x.example:planted%zz",
        "login=planted@x.example:%70lanted%00",
        "server=planted.example",
        "server=planted host:1",
        "server=[planted]:1",
        "tls=planted",
        "mode=planted",
        "key=planted-key",
        "psk=planted-psk",
        "psk=Z9Y8X7W6V5U4T3S2R1Q0zAyBxCwDvEuFtGsHrIqJpKo",
        "planted key with blanks=planted",
        "=planted",
        "planted\\",
        "jid=planted\\;\\=\\\\@x",
    ] {
        for line in [bad.to_owned(), format!("{good};{bad}"), format!("{bad};{good}")] {
            assert_ne!(ask(child.socks(), line.as_bytes()), SUCCEEDED, "{line}");
        }
    }
    for bad in [&b"jid=pl\xffanted;"[..], b"planted@x.example:planted=\xff;"] {
        assert_ne!(ask(child.socks(), &[bad, good.as_bytes()].concat()), SUCCEEDED);
    }
    let good = good.replace("mode=classic", "mode=secure");
    for secure in [format!("{good};key={KEY}"), format!("{good};key={KEY};psk={PSK}")] {
        assert_ne!(ask(child.socks(), secure.as_bytes()), SUCCEEDED);
    }
    watch.assert_discreet(&child, "bad arguments");
}

#[test]
fn row_47_a_server_that_cannot_be_reached_is_not_named() {
    let (child, watch) = start(Launch::client());
    let refused = format!("{CHAT}:{}", free_port().unwrap());
    for server in
        [refused.as_str(), "planted-host.invalid:5222", "192.0.2.213:5222;tls=none", "192.0.2.213:0"]
    {
        assert_ne!(ask(child.socks(), with_password(server).as_bytes()), SUCCEEDED, "{server}");
    }
    for websocket in [format!("{refused};tls=websocket"), format!("wss://{refused}/planted-path")] {
        assert_ne!(ask(child.socks(), with_password(&websocket).as_bytes()), SUCCEEDED, "{websocket}");
    }
    watch.assert_discreet(&child, "unreachable servers");
}

#[test]
fn row_47_a_proxy_and_its_credentials_are_not_shown() {
    let port = free_port().unwrap();
    for uri in [
        format!("socks5://planted-user:planted-password@{PROXY}:{port}"),
        format!("http://planted-user:planted-password@{PROXY}:{port}"),
        format!("socks4a://planted-user@{PROXY}:{port}"),
        format!("socks5://planted-user:%70lanted%zz@{PROXY}:{port}"),
        format!("socks4a://planted-user:planted-password@{PROXY}:{port}"),
        format!("planted://planted-user:planted-password@{PROXY}:{port}"),
        "socks5://planted-user:planted-password@planted.example:1".to_owned(),
        format!("http://planted-user:planted-password@{PROXY}:{port}/planted"),
        format!("http://planted-user:planted-password@{PROXY}"),
    ] {
        let (child, watch) = start(Launch::client().set("TOR_PT_PROXY", &uri));
        let lines = child.greeting();
        if lines.iter().any(|line| line == "PROXY DONE") {
            assert_ne!(ask(child.socks(), with_password("planted-host.invalid:5222").as_bytes()), SUCCEEDED);
            watch.assert_discreet(&child, &uri);
        } else {
            let found = super::found(&lines.join("\n"));
            assert!(lines.iter().any(|line| line.starts_with("PROXY-ERROR ")), "{uri}: {lines:?}");
            assert!(found.is_empty(), "{uri}: {found:?} in {lines:?}");
        }
    }
}

/// Whatever a server can say that repeats what it knows of us.
fn echo(client: &mut Conversation, round: usize) -> Option<()> {
    let known = format!("{USER} {BOUND} planted-password 127.0.0.77 192.0.2.213");
    match round {
        0 => {
            client.open(&mechanism("SCRAM-SHA-1"))?;
            client.hear("<auth")?;
            client.say(format!(
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text>{known}</text></failure>"
            ))
        }
        1 => {
            client.greet()?;
            client.say(format!(
                "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{known}</see-other-host>\
                 </stream:error>"
            ))
        }
        2 => client.open(&mechanism(&format!("planted {known}"))),
        3 => client.say(format!("421 {known}\r\n")),
        _ => client.say(format!("<{known}/>")),
    }
}

#[test]
fn row_47_what_a_server_says_of_us_is_not_repeated() {
    for round in 0..5 {
        let (child, watch) = start(Launch::client());
        let server = ChatServer::start_at(CHAT, move |client| {
            echo(client, round)?;
            client.wait()
        });
        let route = format!("{};tls=none", server.address());
        assert_ne!(ask(child.socks(), with_password(&route).as_bytes()), SUCCEEDED);
        watch.assert_discreet(&child, &format!("hostile server {round}"));
    }
}

/// A server with a session, in which a bridge answers, says something odd, and is gone.
fn session() -> ChatServer {
    ChatServer::start_at(CHAT, |client| {
        client.log_in_as(BOUND)?;
        client.say(format!("<message from='{BRIDGE}' type='chat'><body>planted</body></message>"))?;
        client.say(format!(
            "<message from='{BRIDGE}'><packet xmlns='hexchat:packet'>planted</packet></message>"
        ))?;
        client.say(format!("<iq type='get' id='planted' from='{BRIDGE}'><query xmlns='planted'/></iq>"))?;
        client.say(format!(
            "<presence type='error' from='{BRIDGE}'><error type='cancel'>\
             <gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>planted</gone></error></presence>"
        ))?;
        client.hear("<iq")?;
        client.say("<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text>planted</text></stream:error>")
    })
}

#[test]
fn row_47_a_session_that_works_and_breaks_shows_nobody() {
    let (child, watch) = start(Launch::client());
    let server = session();
    assert_ne!(ask(child.socks(), without(&server).as_bytes()), SUCCEEDED);
    child.process.wait_for_line(|line| line.contains("is online as"), PATIENCE).unwrap();
    child.process.wait_for_line(|line| line.contains("lost its connection"), PATIENCE).unwrap();
    watch.assert_discreet(&child, "a session");
}

#[test]
fn row_47_with_unsafe_logging_the_same_session_names_everybody() {
    let (child, watch) = start(Launch::client().args(&["--unsafe-logging"]));
    let server = session();
    assert_ne!(ask(child.socks(), without(&server).as_bytes()), SUCCEEDED);
    child.process.wait_for_line(|line| line.contains("is online as"), PATIENCE).unwrap();
    let log = watch.log();
    for name in [BOUND, BRIDGE] {
        assert!(log.contains(name), "{name} is not in {log}");
    }
    assert!(!log.contains("planted-password"), "{log}");
}

#[test]
fn row_47_a_connection_that_works_shows_neither_end() {
    let (child, watch) = start(Launch::client());
    let (tell, told) = channel();
    let server = ChatServer::start_at(CHAT, move |client| {
        client.log_in_as(crate::chat_server::CLIENT)?;
        let connection = Asked::by(client)?;
        connection.answer(client, "success")?;
        client.hear("hexchat:disconnect")?;
        tell.send(()).ok()?;
        client.wait()
    });
    let line = format!(
        "mode=classic;jid=bridge@mock.example;login=planted-domain.example;server={};tls=none",
        server.address()
    );
    assert_eq!(ask(child.socks(), line.as_bytes()), SUCCEEDED);
    told.recv_timeout(PATIENCE).unwrap();
    watch.assert_discreet(&child, "a connection");
}
