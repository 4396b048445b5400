//! Client of a scripted server: one account, and the events that it brings.

use std::time::Duration;

use hexchat_pt::config::AccountConfig;
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountId, AccountPool, AccountStatus, OtherHost, StreamManagement, Usage,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::message::{Lang, Message};

use crate::mock::{MockServer, PATIENCE, Peer};

/// Longer than the longest first delay of the back-off.
pub(crate) const NO_RETRY: Duration = Duration::from_millis(1500);

/// 31 seconds: longer than the longest delay of the back-off, 30.
pub(crate) const HALF_A_MINUTE: Duration = Duration::from_secs(31);

/// One account, and what it says.
pub(crate) struct Client {
    pub(crate) pool: AccountPool,
    pub(crate) events: mpsc::Receiver<(AccountId, AccountEvent)>,
    pub(crate) id: AccountId,
}

impl Client {
    /// One that logs in without a password and wants stream management.
    pub(crate) fn open(server: &MockServer) -> Self {
        Self::open_with(server, server.anonymous(), StreamManagement::Wanted)
    }

    pub(crate) fn open_with(server: &MockServer, config: AccountConfig, usage: impl Into<Usage>) -> Self {
        let (pool, events) = AccountPool::new(server.dialer());
        let id = pool.open(config, usage);
        Self { pool, events, id }
    }

    pub(crate) async fn event(&mut self) -> AccountEvent {
        let (id, event) = timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap();
        assert_eq!(id, self.id);
        event
    }

    /// Waits until it is online, and says whether its session was resumed.
    pub(crate) async fn online(&mut self) -> bool {
        match self.event().await {
            AccountEvent::Online { jid, resumed, presumed } => {
                match self.pool.status(self.id) {
                    AccountStatus::Presumed { jid: known, .. } => assert!(presumed && known == jid),
                    status => assert_eq!(status, AccountStatus::Online(jid)),
                }
                resumed
            }
            other => panic!("not online: {other:?}"),
        }
    }

    /// Waits until its connection has ended, and says why.
    pub(crate) async fn suspended(&mut self) -> AccountError {
        match self.event().await {
            AccountEvent::Suspended { reason } => reason,
            other => panic!("not suspended: {other:?}"),
        }
    }

    /// Waits until its server has confirmed that it is online.
    pub(crate) async fn confirmed(&mut self) {
        let event = self.event().await;
        assert!(matches!(event, AccountEvent::Confirmed), "{event:?}");
    }

    /// For how long it leaves its server alone, which it says before why.
    pub(crate) async fn rests(&mut self) -> Duration {
        match self.event().await {
            AccountEvent::Rests(rest) => rest,
            other => panic!("no rest: {other:?}"),
        }
    }

    /// Where its server has sent it, which ended its connection.
    pub(crate) async fn suspended_by_other_host(&mut self) -> OtherHost {
        match self.suspended().await {
            AccountError::SeeOtherHost(host) => host,
            other => panic!("{other:?}"),
        }
    }

    /// The next stanza that was acknowledged (`Ok`) or lost (`Err`), by its tag.
    pub(crate) async fn fate(&mut self) -> Result<u64, u64> {
        loop {
            match self.event().await {
                AccountEvent::Acked { tag } => return Ok(tag),
                AccountEvent::Lost { tag } => return Err(tag),
                AccountEvent::Relieved | AccountEvent::Confirmed => {}
                other => panic!("no fate: {other:?}"),
            }
        }
    }

    /// Sends a message that says its tag.
    pub(crate) fn send(&self, tag: u64) {
        self.pool.send(self.id, message(&tag.to_string()), Some(tag));
    }
}

pub(crate) fn message(text: &str) -> Stanza {
    let to: Jid = "bob@mock.example/there".parse().unwrap();
    Message::new(Some(to)).with_body(Lang::default(), text.to_owned()).into()
}

/// An account that is online at a server of its own, which offers stream management only where that is wanted; and the server's end
/// of its connection.
pub(crate) async fn online(management: StreamManagement) -> (MockServer, Client, Peer) {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), management);
    let peer = server.session(management == StreamManagement::Wanted).await;
    assert!(!client.online().await, "a new session");
    (server, client, peer)
}

/// The same with stream management, once the account has sent message 1, which the server has read and not acknowledged.
pub(crate) async fn online_with_one_unacknowledged() -> (MockServer, Client, Peer) {
    let (server, client, mut peer) = online(StreamManagement::Wanted).await;
    client.send(1);
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    (server, client, peer)
}

/// What an account says up to and including something with these words.
pub(crate) async fn says_until(io: &mut (impl AsyncRead + Unpin), words: &str) -> String {
    let (mut said, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let read = timeout(PATIENCE, io.read(&mut buffer)).await.expect("the account to speak").unwrap();
        assert!(read > 0, "the account hangs up");
        said.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&said);
        if text.contains(words) {
            return text.into_owned();
        }
    }
}
