//! Clock of an account's chat server, asked for its time (XEP-0202). Pure.

use std::str::FromStr as _;

use xmpp_parsers::date::DateTime;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

use super::Arrival;
use super::pending::{Pending, Random, payload};
use crate::xmpp::Parcel;

/// A question that waits for its answer.
#[derive(Clone, Debug)]
pub struct Question(Pending);

impl Question {
    /// Asks this server. The request is to be sent.
    pub fn new(server: Jid, random: Random<'_>) -> (Self, Parcel) {
        let question = Self(Pending::new(server.clone(), random));
        let payload = Element::bare("time", ns::TIME);
        let iq = Iq::Get { from: None, to: Some(server), id: question.0.id().to_owned(), payload };
        (question, iq.into())
    }

    /// What the server says, in seconds since 1970, if this is its answer; nothing where it says that it has no clock.
    pub fn answer(&self, arrival: &Arrival) -> Option<Option<i64>> {
        let Arrival::Parsed(stanza) = arrival else { return None };
        let Stanza::Iq(iq) = &**stanza else { return None };
        self.0.is_answered_by(iq).then(|| Some(time_in(payload(iq)?)?.div_euclid(1000)))
    }
}

/// The time in an answer, in milliseconds since 1970. What it says of time zones does not matter.
pub(super) fn time_in(answer: &Element) -> Option<i64> {
    let utc = Some(answer).filter(|answer| answer.is("time", ns::TIME))?.get_child("utc", ns::TIME)?;
    DateTime::from_str(utc.text().trim()).ok().map(|time| time.0.timestamp_millis())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    const TIME: &str = "<time xmlns='urn:xmpp:time'><tzo>+01:00</tzo><utc>2026-12-01T00:00:07Z</utc></time>";

    fn asked() -> (Question, String) {
        let (question, _) = Question::new("chat.example".parse().unwrap(), &mut || 7);
        let id = question.0.id().to_owned();
        (question, id)
    }

    fn result(from: &str, id: &str, text: &str) -> Arrival {
        let payload = Some(text.parse().unwrap());
        let iq = Iq::Result { from: Some(from.parse().unwrap()), to: None, id: id.to_owned(), payload };
        Arrival::Parsed(Box::new(iq.into()))
    }

    #[test]
    fn the_time_of_the_server_is_read_from_its_answer() {
        let (question, id) = asked();
        assert_eq!(question.answer(&result("chat.example", &id, TIME)), Some(Some(1_796_083_207)));
        assert_eq!(
            question.answer(&result("chat.example", &id, "<time xmlns='urn:xmpp:time'/>")),
            Some(None)
        );
    }

    #[test]
    fn nobody_else_can_answer() {
        let (question, id) = asked();
        assert_eq!(question.answer(&result("mallory@chat.example/r", &id, TIME)), None);
        assert_eq!(question.answer(&result("chat.example", "another", TIME)), None);
    }
}
