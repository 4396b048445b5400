//! Settings of the lane: how upload services are reached, and which hosts may be called. Pure.

use std::fmt;
use std::path::PathBuf;

use crate::carrier::upload::service::Service;
use crate::config::DailyFiles;
use crate::xmpp::place::{Hosts, Reach};
use crate::xmpp::transfer::file_place::BadFilePlace;
use crate::xmpp::{Dialer, Uploader};

/// How a tunnel's sessions may use files.
#[derive(Clone)]
pub struct FileLane {
    dialer: Dialer,
    /// Hosts that may be called beside those that follow from accounts.
    listed: Vec<String>,
    /// On a bridge, further authorities that are trusted.
    ca_files: Option<Vec<PathBuf>>,
}

/// What is dialled, and who is believed: the same for all transfers that share connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reached {
    pub(super) ca_files: Vec<PathBuf>,
    pub(super) reach: Reach,
}

impl fmt::Debug for FileLane {
    /// Which end's it is, and no hosts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLane").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

impl FileLane {
    /// A client's: by this dialer it calls the upload services of its accounts' servers, and these hosts.
    pub fn of_client(dialer: Dialer, hosts: Vec<String>) -> Self {
        Self { dialer, listed: hosts, ca_files: None }
    }

    /// A bridge's: by this dialer it calls those of its clients' servers, and these hosts, and believes the authorities in these files.
    pub fn of_bridge(dialer: Dialer, hosts: Vec<String>, ca_files: Vec<PathBuf>) -> Self {
        Self { dialer, listed: hosts, ca_files: Some(ca_files) }
    }

    /// A client's accounts ask for slots.
    pub(crate) fn looks_for_services(&self) -> bool {
        self.ca_files.is_none()
    }

    pub(super) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The hosts of whoever owns these domains, and those that are listed.
    pub(super) fn hosts_of<'a>(&self, domains: impl IntoIterator<Item = &'a str>) -> Hosts {
        Hosts::of_domains(domains).and(self.listed.iter().cloned())
    }

    /// What a bridge dials for its clients, whoever they are: nothing of its own network.
    pub(super) fn reach_of_clients(&self) -> Reached {
        Reached { ca_files: self.ca_files.clone().unwrap_or_default(), reach: Reach::Public }
    }
}

/// What a client dials for its own account: where the server is one's own, the service may be on this machine or in this network.
pub(super) fn reach_of_own(account: Option<&Uploader>) -> Reached {
    let is_own = account.is_some_and(|account| account.daily == DailyFiles::Unbounded);
    let ca_files = account.and_then(|account| account.ca_file.clone()).into_iter().collect();
    Reached { ca_files, reach: if is_own { Reach::Anywhere } else { Reach::Public } }
}

/// What the log says of the service of an account's server.
pub(super) fn news(service: Option<&Service>) -> String {
    match service.map(|service| service.max_file_size) {
        None => "its server takes no files".to_owned(),
        Some(None) => "its server takes files".to_owned(),
        Some(Some(bytes)) => format!("its server takes files (up to {})", in_units(bytes)),
    }
}

fn in_units(bytes: u64) -> String {
    match bytes {
        ..1_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// Why a place is not called, and what helps.
pub(super) fn advised(error: BadFilePlace) -> impl fmt::Display {
    match error {
        BadFilePlace::Host(host) => format!("{error}: {}", host.advice()),
        BadFilePlace::NotHttps => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use xmpp_parsers::jid::Jid;

    use super::*;
    use crate::xmpp::place::BadPlace;

    fn uploader(daily: DailyFiles) -> Uploader {
        let name = "alice@chat.example".parse().unwrap();
        Uploader { name, ca_file: Some("/ca.pem".into()), daily }
    }

    #[test]
    fn a_client_dials_its_own_network_for_its_own_server_alone_and_a_bridge_never() {
        let reach = |daily| reach_of_own(Some(&uploader(daily))).reach;
        assert_eq!(reach(DailyFiles::Unbounded), Reach::Anywhere);
        assert_eq!(reach(DailyFiles::AsServerSays), Reach::Public);
        assert_eq!(reach_of_own(None), Reached { ca_files: Vec::new(), reach: Reach::Public });
        let bridge = FileLane::of_bridge(Dialer::direct(), Vec::new(), vec!["/ca.pem".into()]);
        assert_eq!(bridge.reach_of_clients().reach, Reach::Public);
        assert!(!bridge.looks_for_services());
    }

    #[test]
    fn the_log_says_which_files_a_server_takes() {
        let service =
            |max_file_size| Service { jid: Jid::new("upload.chat.example").unwrap(), max_file_size };
        assert_eq!(news(None), "its server takes no files");
        assert_eq!(news(Some(&service(None))), "its server takes files");
        assert_eq!(news(Some(&service(Some(10 << 20)))), "its server takes files (up to 10 MB)");
        assert_eq!(news(Some(&service(Some(500_000)))), "its server takes files (up to 500 kB)");
    }

    #[test]
    fn a_host_of_somebody_else_can_be_listed_and_the_log_says_so() {
        for (bad, advice) in [
            (BadPlace::Elsewhere, "add the host to hosts in [lanes]"),
            (BadPlace::Numbered, "add the address to hosts in [lanes]"),
        ] {
            assert!(advised(bad.into()).to_string().ends_with(advice));
        }
    }
}
