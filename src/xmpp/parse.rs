//! Parsing of one element with the XML library, in the surroundings that it has in a stream. Pure.

use xso::exports::rxml::parser::CommentMode;
use xso::exports::rxml::xml_lang::XmlLangStack;
use xso::exports::rxml::{Event, Options, Parse as _, Parser, WithOptions as _};
use xso::{Context, FromEventsBuilder as _, FromXml};

/// The surroundings of every stanza.
const ROOT: &[u8] = b"<r xmlns='jabber:client'>";

/// An element in the surroundings of a stanza; none when it is not what is wanted, or no XML.
pub(super) fn parse<T: FromXml>(written: &[u8]) -> Option<T> {
    parse_within(ROOT, written)
}

/// An element in surroundings that begin with this tag.
pub(super) fn parse_within<T: FromXml>(mut root: &[u8], mut written: &[u8]) -> Option<T> {
    let mut parser = Parser::with_options(Options {
        // A name or the value of an attribute may be as long as the element.
        max_token_length: written.len().max(root.len()),
        comments: CommentMode::Discard,
        ..Options::default()
    });
    next(&mut parser, &mut root)?;
    let Event::StartElement(_, name, attributes) = next(&mut parser, &mut written)? else { return None };
    let mut languages = XmlLangStack::new();
    languages.push_from_attrs(&attributes);
    let context = Context::empty().with_language(languages.current());
    let mut builder = T::from_events(name, attributes, &context).ok()?;
    loop {
        let event = next(&mut parser, &mut written)?;
        languages.handle_event(&event);
        let context = Context::empty().with_language(languages.current());
        if let Some(read) = builder.feed(event, &context).ok()? {
            return written.is_empty().then_some(read);
        }
    }
}

/// None at the end, and for what is not XML.
fn next(parser: &mut Parser, written: &mut &[u8]) -> Option<Event> {
    parser.parse(written, false).unwrap_or_default()
}
