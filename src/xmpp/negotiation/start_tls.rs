//! Request for TLS (RFC 6120 section 5). Pure.
//!
//! Here nothing is written before the server has answered what went before: it could be seen on the wire, and no other client does so.
//! What an attacker may have sent behind `<proceed/>` is dropped with the stream.

use xmpp_parsers::ns;
use xmpp_parsers::starttls::Request;

use super::Progress;
use super::offer::Offer;
use super::talk::Talk;
use crate::xmpp::error::{AccountError, Step};
use crate::xmpp::intake::Word;

const STEP: Step = Step::StartTls;

/// See the [module](self).
#[derive(Default)]
pub(super) struct StartTls {
    /// Whether TLS was asked for.
    has_asked: bool,
}

impl StartTls {
    pub(super) fn on_word(&mut self, word: Word, talk: &mut Talk) -> Result<Option<Progress>, AccountError> {
        match word {
            Word::Features(features) if !self.has_asked => {
                if !Offer::read(&features).starttls {
                    return Err(AccountError::NoStartTls);
                }
                self.has_asked = true;
                talk.say(&Request, STEP)?;
                Ok(None)
            }
            Word::Nonza(answer) if self.has_asked && answer.is("proceed", ns::TLS) => {
                talk.hand_over();
                Ok(Some(Progress::Tls))
            }
            Word::Nonza(answer) if self.has_asked && answer.is("failure", ns::TLS) => {
                Err(AccountError::StartTlsRefused)
            }
            Word::Features(_) | Word::Nonza(_) | Word::Answer(_) => Err(AccountError::Protocol(STEP)),
        }
    }
}
