//! Presuming the resource: stanzas that go behind the request for it, and what becomes of them.

use super::super::testing::{BOUND, CONFLICT, Client, ENABLED, FAILED, FEATURES, HEADER, R, RESUME, a};
use super::*;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const REFUSED: &str = "<iq type='error' id='bind'><error type='cancel'>\
    <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";

/// One that has sent stanzas 1 and 2 behind its request, of which the first is written and the second is not.
fn with_one_written(counting: Counting) -> Client {
    let mut client = Client::presume(counting, None);
    assert_eq!(client.news(), ["presumed"]);
    client.send(1);
    client.said();
    client.send(2);
    client.hear(HEADER);
    client.hear(FEATURES);
    assert!(client.news().is_empty(), "written says nothing yet");
    client
}

#[test]
fn what_is_sent_at_once_goes_in_one_write_with_the_request_for_the_resource() {
    let mut client = Client::presume(Counting::Resumable, None);
    assert!(client.connection.is_open());
    client.send(1);
    let written = String::from_utf8(client.connection.poll_transmit().to_vec()).unwrap();
    assert!(written.starts_with("<?xml ") && written.ends_with("</bind></iq><message id='1'/>"), "{written}");
}

#[test]
fn without_counting_written_is_all_that_is_known_once_the_resource_is_ours() {
    let mut client = with_one_written(Counting::No);
    client.hear(BOUND);
    assert_eq!(client.news(), ["confirmed", "acked 1"]);
    assert_eq!(client.said(), "<message id='2'/>");
    client.send(3);
    assert_eq!(client.said(), "<message id='3'/>");
    assert_eq!(client.news(), ["acked 2", "acked 3"]);
}

#[test]
fn the_server_has_what_was_sent_before_the_request_to_count_when_it_answers_that() {
    for (answer, fates) in
        [(ENABLED, ["acked 1", "acked 2"].as_slice()), (FAILED, &["acked 1", "acked 2", "acked 3"])]
    {
        let mut client = with_one_written(Counting::Resumable);
        client.hear(BOUND);
        assert_eq!(client.news(), ["confirmed"]);
        client.send(3);
        assert_eq!(client.said(), format!("<message id='2'/>{ENABLE}<message id='3'/>"));
        assert!(client.news().is_empty(), "nothing is counted yet");
        client.hear(answer);
        assert_eq!(client.news(), fates);
    }
}

#[test]
fn what_was_sent_before_the_request_to_count_is_neither_counted_nor_sent_again() {
    let mut client = with_one_written(Counting::Resumable);
    client.hear(BOUND);
    assert_eq!(client.news(), ["confirmed"]);
    client.send(3);
    client.hear(ENABLED);
    assert_eq!(client.news(), ["acked 1", "acked 2"]);
    client.said();
    client.hear(&a(1));
    assert_eq!(client.news(), ["acked 3"]);
    client.send(4);
    let mut client = client.reconnect();
    client.hear(&resumed(1));
    assert_eq!(client.news(), ["resumed"]);
    assert_eq!(client.said(), format!("{RESUME}<message id='4'/>{R}"));
}

#[test]
fn each_stanza_is_lost_once_when_the_connection_breaks_before_an_answer() {
    for counting in [Counting::No, Counting::Resumable] {
        let mut client = with_one_written(counting);
        client.end(AccountError::Closed(Step::Session));
        assert_eq!(client.news(), ["lost 1", "lost 2", "closed: Closed(Bind)"]);
        assert!(!client.connection.is_open() && client.connection.take_session().is_none());
    }
    for is_cut in [true, false] {
        let mut client = with_one_written(Counting::Resumable);
        client.hear(BOUND);
        assert_eq!(client.news(), ["confirmed"]);
        client.send(3);
        client.said();
        client.send(4);
        if is_cut {
            client.end(AccountError::Closed(Step::Session));
        } else {
            client.pass(timing::OPENING);
        }
        let last = if is_cut { CLOSED } else { "never counts" };
        assert_eq!(client.news(), ["lost 1", "lost 2", "lost 3", "lost 4", last]);
    }
}

#[test]
fn a_server_that_never_binds_a_resource_is_left() {
    let mut client = with_one_written(Counting::No);
    client.pass(timing::OPENING);
    assert_eq!(client.news(), ["lost 1", "lost 2", "closed: TimedOut(Bind)"]);
}

