//! Leaks of presence: who is nobody's contact does not learn when the account is there.

use hexchat_lab::Kind;
use xmpp_parsers::minidom::Element;

use crate::prober::Prober;
use crate::subject::{Lab, Subject};

/// What the server has sent until it answers a ping of its own.
async fn everything(prober: &mut Prober) -> Vec<Element> {
    let id = prober.new_id();
    prober
        .send(&format!("<iq type='get' id='{id}' to='chat.example'><ping xmlns='urn:xmpp:ping'/></iq>"))
        .await;
    let mut stanzas = prober.until_answer(&id).await;
    stanzas.pop();
    stanzas
}

async fn heard_from(prober: &mut Prober, subject: &Subject) -> Vec<String> {
    let stanzas = everything(prober).await;
    stanzas.iter().filter(|stanza| subject.sent(stanza)).map(String::from).collect()
}

#[tokio::test]
async fn a_stranger_sees_neither_presence_nor_its_end() {
    let lab = Lab::start(Kind::Prosody, &["eve", "bob"]).await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    eve.come_online().await;
    // Somebody who is a contact sees it, which shows that there is something to see.
    let mut bob = Prober::log_in(&lab.server, "bob").await;
    bob.come_online().await;
    bob.send(&format!("<presence type='subscribe' to='{}'/>", lab.bridge.bare())).await;
    bob.until(|stanza| lab.bridge.sent(stanza) && stanza.attr("type") == Some("subscribe")).await;
    for stanza in [
        format!("<presence type='probe' to='{}'/>", lab.bridge.bare()),
        format!("<message type='chat' to='{}'><body>Hello</body></message>", lab.bridge.bare()),
    ] {
        eve.send(&stanza).await;
    }
    let Lab { bridge, server: _server, .. } = lab;
    let (jid, bare) = (bridge.jid.clone(), bridge.bare().to_owned());
    bridge.log_out();
    bob.until(|stanza| stanza.attr("from") == Some(&jid) && stanza.attr("type") == Some("unavailable")).await;
    let heard = everything(&mut eve).await;
    let leaks: Vec<_> = heard
        .iter()
        .filter(|stanza| stanza.attr("from").is_some_and(|from| from.starts_with(&bare)))
        .collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[tokio::test]
async fn messages_to_the_bare_jid_get_no_reply() {
    let lab = Lab::start(Kind::Prosody, &["eve"]).await;
    let mut eve = Prober::log_in(&lab.server, "eve").await;
    eve.come_online().await;
    for subject in [&lab.classic, &lab.bridge, &lab.client] {
        for payload in [
            "<body>Hello</body>",
            "<body>Hello</body><request xmlns='urn:xmpp:receipts'/>",
            "<connect xmlns='hexchat:connect'/>",
        ] {
            let to = subject.bare();
            eve.send(&format!("<message type='chat' id='m' to='{to}'>{payload}</message>")).await;
        }
        // It has seen them all when it answers this.
        subject.wait_until_online(&mut eve).await;
        assert_eq!(heard_from(&mut eve, subject).await, Vec::<String>::new());
    }
}
