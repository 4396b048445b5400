//! Web page on which a server registers accounts, as the server names it. Pure.

use std::fmt;

/// The most bytes of its URL: 300, several times what servers have.
const MOST: usize = 300;

/// The URL of a web page, safe to be shown on a terminal. It names the server.
#[derive(Clone, PartialEq, Eq)]
pub struct WebPage(String);

impl WebPage {
    /// The page at this URL, unless it is longer than anyone needs, or not one of the web, or has a character that no URL has (RFC 3986).
    #[must_use]
    pub fn new(url: &str) -> Option<Self> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://")?;
        let is_of_web = ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let has_host = rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
        let is_url = url.bytes().all(|byte| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte));
        (is_of_web && has_host && is_url && url.len() <= MOST).then(|| Self(url.to_owned()))
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebPage {
    /// Nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebPage(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_web_is_one() {
        for url in [
            "https://chat.example/register",
            "http://[2001:db8::1]:8080/",
            "HTTPS://xn--bcher-kva.example/?a=%20#b",
        ] {
            let page = WebPage::new(&format!(" {url}\n"));
            assert_eq!(page.as_ref().map(WebPage::url), Some(url));
            assert!(!format!("{page:?}").contains("example"));
        }
    }

    #[test]
    fn what_could_mislead_whoever_reads_a_log_is_none() {
        let long = format!("https://chat.example/{}", "x".repeat(MOST));
        for url in [
            "",
            "register",
            "https:/chat.example",
            "https://",
            "https:///etc",
            "javascript://chat.example/%0aalert(1)",
            "xmpp://chat.example",
            "file://chat.example/etc",
            "https://chat.example/a b",
            "https://chat.example/\u{1b}[31m",
            "https://chat.example/\r\nok",
            "https://chat.example/\"; all is well",
            "https://ch\u{430}t.example/",
            "https://\u{202e}elpmaxe.tahc/",
            &long,
        ] {
            assert_eq!(WebPage::new(url), None, "{url:?}");
        }
    }
}
