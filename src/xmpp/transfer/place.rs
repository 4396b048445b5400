//! Places of files: URLs that may be called, and whose they have to be.
//!
//! A URL comes from somebody else: an upload service, or a peer who says that it is from one. Whoever calls whatever he is told to is used
//! against others, so a place is at a host of the domain that is vouched for, or one that was listed; by HTTPS; and named, not numbered. The
//! addresses that the name has are looked at when they are dialled.

use std::net::IpAddr;

use thiserror::Error;

use crate::config::Url;

/// The longest URL, in bytes: 2048.
const MAX_URL: usize = 2048;

/// Hosts that may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Domains that are somebody's, with all that is below them.
    owned: Vec<String>,
    /// Machines that are.
    single: Vec<String>,
    listed: Vec<String>,
}

impl Hosts {
    /// All hosts that belong to the owner of one of these domains, as far as names show: those with the same last two labels, or three where
    /// two may be what many register below. A domain that is no host name has none.
    #[must_use]
    pub fn of_domains<'a>(domains: impl IntoIterator<Item = &'a str>) -> Self {
        let ascii = domains.into_iter().filter_map(|domain| idna::domain_to_ascii(domain).ok());
        let names = ascii.filter(|host| !host.is_empty() && !is_number(host));
        let owned = names.map(|host| owned(&host).to_owned());
        // A name of one label is a machine's, or has all the world below it.
        let (owned, single) = owned.partition(|domain| domain.contains('.'));
        Self { owned, single, listed: Vec::new() }
    }

    /// These hosts as well, by their whole names.
    #[must_use]
    pub fn and(mut self, listed: impl IntoIterator<Item = String>) -> Self {
        self.listed.extend(listed.into_iter().map(|host| host.to_ascii_lowercase()));
        self
    }

    /// Whether somebody has listed it by its whole name.
    fn list(&self, host: &str) -> bool {
        self.listed.iter().any(|listed| listed == without_dot(host))
    }

    fn contain(&self, host: &str) -> bool {
        let host = without_dot(host);
        let is_below = |domain: &String| {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let is_single = self.single.iter().any(|single| single == host);
        self.list(host) || is_single || self.owned.iter().any(is_below)
    }
}

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPlace {
    /// It is no URL of HTTPS, or has what none of a file has: a user, a fragment.
    #[error("the upload service names no place by https")]
    NotHttps,
    /// Its host is an address.
    #[error("the upload service names a place by an address, which may be anybody's")]
    Numbered,
    /// It is somebody else's.
    #[error("the upload service names a place at a host of somebody else")]
    Elsewhere,
}

/// A place that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    url: Url,
    is_listed: bool,
}

