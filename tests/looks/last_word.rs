//! Last words of an account: it refuses a request, behind all that it was asked before.

use std::collections::BTreeSet;

use hexchat_lab::server::DOMAIN;
use xmpp_parsers::minidom::Element;

use crate::prober::Prober;
use crate::subject::Subject;

/// Sends `stanzas`, and says what comes until all `subjects` have had their last word twice: what slixmpp answers from a
/// coroutine comes behind what it answers at once.
///
/// # Panics
///
/// When an account does not answer itself: where it is not there, its server does.
pub(crate) async fn answers_to(
    stanzas: String,
    prober: &mut Prober,
    subjects: &[&Subject],
    after: impl Fn() -> String,
) -> Vec<Element> {
    let (mut sent, mut heard) = (stanzas, Vec::new());
    for _ in 0..2 {
        let mut asked = BTreeSet::new();
        for subject in subjects {
            let id = prober.new_id();
            sent += &request(subject, &id);
            asked.insert(id);
        }
        prober.send(&std::mem::take(&mut sent)).await;
        while !asked.is_empty() {
            let stanza = prober.next().await;
            if stanza.attr("id").is_some_and(|id| asked.remove(id)) {
                assert!(is_refused(&stanza), "{:?} is away after {}", stanza.attr("from"), after());
            } else {
                heard.push(stanza);
            }
        }
    }
    heard
}

/// # Panics
///
/// When the account does not answer itself.
pub(crate) async fn assert_answers(prober: &mut Prober, subject: &Subject, after: &str) {
    let id = prober.new_id();
    prober.send(&request(subject, &id)).await;
    let answer = prober.until_answer(&id).await.pop().unwrap();
    assert!(is_refused(&answer), "{} is away after {after}", subject.jid);
}

/// What everybody refuses.
fn request(subject: &Subject, id: &str) -> String {
    format!("<iq type='get' id='{id}' to='{}'><query xmlns='jabber:iq:last-word'/></iq>", subject.jid)
}

/// Whether an account refuses a request itself. A server has other words.
fn is_refused(answer: &Element) -> bool {
    let mut conditions = answer.children().flat_map(Element::children);
    conditions.any(|condition| condition.name() == "feature-not-implemented")
}

/// Waits until the server has dealt with all that `prober` sent, and says what came until then.
pub(crate) async fn until_delivered(prober: &mut Prober) -> Vec<Element> {
    let id = prober.new_id();
    prober.send(&format!("<iq type='get' id='{id}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
    prober.until_answer(&id).await
}
