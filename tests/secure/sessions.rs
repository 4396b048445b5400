//! Several logins of one account, at servers with the limits that they have when nobody changes them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::server::ONE_LOGIN;
use hexchat_lab::{ChatServer, Kind, Rules};
use hexchat_pt::config::{Credential, Login, ServerAddr, ServerConfig, TlsMode};
use hexchat_pt::xmpp::{AccountEvent, AccountPool, AccountStatus, Dialer, StreamManagement};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::error::TryRecvError;

use crate::harness::{Half, Lab, PATIENCE, Route, Target, on_both_servers};
use crate::pair::Bridge;

/// What one connection carries at a server with limits, in bytes of payload a second.
fn of_one(kind: Kind) -> f64 {
    if kind == Kind::Ejabberd { 2130.0 } else { 7430.0 }
}

/// For how long a rate is taken: some pauses of a server.
const WHILE: Duration = Duration::from_secs(5);

/// For how long a rate is waited for: what one busy moment of the machine spoils, a later one shows.
const SOME_TIME: Duration = Duration::from_secs(40);

/// Longer than it takes until there is one login more, where there is to be one.
const NO_MORE: Duration = Duration::from_secs(6);

/// A bridge with this in its account's section, a client whose account has one login, and a download without end.
fn endless_download(lab: &Lab, sessions: &str) -> (Bridge, Half, TcpStream) {
    let target = Target::start();
    let config = |user, sessions| lab.config(&[user], &Route::StartTls).replacen(ONE_LOGIN, sessions, 1);
    let bridge = Bridge::configured(config("bob", sessions), target.address());
    let forward = bridge.forward_configured(&config("alice", ONE_LOGIN));
    let (application, mut server) = target.connect_through(forward.entrance());
    application.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::spawn(move || while server.write_all(&[7; 4096]).is_ok() {});
    (bridge, forward, application)
}

/// Reads for a while; bytes a second.
fn rate(application: &mut TcpStream) -> f64 {
    let (mut count, start) = (0, Instant::now());
    let mut buffer = [0; 512];
    while start.elapsed() < WHILE {
        application.read_exact(&mut buffer).unwrap();
        count += buffer.len();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Reads until the bridge has logged in so many times more: what is not read is not sent either.
fn read_until(bridge: &Bridge, application: &mut TcpStream, logins: usize) {
    let deadline = Instant::now() + PATIENCE;
    while bridge.half.count("one login more") < logins {
        assert!(Instant::now() < deadline, "{logins} logins more were expected");
        rate(application);
    }
}

on_both_servers! {
    fn where_nobody_has_said_how_many_a_second_login_comes_and_carries_as_much_again(kind) {
        let lab = Lab::stock(kind);
        let (bridge, _forward, mut application) = endless_download(&lab, "");
        read_until(&bridge, &mut application, 1);
        let since = Instant::now();
        while rate(&mut application) < 1.5 * of_one(kind) {
            assert!(since.elapsed() < SOME_TIME, "no more than one login carries");
        }
    }
}

/// Another program that is logged in to an account.
struct Phone {
    runtime: Runtime,
    pool: AccountPool,
    events: tokio::sync::mpsc::Receiver<(hexchat_pt::xmpp::AccountId, AccountEvent)>,
    id: hexchat_pt::xmpp::AccountId,
}

impl Phone {
    fn log_in(server: &ChatServer, user: &str) -> Self {
        let address = server.address();
        let config = Login {
            jid: format!("{}/phone", server.jid(user)).parse().unwrap(),
            credential: Credential::Password(ChatServer::password(user).into()),
        }
        .at(ServerConfig {
            server: Some(ServerAddr { host: address.ip().to_string(), port: address.port() }.into()),
            tls: Some(TlsMode::StartTls),
            ca_file: Some(server.ca_file().to_owned()),
            sessions: Some(1),
            ..ServerConfig::default()
        });
        let runtime = Runtime::new().unwrap();
        let (pool, events, id) = runtime.block_on(async {
            let (pool, events) = AccountPool::new(Dialer::direct());
            let id = pool.open(config, StreamManagement::Unwanted);
            let mut status = pool.subscribe(id);
            let online = status.wait_for(|status| matches!(status, AccountStatus::Online(_)));
            tokio::time::timeout(PATIENCE, online).await.unwrap().unwrap();
            (pool, events, id)
        });
        Self { runtime, pool, events, id }
    }

    /// Whether its one session has never ended.
    fn was_left_alone(&mut self) -> bool {
        let _inside = self.runtime.enter();
        loop {
            match self.events.try_recv() {
                Ok((_, AccountEvent::Suspended { .. } | AccountEvent::Failed(_))) => return false,
                Ok(_) => {}
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        matches!(self.pool.status(self.id), AccountStatus::Online(_))
    }
}

#[test]
fn a_phone_at_a_server_that_allows_four_logins_is_never_logged_out() {
    let rules = Rules { max_logins: Some(4), ..Rules::default() };
    let lab = Lab::stock_with_rules(Kind::Ejabberd, rules);
    let mut phone = Phone::log_in(&lab.server, "bob");
    let (bridge, _forward, mut application) = endless_download(&lab, "sessions = 4\n");
    read_until(&bridge, &mut application, 2);
    let since = Instant::now();
    while since.elapsed() < NO_MORE {
        rate(&mut application);
    }
    assert_eq!(bridge.half.count("one login more"), 2);
    assert!(phone.was_left_alone());
}
