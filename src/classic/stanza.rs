//! Payloads: the four of the protocol document, as they look on the wire.
//!
//! A payload is the only child of its `<iq/>` or `<message/>`. Its fields are unprefixed and inherit
//! its namespace; the header fields come first and in a fixed order, although a receiver looks them
//! up by name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

use crate::classic::seq::SeqNum;
use crate::protocol::Address;

/// More accounts than this at one end of a connection are refused.
const MAX_ALIASES: usize = 64;

/// The full JIDs of all accounts at one end of a connection: its place in the routing key, and where
/// replies go. Never empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aliases(BTreeSet<FullJid>);

impl Aliases {
    /// The set of these JIDs, unless it is empty or larger than anyone needs.
    pub fn new(jids: impl IntoIterator<Item = FullJid>) -> Option<Self> {
        let jids: BTreeSet<_> = jids.into_iter().collect();
        (1..=MAX_ALIASES).contains(&jids.len()).then_some(Self(jids))
    }

    fn parse(text: &str) -> Option<Self> {
        let jids = text.split(',').map(|jid| FullJid::new(jid.trim()));
        Self::new(jids.collect::<Result<Vec<_>, _>>().ok()?)
    }

    /// Whether `jid` is one of them.
    pub fn contains(&self, jid: &FullJid) -> bool {
        self.0.contains(jid)
    }

    /// All of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &FullJid> {
        self.0.iter()
    }
}

impl fmt::Display for Aliases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, jid) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            f.write_str(jid.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Aliases {
    /// JIDs are private: only their number is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aliases({})", self.0.len())
    }
}

/// The fields that every payload carries (section 6), from the sender's point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's end of the tunnelled connection.
    pub local: Address,
    /// The receiver's end.
    pub remote: Address,
    /// The sender's accounts.
    pub aliases: Aliases,
}

/// What a stanza says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Asks for a connection to `header.remote`.
    Connect {
        /// Who asks, from where, to where.
        header: Header,
        /// See [`Payload::ConnectAck`].
        resend: bool,
    },
    /// Says what became of a connect.
    ConnectAck {
        /// The connect's header, swapped, with the answering side's accounts.
        header: Header,
        /// Whether the target was reached.
        success: bool,
        /// An extension of ours: the sender answers every set of a connection that it knows, and
        /// ignores a packet that it has already, instead of closing the connection. Peers that do not
        /// know it ignore the extra child.
        resend: bool,
    },
    /// Carries a piece of the connection's data.
    Packet {
        /// Which connection.
        header: Header,
        /// Its place among the sender's packets.
        id: SeqNum,
        /// The piece, already decoded.
        data: Bytes,
    },
    /// Ends the connection after everything with a lower id.
    Disconnect {
        /// Which connection.
        header: Header,
        /// Its place among the sender's packets.
        id: SeqNum,
    },
    /// A packet or disconnect of which only the header can be read. It costs its connection the life,
    /// and nothing else.
    Malformed {
        /// Which connection.
        header: Header,
    },
}

/// The child that announces the extension described at [`Payload::ConnectAck`].
const RESEND: &str = "resend";

impl Payload {
    /// Reads a payload; `None` when it is not one of this protocol or its header cannot be read.
    pub fn from_element(element: &Element) -> Option<Self> {
        let namespace = element.ns();
        let field = |name: &str| element.get_child(name, &*namespace).map(|field| field.text().into());
        Self::read(element.name(), &namespace, &Fields(&field))
    }

    /// Reads one of which only the parts are at hand: its name, its namespace, and names and texts of its children.
    pub fn from_parts(kind: &str, namespace: &str, fields: &[(&str, &str)]) -> Option<Self> {
        let field =
            |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).into());
        Self::read(kind, namespace, &Fields(&field))
    }

    fn read(kind: &str, namespace: &str, fields: &Fields<'_>) -> Option<Self> {
        if namespace.strip_prefix("hexchat:") != Some(kind) {
            return None;
        }
        let header = fields.header()?;
        match kind {
            "connect" => Some(Self::Connect { header, resend: fields.has(RESEND) }),
            "connect_ack" => Some(fields.connect_ack(header)),
            "packet" => Some(fields.packet(header)),
            "disconnect" => Some(fields.disconnect(header)),
            _ => None,
        }
    }

    /// Writes the payload as the child of a stanza.
    pub fn to_element(&self) -> Element {
        let element = match self {
            Self::Connect { header, resend } => build("connect", header).flag(RESEND, *resend),
            Self::ConnectAck { header, success, resend } => build("connect_ack", header)
                .field("response", if *success { "success" } else { "failure" })
                .flag(RESEND, *resend),
            Self::Packet { header, id, data } => {
                build("packet", header).field("id", &id.get().to_string()).field("data", &BASE64.encode(data))
            }
            Self::Disconnect { header, id } => build("disconnect", header).field("id", &id.get().to_string()),
            Self::Malformed { header } => build("packet", header),
        };
        element.0
    }

    /// The header.
    pub fn header(&self) -> &Header {
        match self {
            Self::Connect { header, .. }
            | Self::ConnectAck { header, .. }
            | Self::Packet { header, .. }
            | Self::Disconnect { header, .. }
            | Self::Malformed { header } => header,
        }
    }
}

