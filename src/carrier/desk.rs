//! Desk: who gets each stanza that comes in, and what is answered. Pure.
//!
//! Which stanza is for whom is decided here; whom the secure core refuses is for that to say, and all words are the
//! [persona]'s.
//!
//! | what comes | what becomes of it |
//! | --- | --- |
//! | `open` of an In-Band Bytestream | the secure core opens a path for whoever proves that he may, and refuses all others |
//! | `data` or `close`, from somebody who has a bytestream with us | the secure core's |
//! | the same from anybody else, or not exactly as the specification has it | an unknown request |
//! | a request of the classic protocol, where that is in use | the classic core's, or no answer if it cannot be read |
//! | a request that the persona knows | its answer |
//! | an unknown request | the secure core refuses it as it refuses an `open`: so neither words nor time tell them apart |
//! | a result or an error | the secure core's, if it can answer one of its IQs by its id and says nothing; otherwise the classic core's |
//! | a message | the classic core's, where that is in use; otherwise nobody's |
//! | a request to subscribe to the presence of an account that lets peers in | granted, and asked in return |
//! | any other presence | nobody's |
//! | a ping, which `xmpp::account` has answered with the persona's word | a sign of life to the classic core, where that is in use |

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use xmpp_parsers::iq::{Iq, IqHeader, IqPayload};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stanza::Stanza;

use super::ids::Ids;
use super::presences::Presences;
use super::{classic, ibb};
use crate::classic::{self as classic_core, SetId};
use crate::persona::{self, Plugins, ReplyIds};
use crate::protocol::AccountId;
use crate::secure::Token;
use crate::xmpp::Parcel;
use crate::xmpp::flat::{Flat, FlatSet};

/// A stanza that came in.
#[derive(Debug)]
pub enum Arrival {
    /// As the XML library reads it.
    Parsed(Box<Stanza>),
    /// An IQ that needs no tree to be read.
    Flat(Flat),
    /// A ping, which its account has answered.
    Ping {
        /// Who sent it.
        from: FullJid,
    },
}

/// The account that a stanza came to, as far as it matters to what becomes of the stanza.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// Which one.
    pub account: AccountId,
    /// Whether it lets peers in. Then it treats those who want to see its presence as an unattended client does; the account
    /// of a user is not ours to make friends with.
    pub lets_in: bool,
    /// Whether anybody can have reason to speak the classic protocol with us. If not, its stanzas are as unknown as any other.
    pub speaks_classic: bool,
    /// Whether somebody has a bytestream with it. From everybody else blocks are as unknown as anything, and not even read, which
    /// would take time.
    pub has_bytestream_with: &'a dyn Fn(&FullJid) -> bool,
}

/// What is to be done about a stanza.
#[derive(Debug)]
pub enum Decision {
    /// The secure core is to handle it, by way of its [`Bytestreams`](ibb::Bytestreams).
    ToSecure {
        /// Who sent it.
        from: FullJid,
        /// What it is.
        incoming: ibb::Incoming,
    },
    /// The classic core is to handle it.
    ToClassic {
        /// Who sent it.
        from: Jid,
        /// What it means to that core.
        incoming: classic_core::Incoming,
    },
    /// The classic core, where it is in use, is to know that a peer is alive, whatever else becomes of the stanza.
    SignOfLife {
        /// Who sent it.
        from: FullJid,
    },
    /// The account that it came to is to send this.
    Reply(Parcel),
}

/// The desk of all accounts. After [`handle`](Self::handle), [`poll`](Self::poll) has what is to be done.
#[derive(Debug)]
pub struct Desk {
    /// The ids of the classic protocol's IQs.
    sets: Ids,
    presences: Presences,
    plugins: Plugins,
    decisions: VecDeque<Decision>,
}

impl Desk {
    /// A desk whose IQ ids nobody can guess who does not know `key`, which should be random, and another in each process.
    pub fn new(key: &[u8; 32]) -> Self {
        let (presences, plugins) = (Presences::default(), Plugins::default());
        Self { sets: Ids::new(key), presences, plugins, decisions: VecDeque::new() }
    }

    /// Whether the accounts upload files, and say that they can.
    #[must_use]
    pub fn with_uploads(self, uploads: bool) -> Self {
        Self { plugins: Plugins { uploads, ..self.plugins }, ..self }
    }

