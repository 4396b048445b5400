//! Settings of relays: how proxies are reached, and which hosts may be called. Pure.

use std::fmt;

use crate::secure::wire::relay_frame::Rendezvous;
use crate::xmpp::Dialer;
use crate::xmpp::place::{BadPlace, Hosts, Place, PlaceDialer, Reach};

/// How a tunnel's sessions may use relays.
#[derive(Clone)]
pub struct RelayLane {
    dialer: Dialer,
    /// Hosts that may be called beside those that follow from accounts.
    listed: Vec<String>,
    is_client: bool,
}

impl fmt::Debug for RelayLane {
    /// Which end's it is, and no hosts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dialer, is_client) = (&self.dialer, self.is_client);
        f.debug_struct("RelayLane")
            .field("dialer", dialer)
            .field("is_client", &is_client)
            .finish_non_exhaustive()
    }
}

impl RelayLane {
    /// A client's: by this dialer it calls the proxies of its accounts' servers, and these hosts.
    pub fn of_client(dialer: Dialer, hosts: Vec<String>) -> Self {
        Self { dialer, listed: hosts, is_client: true }
    }

    /// A bridge's: by this dialer it calls those of its clients' servers, and these hosts.
    pub fn of_bridge(dialer: Dialer, hosts: Vec<String>) -> Self {
        Self { dialer, listed: hosts, is_client: false }
    }

    /// Whether accounts ask their servers for a proxy: those of a client do.
    pub fn looks_for_proxies(&self) -> bool {
        self.is_client
    }

    /// The place of a proxy whose server is at this domain, if it may be called.
    pub(super) fn place(&self, rendezvous: &Rendezvous, domain: &str) -> Result<Place, BadPlace> {
        let hosts = Hosts::of_domains([domain]).and(self.listed.iter().cloned());
        Place::new(rendezvous.host(), rendezvous.port(), &hosts)
    }

    /// What dials such a place.
    pub(super) fn dialer(&self, reach: Reach) -> PlaceDialer {
        PlaceDialer::new(&self.dialer, reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_looks_for_proxies_and_a_bridge_is_told_of_them() {
        assert!(RelayLane::of_client(Dialer::direct(), Vec::new()).looks_for_proxies());
        assert!(!RelayLane::of_bridge(Dialer::direct(), Vec::new()).looks_for_proxies());
    }

    #[test]
    fn neither_listed_hosts_nor_anything_of_the_dialer_is_shown() {
        let lane = RelayLane::of_client(Dialer::direct(), vec!["relay.cdn.example".to_owned()]);
        let shown = format!("{lane:?}");
        assert!(shown.contains("is_client: true") && !shown.contains("cdn"), "{shown}");
    }
}
