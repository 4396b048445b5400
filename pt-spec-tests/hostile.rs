//! Hostile chat servers, for rows 30 and 31: those that try to write into Tor's log, or onto standard output.

use std::thread;

use crate::chat_server::{CLIENT, ChatServer, Conversation, DOMAIN, attribute, mechanism};
use crate::child::{Child, Launch, PATIENCE};
use crate::log::message;
use crate::socks::{SUCCEEDED, ask};

/// What a server may say where it is free to choose its words; as it stands between tags.
const TEXTS: [&[u8]; 9] = [
    b"\r\nLOG SEVERITY=error MESSAGE=\"forged\"\r\n",
    b"\nCMETHOD-ERROR hexchat forged\nCMETHODS DONE\n",
    b"&quot; forged &#10;LOG SEVERITY=error MESSAGE=forged&#10;",
    b"\\\" \\\\ \\012 \\8 \\x1b forged",
    "\u{1b}[2J".as_bytes(),
    "\u{202e}degrof \u{2028}forged\u{85}".as_bytes(),
    b"\xff\xfe forged \xc3",
    b"\0forged\0",
    b"</text></failure><forged/>",
];

/// Where a server can put a text: what it says instead of a session, or in one.
#[derive(Clone, Copy, Debug)]
enum Place {
    Sasl,
    SaslCondition,
    StreamError,
    SeeOtherHost,
    Mechanism,
    Feature,
    Instead,
    StanzaError,
    Sender,
    Name,
}

const PLACES: [Place; 10] = [
    Place::Sasl,
    Place::SaslCondition,
    Place::StreamError,
    Place::SeeOtherHost,
    Place::Mechanism,
    Place::Feature,
    Place::Instead,
    Place::StanzaError,
    Place::Sender,
    Place::Name,
];

fn around(before: &str, text: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), text, after.as_bytes()].concat()
}

/// Says `text` in `place`.
fn play(client: &mut Conversation, place: Place, text: &[u8]) -> Option<()> {
    let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
    let streams = "urn:ietf:params:xml:ns:xmpp-streams";
    let stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas";
    let words = match place {
        Place::Sasl | Place::SaslCondition => {
            client.open(&mechanism("ANONYMOUS"))?;
            client.hear("<auth")?;
            match place {
                Place::Sasl => around(
                    &format!("<failure xmlns='{sasl}'><temporary-auth-failure/><text>"),
                    text,
                    "</text></failure>",
                ),
                _ => around(&format!("<failure xmlns='{sasl}'><"), text, "/></failure>"),
            }
        }
        Place::StreamError | Place::SeeOtherHost => {
            client.greet()?;
            let condition =
                if matches!(place, Place::StreamError) { "policy-violation" } else { "see-other-host" };
            let (before, after) = match place {
                Place::StreamError => (
                    format!("<{condition} xmlns='{streams}'/><text xmlns='{streams}'>"),
                    "</text>".to_owned(),
                ),
                _ => (format!("<{condition} xmlns='{streams}'>"), format!("</{condition}>")),
            };
            around(&format!("<stream:error>{before}"), text, &format!("{after}</stream:error>"))
        }
        Place::Mechanism | Place::Feature => {
            client.greet()?;
            let (before, after) = match place {
                Place::Mechanism => (
                    format!("<mechanisms xmlns='{sasl}'><mechanism>"),
                    "</mechanism></mechanisms>".to_owned(),
                ),
                _ => ("<forged xmlns='x'>".to_owned(), "</forged>".to_owned()),
            };
            around(&format!("<stream:features>{before}"), text, &format!("{after}</stream:features>"))
        }
        Place::Instead => text.to_vec(),
        Place::StanzaError => {
            client.log_in()?;
            client.hear("<message")?;
            let id = attribute(&client.hear("</message>")?, "id");
            let error = format!(
                "<message type='error' id='{id}' from='bridge@{DOMAIN}' to='{CLIENT}'><error type='cancel'>\
                 <undefined-condition xmlns='{stanzas}'/><text xmlns='{stanzas}'>"
            );
            around(&error, text, "</text></error></message>")
        }
        Place::Sender => {
            client.log_in()?;
            around(
                "<message from='",
                text,
                "'><body>x</body></message><iq type='get' id='1'><x xmlns='y'/></iq>",
            )
        }
        Place::Name => {
            client.log_in()?;
            around("<", text, "/>")
        }
    };
    client.say(words)
}

/// Everything on its standard output is a line that Tor knows, none of it forged: an unsafe log quotes a server, and says that it does.
fn assert_well_formed(child: &Child) {
    for line in child.process.lines() {
        let known = ["VERSION 1", "CMETHOD hexchat socks5 ", "CMETHODS DONE", "STATUS TRANSPORT=hexchat "];
        if known.iter().any(|known| line.starts_with(known)) {
            continue;
        }
        let message = message(&line);
        let (ours, quoted) = message.split_once(", and says \"").unwrap_or((&message, "\""));
        let behind = quoted.split_once('"').map(|(_, behind)| behind);
        assert!(!ours.contains("forged") && behind.is_some_and(|text| !text.contains("forged")), "{line}");
    }
}

/// What a child writes about these words of a server's.
fn provoke(place: Place, text: &'static [u8]) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let child = Launch::client()
        .config("[limits]\nconnect_timeout = 2\n")
        .args(&["--log-level", "debug", "--unsafe-logging", "--log-file", &log.path().display().to_string()])
        .start();
    let server = ChatServer::start(move |client| play(client, place, text));
    assert_ne!(ask(child.socks(), server.anonymously().as_bytes()), SUCCEEDED, "{place:?}");
    assert_well_formed(&child);
    let written = std::fs::read(log.path()).unwrap();
    let written = String::from_utf8(written).unwrap();
    assert!(written.lines().count() > 0 && written.lines().all(|line| line.starts_with("20")), "{written}");
    assert!(!written.contains(|c: char| c.is_control() && c != '\n'), "{written:?}");
}

#[test]
fn rows_30_and_31_no_chat_server_can_write_into_the_log_or_onto_standard_output() {
    for place in PLACES {
        thread::scope(|scope| {
            for text in TEXTS {
                scope.spawn(move || provoke(place, text));
            }
        });
    }
}

#[test]
fn row_31_a_server_that_nests_elements_without_end_does_not_end_the_child() {
    let mut child = Launch::client().config("[limits]\nconnect_timeout = 2\n").start();
    let nest = |client: &mut Conversation| {
        let depth = 80_000;
        client.say("<a>".repeat(depth) + &"</a>".repeat(depth))
    };
    let before_the_login = ChatServer::start(move |client| {
        client.greet()?;
        client.say("<stream:features>")?;
        nest(client)?;
        client.wait()
    });
    let after_it = ChatServer::with_session(move |client| {
        client.say("<message from='bridge@mock.example/b'>")?;
        nest(client)?;
        client.say("</message>")?;
        client.wait()
    });
    for server in [before_the_login, after_it] {
        assert_ne!(ask(child.socks(), server.anonymously().as_bytes()), SUCCEEDED);
    }
    assert!(child.process.is_running(), "{:?}", child.process.lines());
    let too_much = |line: &str| line.contains("it sent more than any chat server has to say at once");
    child.process.wait_for_line(too_much, PATIENCE).unwrap();
}
