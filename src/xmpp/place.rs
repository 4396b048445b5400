//! Places: hosts and ports that may be called though somebody else has named them, and whose they have to be.
//!
//! A place comes from a server, or from a peer who says that it is from one. Whoever calls all that he is told to can be used against
//! others. So a place has to be at a host of the domain that its server vouches for, or at one that was listed; and it has to have a name,
//! unless its address was listed. The addresses that a name has are looked at when they are dialled.

mod addresses;

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use super::dialer::Dialer;
use crate::config::ServerAddr;

/// Hosts that may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Domains that their owners have registered: all hosts below them may be called.
    owned: Vec<String>,
    /// Domains of one label: machines, with nothing below them.
    single: Vec<String>,
    /// Whole names that were listed.
    listed: Vec<String>,
    listed_addresses: Vec<IpAddr>,
}

impl Hosts {
    /// All hosts that belong to the owner of one of these domains, as far as names show: those with the same last two labels, or three
    /// where two may be what many register below. A domain that is no host name has none.
    #[must_use]
    pub fn of_domains<'a>(domains: impl IntoIterator<Item = &'a str>) -> Self {
        let ascii = domains.into_iter().filter_map(|domain| idna::domain_to_ascii(domain).ok());
        let names = ascii.filter(|host| !host.is_empty() && !is_number(host));
        let owned = names.map(|host| owned(&host).to_owned());
        // A name of one label is a machine's, or has all the world below it.
        let (owned, single) = owned.partition(|domain| domain.contains('.'));
        Self { owned, single, ..Self::default() }
    }

    /// These hosts as well, by their whole names, or by their addresses.
    #[must_use]
    pub fn and(mut self, listed: impl IntoIterator<Item = String>) -> Self {
        for host in listed {
            match host.parse::<IpAddr>() {
                Ok(address) => self.listed_addresses.push(address.to_canonical()),
                Err(_) => self.listed.push(host.to_ascii_lowercase()),
            }
        }
        self
    }

    /// Whether somebody has listed it by its whole name, or its address.
    fn lists(&self, host: &str) -> bool {
        let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
        let is_listed = |address| self.listed_addresses.contains(&address);
        address.is_ok_and(is_listed) || self.listed.iter().any(|listed| listed == without_dot(host))
    }

    fn contains(&self, host: &str) -> bool {
        let host = without_dot(host);
        let is_below = |domain: &String| {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.single.iter().any(|single| single == host) || self.owned.iter().any(is_below)
    }
}

/// Why a place is not called. The text goes on behind who has named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPlace {
    /// Its host is an address, which nobody has listed.
    #[error("names a place by an address, which may be anybody's")]
    Numbered,
    /// Its host is somebody else's.
    #[error("names a place at a host of somebody else")]
    Elsewhere,
}

impl BadPlace {
    /// What helps.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Numbered => "if you trust it, add the address to hosts in [lanes]",
            Self::Elsewhere => "if you trust it, add the host to hosts in [lanes]",
        }
    }
}

/// A place that may be called.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    address: ServerAddr,
    is_listed: bool,
}

impl fmt::Debug for Place {
    /// Not where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("is_listed", &self.is_listed).finish_non_exhaustive()
    }
}

impl Place {
    /// The one at this host and port, if that is one of these hosts. An address of IPv6 is without brackets.
    ///
    /// # Errors
    ///
    /// It is not to be called.
    pub fn new(host: &str, port: u16, hosts: &Hosts) -> Result<Self, BadPlace> {
        let host = host.to_ascii_lowercase();
        let is_listed = hosts.lists(&host);
        if !is_listed && is_number(&host) {
            return Err(BadPlace::Numbered);
        }
        if !is_listed && !hosts.contains(&host) {
            return Err(BadPlace::Elsewhere);
        }
        Ok(Self { address: ServerAddr { host, port }, is_listed })
    }

    /// Its host and port.
    pub(super) fn address(&self) -> &ServerAddr {
        &self.address
    }
}

/// Which addresses are dialled. Where names are somebody else's to look up, that one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Those of the Internet, none of this machine or of a network around it, but for hosts that were listed.
    Public,
    /// All.
    Anywhere,
}

/// Dials places, at the addresses that a [`Reach`] allows.
#[derive(Clone, Debug)]
pub struct PlaceDialer {
    dialer: Dialer,
    /// Reaches what was listed: whoever did that knows where it is.
    unbounded: Dialer,
}

impl PlaceDialer {
    /// Dials by this dialer, no further than `reach`, but for places that were listed.
    pub fn new(dialer: &Dialer, reach: Reach) -> Self {
        let unbounded = dialer.clone();
        let dialer = match reach {
            Reach::Public => dialer.only_to(addresses::is_public),
            Reach::Anywhere => dialer.clone(),
        };
        Self { dialer, unbounded }
    }

    /// What dials that place.
    pub(super) fn to(&self, place: &Place) -> &Dialer {
        if place.is_listed { &self.unbounded } else { &self.dialer }
    }
}

