//! Logins that know from the last one what the server offers.

use super::server::{FAILURE, accept_token};
use super::*;

pub(super) const TOKEN: &str =
    "<token xmlns='urn:xmpp:fast:0' token='the token' expiry='2030-01-01T00:00:00Z'/>";

/// What a login with this profile has taught, at which the server said more in the end.
fn taught_by(namespace: &'static str, more: &str) -> Memory {
    let mut client = Client::at(namespace, Memory::default());
    let mut server = Scram::in_words_of(namespace);
    server.challenge(&mut client);
    server.succeed(&mut client, more);
    client.memory()
}

#[test]
fn our_first_word_goes_with_the_header_where_it_is_known_what_the_server_offers() {
    for (namespace, word) in [(SASL, "auth"), (SASL2, "authenticate")] {
        let mut client = Client::new(taught_by(namespace, ""));
        assert_eq!(client.said(), ["header", word]);
        let mut server = Scram::in_words_of(namespace);
        client.hear(&format!("{HEADER}{}", features(namespace, &["SCRAM-SHA-1"])));
        assert!(client.said().is_empty());
        server.challenge(&mut client);
        server.succeed(&mut client, "");
        assert!(matches!(client.end(), Some(Ok(_))));
    }
}

#[test]
fn a_server_that_does_not_offer_any_more_what_was_asked_for_is_not_logged_in_to() {
    for (namespace, offered) in [
        (SASL, features(SASL, &["SCRAM-SHA-256"])),
        (SASL, features(SASL, &["PLAIN"])),
        (SASL2, features(SASL, &["SCRAM-SHA-1"])),
    ] {
        let mut client = Client::new(taught_by(namespace, ""));
        client.said();
        client.hear(&format!("{HEADER}{offered}"));
        assert_eq!(client.end(), Some(Err(AccountError::NoMechanism)), "{offered}");
    }
}

#[test]
fn a_server_that_answers_before_it_has_said_what_it_offers_makes_no_sense() {
    let mut client = Client::new(taught_by(SASL, ""));
    client.said();
    client.hear(&format!("{HEADER}<success xmlns='{SASL}'/>"));
    assert_eq!(client.end(), Some(Err(AccountError::Protocol(Step::Stream))));
}

#[test]
fn a_token_is_asked_for_and_with_one_everything_is_said_at_once() {
    let first = Client::at(SASL2, Memory::default());
    assert!(first.written.contains("<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'"));

    let mut client = Client::new(taught_by(SASL2, TOKEN));
    assert_eq!(client.said(), ["header", "authenticate", "first request"]);
    client.hear(&format!("{HEADER}{}", features(SASL2, &["SCRAM-SHA-1"])));
    accept_token(&mut client, "the token", b"");
    assert_eq!(client.end(), Some(Ok("the same stream")));
    let mut again = Client::new(client.memory());
    assert_eq!(
        again.said(),
        ["header", "authenticate", "first request"],
        "it is good for more than one login"
    );
}

#[test]
fn who_logs_in_once_asks_for_no_token() {
    let mut client = Client::once();
    client.hear(&format!("{HEADER}{}", features(SASL2, &["SCRAM-SHA-1"])));
    assert_eq!(client.said(), ["header", "authenticate"]);
    assert!(!client.written.contains("request-token"), "{}", client.written);
}

#[test]
fn a_server_that_does_not_know_the_token_is_not_believed() {
    let mut client = Client::at(SASL2, taught_by(SASL2, TOKEN));
    Scram::in_words_of(SASL2).succeed_with(&mut client, "", "");
    assert_eq!(client.end(), Some(Err(AccountError::Unproven)));
}

#[test]
fn a_token_that_is_refused_says_nothing_about_the_password() {
    let mut client = Client::at(SASL2, taught_by(SASL2, TOKEN));
    client.hear(&format!("<failure xmlns='{SASL2}'>{FAILURE}</failure>"));
    let Some(Err(error)) = client.end() else { panic!("it was not refused") };
    assert!(!error.is_permanent(), "{error}");
}
