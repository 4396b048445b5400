//! Chat servers: what all of them have in common.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::ejabberd::Ejabberd;
use crate::ports::loopback;
use crate::prosody::{Modules, Prosody};

/// How long a server may take to write down what it has done.
const LOGGED: Duration = Duration::from_secs(10);

/// The domain that every server of the lab serves. Prosody can serve others as well.
pub const DOMAIN: &str = "chat.example";

/// The name and the domain of `user`, who is `name@domain`, or `name` at [`DOMAIN`].
pub fn name_and_domain(user: &str) -> (&str, &str) {
    user.split_once('@').unwrap_or((user, DOMAIN))
}

/// How fast an account may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As Debian's package is configured: about 10 kB/s with Prosody, 3 kB/s with ejabberd.
    Stock,
    /// The same, but for these users, who send as fast as they can: as those do who come from another server. Only
    /// Prosody can be started so.
    StockBut(&'static [&'static str]),
    /// Without limit.
    Unlimited,
    /// As fast as it can, and for clients that do without TLS, so that what they say can be recorded.
    Overheard,
}

/// What the section of an account says of its logins: tests count connections, and those that want more replace it.
pub const ONE_LOGIN: &str = "sessions = 1\n";

/// What a server is asked to do beside serving [`DOMAIN`] in the usual way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// The largest stanza that a client may send, in bytes; none leaves what is usual.
    pub max_stanza: Option<u32>,
    /// Whether what others than contacts send to an account is kept from it. Only Prosody can be started so.
    pub contacts_only: bool,
    /// A domain that a component serves, with the password [`COMPONENT_SECRET`], and by how many processes: with more than one, what a
    /// bare JID sends always goes to the same, which only ejabberd can do.
    pub component: Option<(&'static str, u32)>,
    /// Who may come without an account.
    pub door: Door,
    /// How many logins of one account there may be at a time; none leaves what is usual, which is 10 with ejabberd. Only ejabberd can be
    /// started so.
    pub max_logins: Option<u32>,
    /// What logins can be bound to. Only Prosody can be started so.
    pub binding: Binding,
    /// What its upload service takes (XEP-0363); without, there is none.
    pub upload: Option<Upload>,
    /// The host that its proxy of bytestreams gives as its own, a name or an address (XEP-0065); without, there is none.
    pub relay: Option<&'static str>,
}

/// What an upload service takes, at [`UPLOAD`].
#[derive(Clone, Copy, Debug)]
pub struct Upload {
    /// The largest file, in bytes.
    pub max_file: u32,
    /// What an account may upload in a day, in bytes. ejabberd knows no such bound.
    pub daily: u32,
}

/// Where a server with [uploads](Rules::upload) takes files.
pub const UPLOAD: &str = "upload.chat.example";

/// The proxy of bytestreams of a server that has one.
pub const RELAY: &str = "proxy.chat.example";

/// Channel binding, as Prosody has it from version 13 on (XEP-0440), and says what it has offered (XEP-0474).
#[derive(Clone, Copy, Debug, Default)]
pub struct Binding {
    /// The types that are offered: `tls-exporter`, `tls-server-end-point`. Without any, it is Debian's own.
    pub types: &'static [&'static str],
    /// Whether challenges have the hash of what was offered.
    pub hash: bool,
}

/// The secret of every component.
pub const COMPONENT_SECRET: &str = "secret-of-component";

/// Who may come without an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// Nobody.
    #[default]
    Closed,
    /// Everybody, at [`ANONYMOUS`]; and everybody may register at [`DOMAIN`].
    Open,
    /// The same, but one address registers one account an hour, or in 10 minutes with ejabberd.
    Slow,
    /// The same, but who registers has to give more than a name and a password: an e-mail address to Prosody, the answer to a CAPTCHA to
    /// ejabberd.
    Guarded,
}

/// The domain where a server with an [open door](Door::Open) lets everybody in.
pub const ANONYMOUS: &str = "anon.example";

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's Prosody.
    Prosody,
    /// Debian's Prosody with those of Debian's `prosody-modules` by which a login takes fewer round trips: SASL2, Bind 2, stream
    /// management within them, and tokens (XEP-0388, 0386, 0198, 0484).
    ProsodyModules,
    /// Debian's ejabberd.
    Ejabberd,
}

/// A chat server with accounts, so that a test can be written once for all.
#[derive(Debug)]
pub enum ChatServer {
    /// Prosody.
    Prosody(Prosody),
    /// ejabberd.
    Ejabberd(Ejabberd),
}

impl ChatServer {
    /// Starts one with these accounts; the password of each is [`password`](Self::password). For Prosody, a user `name@domain` has
    /// an account at a domain that it serves beside [`DOMAIN`].
    ///
    /// # Errors
    ///
    /// When it does not come up, with its last words; when its Debian package is missing.
    pub fn start(kind: Kind, rate: Rate, users: &[&str]) -> Result<Self> {
        Self::start_with(kind, rate, users, Rules::default())
    }

