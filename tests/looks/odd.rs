//! Odd stanzas, which servers pass on and clients choke on: longer, deeper, fuller or stranger than any that people send.

use hexchat_lab::Kind;

use crate::plainly::KEPT;
use crate::probes::Probe;

/// A name, and a stanza as [`Probe`] has it, or a part of one.
pub(crate) type Named = (String, String);

fn named(name: impl Into<String>, xml: impl Into<String>) -> Named {
    (name.into(), xml.into())
}

/// Requests with these elements.
pub(crate) fn requests_with(contents: &[Named]) -> Vec<Named> {
    let requests = |(name, content): &Named| {
        [
            named(format!("get: {name}"), format!("<iq type='get' id='ID' to='TO'>{content}</iq>")),
            named(format!("set: {name}"), format!("<iq type='set' id='ID' to='TO'>{content}</iq>")),
            named(format!("bare get: {name}"), format!("<iq type='get' id='ID' to='BARE'>{content}</iq>")),
        ]
    };
    contents.iter().flat_map(requests).collect()
}

/// Answers that nobody asked for and messages with these elements.
pub(crate) fn messages_with(contents: &[Named]) -> Vec<Named> {
    let messages = |(name, content): &Named| {
        [
            named(format!("result: {name}"), format!("<iq type='result' id='ID' to='TO'>{content}</iq>")),
            named(format!("message: {name}"), format!("<message id='ID' to='TO'>{content}</message>")),
            named(format!("bare message: {name}"), message_with(content)),
        ]
    };
    contents.iter().flat_map(messages).collect()
}

/// A message that a server keeps for who is not there.
pub(crate) fn message_with(content: &str) -> String {
    format!("<message type='chat' id='ID' to='BARE'><body>Hello</body>{content}</message>")
}

/// Presence with these elements that asks for nothing.
pub(crate) fn presence_with(contents: &[Named]) -> Vec<Named> {
    let presence = |(name, content): &Named| {
        named(format!("presence: {name}"), format!("<presence id='ID' to='TO'>{content}</presence>"))
    };
    contents.iter().map(presence).collect()
}

/// A request for a subscription with each of these elements, and its end.
pub(crate) fn contacts_with(contents: &[Named]) -> Vec<Named> {
    let contact = |(name, content): &Named| {
        let subscribe = format!("<presence type='subscribe' id='ID' to='BARE'>{content}</presence>");
        [named(format!("subscribe: {name}"), subscribe), named(format!("unsubscribe: {name}"), UNSUBSCRIBE)]
    };
    contents.iter().flat_map(contact).collect()
}

const UNSUBSCRIBE: &str = "<presence type='unsubscribe' id='ID' to='BARE'/>";

/// Requests, answers and messages with odd ids.
pub(crate) fn stanzas_with_odd_ids() -> Vec<Named> {
    let stanzas = |(name, id): Named| {
        let request = |kind: &str, payload: &str| {
            named(
                format!("{kind} {payload}: {name}"),
                format!("<iq type='{kind}' id='{id}' to='TO'>{payload}</iq>"),
            )
        };
        [
            request("get", "<query xmlns='jabber:iq:unheard-of'/>"),
            request("get", "<query xmlns='jabber:iq:version'/>"),
            request("get", "<ping xmlns='urn:xmpp:ping'/>"),
            request("set", "<close xmlns='http://jabber.org/protocol/ibb' sid='x'/>"),
            request("result", ""),
            named(
                format!("message: {name}"),
                format!("<message id='{id}' to='BARE'><body>Hello</body></message>"),
            ),
        ]
    };
    ids().into_iter().flat_map(stanzas).collect()
}

/// The same for presence that asks for nothing.
pub(crate) fn presence_with_odd_ids() -> Vec<Named> {
    let presence = |(name, id)| named(format!("presence: {name}"), format!("<presence id='{id}' to='TO'/>"));
    ids().into_iter().map(presence).collect()
}

