//! `hexchat-pt forget`: a registered account goes, at its server and here.

use hexchat_lab::process::Spawn;
use hexchat_lab::server::DOMAIN;
use hexchat_lab::{Door, executable};
use hexchat_pt::state::StateDir;
use hexchat_pt::state::registration::Registration;

use crate::harness::{PATIENCE, on_both_servers, write_private};
use crate::registering::Newcomer;

/// Runs `forget` to its end; what it has said, and its exit status.
fn forget(newcomer: &Newcomer, jid: &str) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Spawn::new("forget", executable(env!("CARGO_BIN_EXE_hexchat-pt")))
        .args(["forget", jid, "--config"])
        .arg(write_private(folder.path(), "hexchat.toml", &newcomer.config()))
        .arg("--state")
        .arg(newcomer.state.path())
        .start()
        .unwrap();
    let status = process.wait(PATIENCE).unwrap().code();
    let _ = process.wait_for_line(|_| false, PATIENCE);
    (process.lines().join("\n"), status)
}

#[test]
fn what_is_no_account_is_a_fault_of_the_command_line() {
    let state = tempfile::tempdir().unwrap();
    for args in [&["chat.example"][..], &["@"], &[], &["new@chat.example", "--nothing"]] {
        let command = Spawn::new("forget", executable(env!("CARGO_BIN_EXE_hexchat-pt")));
        let mut process = command.arg("forget").args(args).arg("--state").arg(state.path()).start().unwrap();
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(2), "{args:?}");
    }
}

fn user(newcomer: &Newcomer) -> String {
    newcomer.kept().unwrap().account().unwrap().user.clone()
}

on_both_servers! {
    fn an_account_is_removed_from_its_server_and_then_from_the_state(kind) {
        let newcomer = Newcomer::at(kind, Door::Open);
        newcomer.use_it();
        let registration = newcomer.kept();
        let jid = format!("{}@{DOMAIN}", user(&newcomer));
        let (said, status) = forget(&newcomer, &jid);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("removed from its server"), "{said}");
        assert_eq!(newcomer.kept(), None);
        // The server does not know it any more.
        StateDir::open(newcomer.state.path()).unwrap().keep_registration(DOMAIN, registration).unwrap();
        let (said, status) = forget(&newcomer, &format!("new@{DOMAIN}"));
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("does not know the account"), "{said}");
        let (said, status) = forget(&newcomer, &jid);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("no such account was registered"), "{said}");
    }

    fn an_account_whose_server_is_away_is_kept(kind) {
        let mut newcomer = Newcomer::at(kind, Door::Open);
        newcomer.use_it();
        newcomer.lab.server.stop();
        let (said, status) = forget(&newcomer, &format!("new@{DOMAIN}"));
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("is kept, because its server could not be asked"), "{said}");
        assert!(matches!(newcomer.kept(), Some(Registration::Made(_))));
    }

    fn a_refusal_is_forgotten_so_that_the_server_is_asked_again(kind) {
        let newcomer = Newcomer::at(kind, Door::Closed);
        let refused = Registration::Refused { why: "closed".to_owned(), until: u64::MAX };
        StateDir::open(newcomer.state.path()).unwrap().keep_registration(DOMAIN, Some(refused)).unwrap();
        let (said, status) = forget(&newcomer, &format!("new@{DOMAIN}"));
        assert_eq!((said.contains("will be asked again"), status), (true, Some(0)), "{said}");
        assert_eq!(newcomer.kept(), None);
    }
}
