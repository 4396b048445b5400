//! Bridges that are not there, that do not want, and clocks that are wrong.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::SystemTime;

use super::KEY;
use crate::chat_server::{CLIENT, ChatServer, Conversation, DOMAIN, attribute};
use crate::child::{Child, Launch};
use crate::log::warns;
use crate::socks::{HOST_UNREACHABLE, ask};

const IBB: &str = "http://jabber.org/protocol/ibb";
const TIME: &str = "urn:xmpp:time";

/// What the account of a bridge says that does not accept the bridge line, as any ordinary client does.
const REFUSES: &str = "feature-not-implemented";
/// What its server says where the account is not online.
const ABSENT: &str = "service-unavailable";

/// A chat server by which nobody is let in at a bridge: who asks is told this, and the time of so many seconds before now. Also how often
/// somebody has asked for the time.
fn server(condition: &'static str, behind: u64) -> (ChatServer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = ChatServer::with_session(move |client| {
        loop {
            answer(client, condition, behind, &count)?;
        }
    });
    (server, asked)
}

/// Answers the next request.
fn answer(client: &mut Conversation, condition: &str, behind: u64, count: &AtomicUsize) -> Option<()> {
    client.hear("<iq")?;
    let tag = client.hear(">")?;
    let payload = client.hear("</iq>")?;
    let (id, to) = (attribute(&tag, "id"), attribute(&tag, "to"));
    let head = format!(
        "id='{id}' to='{CLIENT}'{}",
        if to.is_empty() { String::new() } else { format!(" from='{to}'") }
    );
    if payload.contains(TIME) {
        count.fetch_add(1, SeqCst);
        let (now, zone) = (time(behind), "<tzo>+00:00</tzo>");
        client
            .say(format!("<iq type='result' {head}><time xmlns='{TIME}'>{zone}<utc>{now}</utc></time></iq>"))
    } else if payload.contains(IBB) {
        let error = format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>");
        client.say(format!("<iq type='error' {head}><error type='cancel'>{error}</error></iq>"))
    } else {
        client.say(format!("<iq type='result' {head}/>"))
    }
}

/// So many seconds ago, as XEP-0082 writes it.
fn time(behind: u64) -> String {
    let seconds = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() - behind;
    let date =
        Command::new("date").args(["-u", "+%FT%TZ", "-d"]).arg(format!("@{seconds}")).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

/// A client that has asked for a connection by this server, in vain.
fn asked(server: &ChatServer) -> Child {
    let child = Launch::client().config("[limits]\nconnect_timeout = 8\n").start();
    let line = format!("jid=bridge@{DOMAIN}/r;key={KEY};login={DOMAIN};{}", server.route());
    assert_eq!(ask(child.socks(), line.as_bytes()), HOST_UNREACHABLE, "{:?}", child.process.lines());
    child
}

#[test]
fn a_bridge_that_is_not_online_is_said_to_be_that_and_nobody_is_asked_for_the_time() {
    let (server, times) = server(ABSENT, 3630);
    let line = warns(&asked(&server), "the bridge's account is not online");
    assert!(line.contains("ask the bridge's operator") && !line.contains("clock"), "{line}");
    assert_eq!(times.load(SeqCst), 0);
}

#[test]
fn a_bridge_that_does_not_accept_the_line_is_said_to_be_online_and_the_server_is_asked_for_the_time_once() {
    let (server, times) = server(REFUSES, 60);
    let line = warns(
        &asked(&server),
        "the bridge's account is online and does not accept the bridge line: copy the whole line again",
    );
    assert!(line.contains("check the clock of this machine"), "{line}");
    assert_eq!(times.load(SeqCst), 1);
}

#[test]
fn a_clock_that_is_wrong_by_the_servers_is_named_as_the_reason() {
    let (server, _) = server(REFUSES, 3630);
    warns(
        &asked(&server),
        "the bridge's account is online and lets nobody in with the time that we say: the clock of this machine is 60 minutes ahead of the \
         chat server's; set it",
    );
}
