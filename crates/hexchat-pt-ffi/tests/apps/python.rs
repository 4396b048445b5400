//! Apps in Python, by the bindings that UniFFI makes of the library.

use std::path::Path;
use std::time::Duration;

use hexchat_lab::fetch::fetch;
use hexchat_lab::process::Spawn;
use hexchat_lab::{ChatServer, FileServer, Halves, Kind, Rate, TorNetwork};
use tempfile::TempDir;

use crate::PATIENCE;
use crate::left::assert_nothing_is_left;
use crate::library::{executable, python_bindings};
use crate::world::World;

/// Fewer than in C: what is under the bindings is the same.
const ROUNDS: usize = 20;

/// How long tor may take on a busy machine.
const BOOTSTRAP: Duration = Duration::from_secs(120);

/// The app, with the bindings that it imports in a folder of its own.
fn app() -> (TempDir, Spawn) {
    let folder = TempDir::new().unwrap();
    python_bindings(folder.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/app.py");
    let app = Spawn::new("app", "python3").arg("-B").arg(script).env("PYTHONPATH", folder.path());
    (folder, app)
}

#[test]
fn an_app_in_python_starts_and_stops_it_and_hears_of_everything() {
    let (world, (_folder, app)) = (World::start(), app());
    let app = app.args(["rounds", &ROUNDS.to_string()]).arg(world.state_dir()).arg(world.config());
    let mut process = app.args([world.arguments(), world.target()]).start().unwrap();
    let status = process.wait(3 * PATIENCE).unwrap();
    process.wait_for_end_of_output(PATIENCE).unwrap();
    assert!(status.success(), "{:?}", process.lines());
    assert_nothing_is_left(&process, ROUNDS);
    let log = world.log();
    assert_eq!(log.matches("has failed at it").count(), ROUNDS, "who raises at an event is told: {log}");
}

#[test]
fn tor_bootstraps_and_fetches_through_an_app_in_python() {
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["bridge", "alice"]).unwrap();
    let network = TorNetwork::start().unwrap();
    let executable = executable();
    let halves = Halves { network: &network, chat: &chat, executable: &executable };
    let bridge = network.bridge(&halves.bridge("bridge").unwrap()).unwrap();
    let login = Halves::login("alice", &ChatServer::password("alice"));
    let torrc = halves.client(&bridge, &login).unwrap();

    let (folder, app) = app();
    let app = app.arg("serve").arg(folder.path().join("state")).arg(halves.config_file("client"));
    let mut app = app.stdin().start().unwrap();
    let port = app.wait_for_line(|line| line.starts_with("PORT "), PATIENCE).unwrap();
    let launching = format!("exec {}", halves.command(&halves.config_file("client")));
    assert!(torrc.contains(&launching), "{torrc}");
    let torrc = torrc.replacen(&launching, &port.replacen("PORT ", "socks5 127.0.0.1:", 1), 1);

    let client = network.client(&torrc).unwrap();
    client.wait_until_bootstrapped(BOOTSTRAP, |_| {}).unwrap();
    let web = FileServer::start().unwrap();
    let deadline = std::time::Instant::now() + BOOTSTRAP;
    // Tor needs a while to notice that a transport is new, and may refuse until then.
    let fetched = loop {
        match fetch(Some(client.socks()), web.address(), 200_000, PATIENCE) {
            Ok(fetched) => break fetched,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error:#}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(fetched.sha256, FileServer::sha256(200_000));
    app.say("stop").unwrap();
    let events = app.wait_for_line(|line| line.starts_with("EVENTS "), PATIENCE).unwrap();
    assert!(events.starts_with("EVENTS connected") && events.ends_with("stopped"), "{events}");
    assert!(app.wait(PATIENCE).unwrap().success(), "{:?}", app.lines());
}
