//! An account against a server that does exactly what the test wants, on virtual time: what is acknowledged, what is lost, what is
//! final.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod mock;

use std::time::Duration;

use hexchat_pt::config::AccountConfig;
use hexchat_pt::persona;
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountId, AccountPool, AccountStatus, Backlog, Parcel, Step,
    StreamManagement,
};
use mock::{MockServer, PATIENCE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

struct Client {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
    id: AccountId,
}

impl Client {
    fn open(server: &MockServer) -> Self {
        Self::open_with(server, server.anonymous(), StreamManagement::Wanted)
    }

    fn open_with(server: &MockServer, config: AccountConfig, management: StreamManagement) -> Self {
        let (pool, events) = AccountPool::new(server.dialer());
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
        loop {
            match self.event().await {
                AccountEvent::Acked { tag } => return Ok(tag),
                AccountEvent::Lost { tag } => return Err(tag),
                AccountEvent::Relieved => {}
                other => panic!("no fate: {other:?}"),
            }
        }
    }

    fn send(&self, tag: u64) {
        self.pool.send(self.id, message(&tag.to_string()), Some(tag));
    }
}

fn message(text: &str) -> Stanza {
    let to: Jid = "bob@mock.example/there".parse().unwrap();
    Message::new(Some(to)).with_body(Lang::default(), text.to_owned()).into()
}

#[tokio::test(start_paused = true)]
async fn a_login_sends_presence_and_is_acknowledged_stanza_by_stanza() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn a_stanza_without_end_breaks_the_connection_and_its_session() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.session(true).await;
    client.online().await;
    let flood = async {
        // The client may hang up in the middle of it.
        let _ = peer.try_send(message(&"x".repeat(17 << 20))).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        reason = client.suspended() => assert_eq!(reason, AccountError::TooMuch(Step::Session)),
        () = flood => {}
    }
    let _peer = server.session(true).await;
    assert!(!client.online().await, "a new session");
}

#[tokio::test(start_paused = true)]
async fn many_stanzas_are_not_too_much() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.session(true).await;
    client.online().await;
    for n in 0..100 {
        let sending = peer.try_send(message(&format!("{n}{}", "x".repeat(200 << 10))));
        let (sent, received) = tokio::join!(sending, client.event());
        sent.unwrap();
        assert!(matches!(received, AccountEvent::Stanza(_)), "{received:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_talks_without_end_before_the_login_is_left() {
    use tokio::io::AsyncWriteExt as _;
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_is_lost_with_the_session_and_what_was_queued_is_not() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn a_refusal_to_resume_that_counts_nothing_begins_a_new_session() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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
    peer.open().await;
    assert_eq!(client.fate().await, Err(1));
    assert!(!client.online().await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_offers_acknowledgements_and_refuses_them_is_used_without() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.log_in(true).await;
    peer.bind().await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Enable(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: None, error: None })).await;
    assert!(!client.online().await);
    client.send(1);
    assert_eq!(client.fate().await, Ok(1));
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_countable_refusal_of_acknowledgements_does_not_lose_everything() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.log_in(true).await;
    peer.bind().await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Enable(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: Some(0), error: None })).await;
    assert!(!client.online().await);
    client.send(1);
    assert_eq!(client.fate().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_loses_nothing() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn a_resumed_session_that_does_not_work_is_replaced_and_not_resumed_again() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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
    assert_eq!(client.fate().await, Err(2));
    client.suspended().await;
    let _peer = server.session(true).await;
    assert!(!client.online().await, "a new session at once");
}