/// The domain that somebody has registered to have this host: its last two labels, but three where the last has two letters, and the one
/// before at most three, as in `example.co.uk`. So of `chat.abc.de` it is that itself, which costs nothing but a host to be listed.
fn owned(host: &str) -> &str {
    let host = without_dot(host);
    let mut from_last = host.rsplit('.');
    let top = from_last.next().map_or(0, str::len);
    let is_shared = top == 2 && from_last.next().is_some_and(|second| second.len() <= 3);
    let labels = if is_shared { 3 } else { 2 };
    host.rmatch_indices('.').nth(labels - 1).map_or(host, |(dot, _)| &host[dot + 1..])
}

fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Whether it is an address, or what some systems take for one: `127.1`, `0x7f000001`.
fn is_number(host: &str) -> bool {
    let host = without_dot(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_hex =
        last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_decimal = last.bytes().all(|byte| byte.is_ascii_digit());
    is_hex || is_decimal || host.contains(':') || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;

    use super::*;

    fn judged(host: &str, hosts: &Hosts) -> Result<bool, BadPlace> {
        Place::new(host, 7777, hosts).map(|place| place.is_listed)
    }

    #[test]
    fn a_place_is_at_any_host_with_the_same_owner() {
        let hosts = Hosts::of_domains(["chat.example.org", "bücher.example"]);
        for host in [
            "chat.example.org",
            "example.org",
            "PROXY.Example.ORG",
            "a.b.example.org.",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(judged(host, &hosts), Ok(false), "{host}");
        }
        for host in
            ["example.com", "badexample.org", "org", "example.org.evil.example", "localhost", "a b", "", "*"]
        {
            assert!(judged(host, &hosts).is_err(), "{host}");
        }
    }

    #[test]
    fn only_who_is_listed_by_the_whole_name_may_be_in_a_network_of_ones_own() {
        let hosts = Hosts::of_domains(["chat.example.org"]).and(["files.example.org".to_owned()]);
        let is_listed = |host: &str| judged(host, &hosts).unwrap();
        assert!(is_listed("FILES.example.org.") && !is_listed("upload.example.org"));
        assert!(!is_listed("a.files.example.org"));
        assert_eq!(judged("printer", &Hosts::of_domains(["printer"])), Ok(false));
    }

    #[test]
    fn an_address_is_called_only_where_it_is_listed_however_it_is_written() {
        let listed = ["192.0.2.7", "2001:db8::7"].map(str::to_owned);
        let hosts = Hosts::of_domains(["192.0.2.1", "chat.example.org"]).and(listed);
        for host in ["192.0.2.7", "2001:DB8::7", "2001:db8:0:0::7", "::ffff:192.0.2.7"] {
            assert_eq!(judged(host, &hosts), Ok(true), "{host}");
        }
        for host in
            ["192.0.2.1", "192.0.2.8", "192.0.2.7.", "2001:db8::8", "127.1", "0x7f000001", "[2001:db8::7]"]
        {
            assert_eq!(judged(host, &hosts), Err(BadPlace::Numbered), "{host}");
        }
        assert!(BadPlace::Numbered.advice().contains("add the address"));
    }

    #[test]
    fn what_many_register_below_is_nobodys() {
        let judged = |domain: &str, host: &str| judged(host, &Hosts::of_domains([domain]));
        for (domain, host) in [
            ("example.co.uk", "upload.example.co.uk"),
            ("chat.example.com.au", "upload.example.com.au"),
            ("abc.im", "upload.abc.im"),
            ("chat.example.de", "upload.example.de"),
        ] {
            assert_eq!(judged(domain, host), Ok(false), "{host}");
        }
        for (domain, host) in [
            ("example.co.uk", "evil.co.uk"),
            ("chat.example.com.au", "evil.com.au"),
            ("chat.abc.im", "upload.abc.im"),
            ("org", "example.org"),
        ] {
            assert_eq!(judged(domain, host), Err(BadPlace::Elsewhere), "{host}");
        }
    }

    #[test]
    fn who_has_no_domain_has_no_hosts() {
        for domain in ["", "192.0.2.1", "2001:db8::1", "a b"] {
            let hosts = Hosts::of_domains([domain]);
            assert_eq!(judged("chat.example.org", &hosts), Err(BadPlace::Elsewhere), "{domain:?}");
        }
        assert_eq!(judged("intranet", &Hosts::of_domains(["intranet"])), Ok(false));
    }

    #[test]
    fn where_a_place_is_is_not_shown() {
        let place = Place::new("proxy.example.org", 7777, &Hosts::of_domains(["example.org"])).unwrap();
        assert_eq!(format!("{place:?}"), "Place { is_listed: false, .. }");
    }

    proptest! {
        #[test]
        fn whatever_is_called_is_a_host_of_that_domain(host in "[a-z0-9.:-]{0,12}(example\\.org)?[.a-z0-9]{0,6}") {
            if let Ok(place) = Place::new(&host, 1, &Hosts::of_domains(["example.org"])) {
                let host = place.address.host.trim_end_matches('.');
                prop_assert!(host == "example.org" || host.ends_with(".example.org"), "{}", host);
            }
        }
    }
}
