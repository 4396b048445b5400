//! An account against a server that does exactly what the test wants: what is acknowledged, what is lost, what is
//! final.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod mock;

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountId, AccountPool, AccountStatus, Dialer, Step, StreamManagement,
};
use mock::{MockServer, PATIENCE};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::message::{Lang, Message};
use xmpp_parsers::ping::Ping;
use xmpp_parsers::stream_error::{DefinedCondition, ReceivedStreamError, StreamError};
use xmpp_parsers::{jid::Jid, presence, sasl, sm};

/// Longer than the longest first delay of the back-off.
const NO_RETRY: Duration = Duration::from_millis(1500);

static WORKER_PANICKED: AtomicBool = AtomicBool::new(false);

/// Remembers panics of workers that nobody joins.
fn watch_for_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|location| location.file().contains("tokio-xmpp")) {
                WORKER_PANICKED.store(true, Ordering::SeqCst);
            }
            previous(info);
        }));
    });
}

struct Client {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
    id: AccountId,
}

impl Client {
    fn open(config: hexchat_pt::config::AccountConfig) -> Self {
        Self::open_with(config, StreamManagement::Wanted)
    }

    fn open_with(config: hexchat_pt::config::AccountConfig, management: StreamManagement) -> Self {
        watch_for_panics();
        let (pool, events) = AccountPool::new(Dialer::direct());
        let id = pool.open(config, management);
        Self { pool, events, id }
    }

    async fn event(&mut self) -> AccountEvent {
        let (id, event) = timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap();
        assert_eq!(id, self.id);
        event
    }

    async fn online(&mut self) -> bool {
        match self.event().await {
            AccountEvent::Online { jid, resumed } => {
                assert_eq!(self.pool.status(self.id), AccountStatus::Online(jid));
                resumed
            }
            other => panic!("not online: {other:?}"),
        }
    }

    async fn suspended(&mut self) -> AccountError {
        match self.event().await {
            AccountEvent::Suspended { reason } => reason,
            other => panic!("not suspended: {other:?}"),
        }
    }

    async fn fate(&mut self) -> Result<u64, u64> {
        match self.event().await {
            AccountEvent::Acked { tag } => Ok(tag),
            AccountEvent::Lost { tag } => Err(tag),
            other => panic!("no fate: {other:?}"),
        }
    }

    fn send(&self, tag: u64) {
        self.pool.send(self.id, message(&tag.to_string()), Some(tag));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        assert!(!WORKER_PANICKED.load(Ordering::SeqCst), "a worker of the XMPP library panicked");
    }
}

fn message(text: &str) -> Stanza {
    let to: Jid = "bob@mock.example/there".parse().unwrap();
    Message::new(Some(to)).with_body(Lang::default(), text.to_owned()).into()
}

#[tokio::test]
async fn a_login_sends_presence_and_is_acknowledged_stanza_by_stanza() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    client.send(1);
    let mut peer = server.session(true).await;
    assert!(!client.online().await);
    client.send(2);
    peer.presence().await;
    assert_eq!((peer.text().await, peer.text().await), ("1".into(), "2".into()));
    peer.ack(2).await;
    assert_eq!(client.fate().await, Ok(1));
    peer.ack(3).await;
    assert_eq!(client.fate().await, Ok(2));
}

#[tokio::test]
async fn a_stanza_without_end_breaks_the_connection_and_its_session() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    let flood = async {
        // The client may hang up in the middle of it.
        let _ = peer.try_send(message(&"x".repeat(2 << 20))).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        reason = client.suspended() => assert_eq!(reason, AccountError::TooMuch(Step::Session)),
        () = flood => {}
    }
    let _peer = server.session(true).await;
    assert!(!client.online().await, "a new session");
}

#[tokio::test]
async fn many_stanzas_are_not_too_much() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    for n in 0..8 {
        let sending = peer.try_send(message(&format!("{n}{}", "x".repeat(900 << 10))));
        let (sent, received) = tokio::join!(sending, client.event());
        sent.unwrap();
        assert!(matches!(received, AccountEvent::Stanza(_)), "{received:?}");
    }
}

