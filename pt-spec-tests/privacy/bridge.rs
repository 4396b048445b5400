//! Secrets of the bridge's half, which stand in its configuration and come from peers.

use super::{BRIDGE, CHAT, TOR, USER, Watch, talkative};
use crate::chat_server::{ChatServer, mechanism};
use crate::child::{Child, Launch, PATIENCE};
use hexchat_lab::ports::free_port;

fn start(account: &str, set: impl FnOnce(Launch) -> Launch) -> (Child, Watch) {
    let config = format!("[[account]]\n{account}\n[bridge]\nclassic = true\n");
    let (launch, watch) = talkative(set(Launch::server().config(&config)));
    (launch.start(), watch)
}

fn expect(child: &Child, words: &str) {
    child.process.wait_for_line(|line| line.contains(words), PATIENCE).unwrap();
}

#[test]
fn row_47_a_bridge_whose_login_fails_shows_neither_name_nor_password() {
    let server = ChatServer::start_at(CHAT, |client| {
        client.open(&mechanism("SCRAM-SHA-1"))?;
        client.hear("<auth")?;
        client.say(format!(
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text>{USER}</text></failure>"
        ))?;
        client.wait()
    });
    let account = |server: &str| {
        format!("jid = \"{USER}\"\npassword = \"planted-password\"\nserver = \"{server}\"\ntls = \"none\"")
    };
    let (child, watch) = start(&account(&server.address().to_string()), |launch| launch);
    expect(&child, "wrong user name or password");
    watch.assert_discreet(&child, "a wrong password");
    let (child, watch) = start(&account(&format!("{CHAT}:{}", free_port().unwrap())), |launch| launch);
    expect(&child, "connection refused");
    watch.assert_discreet(&child, "a dead server");
}

/// A server at which a stranger asks the bridge for a connection until it is answered.
fn server_with_a_peer() -> ChatServer {
    ChatServer::start_at(CHAT, |client| {
        client.log_in_as(BRIDGE)?;
        let peer = "planted-peer@planted-domain.example/planted";
        let header = format!(
            "<local_ip>192.0.2.213</local_ip><local_port>1</local_port><remote_ip>192.0.2.213</remote_ip>\
             <remote_port>2</remote_port><aliases>{peer}</aliases>"
        );
        client.say(format!(
            "<message from='{peer}' to='{BRIDGE}' type='chat'><connect xmlns='hexchat:connect'>{header}</connect></message>"
        ))?;
        client.hear("<response>failure</response>")?;
        client.wait()
    })
}

fn anonymous(server: &ChatServer) -> String {
    format!("jid = \"planted-domain.example\"\nserver = \"{}\"\ntls = \"none\"", server.address())
}

#[test]
fn row_47_a_bridge_that_cannot_reach_tor_shows_neither_tor_nor_the_peer() {
    let server = server_with_a_peer();
    let tor = format!("{TOR}:{}", free_port().unwrap());
    let (child, watch) = start(&anonymous(&server), |launch| launch.set("TOR_PT_ORPORT", &tor));
    expect(&child, "cannot reach Tor's ORPort: connection refused");
    watch.assert_discreet(&child, "a dead ORPort");
    let (child, watch) = start(&anonymous(&server), |launch| {
        launch
            .set("TOR_PT_EXTENDED_SERVER_PORT", &tor)
            .set("TOR_PT_AUTH_COOKIE_FILE", "/nonexistent/planted-cookie")
    });
    expect(&child, "cannot read the cookie file of Tor's extended ORPort");
    watch.assert_discreet(&child, "a dead extended ORPort");
}
