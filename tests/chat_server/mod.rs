//! Logins at a chat server of the lab.

use std::net::SocketAddr;
use std::path::Path;

use hexchat_lab::{Kind, Rate, Rules};
use hexchat_pt::config::{AccountConfig, Credential, Login, Server, ServerAddr, ServerConfig, TlsMode, Url};

/// A server of its own for each test, with the accounts `alice` and `bob`.
pub(crate) struct ChatServer(hexchat_lab::ChatServer);

impl ChatServer {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::start_with(kind, Rules::default())
    }

    /// One with these rules.
    pub(crate) fn start_with(kind: Kind, rules: Rules) -> Self {
        let users = ["alice", "bob"];
        Self(hexchat_lab::ChatServer::start_with(kind, Rate::Unlimited, &users, rules).unwrap())
    }

    /// A login at this server, with a resource of its own.
    pub(crate) fn account(&self, user: &str, tls: TlsMode) -> AccountConfig {
        let address = if tls == TlsMode::Direct { self.0.tls_address() } else { self.0.address() };
        let server = match tls {
            TlsMode::WebSocket => Server::WebSocket(Url::web_socket(&self.0.web_socket()).unwrap()),
            _ => ServerAddr { host: address.ip().to_string(), port: address.port() }.into(),
        };
        Login {
            jid: format!("{}/{:016x}", self.0.jid(user), rand::random::<u64>()).parse().unwrap(),
            credential: Credential::Password(hexchat_lab::ChatServer::password(user).into()),
        }
        .at(ServerConfig {
            server: Some(server),
            tls: Some(tls),
            ca_file: Some(self.0.ca_file().to_owned()),
            ..ServerConfig::default()
        })
    }

    /// Where clients connect that use STARTTLS.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Where clients connect that use WebSockets.
    pub(crate) fn web_address(&self) -> SocketAddr {
        self.0.web_address()
    }

    /// Where its proxy of bytestreams takes connections.
    pub(crate) fn relay_address(&self) -> SocketAddr {
        self.0.relay_address()
    }

    /// The certificate of its authority.
    pub(crate) fn ca_file(&self) -> &Path {
        self.0.ca_file()
    }

    /// What follows `text` in the lines of its log that have it, once there are `least`.
    pub(crate) fn logged_behind(&self, text: &str, least: usize) -> Vec<String> {
        self.0.logged_behind(text, least)
    }

    pub(crate) fn stop(&mut self) {
        self.0.stop();
    }

    pub(crate) fn restart(&mut self) {
        self.0.restart().unwrap();
    }
}
