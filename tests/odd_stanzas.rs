//! Odd stanzas, which anybody can have a server pass on, and that no client expects: none of them ends a connection, whether the
//! account uses XEP-0198 or not, and requests among them get the ordinary answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod mock;

use hexchat_pt::config::Limits;
use hexchat_pt::persona;
use hexchat_pt::xmpp::flat::Flat;
use hexchat_pt::xmpp::framer::{Framer, Piece};
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountId, AccountPool, Step, StreamManagement};
use mock::{MockServer, PATIENCE, Peer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::{Presence, Type};
use xmpp_parsers::sm;
use xso::exports::rxml;

const BOTH: [StreamManagement; 2] = [StreamManagement::Wanted, StreamManagement::Unwanted];

/// A quarter of a megabyte, with which no stanza is read whole.
const MAX_STANZA: usize = 1 << 18;

/// What an account makes of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A request that it answers itself.
    Ping,
    /// A request that it has its owner answer, and whether that is a refusal.
    Request {
        refused: bool,
    },
    Subscription,
    /// The answer to something that it asked.
    Answer,
    /// Something that nobody waits for. It may come out or not.
    Other,
}

/// What an odd stanza is like, and what it is all the same.
fn odd_stanzas() -> Vec<(&'static str, String, Kind)> {
    const REFUSED: Kind = Kind::Request { refused: true };
    const KNOWN: Kind = Kind::Request { refused: false };
    let long = "A".repeat(9000);
    let deep = |levels: usize| format!("{}{}", "<d>".repeat(levels), "</d>".repeat(levels));
    let iq = |kind: &str, inside: &str| {
        format!("<iq from='eve@x/r' to='alice@mock.example/here' type='{kind}' id='i'>{inside}</iq>")
    };
    let presence =
        |kind: &str, inside: &str| format!("<presence from='eve@x' type='{kind}'>{inside}</presence>");
    // What a server makes of an attribute `xml:foo`.
    let misnamed = "<q xmlns='x' xmlns:ns1='http://www.w3.org/XML/1998/namespace' ns1:foo='1'/>";
    let version = |inside: &str| format!("<query xmlns='jabber:iq:version'>{inside}</query>");
    let attributes: String = (0..5000).map(|n| format!(" a{n}='1'")).collect();
    vec![
        (
            "a subscription with a long id",
            format!("<presence from='eve@x' type='subscribe' id='{long}'/>"),
            Kind::Subscription,
        ),
        ("a subscription with bad namespaces", presence("subscribe", misnamed), Kind::Subscription),
        ("a subscription that is too deep", presence("subscribe", &deep(101)), Kind::Subscription),
        (
            "a subscription that is too large",
            presence("subscribe", &"x".repeat(MAX_STANZA)),
            Kind::Subscription,
        ),
        (
            "a presence with a long node",
            format!(
                "<presence from='eve@x/r'><c xmlns='http://jabber.org/protocol/caps' node='{long}' ver='v' hash='h'/></presence>"
            ),
            Kind::Other,
        ),
        ("a presence of an unknown type", presence("unheard-of", ""), Kind::Other),
        (
            "a presence with a bad priority",
            "<presence from='eve@x/r'><priority>many</priority></presence>".to_owned(),
            Kind::Other,
        ),
        ("a request with a long id", iq("get", &version("")).replace("'i'", &format!("'{long}'")), KNOWN),
        ("a request with a long attribute", iq("set", &format!("<q xmlns='x' a='{long}'/>")), REFUSED),
        ("a request with a long name", iq("get", &format!("<q{long} xmlns='x'/>")), REFUSED),
        ("a request with a long namespace", iq("get", &format!("<q xmlns='{long}'/>")), REFUSED),
        ("a deep request", iq("get", &version(&deep(3000))), KNOWN),
        ("a deep ping", iq("get", &format!("<ping xmlns='urn:xmpp:ping'>{}</ping>", deep(101))), Kind::Ping),
        (
            "a ping with bad namespaces in it",
            iq("get", &format!("<ping xmlns='urn:xmpp:ping'>{misnamed}</ping>")),
            Kind::Ping,
        ),
        (
            "a ping that is too large",
            iq("get", &format!("<ping xmlns='urn:xmpp:ping'>{}</ping>", "x".repeat(2 * MAX_STANZA))),
            Kind::Ping,
        ),
        ("a request with bad namespaces", iq("set", misnamed), REFUSED),
        ("a request with a prefix that nobody declares", iq("set", "<q xmlns='x' y:z='1'/>"), REFUSED),
        ("a request in many pieces", iq("get", &version(&"<a/>".repeat(20_000))), KNOWN),
        ("a request with many attributes", iq("set", &format!("<q xmlns='x'{attributes}/>")), REFUSED),
        (
            "a request with many attributes of its own",
            iq("set", "<q xmlns='x'/>").replacen(" from", &format!("{attributes} from"), 1),
            REFUSED,
        ),
        ("a request full of references", iq("get", &version(&"&lt;".repeat(50_000))), KNOWN),
        ("a request for the features of a stream", iq("get", "<stream:features/>"), REFUSED),
        ("a request without payload", iq("get", ""), REFUSED),
        ("a request with text for payload", iq("set", "text"), REFUSED),
        ("a request with two payloads", iq("get", "<q xmlns='x'/><q xmlns='x'/>"), REFUSED),
        ("a request without an id", "<iq from='eve@x/r' type='get'><q xmlns='x'/></iq>".to_owned(), REFUSED),
        ("an error without an error", iq("error", ""), Kind::Answer),
        ("a result with bad namespaces", iq("result", misnamed), Kind::Answer),
        ("an iq of an unknown type", iq("unheard-of", ""), Kind::Other),
        ("an iq from nobody", iq("get", &version("")).replace("eve@x/r", "@"), Kind::Other),
        (
            "a message of an unknown type",
            "<message from='eve@x/r' type='unheard-of'/>".to_owned(),
            Kind::Other,
        ),
        (
            "a message that is too large",
            format!("<message from='eve@x/r'><body>{}</body></message>", "x".repeat(4 * MAX_STANZA)),
            Kind::Other,
        ),
        (
            "a message whose start is too large",
            format!("<message from='eve@x/r' id='{}'/>", "x".repeat(MAX_STANZA)),
            Kind::Other,
        ),
        (
            "a message with namespaces in each other",
            format!("<message from='eve@x/r'>{}</message>", nested_namespaces(3000)),
            Kind::Other,
        ),
        (
            "a message with a stream error",
            format!("<message from='eve@x/r'>{CONFLICT}</message>"),
            Kind::Other,
        ),
        (
            "a message with the end of a session",
            "<message from='eve@x/r'><failed xmlns='urn:xmpp:sm:3'/></message>".to_owned(),
            Kind::Other,
        ),
        (
            "a message with a character that XML does not have",
            "<message from='eve@x/r'><body>\u{fffe}</body></message>".to_owned(),
            Kind::Other,
        ),
    ]
}

