//! Registration that is refused: the server is left alone for hours.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hexchat_pt::config::{AccountConfig, Credential, ServerAddr};
use hexchat_pt::xmpp::registration::{Known, NewAccount, NotKept, Place, Refusal, Registry, WebPage};
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountPool, AccountStatus, StreamManagement};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::sasl;

use crate::client::Client;
use crate::mock::{MockServer, PATIENCE};
use crate::refusals::refuse;

/// Remembers a refusal until it is told not to, and one account.
#[derive(Default)]
struct Memory {
    /// Why it keeps nothing.
    fault: Mutex<Option<NotKept>>,
    refusal: Mutex<Option<Refusal>>,
    asked: Mutex<Option<NewAccount>>,
    times: AtomicU32,
}

impl Memory {
    /// One that has asked for this account so many times.
    fn of(account: NewAccount, times: u32) -> Arc<Self> {
        Arc::new(Self { asked: Mutex::new(Some(account)), times: times.into(), ..Self::default() })
    }

    fn times(&self) -> u32 {
        self.times.load(Ordering::Relaxed)
    }
}

impl Registry for Memory {
    fn recall(&self, _place: &Place) -> Known {
        if let Some(refusal) = *self.refusal.lock().unwrap() {
            return Known::Refused(refusal, None);
        }
        let asked = self.asked.lock().unwrap().clone();
        asked.map_or(Known::Nothing, |account| Known::Asked { account, times: self.times() })
    }

    fn check(&self) -> Result<(), NotKept> {
        self.fault.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn ask(&self, _place: &Place, account: &NewAccount) -> Result<(), NotKept> {
        *self.asked.lock().unwrap() = Some(account.clone());
        self.times.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn made(&self, _place: &Place, _account: &NewAccount) {}

    fn refused(
        &self,
        _place: &Place,
        _asked: Option<&NewAccount>,
        refusal: Refusal,
        _page: Option<&WebPage>,
    ) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }
}

/// A connection on which an account is asked for.
struct Request {
    io: DuplexStream,
    id: String,
}

impl Request {
    /// The next one, by a client that was told what is wanted.
    async fn next(server: &MockServer) -> Self {
        let (mut io, question) = Self::question(server).await;
        let wanted = "<query xmlns='jabber:iq:register'><username/><password/></query>";
        answer(&mut io, &id_of(&question), "result", wanted).await;
        let request = hear(&mut io, "</iq>").await;
        Self { io, id: id_of(&request) }
    }

    /// The next connection, on which a client has asked what is wanted, and how.
    async fn question(server: &MockServer) -> (DuplexStream, String) {
        const OPEN: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
            from='mock.example' version='1.0'><stream:features>\
            <register xmlns='http://jabber.org/features/iq-register'/>\
            <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>\
            </stream:features>";
        let mut io = server.connection_within(PATIENCE).await.expect("a connection");
        hear(&mut io, "version=").await;
        io.write_all(OPEN.as_bytes()).await.unwrap();
        let question = hear(&mut io, "jabber:iq:register").await;
        (io, question)
    }

    async fn grant(mut self) {
        answer(&mut self.io, &self.id, "result", "").await;
    }