    /// The same with rules.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn start_with(kind: Kind, rate: Rate, users: &[&str], rules: Rules) -> Result<Self> {
        match kind {
            Kind::Prosody => Prosody::start(rate, users, Modules::Stock, rules).map(Self::Prosody),
            Kind::ProsodyModules => Prosody::start(rate, users, Modules::Sasl2, rules).map(Self::Prosody),
            Kind::Ejabberd => Ejabberd::start(rate, users, rules).map(Self::Ejabberd),
        }
    }

    /// Where components connect.
    pub fn component_address(&self) -> SocketAddr {
        loopback(match self {
            Self::Prosody(server) => server.component_port(),
            Self::Ejabberd(server) => server.component_port(),
        })
    }

    /// Where it takes plain connections, for STARTTLS.
    pub fn address(&self) -> SocketAddr {
        loopback(match self {
            Self::Prosody(server) => server.port(),
            Self::Ejabberd(server) => server.port(),
        })
    }

    /// Where it takes TLS connections.
    pub fn tls_address(&self) -> SocketAddr {
        loopback(match self {
            Self::Prosody(server) => server.tls_port(),
            Self::Ejabberd(server) => server.tls_port(),
        })
    }

    /// Where it takes WebSockets under TLS.
    pub fn web_address(&self) -> SocketAddr {
        loopback(match self {
            Self::Prosody(server) => server.web_port(),
            Self::Ejabberd(server) => server.web_port(),
        })
    }

    /// The path of its WebSocket.
    pub fn web_socket_path(&self) -> &'static str {
        match self {
            Self::Prosody(_) => "/xmpp-websocket",
            Self::Ejabberd(_) => "/ws",
        }
    }

    /// The URL of its WebSocket.
    pub fn web_socket(&self) -> String {
        format!("wss://{}{}", self.web_address(), self.web_socket_path())
    }

    /// Where its proxy of bytestreams takes connections, if it has one.
    pub fn relay_address(&self) -> SocketAddr {
        loopback(match self {
            Self::Prosody(server) => server.relay_port(),
            Self::Ejabberd(server) => server.relay_port(),
        })
    }

    /// The certificate of its authority.
    pub fn ca_file(&self) -> &Path {
        match self {
            Self::Prosody(server) => server.ca_file(),
            Self::Ejabberd(server) => server.ca_file(),
        }
    }

    /// The key of its certificate, as `pin` in a bridge line has it.
    pub fn pin(&self) -> &str {
        match self {
            Self::Prosody(server) => server.pin(),
            Self::Ejabberd(server) => server.pin(),
        }
    }

    /// A user's bare JID.
    pub fn jid(&self, user: &str) -> String {
        let (name, domain) = name_and_domain(user);
        format!("{name}@{domain}")
    }

    /// A user's password.
    pub fn password(user: &str) -> String {
        format!("secret-of-{user}")
    }

    /// Stops it, as an administrator would.
    pub fn stop(&mut self) {
        match self {
            Self::Prosody(server) => server.stop(),
            Self::Ejabberd(server) => server.stop(),
        }
    }

    /// Kills it: it says farewell to nobody.
    pub fn kill(&mut self) {
        match self {
            Self::Prosody(server) => server.kill(),
            Self::Ejabberd(server) => server.kill(),
        }
    }

    /// Deletes the account of `user` while it runs; whoever is logged in to it is thrown out.
    ///
    /// # Errors
    ///
    /// When it does not run, or there is no such account.
    pub fn delete_account(&mut self, user: &str) -> Result<()> {
        match self {
            Self::Prosody(server) => server.delete_account(user),
            Self::Ejabberd(server) => server.delete_account(user),
        }
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Prosody(server) => server.pid(),
            Self::Ejabberd(server) => server.pid(),
        }
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> Vec<String> {
        match self {
            Self::Prosody(server) => server.log(),
            Self::Ejabberd(server) => server.log(),
        }
    }

    /// What follows `text` in the lines of its log that have it, in order, once there are `least`: a line may be written after what
    /// it tells of is done. Fewer if they do not come.
    pub fn logged_behind(&self, text: &str, least: usize) -> Vec<String> {
        let deadline = Instant::now() + LOGGED;
        loop {
            let lines = self.log();
            let found: Vec<_> =
                lines.iter().filter_map(|line| Some(line.split_once(text)?.1.to_owned())).collect();
            if found.len() >= least || Instant::now() > deadline {
                return found;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it again, on the same ports, with the same accounts.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        match self {
            Self::Prosody(server) => server.run(),
            Self::Ejabberd(server) => server.run(),
        }
    }

    /// A configuration file's `[[account]]` section for `user`, who connects to `server`: an address, or a URL.
    pub fn account_section(&self, user: &str, server: impl Display) -> String {
        format!(
            "[[account]]\njid = \"{}\"\npassword = \"{}\"\nserver = \"{server}\"\nca_file = \"{}\"\n{ONE_LOGIN}",
            self.jid(user),
            Self::password(user),
            self.ca_file().display()
        )
    }
}