const CONFLICT: &str = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";

fn nested_namespaces(levels: usize) -> String {
    let open: String = (0..levels).map(|n| format!("<d xmlns='urn:{n}'>")).collect();
    open + &"</d>".repeat(levels)
}

/// However long its attributes are.
fn element(written: &[u8]) -> Element {
    let text = str::from_utf8(written).unwrap();
    let (name, _) = text.split_at(text.find([' ', '/', '>']).unwrap());
    let in_its_namespace = if text.split_once('>').unwrap().0.contains(" xmlns=") {
        text.to_owned()
    } else {
        text.replacen(name, &format!("{name} xmlns='jabber:client'"), 1)
    };
    let options = rxml::Options { max_token_length: 1 << 20, ..rxml::Options::default() };
    xso::from_bytes_with_options(in_its_namespace.as_bytes(), options).unwrap()
}

/// A connection on which the test says what it likes.
struct Raw {
    io: BufStream<DuplexStream>,
    framer: Framer,
    /// Whether pings to the server itself are answered.
    pongs: bool,
}

impl Raw {
    fn new(peer: Peer) -> Self {
        Self { io: peer.into_io(), framer: Framer::between_elements(1 << 20), pongs: true }
    }

    async fn say(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// The next element. Questions whether stanzas have come are passed over, and pings to the server itself answered, by
    /// which the account sees how far the server has read.
    async fn hear(&mut self) -> Element {
        loop {
            let Some(piece) = self.framer.pop() else {
                let bytes = timeout(PATIENCE, self.io.fill_buf()).await.expect("an answer").unwrap().to_vec();
                assert!(!bytes.is_empty(), "the client hung up");
                self.framer.feed(&bytes).unwrap();
                self.io.consume(bytes.len());
                continue;
            };
            let Piece::Whole(written) = piece else { panic!("{piece:?}") };
            let element = element(&written);
            let is_ping = element.children().any(|child| child.is("ping", "urn:xmpp:ping"));
            if is_ping && element.attr("to") == Some("mock.example") {
                if !self.pongs {
                    continue;
                }
                let id = element.attr("id").unwrap();
                self.say(&format!("<iq type='result' id='{id}'/>")).await;
            } else if !element.is("r", "urn:xmpp:sm:3") {
                return element;
            }
        }
    }

    /// Asks whether the account is there.
    async fn ping(&mut self, id: &str) {
        self.say(&format!("<iq from='bob@x/r' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"))
            .await;
        let pong = self.hear().await;
        assert_eq!((pong.attr("type"), pong.attr("id")), (Some("result"), Some(id)));
    }
}

struct Client {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
}

impl Client {
    /// One that is online, and its connection, on which it has said that it is.
    async fn online(server: &MockServer, management: StreamManagement) -> (Self, Raw) {
        Self::online_with(server, management, &Limits::default()).await
    }

