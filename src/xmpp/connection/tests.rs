//! Tests of a connection against a server that says exactly what a test wants.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod enabling;
mod opening;
mod presuming;

use std::time::Duration;

use proptest::prelude::*;
use xmpp_parsers::presence::Presence;

use super::ack_requests::{MOST_BYTES, MOST_STANZAS};
use super::testing::{BOUND, CONFLICT, Client, ENABLED, FAILED, MAX_STANZA, R, RESUME, a, resumed};
use super::*;

const CLOSED: &str = "closed: Closed(Session)";
const NONSENSE: &str = "closed: Protocol(Session)";

#[test]
fn a_request_is_answered_however_much_waits_and_once_until_the_answer_is_written() {
    let mut client = Client::open(Counting::Resumable);
    (0..2).for_each(|tag| client.send_text(tag, format!("<message>{}</message>", "x".repeat(2 * BATCH))));
    for _ in 0..3 {
        client.hear(R);
        assert!(client.news().is_empty());
        client.connection.poll_transmit();
    }
    let said = client.said() + &client.said_late();
    assert_eq!(said.matches(&a(0)).count(), 2, "one at once, and one for those who asked since");
}

#[test]
fn an_answer_to_a_request_goes_with_what_is_written_next_or_alone_a_little_later() {
    let mut client = Client::open(Counting::Resumable);
    client.hear("<message/>");
    client.hear(R);
    assert_eq!((client.news(), client.said()), (vec!["message".to_owned()], String::new()));
    client.send(1);
    assert_eq!(client.said(), format!("<message id='1'/>{R}{}", a(1)));

    let asked = client.now;
    client.hear(R);
    assert!(client.news().is_empty());
    client.pass(timing::ACK_DELAY / 2);
    client.hear(R);
    assert!(client.news().is_empty());
    assert_eq!(client.said(), "");
    assert_eq!(client.connection.poll_timeout(), Some(asked + timing::ACK_DELAY), "asked again is no later");
    client.pass(timing::ACK_DELAY / 2);
    assert!(client.connection.poll_timeout() > Some(client.now));
    assert_eq!(client.said(), a(1));
}

#[test]
fn an_answer_that_is_late_waits_for_no_more_than_the_last_one() {
    let mut client = Client::open(Counting::Resumable);
    for _ in 0..2 {
        client.hear(R);
        assert!(client.news().is_empty());
        client.pass(timing::ACK_DELAY);
        client.connection.poll_transmit();
    }
    assert!(client.connection.poll_timeout() > Some(client.now), "nothing can be done before it is written");
    assert_eq!(client.said(), a(0).repeat(2));
}

#[test]
fn a_server_that_reads_slowly_is_asked_now_and_then_what_it_has_read() {
    let mut client = Client::open(Counting::Resumable);
    let stanza = format!("<message>{}</message>", "x".repeat(MOST_BYTES / 4));
    (0..8).for_each(|tag| client.send_text(tag, stanza.clone()));
    let said = client.said();
    let between: Vec<usize> = said.split(R).map(|part| part.matches("<message>").count()).collect();
    assert_eq!(between, [4, 4, 0]);
}

#[test]
fn only_a_server_that_has_ended_the_stream_waits_for_our_end_of_it() {
    for (last, owes) in [("</stream:stream>", true), (CONFLICT, true), ("<unheard-of xmlns='x'/>", false)] {
        let mut client = Client::open(Counting::Resumable);
        client.hear(last);
        assert!(client.news().last().is_some_and(|news| news.starts_with("closed")), "{last}");
        assert_eq!(client.connection.owes_end(), owes, "{last}");
        client.connection.finish();
        assert_eq!(client.said(), "</stream:stream>");
    }
}

#[test]
fn a_server_that_does_not_open_a_session_in_time_is_left() {
    let mut client = Client::start(Counting::No, None);
    assert_eq!(client.connection.poll_timeout(), Some(client.now + timing::OPENING));
    client.pass(timing::OPENING - Duration::from_millis(1));
    assert!(client.news().is_empty());
    client.pass(Duration::from_millis(1));
    assert_eq!(client.news(), ["closed: TimedOut(Bind)"]);
    assert_eq!(client.connection.poll_timeout(), None);
}

