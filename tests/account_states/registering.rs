//! Registration that is refused: the server is left alone for hours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hexchat_pt::config::{AccountConfig, Credential};
use hexchat_pt::xmpp::registration::{Known, NewAccount, Refusal, Registry};
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountPool, AccountStatus, StreamManagement};

use crate::client::Client;
use crate::mock::MockServer;

/// Remembers a refusal until it is told not to.
#[derive(Default)]
struct Memory {
    refusal: Mutex<Option<Refusal>>,
    has_kept: AtomicBool,
}

impl Registry for Memory {
    fn recall(&self, _domain: &str) -> Known {
        self.refusal.lock().unwrap().map_or(Known::Nothing, Known::Refused)
    }

    fn ask(&self, _domain: &str, _account: &NewAccount) -> Result<(), Refusal> {
        self.has_kept.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn made(&self, _domain: &str) {}

    fn refused(&self, _domain: &str, refusal: Refusal) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }
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
    let closed = AccountError::Registration(Refusal::Closed);
    let peer = server.greet("SCRAM-SHA-1").await;
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == closed));
    drop(peer);
    let status = client.pool.status(client.id);
    assert_eq!(status, AccountStatus::Connecting { last_error: Some(closed) });
    assert!(!status.may_come_online(), "nobody is to wait for it");
    assert!(server.connection_within(Duration::from_secs(20 * 3600)).await.is_none(), "it was asked again");
    *memory.refusal.lock().unwrap() = None;
    assert!(
        server.connection_within(Duration::from_secs(2 * 3600)).await.is_some(),
        "it was never asked again"
    );
    assert!(!memory.has_kept.load(Ordering::Relaxed), "nothing was asked for");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_kept_no_account_is_registered() {
    let server = MockServer::start();
    let mut client = open(&server, None);
    let refused = AccountError::Registration(Refusal::NotKept);
    assert!(matches!(client.event().await, AccountEvent::Failed(error) if error == refused));
    assert!(server.connection_within(Duration::from_secs(3600)).await.is_none(), "the server was called");
}
