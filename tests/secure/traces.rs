//! Traces of both halves at a real chat server.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use hexchat_lab::{EchoServer, Kind};

use crate::harness::{Half, Lab, PATIENCE, Route, called, echo, random_bytes, trace_of};
use crate::pair::Bridge;

/// A configuration with this account and a trace in this file.
fn config(lab: &Lab, user: &str, trace: &Path) -> String {
    lab.config(&[user], &Route::StartTls) + &format!("[trace]\nfile = \"{}\"\n", trace.display())
}

#[test]
fn both_halves_trace_what_they_do_and_name_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let [of_bridge, of_client, ignored] =
        ["bridge", "client", "ignored"].map(|name| folder.path().join(name));
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let mut bridge = Bridge::configured(config(&lab, "bob", &of_bridge), target.address());
    let (line, address) = (bridge.line_file(), target.address().to_string());
    // The option wins.
    let mut args =
        vec!["--listen", "127.0.0.1:0", "--target", &address, "--bridge-line-file", line.to_str().unwrap()];
    args.extend(["--trace", of_client.to_str().unwrap()]);
    let mut forward = Half::start("forward", &config(&lab, "alice", &ignored), &args);
    echo(forward.entrance(), &random_bytes(2_000_000)).unwrap();
    let secrets = secrets(&lab, &fs::read_to_string(&line).unwrap(), &address);
    for (half, path, is_bridge) in [(&mut forward, &of_client, false), (&mut bridge.half, &of_bridge, true)] {
        let trace = trace_of(half, path);
        for event in ["account_online", "session_opened", "path_opened", "lane_chosen", "window_changed"] {
            assert!(!called(&trace, event).is_empty(), "no {event} in {trace:#?}");
        }
        let asked = if is_bridge { "session_confirmed" } else { "path_asked" };
        assert!(!called(&trace, asked).is_empty(), "{trace:#?}");
        assert_eq!(called(&trace, "session_opened").len(), 1);
        assert_eq!(called(&trace, "lane_chosen")[0]["lane"], "chat");
        let opened = called(&trace, "path_opened")[0];
        assert_eq!((&opened["account"], &opened["lane"]), (&1.into(), &"chat".into()));
        assert_eq!(called(&trace, "session_ended").len(), 1, "{trace:#?}");
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(path).unwrap();
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    assert!(!ignored.exists());
}

/// What must be in no trace: names, passwords, addresses, and all that the bridge line says.
fn secrets(lab: &Lab, line: &str, target: &str) -> Vec<String> {
    let jid = lab.server.jid("bob");
    let (_, domain) = jid.split_once('@').unwrap();
    let fixed = ["alice", "bob", "secret-of-", "@", "127.0.0.1", domain, target].map(str::to_owned);
    let of_line = line
        .lines()
        .filter(|line| line.starts_with("Bridge "))
        .flat_map(|line| line.split([' ', '=', '/', ',']));
    let of_line: Vec<_> = of_line.filter(|word| word.len() > 7).map(str::to_owned).collect();
    assert!(of_line.len() >= 3, "an address, a resource and a key: {line}");
    fixed.into_iter().chain(of_line).collect()
}

#[test]
fn a_trace_that_cannot_be_written_is_said_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
    symlink(&file, &link).unwrap();
    for (path, words) in [(folder.path().join("none/trace"), "cannot be written"), (link, "symbolic link")] {
        let account = "[[account]]\njid = \"nobody@chat.invalid\"\npassword = \"secret-of-nobody\"\n";
        let mut half =
            Half::start("serve", account, &["--allow", "127.0.0.1:9", "--trace", path.to_str().unwrap()]);
        let line = half.says("hexchat-pt: the trace file ", PATIENCE);
        assert!(line.contains(words) && line.contains(path.to_str().unwrap()), "{line}");
        assert_eq!(half.exit_status(PATIENCE), 2);
        assert!(!file.exists());
    }
}
