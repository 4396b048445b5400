//! Places of files: URLs of HTTPS, at a [place](crate::xmpp::place) that may be called.

use thiserror::Error;

use crate::config::Url;
use crate::xmpp::place::{BadPlace, Hosts, Place};

/// The longest URL, in bytes: 2048.
const MAX_URL: usize = 2048;

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadFilePlace {
    /// It is no URL of HTTPS, or has what none of a file has: a user, a fragment.
    #[error("the upload service names no place by https")]
    NotHttps,
    /// Its host is not to be called.
    #[error("the upload service {0}")]
    Host(#[from] BadPlace),
}

/// A place of a file that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlace {
    url: Url,
    place: Place,
}

impl FilePlace {
    /// The one at this URL, if it is at one of these hosts.
    ///
    /// # Errors
    ///
    /// It is not to be called.
    pub fn new(url: &str, hosts: &Hosts) -> Result<Self, BadFilePlace> {
        let url = Some(url).filter(|url| url.len() <= MAX_URL).and_then(Url::https);
        let mut url = url.ok_or(BadFilePlace::NotHttps)?;
        url.address.host.make_ascii_lowercase();
        let place = Place::new(&url.address.host, url.address.port, hosts)?;
        Ok(Self { url, place })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;

    use super::*;

    fn judged(url: &str) -> Result<(), BadFilePlace> {
        let hosts =
            Hosts::of_domains(["chat.example.org", "bücher.example"]).and(["Files.Cdn.Example".to_owned()]);
        FilePlace::new(url, &hosts).map(|_| ())
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
            assert_eq!(judged(url), Err(BadPlace::Elsewhere.into()), "{url}");
        }
    }

    #[test]
    fn an_address_is_not_called_however_it_is_written_unless_it_is_listed() {
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
            let place = FilePlace::new(&format!("https://{host}/"), &domains);
            assert_eq!(place, Err(BadPlace::Numbered.into()), "{host}");
        }
        let listed = Hosts::default().and(["::1".to_owned()]);
        assert!(FilePlace::new("https://[::1]:5443/", &listed).is_ok());
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
            assert_eq!(judged(url), Err(BadFilePlace::NotHttps), "{url}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_called_is_a_host_of_that_domain(url in "(https|http)://[a-z0-9.@:\\[\\]/-]{0,12}(example\\.org)?[.:/@a-z0-9]{0,6}") {
            let place = FilePlace::new(&url, &Hosts::of_domains(["example.org"]));
            if let Ok(FilePlace { url, .. }) = place {
                let host = url.address.host.trim_end_matches('.');
                prop_assert!(url.secure && (host == "example.org" || host.ends_with(".example.org")), "{}", host);
            }
        }
    }
}