impl Place {
    /// The one at this URL, if it is at one of these hosts.
    ///
    /// # Errors
    ///
    /// It is not to be called.
    pub fn new(url: &str, hosts: &Hosts) -> Result<Self, BadPlace> {
        let url = Some(url).filter(|url| url.len() <= MAX_URL).and_then(Url::https);
        let mut url = url.ok_or(BadPlace::NotHttps)?;
        url.address.host.make_ascii_lowercase();
        if is_number(&url.address.host) {
            return Err(BadPlace::Numbered);
        }
        if !hosts.contain(&url.address.host) {
            return Err(BadPlace::Elsewhere);
        }
        let is_listed = hosts.list(&url.address.host);
        Ok(Self { url, is_listed })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether its host was listed: whoever did that knows where it is.
    pub(super) fn is_listed(&self) -> bool {
        self.is_listed
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

    fn judged(url: &str) -> Result<(), BadPlace> {
        let hosts =
            Hosts::of_domains(["chat.example.org", "bücher.example"]).and(["Files.Cdn.Example".to_owned()]);
        Place::new(url, &hosts).map(|_| ())
    }

    #[test]
    fn a_place_is_at_any_host_with_the_same_owner_or_at_one_that_is_listed() {
        for url in [
            "https://chat.example.org/a/b.jpg",
            "https://example.org/",
            "https://UPLOAD.Example.ORG:5443/upload/x?y=z",
            "https://a.b.upload.example.org./x",
            "https://share.xn--bcher-kva.example/x",
            "https://files.cdn.example/x",
        ] {
            assert_eq!(judged(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn only_who_is_listed_by_the_whole_name_may_be_in_a_network_of_ones_own() {
        let hosts = Hosts::of_domains(["chat.example.org"]).and(["files.example.org".to_owned()]);
        let is_listed = |url: &str| Place::new(url, &hosts).unwrap().is_listed();
        assert!(is_listed("https://FILES.example.org./x") && !is_listed("https://upload.example.org/x"));
        assert!(!is_listed("https://a.files.example.org/x"));
        let machine = Hosts::of_domains(["printer"]);
        assert!(!Place::new("https://printer/x", &machine).unwrap().is_listed());
    }

    #[test]
    fn what_many_register_below_is_nobodys() {
        let judged = |domain: &str, host: &str| {
            Place::new(&format!("https://{host}/"), &Hosts::of_domains([domain])).map(|_| ())
        };
        for (domain, host) in [
            ("example.co.uk", "upload.example.co.uk"),
            ("chat.example.com.au", "upload.example.com.au"),
            ("abc.im", "upload.abc.im"),
            ("chat.example.de", "upload.example.de"),
        ] {
            assert_eq!(judged(domain, host), Ok(()), "{host}");
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
    fn a_place_at_anybody_elses_host_is_not_called() {
        for url in [
            "https://example.com/",
            "https://badexample.org/",
            "https://org/",
            "https://example.org.evil.example/",
            "https://cdn.example/",
            "https://x.files.cdn.example/",
            "https://localhost/",
        ] {
            assert_eq!(judged(url), Err(BadPlace::Elsewhere), "{url}");
        }
    }

    #[test]
    fn an_address_is_not_called_however_it_is_written() {
        let addresses = [
            "127.0.0.1",
            "[::1]",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7F.0x1",
            "10.0.0.1.",
            "[::ffff:10.0.0.1]",
        ];
        for host in addresses {
            let domains = Hosts::of_domains([host.trim_matches(['[', ']'])]);
            let place = Place::new(&format!("https://{host}/"), &domains);
            assert_eq!(place, Err(BadPlace::Numbered), "{host}");
        }
    }

    #[test]
    fn only_https_is_called_and_nothing_with_a_user_or_a_fragment() {
        let long = format!("https://chat.example.org/{}", "a".repeat(MAX_URL));
        for url in [
            "http://chat.example.org/",
            "ftp://chat.example.org/",
            "file:///etc/passwd",
            "https://user@chat.example.org/",
            "https://chat.example.org/#x",
            "https://chat.example.org/ HTTP/1.1\r\nHost: x",
            "//chat.example.org/",
            "",
            &long,
        ] {
            assert_eq!(judged(url), Err(BadPlace::NotHttps), "{url}");
        }
    }

    #[test]
    fn who_has_no_domain_has_no_hosts() {
        for domain in ["", "192.0.2.1", "2001:db8::1", "a b"] {
            let hosts = Hosts::of_domains([domain]);
            assert_eq!(
                Place::new("https://chat.example.org/", &hosts),
                Err(BadPlace::Elsewhere),
                "{domain:?}"
            );
        }
        assert!(Place::new("https://intranet/x", &Hosts::of_domains(["intranet"])).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_called_is_a_host_of_that_domain(url in "(https|http)://[a-z0-9.@:\\[\\]/-]{0,12}(example\\.org)?[.:/@a-z0-9]{0,6}") {
            let place = Place::new(&url, &Hosts::of_domains(["example.org"]));
            if let Ok(Place { url, .. }) = place {
                let host = url.address.host.trim_end_matches('.');
                prop_assert!(url.secure && (host == "example.org" || host.ends_with(".example.org")), "{}", host);
            }
        }
    }
}