    /// The same with other limits.
    async fn online_with(server: &MockServer, management: StreamManagement, limits: &Limits) -> (Self, Raw) {
        let (pool, events) = AccountPool::with_limits(server.dialer(), limits);
        pool.open(server.anonymous(), management);
        let mut client = Self { pool, events };
        let mut raw = Raw::new(server.session(management == StreamManagement::Wanted).await);
        assert!(matches!(client.event().await, AccountEvent::Online { .. }));
        assert_eq!(raw.hear().await.name(), "presence");
        (client, raw)
    }

    async fn event(&mut self) -> AccountEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap().1
    }

    /// What came up to the ping of `bob`.
    async fn until_bob(&mut self) -> Vec<AccountEvent> {
        let mut events = Vec::new();
        loop {
            match self.event().await {
                AccountEvent::Pinged { by } if by.as_str() == "bob@x/r" => return events,
                event => events.push(event),
            }
        }
    }

    async fn suspended(&mut self) -> AccountError {
        loop {
            match self.event().await {
                AccountEvent::Suspended { reason } => return reason,
                AccountEvent::Stanza(_) | AccountEvent::Pinged { .. } => {}
                other => panic!("not suspended: {other:?}"),
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let pool = self.pool.clone();
        tokio::spawn(async move { pool.shutdown().await });
    }
}

fn kind_of(event: AccountEvent) -> Kind {
    match event {
        AccountEvent::Pinged { .. } => Kind::Ping,
        AccountEvent::Flat(Flat::Result { .. }) => Kind::Answer,
        AccountEvent::Flat(Flat::Set(set)) => {
            kind_of(AccountEvent::Stanza(Box::new(set.into_stanza().expect("a stanza"))))
        }
        AccountEvent::Stanza(stanza) => match &*stanza {
            Stanza::Iq(iq @ (Iq::Get { .. } | Iq::Set { .. })) => {
                let answer = persona::reply_to(iq).expect("an answer");
                assert_eq!((answer.to(), answer.id()), (iq.from(), iq.id()));
                assert!(!iq.id().is_empty() && iq.from().is_some());
                Kind::Request { refused: persona::refuses(iq, persona::Plugins::default()) }
            }
            Stanza::Iq(_) => Kind::Answer,
            Stanza::Presence(Presence { type_: Type::Subscribe, from: Some(_), .. }) => Kind::Subscription,
            Stanza::Presence(_) | Stanza::Message(_) => Kind::Other,
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn no_stanza_ends_a_connection_and_every_request_is_one() {
    for management in BOTH {
        let server = MockServer::start();
        let (mut client, mut raw) = Client::online(&server, management).await;
        for (what, stanza, kind) in odd_stanzas() {
            raw.say(&stanza).await;
            if kind == Kind::Ping {
                let pong = raw.hear().await;
                assert_eq!((pong.attr("type"), pong.attr("to")), (Some("result"), Some("eve@x/r")), "{what}");
            }
            raw.ping("after").await;
            let events = client.until_bob().await;
            let came = format!("{events:?}");
            let kinds: Vec<Kind> = events.into_iter().map(kind_of).collect();
            match (&kinds[..], kind) {
                ([], Kind::Other) => {}
                ([only], _) => assert_eq!(*only, kind, "{what}, {management:?}"),
                _ => panic!("{what}, {management:?}: {came}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_setting_says_how_much_of_a_stanza_is_read() {
    const LENGTH: usize = 200_000;
    let request = format!(
        "<iq from='eve@x/r' to='alice@mock.example/here' type='get' id='i'><q xmlns='x'>{}</q></iq>",
        "x".repeat(LENGTH)
    );
    for management in BOTH {
        for (max_stanza, is_whole) in [(262_144, true), (131_072, false)] {
            let server = MockServer::start();
            let limits = Limits { max_stanza, ..Limits::default() };
            let (mut client, mut raw) = Client::online_with(&server, management, &limits).await;
            raw.say(&request).await;
            let event = client.event().await;
            let AccountEvent::Stanza(stanza) = event else { panic!("{event:?}") };
            let Stanza::Iq(Iq::Get { payload, id, .. }) = *stanza else { panic!("{stanza:?}") };
            assert_eq!((id.as_str(), payload.text().len() == LENGTH), ("i", is_whole), "{management:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_id_is_the_id_of_the_answer() {
    let id = "A&lt;".repeat(20_000);
    for management in BOTH {
        let server = MockServer::start();
        let (_client, mut raw) = Client::online(&server, management).await;
        raw.say(&format!("<iq from='eve@x/r' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
        assert_eq!(raw.hear().await.attr("id"), Some(&*id.replace("&lt;", "<")), "{management:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_odd_stanza_is_counted_so_that_none_comes_again_with_the_next_session() {
    let server = MockServer::start();
    let (mut client, mut raw) = Client::online(&server, StreamManagement::Wanted).await;
    // They would be counted as well.
    raw.pongs = false;
    let mut sent = 0;
    for (_, stanza, _) in odd_stanzas() {
        raw.say(&stanza).await;
        sent += 1;
    }
    raw.say("<r xmlns='urn:xmpp:sm:3'/>").await;
    let handled = loop {
        let heard = raw.hear().await;
        if heard.is("a", "urn:xmpp:sm:3") {
            break heard.attr("h").unwrap().parse::<u32>().unwrap();
        }
    };
    assert_eq!(handled, sent);
    drop(raw);
    while !matches!(client.event().await, AccountEvent::Suspended { .. }) {}
    let mut peer = server.log_in(true).await;
    let XmppStreamElement::SM(sm::Nonza::Resume(resume)) = peer.next().await else { panic!("no resumption") };
    assert_eq!(resume.h, sent);
}

#[tokio::test(start_paused = true)]
async fn odd_stanzas_after_a_resumption_are_read_like_any_others() {
    let server = MockServer::start();
    let (mut client, mut raw) = Client::online(&server, StreamManagement::Wanted).await;
    raw.say("<message from='eve@x/r' type='unheard-of'/>").await;
    raw.ping("before").await;
    drop(raw);
    client.suspended().await;
    let mut peer = server.log_in(true).await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Resume(_))));
    let resumed = sm::Resumed { h: 1, previd: sm::StreamId("session".into()) };
    peer.send_sm(sm::Nonza::Resumed(resumed)).await;
    let mut raw = Raw::new(peer);
    let long = "A".repeat(9000);
    raw.say(&format!("<iq from='eve@x/r' type='get' id='{long}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
    while raw.hear().await.attr("id") != Some(long.as_str()) {}
}

#[tokio::test(start_paused = true)]
async fn a_stream_error_in_a_stanza_is_not_believed_and_a_real_one_is() {
    for management in BOTH {
        for (said, reason) in [
            (format!("<message from='eve@x/r'>{CONFLICT}</message>"), AccountError::Closed(Step::Session)),
            (format!("<message from='eve@x/r'><body>{CONFLICT}"), AccountError::Closed(Step::Session)),
            ("</stream:stream>".to_owned(), AccountError::Closed(Step::Session)),
            (format!("{CONFLICT}</stream:stream>"), AccountError::Conflict),
        ] {
            let server = MockServer::start();
            let (mut client, mut raw) = Client::online(&server, management).await;
            raw.say(&said).await;
            drop(raw);
            assert_eq!(client.suspended().await, reason, "{said}, {management:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_is_said_to_be_too_much() {
    let mebibyte = "x".repeat(1 << 20);
    for management in BOTH {
        for begin in ["<", "<message><body>", "<message id='", "</", "<!--", "<message><![CDATA["] {
            let server = MockServer::start();
            let (mut client, mut raw) = Client::online(&server, management).await;
            let flood = async {
                raw.say(begin).await;
                // The client hangs up in the middle of it.
                while raw.io.write_all(mebibyte.as_bytes()).await.is_ok() {}
                std::future::pending::<()>().await;
            };
            tokio::select! {
                reason = client.suspended() => assert_eq!(reason, AccountError::TooMuch(Step::Session)),
                () = flood => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_server_makes_no_sense_says_so_and_begins_a_new_session() {
    let server = MockServer::start();
    let (mut client, mut raw) = Client::online(&server, StreamManagement::Wanted).await;
    raw.say("<unheard-of xmlns='x'/>").await;
    assert_eq!(client.suspended().await, AccountError::Protocol(Step::Session));
    let _peer = server.session(true).await;
    assert!(matches!(client.event().await, AccountEvent::Online { resumed: false, .. }));
}
