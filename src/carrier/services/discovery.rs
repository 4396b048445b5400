//! Discovery of services (XEP-0030): the items of the domain, and what each of them says of itself.
//!
//! As slixmpp does it: first the items; then the domain itself and all of them at once. The first that says that it is a service of a kind
//! is the one. A proxy is then asked where it is.

use std::collections::VecDeque;

use xmpp_parsers::disco::{DiscoInfoQuery, DiscoItemsQuery};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{DomainRef, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use crate::carrier::pending::{Pending, Random, payload};
use crate::carrier::relay::proxy::{self, Proxy};
use crate::carrier::upload::service::Service;

/// The most items of a domain that are asked: 32. Public servers have about ten.
const MOST_ITEMS: usize = 32;

/// Which services are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The one that takes files (XEP-0363).
    pub uploads: bool,
    /// The proxy of bytestreams (XEP-0065).
    pub relays: bool,
}

impl Wanted {
    /// None.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What is known of a place that may be a service.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Candidate {
    Asked(Pending),
    Known(Offer),
}

/// What a place says that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offer {
    upload: Option<Service>,
    proxy: Option<Jid>,
}

/// What is known of where the proxy is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whereabouts {
    /// Nobody knows yet whom to ask.
    Unasked,
    Asked(Jid, Pending),
    Known(Option<Proxy>),
}

/// A search for services of one domain.
#[derive(Debug)]
pub struct Discovery {
    domain: Jid,
    wanted: Wanted,
    items: Option<Pending>,
    /// The domain, and its items in their order.
    candidates: Vec<Candidate>,
    proxy: Whereabouts,
    requests: VecDeque<Iq>,
}

impl Discovery {
    /// Begins with the domain of an account.
    pub fn new(domain: &DomainRef, wanted: Wanted, random: Random<'_>) -> Self {
        let domain = Jid::from(domain.to_owned());
        let pending = Pending::new(domain.clone(), random);
        let query = DiscoItemsQuery { node: None, rsm: None };
        let request = Iq::from_get(pending.id.clone(), query).with_to(domain.clone());
        let (candidates, requests) = (Vec::new(), [request].into());
        Self { domain, wanted, items: Some(pending), candidates, proxy: Whereabouts::Unasked, requests }
    }

    /// The next request to send.
    pub fn poll_request(&mut self) -> Option<Iq> {
        self.requests.pop_front()
    }

    /// Takes an answer, if it is one to a request of this search.
    pub fn handle(&mut self, iq: &Iq, random: Random<'_>) -> bool {
        let is_answer = self.take_items(iq, random) || self.take_info(iq) || self.take_whereabouts(iq);
        if is_answer && self.wanted.relays {
            self.ask_proxy(random);
        }
        is_answer
    }

    /// Waits for no further answer.
    pub fn give_up(&mut self) {
        self.items = None;
        self.requests.clear();
        for candidate in &mut self.candidates {
            if matches!(candidate, Candidate::Asked(_)) {
                *candidate = Candidate::Known(Offer::default());
            }
        }
        if !matches!(self.proxy, Whereabouts::Known(_)) {
            self.proxy = Whereabouts::Known(None);
        }
    }

    /// The upload service, once that is certain, or that there is none.
    pub fn upload(&self) -> Option<Option<&Service>> {
        self.first(|offer| offer.upload.as_ref())
    }

    /// The proxy and where it is, once that is certain, or that there is none.
    pub fn proxy(&self) -> Option<Option<&Proxy>> {
        match &self.proxy {
            Whereabouts::Known(proxy) => Some(proxy.as_ref()),
            Whereabouts::Unasked | Whereabouts::Asked(..) => None,
        }
    }

    /// The first with such an offer. Who has not answered may have one, so that nobody behind him counts.
    fn first<'a, T>(&'a self, offered: impl Fn(&'a Offer) -> Option<T>) -> Option<Option<T>> {
        if self.items.is_some() {
            return None;
        }
        for candidate in &self.candidates {
            match candidate {
                Candidate::Asked(_) => return None,
                Candidate::Known(offer) => {
                    if let Some(service) = offered(offer) {
                        return Some(Some(service));
                    }
                }
            }
        }
        Some(None)
    }

    fn take_items(&mut self, iq: &Iq, random: Random<'_>) -> bool {
        let is_answer = self.items.as_ref().is_some_and(|items| items.is_answered_by(iq));
        if is_answer {
            self.items = None;
            self.ask_everybody(payload(iq), random);
        }
        is_answer
    }

