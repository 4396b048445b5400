//! Unharmed accounts: whatever a stranger sends, before, at and after its login, an account stays where it is, answers as
//! slixmpp does, and serves the session that it has.

use std::time::{Duration, Instant};

use hexchat_lab::{Kind, on_both_servers};

use crate::answers::compare;
use crate::last_word::{assert_answers, until_delivered};
use crate::odd::{self, Named, borrow};
use crate::prober::Prober;
use crate::steady::Steady;
use crate::subject::{BRIDGE, CLASSIC, CLIENT, Lab, PLAIN, Subject};

/// The users behind our accounts.
const OURS: [&str; 3] = [CLASSIC, BRIDGE, CLIENT];

/// An account whose connection is cut is back within this time. One that believed it had been thrown out by another login
/// would wait for at least fifteen seconds.
const BACK: Duration = Duration::from_secs(10);

async fn visit(kind: Kind) -> (Steady, Prober) {
    let steady = Steady::start(Lab::server(kind, &["eve", "bob"]), "eve").await;
    let mut eve = Prober::log_in(&steady.lab.server, "eve").await;
    eve.come_online().await;
    (steady, eve)
}

/// One after the other, so that it is known which one it was.
async fn send_to_ours(steady: &Steady, eve: &mut Prober, probes: &[Named]) {
    for (name, stanza) in probes {
        for subject in steady.ours() {
            let id = eve.new_id();
            let stanza = stanza
                .replace("'ID'", &format!("'{id}'"))
                .replace("'TO'", &format!("'{}'", subject.jid))
                .replace("'BARE'", &format!("'{}'", subject.bare()));
            eve.send(&stanza).await;
            assert_answers(eve, subject, name).await;
        }
    }
}

/// Somebody who sees the presence of the accounts that serve.
async fn friend(steady: &Steady) -> Prober {
    let lab = &steady.lab;
    let mut bob = Prober::log_in(&lab.server, "bob").await;
    bob.come_online().await;
    befriend(&mut bob, &[&lab.classic, &lab.bridge]).await;
    bob
}

/// # Panics
///
/// When an account has gone, even for a moment.
async fn assert_undisturbed(steady: &Steady, eve: &mut Prober, bob: &mut Prober) {
    steady.assert_undisturbed(eve, "odd stanzas").await;
    let heard = until_delivered(bob).await;
    let left = heard.iter().find(|stanza| stanza.attr("type") == Some("unavailable"));
    assert!(left.is_none(), "a contact has seen {left:?}");
}

async fn odd_requests_and_messages_get_slixmpps_answers(kind: Kind) {
    let (steady, mut eve) = visit(kind).await;
    let mut bob = friend(&steady).await;
    let (readable, deep) = (odd::readable(), odd::deep());
    let stanzas = [
        odd::requests_with(&readable),
        odd::messages_with(&readable),
        odd::messages_with(&deep),
        odd::stanzas_with_odd_ids(),
    ];
    compare(&mut eve, &steady.lab.plain, &steady.ours(), &borrow(&stanzas.concat())).await;
    for requests in [odd::requests_with(&deep), odd::requests_with_long_tags()] {
        send_to_ours(&steady, &mut eve, &requests).await;
    }
    assert_undisturbed(&steady, &mut eve, &mut bob).await;
}

async fn odd_presence_gets_slixmpps_answers(kind: Kind) {
    let (steady, mut eve) = visit(kind).await;
    let mut bob = friend(&steady).await;
    let lab = &steady.lab;
    let readable = [odd::readable(), odd::deep()].concat();
    for presence in [odd::presence_with(&readable), odd::presence_with_odd_ids()] {
        match kind {
            Kind::Prosody | Kind::ProsodyModules => {
                compare(&mut eve, &lab.plain, &steady.ours(), &borrow(&presence)).await;
            }
            Kind::Ejabberd => send_to_ours(&steady, &mut eve, &presence).await,
        }
    }
    for contacts in
        [odd::contacts_with(&readable), odd::contacts_with_odd_ids(), odd::contacts_with_long_tags()]
    {
        // A user's account is not ours to make friends with.
        if kind == Kind::Prosody {
            compare(&mut eve, &lab.plain, &[&lab.classic, &lab.bridge], &borrow(&contacts)).await;
        }
        send_to_ours(&steady, &mut eve, &contacts).await;
    }
    assert_undisturbed(&steady, &mut eve, &mut bob).await;
}