    /// Whether the accounts use relays of their servers, and say that they can.
    #[must_use]
    pub fn with_relays(self, relays: bool) -> Self {
        Self { plugins: Plugins { relays, ..self.plugins }, ..self }
    }

    /// The stanza for what the classic core wants sent.
    pub fn classic(&self, transmit: classic_core::Transmit) -> Parcel {
        classic::stanza(transmit, &self.sets).into()
    }

    /// A stanza about a path of the secure core.
    pub fn secure(&self, transmit: ibb::Transmit) -> Parcel {
        ibb::parcel(transmit)
    }

    /// What goes before that stanza: our presence, where it asks somebody for the first time since our account was online. `random` makes
    /// its id.
    pub fn before(&mut self, transmit: &ibb::Transmit, random: impl FnOnce() -> u128) -> Option<Parcel> {
        if !matches!(transmit.stanza, ibb::Outgoing::Open { .. }) {
            return None;
        }
        let peer = transmit.to.to_bare();
        let is_first = self.presences.greet(transmit.via, peer.clone());
        is_first.then(|| persona::directed(peer, persona::new_id(random())).into())
    }

    /// The server knows an account as `jid` from now on.
    pub fn handle_online(&mut self, account: AccountId, jid: FullJid) {
        self.presences.on_online(account, jid);
    }

    /// An account is closed.
    pub fn handle_closed(&mut self, account: AccountId) {
        self.presences.on_closed(account);
    }

    /// A stanza has come to the account `to`. `random` makes the ids of what is sent of our own accord.
    pub fn handle(&mut self, arrival: Arrival, to: &Recipient<'_>, random: impl FnOnce() -> [u128; 2]) {
        match arrival {
            Arrival::Flat(Flat::Result { from, id }) => {
                let header = IqHeader { from: Some(from.into()), to: None, id };
                self.on_answer(header, IqPayload::Result(None), to);
            }
            Arrival::Flat(Flat::Set(set)) => self.on_flat_set(set, to),
            Arrival::Ping { from } => self.on_sign_of_life(&from, to),
            Arrival::Parsed(stanza) => match *stanza {
                Stanza::Iq(iq) => self.on_iq(iq, to, None),
                Stanza::Message(message) if to.speaks_classic => {
                    if let Some((from, incoming)) = classic::read_message(message) {
                        self.decide(Decision::ToClassic { from, incoming });
                    }
                }
                Stanza::Message(_) => {}
                Stanza::Presence(presence) => self.on_presence(&presence, to, random),
            },
        }
    }

    /// The next thing to be done about what has come.
    pub fn poll(&mut self) -> Option<Decision> {
        self.decisions.pop_front()
    }

    fn decide(&mut self, decision: Decision) {
        self.decisions.push_back(decision);
    }

    /// A block or a payload of the classic protocol, if it is one. A stranger's block has to take as long as anything unknown, so it
    /// goes the same way.
    fn on_flat_set(&mut self, set: FlatSet, to: &Recipient<'_>) {
        let has_bytestream = (to.has_bytestream_with)(&set.from);
        let block = if has_bytestream { ibb::Block::in_set(&set) } else { None };
        if let Some(block) = block {
            self.decide(Decision::ToSecure { from: set.from, incoming: block.with_id(set.id) });
        } else if to.speaks_classic
            && let Some(payload) = classic::read_flat_set(&set)
        {
            let incoming = classic_core::Incoming::Set { id: set.id, payload };
            self.decide(Decision::ToClassic { from: set.from.into(), incoming });
        } else if let Some(Stanza::Iq(iq)) = set.into_stanza() {
            self.on_iq(iq, to, Some(has_bytestream));
        }
    }

    /// Whether the sender has a bytestream is looked up once for each request, whatever it asks for, unless it is known.
    fn on_iq(&mut self, iq: Iq, to: &Recipient<'_>, has_bytestream: Option<bool>) {
        let (header, payload) = iq.split();
        match payload {
            IqPayload::Get(_) | IqPayload::Set(_) => {
                let full = header.from.clone().and_then(|from| from.try_into_full().ok());
                let look_up = || full.as_ref().is_some_and(to.has_bytestream_with);
                let has_bytestream = has_bytestream.unwrap_or_else(look_up);
                self.on_request((header, full), payload, to, has_bytestream);
            }
            IqPayload::Result(_) | IqPayload::Error(_) => self.on_answer(header, payload, to),
        }
    }

