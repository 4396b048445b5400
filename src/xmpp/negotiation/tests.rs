//! Tests of a negotiation against a server that says exactly what a test wants.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod binding;
mod known;
mod registering;
mod server;

use proptest::prelude::*;

use self::server::{Client, FAILURE, HEADER, SASL, SASL2, Scram, features};
use super::*;

const NONSENSE: AccountError = AccountError::Protocol(Step::Login);

const STARTTLS: &str =
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";

#[test]
fn tls_is_asked_for_only_when_it_is_offered_and_what_follows_its_beginning_is_dropped() {
    let mut client = Client::for_tls();
    assert_eq!(client.said(), ["header"], "whoever watches sees all of it");
    client.hear(&format!("{HEADER}{STARTTLS}"));
    assert_eq!(client.end(), None);
    assert_eq!(client.said(), ["starttls"]);
    client.hear("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><stream:features/>");
    assert_eq!(client.end(), Some(Ok("tls")));

    let mut without = Client::for_tls();
    without.hear(&format!("{HEADER}{}", features(SASL, &["SCRAM-SHA-1"])));
    assert_eq!(without.end(), Some(Err(AccountError::NoStartTls)));
}

#[test]
fn a_server_that_refuses_tls_or_says_something_else_is_not_believed() {
    let nonsense = AccountError::Protocol(Step::StartTls);
    for (answer, fault) in [
        ("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", AccountError::StartTlsRefused),
        ("<failure xmlns='x'/>", nonsense.clone()),
        ("<proceed xmlns='x'/>", nonsense.clone()),
        ("<stream:features/>", nonsense),
    ] {
        let mut client = Client::for_tls();
        client.hear(&format!("{HEADER}{STARTTLS}"));
        client.hear(answer);
        assert_eq!(client.end(), Some(Err(fault)), "{answer}");
    }
}

#[test]
fn a_first_login_waits_for_what_the_server_offers_and_a_stream_follows_it() {
    let mut client = Client::new(Memory::default());
    assert_eq!(client.said(), ["header"]);
    let mut server = Scram::in_words_of(SASL);
    client.hear(&format!("{HEADER}{}", features(SASL, &["PLAIN", "SCRAM-SHA-1"])));
    assert_eq!(client.said(), ["auth"]);
    server.challenge(&mut client);
    assert_eq!(client.said(), ["response"], "what belongs to a session belongs to the next stream");
    server.succeed(&mut client, "");
    assert_eq!(client.end(), Some(Ok("another stream")));
}

#[test]
fn behind_sasl2_the_stream_goes_on_and_the_first_request_follows_our_last_word() {
    let mut client = Client::new(Memory::default());
    client.said();
    let mut server = Scram::in_words_of(SASL2);
    client.hear(&format!("{HEADER}{}", features(SASL2, &["SCRAM-SHA-1"])));
    assert_eq!(client.said(), ["authenticate"]);
    server.challenge(&mut client);
    assert_eq!(client.said(), ["response", "first request"]);
    server.succeed(&mut client, "");
    client.hear("<stream:features/><iq id='later'/>");
    assert_eq!(client.end(), Some(Ok("the same stream")));
}

#[test]
fn sasl2_is_for_where_it_is_as_good() {
    for (sasl, sasl2, word) in [
        ("SCRAM-SHA-1", "SCRAM-SHA-1", "authenticate"),
        ("SCRAM-SHA-1", "SCRAM-SHA-256", "authenticate"),
        ("SCRAM-SHA-256", "SCRAM-SHA-1", "auth"),
        ("SCRAM-SHA-256", "PLAIN", "auth"),
    ] {
        let mut client = Client::new(Memory::default());
        client.said();
        let both = features(SASL, &[sasl]) + &features(SASL2, &[sasl2]);
        client.hear(&format!("{HEADER}{}", both.replace("</stream:features><stream:features>", "")));
        assert_eq!((client.said(), client.end()), (vec![word.to_owned()], None), "{sasl} {sasl2}");
    }
}

#[test]
fn who_has_no_account_is_let_in_by_both_profiles_and_asks_for_no_token() {
    for (namespace, words, end) in [
        (SASL, &["header", "auth"][..], "another stream"),
        (SASL2, &["header", "authenticate", "first request"], "the same stream"),
    ] {
        let mut nobody = Client::anonymous();
        nobody.hear(&format!("{HEADER}{}", features(namespace, &["ANONYMOUS"])));
        assert_eq!(nobody.said(), words, "{namespace}");
        assert!(!nobody.written.contains("request-token"), "{}", nobody.written);
        nobody.hear(&format!("<success xmlns='{namespace}'/>"));
        assert_eq!(nobody.end(), Some(Ok(end)));
    }
}

