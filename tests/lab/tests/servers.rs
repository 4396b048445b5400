//! Chat servers of the lab: they come up, stop, start again, and leave nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is how a fault is reported"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hexchat_lab::server::DOMAIN;
use hexchat_lab::{ChatServer, Rate, on_both_servers, read};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long a server may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);

/// A chat client that knows just enough.
struct Client<S> {
    stream: S,
    heard: String,
}

type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What a server offers before TLS.
fn features(address: SocketAddr) -> String {
    Client { stream: connect(address), heard: String::new() }.open()
}

/// Connects with TLS from the first byte, and trusts the server's own authority alone.
fn tls_client(server: &ChatServer) -> TlsClient {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.ca_file()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from(DOMAIN).unwrap()).unwrap();
    Client { stream: StreamOwned::new(tls, connect(server.tls_address())), heard: String::new() }
}

/// A client that is logged in.
fn logged_in(server: &ChatServer, user: &str) -> TlsClient {
    let mut client = tls_client(server);
    assert!(client.log_in(user, &ChatServer::password(user)), "{user} cannot log in");
    client
}

impl<S: Read + Write> Client<S> {
    fn say(&mut self, text: &str) {
        self.heard.clear();
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Reads until one of these was said, and returns which.
    fn hear<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        loop {
            if let Some(text) = texts.iter().find(|text| self.heard.contains(**text)) {
                return text;
            }
            let mut buffer = [0; 4096];
            let length = read(&mut self.stream, &mut buffer).expect("the server says something");
            assert!(length > 0, "the server closed the stream after {:?}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// Opens a stream and returns what the server offers.
    fn open(&mut self) -> String {
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        ));
        self.hear(&["</stream:features>"]);
        self.heard.clone()
    }

    /// Logs in and binds a resource. False when the server does not take the password.
    fn log_in(&mut self, user: &str, password: &str) -> bool {
        self.open();
        let credentials = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{credentials}</auth>"
        ));
        if self.hear(&["<success", "<failure"]) == "<failure" {
            return false;
        }
        self.open();
        self.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        self.hear(&["</jid>"]);
        true
    }
}

on_both_servers! {
    fn no_password_is_taken_before_tls(kind) {
        let server = ChatServer::start(kind, Rate::Unlimited, &["alice"]).unwrap();
        let offered = features(server.address());
        assert!(offered.contains("urn:ietf:params:xml:ns:xmpp-tls"), "{offered}");
        assert!(offered.contains("<required/>") && !offered.contains("<mechanism>"), "{offered}");
    }

    fn ports_and_accounts_survive_a_stop_and_a_kill(kind) {
        let mut server = ChatServer::start(kind, Rate::Unlimited, &["alice"]).unwrap();
        let addresses = (server.address(), server.tls_address());
        for end in [ChatServer::stop, ChatServer::kill] {
            drop(logged_in(&server, "alice"));
            end(&mut server);
            assert!(TcpStream::connect(addresses.0).is_err(), "it still listens");
            server.restart().unwrap();
            assert_eq!((server.address(), server.tls_address()), addresses);
        }
        features(addresses.0);
        assert!(!tls_client(&server).log_in("alice", "wrong"));
        logged_in(&server, "alice");
    }

    fn a_start_whose_port_was_taken_meanwhile_says_so(kind) {
        let mut server = ChatServer::start(kind, Rate::Unlimited, &["alice"]).unwrap();
        server.stop();
        for address in [server.address(), server.tls_address()] {
            let taken = TcpListener::bind(address).unwrap();
            let error = format!("{:#}", server.restart().unwrap_err());
            assert!(error.contains(&address.port().to_string()), "{error}");
            drop(taken);
        }
        server.restart().unwrap();
        logged_in(&server, "alice");
    }

    fn a_dropped_server_neither_listens_nor_leaves_a_file(kind) {
        let server = ChatServer::start(kind, Rate::Unlimited, &["alice"]).unwrap();
        let (address, folder) = (server.address(), server.ca_file().parent().unwrap().to_owned());
        assert!(folder.exists());
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        assert!(!folder.exists(), "{} is still there", folder.display());
    }

    fn a_deleted_account_is_thrown_out_and_stays_out(kind) {
        let mut server = ChatServer::start(kind, Rate::Unlimited, &["alice", "bob"]).unwrap();
        let mut alice = logged_in(&server, "alice");
        server.delete_account("alice").unwrap();
        alice.hear(&["</stream:stream>"]);
        logged_in(&server, "bob");
        assert!(!tls_client(&server).log_in("alice", &ChatServer::password("alice")));
        server.stop();
        server.restart().unwrap();
        assert!(!tls_client(&server).log_in("alice", &ChatServer::password("alice")));
    }

    fn unlimited_accounts_send_faster_than_stock_ones(kind) {
        let [slow, fast] = [Rate::Stock, Rate::Unlimited].map(|rate| {
            let server = ChatServer::start(kind, rate, &["alice"]).unwrap();
            let mut alice = logged_in(&server, "alice");
            let started = Instant::now();
            // The first uses up what ejabberd takes at once, the second has to wait.
            let padding = " ".repeat(24_000);
            for id in ["one", "two"] {
                alice.say(&format!("{padding}<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"));
                alice.hear(&[id]);
            }
            started.elapsed()
        });
        assert!(slow > Duration::from_secs(1), "with stock limits it took {slow:?}");
        assert!(fast < slow / 2, "without limits it took {fast:?}, with them {slow:?}");
    }
}
