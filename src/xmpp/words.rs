//! Words of a server beside an error, or the web page that it names, for people who read a log that shows private things. Pure.

use std::fmt;

use safelog::{Redactable, Redacted, sensitive};
use xmpp_parsers::minidom::Element;

use super::registration::WebPage;

/// The most that is kept of them: 200 characters, several times what Prosody and ejabberd have to say.
const MOST: usize = 200;

/// What a server wrote beside an error, if it did.
///
/// It can name an address, an account or a host, so that a log shows that there are some, and shows them only where it shows all that is
/// private. Any two are equal, because a fault is the same in whatever words it is told.
#[derive(Clone, Default)]
pub struct Words(Option<Written>);

/// What it wrote: a text, or the URL of a page.
#[derive(Clone)]
enum Written {
    Text(String),
    Page(WebPage),
}

impl Words {
    /// Those in an error of a stream or a stanza (RFC 6120 sections 4.9.2 and 8.3.2).
    pub(super) fn of(error: &Element) -> Self {
        let texts = error.children().filter(|child| child.name() == "text").map(Element::text);
        // Without quotation marks it ends where it seems to.
        let on_one_line =
            |text: String| text.replace('"', "'").split_whitespace().collect::<Vec<_>>().join(" ");
        let said = texts.map(on_one_line).find(|text| !text.is_empty());
        Self(said.map(|text| Written::Text(text.chars().take(MOST).collect())))
    }

    /// The page on which it registers accounts, if it names one.
    pub(super) fn of_page(page: Option<WebPage>) -> Self {
        Self(page.map(Written::Page))
    }

    /// That page.
    pub(super) fn page(&self) -> Option<&WebPage> {
        match &self.0 {
            Some(Written::Page(page)) => Some(page),
            Some(Written::Text(_)) | None => None,
        }
    }
}

impl PartialEq for Words {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Words {}

impl fmt::Debug for Words {
    /// Nothing of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(..)")
    }
}

impl fmt::Display for Words {
    /// A clause to put behind an error's own text; nothing where there are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(Written::Text(text)) => write!(f, ", and says \"{}\"", sensitive(text)),
            Some(Written::Page(page)) => write!(f, ", {}", Redacted::new(Whereabouts(page))),
            None => Ok(()),
        }
    }
}

/// Where the page is: a clause that follows "on its web page".
#[derive(Debug)]
struct Whereabouts<'a>(&'a WebPage);

impl fmt::Display for Whereabouts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "which is {}", self.0.url())
    }
}

impl Redactable for Whereabouts<'_> {
    fn display_redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whose address --unsafe-logging shows")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use safelog::with_safe_logging_suppressed;

    use super::*;

    fn words(children: &str) -> Words {
        Words::of(&format!("<error xmlns='jabber:client'>{children}</error>").parse().unwrap())
    }

    #[test]
    fn a_log_shows_that_there_are_some_and_shows_them_only_where_it_shows_what_is_private() {
        let words = words("<forbidden/><text>No\n entry  for 192.0.2.1</text>");
        assert_eq!(words.to_string(), ", and says \"[scrubbed]\"");
        let shown = with_safe_logging_suppressed(|| words.to_string());
        assert_eq!(shown, ", and says \"No entry for 192.0.2.1\"");
        assert!(!format!("{words:?}").contains("192"), "{words:?}");
    }

    #[test]
    fn a_log_says_how_the_address_of_a_page_is_seen_and_shows_it_only_where_it_shows_what_is_private() {
        let words = Words::of_page(WebPage::new("https://chat.example/register"));
        assert_eq!(words.to_string(), ", whose address --unsafe-logging shows");
        let shown = with_safe_logging_suppressed(|| words.to_string());
        assert_eq!(shown, ", which is https://chat.example/register");
        assert!(!format!("{words:?}").contains("chat"), "{words:?}");
        assert_eq!(Words::of_page(None).to_string(), "");
    }

    #[test]
    fn a_server_that_says_nothing_is_not_said_to_have_said_something() {
        for nothing in ["<forbidden/>", "<text/>", "<text> </text>"] {
            assert_eq!(words(nothing).to_string(), "", "{nothing}");
        }
    }

    #[test]
    fn words_end_where_they_seem_to() {
        let text = words("<text>ok\"; all is well</text>");
        let shown = with_safe_logging_suppressed(|| text.to_string());
        assert_eq!(shown, ", and says \"ok'; all is well\"");
    }

    #[test]
    fn a_server_that_never_ends_is_cut_short() {
        let text = words(&format!("<text>{}</text>", "é".repeat(10 * MOST)));
        let shown = with_safe_logging_suppressed(|| text.to_string());
        assert_eq!(shown.matches('é').count(), MOST);
    }

    #[test]
    fn a_fault_is_the_same_in_whatever_words() {
        assert_eq!(words("<text>Too many (5)</text>"), words("<text>Too many (6)</text>"));
    }
}
