//! Contacts: peers that an account makes friends with before it speaks to them (RFC 6121 section 3). Pure.
//!
//! Some servers keep from their users what others than contacts send. So an account for which that is wanted asks whomever it is to send
//! a request to for a subscription, and grants the one that is asked for in return. A bridge that serves grants everybody's and asks in
//! return, as an unattended client does, whether this is wanted or not. Until the peer has agreed all waits that the account has to send;
//! but not for long, since a peer that does not answer may not need to be asked.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::presence::{Presence, Type};
use xmpp_parsers::roster::{Roster, Subscription};
use xmpp_parsers::stanza::Stanza;

use crate::persona;
use crate::xmpp::api::Parcel;
use crate::xmpp::outbox::Outgoing;

/// The longest wait for a peer to agree: 5 seconds, some round trips of far servers.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most peers that are asked: 64, some times those that bridge lines name. Others are spoken to without.
const MOST: usize = 64;

/// The most that waits to be answered of what is said about contacts: 128, twice as many as there are peers. A server that says more without
/// reading hears nothing about it.
const MOST_WAITING: usize = 2 * MOST;

/// The contacts of one account.
pub(super) struct Contacts {
    /// Whether there are to be any.
    are_wanted: bool,
    own: BareJid,
    /// Whom requests are for.
    peers: BTreeSet<BareJid>,
    /// Those among them who let us see their presence.
    friends: BTreeSet<BareJid>,
    /// The id of the request for the list that the server keeps, until it is answered.
    unanswered: Option<String>,
    /// What goes before everything else.
    first: VecDeque<Outgoing>,
    /// Until when everything else waits, as long as there is a reason.
    waits_until: Option<Instant>,
}

impl Contacts {
    pub(super) fn new(own: BareJid, are_wanted: bool) -> Self {
        Self {
            are_wanted,
            own,
            peers: BTreeSet::new(),
            friends: BTreeSet::new(),
            unanswered: None,
            first: VecDeque::new(),
            waits_until: None,
        }
    }

    /// A session under this name begins with this presence, which is given back where no contacts are wanted. Who asks for the list hears of
    /// subscriptions.
    pub(super) fn on_online(
        &mut self,
        now: Instant,
        own: BareJid,
        presence: Presence,
        random: u128,
    ) -> Option<Presence> {
        if !self.are_wanted {
            return Some(presence);
        }
        self.own = own;
        let id = persona::new_id(random);
        let payload = Roster { ver: None, items: Vec::new() }.into();
        self.friends.clear();
        self.first.clear();
        self.first.push_back(Outgoing::untagged(Iq::Get { from: None, to: None, id: id.clone(), payload }));
        self.first.push_back(Outgoing::untagged(presence));
        self.unanswered = Some(id);
        self.waits_until = Some(now + PATIENCE);
        None
    }

    /// This is to be sent.
    pub(super) fn on_outgoing(&mut self, now: Instant, parcel: &Parcel, random: u128) {
        if !self.are_wanted {
            return;
        }
        let Some(peer) = peer_of(parcel).filter(|peer| *peer != self.own && !self.peers.contains(peer))
        else {
            return;
        };
        if self.peers.len() >= MOST {
            return;
        }
        if self.unanswered.is_none() && !self.friends.contains(&peer) {
            self.ask(now, &peer, random);
        }
        self.peers.insert(peer);
    }

    /// This has come. True where it was about contacts, and is nobody else's business.
    pub(super) fn on_stanza(&mut self, now: Instant, stanza: &Stanza, random: u128) -> bool {
        match stanza {
            _ if !self.are_wanted => false,
            Stanza::Iq(Iq::Result { id, payload, .. }) if self.unanswered.as_ref() == Some(id) => {
                self.on_list(now, payload.as_ref(), random);
                true
            }
            Stanza::Iq(Iq::Error { id, .. }) if self.unanswered.as_ref() == Some(id) => {
                self.on_list(now, None, random);
                true
            }
            Stanza::Iq(Iq::Set { from, id, payload, .. }) if payload.is("query", ns::ROSTER) => {
                let is_from_server = from.as_ref().is_none_or(|from| *from == self.own);
                if is_from_server {
                    self.note(payload);
                    self.answer(persona::empty_result(None, id.clone()));
                }
                is_from_server
            }
            Stanza::Presence(Presence { type_: Type::Subscribe, from: Some(from), .. }) => {
                let from = from.to_bare();
                let is_peer = self.peers.contains(&from);
                if is_peer {
                    self.answer(to(&from, Type::Subscribed, random));
                }
                is_peer
            }
            _ => false,
        }
    }