#[test]
fn an_acknowledgement_is_asked_for_behind_all_that_is_sent_in_one_go() {
    let mut client = Client::open(Counting::Resumable);
    client.send(1);
    client.send(2);
    assert_eq!(client.said(), format!("<message id='1'/><message id='2'/>{R}"));
    assert_eq!(client.said(), "", "and once");
    assert!(client.news().is_empty(), "written is not acknowledged");
    client.hear(&a(1));
    assert_eq!(client.news(), ["acked 1"]);
    client.hear(&a(2));
    assert_eq!(client.news(), ["acked 2"]);
}

#[test]
fn a_server_that_has_not_answered_yet_is_asked_again_when_it_has() {
    let mut client = Client::open(Counting::Resumable);
    client.send(1);
    assert_eq!(client.said(), format!("<message id='1'/>{R}"));
    client.send(2);
    assert_eq!(client.said(), "<message id='2'/>");
    client.hear(&a(1));
    assert_eq!(client.news(), ["acked 1"]);
    assert_eq!(client.said(), R);
    client.hear(&a(2));
    assert_eq!(client.news(), ["acked 2"]);
    assert_eq!(client.said(), "", "all is acknowledged");
}

#[test]
fn while_much_is_sent_acknowledgements_are_asked_for_in_between() {
    let mut client = Client::open(Counting::Resumable);
    (0..10 * MOST_STANZAS as u64).for_each(|tag| client.send(tag));
    assert_eq!(client.said().matches(R).count(), 10);
}

#[test]
fn the_server_is_answered_how_much_of_it_was_handled() {
    let mut client = Client::open(Counting::Resumable);
    client.hear("<message/><presence/>");
    client.hear(R);
    assert_eq!(client.news(), ["message", "presence"]);
    assert_eq!(client.said_late(), a(2));
    client.hear(&R.repeat(1000));
    assert!(client.news().is_empty());
    assert_eq!(client.said_late(), a(2), "who asks without end gets one answer");
}

#[test]
fn a_server_that_never_asks_is_told_now_and_then_and_at_the_end() {
    let mut client = Client::open(Counting::Resumable);
    client.hear(&"<message/>".repeat(1000));
    assert_eq!(client.news().len(), 1000);
    assert_eq!(client.said(), a(1000));
    client.hear("<message/>");
    client.news();
    assert_eq!(client.said(), "");
    client.connection.finish();
    assert_eq!(client.said(), format!("{}</stream:stream>", a(1001)));
}

#[test]
fn the_end_of_the_stream_comes_behind_everything_else() {
    let mut client = Client::open(Counting::No);
    client.send(1);
    client.connection.finish();
    assert_eq!(client.said(), "<message id='1'/></stream:stream>");
}

#[test]
fn a_stanza_that_cannot_be_read_counts_like_any_other() {
    let long = "x".repeat(2 * MAX_STANZA);
    let mut client = Client::open(Counting::Resumable);
    for (sent, stanza) in [
        "<message type='unheard-of'/>".to_owned(),
        format!("<message id='{long}'/>"),
        format!("<message><body>{long}</body></message>"),
        "<iq type='get' from='@' id='1'/>".to_owned(),
        "<presence y:z=''/>".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        client.hear(stanza);
        client.hear(R);
        assert!(client.news().is_empty(), "{stanza}");
        assert_eq!(client.said_late(), a(sent as u32 + 1), "{stanza}");
    }
}

#[test]
fn what_is_no_element_neither_counts_nor_ends_anything() {
    let mut client = Client::open(Counting::Resumable);
    client.hear(&format!(" <!-- x --><?x?> <r>{}</r>", "x".repeat(2 * MAX_STANZA)));
    client.hear(R);
    assert!(client.news().is_empty());
    assert_eq!(client.said_late(), a(0));
}

#[test]
fn an_element_that_nobody_knows_ends_a_session_that_counts_and_no_other() {
    for unknown in
        ["<unheard-of xmlns='x'/>", "<unheard-of y:z=''/>", ENABLED, FAILED, "<a xmlns='urn:xmpp:sm:3'/>"]
    {
        let mut client = Client::open(Counting::Resumable);
        client.send(1);
        client.hear(unknown);
        assert_eq!(client.news(), ["lost 1", NONSENSE], "{unknown}");
        assert!(client.connection.take_session().is_none(), "it would come again");

        let mut client = Client::open(Counting::No);
        client.hear(unknown);
        client.hear("<message/>");
        assert_eq!(client.news(), ["message"], "{unknown}");
    }
}

