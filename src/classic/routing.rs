//! Routing table: which connection a stanza belongs to.
//!
//! The protocol document keys its routing table by (local address, the peer's set of aliases, remote
//! address). Here the aliases select a [`Link`], and the addresses one of the link's streams.

use std::collections::BTreeMap;
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::classic::link::Link;
use crate::classic::stanza::{Aliases, Header};
use crate::protocol::{AccountId, Address, StreamId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkId(u64);

#[derive(Debug, Default)]
pub(super) struct RoutingTable {
    links: BTreeMap<LinkId, Link>,
    by_alias: BTreeMap<FullJid, Vec<LinkId>>,
    routes: BTreeMap<RouteKey, StreamId>,
    next_link: u64,
}

/// A link, our end, the peer's end.
type RouteKey = (LinkId, Address, Address);

impl RoutingTable {
    pub(super) fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    pub(super) fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(&id, link)| (id, link))
    }

    /// The link between these accounts and these aliases, made if there is none.
    pub(super) fn link_between(
        &mut self,
        now: Instant,
        accounts: &[AccountId],
        ours: &Aliases,
        theirs: &Aliases,
    ) -> LinkId {
        let known = self.candidates(theirs.iter().next()).find(|id| {
            let link = self.links.get(id);
            link.is_some_and(|link| link.ours == *ours && link.theirs == *theirs && link.accounts == accounts)
        });
        known
            .unwrap_or_else(|| self.add_link(Link::new(now, accounts.to_vec(), ours.clone(), theirs.clone())))
    }

    fn candidates(&self, alias: Option<&FullJid>) -> impl Iterator<Item = LinkId> {
        alias.and_then(|alias| self.by_alias.get(alias)).into_iter().flatten().copied()
    }

    fn add_link(&mut self, link: Link) -> LinkId {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        for alias in link.theirs.iter() {
            self.by_alias.entry(alias.clone()).or_default().push(id);
        }
        self.links.insert(id, link);
        id
    }

    fn remove_link(&mut self, id: LinkId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        for alias in link.theirs.iter() {
            if let Some(ids) = self.by_alias.get_mut(alias) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_alias.remove(alias);
                }
            }
        }
        Some(link)
    }

    /// The links over which `from` can write to our account `via`.
    pub(super) fn links_from(&self, via: AccountId, from: &FullJid) -> Vec<LinkId> {
        let reaches = |id: &LinkId| self.links.get(id).is_some_and(|link| link.accounts.contains(&via));
        self.candidates(Some(from)).filter(reaches).collect()
    }

    /// The stream of a stanza that `from` sent to our account `via`, if `from` is one of the aliases
    /// that it was opened with.
    pub(super) fn lookup(&self, via: AccountId, from: &FullJid, header: Header) -> Option<StreamId> {
        let Header { local, remote, aliases } = header;
        let mut key = (LinkId(0), remote, local);
        for link in self.links_from(via, from) {
            if self.links.get(&link).is_some_and(|link| link.theirs == aliases) {
                key.0 = link;
                if let Some(stream) = self.routes.get(&key) {
                    return Some(*stream);
                }
            }
        }
        None
    }

    pub(super) fn add_route(&mut self, link: LinkId, local: Address, remote: Address, stream: StreamId) {
        if self.routes.insert((link, local, remote), stream).is_none()
            && let Some(link) = self.links.get_mut(&link)
        {
            link.streams += 1;
        }
    }

    /// Removes a route; when it was its link's last one, the link is returned and gone too.
    pub(super) fn remove_route(&mut self, link: LinkId, local: &Address, remote: &Address) -> Option<Link> {
        self.routes.remove(&(link, local.clone(), remote.clone()))?;
        let entry = self.links.get_mut(&link)?;
        entry.streams -= 1;
        if entry.streams == 0 { self.remove_link(link) } else { None }
    }

    /// The streams of a link.
    pub(super) fn streams_of(&self, link: LinkId) -> Vec<StreamId> {
        self.routes.iter().filter(|((id, ..), _)| *id == link).map(|(_, &stream)| stream).collect()
    }
}