#[test]
fn a_server_that_gives_another_resource_or_none_gets_the_end_of_the_stream_and_nothing_more() {
    for (answer, last) in [
        (BOUND.replace("/r<", "/another<"), "misbound: OtherResource"),
        (BOUND.replace("alice@", "bob@"), "misbound: OtherResource"),
        (REFUSED.to_owned(), "misbound: BindRefused(\"conflict\", Words(..))"),
        ("<iq type='result' id='bind'/>".to_owned(), "misbound: Protocol(Bind)"),
    ] {
        for counting in [Counting::No, Counting::Resumable] {
            let mut client = with_one_written(counting);
            client.hear(&answer);
            client.hear("<message/>");
            assert_eq!(client.news(), ["lost 1", "lost 2", last], "{answer}");
            assert!(client.connection.owes_end() && !client.connection.is_open());
            assert!(client.connection.take_session().is_none());
            client.connection.finish();
            assert_eq!(client.said(), "</stream:stream>");
        }
    }
}

#[test]
fn an_error_before_the_answer_shows_that_what_was_sent_is_not_taken_in_our_name() {
    for error in [
        REFUSED.replace("id='bind'", "id='1'"),
        "<presence type='error' id='1'/>".to_owned(),
        "<message type='error' from='chat.example'><error type='auth'/></message>".to_owned(),
    ] {
        let mut client = with_one_written(Counting::No);
        client.hear(&format!("{error}{BOUND}"));
        assert_eq!(client.news(), ["lost 1", "lost 2", "misbound: Protocol(Bind)"], "{error}");

        let mut client = Client::start(Counting::No, None);
        client.hear(&format!("{error}{BOUND}"));
        assert_eq!(client.news(), ["online"], "{error} is about nothing where nothing was sent");
    }
}

#[test]
fn a_server_that_ends_the_stream_instead_has_said_why() {
    let mut client = with_one_written(Counting::No);
    client.hear(CONFLICT);
    assert_eq!(client.news(), ["lost 1", "lost 2", "closed: StreamError(Bind, \"conflict\", Words(..))"]);
}

#[test]
fn stanzas_are_nobodys_before_the_server_has_answered() {
    let mut client = Client::presume(Counting::No, None);
    client.hear(&format!("{HEADER}{FEATURES}<message/><iq type='result' id='1' from='bob@x/r'/>"));
    client.hear(BOUND);
    client.hear("<iq type='result' id='1' from='bob@x/r'/>");
    assert_eq!(client.news(), ["presumed", "confirmed", "result 1"]);
}

#[test]
fn a_session_that_is_resumed_presumes_nothing_and_one_that_is_over_is_lost_before_the_next_begins() {
    let earlier = || {
        let mut client = Client::open(Counting::Resumable);
        client.send(1);
        client.end(AccountError::Closed(Step::Session));
        client.connection.take_session()
    };
    let mut client = Client::presume(Counting::Resumable, earlier());
    assert!(!client.connection.is_open() && client.news().is_empty());
    assert_eq!(client.said(), RESUME);
    client.hear(&format!("{HEADER}{FEATURES}{FAILED}{BOUND}"));
    assert_eq!(client.news(), ["lost 1", "online"]);

    let mut client = Client::presume(Counting::No, earlier());
    assert_eq!(client.news(), ["lost 1", "presumed"]);
}

proptest! {
    /// Whatever is answered, and however much is written by then.
    #[test]
    fn each_stanza_has_one_fate(
        counting in prop::sample::select(vec![Counting::No, Counting::OneConnection, Counting::Resumable]),
        steps in prop::collection::vec((0..4u8, 0..9usize), 0..12),
        is_cut in any::<bool>(),
    ) {
        let mut client = Client::presume(counting, None);
        let (mut next, mut news) = (0, Vec::new());
        let another = BOUND.replace("/r<", "/another<");
        let answers = [BOUND, BOUND, BOUND, ENABLED, FAILED, &another, REFUSED, CONFLICT, "<presence type='error'/>"];
        client.hear(&format!("{HEADER}{FEATURES}"));
        for (step, count) in steps {
            match step {
                0 => client.hear(answers[count]),
                1 if client.connection.is_open() => {
                    (next..next + count as u64).for_each(|tag| client.send(tag));
                    next += count as u64;
                }
                _ => drop(client.said()),
            }
            news.extend(client.news());
        }
        if is_cut {
            client.end(AccountError::Closed(Step::Session));
        } else {
            client.pass(timing::OPENING);
            client.pass(timing::SILENCE);
            client.end(AccountError::Conflict);
        }
        news.extend(client.news());
        let kept = client.connection.take_session().into_iter().flat_map(Session::into_lost);
        news.extend(kept.map(|tag| format!("lost {tag}")));
        let fates = news.iter().filter_map(|news| news.strip_prefix("acked ").or(news.strip_prefix("lost ")));
        let mut tags: Vec<u64> = fates.map(|tag| tag.parse().unwrap()).collect();
        tags.sort_unstable();
        prop_assert!(tags.into_iter().eq(0..next), "{news:?}");
    }
}
