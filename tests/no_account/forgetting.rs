//! `hexchat-pt forget`: a registered account goes, at its server and here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use hexchat_lab::process::Spawn;
use hexchat_lab::server::DOMAIN;
use hexchat_lab::{Door, executable};
use hexchat_pt::state::StateDir;
use hexchat_pt::state::registration::{Account, Password, Registration};

use crate::harness::{PATIENCE, on_both_servers, write_private};
use crate::registering::Newcomer;

/// Runs `forget` to its end; what it has said, and its exit status.
fn forget(newcomer: &Newcomer, jid: &str) -> (String, Option<i32>) {
    forget_with(newcomer, &[jid])
}

fn forget_with(newcomer: &Newcomer, args: &[&str]) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Spawn::new("forget", executable(env!("CARGO_BIN_EXE_hexchat-pt")))
        .arg("forget")
        .args(args)
        .arg("--config")
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
    for args in [
        &["chat.example"][..],
        &["@"],
        &[],
        &["new@chat.example", "--nothing"],
        &[":new"],
        &[":chat.example"],
    ] {
        let command = Spawn::new("forget", executable(env!("CARGO_BIN_EXE_hexchat-pt")));
        let mut process = command.arg("forget").args(args).arg("--state").arg(state.path()).start().unwrap();
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(2), "{args:?}");
    }
}

/// A proxy that refuses everything, and notes what it was asked for.
#[derive(Clone, Default)]
struct Proxy(Arc<Mutex<Vec<String>>>);

impl Proxy {
    fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, proxy) = (listener.local_addr().unwrap(), self.clone());
        thread::spawn(move || listener.incoming().for_each(|stream| proxy.refuse(stream.unwrap())));
        address
    }

    fn refuse(&self, mut stream: TcpStream) {
        let request: Vec<String> = BufReader::new(stream.try_clone().unwrap())
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        self.0.lock().unwrap().push(request[0].clone());
        // Whoever was refused may have hung up.
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n");
    }
}

#[test]
fn the_proxy_that_the_environment_names_is_the_only_way_out() {
    let state = tempfile::tempdir().unwrap();
    let account = Account { user: "quiet".to_owned(), password: Password::new("secret") };
    let made = Some(Registration::Made(account));
    StateDir::open(state.path()).unwrap().keep_registration(DOMAIN, made.clone()).unwrap();
    let forget = |proxy: &str| {
        let mut process = Spawn::new("forget", executable(env!("CARGO_BIN_EXE_hexchat-pt")))
            .args(["forget", &format!("new@{DOMAIN}"), "--state"])
            .arg(state.path())
            .env("TOR_PT_PROXY", proxy)
            .start()
            .unwrap();
        let status = process.wait(PATIENCE).unwrap().code();
        process.wait_for_end_of_output(PATIENCE).unwrap();
        (process.lines().join("\n"), status)
    };
    let proxy = Proxy::default();
    let (said, status) = forget(&format!("http://{}", proxy.start()));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("is kept") && said.contains("proxy"), "{said}");
    let [server, web_server] = [5222, 443].map(|port| format!("{DOMAIN}:{port}"));
    let asked = ["9.9.9.9:53", "1.1.1.1:53", &server, &web_server];
    assert_eq!(*proxy.0.lock().unwrap(), asked.map(|to| format!("CONNECT {to} HTTP/1.1")));
    for unusable in ["socks5://proxy.example:1080", "nonsense", "socks4a://me:pass@127.0.0.1:1"] {
        let (said, status) = forget(unusable);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("TOR_PT_PROXY") && !said.contains(unusable), "{said}");
    }
    assert_eq!(StateDir::open(state.path()).unwrap().registration(DOMAIN), made);
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
        // The server does not know it any more, or says so: nobody else has the password.
        StateDir::open(newcomer.state.path()).unwrap().keep_registration(DOMAIN, registration.clone()).unwrap();
        let (said, status) = forget(&newcomer, &format!(":new:{DOMAIN}"));
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("is kept") && said.contains("is gone there, or the server has a fault that passes; try again later, or with --local"), "{said}");
        assert_eq!(newcomer.kept(), registration);
        let (said, status) = forget_with(&newcomer, &["--local", &format!(":new:{DOMAIN}")]);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("forgotten here alone") && said.contains("that stays there"), "{said}");
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
        assert_eq!(said.matches("it closed the connection").count(), 1, "{said}");
        assert!(said.contains("is kept, because its server has not removed it: ") && said.contains("--local"), "{said}");
        assert!(matches!(newcomer.kept(), Some(Registration::Made(_))));
    }

    fn a_refusal_is_forgotten_so_that_the_server_is_asked_again(kind) {
        let newcomer = Newcomer::at(kind, Door::Closed);
        let refused = Registration::Refused { why: "closed".to_owned(), until: u64::MAX, page: None };
        StateDir::open(newcomer.state.path()).unwrap().keep_registration(DOMAIN, Some(refused)).unwrap();
        let (said, status) = forget(&newcomer, &format!("new@{DOMAIN}"));
        assert_eq!((said.contains("will be asked again"), status), (true, Some(0)), "{said}");
        assert_eq!(newcomer.kept(), None);
    }
}
