//! Request for the removal of an account: what is said, how often, and what follows from what happens to the account. Pure.

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{DomainRef, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

use super::error::{Objection, RemovalError};
use crate::xmpp::api::AccountEvent;
use crate::xmpp::error::{AccountError, Pause, Words};
use crate::xmpp::flat::Flat;

/// In how many sessions it is made: 2. A connection can break once; a server that ends a second session as well would end the next.
const MOST_SESSIONS: u32 = 2;

/// See the [module](self).
pub(super) struct Request {
    id: String,
    /// In how many sessions it was made.
    sessions: u32,
    /// Why the last of them has ended, if it has.
    ended: Option<AccountError>,
}

/// What is to be done next.
pub(super) enum Next {
    /// This is to be sent.
    Ask(Box<Stanza>),
    /// Something has to happen.
    Wait,
    /// It is over.
    Done(Result<(), RemovalError>),
}

impl Request {
    pub(super) fn new(id: String) -> Self {
        Self { id, sessions: 0, ended: None }
    }

    pub(super) fn on_event(&mut self, event: AccountEvent) -> Next {
        match event {
            AccountEvent::Online { jid, .. } => self.on_online(jid.domain()),
            AccountEvent::Flat(Flat::Result { id, .. }) if id == self.id => Next::Done(Ok(())),
            AccountEvent::Stanza(stanza) => self.on_stanza(&stanza),
            AccountEvent::Suspended { reason } => self.on_end_of_session(reason),
            AccountEvent::Failed(error) | AccountEvent::Unreachable(error) => {
                Next::Done(Err(self.without_login(error)))
            }
            _ => Next::Wait,
        }
    }

    /// There is no more time.
    pub(super) fn on_deadline(&mut self) -> RemovalError {
        match (self.sessions, self.ended.take()) {
            (0, _) => RemovalError::NoLogin,
            (_, Some(error)) => RemovalError::Interrupted(error),
            (_, None) => RemovalError::Unanswered,
        }
    }

    fn on_online(&mut self, domain: &DomainRef) -> Next {
        self.sessions += 1;
        self.ended = None;
        let remove = Element::bare("remove", ns::REGISTER);
        let payload = Element::builder("query", ns::REGISTER).append(remove).build();
        let to = Some(Jid::from_parts(None, domain, None));
        let iq = Iq::Set { from: None, to, id: self.id.clone(), payload };
        Next::Ask(Box::new(iq.into()))
    }

    fn on_stanza(&self, stanza: &Stanza) -> Next {
        match stanza {
            Stanza::Iq(Iq::Result { id, .. }) if *id == self.id => Next::Done(Ok(())),
            Stanza::Iq(Iq::Error { id, error, .. }) if *id == self.id => {
                let words = Words::of(&error.clone().into());
                Next::Done(Err(RemovalError::Refused(Objection::of(error), words)))
            }
            _ => Next::Wait,
        }
    }

    /// A session has ended without an answer. Nobody insists where the server wants to be left alone.
    fn on_end_of_session(&mut self, reason: AccountError) -> Next {
        let may_insist = matches!(reason.pause(), Pause::None | Pause::Usual);
        if self.sessions >= MOST_SESSIONS || !may_insist {
            return Next::Done(Err(RemovalError::Interrupted(reason)));
        }
        self.ended = Some(reason);
        Next::Wait
    }

    /// What it means that the account cannot be logged in to. Some servers disable accounts for a while before they delete them.
    fn without_login(&self, error: AccountError) -> RemovalError {
        match (self.sessions, error) {
            (0, AccountError::WrongPassword) => RemovalError::NotLetIn,
            (0, error) => RemovalError::Login(error),
            (_, AccountError::WrongPassword | AccountError::AccountDisabled) => RemovalError::ProbablyGone,
            (_, error) => RemovalError::Interrupted(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::xmpp::error::Step;

    const CUT: AccountError = AccountError::Closed(Step::Session);

    fn request() -> Request {
        Request::new("r1".to_owned())
    }

    /// A request that was made in one session.
    fn asked() -> Request {
        let mut request = request();
        assert!(matches!(request.on_event(online()), Next::Ask(_)));
        request
    }

    fn online() -> AccountEvent {
        AccountEvent::Online {
            jid: "marilan84@chat.example/r".parse().unwrap(),
            resumed: false,
            presumed: false,
        }
    }

    fn ended(reason: AccountError) -> AccountEvent {
        AccountEvent::Suspended { reason }
    }

    /// What the server has answered, as the XML library reads it.
    fn answer(kind: &str, id: &str, payload: &str) -> AccountEvent {
        let xml = format!("<iq xmlns='jabber:client' type='{kind}' id='{id}'>{payload}</iq>");
        let element: Element = xml.parse().unwrap();
        AccountEvent::Stanza(Box::new(Iq::try_from(element).unwrap().into()))
    }

    fn outcome(next: Next) -> Option<Result<(), RemovalError>> {
        match next {
            Next::Done(outcome) => Some(outcome),
            Next::Ask(_) | Next::Wait => None,
        }
    }

    #[test]
    fn the_server_is_asked_to_remove_the_account_of_the_session() {
        let Next::Ask(stanza) = request().on_event(online()) else { unreachable!("it is not asked") };
        let Stanza::Iq(iq) = *stanza else { unreachable!("it is no IQ") };
        let text = String::from(&Element::from(iq)).replace('"', "'");
        assert!(text.contains("to='chat.example'") && text.contains("id='r1'"), "{text}");
        assert!(text.contains("<query xmlns='jabber:iq:register'><remove/></query>"), "{text}");
    }

    #[test]
    fn its_result_proves_the_removal_and_no_other() {
        let mut request = asked();
        assert_eq!(outcome(request.on_event(answer("result", "other", ""))), None);
        assert_eq!(outcome(request.on_event(answer("result", "r1", ""))), Some(Ok(())));
        let query = "<query xmlns='jabber:iq:register'/>";
        assert_eq!(outcome(asked().on_event(answer("result", "r1", query))), Some(Ok(())));
    }

    #[test]
    fn an_error_says_what_the_server_objects_to() {
        let error = "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        let mut request = asked();
        assert_eq!(outcome(request.on_event(answer("error", "other", error))), None);
        assert_eq!(
            outcome(request.on_event(answer("error", "r1", error))),
            Some(Err(RemovalError::Refused(Objection::Forbidden, Words::default())))
        );
    }

    /// A server whose store of passwords fails behind a cut shows the same.
    #[test]
    fn a_session_that_ends_and_a_login_that_is_refused_prove_nothing() {
        for reason in [CUT, AccountError::StreamError(Step::Session, "not-authorized", Words::default())] {
            for refusal in [AccountError::WrongPassword, AccountError::AccountDisabled] {
                let mut request = asked();
                assert_eq!(outcome(request.on_event(ended(reason.clone()))), None);
                let last = request.on_event(AccountEvent::Failed(refusal));
                assert_eq!(outcome(last), Some(Err(RemovalError::ProbablyGone)));
            }
        }
    }

    #[test]
    fn who_is_not_let_in_at_first_has_asked_for_nothing() {
        for (error, expected) in [
            (AccountError::WrongPassword, RemovalError::NotLetIn),
            (AccountError::AccountDisabled, RemovalError::Login(AccountError::AccountDisabled)),
            (AccountError::Refused, RemovalError::Login(AccountError::Refused)),
        ] {
            let next = request().on_event(AccountEvent::Unreachable(error));
            assert_eq!(outcome(next), Some(Err(expected)));
        }
    }

    #[test]
    fn a_session_that_is_cut_is_followed_by_one_more_and_then_the_cause_is_said() {
        let mut request = asked();
        assert_eq!(outcome(request.on_event(ended(CUT))), None);
        assert!(matches!(request.on_event(online()), Next::Ask(_)));
        let interrupted = Some(Err(RemovalError::Interrupted(CUT)));
        assert_eq!(outcome(request.on_event(ended(CUT))), interrupted);
        let mut request = asked();
        assert_eq!(outcome(request.on_event(ended(CUT))), None);
        let refused = request.on_event(AccountEvent::Unreachable(AccountError::Refused));
        assert_eq!(outcome(refused), Some(Err(RemovalError::Interrupted(AccountError::Refused))));
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_is() {
        let violation = AccountError::StreamError(Step::Session, "policy-violation", Words::default());
        let too_much = AccountError::OverLimit(Step::Session, Words::default());
        for reason in [AccountError::Conflict, violation, too_much] {
            let interrupted = Some(Err(RemovalError::Interrupted(reason.clone())));
            assert_eq!(outcome(asked().on_event(ended(reason))), interrupted);
        }
    }

    #[test]
    fn when_time_is_up_it_is_said_what_was_waited_for() {
        assert_eq!(request().on_deadline(), RemovalError::NoLogin);
        let mut request = asked();
        assert_eq!(request.on_deadline(), RemovalError::Unanswered);
        assert_eq!(outcome(request.on_event(ended(CUT))), None);
        assert_eq!(request.on_deadline(), RemovalError::Interrupted(CUT));
    }
}