#[tokio::test(start_paused = true)]
async fn without_stream_management_written_is_acknowledged() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.session(false).await;
    client.online().await;
    (1..=2).for_each(|tag| client.send(tag));
    assert_eq!((client.fate().await, client.fate().await), (Ok(1), Ok(2)));
    peer.presence().await;
    assert_eq!((peer.text().await, peer.text().await), ("1".into(), "2".into()));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_does_not_read_is_not_acknowledged_and_is_lost_with_the_connection() {
    const COUNT: u64 = 400;
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let peer = server.session(false).await;
    client.online().await;
    let much = "x".repeat(64 * 1024);
    for tag in 1..=COUNT {
        client.pool.send(client.id, message(&much), Some(tag));
    }
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

#[tokio::test(start_paused = true)]
async fn each_stanza_has_one_fate_though_its_connection_ended_while_nobody_took_events() {
    /// More than the connection has room for, and the events.
    const COUNT: u64 = 10_000;
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let peer = server.session(false).await;
    client.online().await;
    (0..COUNT).for_each(|tag| client.send(tag));
    // Virtual time passes when nothing more happens.
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(peer);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let reading = async {
        let mut peer = server.session(false).await;
        loop {
            peer.stanza().await;
        }
    };
    let fates = async {
        let mut fates = Vec::new();
        while fates.len() < COUNT as usize {
            if let AccountEvent::Acked { tag } | AccountEvent::Lost { tag } = client.event().await {
                fates.push(tag);
            }
        }
        fates
    };
    let mut fates = tokio::select! {
        () = reading => panic!("it reads for ever"),
        fates = fates => fates,
    };
    fates.sort_unstable();
    assert!(fates.into_iter().eq(0..COUNT));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_the_stream_gets_our_end_of_it() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.session(false).await;
    client.online().await;
    peer.presence().await;
    let mut io = peer.into_io();
    io.write_all(b"</stream:stream>").await.unwrap();
    io.flush().await.unwrap();
    let mut rest = String::new();
    timeout(PATIENCE, io.read_to_string(&mut rest)).await.expect("the end of the connection").unwrap();
    assert_eq!(rest, "</stream:stream>");
    assert_eq!(client.suspended().await, AccountError::Closed(Step::Session));
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_drains_in_order() {
    const COUNT: u64 = 2000;
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn an_account_whose_events_nobody_takes_sends_all_the_same() {
    const COUNT: u64 = 3000;
    for management in [StreamManagement::Wanted, StreamManagement::Unwanted] {
        let server = MockServer::start();
        let mut client = Client::open_with(&server, server.anonymous(), management);
        let mut peer = server.session(management == StreamManagement::Wanted).await;
        client.online().await;
        peer.presence().await;
        for tag in 0..COUNT {
            client.send(tag);
            assert_eq!(peer.text().await, tag.to_string());
            if management == StreamManagement::Wanted {
                peer.ack(2 + u32::try_from(tag).unwrap()).await;
            }
        }
        for tag in 0..COUNT {
            assert_eq!(client.fate().await, Ok(tag));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_final_and_tried_once() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.with_password(), StreamManagement::Wanted);
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

#[tokio::test(start_paused = true)]
async fn a_password_that_goes_wrong_later_ends_the_account_quietly() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn only_plain_on_offer_sends_no_password_and_keeps_trying() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.with_password(), StreamManagement::Wanted);
    for _ in 0..2 {
        let mut peer = server.greet("PLAIN").await;
        assert!(matches!(client.event().await, AccountEvent::Unreachable(AccountError::NoMechanism)));
        assert!(!peer.is_closed().await, "the connection is just dropped: nothing was said on it");
    }
}

#[tokio::test(start_paused = true)]
async fn another_login_with_the_resource_makes_us_step_back() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.session(true).await;
    client.online().await;
    peer.presence().await;
    let conflict = StreamError::new(DefinedCondition::Conflict, "en", "Replaced by new connection");
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(conflict))).await;
    assert_eq!(client.suspended().await, AccountError::Conflict);
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
}

#[tokio::test(start_paused = true)]
async fn a_policy_violation_is_named_and_survived() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn pings_are_answered_by_the_account_itself() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

