//! Stanzas of the classic protocol, as the simulated network has them.

use std::fmt;

use hexchat_pt::classic::Payload;
use hexchat_pt::protocol::Address;
use xmpp_parsers::minidom::Element;

use crate::network::{self, Letter};

pub(crate) type Stanza = network::Stanza<Body>;

/// What a stanza says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Message { payload: Payload, delayed: bool },
    MessageError { payload: Option<Payload> },
    Set(Payload),
    Ping,
    Result(Option<Payload>),
    Error { nobody_there: bool },
}

impl Body {
    fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Message { payload, .. } | Self::Set(payload) => Some(payload),
            Self::Result(payload) | Self::MessageError { payload } => payload.as_ref(),
            Self::Ping | Self::Error { .. } => None,
        }
    }
}

impl Letter for Body {
    fn size(&self) -> u64 {
        let payload = match self.payload() {
            Some(Payload::Packet { data, .. }) => 400 + data.len() as u64 * 4 / 3,
            Some(_) => 400,
            None => 0,
        };
        120 + payload
    }

    fn through_the_wire(self) -> Self {
        match self {
            Self::Message { payload, delayed } => Self::Message { payload: reread(payload), delayed },
            Self::Set(payload) => Self::Set(reread(payload)),
            Self::Result(payload) => Self::Result(payload.map(reread)),
            other => other,
        }
    }

    fn bounce(&self, repeats_message: bool) -> Option<Self> {
        match self {
            Self::Message { payload, .. } => {
                Some(Self::MessageError { payload: repeats_message.then(|| payload.clone()) })
            }
            Self::Set(_) | Self::Ping => Some(Self::Error { nobody_there: true }),
            Self::Result(_) | Self::Error { .. } | Self::MessageError { .. } => None,
        }
    }

    fn stored(&self) -> Option<Self> {
        match self {
            Self::Message { payload, .. } => Some(Self::Message { payload: payload.clone(), delayed: true }),
            _ => None,
        }
    }
}

fn reread(payload: Payload) -> Payload {
    if matches!(payload, Payload::Malformed { .. }) {
        return payload;
    }
    let xml = String::from(&payload.to_element());
    let element: Element = xml.parse().expect("what was written is XML");
    let read = Payload::from_element(&element);
    assert_eq!(read.as_ref(), Some(&payload), "the encoding changed a payload: {xml}");
    payload
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { payload, delayed } => write!(f, "message {} {delayed}", brief(payload)),
            Self::MessageError { .. } => f.write_str("message error"),
            Self::Set(payload) => write!(f, "set {}", brief(payload)),
            Self::Ping => f.write_str("ping"),
            Self::Result(None) => f.write_str("result"),
            Self::Result(Some(payload)) => write!(f, "result {}", brief(payload)),
            Self::Error { nobody_there } => write!(f, "error {nobody_there}"),
        }
    }
}

fn brief(payload: &Payload) -> String {
    let port = |address: &Address| address.port().unwrap_or_default();
    let ports = format!("{}>{}", port(&payload.header().local), port(&payload.header().remote));
    match payload {
        Payload::Connect { .. } => format!("connect {ports}"),
        Payload::ConnectAck { success, .. } => format!("ack {ports} {success}"),
        Payload::Packet { id, data, .. } => format!("packet {ports} {id:?} {} bytes", data.len()),
        Payload::Disconnect { id, .. } => format!("disconnect {ports} {id:?}"),
        Payload::Malformed { .. } => format!("malformed {ports}"),
    }
}
