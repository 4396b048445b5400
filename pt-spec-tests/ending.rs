//! Rows 8 to 12: standard input, signals, the parent's death.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use hexchat_lab::process::{ends_within, is_alive};
use rustix::process::Signal;

use crate::bridge::Asked;
use crate::chat_server::ChatServer;
use crate::child::{Child, EXIT_LIMIT, Launch, PATIENCE, account};
use crate::halves::{self, start_online};
use crate::hosts::{FAR, Hosts, ip, resolving};
use crate::socks::{begin, succeed};

fn ends_with_status_0(mut child: Child) {
    assert_eq!(child.process.wait(EXIT_LIMIT).unwrap().code(), Some(0));
}

/// Every state that a child can be in: with a method, with a method error, with none of its methods wanted.
fn launches() -> [Launch; 6] {
    let broken = "[client]\nsurprise = 1\n";
    [
        Launch::client(),
        Launch::server(),
        Launch::client().config(broken),
        Launch::server().config(broken),
        Launch::client().set("TOR_PT_CLIENT_TRANSPORTS", "foo"),
        Launch::server().set("TOR_PT_SERVER_TRANSPORTS", "foo"),
    ]
}

#[test]
fn row_8_it_ends_when_standard_input_closes() {
    for launch in launches() {
        let mut child = launch.start();
        child.greeting();
        child.process.close_stdin();
        ends_with_status_0(child);
    }
}

#[test]
fn row_8_what_comes_over_standard_input_is_of_no_interest() {
    let mut child = Launch::client().start();
    let socks = child.socks();
    child.process.say("CMETHODS DONE").unwrap();
    assert!(TcpStream::connect(socks).is_ok() && child.process.is_running());
    child.process.close_stdin();
    ends_with_status_0(child);
}

#[test]
fn row_9_it_stays_when_standard_input_closes_and_nobody_asked_for_more() {
    for value in ["0", "", "2", "true", " 1"] {
        let mut child = Launch::client().set("TOR_PT_EXIT_ON_STDIN_CLOSE", value).start();
        let socks = child.socks();
        child.process.close_stdin();
        // Long enough for a closed pipe to be seen, and then it still answers.
        assert!(child.process.wait(Duration::from_millis(300)).is_err(), "{value:?}");
        assert!(TcpStream::connect(socks).is_ok());
    }
}

#[test]
fn row_9_it_stays_with_an_empty_standard_input_from_the_start() {
    for launch in Launch::both() {
        let mut child = launch.without("TOR_PT_EXIT_ON_STDIN_CLOSE").without_stdin().start();
        child.greeting();
        assert!(child.process.wait(Duration::from_millis(300)).is_err());
    }
}

#[test]
fn row_10_sigterm_ends_it() {
    for launch in launches() {
        let child = launch.start();
        child.greeting();
        child.process.signal(Signal::TERM);
        ends_with_status_0(child);
    }
}

/// Both ways in which Tor ends a child.
const ENDS: [fn(&mut Child); 2] =
    [|child| child.process.signal(Signal::TERM), |child| child.process.close_stdin()];

#[test]
fn rows_8_and_10_it_ends_in_time_in_the_middle_of_a_login() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let account = account(silent.local_addr().unwrap().port());
    for end in ENDS {
        let mut bridge = Launch::server().config(&account).start();
        let mut client = Launch::client().config(&account).start();
        let _waiting = [(); 3].map(|()| begin(client.socks(), b"mode=classic;jid=bridge@chat.example/r"));
        let _logins = [silent.accept().unwrap(), silent.accept().unwrap()];
        for child in [&mut bridge, &mut client] {
            end(child);
            assert_eq!(child.process.wait(EXIT_LIMIT).unwrap().code(), Some(0));
        }
    }
}

#[test]
fn rows_8_and_10_a_name_that_nobody_resolves_does_not_hold_up_the_end() {
    let hosts = Hosts::new();
    let resolver = hosts.far.run(|| UdpSocket::bind(SocketAddr::new(ip(FAR[0]), 53)).unwrap());
    resolver.set_read_timeout(Some(PATIENCE)).unwrap();
    for launch in Launch::both() {
        let file = launch.file("resolv.conf", &format!("nameserver {}\noptions timeout:30\n", FAR[0]));
        let launch = launch.config("[[account]]\njid = \"b@chat.example\"\npassword = \"x\"\n");
        let mut child = hosts.near.run(|| launch.wrapped(resolving(&file)).start());
        // A client logs in when it is asked for something.
        let is_client = child.greeting().iter().any(|line| line.starts_with("CMETHOD "));
        let _waiting = is_client
            .then(|| hosts.near.run(|| begin(child.socks(), b"mode=classic;jid=bridge@chat.example/r")));
        resolver.recv(&mut [0; 512]).unwrap();
        child.process.signal(Signal::TERM);
        assert_eq!(child.process.wait(EXIT_LIMIT).unwrap().code(), Some(0));
        drain(&resolver);
    }
}

/// Forgets what the child that has ended asked for.
fn drain(resolver: &UdpSocket) {
    resolver.set_nonblocking(true).unwrap();
    while resolver.recv(&mut [0; 512]).is_ok() {}
    resolver.set_nonblocking(false).unwrap();
}

