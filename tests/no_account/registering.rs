//! Registration: `login=new@domain`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hexchat_lab::server::DOMAIN;
use hexchat_lab::{ChatServer, Door, EchoServer, Kind, TcpCutter};
use hexchat_pt::state::StateDir;
use hexchat_pt::state::registration::{Account, Password, Registration};

use crate::harness::{Half, Lab, Route, echo, on_both_servers, random_bytes};
use crate::pair::Bridge;

/// Within this time a person is to learn what is wrong.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Both halves: `forward` with a registered account, and a state directory that outlives it.
pub(crate) struct Newcomer {
    pub(crate) lab: Lab,
    _target: EchoServer,
    pub(crate) bridge: Bridge,
    pub(crate) state: tempfile::TempDir,
    cutter: TcpCutter,
}

impl Newcomer {
    pub(crate) fn at(kind: Kind, door: Door) -> Self {
        let (lab, target) = (Lab::with_door(kind, door), EchoServer::start().unwrap());
        let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
        let cutter = TcpCutter::start(lab.server.address()).unwrap();
        Self { lab, _target: target, bridge, state: tempfile::tempdir().unwrap(), cutter }
    }

    pub(crate) fn config(&self) -> String {
        self.lab.login(&format!("new@{DOMAIN}"), self.cutter.address())
    }

    fn start(&self) -> Half {
        self.bridge.forward_at(self.state.path(), &self.config())
    }

    /// Uses the account once.
    pub(crate) fn use_it(&self) {
        let half = self.start();
        echo(half.entrance(), &random_bytes(100_000)).unwrap();
    }

    /// What is kept.
    pub(crate) fn kept(&self) -> Option<Registration> {
        kept_in(self.state.path())
    }

    fn keep(&self, registration: Registration) {
        StateDir::open(self.state.path()).unwrap().keep_registration(DOMAIN, Some(registration)).unwrap();
    }

    /// How many accounts Prosody has registered.
    pub(crate) fn registered(&self) -> Option<usize> {
        let count =
            |log: Vec<String>| log.iter().filter(|line| line.contains("User account created")).count();
        match &self.lab.server {
            ChatServer::Prosody(server) => Some(count(server.log())),
            ChatServer::Ejabberd(_) => None,
        }
    }
}

