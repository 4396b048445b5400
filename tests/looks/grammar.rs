//! Grammar of random stanzas: whatever a stranger can make that a server passes on.

use std::collections::BTreeSet;

use hexchat_lab::Kind;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::odd::QUOTED;
use crate::plainly::KEPT;
use crate::probes::{CLASSIC, MESSAGES, PRESENCE, REQUESTS};
use crate::subject::Subject;

/// A stanza without a recipient.
pub(crate) struct Stanza {
    /// As [`crate::probes::Probe`] has it.
    xml: String,
    pub(crate) nature: Nature,
}

/// What can be said about the answers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// They are slixmpp's.
    Plain,
    /// They are slixmpp's, and what the next ones are depends on it.
    Contact,
    /// It is known that they differ.
    Different,
    /// slixmpp cannot bear it, and loses its connection or never answers again.
    Fatal,
}

impl Stanza {
    /// As it is sent to `subject`.
    pub(crate) fn to(&self, subject: &Subject) -> String {
        let (jid, bare) = (format!("'{}'", subject.jid), format!("'{}'", subject.bare()));
        self.xml.replacen("'TO'", &jid, 1).replacen("'BARE'", &bare, 1)
    }

    pub(crate) fn xml(&self) -> &str {
        &self.xml
    }

    /// How its id begins, and that of no other.
    pub(crate) fn name(&self) -> &str {
        let (_, id) = self.xml.split_once("id='").expect("an id");
        let end = id.match_indices('-').nth(1).expect("a number").0;
        &id[..=end]
    }
}

/// Names of elements and attributes that mean something somewhere.
const NAMES: &[&str] = &[
    "query",
    "open",
    "data",
    "close",
    "ping",
    "time",
    "x",
    "c",
    "a",
    "r",
    "q",
    "body",
    "error",
    "item",
    "iq",
    "message",
    "presence",
    "failed",
    "enabled",
    "resumed",
    "stream",
    "features",
    "jingle",
    "connect",
    "packet",
    "disconnect",
    "event",
    "forwarded",
    "sent",
    "status",
    "show",
    "priority",
    "delay",
    "type",
    "id",
    "to",
    "from",
    "node",
    "ver",
    "hash",
    "sid",
    "seq",
    "jid",
    "h",
    "previd",
    "block-size",
    "stanza",
    "é",
    "_",
    "a.b-c",
];

/// Namespaces that mean something somewhere.
const NAMESPACES: &[&str] = &[
    "jabber:client",
    "jabber:server",
    "jabber:iq:roster",
    "jabber:iq:version",
    "jabber:iq:last",
    "jabber:x:data",
    "http://etherx.jabber.org/streams",
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    "http://jabber.org/protocol/ibb",
    "http://jabber.org/protocol/pubsub#event",
    "http://jabber.org/protocol/muc#user",
    "hexchat:connect",
    "hexchat:connect_ack",
    "hexchat:packet",
    "hexchat:disconnect",
    "urn:ietf:params:xml:ns:xmpp-sasl",
    "urn:ietf:params:xml:ns:xmpp-stanzas",
    "urn:ietf:params:xml:ns:xmpp-streams",
    "urn:ietf:params:xml:ns:xmpp-tls",
    "urn:xmpp:carbons:2",
    "urn:xmpp:delay",
    "urn:xmpp:forward:0",
    "urn:xmpp:mam:2",
    "urn:xmpp:ping",
    "urn:xmpp:sm:3",
    "urn:xmpp:time",
    "urn:x",
    "%",
];

/// Pieces of text, as they are written.
const TEXTS: &[&str] = &[
    "text",
    " ",
    "0",
    "-1",
    "4096",
    "65536",
    "AAAA",
    "true",
    "eve@chat.example/r",
    "&lt;",
    "&gt;",
    "&amp;",
    "&quot;",
    "&apos;",
    "&#9;",
    "&#10;",
    "&#x10ffff;",
    "]]&gt;",
    ">",
    "é",
    "日本語",
    "😀",
    "\u{200b}",
    "\u{202e}",
    "\u{fffd}",
    "%s",
    "../",
    "&lt;/stream:stream>",
    "&lt;iq/>",
];

/// Makes them, the same for the same seed.
pub(crate) struct Grammar {
    rng: SmallRng,
    kind: Kind,
    made: usize,
    /// How deep elements lie in each other.
    deepest: usize,
}