#[test]
fn a_count_that_cannot_be_ends_the_session() {
    let mut client = Client::open(Counting::Resumable);
    client.send(1);
    client.hear(&a(2));
    assert_eq!(client.news(), ["lost 1", NONSENSE]);
}

#[test]
fn a_resumed_session_goes_on_with_what_the_server_does_not_have() {
    let mut client = Client::open(Counting::Resumable);
    client.hear("<message/>");
    assert_eq!(client.news(), ["message"]);
    (1..=3).for_each(|tag| client.send(tag));
    client.said();
    let mut client = client.reconnect();
    assert_eq!(client.said(), RESUME.replace("h='0'", "h='1'"));
    client.hear(&resumed(1));
    assert_eq!(client.news(), ["acked 1", "resumed"]);
    client.send(4);
    assert_eq!(client.said(), format!("<message id='2'/><message id='3'/><message id='4'/>{R}"));
    client.hear("<message/>");
    client.hear(R);
    client.hear(&a(4));
    assert_eq!(client.news(), ["message", "acked 2", "acked 3", "acked 4"]);
    assert_eq!(client.said_late(), a(2), "the count goes on");
}

#[test]
fn a_session_is_resumed_as_often_as_its_connection_breaks() {
    let mut client = Client::open(Counting::Resumable);
    client.send(1);
    for _ in 0..3 {
        client = client.reconnect();
        client.hear(&resumed(0));
        assert_eq!(client.news(), ["resumed"]);
        assert_eq!(client.said(), format!("{RESUME}<message id='1'/>{R}"));
    }
    // Also when it breaks before the server has answered.
    client = client.reconnect().reconnect();
    client.hear(&resumed(1));
    assert_eq!(client.news(), ["acked 1", "resumed"]);
}

#[test]
fn a_session_that_is_not_resumed_is_followed_by_another_on_the_same_connection() {
    for (refusal, fates) in [
        (FAILED, ["lost 1", "lost 2"]),
        ("<failed xmlns='urn:xmpp:sm:3' h='1'/>", ["acked 1", "lost 2"]),
        ("<failed xmlns='urn:xmpp:sm:3' h='7'/>", ["lost 1", "lost 2"]),
    ] {
        let mut client = Client::open(Counting::Resumable);
        (1..=2).for_each(|tag| client.send(tag));
        let mut client = client.reconnect();
        client.said();
        client.hear(refusal);
        assert_eq!(client.news(), fates, "{refusal}");
        assert!(client.said().starts_with("<iq type='set' id='bind'>"));
        client.hear(BOUND);
        assert_eq!(client.news(), ["online"]);
        client.hear(ENABLED);
        client.hear(R);
        client.send(3);
        client.hear(&a(1));
        assert_eq!(client.news(), ["acked 3"], "both count from the beginning");
        assert!(client.said().ends_with(&a(0)));
    }
}

#[test]
fn a_server_that_takes_resumption_back_or_does_not_answer_it_gets_a_new_session() {
    let client = || {
        let mut client = Client::open(Counting::Resumable);
        client.send(1);
        client
    };
    let mut broken = client();
    broken.end(AccountError::Closed(Step::Session));
    let mut next = Client::start(Counting::No, broken.connection.take_session());
    assert_eq!(next.news(), ["lost 1"]);
    assert!(next.said().starts_with("<iq "));

    let mut silent = client().reconnect();
    assert!(silent.news().is_empty());
    silent.pass(timing::OPENING);
    assert_eq!(silent.news(), ["lost 1", "closed: TimedOut(Bind)"]);
    assert!(silent.connection.take_session().is_none());

    let mut wrong = client().reconnect();
    wrong.hear(&resumed(2));
    assert_eq!(wrong.news(), ["lost 1", "closed: Protocol(Bind)"]);
    assert!(wrong.connection.take_session().is_none());
}

