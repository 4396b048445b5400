//! Client of a real chat server that uses its proxy of bytestreams.

use std::time::{Duration, Instant};

use hexchat_lab::Kind;
use hexchat_lab::server::{DOMAIN, Rules};
use hexchat_pt::carrier::Arrival;
use hexchat_pt::carrier::relay::proxy::Proxy;
use hexchat_pt::carrier::services::discovery::Wanted;
use hexchat_pt::carrier::services::{NotActivated, Services, Step};
use hexchat_pt::config::{AccountConfig, TlsMode};
use hexchat_pt::xmpp::bytestream::{self, ADDRESS_BYTES, BytestreamError};
use hexchat_pt::xmpp::place::{Hosts, Place, PlaceDialer, Reach};
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountId, AccountPool, Dialer, Socket, StreamManagement,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xmpp_parsers::jid::{FullJid, Jid};

use crate::chat_server::ChatServer;

/// What no step of a test may take longer than.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A chat server of its own for each test, with the account `alice`.
pub(crate) struct Lab(ChatServer);

impl Lab {
    /// One whose proxy gives this host as its own; without, it has none.
    pub(crate) fn start(kind: Kind, relay: Option<&'static str>) -> Self {
        let rules = Rules { relay, ..Rules::default() };
        Self(ChatServer::start_with(kind, rules))
    }

    /// The port of its proxy.
    pub(crate) fn relay_port(&self) -> u16 {
        self.0.relay_address().port()
    }

    fn account(&self) -> AccountConfig {
        self.0.account("alice", TlsMode::Direct)
    }
}

pub(crate) struct Client {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
    id: AccountId,
    jid: FullJid,
    services: Services,
}

impl Client {
    pub(crate) async fn online(lab: &Lab) -> Self {
        let (pool, mut events) = AccountPool::new(Dialer::direct());
        let id = pool.open(lab.account(), StreamManagement::Wanted);
        let services = Services::new(Wanted { uploads: false, relays: true });
        let jid = loop {
            if let AccountEvent::Online { jid, .. } = next(&mut events).await {
                break jid;
            }
        };
        Self { pool, events, id, jid, services }
    }

    /// As whom the server knows it.
    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// What comes of a question, with what is asked on the way there.
    async fn outcome(&mut self) -> Step {
        loop {
            while let Some(step) = self.services.poll() {
                match step {
                    Step::Send(account, request) => {
                        self.pool.send(account, request, None);
                    }
                    step => return step,
                }
            }
            let arrival = match next(&mut self.events).await {
                AccountEvent::Stanza(stanza) => Arrival::Parsed(stanza),
                AccountEvent::Flat(flat) => Arrival::Flat(flat),
                _ => continue,
            };
            self.services.handle(self.id, &arrival, &mut rand::random);
        }
    }

    /// Looks for the proxy.
    pub(crate) async fn discover(&mut self) -> Option<Proxy> {
        let server = Jid::new(DOMAIN).unwrap();
        self.services.search(Instant::now(), self.id, &server, &mut rand::random);
        match self.outcome().await {
            Step::FoundProxy(_, proxy) => proxy,
            other => panic!("{other:?}"),
        }
    }

    /// Has the proxy join this bytestream with `target`.
    pub(crate) async fn activate(&mut self, sid: &str, target: &FullJid) -> Result<(), NotActivated> {
        self.services.activate(Instant::now(), (self.id, sid.to_owned()), target, &mut rand::random);
        match self.outcome().await {
            Step::Activated { sid: of, answer, .. } => {
                assert_eq!(of, sid);
                answer
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn next(events: &mut mpsc::Receiver<(AccountId, AccountEvent)>) -> AccountEvent {
    timeout(PATIENCE, events.recv()).await.expect("an event").unwrap().1
}

/// Connects to a proxy, which has to be at a host of the server's domain. Finds every name on this machine, as a proxy for outgoing
/// connections finds names.
pub(crate) async fn connect(proxy: &Proxy, address: [u8; ADDRESS_BYTES]) -> Result<Socket, BytestreamError> {
    let dialer = Dialer::through(|_name, port| {
        Box::pin(async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await;
            stream.and_then(Socket::tcp).map_err(|_| AccountError::Refused)
        })
    });
    let place = Place::new(&proxy.host, proxy.port, &Hosts::of_domains([DOMAIN])).unwrap();
    bytestream::connect(&PlaceDialer::new(&dialer, Reach::Public), &place, address).await
}