async fn stanzas_that_nobody_can_read_end_no_connection(kind: Kind) {
    let (steady, mut eve) = visit(kind).await;
    let unreadable = odd::unreadable(kind);
    for stanzas in [
        odd::requests_with(&unreadable),
        odd::messages_with(&unreadable),
        odd::presence_with(&unreadable),
        odd::contacts_with(&unreadable),
    ] {
        send_to_ours(&steady, &mut eve, &stanzas).await;
    }
    steady.assert_undisturbed(&mut eve, "stanzas that nobody can read").await;
}

/// Who asks for a subscription before anybody has logged in: a server keeps only the last request of each.
const ADMIRERS: [&str; 10] = ["eve0", "eve1", "eve2", "eve3", "eve4", "eve5", "eve6", "eve7", "eve8", "eve9"];

/// What they ask with, and whether slixmpp can read it.
fn requests(kind: Kind) -> Vec<(String, bool)> {
    let readable = [odd::readable(), odd::deep()].concat();
    let wanted = ["9000 bytes", "60000 bytes", ": 101 levels", ": 3000 levels", ": a stream error"];
    let asks = |(name, _): &Named| name.starts_with("subscribe");
    let is_wanted = |name: &str| wanted.iter().any(|wanted| name.ends_with(wanted));
    let mut readable = [odd::contacts_with_odd_ids(), odd::contacts_with(&readable)].concat();
    readable.retain(|request| asks(request) && is_wanted(&request.0));
    let mut unreadable = odd::contacts_with(&odd::unreadable(kind));
    unreadable.retain(asks);
    let spare = ADMIRERS.len() - unreadable.len();
    let readable = readable.into_iter().take(spare).map(|(_, request)| (request, true));
    readable.chain(unreadable.into_iter().map(|(_, request)| (request, false))).collect()
}

/// Messages are kept for an account that is not there, and requests for a subscription are repeated at each login until
/// they are answered, which a user's account never does by itself.
async fn what_was_sent_before_a_login_keeps_no_account_away(kind: Kind) {
    let server = Lab::server(kind, &[&["bob", "eve"], &ADMIRERS[..]].concat());
    let users =
        |is_readable: bool| if is_readable { &[CLASSIC, BRIDGE, CLIENT, PLAIN][..] } else { &OURS[..] };
    let mut eve = Prober::log_in(&server, "eve").await;
    for (contents, is_readable) in
        [(odd::readable(), true), (odd::deep(), true), (odd::unreadable(kind), false)]
    {
        for (_, content) in contents {
            for user in users(is_readable) {
                send_offline(&mut eve, &odd::message_with(&content), &server.jid(user)).await;
            }
            until_delivered(&mut eve).await;
        }
    }
    drop(eve);
    for (admirer, (request, is_readable)) in ADMIRERS.iter().zip(requests(kind)) {
        let mut admirer = Prober::log_in(&server, admirer).await;
        for user in users(is_readable) {
            send_offline(&mut admirer, &request, &server.jid(user)).await;
        }
        until_delivered(&mut admirer).await;
    }
    // Those who sent all that are gone.
    let mut steady = Steady::start(server, "bob").await;
    let mut bob = Prober::log_in(&steady.lab.server, "bob").await;
    steady.assert_undisturbed(&mut bob, "its first login").await;
    assert_friends_like_slixmpps(&steady.lab, kind).await;
    steady.start_again("bob").await;
    steady.assert_undisturbed(&mut bob, "its next login").await;
}