#[tokio::test]
async fn a_server_that_talks_without_end_before_the_login_is_left() {
    use tokio::io::AsyncWriteExt as _;
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut socket = server.connection_within(PATIENCE).await.unwrap();
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1' from='mock.example'><stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
    let flood = tokio::spawn(async move {
        socket.write_all(header.as_bytes()).await?;
        loop {
            socket.write_all(b"<mechanism>SCRAM-SHA-1</mechanism>").await?;
        }
        #[expect(unreachable_code, reason = "tells the type")]
        Ok::<(), std::io::Error>(())
    });
    match client.event().await {
        AccountEvent::Unreachable(error) => assert_eq!(error, AccountError::TooMuch(Step::Stream)),
        other => panic!("not unreachable: {other:?}"),
    }
    flood.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn what_was_in_flight_is_lost_with_the_session_and_what_was_queued_is_not() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    (1..=3).for_each(|tag| client.send(tag));
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    peer.ack(2).await;
    assert_eq!(client.fate().await, Ok(1));
    assert_eq!((peer.text().await, peer.text().await), ("2".into(), "3".into()));
    drop(peer);
    client.suspended().await;
    client.send(4);

    let mut peer = server.log_in(true).await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Resume(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: Some(3), error: None })).await;
    peer.open().await;
    assert_eq!(client.fate().await, Ok(2), "acknowledged by the refusal to resume");
    assert_eq!(client.fate().await, Err(3));
    assert!(!client.online().await);
    peer.presence().await;
    assert_eq!(peer.text().await, "4");
    peer.ack(2).await;
    assert_eq!(client.fate().await, Ok(4));
}

#[tokio::test]
async fn a_refusal_to_resume_that_counts_nothing_begins_a_new_session() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    client.send(1);
    peer.presence().await;
    peer.text().await;
    drop(peer);
    client.suspended().await;

    let mut peer = server.log_in(true).await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Resume(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: None, error: None })).await;
    let _peer = server.session(true).await;
    assert_eq!(client.fate().await, Err(1));
    assert!(!client.online().await);
}

#[tokio::test]
async fn a_server_that_offers_acknowledgements_and_refuses_them_is_used_without() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.log_in(true).await;
    peer.bind().await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Enable(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: None, error: None })).await;
    let mut peer = server.log_in(true).await;
    peer.bind().await;
    assert!(!client.online().await);
    client.send(1);
    assert_eq!(client.fate().await, Ok(1));
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
}

#[tokio::test]
async fn a_countable_refusal_of_acknowledgements_does_not_lose_everything() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.log_in(true).await;
    peer.bind().await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Enable(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: Some(0), error: None })).await;
    assert!(!client.online().await);
    client.send(1);
    assert_eq!(client.fate().await, Ok(1));
}

#[tokio::test]
async fn a_resumed_session_loses_nothing() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    (1..=3).for_each(|tag| client.send(tag));
    peer.presence().await;
    for text in ["1", "2", "3"] {
        assert_eq!(peer.text().await, text);
    }
    drop(peer);
    client.suspended().await;
    client.send(4);

    let mut peer = server.log_in(true).await;
    let XmppStreamElement::SM(sm::Nonza::Resume(resume)) = peer.next().await else { panic!("no resume") };
    peer.send_sm(sm::Nonza::Resumed(sm::Resumed { h: 2, previd: resume.previd })).await;
    assert_eq!(client.fate().await, Ok(1));
    assert!(client.online().await);
    assert_eq!((peer.text().await, peer.text().await), ("2".into(), "3".into()));
    let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza().await else { panic!("no ping") };
    peer.send(XmppStreamElement::Stanza(Iq::Result { from: None, to: None, id, payload: None }.into())).await;
    assert_eq!(peer.text().await, "4");
    peer.ack(6).await;
    for tag in 2..=4 {
        assert_eq!(client.fate().await, Ok(tag));
    }
}

#[tokio::test]
async fn a_resumed_session_that_does_not_work_is_replaced_and_not_resumed_again() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    client.send(1);
    peer.presence().await;
    peer.text().await;
    drop(peer);
    client.suspended().await;

    let mut deaf = server.log_in(true).await;
    let XmppStreamElement::SM(sm::Nonza::Resume(resume)) = deaf.next().await else { panic!("no resume") };
    deaf.send_sm(sm::Nonza::Resumed(sm::Resumed { h: 1, previd: resume.previd })).await;
    assert!(client.online().await);
    assert_eq!(client.fate().await, Err(1));
    client.suspended().await;
    let mut peer = server.session(true).await;
    assert!(!client.online().await);

    client.send(2);
    peer.presence().await;
    peer.text().await;
    drop(peer);
    client.suspended().await;
    assert_eq!(client.fate().await, Err(2));
    let _peer = server.session(true).await;
    assert!(!client.online().await, "a new session at once");
}

