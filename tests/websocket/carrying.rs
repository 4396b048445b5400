//! Data transfer over WebSockets: everything arrives, once and in order.

use hexchat_lab::{ChatServer, EchoServer, Kind};

use crate::harness::{Half, Lab, Route, Target, echo, on_both_servers, random_bytes, transfer};

const MEGABYTE: usize = 1_000_000;

/// Both halves, over WebSockets.
fn both(lab: &Lab, target: std::net::SocketAddr) -> (Half, Half) {
    let serve = Half::serve(&lab.config(&["bob"], &Route::WebSocket), &[target]);
    let config = lab.config(&["alice"], &Route::WebSocket);
    (serve, Half::forward(&config, &lab.server.jid("bob"), target))
}

on_both_servers! {
    fn an_echo_comes_back(kind) {
        let (lab, target) = (Lab::start(kind), EchoServer::start().unwrap());
        let (_serve, forward) = both(&lab, target.address());
        for length in [514, MEGABYTE] {
            echo(forward.entrance(), &random_bytes(length)).unwrap();
        }
    }

    fn ten_megabytes_arrive_intact_each_way(kind) {
        let (lab, target) = (Lab::start(kind), Target::start());
        let (_serve, forward) = both(&lab, target.address());
        let data = random_bytes(10 * MEGABYTE);
        let (application, server) = target.connect_through(forward.entrance());
        transfer(server, application, &data);
        let (application, server) = target.connect_through(forward.entrance());
        transfer(application, server, &data);
    }
}

/// As somebody has one who runs a web server in front of a chat server.
#[test]
fn on_this_machine_a_websocket_needs_no_tls() {
    let (lab, target) = (Lab::overheard(Kind::Prosody), EchoServer::start().unwrap());
    let ChatServer::Prosody(prosody) = &lab.server else { unreachable!("it was asked for") };
    let url = format!("ws://127.0.0.1:{}/xmpp-websocket", prosody.plain_web_port());
    let config = |user| lab.server.account_section(user, &url) + "tls = \"none\"\n";
    let _serve = Half::serve(&config("bob"), &[target.address()]);
    let forward = Half::forward(&config("alice"), &lab.server.jid("bob"), target.address());
    echo(forward.entrance(), &random_bytes(MEGABYTE)).unwrap();
}
