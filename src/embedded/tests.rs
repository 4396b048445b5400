#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;

/// Long enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Told(Mutex<Sender<String>>);

impl Told {
    fn tell(&self, event: &str) {
        let _ = self.0.lock().unwrap().send(event.to_owned());
    }
}

impl Events for Told {
    fn connected(&self) {
        self.tell("connected");
    }

    fn error(&self, sentence: &str) {
        self.tell(sentence);
    }

    fn stopped(&self) {
        self.tell("stopped");
    }
}

fn controller(state_dir: &Path) -> (Controller, Receiver<String>) {
    let (sender, receiver) = channel();
    let settings =
        Settings { state_dir: state_dir.to_owned(), log: Some(Severity::Notice), unsafe_logging: false };
    (Controller::new(settings, Arc::new(Told(Mutex::new(sender)))), receiver)
}

/// Asks for a connection with these arguments of a bridge line, as tor does, and waits for the refusal.
fn ask(address: SocketAddr, arguments: &str) {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(&[5, 1, 2]).unwrap();
    let mut answer = [0; 2];
    tcp.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [5, 2]);
    let (user, password) = (arguments.as_bytes(), b"\0");
    let lengths = [user, password].map(|text| u8::try_from(text.len()).unwrap());
    tcp.write_all(&[&[1, lengths[0]], user, &[lengths[1]], password].concat()).unwrap();
    tcp.read_exact(&mut answer).unwrap();
    tcp.write_all(&[5, 1, 0, 1, 192, 0, 2, 3, 0, 80]).unwrap();
    let mut reply = [0; 4];
    tcp.read_exact(&mut reply).unwrap();
    assert_ne!(reply[1], 0, "refused");
}

#[test]
fn it_listens_from_start_to_stop_and_can_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let (controller, events) = controller(&folder.path().join("state"));
    for _ in 0..3 {
        assert_eq!(controller.address(), None);
        let address = controller.start(None, None).unwrap();
        assert_eq!(controller.address(), Some(address));
        let _open = TcpStream::connect(address).unwrap();
        assert!(matches!(controller.start(None, None), Err(StartError::AlreadyRunning)));
        controller.stop();
        controller.stop();
        assert!(TcpStream::connect(address).is_err());
        assert_eq!(events.try_iter().collect::<Vec<_>>(), ["stopped"]);
    }
    let log = std::fs::read_to_string(folder.path().join("state").join(LOG_FILE)).unwrap();
    assert_eq!(log.matches("listening at 127.0.0.1:").count(), 3, "{log}");
}

#[test]
fn what_is_wrong_with_a_bridge_line_is_the_sentence_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (controller, events) = controller(folder.path());
    ask(controller.start(None, None).unwrap(), "jid=bob@chat.example;key=nonsense");
    let sentence = events.recv_timeout(PATIENCE).unwrap();
    controller.stop();
    let log = std::fs::read_to_string(folder.path().join(LOG_FILE)).unwrap();
    assert!(log.contains(&format!("[warning] {sentence}\n")), "{sentence}: {log}");
    assert!(sentence.contains("key") && !log.contains("bob@"), "{log}");
}

#[test]
fn what_cannot_be_used_is_an_error_without_any_event_and_leaves_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (controller, events) = controller(folder.path());
    let secret = "[[account]]\njid = \"alice@chat.example\"\npasword = \"hunter2\"";
    let error = controller.start(Some(secret), None).unwrap_err();
    assert!(matches!(error, StartError::Config(_)) && !error.to_string().contains("hunter2"), "{error}");
    let error = controller.start(None, Some("gopher://hunter2@127.0.0.1:1")).unwrap_err();
    assert!(matches!(error, StartError::Proxy(_)) && !error.to_string().contains("hunter2"), "{error}");
    assert!(controller.start(None, None).is_ok(), "with nothing wrong");
    controller.stop();
    assert_eq!(events.try_iter().collect::<Vec<_>>(), ["stopped"]);
}

#[test]
fn two_with_a_directory_each_run_side_by_side_and_the_second_of_one_directory_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _first_events) = controller(&folder.path().join("a"));
    let (second, _second_events) = controller(&folder.path().join("b"));
    assert_ne!(first.start(None, None).unwrap(), second.start(None, None).unwrap());
    let log = |name: &str| std::fs::read_to_string(folder.path().join(name).join(LOG_FILE)).unwrap();
    for name in ["a", "b"] {
        assert_eq!(log(name).lines().count(), 1, "{}", log(name));
    }
    let (third, third_events) = controller(&folder.path().join("a"));
    assert!(third.start(None, None).is_ok());
    let sentence = third_events.recv_timeout(PATIENCE).unwrap();
    assert!(sentence.starts_with("nothing will be kept for the next run: "), "{sentence}");
}

/// Stops its transport at the first word, and would start it again.
struct Impatient {
    controller: Mutex<std::sync::Weak<Controller>>,
    told: Told,
}

impl Events for Impatient {
    fn connected(&self) {}

    fn error(&self, _: &str) {
        let controller = self.controller.lock().unwrap().upgrade().unwrap();
        controller.stop();
        self.told.tell(if controller.address().is_none() { "no address" } else { "runs" });
        self.told.tell(&controller.start(None, None).unwrap_err().to_string());
    }

    fn stopped(&self) {
        self.told.tell("stopped");
    }
}

#[test]
fn an_event_may_stop_it_and_not_start_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, heard) = channel();
    let events = Arc::new(Impatient { controller: Mutex::default(), told: Told(Mutex::new(sender)) });
    let settings = Settings { state_dir: folder.path().to_owned(), log: None, unsafe_logging: false };
    let controller = Arc::new(Controller::new(settings, Arc::clone(&events) as _));
    *events.controller.lock().unwrap() = Arc::downgrade(&controller);
    ask(controller.start(None, None).unwrap(), "jid=bob@chat.example;key=nonsense");
    let next = || heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!([next(), next()], ["no address", "it is running already"]);
    // From another thread it starts once the last event has been called.
    assert!(controller.start(None, None).is_ok());
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["stopped"]);
}
