//! Bridges that own a domain of their server's.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use hexchat_lab::{COMPONENT_SECRET, Kind, Rules};
use tempfile::TempDir;

use crate::harness::{
    Half, Lab, PATIENCE, Route, Target, on_both_servers, random_bytes, transfer, wait_until_it_works,
};
use crate::pair::Bridge;
use crate::prober::Prober;

const DOMAIN: &str = "bridge.chat.example";

const MEGABYTE: usize = 1_000_000;

fn lab(kind: Kind, processes: u32) -> Lab {
    Lab::with_rules(kind, Rules { component: Some((DOMAIN, processes)), ..Rules::default() })
}

fn config(lab: &Lab, secret: &str) -> String {
    let server = lab.server.component_address();
    format!("[component]\ndomain = \"{DOMAIN}\"\nsecret = \"{secret}\"\nserver = \"{server}\"\n")
}

/// The JID in a bridge's line.
fn jid_of(bridge: &Bridge) -> String {
    let line = fs::read_to_string(bridge.line_file()).unwrap();
    line.split("jid=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

on_both_servers! {
    fn much_is_carried_both_ways_and_again_after_a_restart(kind) {
        let (lab, target) = (lab(kind, 1), Target::start());
        let mut bridge = Bridge::configured(config(&lab, COMPONENT_SECRET), target.address());
        let line = jid_of(&bridge);
        for _ in 0..2 {
            let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
            let (application, server) = target.connect_through(forward.entrance());
            transfer(application, server, &random_bytes(5 * MEGABYTE));
            let (application, server) = target.connect_through(forward.entrance());
            transfer(server, application, &random_bytes(5 * MEGABYTE));
            drop(forward);
            bridge.restart();
        }
        assert!(line.starts_with(&format!("chat@{DOMAIN}/")), "{line}");
        assert_eq!(jid_of(&bridge), line);
    }

    fn another_secret_is_final_and_said(kind) {
        let lab = lab(kind, 1);
        let mut half = Half::serve_offline(&config(&lab, "another"), &[([127, 0, 0, 1], 9).into()]);
        half.says("it knows another secret for the component", PATIENCE);
        assert_eq!(half.exit_status(PATIENCE), 1);
    }
}

#[test]
fn a_second_process_that_would_be_the_component_is_told_so() {
    let (lab, target) = (lab(Kind::Prosody, 1), Target::start());
    let config = config(&lab, COMPONENT_SECRET);
    let _bridge = Bridge::configured(config.clone(), target.address());
    let second = Half::serve_offline(&config, &[target.address()]);
    second.says("another process is that component; end the other one", PATIENCE);
}

/// What a stranger hears, without what names the request and whom it was for.
async fn answers(prober: &mut Prober, to: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for request in [
        "type='get'><ping xmlns='urn:xmpp:ping'/>",
        "type='get'><query xmlns='http://jabber.org/protocol/disco#info'/>",
        "type='get'><query xmlns='jabber:iq:version'/>",
        "type='set'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='x'/>",
        "type='set'><data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='x'>AAAA</data>",
        "type='get'><unheard-of xmlns='x'/>",
    ] {
        let id = prober.new_id();
        prober.send(&format!("<iq id='{id}' to='{to}' {request}</iq>")).await;
        let answer = prober.until_answer(&id).await.pop().unwrap();
        assert_eq!(answer.attr("from"), Some(to), "{request}");
        answers.push(String::from(&answer).replace(&id, "ID").replace(to, "TO"));
    }
    answers
}

async fn nobody_hears_from_which_name_in_the_domain_the_bridge_speaks(kind: Kind) {
    let (lab, target) = (lab(kind, 1), Target::start());
    let bridge = Bridge::configured(config(&lab, COMPONENT_SECRET), target.address());
    let mut prober = Prober::log_in(&lab.server, "alice2").await;
    let jid = jid_of(&bridge);
    let expected = answers(&mut prober, &jid).await;
    for other in [DOMAIN.to_owned(), format!("chat@{DOMAIN}"), format!("nobody@{DOMAIN}/r")] {
        assert_eq!(answers(&mut prober, &other).await, expected, "{other}");
    }
    assert!(expected.iter().all(|answer| !answer.to_lowercase().contains("hexchat")), "{expected:?}");
    assert!(expected.iter().all(|answer| !answer.contains(&jid)), "{expected:?}");
}

on_both_servers! {
    async fn nobody_hears_from_which_name_in_the_domain_the_bridge_speaks;
}

/// The state of a second process of a bridge that has the identity of the first.
fn state_of_twin(first: &Path) -> TempDir {
    let state = tempfile::Builder::new().prefix("hexchat-bridge-").tempdir().unwrap();
    fs::copy(first.with_file_name("hexchat_state.json"), state.path().join("hexchat_state.json")).unwrap();
    state
}

fn serve(config: &str, state: &TempDir, target: SocketAddr) -> Half {
    let half = Half::start_at(state.path(), "serve", config, &["--secure", "--allow", &target.to_string()]);
    half.says("READY ", PATIENCE);
    half
}

#[test]
fn two_processes_share_a_domain_of_ejabberds_and_a_client_comes_back_to_its_own_when_that_is_restarted() {
    let (lab, target) = (lab(Kind::Ejabberd, 2), Target::start());
    let (config, address) = (config(&lab, COMPONENT_SECRET), target.address());
    let bridge = Bridge::configured(config.clone(), address);
    let state = state_of_twin(&bridge.line_file());
    let mut second = serve(&config, &state, address);
    let idle = [&bridge.half, &second].map(Half::open_files);
    let forwards =
        ["alice", "alice2", "bob", "bob2"].map(|user| bridge.forward(&lab, &[user], &Route::StartTls));
    let streams: Vec<_> = forwards.iter().map(|forward| target.connect_through(forward.entrance())).collect();
    // A stream is a connection to the target, of the process that its session is in.
    let busy = [&bridge.half, &second].map(Half::open_files);
    assert!(busy[0] > idle[0] && busy[1] > idle[1], "{idle:?}, {busy:?}");
    for (application, server) in streams {
        transfer(application, server, &random_bytes(MEGABYTE));
    }
    target.echo_from_now_on();
    second.process().kill();
    let _second = serve(&config, &state, address);
    forwards.iter().for_each(|forward| wait_until_it_works(forward.entrance()));
}
