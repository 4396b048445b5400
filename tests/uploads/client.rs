//! Client of a real chat server that puts files at its upload service.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hexchat_lab::Kind;
use hexchat_lab::server::{DOMAIN, Rules, Upload};
use hexchat_pt::carrier::services::discovery::{Discovery, Wanted};
use hexchat_pt::carrier::upload::refusal::Refusal;
use hexchat_pt::carrier::upload::service::Service;
use hexchat_pt::carrier::upload::slot::{self, CONTENT_TYPE, Slot, file_name};
use hexchat_pt::config::{AccountConfig, TlsMode};
use hexchat_pt::xmpp::place::{Hosts, Reach};
use hexchat_pt::xmpp::transfer::fault::TransferError;
use hexchat_pt::xmpp::transfer::file_place::FilePlace;
use hexchat_pt::xmpp::transfer::{self, Transfers};
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountId, AccountPool, Dialer, Socket, StreamManagement,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::stanza::Stanza;

use crate::chat_server::ChatServer;

/// What no step of a test may take longer than.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest file that the servers of the tests take, in bytes.
pub(crate) const MAX_FILE: u32 = 1_000_000;

/// What an account may upload to them in a day, in bytes.
pub(crate) const DAILY: u32 = 4 * MAX_FILE;

/// A chat server of its own for each test, with the account `alice`.
pub(crate) struct Lab(ChatServer);

impl Lab {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::with(kind, Some(Upload { max_file: MAX_FILE, daily: DAILY }))
    }

    pub(crate) fn without_uploads(kind: Kind) -> Self {
        Self::with(kind, None)
    }

    fn with(kind: Kind, upload: Option<Upload>) -> Self {
        let rules = Rules { upload, ..Rules::default() };
        Self(ChatServer::start_with(kind, rules))
    }

    fn account(&self) -> AccountConfig {
        self.0.account("alice", TlsMode::Direct)
    }
}

/// Finds every name on this machine, as a proxy finds names, and counts.
fn dialer(dialled: &Arc<AtomicUsize>) -> Dialer {
    let dialled = Arc::clone(dialled);
    Dialer::through(move |_name, port| {
        dialled.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await;
            stream.and_then(Socket::tcp).map_err(|_| AccountError::Refused)
        })
    })
}

pub(crate) struct Client {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
    id: AccountId,
    transfers: Transfers,
    dialled: Arc<AtomicUsize>,
    service: Option<Service>,
}

impl Client {
    pub(crate) async fn online(lab: &Lab) -> Self {
        let (pool, events) = AccountPool::new(Dialer::direct());
        let id = pool.open(lab.account(), StreamManagement::Wanted);
        let dialled = Arc::default();
        let transfers =
            Transfers::new(&dialer(&dialled), &[lab.0.ca_file().to_owned()], Reach::Anywhere).unwrap();
        let mut client = Self { pool, events, id, transfers, dialled, service: None };
        while !matches!(client.event().await, AccountEvent::Online { .. }) {}
        client
    }

    async fn event(&mut self) -> AccountEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap().1
    }

    async fn iq(&mut self) -> Iq {
        loop {
            if let AccountEvent::Stanza(stanza) = self.event().await
                && let Stanza::Iq(iq) = *stanza
            {
                return iq;
            }
        }
    }

    /// Looks for the service, or knows it.
    pub(crate) async fn discover(&mut self) -> Option<Service> {
        if self.service.is_some() {
            return self.service.clone();
        }
        let domain = Jid::new(DOMAIN).unwrap();
        let wanted = Wanted { uploads: true, relays: false };
        let mut discovery = Discovery::new(domain.domain(), wanted, &mut rand::random);
        while discovery.upload().is_none() {
            while let Some(request) = discovery.poll_request() {
                self.pool.send(self.id, Stanza::from(request), None);
            }
            let iq = self.iq().await;
            discovery.handle(&iq, &mut rand::random);
        }
        self.service = discovery.upload().unwrap().cloned();
        self.service.clone()
    }

    /// Asks for a slot for a file of this size.
    pub(crate) async fn slot(&mut self, size: usize) -> Result<Slot, Refusal> {
        let service = self.discover().await.expect("a service");
        let name = file_name(rand::random());
        let (asked, request) = slot::ask(&service.jid, name, size as u64, &mut rand::random);
        self.pool.send(self.id, Stanza::from(request), None);
        loop {
            let iq = self.iq().await;
            if let Some(answer) = asked.answer(&iq) {
                return answer;
            }
        }
    }

    /// Puts a file, in pieces of so many bytes.
    pub(crate) async fn put(&self, slot: &Slot, file: &[u8], piece: usize) -> Result<(), TransferError> {
        let place = place(&slot.put);
        let fields: Vec<_> =
            slot.headers.iter().map(|header| (header.name.as_str(), header.value.clone())).collect();
        let upload =
            transfer::Upload { place: &place, fields: &fields, content_type: CONTENT_TYPE, size: file.len() };
        let pieces: Vec<Bytes> = file.chunks(piece).map(Bytes::copy_from_slice).collect();
        self.transfers.put(upload, stream::iter(pieces), || ()).await
    }

    /// Fetches a file of this size.
    pub(crate) async fn get(&self, slot: &Slot, size: usize) -> Result<Vec<u8>, TransferError> {
        let mut download = self.transfers.get(&place(&slot.get), size).await?;
        let mut file = Vec::new();
        while let Some(bytes) = download.next().await? {
            file.extend(bytes);
        }
        Ok(file)
    }

    /// How often the service was dialled.
    pub(crate) fn dialled(&self) -> usize {
        self.dialled.load(Ordering::Relaxed)
    }

    /// From now on the authority of the lab is unknown.
    pub(crate) fn trust_public_authorities_alone(&mut self) {
        self.transfers = Transfers::new(&dialer(&self.dialled), &[], Reach::Anywhere).unwrap();
    }
}

/// The place at this URL, which has to be the domain's.
fn place(url: &str) -> FilePlace {
    FilePlace::new(url, &Hosts::of_domains([DOMAIN])).unwrap()
}
