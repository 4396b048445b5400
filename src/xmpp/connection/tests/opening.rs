//! Opening of a session: what is asked for, and what a server may answer.

use super::super::testing::{BOUND, CONFLICT, Client, ENABLED, FEATURES, HEADER, RESUME};
use super::*;

#[test]
fn without_counting_a_resource_is_all_that_a_session_needs() {
    let mut client = Client::start(Counting::No, None);
    assert_eq!(
        client.said(),
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
    );
    assert!(client.news().is_empty() && !client.connection.is_open());
    client.hear(BOUND);
    assert_eq!(client.news(), ["online"]);
    assert!(client.connection.is_open());
    assert_eq!(client.said(), "");
}

#[test]
fn what_is_asked_for_first_goes_with_the_header_of_the_stream() {
    let bind = "<iq type='set' id='bind'>";
    let mut client = Client::start_unanswered(Counting::Resumable, None);
    let written = String::from_utf8(client.connection.poll_transmit().to_vec()).unwrap();
    assert!(
        written.starts_with("<?xml ") && written.contains(&format!(" version='1.0'>{bind}")),
        "{written}"
    );
    client.said();
    for answer in [HEADER, FEATURES, BOUND] {
        assert!(client.news().is_empty() && client.said().is_empty());
        client.hear(answer);
    }
    assert_eq!(client.news(), ["online"]);
    assert_eq!(client.said(), "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");

    let mut client = Client::open(Counting::Resumable);
    client.end(AccountError::Closed(Step::Session));
    let mut next = Client::start_unanswered(Counting::Resumable, client.connection.take_session());
    assert_eq!(next.said(), RESUME);
}

const BARRED: &str = "closed: StreamError(Bind, \"conflict\", Words(..))";

#[test]
fn a_session_outlives_a_server_that_bars_the_stream_and_not_one_that_bars_the_session() {
    for (says, reason, is_kept) in [
        (CONFLICT, BARRED, true),
        ("</stream:stream>", "closed: Closed(Bind)", true),
        (&*format!("{FEATURES}{CONFLICT}"), BARRED, false),
    ] {
        let mut client = Client::open(Counting::Resumable);
        client.end(AccountError::Closed(Step::Session));
        let mut next = Client::start_unanswered(Counting::Resumable, client.connection.take_session());
        next.hear(&(HEADER.to_owned() + says));
        assert_eq!(next.news(), [reason], "{says}");
        assert_eq!(next.connection.take_session().is_some(), is_kept, "{says}");
    }
    let mut client = Client::open(Counting::Resumable);
    client.end(AccountError::Closed(Step::Session));
    let mut next = Client::start_unanswered(Counting::Resumable, client.connection.take_session());
    next.pass(timing::OPENING);
    assert_eq!(next.news(), ["closed: TimedOut(Bind)"]);
    assert!(next.connection.take_session().is_some(), "it may be answered the next time");
}

#[test]
fn a_server_that_does_not_count_any_more_gets_a_new_session_at_once() {
    let mut client = Client::open(Counting::Resumable);
    client.send(1);
    client.end(AccountError::Closed(Step::Session));
    let mut next = Client::start_unanswered(Counting::Resumable, client.connection.take_session());
    assert_eq!(next.said(), RESUME);
    next.hear(&(HEADER.to_owned() + &FEATURES.replace("<sm xmlns='urn:xmpp:sm:3'/>", "")));
    assert_eq!(next.news(), ["lost 1"]);
    assert!(next.said().starts_with("<iq "));
    next.hear(BOUND);
    assert_eq!(next.news(), ["online"]);
}

#[test]
fn what_a_server_does_not_offer_is_done_without_if_it_can_be() {
    let without = |feature: &str| FEATURES.replace(feature, "");
    let mut client = Client::start_unanswered(Counting::Resumable, None);
    client.hear(&(HEADER.to_owned() + &without("<sm xmlns='urn:xmpp:sm:3'/>") + BOUND));
    assert_eq!(client.news(), ["online"]);

    for wrong in [without("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"), BOUND.to_owned()] {
        let mut client = Client::start_unanswered(Counting::Resumable, None);
        client.hear(&(HEADER.to_owned() + &wrong));
        assert_eq!(client.news(), ["closed: Protocol(Bind)"], "{wrong}");
    }
}

#[test]
fn what_is_no_answer_to_the_request_for_a_resource_ends_the_connection() {
    for answer in ["<iq type='result' id='bind'/>", ENABLED, "<unheard-of xmlns='x'/>"] {
        let mut client = Client::start(Counting::No, None);
        client.hear(answer);
        assert_eq!(client.news(), ["closed: Protocol(Bind)"], "{answer}");
    }
}

#[test]
fn a_server_that_gives_no_resource_says_why_and_gets_the_end_of_the_stream() {
    let refused = "<iq type='error' id='bind'><error type='cancel'>\
        <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
    let mut client = Client::start(Counting::No, None);
    client.hear(refused);
    assert_eq!(client.news(), ["closed: BindRefused(\"conflict\", Words(..))"]);
    assert!(client.connection.owes_end());
}

#[test]
fn what_a_server_says_of_its_limits_is_said_with_each_stream() {
    let mut client = Client::start(Counting::No, None);
    client.hear(
        "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
         <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>12000</max-bytes><idle-seconds>1800</idle-seconds></limits>\
         </stream:features>",
    );
    assert_eq!(client.news(), ["at most 12000"]);
}

#[test]
fn stanzas_are_nobodys_until_there_is_a_resource() {
    let mut client = Client::start(Counting::Resumable, None);
    client.hear("<message/><iq type='get' id='1' from='eve@x/r'><q xmlns='x'/></iq>");
    client.hear(BOUND);
    client.hear("<message/>");
    assert_eq!(client.news(), ["online", "message"]);
}