/// The fields of a payload that is being read: the text of the first one of a name.
struct Fields<'a>(&'a dyn Fn(&str) -> Option<Cow<'a, str>>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        (self.0)(name)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn header(&self) -> Option<Header> {
        Some(Header {
            local: Address::new(self.get("local_ip")?, self.get("local_port")?)?,
            remote: Address::new(self.get("remote_ip")?, self.get("remote_port")?)?,
            aliases: Aliases::parse(&self.get("aliases")?)?,
        })
    }

    fn id(&self) -> Option<SeqNum> {
        SeqNum::new(self.get("id")?.trim().parse().ok()?)
    }

    fn data(&self) -> Option<Bytes> {
        let text = self.get("data")?;
        BASE64.decode(text.trim()).ok().map(Bytes::from)
    }

    fn connect_ack(&self, header: Header) -> Payload {
        // Anything but a clear success is a failure: nobody waits for more.
        let success = self.get("response").is_some_and(|response| response.trim() == "success");
        Payload::ConnectAck { header, success, resend: self.has(RESEND) }
    }

    fn packet(&self, header: Header) -> Payload {
        match (self.id(), self.data()) {
            (Some(id), Some(data)) => Payload::Packet { header, id, data },
            _ => Payload::Malformed { header },
        }
    }

    fn disconnect(&self, header: Header) -> Payload {
        match self.id() {
            Some(id) => Payload::Disconnect { header, id },
            None => Payload::Malformed { header },
        }
    }
}

/// A payload that is being written.
struct Builder(Element);

fn build(kind: &str, header: &Header) -> Builder {
    Builder(Element::bare(kind, format!("hexchat:{kind}")))
        .field("local_ip", header.local.host())
        .field("local_port", header.local.port_text())
        .field("remote_ip", header.remote.host())
        .field("remote_port", header.remote.port_text())
        .field("aliases", &header.aliases.to_string())
}

impl Builder {
    fn field(mut self, name: &str, text: &str) -> Self {
        let field = Element::builder(name, self.0.ns()).append(text).build();
        self.0.append_child(field);
        self
    }

