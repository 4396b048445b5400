//! Counting from its request on: a session that has begun before the server says that it counts.

use super::super::testing::{BOUND, Client, ENABLED, FAILED, R, RESUME, a};
use super::*;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";

/// One whose session is open, and whose request to count is neither read nor answered.
fn asking(counting: Counting) -> Client {
    let mut client = Client::start(counting, None);
    client.said();
    client.hear(BOUND);
    assert_eq!(client.news(), ["online"]);
    client
}

#[test]
fn what_is_sent_goes_behind_the_request_to_count_and_does_not_wait_for_its_answer() {
    for counting in [Counting::Resumable, Counting::OneConnection] {
        let mut client = asking(counting);
        client.send(1);
        assert_eq!(client.said(), format!("{ENABLE}<message id='1'/>"), "{counting:?}");
    }
}

#[test]
fn what_is_sent_before_the_answer_is_acknowledged_by_count_and_only_then_asked_about() {
    let mut client = asking(Counting::Resumable);
    (1..=2).for_each(|tag| client.send(tag));
    client.said();
    assert!(client.news().is_empty(), "written is not acknowledged");
    client.hear(ENABLED);
    assert!(client.news().is_empty());
    assert_eq!(client.said(), R);
    client.hear(&a(1));
    assert_eq!(client.news(), ["acked 1"]);
    let mut client = client.reconnect();
    assert_eq!(client.said(), RESUME);
    client.hear(&resumed(2));
    assert_eq!(client.news(), ["acked 2", "resumed"]);
}

#[test]
fn what_comes_before_the_answer_is_not_counted() {
    let mut client = asking(Counting::Resumable);
    client.hear("<message/>");
    client.hear(ENABLED);
    client.hear("<presence/>");
    client.hear(R);
    assert_eq!(client.news(), ["message", "presence"]);
    assert!(client.said_late().ends_with(&a(1)));
}

#[test]
fn what_was_sent_is_lost_once_when_the_connection_breaks_before_the_answer() {
    let mut client = asking(Counting::Resumable);
    client.send(1);
    client.said();
    client.send(2);
    client.end(AccountError::Closed(Step::Session));
    assert_eq!(client.news(), ["lost 1", "lost 2", CLOSED]);
    assert!(client.connection.take_session().is_none(), "there is nothing to resume it by");
}

#[test]
fn a_server_that_offers_to_count_and_refuses_is_used_without() {
    for refusal in [FAILED, "<failed xmlns='urn:xmpp:sm:3' h='0'/>"] {
        let mut client = asking(Counting::Resumable);
        client.send(1);
        client.said();
        client.send(2);
        client.hear(refusal);
        assert_eq!(client.news(), ["acked 1"], "written is all that there is to know");
        assert_eq!(client.said(), "<message id='2'/>");
        client.send(3);
        assert_eq!(client.said(), "<message id='3'/>");
        assert_eq!(client.news(), ["acked 2", "acked 3"]);
    }
}

#[test]
fn a_server_that_says_something_else_than_whether_it_counts_makes_no_sense() {
    for other in [R, &a(0), &resumed(0), "<unheard-of xmlns='x'/>", "<unheard-of y:z=''/>"] {
        let mut client = asking(Counting::Resumable);
        client.send(1);
        client.hear(other);
        assert_eq!(client.news(), ["lost 1", NONSENSE], "{other}");
    }
}

#[test]
fn a_server_that_never_says_whether_it_counts_is_left() {
    let mut client = asking(Counting::Resumable);
    client.send(1);
    assert_eq!(client.connection.poll_timeout(), Some(client.now + timing::OPENING));
    client.pass(timing::OPENING);
    assert_eq!(client.news(), ["lost 1", "never counts"]);
}
