//! Component handshake (XEP-0114 section 3): what a component and its server say before there are stanzas. Pure.
//!
//! The secret goes over the connection as SHA-1 of it and of the stream's id, which is why a component without TLS connects to its own
//! machine only.

use std::fmt::Write as _;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use xmpp_parsers::minidom::Element;

use super::error::{AccountError, Step};
use super::framer::{Endless, Framer, Piece};
use super::meter::{Fault, Meter};
use super::parse::parse;
use super::reader::{self, Meaning};

/// The namespace of a component's stream.
const NAMESPACE: &str = "jabber:component:accept";

/// A handshake that is under way.
pub(super) struct Handshake {
    secret: SecretString,
    meter: Meter,
    framer: Framer,
    has_answered: bool,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Progress {
    /// More has to come from the server.
    Waiting,
    /// This is to be written.
    Say(String),
    /// We are the component. The stream goes on.
    Done(Framer),
}

impl Handshake {
    /// Begins with our header, for the component of this domain. Of elements of more than `max_stanza` bytes nothing is read.
    pub(super) fn begin(domain: &str, secret: SecretString, max_stanza: usize) -> (Self, String) {
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{NAMESPACE}' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
        );
        let framer = Framer::new(max_stanza);
        (Self { secret, meter: Meter::default(), framer, has_answered: false }, header)
    }

    /// Takes in what has come.
    ///
    /// # Errors
    ///
    /// It is too much, or no XML.
    pub(super) fn handle_read(&mut self, bytes: &[u8]) -> Result<(), AccountError> {
        let counted = self.meter.feed(bytes);
        match counted.and_then(|()| self.framer.feed(bytes).map_err(|Endless| Fault::TooMuch)) {
            Ok(()) => Ok(()),
            Err(Fault::TooMuch) => Err(AccountError::TooMuch(Step::Login)),
            Err(Fault::NotXml) => Err(AccountError::Protocol(Step::Login)),
        }
    }

    /// What follows from that.
    ///
    /// # Errors
    ///
    /// The server refuses, ends the stream, or makes no sense.
    pub(super) fn poll(&mut self) -> Result<Progress, AccountError> {
        while let Some(piece) = self.framer.pop() {
            match piece {
                Piece::End(_) => return Err(AccountError::Closed(Step::Login)),
                Piece::Whole(written) if written.starts_with(b"<?") => {}
                Piece::Whole(written) if !self.has_answered => {
                    let id = stream_id(&written).ok_or(AccountError::Protocol(Step::Login))?;
                    self.has_answered = true;
                    return Ok(Progress::Say(format!("<handshake>{}</handshake>", self.answer_to(&id))));
                }
                piece => match reader::read(piece) {
                    Meaning::End(Some(error)) => return Err(as_of_handshake(error).during(Step::Login)),
                    Meaning::Nonza(Some(element)) if element.name() == "handshake" => {
                        let framer = std::mem::replace(&mut self.framer, Framer::new(0));
                        return Ok(Progress::Done(framer));
                    }
                    Meaning::Nothing => {}
                    _ => return Err(AccountError::Protocol(Step::Login)),
                },
            }
        }
        Ok(Progress::Waiting)
    }

    /// What shows that we know the secret.
    fn answer_to(&self, id: &str) -> String {
        let text = Zeroizing::new([id, self.secret.expose_secret()].concat());
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The id in the header of a stream.
fn stream_id(header: &[u8]) -> Option<String> {
    if !reader::is_stream(header) {
        return None;
    }
    let element: Element = parse(&[header.strip_suffix(b">")?, b"/>"].concat())?;
    element.attr("id").map(str::to_owned)
}

/// Servers say `not-authorized` to whoever has another secret.
fn as_of_handshake(error: AccountError) -> AccountError {
    match error {
        AccountError::StreamError(_, "not-authorized", _) => AccountError::WrongSecret,
        other => other.of_component(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::xmpp::error::Words;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
                          xmlns='jabber:component:accept' from='bridge.chat.example' id='3BF96D32'>";

    fn begun() -> Handshake {
        Handshake::begin("bridge.chat.example", "secret".into(), 10_000).0
    }

    /// What comes of all that a server says.
    fn hear(handshake: &mut Handshake, text: &str) -> Result<Progress, AccountError> {
        handshake.handle_read(text.as_bytes())?;
        handshake.poll()
    }

    #[test]
    fn the_secret_is_shown_as_the_standard_has_it() {
        // XEP-0114, example 3: the server's id is 3BF96D32. The hash is that of "3BF96D32secret".
        let mut handshake = begun();
        let Ok(Progress::Say(answer)) = hear(&mut handshake, HEADER) else { panic!("no answer") };
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, b"3BF96D32secret");
        let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(answer, format!("<handshake>{hex}</handshake>"));
        assert_eq!(hex.len(), 40);
        assert!(matches!(hear(&mut handshake, "<handshake/>"), Ok(Progress::Done(_))));
    }

    #[test]
    fn what_follows_at_once_is_kept_for_the_stream() {
        let mut handshake = begun();
        hear(&mut handshake, HEADER).unwrap();
        let Ok(Progress::Done(mut framer)) = hear(&mut handshake, "<handshake/><message/>") else { panic!() };
        assert_eq!(framer.pop(), Some(Piece::Whole(b"<message/>".to_vec())));
    }

    #[test]
    fn a_refusal_says_why() {
        for (condition, expected) in [
            ("not-authorized", AccountError::WrongSecret),
            ("conflict", AccountError::ComponentTaken),
            ("host-unknown", AccountError::StreamError(Step::Login, "host-unknown", Words::default())),
        ] {
            let mut handshake = begun();
            hear(&mut handshake, HEADER).unwrap();
            let error = format!(
                "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            );
            assert_eq!(hear(&mut handshake, &error).err(), Some(expected));
        }
    }

    #[test]
    fn what_is_no_component_port_makes_no_sense() {
        for text in
            ["HTTP/1.1 400", "<html>", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>"]
        {
            assert_eq!(hear(&mut begun(), text).err(), Some(AccountError::Protocol(Step::Login)), "{text}");
        }
        assert_eq!(
            hear(&mut begun(), &" ".repeat(512 * 1024)).err(),
            Some(AccountError::TooMuch(Step::Login))
        );
    }
}
