//! World of the tests with tor: a client that reaches the web through a bridge, all of it on this machine.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::Result;
use hexchat_lab::fetch::fetch;
use hexchat_lab::process::is_alive;
use hexchat_lab::prosody::Prosody;
use hexchat_lab::tor::Tor;
use hexchat_lab::{ChatServer, Door, FileServer, Halves, Kind, Rate, Rules, TorNetwork};
use hexchat_pt::config::plain_bridge_line;

use crate::{BOOTSTRAP, SOON, executable};

/// Long enough that it takes many stanzas.
const FILE: usize = 200_000;

/// Who dials ends before who is dialled.
pub(crate) struct World {
    pub(crate) client: Tor,
    pub(crate) bridge: Tor,
    pub(crate) web: FileServer,
    _network: Arc<TorNetwork>,
    pub(crate) chat: ChatServer,
}

impl World {
    /// Starts everything and waits until the client has bootstrapped. `more` is added to the bridge's torrc.
    pub(crate) fn start(kind: Kind, more: &str) -> Self {
        Self::with(
            kind,
            more,
            |halves| halves.bridge("bridge"),
            |halves, bridge, login| halves.client(bridge, login),
        )
    }

    /// The same with both halves at the chat server's WebSocket.
    pub(crate) fn start_over_web_sockets(kind: Kind) -> Self {
        let bridge = |halves: &Halves<'_>| {
            let torrc = halves.bridge("bridge")?;
            let config = std::fs::read_to_string(halves.config_file("bridge"))?;
            halves.write_config("bridge", &at_web_socket(halves, &config))?;
            Ok(torrc)
        };
        let client = |halves: &Halves<'_>, bridge: &Tor, login: &str| {
            halves.client(bridge, login).map(|torrc| at_web_socket(halves, &torrc))
        };
        Self::with(kind, "", bridge, client)
    }

    /// The same with the classic protocol.
    pub(crate) fn start_classic(kind: Kind, more: &str) -> Self {
        let client = |halves: &Halves<'_>, bridge: &Tor, login: &str| {
            halves.classic_client(&bridge.fingerprint()?, "bridge", login)
        };
        Self::with(kind, more, |halves| halves.classic_bridge("bridge"), client)
    }

    /// The same with a bridge that owns a domain.
    pub(crate) fn start_component(kind: Kind, domain: &'static str) -> Self {
        let rules = Rules { component: Some((domain, 1)), ..Rules::default() };
        Self::with_rules(
            (kind, rules),
            "",
            |halves| halves.component_bridge(domain),
            |halves, bridge, login| halves.client(bridge, login),
        )
    }

    /// The same for a user without an account, who takes an open door. The bridge line is spelled so that every app takes it.
    pub(crate) fn start_without_account(kind: Kind, login: &str) -> Self {
        let client = |halves: &Halves<'_>, bridge: &Tor, _: &str| {
            let torrc = halves.client(bridge, login)?;
            let respelled = torrc.lines().map(|line| match line.strip_prefix("Bridge ") {
                Some(_) => plain_bridge_line(line, None).map_err(anyhow::Error::from),
                None => Ok(line.to_owned()),
            });
            Ok(respelled.collect::<Result<Vec<_>>>()?.join("\n"))
        };
        Self::with(kind, "", |halves| halves.bridge("bridge"), client)
    }

    /// The same with torrcs that are made so.
    pub(crate) fn with(
        kind: Kind,
        more: &str,
        bridge_torrc: impl FnOnce(&Halves<'_>) -> Result<String>,
        client_torrc: impl FnOnce(&Halves<'_>, &Tor, &str) -> Result<String>,
    ) -> Self {
        let rules = Rules { door: Door::Open, ..Rules::default() };
        Self::with_rules((kind, rules), more, bridge_torrc, client_torrc)
    }

    fn with_rules(
        (kind, rules): (Kind, Rules),
        more: &str,
        bridge_torrc: impl FnOnce(&Halves<'_>) -> Result<String>,
        client_torrc: impl FnOnce(&Halves<'_>, &Tor, &str) -> Result<String>,
    ) -> Self {
        let chat = ChatServer::start_with(kind, Rate::Unlimited, &["bridge", "alice"], rules).unwrap();
        let network = network();
        let halves = Halves { network: &network, chat: &chat, executable: &executable() };
        let bridge = network.bridge(&format!("{}\n{more}", bridge_torrc(&halves).unwrap())).unwrap();
        let login = Halves::login("alice", &ChatServer::password("alice"));
        let torrc = client_torrc(&halves, &bridge, &login).unwrap();
        let client = network.client(&torrc).unwrap();
        client.wait_until_bootstrapped(BOOTSTRAP, |_| {}).unwrap();
        Self { client, bridge, web: FileServer::start().unwrap(), _network: network, chat }
    }

    /// Fetches a file through everything. Tor needs a while to notice that a transport is new, and may refuse until then.
    pub(crate) fn fetch(&self) {
        let deadline = Instant::now() + BOOTSTRAP;
        loop {
            match fetch(Some(self.client.socks()), self.web.address(), FILE, SOON) {
                Ok(fetched) => return assert_eq!(fetched.sha256, FileServer::sha256(FILE)),
                Err(error) => assert!(Instant::now() < deadline, "{error:#}\n{}", self.logs()),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The full JIDs that are logged in. Only Prosody shows them.
    pub(crate) fn sessions(&self) -> Vec<String> {
        self.prosody().sessions().unwrap()
    }

    /// How often somebody has logged in.
    pub(crate) fn logins(&self) -> usize {
        self.prosody().log().iter().filter(|line| line.contains("Authenticated as ")).count()
    }

    /// Waits until exactly these are logged in: each once, and nobody else.
    pub(crate) fn wait_for_sessions(&self, wanted: &[String]) {
        let mut sessions = Vec::new();
        let holds = eventually(|| {
            sessions = self.sessions();
            sessions == wanted
        });
        assert!(holds, "{sessions:?}, not {wanted:?}\n{}", self.logs());
    }

    fn prosody(&self) -> &Prosody {
        match &self.chat {
            ChatServer::Prosody(server) => server,
            ChatServer::Ejabberd(_) => panic!("this needs Prosody"),
        }
    }

    /// What the two tors have said, for who has to find out what went wrong.
    fn logs(&self) -> String {
        [&self.client, &self.bridge].map(|tor| tor.process().lines().join("\n")).join("\n\n")
    }
}

/// The same configuration, with the URL of the chat server's WebSocket in the place of its address.
fn at_web_socket(halves: &Halves<'_>, config: &str) -> String {
    let address = halves.chat.address().to_string();
    assert!(config.contains(&address), "{config}");
    config.replace(&address, &halves.chat.web_socket())
}

/// The network of all tests that run at the same time: its authorities are most of the work.
pub(crate) fn network() -> Arc<TorNetwork> {
    static NETWORK: Mutex<Weak<TorNetwork>> = Mutex::new(Weak::new());
    // Poisoned by a test that could not start it; this one tries again.
    let mut shared = NETWORK.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let network = Arc::new(TorNetwork::start().unwrap());
        *shared = Arc::downgrade(&network);
        network
    })
}

/// The one transport that `tor` runs.
pub(crate) fn transport(tor: &Tor) -> u32 {
    let transports = tor.transports();
    let [transport] = transports[..] else { panic!("{transports:?} instead of one transport") };
    transport
}

/// Waits until `tor` runs exactly one transport, and not `old`, which is gone.
pub(crate) fn wait_for_another(tor: &Tor, old: u32) -> u32 {
    let another = || matches!(tor.transports()[..], [new] if new != old) && !is_alive(old);
    assert!(eventually(another), "{:?} after {old}", tor.transports());
    transport(tor)
}

/// Waits until `holds`.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + SOON;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
