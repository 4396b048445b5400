//! Testing: a connection and a server that says exactly what a test wants, without any time but the test's.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use xmpp_parsers::stanza::Stanza;

use super::*;
use crate::xmpp::flat::Flat;

pub(super) const MAX_STANZA: usize = 1000;

const OUR_HEADER: &str = "<?xml version='1.0' encoding='utf-8'?>\n<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='chat.example' version='1.0'>";
pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' from='chat.example' id='1' version='1.0'>";
pub(super) const FEATURES: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
    <sm xmlns='urn:xmpp:sm:3'/></stream:features>";
pub(super) const BOUND: &str = "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <jid>alice@chat.example/r</jid></bind></iq>";
pub(super) const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3' id='session' resume='true'/>";
pub(super) const FAILED: &str = "<failed xmlns='urn:xmpp:sm:3'/>";
pub(super) const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' h='0' previd='session'/>";
pub(super) const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";
pub(super) const CONFLICT: &str =
    "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";

pub(super) fn a(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

pub(super) fn resumed(h: u32) -> String {
    format!("<resumed xmlns='urn:xmpp:sm:3' previd='session' h='{h}'/>")
}

/// The connection, and the time at its end.
pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) now: Instant,
}

impl Client {
    /// One whose server can do everything.
    pub(super) fn start(counting: Counting, earlier: Option<Session>) -> Self {
        let mut client = Self::start_unanswered(counting, earlier);
        client.hear(HEADER);
        client.hear(FEATURES);
        client
    }

    /// One that knows nothing of what the server offers.
    pub(super) fn start_unanswered(counting: Counting, earlier: Option<Session>) -> Self {
        Self::begin(counting, earlier, None)
    }

    /// One that presumes as whom the server will know it, and has heard nothing yet.
    pub(super) fn presume(counting: Counting, earlier: Option<Session>) -> Self {
        Self::begin(counting, earlier, Some("alice@chat.example/r".parse().unwrap()))
    }

    fn begin(counting: Counting, earlier: Option<Session>, presumed: Option<FullJid>) -> Self {
        let now = Instant::now();
        let (domain, id) = ("chat.example".to_owned(), "bind".to_owned());
        let start = Start { domain, resource: Some("r".to_owned()), id, counting, presumed };
        Self { connection: Connection::new(start, earlier, MAX_STANZA, now), now }
    }

    /// One whose session is open, and of which everything up to here was seen.
    pub(super) fn open(counting: Counting) -> Self {
        let mut client = Self::start(counting, None);
        client.hear(BOUND);
        assert_eq!(client.news(), ["online"]);
        client.said();
        if counting != Counting::No {
            client.hear(ENABLED);
            assert!(client.news().is_empty());
        }
        client
    }

    /// The next connection, which resumes the session of this one.
    pub(super) fn reconnect(mut self) -> Self {
        self.end(AccountError::Closed(Step::Session));
        Self::start(Counting::Resumable, self.connection.take_session())
    }

    pub(super) fn hear(&mut self, text: &str) {
        self.connection.handle_read(self.now, text.as_bytes());
    }

    pub(super) fn end(&mut self, reason: AccountError) {
        self.connection.handle_end(self.now, reason);
    }

    pub(super) fn send(&mut self, tag: u64) {
        self.send_text(tag, format!("<message id='{tag}'/>"));
    }

    pub(super) fn send_text(&mut self, tag: u64, text: String) {
        let stanza = Outgoing { parcel: Parcel::Written(Bytes::from(text)), tag: Some(tag), counted: None };
        self.connection.send(stanza).unwrap();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.connection.handle_timeout(self.now);
    }

    /// What is written when an acknowledgement that was asked for has nothing to go with.
    pub(super) fn said_late(&mut self) -> String {
        self.pass(timing::ACK_DELAY);
        self.said()
    }

    /// What is written, up to the last byte. However empty elements are written, they are here in their shortest form.
    pub(super) fn said(&mut self) -> String {
        let mut said = Vec::new();
        loop {
            let batch = self.connection.poll_transmit();
            if batch.is_empty() {
                let said = String::from_utf8(said).unwrap();
                let said = said.strip_prefix(OUR_HEADER).unwrap_or(&said).to_owned();
                return ["a", "r", "enable", "resume"]
                    .iter()
                    .fold(said, |said, name| said.replace(&format!("></{name}>"), "/>"));
            }
            let length = batch.len();
            said.extend_from_slice(batch);
            self.connection.handle_written(length);
            self.connection.handle_flushed();
        }
    }

    /// What has happened, in short.
    pub(super) fn news(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.connection.poll_event(self.now)).map(|event| in_short(&event)).collect()
    }
}

pub(super) fn in_short(event: &Event) -> String {
    match event {
        Event::Online { resumed: true, .. } => "resumed".to_owned(),
        Event::Online { presumed: true, .. } => "presumed".to_owned(),
        Event::Online { .. } => "online".to_owned(),
        Event::Confirmed => "confirmed".to_owned(),
        Event::StanzaLimit(bytes) => format!("at most {bytes}"),
        Event::Flat(Flat::Result { id, .. }) => format!("result {id}"),
        Event::Flat(Flat::Set(set)) => format!("set {}", set.id),
        Event::Stanza(stanza) => match &**stanza {
            Stanza::Iq(iq) => format!("iq {}", iq.id()),
            Stanza::Message(_) => "message".to_owned(),
            Stanza::Presence(_) => "presence".to_owned(),
        },
        Event::Acked(tag) => format!("acked {tag}"),
        Event::Lost(tag) => format!("lost {tag}"),
        Event::Silent => "silent".to_owned(),
        Event::Closed(reason) => format!("closed: {reason:?}"),
        Event::Misbound(reason) => format!("misbound: {reason:?}"),
        Event::Unproven => "unproven".to_owned(),
        Event::NeverCounts => "never counts".to_owned(),
    }
}