    /// What the server has on its list. Who is not there is asked.
    fn on_list(&mut self, now: Instant, list: Option<&Element>, random: u128) {
        self.unanswered = None;
        if let Some(list) = list {
            self.note(list);
        }
        let strangers: Vec<_> = self.peers.difference(&self.friends).cloned().collect();
        for (number, peer) in (0..).zip(strangers) {
            self.ask(now, &peer, random.wrapping_add(number));
        }
    }

    fn note(&mut self, list: &Element) {
        let Ok(Roster { items, .. }) = Roster::try_from(list.clone()) else { return };
        for item in items {
            if matches!(item.subscription, Subscription::To | Subscription::Both) {
                if self.peers.contains(&item.jid) || self.friends.len() < MOST {
                    self.friends.insert(item.jid);
                }
            } else {
                self.friends.remove(&item.jid);
            }
        }
    }

    fn answer(&mut self, answer: impl Into<Parcel>) {
        if self.first.len() < MOST_WAITING {
            self.first.push_back(Outgoing::untagged(answer));
        }
    }

    fn ask(&mut self, now: Instant, peer: &BareJid, random: u128) {
        self.first.push_back(Outgoing::untagged(to(peer, Type::Subscribe, random)));
        self.waits_until = Some(now + PATIENCE);
    }

    /// What goes before everything else.
    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.first.pop_front()
    }

    /// Until when everything else waits.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        let has_reason = self.unanswered.is_some() || !self.peers.is_subset(&self.friends);
        self.waits_until.filter(|at| has_reason && now < *at)
    }
}

fn to(peer: &BareJid, type_: Type, random: u128) -> Presence {
    let mut presence = Presence::new(type_).with_to(Jid::from(peer.clone()));
    presence.id = Some(persona::new_id(random));
    presence
}

