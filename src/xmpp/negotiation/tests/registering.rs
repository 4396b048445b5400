//! Registration of accounts: what is said, what is kept before, and what servers ask for instead.

use proptest::prelude::*;

use super::server::{Client, HEADER};
use crate::xmpp::error::{AccountError, Step};
use crate::xmpp::registration::{NewAccount, Refusal};

const OPEN: &str = "<stream:features><register xmlns='http://jabber.org/features/iq-register'/>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>";

/// What Prosody asks for: elements, and a form.
const BOTH: &str = "<instructions>Choose</instructions><username/><password/><x type='form' xmlns='jabber:x:data'>\
    <title>New</title><field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field>\
    <field type='text-single' var='username'><required/></field>\
    <field type='text-private' var='password'><required/></field><field type='text-single' var='email'/></x>";

fn accounts() -> Vec<NewAccount> {
    ["marilan84", "tobesi07"]
        .map(|user| NewAccount { user: user.to_owned(), password: "s3cret".into() })
        .into()
}

/// A client that the server has told that it is open.
fn client() -> Client {
    let mut client = Client::registering(accounts());
    client.hear(&format!("{HEADER}{OPEN}"));
    client
}

fn asked(fields: &str) -> Client {
    let mut client = client();
    client.hear(&result("first", &format!("<query xmlns='jabber:iq:register'>{fields}</query>")));
    client
}

fn result(id: &str, payload: &str) -> String {
    format!("<iq type='result' id='{id}' from='chat.example'>{payload}</iq>")
}

