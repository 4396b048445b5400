//! Surroundings of both halves of the executable, through which bytes are to go: accounts, a request, an echo.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::server::ONE_LOGIN;
use hexchat_lab::{ChatServer, Kind, Rate};

use crate::child::{Child, Launch};

/// What no single step through a chat server may take longer than.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The account of the client's half and of the bridge's.
pub(crate) const CLIENT: &str = "alice";
pub(crate) const BRIDGE: &str = "bob";

/// A chat server with both accounts.
pub(crate) fn chat_server() -> ChatServer {
    ChatServer::start(Kind::Prosody, Rate::Unlimited, &[CLIENT, BRIDGE]).unwrap()
}

/// A bridge's launch with an account there, which gives Tor so many seconds to take a connection.
pub(crate) fn bridge_launch(chat: &ChatServer, seconds: u32) -> Launch {
    let account = chat.account_section(BRIDGE, chat.address());
    Launch::server()
        .config(&format!("{account}[bridge]\nclassic = true\n[limits]\ndial_timeout = {seconds}\n"))
        .args(&["--log-level", "info"])
}

/// Starts a half whose log is shown from `info` on, and waits until its account is online.
pub(crate) fn start_online(launch: Launch) -> Child {
    let child = launch.start();
    let online = |line: &str| line.starts_with("LOG ") && line.contains("is online");
    child.process.wait_for_line(online, PATIENCE).unwrap();
    child
}

/// A client's launch with one login, which trusts the chat server and gives a request so many seconds.
pub(crate) fn client_launch(chat: &ChatServer, seconds: u32) -> Launch {
    let authority = chat.ca_file().display();
    Launch::client().config(&format!(
        "[client]\nca_file = \"{authority}\"\n{ONE_LOGIN}[limits]\nconnect_timeout = {seconds}\n"
    ))
}

/// The arguments of a bridge line, with the account's domain to dial.
pub(crate) fn arguments(chat: &ChatServer) -> String {
    let login = format!("{}:{}", chat.jid(CLIENT), ChatServer::password(CLIENT));
    format!("mode=classic;jid={};login={login}", chat.jid(BRIDGE))
}

/// Asks for a connection as tor does. The code of the reply when it is refused.
pub(crate) fn request(socks: SocketAddr, arguments: &str) -> Result<TcpStream, u8> {
    let mut tcp = TcpStream::connect(socks).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    let length = u8::try_from(arguments.len()).unwrap();
    // RFC 1928 and RFC 1929: the methods, the arguments as a user name, CONNECT 192.0.2.3:1.
    let mut say =
        |bytes: &[u8], answer: &mut [u8]| tcp.write_all(bytes).and_then(|()| tcp.read_exact(answer));
    let (mut method, mut status, mut reply) = ([0; 2], [0; 2], [0; 10]);
    say(&[5, 2, 0, 2], &mut method).unwrap();
    say(&[&[1, length], arguments.as_bytes(), &[1, 0]].concat(), &mut status).unwrap();
    say(&[5, 1, 0, 1, 192, 0, 2, 3, 0, 1], &mut reply).unwrap();
    assert_eq!((method, status, reply[0]), ([5, 2], [1, 0], 5));
    if reply[1] == 0 { Ok(tcp) } else { Err(reply[1]) }
}

/// A server that sends back whatever it gets; it ends with the test.
pub(crate) fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            // A connection that breaks is the other end's business.
            thread::spawn(move || io::copy(&mut &tcp, &mut &tcp));
        }
    });
    address
}

/// Sends bytes that look like nothing else and expects them back.
pub(crate) fn echo(tcp: &TcpStream, length: usize) {
    let mut sent = vec![0; length];
    rand::fill(&mut sent[..]);
    let mut received = vec![0; length];
    let (mut writer, mut reader) = (tcp, tcp);
    thread::scope(|scope| {
        let writing = scope.spawn(|| writer.write_all(&sent));
        reader.read_exact(&mut received).unwrap();
        writing.join().unwrap().unwrap();
    });
    assert!(sent == received, "the echo differs");
}

/// The next connection.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    eventually("nobody connects", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (tcp, _) = accepted.unwrap();
    tcp.set_nonblocking(false).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// Waits until `holds`.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