    async fn refuse(mut self, condition: &str) {
        let error = format!(
            "<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
        answer(&mut self.io, &self.id, "error", &error).await;
    }
}

async fn hear(io: &mut DuplexStream, awaited: &str) -> String {
    let mut said = String::new();
    while !(said.contains(awaited) && said.ends_with('>')) {
        let mut bytes = [0; 4096];
        let length = timeout(PATIENCE, io.read(&mut bytes)).await.expect("the client to say it").unwrap();
        assert_ne!(length, 0, "it has hung up after {said}");
        said.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    said
}

/// The id of the last stanza.
fn id_of(said: &str) -> String {
    let (_, behind) = said.rsplit_once(" id=").unwrap();
    behind[1..].split(&behind[..1]).next().unwrap().to_owned()
}

async fn answer(io: &mut DuplexStream, id: &str, kind: &str, payload: &str) {
    let answer = format!("<iq type='{kind}' id='{id}' from='mock.example'>{payload}</iq>");
    io.write_all(answer.as_bytes()).await.unwrap();
}

/// The next connection is told that its password is wrong.
async fn refuse_login(server: &MockServer) {
    let mut peer = server.greet("SCRAM-SHA-1").await;
    assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
    refuse(&mut peer).await;
}

fn marilan() -> NewAccount {
    NewAccount { user: "marilan84".to_owned(), password: "secret".into() }
}

fn newcomer(server: &MockServer) -> AccountConfig {
    AccountConfig {
        jid: "new@mock.example".parse().unwrap(),
        credential: Credential::New,
        ..server.with_password()
    }
}

fn open(server: &MockServer, memory: Option<Arc<Memory>>) -> Client {
    let (pool, events) = AccountPool::new(server.dialer());
    if let Some(memory) = memory {
        pool.keep_registrations(memory);
    }
    let id = pool.open(newcomer(server), StreamManagement::Unwanted);
    Client { pool, events, id }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_is_asked_again_in_hours_and_not_in_seconds() {
    let (server, memory) = (MockServer::start(), Arc::new(Memory::default()));
    let mut client = open(&server, Some(Arc::clone(&memory)));
    let closed = AccountError::from(Refusal::Closed);
    let peer = server.greet("SCRAM-SHA-1").await;
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == closed));
    drop(peer);
    let status = client.pool.status(client.id);
    assert_eq!(status, AccountStatus::Barred(closed));
    assert!(!status.may_come_online(), "nobody is to wait for it");
    assert!(server.connection_within(Duration::from_secs(20 * 3600)).await.is_none(), "it was asked again");
    *memory.refusal.lock().unwrap() = None;
    assert!(
        server.connection_within(Duration::from_secs(2 * 3600)).await.is_some(),
        "it was never asked again"
    );
    assert_eq!(memory.times(), 0, "nothing was asked for");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_kept_no_account_is_registered() {
    let server = MockServer::start();
    let mut client = open(&server, None);
    assert!(matches!(client.event().await, AccountEvent::Failed(AccountError::NotKept(_))));
    assert!(server.connection_within(Duration::from_secs(3600)).await.is_none(), "the server was called");
}

fn fault(can_pass: bool) -> NotKept {
    NotKept { why: "the disk is full".to_owned(), can_pass }
}

#[tokio::test(start_paused = true)]
async fn why_an_account_cannot_be_kept_is_said_and_the_server_is_not_called() {
    let (server, memory) = (MockServer::start(), Arc::new(Memory::default()));
    *memory.fault.lock().unwrap() = Some(fault(false));
    let mut client = open(&server, Some(memory));
    let AccountEvent::Failed(error) = client.event().await else { panic!("it goes on") };
    assert_eq!(
        format!("{error}; {}", error.advice()),
        "registering an account at the chat server: it could not be kept: the disk is full; when that is mended, start this program again; not \
         trying again"
    );
    assert!(server.connection_within(Duration::from_secs(3600)).await.is_none(), "the server was called");
}

#[tokio::test(start_paused = true)]
async fn where_there_is_room_again_an_account_is_registered_without_a_restart() {
    let (server, memory) = (MockServer::start(), Arc::new(Memory::default()));
    *memory.fault.lock().unwrap() = Some(fault(true));
    let mut client = open(&server, Some(Arc::clone(&memory)));
    let expected = AccountError::NotKept(fault(true));
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == expected));
    assert!(!client.pool.status(client.id).may_come_online(), "nobody is to wait for it");
    *memory.fault.lock().unwrap() = None;
    assert!(server.connection_within(Duration::from_secs(2 * 3600)).await.is_some(), "it was never tried");
}

async fn end_with(io: &mut DuplexStream, condition: &str) {
    let error = format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    );
    io.write_all(error.as_bytes()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_in_the_middle_of_a_registration_ends_no_session() {
    for condition in ["undefined-condition", "system-shutdown"] {
        let server = MockServer::start();
        let mut client = open(&server, Some(Arc::default()));
        let (mut io, _) = Request::question(&server).await;
        end_with(&mut io, condition).await;
        let AccountEvent::Unreachable(error) = client.event().await else { panic!("it goes on") };
        assert_eq!(
            error.to_string(),
            format!("registering an account at the chat server: it ended the stream ({condition})")
        );
    }
}

/// Whoever starts the program again and again would ask as often.
#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_by_a_rule_of_the_server_is_a_refusal_that_is_kept() {
    for (condition, refusal) in [
        ("not-authorized", Refusal::Closed),
        ("policy-violation", Refusal::Closed),
        ("resource-constraint", Refusal::TooMany),
        ("conflict", Refusal::Fault),
    ] {
        let (server, memory) = (MockServer::start(), Arc::new(Memory::default()));
        let mut client = open(&server, Some(Arc::clone(&memory)));
        let (mut io, _) = Request::question(&server).await;
        end_with(&mut io, condition).await;
        let refused = AccountError::from(refusal);
        assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == refused));
        assert_eq!(*memory.refusal.lock().unwrap(), Some(refusal), "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_be_there_is_not_given_up_for_a_stream_that_ends() {
    let (server, memory) = (MockServer::start(), Arc::new(Memory::default()));
    let mut client = open(&server, Some(Arc::clone(&memory)));
    let Request { mut io, .. } = Request::next(&server).await;
    end_with(&mut io, "not-authorized").await;
    let AccountEvent::Unreachable(error) = client.event().await else { panic!("it goes on") };
    assert!(matches!(error, AccountError::StreamError(..)), "{error}");
    assert!(!error.advice().contains("deleted"), "{}", error.advice());
    assert_eq!(*memory.refusal.lock().unwrap(), None);
    assert!(memory.asked.lock().unwrap().is_some());
}

/// Somebody may have to approve an account: its owner is not told to forget it.
#[tokio::test(start_paused = true)]
async fn an_account_that_is_registered_and_not_let_in_waits_for_approval() {
    let (server, memory) = (MockServer::start(), Arc::new(Memory::default()));
    let mut client = open(&server, Some(Arc::clone(&memory)));
    Request::next(&server).await.grant().await;
    refuse_login(&server).await;
    let unapproved = AccountError::from(Refusal::Unapproved);
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == unapproved));
    assert!(server.connection_within(Duration::from_secs(20 * 3600)).await.is_none(), "it was asked again");
    assert_eq!(memory.times(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_logins_at_two_servers_of_a_domain_register_one_account() {
    let (server, memory) = (MockServer::start(), Arc::new(Memory::default()));
    let client = open(&server, Some(Arc::clone(&memory)));
    let elsewhere = Some(ServerAddr { host: "127.0.0.1".into(), port: 5223 }.into());
    client.pool.open(AccountConfig { server: elsewhere, ..newcomer(&server) }, StreamManagement::Unwanted);
    let request = Request::next(&server).await;
    assert!(server.connection_within(Duration::from_secs(5)).await.is_none(), "both register");
    request.grant().await;
    refuse_login(&server).await;
    assert!(server.connection_within(Duration::from_secs(3600)).await.is_none(), "the other one registers");
    assert_eq!(memory.times(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_answers_of_a_server_have_us_ask_for_one_account_after_another() {
    let (server, memory) = (MockServer::start(), Memory::of(marilan(), 1));
    let mut client = open(&server, Some(Arc::clone(&memory)));
    refuse_login(&server).await;
    Request::next(&server).await.refuse("conflict").await;
    let unapproved = AccountError::from(Refusal::Unapproved);
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == unapproved));
    assert_eq!(memory.times(), 2);
    assert_eq!(memory.asked.lock().unwrap().as_ref().unwrap().user, "marilan84", "another one was asked for");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_asked_twice_in_vain_is_left_alone() {
    let (server, memory) = (MockServer::start(), Memory::of(marilan(), 1));
    let mut client = open(&server, Some(Arc::clone(&memory)));
    refuse_login(&server).await;
    // It hangs up instead of an answer, and then does not know the account.
    drop(Request::next(&server).await);
    assert!(matches!(client.event().await, AccountEvent::Unreachable(_)));
    refuse_login(&server).await;
    let unsettled = AccountError::from(Refusal::Unsettled);
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == unsettled));
    assert!(server.connection_within(Duration::from_secs(20 * 3600)).await.is_none(), "it was asked again");
    assert_eq!(memory.times(), 2);
}