    fn take_info(&mut self, iq: &Iq) -> bool {
        let is_asked = |candidate: &&mut Candidate| matches!(candidate, Candidate::Asked(pending) if pending.is_answered_by(iq));
        let Some(candidate) = self.candidates.iter_mut().find(is_asked) else { return false };
        *candidate = Candidate::Known(match (payload(iq), iq.from()) {
            (Some(info), Some(from)) => Offer::of(from, info, self.wanted),
            _ => Offer::default(),
        });
        true
    }

    fn take_whereabouts(&mut self, iq: &Iq) -> bool {
        let Whereabouts::Asked(jid, pending) = &self.proxy else { return false };
        let is_answer = pending.is_answered_by(iq);
        if is_answer {
            self.proxy = Whereabouts::Known(payload(iq).and_then(|query| Proxy::read(jid, query)));
        }
        is_answer
    }

    fn ask_everybody(&mut self, items: Option<&Element>, random: Random<'_>) {
        let children = items.into_iter().flat_map(Element::children);
        let items = children.filter_map(item).filter(|jid| *jid != self.domain).take(MOST_ITEMS);
        for place in [self.domain.clone()].into_iter().chain(items) {
            let pending = Pending::new(place.clone(), random);
            let query = DiscoInfoQuery { node: None };
            self.requests.push_back(Iq::from_get(pending.id.clone(), query).with_to(place));
            self.candidates.push(Candidate::Asked(pending));
        }
    }

    /// Asks the proxy where it is, as soon as it is known which that is.
    fn ask_proxy(&mut self, random: Random<'_>) {
        let (Whereabouts::Unasked, Some(found)) = (&self.proxy, self.first(|offer| offer.proxy.clone()))
        else {
            return;
        };
        self.proxy = match found {
            None => Whereabouts::Known(None),
            Some(jid) => {
                let pending = Pending::new(jid.clone(), random);
                self.requests.push_back(proxy::ask(&jid, pending.id.clone()));
                Whereabouts::Asked(jid, pending)
            }
        };
    }
}

impl Offer {
    /// What is wanted of what `from` says of itself.
    fn of(from: &Jid, info: &Element, wanted: Wanted) -> Self {
        let upload = wanted.uploads.then(|| Service::of(from, info)).flatten();
        let is_proxy = wanted.relays && proxy::is_proxy(info);
        Self { upload, proxy: is_proxy.then(|| from.clone()) }
    }
}

