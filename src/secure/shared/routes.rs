//! Routes: to which path a stanza belongs, and to which session a path.

use std::collections::BTreeMap;

use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::iq::{Iq, IqId};
use crate::secure::path::Path;

/// By what a block is told from others: the account it came to, who sent it, and the bytestream's id.
type Bytestream = (AccountId, FullJid, String);

/// Whose a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nobody's yet, on a bridge: no handshake has come by it.
    Guest,
    Session(SessionKey),
}

/// All paths, and what is on its way by them.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    bytestreams: BTreeMap<Bytestream, PathId>,
    owners: BTreeMap<PathId, Owner>,
    /// Which path an answer is about, and which of our IQs it answers.
    iqs: BTreeMap<IqId, (PathId, Iq)>,
}

impl Routes {
    /// A path is there.
    pub(crate) fn add(&mut self, path: &Path, owner: Owner) {
        self.bytestreams.insert(key_of(path), path.id());
        self.owners.insert(path.id(), owner);
    }

    /// A path is no more, and nobody waits for answers about it.
    pub(crate) fn remove(&mut self, path: &Path) {
        self.bytestreams.remove(&key_of(path));
        self.owners.remove(&path.id());
        path.outstanding().for_each(|iq| {
            self.iqs.remove(&iq.id);
        });
    }

    /// An IQ goes by a path.
    pub(crate) fn expect(&mut self, path: PathId, iq: Iq) {
        self.iqs.insert(iq.id, (path, iq));
    }

    /// Whose path it is.
    pub(crate) fn owner(&self, path: PathId) -> Option<Owner> {
        self.owners.get(&path).copied()
    }

    /// The path of a bytestream.
    pub(crate) fn path_of(&self, via: AccountId, from: &FullJid, sid: String) -> Option<PathId> {
        self.bytestreams.get(&(via, from.clone(), sid)).copied()
    }

    /// Whether somebody has any bytestream with our account.
    pub(crate) fn has_bytestream_with(&self, via: AccountId, from: &FullJid) -> bool {
        let mut next = self.bytestreams.range((via, from.clone(), String::new())..);
        next.next().is_some_and(|((at, peer, _), _)| *at == via && peer == from)
    }

    /// The path and the IQ that an answer is about, if there is one.
    pub(crate) fn asked(&self, id: IqId) -> Option<(PathId, Iq)> {
        self.iqs.get(&id).copied()
    }

    /// An IQ was answered.
    pub(crate) fn on_answered(&mut self, id: IqId) {
        self.iqs.remove(&id);
    }

    /// How many things are written down.
    pub(crate) fn entries(&self) -> usize {
        self.owners.len() + self.bytestreams.len() + self.iqs.len()
    }
}

fn key_of(path: &Path) -> Bytestream {
    (path.via(), path.peer().clone(), path.credential().to_string())
}
