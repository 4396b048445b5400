//! Slots (XEP-0363 section 5): a permission to put one file of one size at a service.

use std::fmt;
use std::fmt::Write as _;

use xmpp_parsers::http_upload::SlotRequest;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::refusal::Refusal;
use crate::carrier::pending::{Pending, Random};

/// What the content of a file is said to be: a picture.
pub const CONTENT_TYPE: &str = "image/jpeg";

/// The longest URL that is taken, in bytes: 2048. Those of servers have a hundred or two.
pub const MAX_URL: usize = 2048;

/// The longest value of a header that is taken, in bytes: 2048. A token of Prosody's has some 400.
pub const MAX_HEADER: usize = 2048;

/// The random bytes in the name of a file.
pub const NAME_BYTES: usize = 12;

/// A name as slixmpp gives it to a picture that it has encrypted (XEP-0454): random, with the extension of the picture.
pub fn file_name(random: [u8; NAME_BYTES]) -> String {
    let mut name = String::with_capacity(2 * NAME_BYTES + 4);
    for byte in random {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name + ".jpg"
}

/// The headers that a service can demand (XEP-0363 section 5); others that it names are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderName {
    /// `Authorization`.
    Authorization,
    /// `Cookie`.
    Cookie,
    /// `Expires`.
    Expires,
}

impl HeaderName {
    const ALL: [Self; 3] = [Self::Authorization, Self::Cookie, Self::Expires];

    /// How it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "Authorization",
            Self::Cookie => "Cookie",
            Self::Expires => "Expires",
        }
    }
}

/// A header for the request that puts the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value: visible ASCII and blanks, without any at its ends.
    pub value: String,
}

impl fmt::Debug for Header {
    /// Not the value: it is a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Header").field(&self.name).finish()
    }
}

/// A slot. The URLs are as the server wrote them, and within bounds; whether they may be called is for whoever calls them to decide.
#[derive(Clone, PartialEq, Eq)]
pub struct Slot {
    /// Where the file is put.
    pub put: String,
    /// With these headers, each of another name.
    pub headers: Vec<Header>,
    /// Where everybody who knows this URL gets it.
    pub get: String,
}

