//! Presumed resource: what was sent behind the request for it, until the server has answered. Pure.
//!
//! A server handles stanzas in order, so if it gives us that resource it has handled them in our name. If it does not, nobody knows what
//! became of them. So nothing is reported of them before that answer.

use xmpp_parsers::jid::FullJid;

/// A request for a resource that is not answered, and is not waited for.
pub(super) struct Presumption {
    jid: FullJid,
    /// The tags of the stanzas that have been written since.
    written: Vec<u64>,
}

impl Presumption {
    /// As whom the server is to know us.
    pub(super) fn new(jid: FullJid) -> Self {
        Self { jid, written: Vec::new() }
    }

    pub(super) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// The stanzas with these tags are written.
    pub(super) fn on_written(&mut self, tags: impl Iterator<Item = u64>) {
        self.written.extend(tags);
    }

    /// It is over: the tags of the stanzas that are written.
    pub(super) fn into_written(self) -> Vec<u64> {
        self.written
    }
}
