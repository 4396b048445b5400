//! Reader of a stream: what its elements mean to us. Pure.
//!
//! A stanza that cannot be read as it is, because it was too much or is not what the library allows, is read by its
//! `head`: nothing that somebody else wrote into a stanza is a reason to end the stream. Only its end tag and a stream
//! error are, which nobody but the server can say.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;
use xmpp_parsers::stream_features::StreamFeatures;

use super::error::AccountError;
use super::flat::{self, Flat};
use super::framer::{Piece, name_of};
use super::parse::{parse, parse_within};
use super::{stanza, stream_error};

/// The surroundings of what a server says of the stream itself.
pub(super) const STREAM: &[u8] = b"<r xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// What a piece of a stream means.
#[derive(Debug)]
pub enum Meaning {
    /// A stanza that needs no tree.
    Flat(Flat),
    /// Another one.
    Stanza(Box<Stanza>),
    /// A stanza that makes no sense, and gets no answer.
    Skipped,
    /// An element that is no stanza, and so is the server's own word; none when it cannot be read.
    Nonza(Option<Box<Element>>),
    /// What the server offers on the stream (RFC 6120 section 4.3.2).
    Features(Box<StreamFeatures>),
    /// The stream has ended, by this error if there was one.
    End(Option<AccountError>),
    /// No element, or one that was too much, or the header of the stream.
    Nothing,
}

impl Meaning {
    /// Whether it is a stanza, which counts as one (XEP-0198 section 4) whatever can be made of it.
    pub(super) fn is_stanza(&self) -> bool {
        matches!(self, Self::Flat(_) | Self::Stanza(_) | Self::Skipped)
    }
}

/// What `piece` means.
pub fn read(piece: Piece) -> Meaning {
    match piece {
        Piece::End(_) => Meaning::End(None),
        Piece::Head(written) => match stanza::read_head(&written) {
            Some(stanza) => Meaning::Stanza(Box::new(stanza)),
            None if is_stanza(&written) => Meaning::Skipped,
            None => Meaning::Nothing,
        },
        Piece::Whole(written) => match flat::read(written) {
            Ok(flat) => Meaning::Flat(flat),
            Err(written) => read_whole(&written),
        },
    }
}

fn read_whole(written: &[u8]) -> Meaning {
    if !is_element(written) {
        return Meaning::Nothing;
    }
    if let Some(error) = error_of_stream(written) {
        return Meaning::End(Some(error));
    }
    if let Some(features) = features(written) {
        return Meaning::Features(Box::new(features));
    }
    match stanza::read(written) {
        Some(stanza) => Meaning::Stanza(Box::new(stanza)),
        None if is_stanza(written) => Meaning::Skipped,
        None if is_header(written) => Meaning::Nothing,
        None if stanza::is_cheap(written) => Meaning::Nonza(parse(written).map(Box::new)),
        None => Meaning::Nonza(None),
    }
}

/// By its name, whatever is in it.
fn is_stanza(written: &[u8]) -> bool {
    matches!(name_of(written), b"message" | b"iq" | b"presence")
}

/// Not a declaration or a comment, which have no place in a stream.
fn is_element(written: &[u8]) -> bool {
    !written.starts_with(b"<?") && !written.starts_with(b"<!")
}

/// Whether this is the start tag of a stream, which comes as a piece by itself. Any other piece with one tag ends in `/>`.
fn is_header(written: &[u8]) -> bool {
    is_stream(written) && memchr::memchr_iter(b'<', written).count() == 1 && !written.ends_with(b"/>")
}

/// Whether this is a stream, by its name.
pub(super) fn is_stream(written: &[u8]) -> bool {
    matches!(name_of(written), b"stream:stream" | b"stream")
}

/// Whether this is what a server offers, by its name.
pub(super) fn is_offer(written: &[u8]) -> bool {
    matches!(name_of(written), b"stream:features" | b"features")
}

/// What the server offers, if this is the element that says so.
fn features(written: &[u8]) -> Option<StreamFeatures> {
    if !is_offer(written) || !stanza::is_cheap(written) {
        return None;
    }
    parse_within(STREAM, written)
}

