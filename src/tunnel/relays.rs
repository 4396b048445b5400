//! Relays: settings of the lane by which sessions go through the proxy of the client's server (XEP-0065). Pure.

use std::fmt;

use crate::xmpp::Dialer;
use crate::xmpp::place::Hosts;

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

    /// A client's accounts ask where proxies are.
    pub fn looks_for_proxies(&self) -> bool {
        self.is_client
    }

    /// By which connections to proxies are made.
    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The hosts of whoever owns these domains, and those that are listed.
    pub fn hosts_of<'a>(&self, domains: impl IntoIterator<Item = &'a str>) -> Hosts {
        Hosts::of_domains(domains).and(self.listed.iter().cloned())
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