/// A chat server with a bridge that takes one connection. It tells how the client ends it, and when `is_busy` answers
/// nothing any more.
fn bridge(is_busy: bool) -> (ChatServer, Receiver<&'static str>) {
    let (heard, hears) = channel();
    let server = ChatServer::with_session(move |client| {
        let connection = Asked::by(client)?;
        connection.answer(client, "success")?;
        if !is_busy {
            connection.packet(client, 0)?;
        }
        for farewell in FAREWELLS {
            client.hear(farewell)?;
            heard.send(farewell).ok()?;
        }
        client.wait()
    });
    (server, hears)
}

/// The end of a stream, and of a session.
const FAREWELLS: [&str; 2] = ["hexchat:disconnect", "unavailable"];

#[test]
fn rows_8_and_10_with_a_live_stream_a_login_and_requests_it_says_goodbye_and_ends_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let account = format!("login=a@chat.example:x;server={};tls=none", silent.local_addr().unwrap());
    for end in ENDS {
        let (server, hears) = bridge(false);
        let mut child = Launch::client().start();
        let mut live = succeed(child.socks(), server.anonymously().as_bytes());
        live.write_all(b"x").unwrap();
        let waiting = format!("mode=classic;jid=bridge@chat.example/r;{account}");
        let _waiting = [(); 3].map(|()| begin(child.socks(), waiting.as_bytes()));
        let _login = silent.accept().unwrap();
        end(&mut child);
        ends_with_status_0(child);
        assert_eq!(FAREWELLS.map(|_| hears.recv_timeout(PATIENCE).unwrap()), FAREWELLS);
    }
}

#[test]
fn rows_8_and_10_a_peer_that_answers_nothing_does_not_hold_up_the_end() {
    for end in ENDS {
        let (server, hears) = bridge(true);
        let mut child = Launch::client().start();
        let mut live = succeed(child.socks(), server.anonymously().as_bytes());
        live.write_all(&[b'x'; 10_000]).unwrap();
        end(&mut child);
        ends_with_status_0(child);
        assert!(hears.iter().any(|farewell| farewell == "unavailable"));
    }
}

#[test]
fn rows_8_and_10_both_halves_end_in_time_with_a_live_stream_between_them() {
    for end in ENDS {
        let chat = halves::chat_server();
        let target = halves::echo_server().to_string();
        let mut bridge = start_online(halves::bridge_launch(&chat, 60).set("TOR_PT_ORPORT", &target));
        let mut client = halves::client_launch(&chat, 60).start();
        let arguments = format!("{};server={}", halves::arguments(&chat), chat.address());
        let live = halves::request(client.socks(), &arguments).unwrap();
        halves::echo(&live, 10_000);
        end(&mut bridge);
        end(&mut client);
        ends_with_status_0(bridge);
        ends_with_status_0(client);
    }
}

#[test]
fn row_11_the_first_sigint_ends_it_when_nothing_is_live() {
    for launch in launches() {
        let child = launch.start();
        child.greeting();
        child.process.signal(Signal::INT);
        ends_with_status_0(child);
    }
}

/// A client that has been told to stop and still has a connection.
fn draining_client() -> (Child, TcpStream) {
    let mut child = Launch::client().start();
    let socks = child.socks();
    let mut live = TcpStream::connect(socks).unwrap();
    live.write_all(&[5]).unwrap();
    // Accepted in order: once the second one is answered, the first one is being served.
    crate::socks::offer(socks, &[0]).unwrap();
    child.process.signal(Signal::INT);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(socks).is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
    }
    assert!(child.process.is_running());
    (child, live)
}

#[test]
fn row_11_with_a_live_connection_the_first_sigint_stops_listening_and_the_second_signal_ends_it() {
    for signal in [Signal::INT, Signal::TERM] {
        let (child, _live) = draining_client();
        child.process.signal(signal);
        ends_with_status_0(child);
    }
}

#[test]
fn row_11_after_the_first_sigint_the_end_of_the_last_connection_ends_it() {
    let (child, live) = draining_client();
    drop(live);
    ends_with_status_0(child);
}

#[test]
fn a_hang_up_is_tors_own_business() {
    let mut child = Launch::client().start();
    let socks = child.socks();
    child.process.signal(Signal::HUP);
    assert!(child.process.wait(Duration::from_millis(300)).is_err());
    assert!(TcpStream::connect(socks).is_ok());
}

#[test]
fn row_12_it_ends_when_its_parent_is_killed() {
    for launch in Launch::both() {
        // Nothing but the parent's death can be the reason.
        let launch = launch.set("TOR_PT_EXIT_ON_STDIN_CLOSE", "0");
        let mut parent = launch.through("\"$@\" <&0 & echo \"pid $!\" >&2; wait").start();
        let pid: u32 = parent.says("pid ").strip_prefix("pid ").unwrap().parse().unwrap();
        parent.greeting();
        assert!(is_alive(pid));
        parent.process.kill();
        assert!(ends_within(pid, EXIT_LIMIT), "it outlives its parent");
    }
}