async fn send_offline(prober: &mut Prober, stanza: &str, bare: &str) {
    let id = prober.new_id();
    prober.send(&stanza.replace("'ID'", &format!("'{id}'")).replace("'BARE'", &format!("'{bare}'"))).await;
}

/// Who asked became a contact of an account that serves, however he asked.
async fn assert_friends_like_slixmpps(lab: &Lab, kind: Kind) {
    for (admirer, (request, is_readable)) in ADMIRERS.iter().zip(requests(kind)) {
        let mut admirer = Prober::log_in(&lab.server, admirer).await;
        admirer.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await;
        let roster = admirer.until_answer("roster").await.pop().unwrap();
        let items: Vec<_> = roster.children().flat_map(|query| query.children()).collect();
        let subscription = |subject: &Subject| {
            let item = items.iter().find(|item| item.attr("jid") == Some(subject.bare()));
            item.and_then(|item| item.attr("subscription")).map(str::to_owned)
        };
        let expected = if is_readable { subscription(&lab.plain) } else { Some("to".into()) };
        for subject in [&lab.classic, &lab.bridge] {
            let head = request.get(..120).unwrap_or(&request);
            assert_eq!(subscription(subject), expected, "{}: {head}", subject.jid);
        }
    }
}

/// Whoever asks becomes a contact, and his presence comes at each login.
async fn a_contacts_presence_keeps_no_account_away(kind: Kind) {
    let (mut steady, mut eve) = visit(kind).await;
    befriend(&mut eve, &[&steady.lab.classic, &steady.lab.bridge]).await;
    let wanted =
        ["a caps node of 9000 bytes", "an attribute's name of 60000 bytes", "3000 levels", "5000 children"];
    let mut contents = [odd::readable(), odd::deep()].concat();
    contents.retain(|(name, _)| wanted.contains(&name.as_str()));
    assert_eq!(contents.len(), wanted.len());
    for (name, content) in contents.into_iter().chain(odd::unreadable(kind)) {
        eve.send(&format!("<presence>{content}</presence>")).await;
        steady.assert_undisturbed(&mut eve, &name).await;
        steady.start_again("eve").await;
        steady.assert_undisturbed(&mut eve, &format!("a login with {name}")).await;
    }
}

/// Becomes a contact of accounts that serve.
async fn befriend(prober: &mut Prober, subjects: &[&Subject]) {
    for subject in subjects {
        prober.send(&format!("<presence type='subscribe' to='{}'/>", subject.bare())).await;
        prober.until(|stanza| subject.sent(stanza) && stanza.attr("type") == Some("subscribe")).await;
        prober.send(&format!("<presence type='subscribed' to='{}'/>", subject.bare())).await;
        assert_answers(prober, subject, "its subscription").await;
    }
}

/// What only quotes the server is not taken for its word when the connection is lost later.
async fn a_feigned_stream_error_delays_no_login(kind: Kind) {
    let (mut steady, mut eve) = visit(kind).await;
    for feigned in [odd::FEIGNED_ERROR, odd::FEIGNED_REFUSAL] {
        for subject in steady.ours() {
            eve.send(&format!("<message to='{}'>{feigned}</message>", subject.jid)).await;
            assert_answers(&mut eve, subject, feigned).await;
        }
        let since = Instant::now();
        steady.cut(&mut eve).await;
        assert!(since.elapsed() < BACK, "it took {:?} after {feigned}", since.elapsed());
        steady.assert_undisturbed(&mut eve, feigned).await;
    }
}

on_both_servers! {
    async fn odd_requests_and_messages_get_slixmpps_answers;
    async fn odd_presence_gets_slixmpps_answers;
    async fn what_was_sent_before_a_login_keeps_no_account_away;
    async fn a_contacts_presence_keeps_no_account_away;
    async fn a_feigned_stream_error_delays_no_login;
}

#[tokio::test]
async fn stanzas_that_prosody_garbles_end_no_connection() {
    stanzas_that_nobody_can_read_end_no_connection(Kind::Prosody).await;
}