/// The same for requests for a subscription.
pub(crate) fn contacts_with_odd_ids() -> Vec<Named> {
    let contact = |(name, id)| {
        let subscribe = format!("<presence type='subscribe' id='{id}' to='BARE'/>");
        [named(format!("subscribe: {name}"), subscribe), named(format!("unsubscribe: {name}"), UNSUBSCRIBE)]
    };
    ids().into_iter().flat_map(contact).collect()
}

/// Servers write five bytes more for each: no client of theirs could send the stanza in which this arrives.
fn apostrophes() -> String {
    "'".repeat(60_000)
}

/// A request whose own start tag gets very long on its way. slixmpp repeats the attribute, and its server takes no such answer.
pub(crate) fn requests_with_long_tags() -> Vec<Named> {
    let attribute = apostrophes();
    let ping = format!("<iq type='get' id='ID' to='TO' a=\"{attribute}\"><ping xmlns='urn:xmpp:ping'/></iq>");
    vec![named("a long ping", ping), named("a refusal that is too long", request_with_a_long_refusal())]
}

/// A request that just passes, and whose refusal repeats an id with which it does not: slixmpp sends that, and its server ends its stream.
fn request_with_a_long_refusal() -> String {
    format!("<iq type='get' id='{}' to='TO'><q xmlns='urn:x'/></iq>", "i".repeat(261_900))
}

/// The same for requests for a subscription.
pub(crate) fn contacts_with_long_tags() -> Vec<Named> {
    let attribute = apostrophes();
    let subscribe = format!("<presence type='subscribe' id='ID' to='BARE' a=\"{attribute}\"/>");
    vec![named("subscribe: a long one", subscribe), named("unsubscribe: a long one", UNSUBSCRIBE)]
}

/// As [`Probe`]s.
pub(crate) fn borrow(probes: &[Named]) -> Vec<Probe<'_>> {
    probes.iter().map(|(name, stanza)| (name.as_str(), stanza.as_str())).collect()
}

/// What an ordinary client reads.
pub(crate) fn readable() -> Vec<Named> {
    let mut contents = Vec::new();
    for length in [9_000, 60_000] {
        let long = "A".repeat(length);
        let name = "n".repeat(length);
        contents.extend([
            named(format!("an attribute of {length} bytes"), format!("<q xmlns='urn:x' a='{long}'/>")),
            named(format!("an attribute's name of {length} bytes"), format!("<q xmlns='urn:x' {long}='1'/>")),
            named(format!("a namespace of {length} bytes"), format!("<q xmlns='urn:{long}'/>")),
            named(format!("an element's name of {length} bytes"), format!("<{name} xmlns='urn:x'/>")),
            named(format!("text of {length} bytes"), format!("<q xmlns='urn:x'>{long}</q>")),
            named(
                format!("a caps node of {length} bytes"),
                format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{long}' ver='x'/>"),
            ),
            named(
                format!("a ping with an attribute of {length} bytes"),
                format!("<ping xmlns='urn:xmpp:ping' a='{long}'/>"),
            ),
            named(
                format!("an IBB sid of {length} bytes"),
                format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='{long}'/>"),
            ),
            named(
                format!("a block of {length} bytes"),
                format!("<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='x'>{long}</data>"),
            ),
        ]);
    }
    contents.extend([101, 200].map(levels));
    for count in [2_000, 5_000] {
        let children = "<a/>".repeat(count);
        contents.push(named(format!("{count} children"), format!("<q xmlns='urn:x'>{children}</q>")));
    }
    for count in [1_000, 5_000] {
        let attributes: String = (0..count).map(|number| format!(" a{number}='1'")).collect();
        contents.push(named(format!("{count} attributes"), format!("<q xmlns='urn:x'{attributes}/>")));
    }
    contents.extend(QUOTED.iter().map(|(name, content)| named(*name, *content)));
    // These just pass.
    contents.push(named("apostrophes", format!("<q xmlns='urn:x'>{}</q>", "'".repeat(40_000))));
    let ping = format!("<ping xmlns='urn:xmpp:ping' a=\"{}\"/>", apostrophes());
    contents.push(named("a ping with an attribute of apostrophes", ping));
    contents.push(named("a long attribute", format!("<q xmlns='urn:x' a='{}'/>", "A".repeat(200_000))));
    contents.push(named("what just passes", format!("<q xmlns='urn:x'>{}</q>", "x".repeat(JUST_PASSES))));
    contents
}

