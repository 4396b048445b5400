//! Logins that are bound to their connection, and offers that somebody in between has changed.

use super::known::TOKEN;
use super::server::{accept_token, naming};
use super::*;
use crate::xmpp::channel_binding::ChannelBindings;

const BOTH: [&str; 2] = ["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"];
const TYPES: [&str; 2] = ["tls-exporter", "tls-server-end-point"];

/// The server's hash of [`BOTH`] and [`TYPES`] as XEP-0474 section 4.3 has it, and of `SCRAM-SHA-1` alone and no types: the SHA-1 of
/// these eleven bytes, computed with Python's `hashlib`.
const HASH_OF_ALL: &str = ",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=";
const HASH_OF_UNBOUND: &str = ",h=LrtFoCs8XsoI+diY4u3rG69UGN8=";

/// A connection with these names.
fn named(name: &str) -> ChannelBindings {
    let end_point = format!("{name}'s certificate");
    ChannelBindings {
        exporter: Some(name.as_bytes().to_vec()),
        server_end_point: Some(end_point.into_bytes()),
    }
}

fn binding_features(namespace: &str) -> String {
    format!("{HEADER}{}", naming(&TYPES, &features(namespace, &BOTH)))
}

/// One that has heard of a server that binds.
fn at(namespace: &str, memory: Memory) -> Client {
    let mut client = Client::over(named("ours"), memory);
    client.hear(&binding_features(namespace));
    client.said();
    client
}

/// What a login that was bound has taught, at which the server said more in the end.
fn taught_by(namespace: &'static str, more: &str) -> Memory {
    let mut client = at(namespace, Memory::default());
    let mut server = Scram::in_words_of(namespace);
    server.challenge(&mut client);
    server.succeed(&mut client, more);
    client.memory()
}

#[test]
fn a_login_is_bound_where_the_server_offers_it_and_worth_nothing_on_another_connection() {
    for namespace in [SASL, SASL2] {
        let mut client = at(namespace, Memory::default());
        assert!(client.written.contains("mechanism='SCRAM-SHA-1-PLUS'"), "{}", client.written);
        let mut server = Scram::in_words_of(namespace);
        assert_eq!(server.first(&client).0, "p=tls-exporter,,");
        server.challenge(&mut client);
        assert!(server.accepts(&mut client, b"ours"));
        assert!(!server.accepts(&mut client, b"theirs"));
        server.succeed(&mut client, "");
        assert!(matches!(client.end(), Some(Ok(_))), "{namespace}");
    }
}

#[test]
fn a_bound_login_takes_no_round_trip_more_and_each_is_bound_to_its_own_connection() {
    for (namespace, word) in [(SASL, "auth"), (SASL2, "authenticate")] {
        let mut client = Client::over(named("the next"), taught_by(namespace, ""));
        assert_eq!(client.said(), ["header", word]);
        client.hear(&binding_features(namespace));
        let mut server = Scram::in_words_of(namespace);
        server.challenge(&mut client);
        assert!(server.accepts(&mut client, b"the next"));
    }
}

fn with_bound_tokens(features: &str) -> String {
    let lists_both = "<mechanism>HT-SHA-256-EXPR</mechanism><mechanism>HT-SHA-256-NONE</mechanism>";
    features.replace("<mechanism>HT-SHA-256-NONE</mechanism>", lists_both)
}

/// What a login has taught that has brought a token which is bound.
fn taught_with_bound_token() -> Memory {
    let mut client = Client::over(named("ours"), Memory::default());
    client.hear(&with_bound_tokens(&binding_features(SASL2)));
    client.said();
    assert!(client.written.contains("request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'"));
    let mut server = Scram::in_words_of(SASL2);
    server.challenge(&mut client);
    server.succeed(&mut client, TOKEN);
    client.memory()
}

#[test]
fn a_token_is_bound_where_the_server_offers_it_and_everything_is_still_said_at_once() {
    let mut client = Client::over(named("the next"), taught_with_bound_token());
    assert_eq!(client.said(), ["header", "authenticate", "first request"]);
    assert!(client.written.contains("mechanism='HT-SHA-256-EXPR'"), "{}", client.written);
    client.hear(&with_bound_tokens(&binding_features(SASL2)));
    accept_token(&mut client, "the token", b"the next");
    assert_eq!(client.end(), Some(Ok("the same stream")));
}

#[test]
fn a_token_is_good_for_nothing_but_the_binding_that_it_was_asked_for() {
    let without_exporter = ChannelBindings { exporter: None, ..named("the next") };
    let mut client = Client::over(without_exporter, taught_with_bound_token());
    assert_eq!(client.said(), ["header", "authenticate"]);
    assert_eq!(Scram::in_words_of(SASL2).first(&client).0, "p=tls-server-end-point,,");

    let mut stripped = Client::over(named("ours"), taught_with_bound_token());
    stripped.said();
    stripped.hear(&binding_features(SASL2));
    assert_eq!(stripped.end(), Some(Err(AccountError::NoMechanism)), "only tokens that are bound to nothing");
}

#[test]
fn who_takes_away_what_binds_is_found_out_by_the_servers_hash() {
    for namespace in [SASL, SASL2] {
        for stripped in [
            features(namespace, &["SCRAM-SHA-1"]),
            naming(&["tls-server-end-point"], &features(namespace, &BOTH)),
        ] {
            let mut client = Client::over(named("theirs"), Memory::default());
            client.hear(&format!("{HEADER}{stripped}"));
            client.said();
            Scram::in_words_of(namespace).challenge_saying(&mut client, HASH_OF_ALL);
            assert_eq!(client.end(), Some(Err(AccountError::Downgraded)), "{stripped}");
            assert!(client.said().is_empty(), "there is nothing to guess the password from");
        }
    }
}