fn error(id: &str, kind: &str, condition: &str) -> String {
    format!(
        "<iq type='error' id='{id}'><query xmlns='jabber:iq:register'/><error type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

fn refused(client: &Client) -> Option<Refusal> {
    match client.end() {
        Some(Err(AccountError::Registration(refusal, _))) => Some(refusal),
        _ => None,
    }
}

#[test]
fn an_account_is_kept_before_it_is_asked_for() {
    let mut client = asked("<username/><password/>");
    assert_eq!(client.end(), Some(Ok("to be kept")));
    assert!(!client.written.contains("marilan84"), "{}", client.written);
    assert_eq!(client.keep().user, "marilan84");
    client.said();
    let query = "<query xmlns='jabber:iq:register'><username>marilan84</username><password>s3cret</password></query></iq>";
    assert!(client.written.ends_with(query), "{}", client.written);
    client.hear(&result("second", ""));
    assert_eq!(client.end(), Some(Ok("registered")));
}

#[test]
fn where_there_is_a_form_it_is_filled_in_and_what_it_hides_goes_back() {
    let mut client = asked(BOTH);
    client.keep();
    client.said();
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value></field>\
        <field var='username'><value>marilan84</value></field><field var='password'><value>s3cret</value></field></x></query></iq>";
    let plainly = |text: &str| {
        text.replace('"', "'")
            .replace("xmlns='jabber:x:data' type='submit'", "FORM")
            .replace("type='submit' xmlns='jabber:x:data'", "FORM")
    };
    assert!(plainly(&client.written).ends_with(&plainly(form)), "{}", client.written);
}

#[test]
fn what_need_not_be_answered_is_not() {
    let optional =
        "<field var='nick'/><field var='news' type='boolean'><value>1</value></field><field type='fixed'/>";
    let in_form = BOTH.replace("</x>", &format!("{optional}</x>"));
    let beside = format!("<username/><password/><x type='form' xmlns='jabber:x:data'>{optional}</x>");
    for fields in [in_form, beside] {
        let mut client = asked(&fields);
        client.keep();
        client.said();
        assert!(!client.written.contains("nick") && !client.written.contains("news"), "{}", client.written);
        client.hear(&result("second", ""));
        assert_eq!(client.end(), Some(Ok("registered")));
    }
}

#[test]
fn of_several_ways_the_one_that_needs_no_page_is_taken() {
    let oob = "<x xmlns='jabber:x:oob'><url>https://x.example</url></x>";
    for fields in [format!("<username/><password/>{oob}"), format!("{BOTH}{oob}")] {
        assert_eq!(asked(&fields).end(), Some(Ok("to be kept")), "{fields}");
    }
}

#[test]
fn a_name_that_is_taken_is_followed_by_one_other_and_that_by_none() {
    let mut client = asked("<username/><password/>");
    client.keep();
    client.said();
    client.hear(&error("second", "cancel", "conflict"));
    assert_eq!(client.keep().user, "tobesi07");
    client.said();
    client.hear(&error("third", "cancel", "conflict"));
    assert_eq!(refused(&client), Some(Refusal::NamesTaken));
}

#[test]
fn what_a_server_asks_for_instead_is_told_apart() {
    let captcha =
        |fields: &str| format!("<username/><password/><x type='form' xmlns='jabber:x:data'>{fields}</x>");
    for (fields, refusal) in [
        (
            captcha("<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:captcha</value></field>"),
            Refusal::Captcha,
        ),
        (
            captcha("<field var='username'/><field var='password'/><field var='ocr'><required/></field>"),
            Refusal::Captcha,
        ),
        (
            captcha("<field var='username'/><field var='password'/><field var='email'><required/></field>"),
            Refusal::Form,
        ),
        ("<username/><password/><email/>".to_owned(), Refusal::Form),
        ("<password/>".to_owned(), Refusal::Form),
        (
            "<instructions>See</instructions><x xmlns='jabber:x:oob'><url>https://x.example</url></x>"
                .to_owned(),
            Refusal::Web,
        ),
        (String::new(), Refusal::Form),
        ("<instructions>See https://x.example</instructions>".to_owned(), Refusal::Form),
        // The form wants more than the elements beside it, or has names of its own.
        (captcha("<field var='email'><required/></field>"), Refusal::Form),
        (
            "<x type='form' xmlns='jabber:x:data'><field var='user'/><field var='pass'/></x>".to_owned(),
            Refusal::Form,
        ),
        (
            "<x type='form' xmlns='jabber:x:data'><field var='username' type='fixed'/><field var='password'/></x>"
                .to_owned(),
            Refusal::Form,
        ),
        // An answer would be a new password for that account.
        ("<registered/><username>alice</username><password/>".to_owned(), Refusal::Registered),
        (format!("<registered/>{BOTH}"), Refusal::Registered),
    ] {
        assert_eq!(refused(&asked(&fields)), Some(refusal), "{fields}");
    }
}

#[test]
fn each_error_of_a_server_has_its_meaning_to_the_question_and_to_the_answer() {
    for (kind, condition, refusal) in [
        ("wait", "resource-constraint", Refusal::TooMany),
        ("wait", "policy-violation", Refusal::TooMany),
        ("cancel", "not-allowed", Refusal::Closed),
        ("auth", "forbidden", Refusal::Closed),
        ("cancel", "service-unavailable", Refusal::Closed),
        ("wait", "internal-server-error", Refusal::Fault),
        ("modify", "not-acceptable", Refusal::Rules),
        ("modify", "bad-request", Refusal::Rules),
        ("modify", "jid-malformed", Refusal::Rules),
        ("modify", "redirect", Refusal::Web),
    ] {
        let mut question = client();
        question.hear(&error("first", kind, condition));
        assert_eq!(refused(&question), Some(refusal), "{condition}");
        let mut answer = asked("<username/><password/>");
        answer.keep();
        answer.said();
        answer.hear(&error("second", kind, condition));
        assert_eq!(refused(&answer), Some(refusal), "{condition}");
    }
}

/// What it has written is for an unsafe log.
#[test]
fn that_a_server_says_why_is_in_the_error() {
    let mut client = asked("<username/><password/>");
    client.keep();
    client.said();
    let why = "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>The password is too weak</text></error>";
    client.hear(&error("second", "modify", "not-acceptable").replace("</error>", why));
    let Some(Err(error)) = client.end() else { unreachable!("it was refused") };
    assert_eq!(
        error.to_string(),
        "registering an account at the chat server: the server does not accept it, by a rule for names or passwords, or because it \
         wants to know more than it asks for, and says \"[scrubbed]\""
    );
    let shown = safelog::with_safe_logging_suppressed(|| error.to_string());
    assert!(shown.ends_with("and says \"The password is too weak\""), "{shown}");
}

/// The text of the error that this ends with, and the same in an unsafe log.
fn texts(client: &Client) -> [String; 2] {
    let Some(Err(error)) = client.end() else { unreachable!("it was refused") };
    [error.to_string(), safelog::with_safe_logging_suppressed(|| error.to_string())]
}

#[test]
fn the_web_page_that_a_server_names_is_shown_to_whoever_wants_to_see_it() {
    const TEXT: &str =
        "registering an account at the chat server: the server registers accounts only on its web page";
    let oob =
        |url: &str| format!("<instructions>See</instructions><x xmlns='jabber:x:oob'><url>{url}</url></x>");
    let redirect = |url: &str| {
        let mut client = client();
        let named = format!("<redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{url}</redirect></error>");
        let error = error("first", "modify", "x")
            .replace("<x xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", &named);
        client.hear(&error);
        client
    };
    for client in [asked(&oob("https://chat.example/register")), redirect("https://chat.example/register")] {
        let [safe, shown] = texts(&client);
        assert_eq!(safe, format!("{TEXT}, whose address --unsafe-logging shows"));
        assert_eq!(shown, format!("{TEXT}, which is https://chat.example/register"));
    }
    for odd in ["javascript:alert(1)", "https://chat.example/&#x9;x", ""] {
        for client in [asked(&oob(odd)), redirect(odd)] {
            assert_eq!(texts(&client), [TEXT, TEXT], "{odd}");
        }
    }
}

#[test]
fn a_closed_door_is_not_knocked_at() {
    let mut client = Client::registering(accounts());
    client.said();
    client.hear(&format!("{HEADER}{}", super::features(super::SASL, &["SCRAM-SHA-1"])));
    assert_eq!(refused(&client), Some(Refusal::Closed));
    assert!(client.said().is_empty());
}

#[test]
fn no_account_is_registered_that_could_only_log_in_by_plain() {
    let mut client = Client::registering(accounts());
    client.said();
    client.hear(&format!("{HEADER}{}", OPEN.replace("SCRAM-SHA-1", "PLAIN")));
    assert_eq!(client.end(), Some(Err(AccountError::NoMechanism)));
    assert!(client.said().is_empty());
}

#[test]
fn an_answer_to_something_else_is_nonsense() {
    let query = "<query xmlns='jabber:iq:register'><username/><password/></query>";
    for said in [
        result("other", query),
        result("first", ""),
        "<iq type='error' id='first'/>".to_owned(),
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
        OPEN.to_owned(),
    ] {
        let mut client = client();
        client.hear(&said);
        assert_eq!(client.end(), Some(Err(AccountError::Protocol(Step::Register))), "{said}");
    }
}

proptest! {
    /// Nothing that is asked for makes us say more than a name and a password.
    #[test]
    fn whatever_is_asked_for_is_refused_or_answered_with_a_name_and_a_password(
        fields in prop::collection::vec(("(username|password|email|ocr|key|FORM_TYPE)", any::<bool>(), any::<bool>()), 0..6),
        in_form: bool,
    ) {
        let one = |(name, hidden, required): &(String, bool, bool)| {
            let (kind, required) = (if *hidden { "hidden" } else { "text-single" }, if *required { "<required/>" } else { "" });
            if in_form { format!("<field var='{name}' type='{kind}'>{required}</field>") } else { format!("<{name}/>") }
        };
        let fields: String = fields.iter().map(one).collect();
        let fields = if in_form { format!("<x xmlns='jabber:x:data' type='form'>{fields}</x>") } else { fields };
        let mut client = asked(&fields);
        if client.end() == Some(Ok("to be kept")) {
            client.keep();
            client.said();
            prop_assert_eq!(client.written.matches("s3cret").count(), 1);
            client.hear(&result("second", ""));
            prop_assert_eq!(client.end(), Some(Ok("registered")));
        } else {
            prop_assert!(refused(&client).is_some(), "{}: {:?}", fields, client.end());
        }
    }
}