#[test]
fn a_server_that_lets_nobody_in_without_an_account_is_told_apart() {
    let mut nobody = Client::anonymous();
    nobody.hear(&format!("{HEADER}{}", features(SASL, &["SCRAM-SHA-1", "PLAIN"])));
    assert_eq!(nobody.end(), Some(Err(AccountError::NotAnonymous)));
}

#[test]
fn who_has_no_account_is_refused_for_that_and_never_for_a_password() {
    for namespace in [SASL, SASL2] {
        for (condition, fault) in [
            ("not-authorized", AccountError::NotAnonymous),
            ("account-disabled", AccountError::NotAnonymous),
            ("mechanism-too-weak", AccountError::NotAnonymous),
            ("temporary-auth-failure", AccountError::LoginUnavailable),
            ("malformed-request", AccountError::LoginRefused("malformed-request")),
        ] {
            let mut nobody = Client::anonymous();
            nobody.hear(&format!("{HEADER}{}", features(namespace, &["ANONYMOUS"])));
            nobody.said();
            nobody.hear(&format!("<failure xmlns='{namespace}'><{condition} xmlns='{SASL}'/></failure>"));
            assert_eq!(nobody.end(), Some(Err(fault)), "{condition}");
        }
    }
}

#[test]
fn a_server_without_an_acceptable_mechanism_is_told_nothing() {
    for namespace in [SASL, SASL2] {
        let mut client = Client::new(Memory::default());
        client.said();
        client.hear(&format!("{HEADER}{}", features(namespace, &["PLAIN", "SCRAM-SHA-1-PLUS"])));
        assert_eq!(client.end(), Some(Err(AccountError::NoMechanism)));
        assert!(client.said().is_empty());
    }
}

#[test]
fn a_server_proves_that_it_knows_the_password_in_both_profiles() {
    for namespace in [SASL, SASL2] {
        let mut client = Client::at(namespace, Memory::default());
        Scram::in_words_of(namespace).succeed(&mut client, "");
        assert_eq!(client.end(), Some(Err(AccountError::Unproven)), "{namespace}");

        let mut client = Client::at(namespace, Memory::default());
        let mut server = Scram::in_words_of(namespace);
        server.challenge(&mut client);
        server.succeed_with(&mut client, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "");
        assert_eq!(client.end(), Some(Err(AccountError::Unproven)), "{namespace}");
    }
}

#[test]
fn what_a_server_refuses_is_told_apart_from_nonsense() {
    for (namespace, answer, fault) in [
        (SASL, format!("<failure xmlns='{SASL}'>{FAILURE}</failure>"), AccountError::WrongPassword),
        (SASL2, format!("<failure xmlns='{SASL2}'>{FAILURE}</failure>"), AccountError::WrongPassword),
        (SASL, format!("<failure xmlns='{SASL2}'>{FAILURE}</failure>"), NONSENSE),
        (SASL2, format!("<continue xmlns='{SASL2}'/>"), NONSENSE),
        (SASL, features(SASL, &["SCRAM-SHA-1"]), NONSENSE),
        (SASL, "<message/>".to_owned(), NONSENSE),
        (SASL, "</stream:stream>".to_owned(), AccountError::Closed(Step::Login)),
    ] {
        let mut client = Client::at(namespace, Memory::default());
        client.hear(&answer);
        assert_eq!(client.end(), Some(Err(fault)), "{answer}");
    }
}

proptest! {
    /// However what a server says is cut, the same is said and the same comes of it.
    #[test]
    fn cuts_change_nothing(cuts in prop::collection::vec(1..40usize, 1..20), is_sasl2 in any::<bool>()) {
        let namespace = if is_sasl2 { SASL2 } else { SASL };
        let mut client = Client::new(Memory::default());
        client.cuts = cuts;
        let mut server = Scram::in_words_of(namespace);
        client.hear(&format!("{HEADER}{}", features(namespace, &["SCRAM-SHA-1"])));
        let mut said = client.said();
        server.challenge(&mut client);
        said.extend(client.said());
        server.succeed(&mut client, "");
        client.hear("<stream:features/>");
        let (words, end): (&[&str], _) = if is_sasl2 {
            (&["header", "authenticate", "response", "first request"], "the same stream")
        } else {
            (&["header", "auth", "response"], "another stream")
        };
        prop_assert_eq!(said, words);
        prop_assert_eq!(client.end(), Some(Ok(end)));
    }
}