impl Grammar {
    pub(crate) fn new(seed: u64, kind: Kind) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed), kind, made: 0, deepest: 0 }
    }

    /// Up to so many; one that changes what is answered to others is the last.
    pub(crate) fn batch(&mut self, size: usize) -> Vec<Stanza> {
        let mut batch = Vec::new();
        while batch.len() < size && !batch.last().is_some_and(|last: &Stanza| last.nature == Nature::Contact)
        {
            batch.push(self.stanza());
        }
        batch
    }

    fn stanza(&mut self) -> Stanza {
        self.made += 1;
        loop {
            let (xml, nature) = match self.percent() {
                0..15 => self.known(),
                15..55 => self.iq(),
                55..80 => self.message(),
                _ => self.presence(),
            };
            if xml.len() < LONGEST {
                return Stanza { xml, nature };
            }
        }
    }

    /// One of the probes, under another id.
    fn known(&mut self) -> (String, Nature) {
        let (_, xml) = match self.percent() {
            0..50 => self.pick(REQUESTS),
            50..70 => self.pick(MESSAGES),
            70..80 => self.pick(&PRESENCE[..PRESENCE_THAT_CHANGES_NOTHING]),
            _ => self.pick(CLASSIC),
        };
        let id = self.id();
        (xml.replace("id='ID'", &id).replace("PROBER", "eve@chat.example/r"), Nature::Plain)
    }

    fn iq(&mut self) -> (String, Nature) {
        self.deepest = 0;
        let (id, to, content) = (self.id(), self.recipient(), self.element(0));
        let kind = self.pick(&["get", "get", "set", "set", "set", "result", "error"]);
        let extra = match self.percent() {
            0..2 => " extra='yes'",
            2..3 => " xml:lang='de'",
            _ => "",
        };
        let before = match self.percent() {
            0..2 => "text".to_owned(),
            2..4 => self.element(0),
            _ => String::new(),
        };
        let is_too_deep = self.deepest > ANSWERED_DEPTH && ["get", "set"].contains(&kind);
        let nature = match self.nature_of(&format!("{before}{content}")) {
            Nature::Fatal => Nature::Fatal,
            _ if is_too_deep => Nature::Fatal,
            _ if !extra.is_empty() || !before.is_empty() => Nature::Different,
            nature => nature,
        };
        (format!("<iq type='{kind}' {id} to={to}{extra}>{before}{content}</iq>"), nature)
    }

    fn message(&mut self) -> (String, Nature) {
        let (id, to, contents) = (self.id(), self.recipient(), self.elements());
        let kind = self.pick(&[
            "",
            "",
            " type='chat'",
            " type='normal'",
            " type='headline'",
            " type='groupchat'",
            " type='error'",
            " type='unheard-of'",
            " type='chat' xml:lang='de' extra='yes'",
        ]);
        let nature = self.nature_of(&contents);
        (format!("<message{kind} {id} to={to}>{contents}</message>"), nature)
    }

    fn presence(&mut self) -> (String, Nature) {
        let (id, contents) = (self.id(), self.elements());
        let nature = self.nature_of(&contents);
        // Those who could read it and those who could not would have other contacts from then on.
        if self.percent() < 93 || nature == Nature::Fatal {
            // The server answers probes, of those who cannot read them, too.
            let kinds = ["", "", " type='unavailable'", " type='error'", " type='probe'"];
            let kind = self.pick(if nature == Nature::Fatal { &kinds[..4] } else { &kinds });
            let to = if kind.contains("probe") { self.recipient() } else { "'TO'" };
            return (format!("<presence{kind} {id} to={to}>{contents}</presence>"), nature);
        }
        let kind = self.pick(&["subscribe", "subscribe", "subscribed", "unsubscribe", "unsubscribed"]);
        let to = self.recipient();
        (format!("<presence type='{kind}' {id} to={to}>{contents}</presence>"), Nature::Contact)
    }

    fn recipient(&mut self) -> &'static str {
        self.pick(&["'TO'", "'TO'", "'TO'", "'BARE'"])
    }

    fn nature_of(&self, content: &str) -> Nature {
        if self.kind == Kind::Prosody && content.contains(GARBLED) { Nature::Fatal } else { Nature::Plain }
    }

    /// An attribute that names the stanza.
    fn id(&mut self) -> String {
        let rest = match self.percent() {
            0..1 => "A".repeat(self.rng.random_range(8_000..30_000)),
            1..15 => self.text(),
            _ => format!("{:032x}", self.rng.random::<u128>()),
        };
        format!("id='{KEPT}{}-{rest}'", self.made)
    }

    fn elements(&mut self) -> String {
        let count = self.pick(&[0, 1, 1, 1, 2, 3]);
        (0..count).map(|_| self.element(0)).collect()
    }

    fn element(&mut self, depth: usize) -> String {
        match self.rng.random_range(0..1000) {
            0..40 => self.pick(QUOTED).1.to_owned(),
            40..50 if depth == 0 => self.tower(),
            50..60 if depth == 0 => self.crowd(),
            _ => self.ordinary_element(depth),
        }
    }

    fn ordinary_element(&mut self, depth: usize) -> String {
        let name = self.name();
        let (prefix, binding) = match self.percent() {
            0..10 => ("p:", format!(" xmlns:p='{}'", self.namespace())),
            10..20 if depth > 0 => ("", String::new()),
            20..22 if depth > 0 => ("", " xmlns=''".into()),
            _ => ("", format!(" xmlns='{}'", self.namespace())),
        };
        let attributes = self.attributes(prefix);
        let content = self.content(depth + 1);
        format!("<{prefix}{name}{binding}{attributes}>{content}</{prefix}{name}>")
    }

    fn content(&mut self, depth: usize) -> String {
        let count = if depth > 5 { 0 } else { self.pick(&[0, 0, 1, 1, 2, 3]) };
        let mut content = String::new();
        for _ in 0..count {
            content += &match self.percent() {
                0..40 => self.text(),
                40..45 => format!("<![CDATA[{}<a>&]]>", self.rng.random::<u64>()),
                _ => self.element(depth),
            };
        }
        content
    }

    fn attributes(&mut self, prefix: &str) -> String {
        let count = match self.percent() {
            0..1 => self.rng.random_range(100..1000),
            1..40 => 0,
            _ => self.rng.random_range(1..5),
        };
        let mut names = BTreeSet::new();
        let mut attributes = String::new();
        for number in 0..count {
            let name = match self.percent() {
                0..2 => "xml:lang".to_owned(),
                2 if self.percent() < 20 => GARBLED.to_owned(),
                3..10 if !prefix.is_empty() => format!("{prefix}{}", self.name()),
                _ if count > 10 => format!("a{number}"),
                _ => self.name(),
            };
            let value = self.value();
            if names.insert(name.clone()) {
                attributes += &format!(" {name}='{value}'");
            }
        }
        attributes
    }

    /// Elements inside each other.
    fn tower(&mut self) -> String {
        let levels = self.rng.random_range(50..1_500);
        self.deepest = levels;
        let (name, namespace) = (self.pick(&["q", "iq", "a"]), self.namespace());
        let (open, close) = (format!("<{name}>").repeat(levels), format!("</{name}>").repeat(levels));
        format!("<q xmlns='{namespace}'>{open}{close}</q>")
    }

    /// Many elements beside each other.
    fn crowd(&mut self) -> String {
        let count = self.rng.random_range(100..3_000);
        let one = self.pick(&["<a/>", "<a b='c'/>", "<a>text</a>", "<a xmlns='urn:y'/>"]);
        format!("<q xmlns='{}'>{}</q>", self.namespace(), one.repeat(count))
    }

    fn name(&mut self) -> String {
        match self.rng.random_range(0..1000) {
            0..2 => "n".repeat(self.rng.random_range(8_000..30_000)),
            _ => self.pick(NAMES).to_owned(),
        }
    }

    fn namespace(&mut self) -> String {
        match self.rng.random_range(0..1000) {
            0..3 => format!("urn:{}", "s".repeat(self.rng.random_range(8_000..30_000))),
            _ => self.pick(NAMESPACES).to_owned(),
        }
    }

    fn value(&mut self) -> String {
        match self.rng.random_range(0..1000) {
            0..3 => "v".repeat(self.rng.random_range(8_000..30_000)),
            _ => self.text(),
        }
    }

    fn text(&mut self) -> String {
        match self.rng.random_range(0..1000) {
            0..2 => "&apos;".repeat(self.rng.random_range(1_000..10_000)),
            2..4 => "t".repeat(self.rng.random_range(8_000..50_000)),
            _ => (0..self.rng.random_range(0..4)).map(|_| self.pick(TEXTS)).collect(),
        }
    }

    fn percent(&mut self) -> u32 {
        self.rng.random_range(0..100)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }
}

/// What servers pass on, with room for what they write in another way, in bytes.
const LONGEST: usize = 200_000;

/// slixmpp copies requests by recursion, and Python's recursion ends somewhere above this.
const ANSWERED_DEPTH: usize = 200;

/// Of [`PRESENCE`], so many come before those by which contacts are made and lost.
const PRESENCE_THAT_CHANGES_NOTHING: usize = 6;

/// Prosody writes it with another prefix, which that namespace may not have.
const GARBLED: &str = "xml:foo";