#[test]
fn a_session_that_cannot_be_resumed_ends_with_its_connection() {
    for (counting, enabled) in [
        (Counting::OneConnection, ENABLED),
        (Counting::Resumable, "<enabled xmlns='urn:xmpp:sm:3' id='session'/>"),
        (Counting::Resumable, "<enabled xmlns='urn:xmpp:sm:3' resume='true'/>"),
    ] {
        let mut client = Client::start(counting, None);
        client.hear(BOUND);
        client.hear(enabled);
        assert_eq!(client.news(), ["online"]);
        client.send(1);
        client.end(AccountError::Closed(Step::Session));
        assert_eq!(client.news(), ["lost 1", CLOSED]);
        assert!(client.connection.take_session().is_none());
    }
}

#[test]
fn a_resumed_session_that_does_not_work_is_given_up() {
    let mut client = Client::open(Counting::Resumable);
    client.send(1);
    let mut client = client.reconnect();
    client.hear(&resumed(0));
    assert_eq!(client.news(), ["resumed"]);
    assert_eq!(client.connection.poll_timeout(), Some(client.now + timing::PROOF));
    client.hear("<message/>");
    client.hear(&a(0));
    assert_eq!(client.news(), ["message"], "neither of which proves that the server reads");
    client.pass(timing::PROOF);
    assert_eq!(client.news(), ["lost 1", "unproven"]);
    assert!(client.connection.take_session().is_none());
}

#[test]
fn a_resumed_session_proves_by_an_acknowledgement_that_it_works() {
    let mut client = Client::open(Counting::Resumable);
    client.send(1);
    let mut client = client.reconnect();
    client.hear(&resumed(0));
    client.hear(&a(1));
    client.news();
    client.pass(timing::PROOF);
    assert!(client.news().is_empty());
}

#[test]
fn a_stream_error_ends_the_session_and_the_end_of_a_stream_does_not() {
    for (end, reason, is_resumable) in [
        (CONFLICT, "closed: Conflict", false),
        ("</stream:stream>", CLOSED, true),
        ("", CLOSED, true),
        (&*format!("<message>{CONFLICT}"), CLOSED, true),
    ] {
        let mut client = Client::open(Counting::Resumable);
        client.hear(end);
        client.end(AccountError::Closed(Step::Session));
        assert_eq!(client.news(), [reason], "{end}");
        assert_eq!(client.connection.take_session().is_some(), is_resumable, "{end}");
    }
    let mut client = Client::open(Counting::No);
    client.hear(&format!("<message>{CONFLICT}</message>{CONFLICT}"));
    assert_eq!(client.news(), ["closed: Conflict"], "and no other");
}

#[test]
fn what_came_before_the_connection_broke_is_heard_and_nothing_after_its_end() {
    let mut client = Client::open(Counting::No);
    client.hear(&format!("<message/>{CONFLICT}<message/>"));
    client.end(AccountError::Closed(Step::Session));
    client.hear("<message/>");
    assert_eq!(client.news(), ["message", "closed: Conflict"]);
}

#[test]
fn an_element_without_end_is_too_much_and_so_is_its_session() {
    for counting in [Counting::No, Counting::Resumable] {
        let mut client = Client::open(counting);
        client.hear("<message/><message><body>");
        let much = "x".repeat(1 << 20);
        (0..17).for_each(|_| client.hear(&much));
        assert_eq!(client.news(), ["message", "closed: TooMuch(Session)"]);
        assert!(client.connection.take_session().is_none());
    }
}

#[test]
fn without_counting_written_is_all_that_is_known_and_the_rest_is_lost() {
    let mut client = Client::open(Counting::No);
    (1..=3).for_each(|tag| client.send(tag));
    let stanza = "<message id='1'/>".len();
    client.connection.handle_written(2 * stanza + 1);
    assert!(client.news().is_empty(), "not yet flushed");
    client.connection.handle_flushed();
    assert_eq!(client.news(), ["acked 1", "acked 2"]);
    client.connection.handle_written(stanza - 1);
    client.end(AccountError::Closed(Step::Session));
    assert_eq!(client.news(), ["lost 3", CLOSED]);
}