impl fmt::Debug for Slot {
    /// Not the URLs: who knows them has the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// A request for a slot that waits for its answer.
#[derive(Debug)]
pub struct Asked(Pending);

/// Asks a service for a slot for a file of this name and size, in bytes.
pub fn ask(service: &Jid, name: String, size: u64, random: Random<'_>) -> (Asked, Iq) {
    let pending = Pending::new(service.clone(), random);
    let request = SlotRequest { filename: name, size, content_type: Some(CONTENT_TYPE.to_owned()) };
    let iq = Iq::from_get(pending.id.clone(), request).with_to(service.clone());
    (Asked(pending), iq)
}

impl Asked {
    /// What is answered; none if this is no answer to it.
    pub fn answer(&self, iq: &Iq) -> Option<Result<Slot, Refusal>> {
        if !self.0.is_answered_by(iq) {
            return None;
        }
        Some(match iq {
            Iq::Result { payload: Some(payload), .. } => read(payload).ok_or(Refusal::Nonsense),
            Iq::Error { error, .. } => Err(Refusal::of(error)),
            _ => Err(Refusal::Nonsense),
        })
    }
}

fn read(slot: &Element) -> Option<Slot> {
    let put =
        Some(slot).filter(|slot| slot.is("slot", ns::HTTP_UPLOAD))?.get_child("put", ns::HTTP_UPLOAD)?;
    let mut headers: Vec<Header> = Vec::new();
    for child in put.children().filter(|child| child.is("header", ns::HTTP_UPLOAD)) {
        let Some(name) = header_name(child) else { continue };
        if headers.iter().any(|known| known.name == name) {
            return None;
        }
        headers.push(Header { name, value: header_value(child)? });
    }
    Some(Slot { put: url(put)?, headers, get: url(slot.get_child("get", ns::HTTP_UPLOAD)?)? })
}

fn url(place: &Element) -> Option<String> {
    let is_short = |url: &&str| url.len() <= MAX_URL;
    place.attr("url").filter(is_short).map(str::to_owned)
}

/// The name of a header that is taken.
fn header_name(header: &Element) -> Option<HeaderName> {
    let name = header.attr("name")?;
    HeaderName::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
}

/// Its value, if that makes sense. Line breaks are taken out, as the specification wants it, so that a header is one.
fn header_value(header: &Element) -> Option<String> {
    let value = header.text().replace(['\r', '\n'], "");
    let value = value.trim();
    let is_plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (is_plain && (1..=MAX_HEADER).contains(&value.len())).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;
    use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

    use super::*;

    const PROSODY: &str = "<get url='https://upload.chat.example/file_share/id/a.jpg'/>\
         <put url='https://upload.chat.example/file_share/id/a.jpg'><header name='Authorization'>Bearer x.y</header></put>";

    fn asked() -> (Asked, Iq) {
        ask(&Jid::new("upload.chat.example").unwrap(), "a.jpg".to_owned(), 65_536, &mut || 7)
    }

    fn answer(from: &str, inside: &str) -> Option<Result<Slot, Refusal>> {
        let (asked, iq) = asked();
        let payload = format!("<slot xmlns='urn:xmpp:http:upload:0'>{inside}</slot>").parse().unwrap();
        let (from, id) = (Some(Jid::new(from).unwrap()), iq.id().to_owned());
        asked.answer(&Iq::Result { from, to: None, id, payload: Some(payload) })
    }

    fn slot(inside: &str) -> Result<Slot, Refusal> {
        answer("upload.chat.example", inside).unwrap()
    }

    #[test]
    fn a_slot_is_asked_for_as_for_an_encrypted_picture() {
        let name = file_name([0xab; NAME_BYTES]);
        assert_eq!(name, "abababababababababababab.jpg");
        let (_, iq) = asked();
        let written = String::from(&Element::from(iq));
        assert_eq!(
            written,
            "<iq xmlns='jabber:client' id='00000000000040008000000000000007' to='upload.chat.example' type='get'>\
             <request xmlns='urn:xmpp:http:upload:0' content-type='image/jpeg' filename='a.jpg' size='65536'/></iq>"
        );
    }

    #[test]
    fn a_slot_is_two_urls_and_headers() {
        let slot = slot(PROSODY).unwrap();
        assert!(slot.put == slot.get && slot.put.ends_with("/a.jpg"));
        let [Header { name: HeaderName::Authorization, value }] = &slot.headers[..] else {
            panic!("{slot:?}")
        };
        assert_eq!(value, "Bearer x.y");
    }

    #[test]
    fn headers_of_other_names_are_left_out_and_line_breaks_taken_out() {
        let headers = "<header name='Host'>evil</header><header name='cookie'> a=\r\nb </header><other/>";
        let slot = slot(&PROSODY.replace("<header", &format!("{headers}<header"))).unwrap();
        let read: Vec<_> = slot.headers.iter().map(|header| (header.name, header.value.as_str())).collect();
        assert_eq!(read, [(HeaderName::Cookie, "a=b"), (HeaderName::Authorization, "Bearer x.y")]);
    }

    #[test]
    fn what_is_no_slot_or_has_no_bounds_is_nonsense() {
        let long = "a".repeat(MAX_URL);
        for (from, to) in [
            ("<get ", "<got "),
            ("<put url", "<put place"),
            ("Bearer x.y", ""),
            ("Bearer x.y", "\u{e9}"),
            ("Bearer x.y", &long.repeat(2)),
            ("upload.chat.example/", &long),
            ("<header", "<header name='Authorization'>x</header><header"),
        ] {
            assert_eq!(slot(&PROSODY.replace(from, to)), Err(Refusal::Nonsense), "{from}");
        }
    }

    #[test]
    fn only_the_service_that_was_asked_can_answer() {
        assert_eq!(answer("evil.example", PROSODY), None);
        let (asked, iq) = asked();
        assert_eq!(asked.answer(&iq), None, "the request itself");
        let (from, to) = (Some(Jid::new("upload.chat.example").unwrap()), None);
        let error = StanzaError::new(ErrorType::Auth, DefinedCondition::Forbidden, "", "");
        let refused = Iq::Error { from: from.clone(), to, id: iq.id().to_owned(), error, payload: None };
        assert_eq!(asked.answer(&refused), Some(Err(Refusal::NotAllowed("forbidden"))));
        let other = Iq::Result { from, to: None, id: "7".to_owned(), payload: None };
        assert_eq!(asked.answer(&other), None);
    }

    #[test]
    fn neither_urls_nor_values_of_headers_are_shown() {
        let shown = format!("{:?}", slot(PROSODY).unwrap());
        assert!(
            shown.contains("Authorization") && !shown.contains("x.y") && !shown.contains("chat.example"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn any_slot_is_read_or_refused(inside in "(<put url='[a-z]{0,3}'>|<header name='(Cookie|x)'>|</header>|</put>|<get url='x'/>|[a-z\r\n]){0,8}") {
            let xml = format!("<slot xmlns='urn:xmpp:http:upload:0'>{inside}</slot>");
            if let Ok(element) = xml.parse::<Element>() {
                let _ = read(&element);
            }
        }
    }
}