#[tokio::test]
async fn without_stream_management_written_is_acknowledged() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(false).await;
    client.online().await;
    (1..=2).for_each(|tag| client.send(tag));
    assert_eq!((client.fate().await, client.fate().await), (Ok(1), Ok(2)));
    peer.presence().await;
    assert_eq!((peer.text().await, peer.text().await), ("1".into(), "2".into()));
}

#[tokio::test]
async fn what_a_server_does_not_read_is_not_acknowledged_and_is_lost_with_the_connection() {
    const COUNT: u64 = 400;
    let server = MockServer::start().await;
    let mut client = Client::open_with(server.anonymous(), StreamManagement::Unwanted);
    let peer = server.session(false).await;
    client.online().await;
    let much = "x".repeat(64 * 1024);
    (1..=COUNT).for_each(|tag| client.pool.send(client.id, message(&much), Some(tag)));
    let mut acked = Vec::new();
    // The buffers of two sockets have room for some of it.
    while let Ok(event) = timeout(Duration::from_secs(1), client.event()).await {
        match event {
            AccountEvent::Acked { tag } => acked.push(tag),
            other => panic!("{other:?}"),
        }
    }
    assert!(acked.len() < usize::try_from(COUNT).unwrap(), "all of it was written");
    drop(peer);
    let mut lost = Vec::new();
    loop {
        match client.event().await {
            AccountEvent::Acked { tag } => acked.push(tag),
            AccountEvent::Lost { tag } => lost.push(tag),
            AccountEvent::Suspended { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(!lost.is_empty());
    assert!(acked.iter().chain(&lost).copied().eq(1..=acked.len() as u64 + lost.len() as u64));
}

#[tokio::test]
async fn a_long_queue_drains_in_order() {
    const COUNT: u64 = 2000;
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    (0..COUNT).for_each(|tag| client.send(tag));
    let mut peer = server.session(true).await;
    client.online().await;
    peer.presence().await;
    for tag in 0..COUNT {
        assert_eq!(peer.text().await, tag.to_string());
    }
    peer.ack(1 + u32::try_from(COUNT).unwrap()).await;
    for tag in 0..COUNT {
        assert_eq!(client.fate().await, Ok(tag));
    }
}

#[tokio::test]
async fn a_wrong_password_is_final_and_tried_once() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.with_password());
    client.send(1);
    let mut peer = server.greet("SCRAM-SHA-1").await;
    assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
    refuse(&mut peer).await;
    assert_eq!(client.fate().await, Err(1));
    assert!(matches!(client.event().await, AccountEvent::Failed(AccountError::WrongPassword)));
    assert_eq!(client.pool.status(client.id), AccountStatus::Failed(AccountError::WrongPassword));

    assert_eq!(
        client.pool.open(server.with_password(), StreamManagement::Wanted),
        client.id,
        "the same login must not be tried anew"
    );
    client.send(2);
    assert_eq!(client.fate().await, Err(2));
    assert!(server.connection_within(NO_RETRY).await.is_none(), "tried again");
}

#[tokio::test]
async fn a_password_that_goes_wrong_later_ends_the_account_quietly() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    client.send(1);
    peer.presence().await;
    peer.text().await;
    drop(peer);
    client.suspended().await;
    let mut peer = server.greet("ANONYMOUS").await;
    assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
    refuse(&mut peer).await;
    assert_eq!(client.fate().await, Err(1));
    assert!(matches!(client.event().await, AccountEvent::Failed(_)));
    assert!(server.connection_within(NO_RETRY).await.is_none(), "tried again");
}

async fn refuse(peer: &mut mock::Peer) {
    let failure =
        sasl::Failure { defined_condition: sasl::DefinedCondition::NotAuthorized, texts: Default::default() };
    peer.send(XmppStreamElement::Sasl(sasl::Nonza::Failure(failure))).await;
}

