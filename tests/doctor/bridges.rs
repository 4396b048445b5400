//! Bridges that are not reached, each with what is to be done.

use std::fs;
use std::net::SocketAddr;

use hexchat_lab::{EchoServer, Kind};

use crate::examination::{Call, Report};
use crate::harness::{Lab, Route};
use crate::pair::Bridge;

const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The bridge line with another value of this argument.
fn with(line: &str, key: &str, value: &str) -> String {
    let words = line.split_whitespace().map(|word| match word.split_once('=') {
        Some((name, _)) if name == key => format!("{key}={value}"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The bridge line without this argument.
fn without(line: &str, key: &str) -> String {
    line.split_whitespace().filter(|word| !word.starts_with(&format!("{key}="))).collect::<Vec<_>>().join(" ")
}

fn line_of(bridge: &Bridge) -> String {
    let text = fs::read_to_string(bridge.line_file()).unwrap();
    text.lines().find(|line| line.starts_with("Bridge")).unwrap().to_owned()
}

fn examine(lab: &Lab, line: &str, target: SocketAddr) -> Report {
    let config = lab.config(&["alice"], &Route::StartTls);
    Call::with(&config).line(line).args(["--target", &target.to_string()]).report()
}

#[test]
fn a_bridge_line_that_is_not_accepted_is_told_from_a_bridge_that_is_not_there() {
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let config = lab.config(&["bob"], &Route::StartTls) + &format!("[bridge]\npsk = \"{OTHER}\"\n");
    let mut bridge = Bridge::configured(config, target.address());
    let line = line_of(&bridge);
    let examine = |line: &str| examine(&lab, line, target.address());
    std::thread::scope(|scope| {
        let wrong = OTHER.replace("AAEC", "BBEC");
        scope.spawn(|| {
            let report = examine(&with(&line, "key", OTHER));
            report.blames(
                "handshake",
                "does not accept the bridge line: the `key` or the `psk` may be another's",
            );
            assert_eq!(report.at("bridge")["ok"], true);
        });
        let psk = with(&line, "psk", &wrong);
        scope.spawn(move || examine(&psk).blames("handshake", "`psk` may be another's"));
        let none = without(&line, "psk");
        scope.spawn(move || {
            examine(&none).blames("handshake", "whose line has a `psk`, which is missing here");
        });
        let elsewhere = with(&line, "jid", "bridge@nowhere.example/r");
        scope.spawn(move || {
            let report = examine(&elsewhere);
            // A server without any other says that nobody is there.
            assert_eq!(report.cross().0, "bridge", "{report:#?}");
        });
        let resource = with(&line, "jid", "bob@chat.example/another");
        scope.spawn(move || examine(&resource).blames("bridge", "is not online"));
    });
    bridge.half.process().kill();
    examine(&line).blames("bridge", "is not online");
}

#[test]
fn a_target_that_is_not_allowed_is_the_operators_to_allow() {
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let report = examine(&lab, &line_of(&bridge), "127.0.0.1:9".parse().unwrap());
    let (stage, sentence) = report.cross();
    assert!(stage == "target" && sentence.contains("--allow"), "{report:#?}");
    assert_eq!(report.at("handshake")["ok"], true);
    assert!(report.at("round trip")["median_ms"].as_f64().unwrap() > 0.0, "who refuses answers, too");
}
