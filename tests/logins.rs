//! A login at a server that does exactly what the test wants: whom we believe, and how much we do for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod mock;

use hexchat_pt::config::AccountConfig;
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountId, AccountPool, Step, StreamManagement};
use mock::{MockServer, PATIENCE, Scram};
use tokio::sync::mpsc;
use tokio::time::timeout;

struct Client {
    _pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
}

impl Client {
    fn open(server: &MockServer) -> Self {
        Self::open_as(server, server.with_password())
    }

    fn open_as(server: &MockServer, config: AccountConfig) -> Self {
        let (pool, events) = AccountPool::new(server.dialer());
        pool.open(config, StreamManagement::Wanted);
        Self { _pool: pool, events }
    }

    async fn event(&mut self) -> AccountEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap().1
    }

    /// Why it could not log in.
    async fn fault(&mut self) -> AccountError {
        match self.event().await {
            AccountEvent::Unreachable(error) => error,
            other => panic!("no fault: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_proof_is_not_believed() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let scram = Scram::begin(&server).await;
    let _peer = scram.succeed("").await;
    assert_eq!(client.fault().await, AccountError::Unproven);
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_not_believed() {
    let server = MockServer::start();
    for signature in [None, Some("v=AAAAAAAAAAAAAAAAAAAAAAAAAAA="), Some(""), Some("e=other-error")] {
        let mut client = Client::open(&server);
        let mut scram = Scram::begin(&server).await;
        scram.challenge("4096").await;
        let of_another = scram.signature("another password").await;
        let _peer = scram.succeed(signature.unwrap_or(&of_another)).await;
        assert_eq!(client.fault().await, AccountError::Unproven, "{signature:?}");
    }
}

#[tokio::test]
async fn a_server_that_shows_that_it_knows_the_password_is_believed() {
    let server = MockServer::start();
    let _client = Client::open(&server);
    let mut scram = Scram::begin(&server).await;
    scram.challenge("4096").await;
    let signature = scram.signature("secret").await;
    assert!(scram.succeed(&signature).await.begins_anew().await);
}

#[tokio::test]
async fn it_may_show_that_in_a_last_challenge() {
    let server = MockServer::start();
    let _client = Client::open(&server);
    let mut scram = Scram::begin(&server).await;
    scram.challenge("4096").await;
    let signature = scram.signature("secret").await;
    scram.say_challenge(signature).await;
    assert_eq!(scram.response().await, "");
    assert!(scram.succeed("").await.begins_anew().await);
}

#[tokio::test]
async fn a_server_cannot_keep_us_busy() {
    let server = MockServer::start();
    // Of two counts the first is looked at, perhaps, and the second is used.
    for iterations in ["4294967295", "1000001", "0", "many", "4096,i=4294967295", "4294967295,i=4096"] {
        let mut client = Client::open(&server);
        let mut scram = Scram::begin(&server).await;
        scram.challenge(iterations).await;
        assert_eq!(client.fault().await, AccountError::Protocol(Step::Login), "{iterations}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_too_few_iterations_gets_no_answer_to_guess_from() {
    let server = MockServer::start();
    for iterations in ["1", "4095"] {
        let mut client = Client::open(&server);
        let mut scram = Scram::begin(&server).await;
        scram.challenge(iterations).await;
        assert_eq!(client.fault().await, AccountError::TooFewIterations, "{iterations}");
        assert!(scram.peer.is_dropped().await, "something was said");
    }
}

#[tokio::test]
async fn a_server_that_demands_an_extension_gets_no_answer() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut scram = Scram::begin(&server).await;
    let nonce = scram.said[0].split_once("r=").unwrap().1.to_owned();
    let salt = Scram::salt();
    scram.say_challenge(format!("m=extension,r={nonce}more,s={salt},i=4096")).await;
    assert_eq!(client.fault().await, AccountError::UnknownDemand);
    assert!(scram.peer.is_dropped().await, "something was said");
}

#[tokio::test]
async fn an_answer_to_another_login_is_none_to_ours() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut scram = Scram::begin(&server).await;
    scram.challenge_with("somebody else's nonce", "4096").await;
    assert_eq!(client.fault().await, AccountError::Protocol(Step::Login));
}

#[tokio::test]
async fn what_a_server_has_offered_before_and_does_not_now_delays_no_login() {
    let server = MockServer::start();
    let mut client = Client::open_as(&server, server.anonymous());
    let peer = server.session(false).await;
    assert!(matches!(client.event().await, AccountEvent::Online { .. }));
    drop(peer);
    assert!(matches!(client.event().await, AccountEvent::Suspended { .. }));
    let _changed = server.greet("SCRAM-SHA-1").await;
    let _peer = server.session(false).await;
    let event = client.event().await;
    assert!(
        matches!(event, AccountEvent::Online { .. }),
        "it went on as if nothing had been known: {event:?}"
    );
}

#[tokio::test]
async fn nothing_waits_while_a_password_is_hashed() {
    let server = MockServer::start();
    let _client = Client::open(&server);
    let mut scram = Scram::begin(&server).await;
    scram.challenge("1000000").await;
    // There is one thread here. If it did the hashing, the response would be there at the first look.
    let mut looks = 0;
    let response = async { scram.response().await };
    let look = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            looks += 1;
        }
    };
    tokio::select! {
        _ = response => {}
        () = look => {}
    }
    assert!(looks > 10, "looked {looks} times");
}