#[test]
fn what_the_server_has_offered_is_what_we_have_read_and_the_login_goes_on() {
    for namespace in [SASL, SASL2] {
        let mut client = at(namespace, Memory::default());
        let mut server = Scram::in_words_of(namespace);
        server.challenge_saying(&mut client, HASH_OF_ALL);
        server.succeed(&mut client, "");
        assert!(matches!(client.end(), Some(Ok(_))), "{namespace}");
    }
}

#[test]
fn an_offer_that_contradicts_itself_gets_no_word_of_ours() {
    for namespace in [SASL, SASL2] {
        let mut client = Client::over(named("theirs"), Memory::default());
        client.said();
        client.hear(&format!("{HEADER}{}", naming(&TYPES, &features(namespace, &["SCRAM-SHA-1"]))));
        assert_eq!(client.end(), Some(Err(AccountError::Downgraded)));
        assert!(client.said().is_empty());
    }
}

#[test]
fn who_was_bound_once_goes_without_only_where_the_server_says_that_it_is_meant_so() {
    let unbound = format!("{HEADER}{}", features(SASL, &["SCRAM-SHA-1"]));
    let mut memory = taught_by(SASL, "");
    let mut client = Client::over(named("ours"), memory.clone());
    client.said();
    client.hear(&unbound);
    assert_eq!(client.end(), Some(Err(AccountError::NoMechanism)));
    memory.forget();
    for (hash, end) in [("", Some(Err(AccountError::Downgraded))), (HASH_OF_UNBOUND, None)] {
        let mut client = Client::over(named("ours"), memory.clone());
        assert_eq!(client.said(), ["header"]);
        client.hear(&unbound);
        client.said();
        let mut server = Scram::in_words_of(SASL);
        assert_eq!(server.first(&client).0, "y,,");
        server.challenge_saying(&mut client, hash);
        assert_eq!(client.end(), end, "{hash}");
    }
}

#[test]
fn a_list_without_a_type_of_ours_is_believed_unless_the_hash_or_an_earlier_login_tells_otherwise() {
    for namespace in [SASL, SASL2] {
        let list = format!("{HEADER}{}", naming(&["tls-unique"], &features(namespace, &BOTH)));
        let mut was_bound = taught_by(namespace, "");
        was_bound.forget();
        for (memory, hash, end) in [
            (Memory::default(), "", None),
            (Memory::default(), HASH_OF_ALL, Some(Err(AccountError::Downgraded))),
            (was_bound, "", Some(Err(AccountError::Downgraded))),
        ] {
            let mut client = Client::over(named("theirs"), memory);
            client.hear(&list);
            client.said();
            let mut server = Scram::in_words_of(namespace);
            assert_eq!(server.first(&client).0, "n,,");
            server.challenge_saying(&mut client, hash);
            assert_eq!(client.end(), end, "{namespace} {hash}");
        }
    }
}

#[test]
fn over_a_websocket_who_was_bound_once_is_let_in_unbound() {
    for namespace in [SASL, SASL2] {
        let mut memory = taught_by(namespace, "");
        memory.forget();
        let mut client = Client::over(ChannelBindings::default(), memory);
        client.hear(&binding_features(namespace));
        client.said();
        let mut server = Scram::in_words_of(namespace);
        assert_eq!(server.first(&client).0, "n,,");
        server.challenge(&mut client);
        server.succeed(&mut client, "");
        assert!(matches!(client.end(), Some(Ok(_))), "{namespace}");
        assert!(client.memory().was_bound, "where it can be bound, it still has to be");
    }
}

#[test]
fn what_was_said_before_the_offer_is_what_would_be_said_behind_it() {
    let mut client = Client::over(named("ours"), Memory::default());
    client.hear(&format!("{HEADER}{}", features(SASL, &["SCRAM-SHA-1"])));
    client.said();
    let mut server = Scram::in_words_of(SASL);
    server.challenge(&mut client);
    server.succeed(&mut client, "");

    let mut next = Client::over(named("the next"), client.memory());
    assert_eq!(next.said(), ["header", "auth"]);
    assert_eq!(server.first(&next).0, "y,,");
    next.hear(&binding_features(SASL));
    assert_eq!(
        next.end(),
        Some(Err(AccountError::NoMechanism)),
        "a server that offers it refuses who denies it"
    );
}

#[test]
fn a_server_at_the_end_of_another_connection_is_told_apart_from_a_wrong_password() {
    let failure = |namespace: &str, condition: &str| {
        format!(
            "<failure xmlns='{namespace}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>"
        )
    };
    for namespace in [SASL, SASL2] {
        for (condition, fault) in
            [("malformed-request", AccountError::NotBound), ("not-authorized", AccountError::WrongPassword)]
        {
            let mut client = at(namespace, Memory::default());
            client.hear(&failure(namespace, condition));
            assert_eq!(client.end(), Some(Err(fault)), "{condition}");
        }
        let mut stripped = Client::over(named("theirs"), Memory::default());
        stripped.hear(&format!("{HEADER}{}", features(namespace, &["SCRAM-SHA-1"])));
        stripped.said();
        stripped.hear(&failure(namespace, "malformed-request"));
        assert_eq!(stripped.end(), Some(Err(AccountError::Downgraded)), "we said y");
        let mut unbound = Client::at(namespace, Memory::default());
        unbound.hear(&failure(namespace, "malformed-request"));
        assert_eq!(unbound.end(), Some(Err(AccountError::LoginRefused("malformed-request"))));
    }
}