    /// Results and errors belong to whoever asked. A result that says something is none of the secure protocol's.
    fn on_answer(&mut self, header: IqHeader, payload: IqPayload, to: &Recipient<'_>) {
        let Some(from) = header.from else { return };
        let set = if to.speaks_classic { self.sets.read(&header.id).map(SetId) } else { None };
        let may_be_secure = set.is_none() && !matches!(payload, IqPayload::Result(Some(_)));
        if let Some(iq) = ibb::iq_of(&header.id).filter(|_| may_be_secure) {
            // A secure peer has a resource: whoever has none was not asked.
            if let Ok(from) = from.try_into_full() {
                self.decide(Decision::ToSecure { from, incoming: secure_answer(iq, &payload) });
            }
        } else if let Some(incoming) = classic::read_answer(set, payload) {
            self.decide(Decision::ToClassic { from, incoming });
        }
    }

    /// A request, from somebody with a resource if there is a full JID.
    fn on_request(
        &mut self,
        (header, full): (IqHeader, Option<FullJid>),
        payload: IqPayload,
        to: &Recipient<'_>,
        has_bytestream: bool,
    ) {
        if let IqPayload::Set(element) = &payload {
            if let (Some(from), Some(incoming)) = (&full, ibb::read_set(&header.id, element, has_bytestream))
            {
                return self.decide(Decision::ToSecure { from: from.clone(), incoming });
            }
            if to.speaks_classic
                && let (Some(from), Some(payload)) = (&header.from, classic::read_set(element))
            {
                let incoming = classic_core::Incoming::Set { id: header.id, payload };
                return self.decide(Decision::ToClassic { from: from.clone(), incoming });
            }
        }
        if let IqPayload::Get(element) | IqPayload::Set(element) = &payload
            && to.speaks_classic
            && classic::is_ours(element)
        {
            return;
        }
        self.on_other_request(full, &Iq::assemble(header, payload), to);
    }

    /// A request that is of no protocol of ours, from somebody with a resource or not.
    fn on_other_request(&mut self, from: Option<FullJid>, iq: &Iq, to: &Recipient<'_>) {
        if let Some(from) = from {
            self.on_sign_of_life(&from, to);
            if persona::refuses(iq, self.plugins) {
                // The core that refuses bytestreams refuses this, too: so nobody can tell the one from the other.
                let incoming = ibb::Incoming::Unknown { id: iq.id().to_owned() };
                return self.decide(Decision::ToSecure { from, incoming });
            }
        }
        if let Some(reply) = persona::reply_with(iq, self.plugins) {
            self.decide(Decision::Reply(Parcel::reply(reply)));
        }
    }

    /// Somebody is there, which matters to the classic core alone.
    fn on_sign_of_life(&mut self, from: &FullJid, to: &Recipient<'_>) {
        if to.speaks_classic {
            self.decide(Decision::SignOfLife { from: from.clone() });
        }
    }

    fn on_presence(&mut self, presence: &Presence, to: &Recipient<'_>, random: impl FnOnce() -> [u128; 2]) {
        if self.presences.is_own(to.account, presence) {
            self.presences.on_own(to.account, presence);
        } else if to.lets_in {
            let ids = ReplyIds::new(self.presences.last(to.account), random());
            let replies = persona::reply_to_presence(presence, ids);
            self.decisions.extend(replies.into_iter().map(|reply| Decision::Reply(Parcel::reply(reply))));
        }
    }
}

/// What a result or an error means to the secure core.
fn secure_answer(iq: Token, payload: &IqPayload) -> ibb::Incoming {
    match payload {
        IqPayload::Result(_) => ibb::Incoming::Result { iq },
        IqPayload::Error(error) if classic::is_nobody_reached(error) => ibb::Incoming::Unreachable { iq },
        IqPayload::Error(error) if classic::is_nobody_there(error) => ibb::Incoming::Undelivered { iq },
        _ => ibb::Incoming::Error { iq },
    }
}