#[test]
fn a_server_in_doubt_is_asked_as_fits_the_session_and_left_unless_it_says_anything_at_all() {
    for (counting, asked) in
        [(Counting::Resumable, (vec![], R)), (Counting::No, (vec!["silent".to_owned()], ""))]
    {
        let mut client = Client::open(counting);
        client.pass(2 * timing::RECENT);
        client.connection.handle_doubt(client.now);
        client.pass(timing::RECENT / 100);
        assert_eq!((client.news(), &*client.said()), asked);
        client.pass(timing::RECENT / 2);
        client.hear("<message/>");
        client.news();
        client.pass(timing::LEAST_RESPONSE);
        assert_eq!(client.news(), Vec::<String>::new(), "it is there");

        client.connection.handle_doubt(client.now);
        client.pass(timing::RECENT / 100);
        assert_eq!((client.news(), &*client.said()), asked);
        client.pass(timing::LEAST_RESPONSE);
        assert_eq!(client.news(), ["closed: TimedOut(Session)"]);
    }
}

#[test]
fn a_silent_server_is_asked_as_fits_the_session_and_then_left() {
    let mut client = Client::open(Counting::Resumable);
    client.pass(timing::SILENCE);
    assert!(client.news().is_empty());
    assert_eq!(client.said(), R);
    client.hear(&a(0));
    client.pass(timing::SILENCE);
    assert_eq!(client.said(), R);
    client.pass(timing::RESPONSE);
    assert_eq!(client.news(), ["closed: TimedOut(Session)"]);
    assert!(client.connection.take_session().is_some(), "what is behind it may come back");

    let mut client = Client::open(Counting::No);
    client.pass(timing::SILENCE);
    assert_eq!((client.news(), client.said()), (vec!["silent".to_owned()], String::new()));
    client.pass(timing::RESPONSE);
    assert_eq!(client.news(), ["closed: TimedOut(Session)"]);
}

#[test]
fn a_stanza_that_cannot_be_written_is_lost_and_nothing_else() {
    for counting in [Counting::No, Counting::Resumable] {
        let mut client = Client::open(counting);
        let presence = Presence { id: Some("\u{1}".to_owned()), ..Presence::available() };
        let stanza = Outgoing { tag: Some(1), ..Outgoing::untagged(presence) };
        assert_eq!(client.connection.send(stanza), Err(Unwritable));
        client.send(2);
        assert!(client.said().starts_with("<message id='2'/>"));
        client.hear(&a(1));
        assert_eq!(client.news(), ["lost 1", "acked 2"]);
    }
}

proptest! {
    /// Whatever happens to connections, each stanza has one fate, in order, and none that the server has is lost with a session that
    /// is resumed.
    #[test]
    fn each_stanza_has_one_fate(steps in prop::collection::vec((0..6u8, 0..4u64), 0..60)) {
        let mut client = Client::open(Counting::Resumable);
        let (mut next, mut fates) = (0, Vec::new());
        // What the server has handled in the present session, and what of it the client was told.
        let (mut handled, mut told) = (0_u32, 0_u32);
        for (step, count) in steps {
            match step {
                0 | 1 => {
                    (next..next + count).for_each(|tag| client.send(tag));
                    next += count;
                }
                2 => handled += client.said().matches("<message").count() as u32,
                3 => {
                    client.hear(&a(handled));
                    told = handled;
                }
                4 => {
                    client = client.reconnect();
                    client.said();
                    client.hear(&resumed(handled));
                    told = handled;
                }
                _ => {
                    client = client.reconnect();
                    client.hear(FAILED);
                    client.hear(BOUND);
                    fates.extend(client.news());
                    // In half of all cases the server has read them before it answers.
                    (next..next + count).for_each(|tag| client.send(tag));
                    next += count;
                    (handled, told) = (0, 0);
                    if count % 2 == 0 {
                        client.said();
                        handled = count as u32;
                    }
                    client.hear(ENABLED);
                }
            }
            fates.extend(client.news());
        }
        prop_assert!(told <= handled);
        client.end(AccountError::Conflict);
        fates.extend(client.news());
        let tags: Vec<u64> = fates
            .iter()
            .filter_map(|fate| fate.strip_prefix("acked ").or(fate.strip_prefix("lost ")))
            .map(|tag| tag.parse().unwrap())
            .collect();
        prop_assert!(tags.into_iter().eq(0..next));
    }
}
