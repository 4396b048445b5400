//! Sound configurations: every stage has its tick, in its order, for a client and for a bridge.

use hexchat_lab::server::{RELAY, Upload};
use hexchat_lab::{EchoServer, Kind, Names, Rules};

use crate::examination::{Call, Said};
use crate::harness::{Lab, Route};
use crate::pair::Bridge;

const UPLOAD: Upload = Upload { max_file: 10 << 20, daily: 100 << 20 };

#[test]
fn a_client_and_its_bridge_are_found_sound_stage_by_stage() {
    let rules = Rules { upload: Some(UPLOAD), ..Rules::default() };
    let (lab, target) = (Lab::with_rules(Kind::Prosody, rules), EchoServer::start().unwrap());
    let config = lab.config(&["bob"], &Route::StartTls) + "[lanes]\nproxy = \"none\"\n";
    let bridge = Bridge::configured(config, target.address());
    let line = bridge.line_file();
    let call = Call::with(&lab.config(&["alice"], &Route::StartTls));
    let target = target.address().to_string();
    let report = call.args(["--bridge-line-file", line.to_str().unwrap(), "--target", &target]).report();
    let ticks = [
        "configuration",
        "DNS",
        "TCP",
        "TLS",
        "login",
        "clock",
        "server",
        "bridge",
        "handshake",
        "target",
        "round trip",
        "stanzas",
        "files",
    ];
    let mut expected: Vec<_> = ticks.map(|name| (name.to_owned(), Some(true))).into();
    expected.push(("relay".to_owned(), None));
    assert_eq!(report.verdicts(), expected, "{report:#?}");
    assert_eq!((report.status, report.is_ok), (0, true));
    assert_eq!(report.at("server")["max_file_bytes"], 10 << 20);
    assert_eq!(report.at("TLS")["version"], "TLS 1.3");
    let stanzas = report.at("stanzas");
    let arrived = stanzas["bytes_arrived"].as_u64().unwrap();
    assert!(stanzas["bytes_per_second"].as_f64().unwrap() > 0.0 && arrived > 0, "{stanzas}");
    assert!(arrived <= stanzas["bytes_sent"].as_u64().unwrap(), "{stanzas}");
    assert!(stanzas["seconds"].as_f64().unwrap() < 12.0, "{stanzas}");
}

#[test]
fn the_accounts_of_a_bridge_are_examined_in_their_order_and_the_rest_goes_on_without_one() {
    let lab = Lab::start(Kind::Prosody);
    let config = lab.config(&["bob", "alice", "bob2"], &Route::StartTls);
    let config = config.replace("secret-of-alice", "secret-of-nobody");
    let Said { status, text } = Call::with(&config).say();
    assert_eq!(status, 1, "{text}");
    let lines: Vec<_> = text.lines().collect();
    let begin = |mark: &str, number: usize, stage: &str| format!("{mark} account {number}, {stage}: ");
    let mut expected = vec!["✓ configuration: ".to_owned()];
    for (number, is_sound) in [(1, true), (2, false), (3, true)] {
        expected.extend(["DNS", "TCP", "TLS"].map(|stage| begin("✓", number, stage)));
        let (mark, rest) = if is_sound { ("✓", "✓") } else { ("✗", "·") };
        expected.push(begin(mark, number, "login"));
        expected.extend(["clock", "server"].map(|stage| begin(rest, number, stage)));
    }
    expected.push("· bridge line: ".to_owned());
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, begin) in lines.iter().zip(&expected) {
        assert!(line.starts_with(begin), "{line} is not {begin}");
    }
    assert!(lines.last().unwrap().contains("what to hand out"), "{text}");
}

#[test]
fn a_bridge_that_runs_keeps_its_login_while_it_is_examined() {
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let report = Call::with(&lab.config(&["bob"], &Route::StartTls)).report();
    assert_eq!(report.status, 0, "{report:#?}");
    assert_eq!(bridge.half.count("lost its connection"), 0);
}

#[test]
fn a_server_without_an_upload_service_is_said_to_have_none_and_is_no_fault() {
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let line = bridge.line_file();
    let config = lab.config(&["alice"], &Route::StartTls);
    let target = target.address().to_string();
    let report = Call::with(&config)
        .args(["--bridge-line-file", line.to_str().unwrap(), "--target", &target])
        .report();
    assert_eq!((report.at("files")["ok"].as_bool(), report.status), (None, 0), "{report:#?}");
    assert!(report.at("files")["sentence"].as_str().unwrap().contains("no upload service"));
    assert_eq!(report.stages().len(), 14);
}

/// Both reach the proxy by a SOCKS5 proxy, which alone knows the names there: so the doctor goes by it, too.
#[test]
fn a_relay_that_both_ends_want_is_joined_and_measured() {
    let rules = Rules { relay: Some(RELAY), ..Rules::default() };
    let (lab, target) = (Lab::stock_with_rules(Kind::Prosody, rules), EchoServer::start().unwrap());
    let (of_client, of_bridge) = (Names::start().unwrap(), Names::start().unwrap());
    let lanes = "[lanes]\nrelay = true\nupload = false\n";
    let config =
        lab.config(&["bob"], &Route::StartTls) + lanes + &format!("proxy = \"{}\"\n", of_bridge.uri());
    let bridge = Bridge::configured(config, target.address());
    let line = bridge.line_file();
    let target = target.address().to_string();
    let report = Call::with(&(lab.config(&["alice"], &Route::StartTls) + lanes))
        .args(["--bridge-line-file", line.to_str().unwrap(), "--target", &target])
        .env("TOR_PT_PROXY", &of_client.uri())
        .report();
    let relay = report.at("relay");
    assert_eq!((relay["ok"].as_bool(), report.status), (Some(true), 0), "{report:#?}");
    // A stock server reads 10 kB/s from an account.
    assert!(relay["bytes_per_second"].as_f64().unwrap() > 100_000.0, "{relay}");
    assert!(report.at("TCP")["sentence"].as_str().unwrap().contains("through the proxy"));
}