/// What an ordinary client reads but cannot answer: slixmpp copies requests by recursion.
pub(crate) fn deep() -> Vec<Named> {
    [1_000, 3_000].map(levels).into()
}

fn levels(depth: usize) -> Named {
    let (open, close) = ("<q>".repeat(depth), "</q>".repeat(depth));
    named(format!("{depth} levels"), format!("<q xmlns='urn:x'>{open}{close}</q>"))
}

/// With a stanza around it this is as long as stanzas may be, 262,144 bytes.
const JUST_PASSES: usize = 261_500;

/// What means something elsewhere.
pub(crate) const QUOTED: &[Probe<'_>] = &[
    ("a stream error", FEIGNED_ERROR),
    ("a stream error inside", "<q xmlns='urn:x'><stream:error><not-authorized/></stream:error></q>"),
    ("a refusal of XEP-0198", FEIGNED_REFUSAL),
    ("a request of XEP-0198", "<r xmlns='urn:xmpp:sm:3'/>"),
    ("an acknowledgement of XEP-0198", "<a xmlns='urn:xmpp:sm:3' h='1000000'/>"),
    ("a resumption of XEP-0198", "<resumed xmlns='urn:xmpp:sm:3' h='0' previd='x'/>"),
    ("a stream", "<stream:stream/>"),
    (
        "features of a stream",
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    ),
    ("a stanza", "<iq type='get' id='inner'><ping xmlns='urn:xmpp:ping'/></iq>"),
    ("prefixes", "<p:q xmlns:p='urn:p' p:a='1' xmlns:s='urn:s' s:a='2'><s:q/></p:q>"),
    ("entities", "<q xmlns='urn:x' a='&lt;&gt;&amp;&quot;&apos;'>&lt;stream:error>&#x10ffff;]]&gt;</q>"),
    ("a CDATA section", "<q xmlns='urn:x'><![CDATA[</q></iq></message></presence>]]></q>"),
    ("another language", "<q xmlns='urn:x' xml:lang='de'><q xml:lang=''/></q>"),
];

/// As if somebody else had logged in under the same name.
pub(crate) const FEIGNED_ERROR: &str =
    "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";

/// As if the server could not resume a session.
pub(crate) const FEIGNED_REFUSAL: &str = "<failed xmlns='urn:xmpp:sm:3'/>";

/// What a server of this kind makes XML of that no client can read: slixmpp loses its connection.
pub(crate) fn unreadable(kind: Kind) -> Vec<Named> {
    let contents: &[Probe<'_>] = match kind {
        Kind::Prosody | Kind::ProsodyModules => &[
            ("an attribute of XML's own namespace", "<q xmlns='x' xml:foo='1'/>"),
            ("an element of XML's own namespace", "<xml:q/>"),
        ],
        Kind::Ejabberd => &[],
    };
    contents.iter().map(|(name, content)| named(*name, *content)).collect()
}

/// Each is the same for all who are compared.
fn ids() -> Vec<Named> {
    let long =
        |length: usize| named(format!("an id of {length} bytes"), format!("{KEPT}{}", "A".repeat(length)));
    let strange = [
        ("an id of entities", "&lt;&gt;&amp;&quot;&apos;]]&gt;"),
        ("an id of many scripts", "äß–日本語😀\u{200b}\u{202e}\u{10fffd}"),
        ("an id of spaces", "  a  b  "),
        ("an id of line ends", "&#9;a&#10;b&#13;c"),
        ("an id of characters at the edges", "\u{7f}\u{80}\u{85}\u{a0}\u{2028}\u{fffd}\u{d7ff}\u{e000}"),
    ];
    let strange = strange.map(|(name, id)| named(name, format!("{KEPT}{id}")));
    [9_000, 60_000].map(long).into_iter().chain(strange).collect()
}