    fn flag(self, name: &str, set: bool) -> Self {
        if set { self.field(name, "1") } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            local: Address::new("127.0.0.1", "60944").unwrap(),
            remote: Address::new("10.0.0.1", "80").unwrap(),
            aliases: Aliases::parse("alice@x/r1").unwrap(),
        }
    }

    fn element(xml: &str) -> Element {
        xml.parse().unwrap()
    }

    fn written(payload: &Payload) -> String {
        String::from(&payload.to_element())
    }

    const HEADER: &str = "<local_ip>127.0.0.1</local_ip><local_port>60944</local_port>\
        <remote_ip>10.0.0.1</remote_ip><remote_port>80</remote_port><aliases>alice@x/r1</aliases>";

    #[test]
    fn payloads_are_written_as_the_2013_program_writes_them() {
        let header = header();
        let cases = [
            (
                Payload::Connect { header: header.clone(), resend: false },
                format!("<connect xmlns='hexchat:connect'>{HEADER}</connect>"),
            ),
            (
                Payload::ConnectAck { header: header.clone(), success: true, resend: false },
                format!(
                    "<connect_ack xmlns='hexchat:connect_ack'>{HEADER}<response>success</response></connect_ack>"
                ),
            ),
            (
                Payload::Packet {
                    header: header.clone(),
                    id: SeqNum::ZERO,
                    data: Bytes::from_static(b"ABC"),
                },
                format!("<packet xmlns='hexchat:packet'>{HEADER}<id>0</id><data>QUJD</data></packet>"),
            ),
            (
                Payload::Disconnect { header, id: SeqNum::ZERO.next() },
                format!("<disconnect xmlns='hexchat:disconnect'>{HEADER}<id>1</id></disconnect>"),
            ),
        ];
        for (payload, xml) in cases {
            assert_eq!(written(&payload), xml);
            assert_eq!(Payload::from_element(&element(&xml)), Some(payload));
        }
    }

    #[test]
    fn fields_are_found_by_name_and_unknown_ones_ignored() {
        let xml = "<connect xmlns='hexchat:connect'><new><x/></new><aliases>b@x/2,a@x/1</aliases>\
            <remote_port>80</remote_port><remote_ip>host.example</remote_ip><local_port>1</local_port>\
            <local_ip>::1</local_ip></connect>";
        let Some(Payload::Connect { header, resend }) = Payload::from_element(&element(xml)) else {
            panic!()
        };
        assert_eq!((header.remote.host(), header.remote.port()), ("host.example", Some(80)));
        assert_eq!(header.aliases, Aliases::parse("a@x/1,b@x/2").unwrap());
        assert!(!resend);
    }

    #[test]
    fn a_field_in_another_namespace_is_not_the_field() {
        let xml =
            format!("<packet xmlns='hexchat:packet'>{HEADER}<id xmlns=''>0</id><data>QUJD</data></packet>");
        assert_eq!(Payload::from_element(&element(&xml)), Some(Payload::Malformed { header: header() }));
    }

    #[test]
    fn a_bad_id_or_bad_base64_leaves_the_header_readable() {
        for fields in [
            "<id>-1</id><data>QUJD</data>",
            "<id>4294967295</id><data>QUJD</data>",
            "<id>0</id><data>QUJ</data>",
            "<id>0</id><data>!!!!</data>",
            "<data>QUJD</data>",
            "<id>0</id>",
        ] {
            let xml = format!("<packet xmlns='hexchat:packet'>{HEADER}{fields}</packet>");
            let read = Payload::from_element(&element(&xml));
            assert_eq!(read, Some(Payload::Malformed { header: header() }), "{fields}");
        }
    }

    #[test]
    fn what_has_no_readable_header_is_not_a_payload() {
        for xml in [
            "<connect xmlns='hexchat:connect'/>",
            "<connect xmlns='hexchat:packet'/>",
            "<ping xmlns='urn:xmpp:ping'/>",
            &format!("<connect xmlns='hexchat:connect'>{}</connect>", HEADER.replace("60944", "1234567")),
            &format!(
                "<connect xmlns='hexchat:connect'>{}</connect>",
                HEADER.replace("alice@x/r1", "alice@x")
            ),
            &format!("<connect xmlns='hexchat:connect'>{}</connect>", HEADER.replace("alice@x/r1", "")),
            &format!("<surprise xmlns='hexchat:surprise'>{HEADER}</surprise>"),
        ] {
            assert_eq!(Payload::from_element(&element(xml)), None, "{xml}");
        }
    }

    #[test]
    fn a_response_other_than_success_is_a_failure() {
        for response in ["<response>failure</response>", "<response>maybe</response>", ""] {
            let xml = format!("<connect_ack xmlns='hexchat:connect_ack'>{HEADER}{response}</connect_ack>");
            let read = Payload::from_element(&element(&xml));
            assert!(matches!(read, Some(Payload::ConnectAck { success: false, .. })), "{response}");
        }
    }

    #[test]
    fn a_port_that_no_connection_can_have_is_kept_as_text_but_is_no_port() {
        assert_eq!(Address::new("h", "99999").unwrap().port(), None);
        assert_eq!(Address::new("h", "0").unwrap().port(), None);
        assert_eq!(Address::new("h", "+80"), None);
        assert_eq!(Address::new("two words", "80"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            data in proptest::collection::vec(any::<u8>(), 0..600),
            id in 0..u32::MAX,
            success: bool,
            resend: bool,
        ) {
            let (header, id) = (header(), SeqNum::new(id).unwrap());
            for payload in [
                Payload::Connect { header: header.clone(), resend },
                Payload::ConnectAck { header: header.clone(), success, resend },
                Payload::Packet { header: header.clone(), id, data: data.into() },
                Payload::Disconnect { header, id },
            ] {
                let element = element(&written(&payload));
                prop_assert_eq!(Payload::from_element(&element), Some(payload));
            }
        }
    }
}
