//! What the protocol cores want sent, as stanzas, and what comes in, as the core that it is for understands it. Pure.

mod classic;

use xmpp_parsers::iq::{Iq, IqHeader, IqPayload};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::stanza::Stanza;

use crate::classic::{Incoming, SetId, Transmit};

/// Turns a core's [`Transmit`]s into stanzas and stanzas into its [`Incoming`]s.
#[derive(Debug)]
pub struct Carrier {
    /// Starts the id of every IQ, so that no answer to an IQ of an earlier process is taken for ours.
    id_prefix: String,
}

/// What a stanza is to us.
#[derive(Debug)]
pub enum Received {
    /// Something for the classic protocol.
    Classic {
        /// Who sent it.
        from: Jid,
        /// What it is.
        incoming: Incoming,
    },
    /// A request that is not of a protocol of ours; it only shows that `from` is alive, and wants the
    /// ordinary answer.
    Request {
        /// Who sent it, if that is somebody with a resource.
        from: Option<FullJid>,
        /// The request.
        iq: Box<Iq>,
    },
    /// Nothing of interest.
    Nothing,
}

impl Carrier {
    /// A carrier whose IQ ids start with `id_prefix`, which should be random.
    pub fn new(id_prefix: impl Into<String>) -> Self {
        Self { id_prefix: id_prefix.into() }
    }

    /// The stanza for what the classic core wants sent.
    pub fn classic(&self, transmit: Transmit) -> Stanza {
        classic::stanza(transmit, &self.id_prefix)
    }

    /// What an incoming stanza is to us.
    pub fn receive(&self, stanza: Stanza) -> Received {
        match stanza {
            Stanza::Iq(iq) => self.receive_iq(iq),
            Stanza::Message(message) => match classic::read_message(message) {
                Some((from, incoming)) => Received::Classic { from, incoming },
                None => Received::Nothing,
            },
            Stanza::Presence(_) => Received::Nothing,
        }
    }

    fn receive_iq(&self, iq: Iq) -> Received {
        let (header, payload) = iq.split();
        match payload {
            IqPayload::Get(_) | IqPayload::Set(_) => receive_request(header, payload),
            IqPayload::Result(_) | IqPayload::Error(_) => self.receive_answer(header, payload),
        }
    }

    fn receive_answer(&self, header: IqHeader, payload: IqPayload) -> Received {
        let set = self.set_of(&header.id);
        match (header.from, classic::read_answer(set, payload)) {
            (Some(from), Some(incoming)) => Received::Classic { from, incoming },
            _ => Received::Nothing,
        }
    }

    fn set_of(&self, id: &str) -> Option<SetId> {
        id.strip_prefix(&self.id_prefix)?.parse().ok().map(SetId)
    }
}

fn receive_request(header: IqHeader, payload: IqPayload) -> Received {
    if let IqPayload::Set(element) = &payload
        && let Some(payload) = classic::read_set(element)
    {
        return match header.from {
            Some(from) => Received::Classic { from, incoming: Incoming::Set { id: header.id, payload } },
            None => Received::Nothing,
        };
    }
    if let IqPayload::Get(element) | IqPayload::Set(element) = &payload
        && classic::is_ours(element)
    {
        return Received::Nothing;
    }
    let from = header.from.clone().and_then(|from| from.try_into_full().ok());
    Received::Request { from, iq: Box::new(Iq::assemble(header, payload)) }
}

#[cfg(test)]
mod tests;
