//! Carrier: what the protocol cores want sent, as stanzas, and what comes in, as the core that it is for understands it. Pure.

mod classic;
pub mod ibb;
mod ids;
#[cfg(test)]
mod tests;

use xmpp_parsers::iq::{Iq, IqHeader, IqPayload};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::stanza::Stanza;

use crate::classic::{self as classic_core, SetId};
use crate::secure::Token;
use crate::xmpp::Parcel;
use crate::xmpp::flat::Flat;
use ids::Ids;

/// Turns what a core wants sent into stanzas, and stanzas into what they mean to a core.
#[derive(Debug)]
pub struct Carrier {
    /// The ids of the classic protocol's IQs.
    sets: Ids,
}

/// What a stanza is to us.
#[derive(Debug)]
pub enum Received {
    /// Something for the classic protocol.
    Classic {
        /// Who sent it.
        from: Jid,
        /// What it is.
        incoming: classic_core::Incoming,
    },
    /// Something for the secure protocol, by way of its [`Bytestreams`](ibb::Bytestreams).
    Secure {
        /// Who sent it.
        from: FullJid,
        /// What it is.
        incoming: ibb::Incoming,
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
    /// A carrier whose IQ ids nobody can guess who does not know `key`, which should be random, and another in each process.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { sets: Ids::new(key) }
    }

    /// The stanza for what the classic core wants sent.
    pub fn classic(&self, transmit: classic_core::Transmit) -> Stanza {
        classic::stanza(transmit, &self.sets)
    }

    /// A stanza about a path of the secure core.
    pub fn secure(&self, transmit: ibb::Transmit) -> Parcel {
        ibb::parcel(transmit)
    }

    /// The same as [`receive`](Self::receive), for an IQ that was read without a tree.
    pub fn receive_flat(
        &self,
        flat: Flat,
        classic: bool,
        has_bytestream: impl FnOnce(&FullJid) -> bool,
    ) -> Received {
        match flat {
            Flat::Result { from, id } => {
                let header = IqHeader { from: Some(from.into()), to: None, id };
                self.receive_answer(header, IqPayload::Result(None), classic)
            }
            Flat::Set(set) => {
                let is_known = has_bytestream(&set.from);
                // From a stranger a block has to take as long as anything unknown, so it goes the same way.
                let block = if is_known { ibb::read_block(set) } else { Err(set) };
                match block {
                    Ok((from, incoming)) => Received::Secure { from, incoming },
                    Err(set) => set
                        .into_stanza()
                        .map_or(Received::Nothing, |stanza| self.receive(stanza, classic, |_| is_known)),
                }
            }
        }
    }

    /// What an incoming stanza is to us. `classic`: whether anybody can have reason to speak the classic protocol with
    /// us. If not, its stanzas are as unknown as any other. `has_bytestream`: whether somebody has a bytestream with us.
    /// From everybody else blocks are as unknown as anything, and not even read, which would take time.
    pub fn receive(
        &self,
        stanza: Stanza,
        classic: bool,
        has_bytestream: impl FnOnce(&FullJid) -> bool,
    ) -> Received {
        match stanza {
            Stanza::Iq(iq) => self.receive_iq(iq, classic, has_bytestream),
            Stanza::Message(_) if !classic => Received::Nothing,
            Stanza::Message(message) => match classic::read_message(message) {
                Some((from, incoming)) => Received::Classic { from, incoming },
                None => Received::Nothing,
            },
            Stanza::Presence(_) => Received::Nothing,
        }
    }

    fn receive_iq(&self, iq: Iq, classic: bool, has_bytestream: impl FnOnce(&FullJid) -> bool) -> Received {
        let (header, payload) = iq.split();
        match payload {
            IqPayload::Get(_) | IqPayload::Set(_) => {
                receive_request(header, payload, classic, has_bytestream)
            }
            IqPayload::Result(_) | IqPayload::Error(_) => self.receive_answer(header, payload, classic),
        }
    }

    /// Results and errors belong to whoever asked. A result that says something is none of the secure protocol's.
    fn receive_answer(&self, header: IqHeader, payload: IqPayload, classic: bool) -> Received {
        let Some(from) = header.from else { return Received::Nothing };
        let set = if classic { self.set_of(&header.id) } else { None };
        let may_be_secure = set.is_none() && !matches!(payload, IqPayload::Result(Some(_)));
        if let Some(iq) = ibb::iq_of(&header.id).filter(|_| may_be_secure) {
            return receive_secure_answer(from, iq, &payload);
        }
        match classic::read_answer(set, payload) {
            Some(incoming) => Received::Classic { from, incoming },
            None => Received::Nothing,
        }
    }

    fn set_of(&self, id: &str) -> Option<SetId> {
        self.sets.read(id).map(SetId)
    }
}

/// A secure peer has a resource: whoever has none was not asked.
fn receive_secure_answer(from: Jid, iq: Token, payload: &IqPayload) -> Received {
    let incoming = match payload {
        IqPayload::Result(_) => ibb::Incoming::Result { iq },
        IqPayload::Error(error) if classic::is_nobody_there(error) => ibb::Incoming::Undelivered { iq },
        _ => ibb::Incoming::Error { iq },
    };
    from.try_into_full().map_or(Received::Nothing, |from| Received::Secure { from, incoming })
}

fn receive_request(
    header: IqHeader,
    payload: IqPayload,
    classic: bool,
    has_bytestream: impl FnOnce(&FullJid) -> bool,
) -> Received {
    let full = header.from.clone().and_then(|from| from.try_into_full().ok());
    let has_bytestream = full.as_ref().is_some_and(has_bytestream);
    if let IqPayload::Set(element) = &payload {
        if let (Some(from), Some(incoming)) = (&full, ibb::read_set(&header.id, element, has_bytestream)) {
            return Received::Secure { from: from.clone(), incoming };
        }
        if classic && let (Some(from), Some(payload)) = (&header.from, classic::read_set(element)) {
            let incoming = classic_core::Incoming::Set { id: header.id, payload };
            return Received::Classic { from: from.clone(), incoming };
        }
    }
    if let IqPayload::Get(element) | IqPayload::Set(element) = &payload
        && classic
        && classic::is_ours(element)
    {
        return Received::Nothing;
    }
    Received::Request { from: full, iq: Box::new(Iq::assemble(header, payload)) }
}