/// A half that is ending may still hold it.
fn kept_in(state: &Path) -> Option<Registration> {
    for _ in 0..100 {
        match StateDir::open(state) {
            Ok(state) => return state.registration(DOMAIN),
            Err(error) if error.can_pass() => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it is locked for ever")
}

pub(crate) fn made(registration: Option<Registration>) -> Account {
    match registration {
        Some(Registration::Made(account)) => account,
        other => panic!("no account: {other:?}"),
    }
}

on_both_servers! {
    fn an_account_is_registered_once_and_used_again(kind) {
        let newcomer = Newcomer::at(kind, Door::Open);
        newcomer.use_it();
        let first = made(newcomer.kept());
        newcomer.use_it();
        assert_eq!(made(newcomer.kept()), first);
        assert!(newcomer.registered().is_none_or(|count| count == 1));
        let file = fs::metadata(newcomer.state.path().join("hexchat_state.json")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
    }

    fn over_a_websocket_an_account_is_registered_and_used_again_too(kind) {
        let newcomer = Newcomer::at(kind, Door::Open);
        let config = newcomer.lab.login(&format!("new@{DOMAIN}"), newcomer.lab.server.web_socket());
        for _ in 0..2 {
            let half = newcomer.bridge.forward_at(newcomer.state.path(), &config);
            echo(half.entrance(), &random_bytes(100_000)).unwrap();
        }
        made(newcomer.kept());
        assert_eq!(newcomer.cutter.accepted(), 0, "it went another way");
        assert!(newcomer.registered().is_none_or(|count| count == 1));
    }

    fn after_a_crash_what_was_asked_for_is_found_or_asked_for_again_and_never_a_second_one(kind) {
        let newcomer = Newcomer::at(kind, Door::Open);
        let account = Account { user: "marilan84".to_owned(), password: Password::new("s3cret-of-24-characters.") };
        // Before the request had gone.
        newcomer.keep(Registration::asked(account.clone(), 1));
        newcomer.use_it();
        assert_eq!(made(newcomer.kept()), account);
        // After it had arrived.
        newcomer.keep(Registration::asked(account.clone(), 1));
        newcomer.use_it();
        assert_eq!(made(newcomer.kept()), account);
        assert!(newcomer.registered().is_none_or(|count| count == 1));
    }

    fn a_name_that_somebody_has_is_not_asked_for_for_ever_and_no_third_one_is(kind) {
        let newcomer = Newcomer::at(kind, Door::Open);
        let taken = Account { user: "alice".to_owned(), password: Password::new("not hers") };
        newcomer.keep(Registration::asked(taken.clone(), 1));
        newcomer.start().says("has an account of the name that was asked for, and does not let us in", SOON);
        let kept = newcomer.kept();
        assert!(matches!(&kept, Some(Registration::Asked { account, times: 2, until: 1.. }) if *account == taken), "{kept:?}");
        newcomer.keep(Registration::asked(taken, 2));
        newcomer.start().says("was asked for an account more than once, and there is none to log in to", SOON);
        assert!(matches!(newcomer.kept(), Some(Registration::Refused { why, .. }) if why == "unsettled"));
        assert!(newcomer.registered().is_none_or(|count| count == 0));
    }

    fn a_closed_door_is_said_at_once_and_not_knocked_at_again_for_hours(kind) {
        let newcomer = Newcomer::at(kind, Door::Closed);
        let first = newcomer.start();
        first.says("the server is not open for registration; put login=user@domain:password", SOON);
        assert!(echo(first.entrance(), b"anything").is_err());
        drop(first);
        assert!(matches!(newcomer.kept(), Some(Registration::Refused { why, .. }) if why == "closed"));
        let knocked = newcomer.cutter.accepted();
        let second = newcomer.start();
        second.says("the server is not open for registration", SOON);
        assert_eq!(newcomer.cutter.accepted(), knocked, "it was asked again");
    }

    fn who_comes_too_soon_after_another_is_told_to_wait(kind) {
        let mut newcomer = Newcomer::at(kind, Door::Slow);
        newcomer.use_it();
        newcomer.state = tempfile::tempdir().unwrap();
        let half = newcomer.start();
        half.says("the server has registered too many accounts of late, or has heard too much from here, and says \"[scrubbed]\"; wait", SOON);
        drop(half);
        assert!(matches!(newcomer.kept(), Some(Registration::Refused { why, .. }) if why == "too-many"));
    }

    fn who_is_asked_for_more_than_a_name_and_a_password_is_told_what_to_do(kind) {
        let newcomer = Newcomer::at(kind, Door::Guarded);
        let half = newcomer.start();
        let (wanted, why) = match kind {
            Kind::Ejabberd => ("the server asks for a CAPTCHA; register there with a chat app", "captcha"),
            _ => ("the server does not ask for a user name and a password alone; register there with a chat app", "form"),
        };
        half.says(wanted, SOON);
        drop(half);
        assert!(matches!(newcomer.kept(), Some(Registration::Refused { why: kept, .. }) if kept == why));
    }

    fn an_account_that_its_server_has_deleted_is_not_replaced_by_itself(kind) {
        let mut newcomer = Newcomer::at(kind, Door::Open);
        newcomer.use_it();
        let account = made(newcomer.kept());
        newcomer.lab.server.delete_account(&account.user).unwrap();
        let half = newcomer.start();
        half.says("the server does not let in the account that was registered before", SOON);
        drop(half);
        assert_eq!(made(newcomer.kept()), account);
    }
}