/// The stream error that an element is, if it is one. What stands inside a stanza is none, whatever it looks like.
fn error_of_stream(written: &[u8]) -> Option<AccountError> {
    if !matches!(name_of(written), b"stream:error" | b"error") {
        return None;
    }
    let error = parse_within::<Element>(STREAM, written).filter(|element| element.is("error", ns::STREAM))?;
    Some(stream_error::read(&error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::persona;
    use crate::xmpp::error::{Step, Words};
    use crate::xmpp::framer::Framer;
    use xmpp_parsers::presence;

    fn whole(text: &str) -> Meaning {
        read(Piece::Whole(text.as_bytes().to_vec()))
    }

    fn stream_error_of(text: &str) -> Option<AccountError> {
        match whole(text) {
            Meaning::End(error) => error,
            _ => None,
        }
    }

    const CONFLICT: &str = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                            <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced</text></stream:error>";

    #[test]
    fn a_stream_error_is_one_whatever_the_prefix_and_wherever_its_condition_stands() {
        assert_eq!(stream_error_of(CONFLICT), Some(AccountError::Conflict));
        let default = CONFLICT.replace("stream:error", "error").replacen(
            '>',
            " xmlns='http://etherx.jabber.org/streams'>",
            1,
        );
        assert_eq!(stream_error_of(&default), Some(AccountError::Conflict));
        let behind = "<stream:error><text>no</text><policy-violation xmlns='x'/></stream:error>";
        assert_eq!(
            stream_error_of(behind),
            Some(AccountError::StreamError(Step::Session, "policy-violation", Words::default()))
        );
        let unheard_of = "<stream:error><unheard-of/></stream:error>";
        assert_eq!(
            stream_error_of(unheard_of),
            Some(AccountError::StreamError(Step::Session, "undefined-condition", Words::default()))
        );
    }

    #[test]
    fn the_header_of_a_stream_is_nothing_and_what_it_offers_can_be_read() {
        for header in ["<stream:stream xmlns='jabber:client' version='1.0'>", "<stream id='/'>"] {
            assert!(matches!(whole(header), Meaning::Nothing), "{header}");
        }
        assert!(matches!(whole("<stream xmlns='x'/>"), Meaning::Nonza(Some(_))));
        let offered = |text: &str| match whole(text) {
            Meaning::Features(features) => Some((features.can_bind(), features.stream_management.is_some())),
            _ => None,
        };
        let both = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
                    <sm xmlns='urn:xmpp:sm:3'/><unheard-of xmlns='x'/></stream:features>";
        assert_eq!(offered(both), Some((true, true)));
        assert_eq!(offered("<features xmlns='http://etherx.jabber.org/streams'/>"), Some((false, false)));
        assert_eq!(offered(&format!("<message>{both}</message>")), None);
    }

    #[test]
    fn nothing_inside_a_stanza_is_a_stream_error() {
        for inside in [
            CONFLICT.to_owned(),
            "&lt;stream:error>&lt;conflict/>".to_owned(),
            format!("<![CDATA[{CONFLICT}]]>"),
        ] {
            assert!(whole(&format!("<message>{inside}</message>")).is_stanza(), "{inside}");
        }
        assert!(matches!(whole("<error xmlns='x'><conflict/></error>"), Meaning::Nonza(Some(_))));
    }

    #[test]
    fn whatever_has_the_name_of_a_stanza_is_one() {
        for text in ["<message type='unheard-of'/>", "<iq xmlns='jabber:server'/>", "<presence y:z=''/>"] {
            assert!(whole(text).is_stanza(), "{text}");
            assert!(read(Piece::Head(text.as_bytes().to_vec())).is_stanza(), "{text}");
        }
        assert!(
            matches!(whole("<r xmlns='urn:xmpp:sm:3'/>"), Meaning::Nonza(Some(element)) if element.name() == "r")
        );
        assert!(matches!(whole("<iqs y:z=''/>"), Meaning::Nonza(None)));
        for text in ["<!-- x -->", "<?x?>"] {
            assert!(matches!(whole(text), Meaning::Nothing), "{text}");
        }
        assert!(matches!(read(Piece::Head(b"<r>".to_vec())), Meaning::Nothing));
    }

    #[test]
    fn a_request_whose_start_tags_are_too_long_is_read_by_what_matters_in_them() {
        let long = "&apos;".repeat(60_000);
        let mut framer = Framer::between_elements(262_144);
        for (stanza, payload) in [(long.as_str(), ""), ("", long.as_str()), (&long, &long)] {
            let iq = format!(
                "<iq from='a@b/c' a='{stanza}' type='get' id='1'><ping a='{payload}' xmlns='urn:xmpp:ping'/></iq>"
            );
            framer.feed(iq.as_bytes()).unwrap();
            let meaning = read(framer.pop().unwrap());
            let Meaning::Stanza(stanza) = meaning else { panic!("{meaning:?}") };
            assert!(
                matches!(*stanza, Stanza::Iq(ref iq) if persona::answer_ping(iq).is_some()),
                "{stanza:?}"
            );
        }
        framer.feed(format!("<presence a='{long}' type='subscribe' from='a@b'/>").as_bytes()).unwrap();
        let meaning = read(framer.pop().unwrap());
        let Meaning::Stanza(stanza) = meaning else { panic!("{meaning:?}") };
        let Stanza::Presence(presence) = *stanza else { panic!("{stanza:?}") };
        assert!(presence.type_ == presence::Type::Subscribe && presence.from.is_some(), "{presence:?}");
    }
}