/// Whom an item names. What has a node is something within somebody.
fn item(child: &Element) -> Option<Jid> {
    let is_item = child.is("item", ns::DISCO_ITEMS) && child.attr("node").is_none();
    child.attr("jid").filter(|_| is_item).and_then(|jid| Jid::new(jid).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;
    use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

    use super::*;
    use crate::persona::BYTESTREAMS;

    const SERVICE: &str = "<identity category='store' type='file' name='HTTP File Upload'/>\
         <feature var='urn:xmpp:http:upload:0'/>\
         <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:other</value></field>\
         <field var='max-file-size'><value>1</value></field></x>\
         <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:http:upload:0</value></field>\
         <field var='max-file-size' type='text-single'><value>10485760</value></field></x>";

    const PROXY: &str = "<identity category='proxy' type='bytestreams' name='SOCKS5 Bytestreams'/>\
         <feature var='http://jabber.org/protocol/bytestreams'/>";

    const ROOMS: &str =
        "<identity category='conference' type='text'/><feature var='urn:xmpp:http:upload:0'/>";

    /// A search at `chat.example`, and the random bits that it has used up.
    struct Search(Discovery, u128);

    impl Search {
        fn new() -> Self {
            Self::for_what(true, false)
        }

        fn for_what(uploads: bool, relays: bool) -> Self {
            let mut bits = 0;
            let domain = Jid::new("chat.example").unwrap();
            let wanted = Wanted { uploads, relays };
            let discovery = Discovery::new(domain.domain(), wanted, &mut || next(&mut bits));
            Self(discovery, bits)
        }

        /// Whom it asks now, by which ids.
        fn asked(&mut self) -> Vec<(String, String)> {
            let asked = std::iter::from_fn(|| self.0.poll_request());
            asked.map(|iq| (iq.to().unwrap().to_string(), iq.id().to_owned())).collect()
        }

        fn handle(&mut self, iq: &Iq) -> bool {
            self.0.handle(iq, &mut || next(&mut self.1))
        }

        fn answer(&mut self, (from, id): &(String, String), xml: &str, namespace: &str) -> bool {
            let payload = format!("<query xmlns='{namespace}'>{xml}</query>").parse().unwrap();
            let from = Some(Jid::new(from).unwrap());
            self.handle(&Iq::Result { from, to: None, id: id.clone(), payload: Some(payload) })
        }

        fn items(&mut self, xml: &str) -> Vec<(String, String)> {
            let asked = self.asked();
            assert!(self.answer(&asked[0], xml, ns::DISCO_ITEMS));
            self.asked()
        }

        fn info(&mut self, asked: &(String, String), xml: &str) -> bool {
            self.answer(asked, xml, ns::DISCO_INFO)
        }
    }

    fn next(bits: &mut u128) -> u128 {
        *bits += 1;
        *bits
    }

    fn service(jid: &str) -> Service {
        Service { jid: Jid::new(jid).unwrap(), max_file_size: Some(10_485_760) }
    }

    const TWO: &str = "<item jid='rooms.chat.example'/><item jid='upload.chat.example'/>";

    #[test]
    fn the_domain_is_asked_for_its_items_and_then_all_of_them_at_once_for_what_they_are() {
        let mut search = Search::new();
        let first = search.0.poll_request().unwrap();
        let xml = String::from(&Element::from(first.clone()));
        assert!(xml.contains("type='get'") && xml.contains("disco#items"), "{xml}");
        search.0.requests.push_front(first);
        let asked: Vec<String> = search.items(TWO).into_iter().map(|(to, _)| to).collect();
        assert_eq!(asked, ["chat.example", "rooms.chat.example", "upload.chat.example"]);
    }

    #[test]
    fn the_service_is_who_stores_files_and_has_the_feature() {
        let mut search = Search::new();
        let asked = search.items(TWO);
        assert!(search.info(&asked[2], SERVICE) && search.0.upload().is_none(), "others may come before it");
        assert!(search.info(&asked[0], "") && search.info(&asked[1], ROOMS));
        assert_eq!(search.0.upload(), Some(Some(&service("upload.chat.example"))));
    }

    #[test]
    fn the_domain_itself_can_be_the_service_and_then_nobody_else_is_waited_for() {
        let mut search = Search::new();
        let asked = search.items(TWO);
        assert!(search.info(&asked[0], SERVICE));
        assert_eq!(search.0.upload(), Some(Some(&service("chat.example"))));
    }

    #[test]
    fn a_service_need_not_say_how_large_a_file_may_be() {
        let plain = SERVICE.split("<x").next().unwrap();
        for form in ["", "<x xmlns='jabber:x:data'/>", &SERVICE[plain.len()..].replace("10485760", "many")] {
            let mut search = Search::new();
            let asked = search.items("");
            assert!(search.info(&asked[0], &format!("{plain}{form}")));
            assert_eq!(search.0.upload().unwrap().unwrap().max_file_size, None, "{form}");
        }
    }

    #[test]
    fn where_nobody_answers_so_there_is_none() {
        let mut search = Search::new();
        let asked = search.items(TWO);
        for one in &asked {
            let error = StanzaError::new(ErrorType::Cancel, DefinedCondition::ServiceUnavailable, "", "");
            let (from, to) = (Some(Jid::new(&one.0).unwrap()), None);
            let refused = Iq::Error { from, to, id: one.1.clone(), error, payload: None };
            assert!(search.0.upload().is_none() && search.handle(&refused));
        }
        assert_eq!(search.0.upload(), Some(None));
    }

    #[test]
    fn an_answer_counts_once_and_from_who_was_asked_alone() {
        let mut search = Search::new();
        let asked = search.items(TWO);
        let [(domain, id), (_, other), _] = &asked[..] else { panic!("{asked:?}") };
        assert!(!search.info(&("evil.example".into(), id.clone()), SERVICE));
        assert!(!search.info(&(domain.clone(), other.clone()), SERVICE));
        assert!(search.info(&asked[0], "") && !search.info(&asked[0], SERVICE));
        assert!(search.0.upload().is_none());
    }

    #[test]
    fn who_gives_up_has_what_was_found_by_then() {
        let mut silent = Search::new();
        silent.0.give_up();
        assert!(silent.asked().is_empty() && silent.0.upload() == Some(None));
        let mut search = Search::new();
        let asked = search.items(TWO);
        assert!(search.info(&asked[2], SERVICE));
        search.0.give_up();
        assert_eq!(search.0.upload(), Some(Some(&service("upload.chat.example"))));
        assert!(!search.info(&asked[0], SERVICE), "it is too late");
    }

    #[test]
    fn of_endless_items_only_the_first_are_asked_and_nodes_and_nonsense_are_not() {
        let mut search = Search::new();
        let many: String = (0..100).map(|n| format!("<item jid='{n}.chat.example'/>")).collect();
        let odd = "<item jid='a@@b'/><item/><item jid='x.example' node='n'/><item jid='chat.example'/>";
        assert_eq!(search.items(&format!("{odd}{many}")).len(), 1 + MOST_ITEMS);
    }

    fn streamhost(jid: &str) -> String {
        format!("<streamhost jid='{jid}' host='relay.chat.example' port='7777'/>")
    }

    /// The proxy, and the question where it is, if it is asked now.
    fn ask_all(search: &mut Search, items: &str, infos: &[&str]) -> Vec<(String, String)> {
        let asked = search.items(items);
        for (one, info) in asked.iter().zip(infos) {
            assert!(search.info(one, info));
        }
        search.asked()
    }

    #[test]
    fn the_first_proxy_is_asked_where_it_is() {
        let items = "<item jid='proxy.chat.example'/><item jid='other.chat.example'/>";
        let mut search = Search::for_what(false, true);
        let asked = ask_all(&mut search, items, &["", PROXY]);
        let [(to, _)] = &asked[..] else { panic!("{asked:?}") };
        assert!(to == "proxy.chat.example" && search.0.proxy().is_none(), "{to}");
        let inside = streamhost("other.chat.example") + &streamhost(to);
        assert!(!search.answer(&("other.chat.example".into(), asked[0].1.clone()), &inside, BYTESTREAMS));
        assert!(search.answer(&asked[0], &inside, BYTESTREAMS));
        let proxy = search.0.proxy().unwrap().unwrap();
        assert_eq!((proxy.jid.as_str(), &*proxy.host, proxy.port), (&**to, "relay.chat.example", 7777));
        assert!(!search.answer(&asked[0], &inside, BYTESTREAMS), "once");
    }

    #[test]
    fn both_services_are_found_by_the_same_questions_and_neither_waits_for_the_other() {
        let items = "<item jid='upload.chat.example'/><item jid='proxy.chat.example'/>";
        let mut search = Search::for_what(true, true);
        let asked = ask_all(&mut search, items, &["", SERVICE]);
        assert!(asked.is_empty());
        assert_eq!(search.0.upload(), Some(Some(&service("upload.chat.example"))));
        assert_eq!(search.0.proxy(), None);
    }

    #[test]
    fn where_nobody_is_a_proxy_or_it_does_not_say_where_it_is_there_is_none() {
        let mut search = Search::for_what(false, true);
        assert!(ask_all(&mut search, TWO, &["", ROOMS, SERVICE]).is_empty());
        assert_eq!(search.0.proxy(), Some(None));
        let mut search = Search::for_what(false, true);
        let asked = ask_all(&mut search, "", &[PROXY]);
        assert!(search.answer(&asked[0], &streamhost("evil.example"), BYTESTREAMS));
        assert_eq!(search.0.proxy(), Some(None));
        let mut search = Search::for_what(false, true);
        ask_all(&mut search, "", &[PROXY]);
        search.0.give_up();
        assert_eq!(search.0.proxy(), Some(None));
    }

    #[test]
    fn what_is_not_wanted_is_not_found() {
        let mut search = Search::for_what(true, false);
        assert!(ask_all(&mut search, "", &[PROXY]).is_empty(), "nobody asks where it is");
        let mut search = Search::for_what(false, true);
        ask_all(&mut search, "", &[SERVICE]);
        assert_eq!(search.0.upload(), Some(None));
    }

    proptest! {
        #[test]
        fn whatever_is_answered_the_search_comes_to_an_end(
            items in "(<item jid='[a-c]'/>|<item/>|<x/>){0,4}",
            info in "(<identity category='store' type='(file|x)'/>|<feature var='(urn:xmpp:http:upload:0|x)'/>|<x xmlns='jabber:x:data'/>){0,4}",
        ) {
            let mut search = Search::new();
            for one in search.items(&items) {
                prop_assert!(search.info(&one, &info));
            }
            prop_assert!(search.0.upload().is_some());
        }
    }
}
