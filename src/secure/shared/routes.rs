//! Routes: whose a path is, and about which path an answer.

use std::collections::BTreeMap;

use crate::secure::delivery::{Delivery, Token};
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::path::Path;

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
    owners: BTreeMap<PathId, Owner>,
    /// By its token, the path that something of ours went by.
    deliveries: BTreeMap<Token, (PathId, Delivery)>,
}

impl Routes {
    /// A path is there.
    pub(crate) fn add(&mut self, path: PathId, owner: Owner) {
        self.owners.insert(path, owner);
    }

    /// A path is no more, and nobody waits for answers about it.
    pub(crate) fn remove(&mut self, path: &Path) {
        self.owners.remove(&path.id());
        path.outstanding().for_each(|delivery| {
            self.deliveries.remove(&delivery.token);
        });
    }

    /// Something goes by a path.
    pub(crate) fn expect(&mut self, path: PathId, delivery: Delivery) {
        self.deliveries.insert(delivery.token, (path, delivery));
    }

    /// Whose path it is.
    pub(crate) fn owner(&self, path: PathId) -> Option<Owner> {
        self.owners.get(&path).copied()
    }

    /// What an answer is about, and the path that it went by, if there is such a thing.
    pub(crate) fn asked(&self, token: Token) -> Option<(PathId, Delivery)> {
        self.deliveries.get(&token).copied()
    }

    /// Something was answered.
    pub(crate) fn on_answered(&mut self, token: Token) {
        self.deliveries.remove(&token);
    }

    /// How many things are written down.
    pub(crate) fn entries(&self) -> usize {
        self.owners.len() + self.deliveries.len()
    }
}