/// What is sent to a client whose server does not read: pings, and how many of them there were.
async fn ask_without_end(peer: &mut mock::Peer, count: usize, id_length: usize) {
    let from: Option<Jid> = Some("bob@mock.example/there".parse().unwrap());
    for _ in 0..count {
        let ping = Iq::Get { from: from.clone(), to: None, id: "x".repeat(id_length), payload: Ping.into() };
        let sending = peer.try_send(ping.into());
        timeout(Duration::from_secs(10), sending).await.expect("a client that reads").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_and_does_not_read_the_answers_fills_no_memory_and_is_read_all_the_same() {
    const MANY: usize = 20_000;
    const ID: usize = 4000;
    let server = MockServer::start();
    let (pool, mut events) = AccountPool::new(server.dialer());
    let id = pool.open(server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.session(false).await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    peer.presence().await;
    ask_without_end(&mut peer, MANY, ID).await;
    pool.send(id, message("ours"), None);
    let mut answers = 0;
    loop {
        match peer.stanza().await {
            Stanza::Iq(Iq::Get { id, .. }) => {
                let pong = Iq::Result { from: None, to: None, id, payload: None };
                peer.send(XmppStreamElement::Stanza(pong.into())).await;
            }
            Stanza::Iq(Iq::Result { .. }) => answers += 1,
            Stanza::Message(_) => {
                assert!(answers * ID < 64 * 1024, "{answers} answers stand in front of everything else");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let mut kept = answers;
    // The server answers our pings from now on, so that all come that were kept.
    while let Ok(stanza) = timeout(Duration::from_secs(1), peer.stanza()).await {
        match stanza {
            Stanza::Iq(Iq::Get { id, .. }) => {
                let pong = Iq::Result { from: None, to: None, id, payload: None };
                peer.send(XmppStreamElement::Stanza(pong.into())).await;
            }
            _ => kept += 1,
        }
    }
    assert!(kept > 100 && kept * ID < 2 << 20, "{kept} answers were kept");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_written_is_the_backlog_and_relief_is_told_once() {
    const BLOCK: usize = 64 * 1024;
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.session(false).await;
    client.online().await;
    peer.presence().await;
    let text = "A".repeat(BLOCK);
    let block =
        format!("<iq type='set' id='id' to='bob@mock.example/there'><x xmlns='urn:x'>{text}</x></iq>");
    let block = bytes::Bytes::from(block);
    let mut sent = 0;
    let send = |sent: &mut usize| {
        *sent += 1;
        client.pool.send(client.id, Parcel::Written(block.clone()), None)
    };
    // The buffers of two sockets have room for some of it.
    while client.pool.backlog(client.id).bytes <= 8 * Backlog::LIMIT.bytes {
        let backlog = send(&mut sent);
        assert!(backlog.stanzas <= sent && backlog.bytes >= block.len());
        tokio::task::yield_now().await;
    }
    let Backlog { stanzas, bytes } = client.pool.backlog(client.id);
    assert!(stanzas < sent && bytes > stanzas.saturating_sub(1) * block.len(), "{stanzas}: {bytes}");
    assert!(timeout(Duration::from_millis(200), client.events.recv()).await.is_err(), "no relief yet");
    for _ in 0..sent {
        assert!(matches!(peer.stanza().await, Stanza::Iq(_)));
    }
    assert!(matches!(client.event().await, AccountEvent::Relieved));
    assert_eq!(client.pool.backlog(client.id), Backlog::default());
    assert!(timeout(Duration::from_millis(200), client.events.recv()).await.is_err(), "told twice");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_goes_with_the_connection_that_it_was_written_to() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let peer = server.session(false).await;
    client.online().await;
    let block = bytes::Bytes::from(vec![b' '; 128 * 1024]);
    while client.pool.backlog(client.id).bytes <= 2 * Backlog::LIMIT.bytes {
        client.pool.send(client.id, Parcel::Written(block.clone()), None);
        tokio::task::yield_now().await;
    }
    drop(peer);
    client.suspended().await;
    let mut peer = server.session(false).await;
    client.online().await;
    client.send(1);
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    assert_eq!(client.fate().await, Ok(1));
    assert_eq!(client.pool.backlog(client.id), Backlog::default());
}

/// The ids of what an account sends to its server on its own while nothing is asked of it: presence, and pings.
async fn ids_of_idle(server: &MockServer, config: AccountConfig) -> Vec<String> {
    let (pool, mut events) = AccountPool::new(server.dialer());
    let id = pool.open(config, StreamManagement::Wanted);
    let mut ids = Vec::new();
    let mut peer = server.session(true).await;
    let Stanza::Presence(presence) = peer.stanza().await else { panic!("no presence") };
    ids.extend(presence.id);
    for handled in 1..=2 {
        drop(peer);
        peer = server.log_in(true).await;
        let XmppStreamElement::SM(sm::Nonza::Resume(resume)) = peer.next().await else { panic!("no resume") };
        peer.send_sm(sm::Nonza::Resumed(sm::Resumed { h: handled, previd: resume.previd })).await;
        let id = loop {
            if let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza().await {
                break id;
            }
        };
        ids.push(id.clone());
        let pong = Iq::Result { from: None, to: None, id, payload: None };
        peer.send(XmppStreamElement::Stanza(pong.into())).await;
        peer.ack(handled + 1).await;
    }
    let mut status = pool.subscribe(id);
    pool.close(id);
    let is_over = |status: &AccountStatus| *status == AccountStatus::Failed(AccountError::LoggedOut);
    status.wait_for(is_over).await.unwrap();
    while let Ok((_, event)) = events.try_recv() {
        assert!(!matches!(event, AccountEvent::Stanza(_)), "an answer to a ping of its own came through");
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn no_id_of_an_idle_account_is_used_twice_and_all_are_an_ordinary_clients() {
    let server = MockServer::start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.extend(ids_of_idle(&server, server.anonymous()).await);
    }
    assert_eq!(ids.len(), 6);
    for id in &ids {
        let written = persona::random_of(id).map(persona::new_id);
        assert_eq!(written.as_ref(), Some(id), "a UUID of version 4 without dashes");
        assert_eq!(ids.iter().filter(|other| *other == id).count(), 1, "{id} twice");
    }
}

/// A server that answers keeps the connection.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_asked_under_another_id_each_time() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.session(false).await;
    client.online().await;
    peer.presence().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza_after(Duration::from_secs(40)).await else {
            panic!("no ping")
        };
        ids.push(id.clone());
        let pong = Iq::Result { from: None, to: None, id, payload: None };
        peer.send(XmppStreamElement::Stanza(pong.into())).await;
    }
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_is_queued_and_says_goodbye() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
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

#[tokio::test(start_paused = true)]
async fn what_a_server_still_says_while_an_account_logs_out_is_read() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.session(false).await;
    client.online().await;
    peer.presence().await;
    client.pool.close(client.id);
    // More than a connection keeps that nobody reads.
    let much = "x".repeat(64 * 1024);
    for _ in 0..16 {
        peer.try_send(message(&much)).await.expect("the connection is there until we end it, too");
    }
    let Stanza::Presence(goodbye) = peer.stanza().await else { panic!("no presence") };
    assert_eq!(goodbye.type_, presence::Type::Unavailable);
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_server_that_is_not_there() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let peer = server.session(true).await;
    client.online().await;
    drop(peer);
    client.suspended().await;
    timeout(Duration::from_millis(500), client.pool.shutdown()).await.expect("no wait");
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_when_the_server_ignores_it() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let _peer = server.session(true).await;
    client.online().await;
    timeout(Duration::from_secs(3), client.pool.shutdown()).await.expect("two seconds at most");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_account_loses_what_it_is_given() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    client.pool.close(client.id);
    client.send(7);
    assert_eq!(client.fate().await, Err(7));
    assert_ne!(client.pool.open(server.anonymous(), StreamManagement::Wanted), client.id);
}
