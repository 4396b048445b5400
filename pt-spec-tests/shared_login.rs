//! Beyond the rows: bridge lines of both protocols with one login, which is one account at the chat server.

use std::thread;

use hexchat_lab::ChatServer;

use crate::child::Child;
use crate::halves::{self, CLIENT, arguments, bridge_launch, chat_server, client_launch, echo, start_online};

/// The arguments of the bridge line that the bridge hands out.
fn handed_out(bridge: &Child) -> String {
    let file = bridge.state.path().join("pt_state/hexchat_bridgeline.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.starts_with("Bridge ")).unwrap();
    line.split(' ').filter(|word| word.contains('=')).collect::<Vec<_>>().join(";")
}

/// How many sessions the client's account has.
fn sessions(chat: &ChatServer) -> usize {
    let ChatServer::Prosody(server) = chat else { panic!("this needs Prosody") };
    let account = format!("{}/", chat.jid(CLIENT));
    server.sessions().unwrap().iter().filter(|jid| jid.starts_with(&account)).count()
}

/// Each protocol carries something alone and beside the other, over what the first one has logged in.
fn share_a_login(order: impl FnOnce([String; 2]) -> [String; 2]) {
    let chat = chat_server();
    let target = halves::echo_server().to_string();
    let bridge = start_online(bridge_launch(&chat, 60).set("TOR_PT_ORPORT", &target));
    let client = client_launch(&chat, 60).start();
    let classic = format!("{};server={}", arguments(&chat), chat.address());
    let (_, login) = classic.split_once("login=").unwrap();
    let secure = format!("{};login={login}", handed_out(&bridge));
    assert!(secure.contains("key=") && !classic.contains("key="));
    let streams =
        order([secure, classic]).map(|arguments| halves::request(client.socks(), &arguments).unwrap());
    streams.iter().for_each(|stream| echo(stream, 100_000));
    thread::scope(|scope| {
        for stream in &streams {
            scope.spawn(|| echo(stream, 1_000_000));
        }
    });
    assert_eq!(sessions(&chat), 1);
}

#[test]
fn a_classic_line_shares_the_login_of_a_secure_one() {
    share_a_login(|lines| lines);
}

#[test]
fn a_secure_line_shares_the_login_of_a_classic_one() {
    share_a_login(|[secure, classic]| [classic, secure]);
}