/// Whom a request, or a message, of ours is for. Replies and what is written already go to who has been spoken to before.
fn peer_of(parcel: &Parcel) -> Option<BareJid> {
    let Parcel::Stanza(stanza) = parcel else { return None };
    let to = match &**stanza {
        Stanza::Iq(Iq::Set { to, .. }) => to,
        Stanza::Message(message) => &message.to,
        Stanza::Iq(_) | Stanza::Presence(_) => &None,
    };
    to.as_ref().filter(|to| to.node().is_some()).map(Jid::to_bare)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    const BRIDGE: &str = "bridge@chat.example";

    fn own() -> BareJid {
        "alice@chat.example".parse().unwrap()
    }

    struct Account {
        contacts: Contacts,
        now: Instant,
    }

    impl Account {
        fn online() -> Self {
            let (contacts, now) = (Contacts::new(own(), true), Instant::now());
            let mut account = Self { contacts, now };
            assert!(account.contacts.on_online(now, own(), Presence::available(), 7).is_none());
            account
        }

        /// Names of what goes first.
        fn says(&mut self) -> Vec<String> {
            let said = std::iter::from_fn(|| self.contacts.pop()).map(|outgoing| match outgoing.parcel {
                Parcel::Stanza(stanza) => match *stanza {
                    Stanza::Presence(presence) => format!("{:?}", presence.type_),
                    Stanza::Iq(iq) => {
                        if matches!(iq, Iq::Get { .. }) { "list?" } else { "result" }.to_owned()
                    }
                    Stanza::Message(_) => "message".to_owned(),
                },
                _ => "?".to_owned(),
            });
            said.collect()
        }

        fn hears(&mut self, xml: &str) -> bool {
            let xml = xml.replacen(' ', " xmlns='jabber:client' ", 1);
            let stanza = Stanza::try_from(xml.parse::<Element>().unwrap()).unwrap();
            self.contacts.on_stanza(self.now, &stanza, 9)
        }

        fn list(&mut self, items: &str) {
            let id = persona::new_id(7);
            assert!(self.hears(&format!(
                "<iq type='result' id='{id}'><query xmlns='jabber:iq:roster'>{items}</query></iq>"
            )));
        }

        fn sends_to(&mut self, peer: &str) {
            let open = Element::bare("open", ns::IBB);
            let to = Some(format!("{peer}/r").parse().unwrap());
            let parcel = Iq::Set { from: None, to, id: "1".into(), payload: open }.into();
            self.contacts.on_outgoing(self.now, &parcel, 8);
        }

        fn waits(&self) -> bool {
            self.contacts.waits_until(self.now).is_some()
        }
    }

    fn item(subscription: &str) -> String {
        format!("<item jid='{BRIDGE}' subscription='{subscription}'/>")
    }

    #[test]
    fn a_peer_is_asked_once_and_all_waits_until_it_agrees() {
        let mut account = Account::online();
        assert_eq!(account.says(), ["list?", "None"]);
        account.sends_to(BRIDGE);
        assert!(account.waits() && account.says().is_empty(), "the list comes first");
        account.list("");
        account.sends_to(BRIDGE);
        assert_eq!(account.says(), ["Subscribe"]);
        assert!(account.waits());
        let push =
            format!("<iq type='set' id='p'><query xmlns='jabber:iq:roster'>{}</query></iq>", item("to"));
        assert!(account.hears(&push));
        assert_eq!(account.says(), ["result"]);
        assert!(!account.waits());
    }

    #[test]
    fn who_is_a_contact_is_not_asked() {
        for subscription in ["to", "both"] {
            let mut account = Account::online();
            account.says();
            account.list(&item(subscription));
            account.sends_to(BRIDGE);
            assert!(!account.waits() && account.says().is_empty(), "{subscription}");
        }
    }

    #[test]
    fn a_peer_that_does_not_answer_is_not_waited_for_for_long() {
        let mut account = Account::online();
        account.list("");
        account.sends_to(BRIDGE);
        account.now += PATIENCE;
        assert!(!account.waits());
    }

    #[test]
    fn only_peers_are_granted_a_subscription() {
        let mut account = Account::online();
        account.list("");
        account.sends_to(BRIDGE);
        account.says();
        assert!(account.hears(&format!("<presence type='subscribe' from='{BRIDGE}'/>")));
        assert_eq!(account.says(), ["Subscribed"]);
        assert!(!account.hears("<presence type='subscribe' from='eve@chat.example'/>"));
        assert!(account.says().is_empty());
    }

    #[test]
    fn whose_name_is_new_with_the_login_knows_its_own_list() {
        let mut account = Account::online();
        account.contacts = Contacts::new("new@chat.example".parse().unwrap(), true);
        account.contacts.on_online(account.now, own(), Presence::available(), 7);
        let push = "<iq type='set' id='p' from='alice@chat.example'><query xmlns='jabber:iq:roster'/></iq>";
        assert!(account.hears(push));
    }

    #[test]
    fn a_list_that_somebody_else_sends_is_none() {
        let mut account = Account::online();
        account.list("");
        account.sends_to(BRIDGE);
        let forged = format!(
            "<iq type='set' id='p' from='eve@chat.example/r'><query xmlns='jabber:iq:roster'>{}</query></iq>",
            item("to")
        );
        assert!(!account.hears(&forged));
        assert!(account.waits());
    }

    #[test]
    fn after_another_login_those_who_have_not_agreed_are_asked_again() {
        let mut account = Account::online();
        account.list("");
        account.sends_to(BRIDGE);
        account.says();
        account.contacts.on_online(account.now, own(), Presence::available(), 7);
        account.list("");
        assert_eq!(account.says(), ["list?", "None", "Subscribe"]);
    }

    #[test]
    fn a_server_that_does_not_read_cannot_have_us_collect_answers() {
        let mut account = Account::online();
        account.list("");
        account.sends_to(BRIDGE);
        account.says();
        for _ in 0..10_000 {
            assert!(account.hears("<iq type='set' id='p'><query xmlns='jabber:iq:roster'/></iq>"));
            assert!(account.hears(&format!("<presence type='subscribe' from='{BRIDGE}'/>")));
        }
        assert_eq!(account.says().len(), MOST_WAITING);
        assert!(account.hears(&format!("<presence type='subscribe' from='{BRIDGE}'/>")));
        assert_eq!(account.says(), ["Subscribed"], "there is room again");
    }

    #[test]
    fn where_no_contacts_are_wanted_nobody_is_asked_and_nothing_waits() {
        let mut account = Account::online();
        account.contacts = Contacts::new(own(), false);
        assert!(account.contacts.on_online(account.now, own(), Presence::available(), 7).is_some());
        account.sends_to(BRIDGE);
        assert!(!account.hears(&format!("<presence type='subscribe' from='{BRIDGE}'/>")));
        assert!(!account.waits() && account.says().is_empty());
    }
}
