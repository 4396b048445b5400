//! Logins of a client. Those that only SOCKS requests have brought are capped, and end when nothing uses them any more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod mock;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hexchat_pt::client::{Client, ClientError, LoginLimits};
use hexchat_pt::config::{Config, Limits};
use hexchat_pt::protocol::Address;
use hexchat_pt::state::StateDir;
use hexchat_pt::tunnel::{Protocols, Tunnel};
use hexchat_pt::xmpp::{AccountId, AccountPool, Dialer};
use mock::MockServer;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// What no step of a test may take longer than. It is less than an attempt to log in takes until it is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Much longer than the test.
const LONG: Duration = Duration::from_secs(600);

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A port that takes connections, and never says anything.
struct Silent {
    port: u16,
    open: Arc<AtomicUsize>,
}

impl Silent {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let count = Arc::clone(&count);
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    while socket.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, open }
    }

    /// Waits until there are so many connections.
    async fn until(&self, wanted: impl Fn(usize) -> bool) {
        let settled = async {
            while !wanted(self.open.load(Ordering::SeqCst)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let outcome = timeout(PATIENCE, settled).await;
        outcome.unwrap_or_else(|_| panic!("{} connections", self.open.load(Ordering::SeqCst)));
    }
}

fn client(limits: LoginLimits) -> Client {
    let (tunnel, state) = (tunnel(Dialer::direct()), StateDir::open_or_ephemeral(None));
    Client::with_login_limits(tunnel, Config::default(), state, limits)
}

fn tunnel(dialer: Dialer) -> Tunnel {
    let (pool, events) = AccountPool::new(dialer);
    let protocols = Protocols::of_client(&Limits::default());
    Tunnel::start(pool, events, protocols)
}

/// A request with a login of its own, which never comes online.
async fn request(client: &Client, port: u16, user: usize) -> Result<(), ClientError> {
    let (login, server) = (format!("user{user}@chat.example:secret"), format!("127.0.0.1:{port}"));
    let arguments = [
        ("jid", "bridge@chat.example/r"),
        ("key", KEY),
        ("login", login.as_str()),
        ("server", server.as_str()),
        ("tls", "none"),
    ];
    let bridge = client.resolve(&arguments)?;
    let address = |port: &str| Address::new("127.0.0.1", port).unwrap();
    client.connect(&bridge, address("1"), address("2")).await.map(drop)
}

#[tokio::test]
async fn three_hundred_requests_with_logins_of_their_own_leave_no_more_logins_than_the_cap() {
    let (server, limits) = (Silent::start().await, LoginLimits { most: 16, idle: LONG });
    let client = client(limits);
    for user in 0..300 {
        // Given up before there is an answer.
        let outcome = timeout(Duration::from_millis(1), request(&client, server.port, user)).await;
        assert!(outcome.is_err(), "{:?}", outcome.map(|outcome| outcome.map_err(|error| error.to_string())));
    }
    server.until(|open| open == limits.most).await;
}

#[tokio::test]
async fn one_more_than_the_cap_is_refused_while_all_are_in_use() {
    let (server, limits) = (Silent::start().await, LoginLimits { most: 3, idle: LONG });
    let client = Arc::new(client(limits));
    let port = server.port;
    let pending: Vec<_> = (0..3)
        .map(|user| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { request(&client, port, user).await })
        })
        .collect();
    server.until(|open| open == 3).await;
    let refused = timeout(PATIENCE, request(&client, port, 4)).await.expect("an answer at once");
    assert!(matches!(refused, Err(ClientError::TooManyLogins)));
    pending[0].abort();
    // It takes the place of the one that is not used any more.
    let taken = async {
        while matches!(request(&client, port, 4).await, Err(ClientError::TooManyLogins)) {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(Duration::from_millis(500), taken).await.is_err(), "it waits for an answer");
    server.until(|open| open == 3).await;
}

#[tokio::test]
async fn a_login_that_nothing_uses_logs_out() {
    let (server, limits) =
        (Silent::start().await, LoginLimits { most: 16, idle: Duration::from_millis(300) });
    let client = client(limits);
    let outcome = timeout(Duration::from_secs(1), request(&client, server.port, 1)).await;
    assert!(outcome.is_err() && server.open.load(Ordering::SeqCst) == 1, "it stays while it is used");
    server.until(|open| open == 0).await;
}

/// On virtual time, and with the limits that hold where nobody sets others.
#[tokio::test(start_paused = true)]
async fn a_login_that_nothing_has_used_for_ten_minutes_is_logged_out() {
    let server = Silent::start().await;
    let (tunnel, state) = (tunnel(Dialer::direct()), StateDir::open_or_ephemeral(None));
    let client = Client::new(tunnel.clone(), Config::default(), state);
    let outcome = timeout(Duration::from_secs(1), request(&client, server.port, 1)).await;
    assert!(outcome.is_err(), "there is nobody to connect to");
    let login = AccountId(1);
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert!(tunnel.pool().is_open(login), "after less than ten minutes");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!tunnel.pool().is_open(login), "after ten minutes");
}

#[tokio::test]
async fn a_client_does_not_wait_for_its_resource() {
    let server = MockServer::start();
    let client = Client::new(tunnel(server.dialer()), Config::default(), StateDir::open_or_ephemeral(None));
    let arguments = [
        ("jid", "bridge@mock.example/r"),
        ("key", KEY),
        ("login", "alice@mock.example:secret"),
        ("server", "127.0.0.1:5222"),
        ("tls", "none"),
    ];
    client.log_in(&client.resolve(&arguments).unwrap());
    let mut peer = Box::pin(server.log_in_with_password(false)).await;
    peer.bind_request().await;
    peer.presence().await;
}