#[tokio::test]
async fn only_plain_on_offer_sends_no_password_and_keeps_trying() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.with_password());
    for _ in 0..2 {
        let mut peer = server.greet("PLAIN").await;
        assert!(matches!(client.event().await, AccountEvent::Unreachable(AccountError::NoMechanism)));
        assert!(!peer.is_closed().await, "the connection is just dropped: nothing was said on it");
    }
}

#[tokio::test]
async fn another_login_with_the_resource_makes_us_step_back() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    peer.presence().await;
    let conflict = StreamError::new(DefinedCondition::Conflict, "en", "Replaced by new connection");
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(conflict))).await;
    assert_eq!(client.suspended().await, AccountError::Conflict);
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
}

#[tokio::test]
async fn a_policy_violation_is_named_and_survived() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    client.send(1);
    peer.presence().await;
    peer.text().await;
    let error = StreamError::new(DefinedCondition::PolicyViolation, "en", "XML stanza is too big");
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(error))).await;
    assert_eq!(client.fate().await, Err(1));
    assert_eq!(client.suspended().await, AccountError::StreamError("policy-violation"));
    drop(peer);
    let mut peer = server.session(true).await;
    assert!(!client.online().await);
    peer.presence().await;
}

#[tokio::test]
async fn pings_are_answered_by_the_account_itself() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    peer.presence().await;
    peer.send(XmppStreamElement::Stanza(Iq::from_get("ping", Ping).into())).await;
    peer.send(XmppStreamElement::Stanza(message("after"))).await;
    let Stanza::Iq(Iq::Result { id, payload: None, .. }) = peer.stanza().await else { panic!("no result") };
    assert_eq!(id, "ping");
    let AccountEvent::Stanza(stanza) = client.event().await else { panic!("no stanza") };
    assert!(matches!(*stanza, Stanza::Message(_)), "the ping itself must not come through");
}

#[tokio::test]
async fn who_asks_and_does_not_read_the_answers_is_not_read_either() {
    const MANY: usize = 100_000;
    let server = MockServer::start().await;
    let (pool, mut events) = AccountPool::new(Dialer::direct());
    pool.open(server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.session(false).await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    peer.presence().await;
    let from: Option<Jid> = Some("bob@mock.example/there".parse().unwrap());
    let mut sent = 0;
    while sent < MANY {
        let ping = Iq::Get { from: from.clone(), to: None, id: "x".repeat(4000), payload: Ping.into() };
        match timeout(Duration::from_secs(1), peer.try_send(ping.into())).await {
            Ok(written) => written.unwrap(),
            Err(_) => break,
        }
        sent += 1;
    }
    assert!(sent < MANY, "everything was taken in, and the answers kept");
    for _ in 0..sent {
        assert!(matches!(peer.stanza().await, Stanza::Iq(Iq::Result { .. })));
    }
}

#[tokio::test]
async fn shutdown_sends_what_is_queued_and_says_goodbye() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let mut peer = server.session(true).await;
    client.online().await;
    client.send(1);
    let pool = client.pool.clone();
    let shutdown = tokio::spawn(async move { pool.shutdown().await });
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    let Stanza::Presence(goodbye) = peer.stanza().await else { panic!("no presence") };
    assert_eq!(goodbye.type_, presence::Type::Unavailable);
    assert!(peer.is_closed().await);
    drop(peer);
    timeout(Duration::from_secs(1), shutdown).await.expect("a quick end").unwrap();
    assert_eq!(client.pool.status(client.id), AccountStatus::Failed(AccountError::LoggedOut));
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_server_that_is_not_there() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let peer = server.session(true).await;
    client.online().await;
    drop(peer);
    client.suspended().await;
    timeout(Duration::from_millis(500), client.pool.shutdown()).await.expect("no wait");
}

#[tokio::test]
async fn shutdown_is_bounded_when_the_server_ignores_it() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    let _peer = server.session(true).await;
    client.online().await;
    timeout(Duration::from_secs(3), client.pool.shutdown()).await.expect("two seconds at most");
}

#[tokio::test]
async fn an_unknown_account_loses_what_it_is_given() {
    let server = MockServer::start().await;
    let mut client = Client::open(server.anonymous());
    client.pool.close(client.id);
    client.send(7);
    assert_eq!(client.fate().await, Err(7));
    assert_ne!(client.pool.open(server.anonymous(), StreamManagement::Wanted), client.id);
}
