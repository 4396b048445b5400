//! Lab: a chat server, and the two processes with accounts at it.

use std::fmt::Display;
use std::net::SocketAddr;

use hexchat_lab::{ChatServer, Door, Kind, Rate, Rules};

use super::Half;

/// Nothing is slowed down, so that tests are fast.
pub(crate) struct Lab {
    pub(crate) server: ChatServer,
}

/// How an account reaches the server.
pub(crate) enum Route {
    StartTls,
    DirectTls,
    WebSocket,
    /// STARTTLS through somebody in between.
    Through(SocketAddr),
    /// Without TLS, past somebody who listens.
    Overheard(SocketAddr),
}

impl Lab {
    /// The accounts `alice` and `alice2` are for `forward`, `bob` and `bob2` for `serve`.
    pub(crate) fn start(kind: Kind) -> Self {
        Self::with(kind, Rate::Unlimited)
    }

    /// The same, with a server that [`Route::Overheard`] leads to.
    pub(crate) fn overheard(kind: Kind) -> Self {
        Self::with(kind, Rate::Overheard)
    }

    /// The same, with the limits that the server has when nobody changes them.
    pub(crate) fn stock(kind: Kind) -> Self {
        Self::with(kind, Rate::Stock)
    }

    /// The same, with a door for people without accounts.
    pub(crate) fn with_door(kind: Kind, door: Door) -> Self {
        Self::with_rules(kind, Rules { door, ..Rules::default() })
    }

    fn with(kind: Kind, rate: Rate) -> Self {
        Self::with_all(kind, rate, Rules::default())
    }

    /// Nothing is slowed down, and the server has these rules.
    pub(crate) fn with_rules(kind: Kind, rules: Rules) -> Self {
        Self::with_all(kind, Rate::Unlimited, rules)
    }

    /// The limits are those that the server has when nobody changes them, and it has these rules.
    pub(crate) fn stock_with_rules(kind: Kind, rules: Rules) -> Self {
        Self::with_all(kind, Rate::Stock, rules)
    }

    fn with_all(kind: Kind, rate: Rate, rules: Rules) -> Self {
        let users = ["alice", "alice2", "bob", "bob2"];
        Self { server: ChatServer::start_with(kind, rate, &users, rules).unwrap() }
    }

    /// A configuration with these accounts.
    pub(crate) fn config(&self, users: &[&str], route: &Route) -> String {
        users.iter().map(|user| self.account(user, route)).collect()
    }

    /// A configuration with this login of a bridge line, at the server or at somebody in between: an address, or a URL.
    pub(crate) fn login(&self, login: &str, address: impl Display) -> String {
        let ca_file = self.server.ca_file().display();
        format!("[client]\nlogin = \"{login}\"\nserver = \"{address}\"\nca_file = \"{ca_file}\"\n")
    }

    fn account(&self, user: &str, route: &Route) -> String {
        match route {
            Route::StartTls => self.server.account_section(user, self.server.address()),
            Route::DirectTls => {
                self.server.account_section(user, self.server.tls_address()) + "tls = \"direct\"\n"
            }
            Route::WebSocket => self.server.account_section(user, self.server.web_socket()),
            Route::Through(address) => self.server.account_section(user, *address),
            Route::Overheard(address) => self.server.account_section(user, *address) + "tls = \"none\"\n",
        }
    }

    /// `serve` as `bob`.
    pub(crate) fn serve(&self, target: SocketAddr) -> Half {
        Half::serve(&self.config(&["bob"], &Route::StartTls), &[target])
    }

    /// `forward` as `alice` to `bob`.
    pub(crate) fn forward(&self, target: SocketAddr) -> Half {
        let config = self.config(&["alice"], &Route::StartTls);
        Half::forward(&config, &self.server.jid("bob"), target)
    }

    /// Both halves, one account each.
    pub(crate) fn both(&self, target: SocketAddr) -> (Half, Half) {
        (self.serve(target), self.forward(target))
    }
}
