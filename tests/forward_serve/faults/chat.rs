//! Faults between a half and the chat server, and on the way to the bridge.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::time::Instant;

use hexchat_lab::ports::{free_port, loopback};
use hexchat_lab::process::Spawn;
use hexchat_lab::{ChatServer, TcpCutter, executable};

use super::EXPLANATION;
use crate::harness::{
    Half, Lab, Route, Target, connect, on_both_servers, wait_until_it_works, write_private,
};

/// Nobody is ever sent there.
const TARGET: &str = "127.0.0.1:9";

fn target() -> SocketAddr {
    TARGET.parse().unwrap()
}

/// An application connects, and its connection is reset in time; the reason is in the log.
fn assert_is_told(forward: &Half, words: &str) {
    let since = Instant::now();
    let mut application = connect(forward.entrance());
    application.set_read_timeout(Some(2 * EXPLANATION)).unwrap();
    let end = application.read_exact(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
    forward.says(words, EXPLANATION);
    assert!(since.elapsed() <= EXPLANATION, "said only after {:?}", since.elapsed());
}

/// Nothing goes around it: the server that is named is a port of this machine where nobody listens.
#[test]
fn a_proxy_in_the_environment_is_what_both_halves_connect_through() {
    let (folder, nobody) = (tempfile::tempdir().unwrap(), loopback(free_port().unwrap()));
    let config =
        format!("[[account]]\njid = \"alice@chat.example\"\npassword = \"x\"\nserver = \"{nobody}\"\n");
    let file = write_private(folder.path(), "hexchat.toml", &config);
    let forward = ["forward", "--listen", "127.0.0.1:0", "--to", "bob@chat.example", "--target", TARGET];
    for command in [&forward[..], &["serve", "--allow", TARGET]] {
        let half = Spawn::new(command[0], executable(env!("CARGO_BIN_EXE_hexchat-pt")))
            .env("TOR_PT_PROXY", format!("socks5://{nobody}"))
            .args(command)
            .arg("--config")
            .arg(&file)
            .arg("--state")
            .arg(folder.path().join(command[0]))
            .start()
            .unwrap();
        let said = half.wait_for_line(|line| line.contains("not online"), EXPLANATION).unwrap();
        assert!(
            said.ends_with(
                "dialling the chat server: cannot reach the proxy: connection refused; check that the proxy runs, and its address in torrc \
                 or in TOR_PT_PROXY; trying again"
            ),
            "{said}"
        );
    }
}

on_both_servers! {
    fn a_server_that_does_not_run_is_said_and_tried_again_until_it_does(kind) {
        let (mut lab, target) = (Lab::start(kind), Target::start());
        let address = target.address();
        target.echo_from_now_on();
        lab.server.stop();
        // Soon, so that the pauses between the attempts are still short when the server is back.
        let config = lab.config(&["alice"], &Route::StartTls) + "[limits]\nconnect_timeout = 5\n";
        let forward = Half::forward(&config, &lab.server.jid("bob"), address);
        let serve = Half::serve_offline(&lab.config(&["bob"], &Route::StartTls), &[address]);
        for half in [&serve, &forward] {
            half.says("connection refused", EXPLANATION);
        }
        assert_is_told(&forward, "a connection was not forwarded: no account is online");
        lab.server.restart().unwrap();
        wait_until_it_works(forward.entrance());
    }

    fn a_wrong_password_is_tried_once_and_said_once(kind) {
        let lab = Lab::start(kind);
        let cutter = TcpCutter::start(lab.server.address()).unwrap();
        let config = lab.config(&["alice"], &Route::Through(cutter.address()));
        let config = config.replace(&ChatServer::password("alice"), "secret-of-nobody");
        let forward = Half::forward(&config, &lab.server.jid("bob"), target());
        let serve = Half::serve_offline(&config, &[target()]);
        for mut half in [forward, serve] {
            assert_eq!(half.exit_status(EXPLANATION), 1);
            half.says("wrong user name or password", EXPLANATION);
            assert_eq!(half.count("wrong user name or password"), 1, "{:?}", half.log());
            assert_eq!(half.count("hexchat-pt: "), 0, "{:?}", half.log());
        }
        assert_eq!(cutter.accepted(), 2, "one attempt each");
    }

    fn a_bridge_that_does_not_exist_is_said(kind) {
        let lab = Lab::start(kind);
        let config = lab.config(&["alice"], &Route::StartTls);
        let forward = Half::forward(&config, &lab.server.jid("nobody"), target());
        assert_is_told(&forward, "a connection was not forwarded: ");
    }

    fn a_bridge_that_is_offline_is_said(kind) {
        let lab = Lab::start(kind);
        assert_is_told(&lab.forward(target()), "a connection was not forwarded: ");
    }

    fn a_certificate_from_an_unknown_authority_is_said(kind) {
        let lab = Lab::start(kind);
        let config = lab.config(&["alice"], &Route::StartTls);
        let config: String = config.lines().filter(|line| !line.starts_with("ca_file")).map(|line| format!("{line}\n")).collect();
        let forward = Half::forward(&config, &lab.server.jid("bob"), target());
        forward.says("its certificate is from an unknown authority", EXPLANATION);
        assert_is_told(&forward, "a connection was not forwarded: ");
    }
}

#[test]
fn a_port_that_nobody_listens_on_does_not_end_the_process() {
    let lab = Lab::start(hexchat_lab::Kind::Prosody);
    let nowhere = loopback(free_port().unwrap());
    let config = lab.config(&["alice"], &Route::Through(nowhere));
    let mut forward = Half::forward(&config, &lab.server.jid("bob"), target());
    assert_is_told(&forward, "a connection was not forwarded: no account is online");
    assert!(forward.process().is_running());
}
