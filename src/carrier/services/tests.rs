//! Services that are found and give slots, as servers answer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test is a panic")]

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::*;
use crate::persona::BYTESTREAMS;

const ALICE: AccountId = AccountId(1);
const SERVICE: &str = "<identity category='store' type='file'/><feature var='urn:xmpp:http:upload:0'/>";
const SLOT: &str = "<slot xmlns='urn:xmpp:http:upload:0'><get url='https://upload.chat.example/a.jpg'/>\
                    <put url='https://upload.chat.example/a.jpg'/></slot>";

const PROXY: &str = "<identity category='proxy' type='bytestreams'/>";
const STREAMHOST: &str = "<streamhost jid='proxy.chat.example' host='relay.chat.example' port='7777'/>";
const RELAYS: Wanted = Wanted { uploads: false, relays: true };
const BOTH: Wanted = Wanted { uploads: true, relays: true };

/// The services, the time, and the random bits that were used up.
struct Lab {
    services: Services,
    now: Instant,
    bits: u128,
}

/// What is said by [`Services::poll`], with requests as whom they ask and by which ids.
#[derive(Debug, PartialEq)]
enum Said {
    Asks(String, String),
    Found(Option<String>),
    FoundProxy(Option<String>),
    Answered(FileKey, Result<String, Failure>),
    Activated(String, Result<(), NotActivated>),
}

impl Lab {
    fn new() -> Self {
        Self::for_what(Wanted { uploads: true, relays: false })
    }

    fn for_what(wanted: Wanted) -> Self {
        let mut lab = Self { services: Services::new(wanted), now: Instant::now(), bits: 0 };
        lab.search();
        lab
    }

    fn activate(&mut self, sid: &str) {
        let target = FullJid::new("bridge@chat.example/there").unwrap();
        self.services.activate(self.now, (ALICE, sid.to_owned()), &target, &mut || next(&mut self.bits));
    }

    fn search(&mut self) {
        let server = Jid::new("chat.example").unwrap();
        self.services.search(self.now, ALICE, &server, &mut || next(&mut self.bits));
    }

    fn ask(&mut self, file: FileKey) {
        self.services.ask(self.now, (ALICE, file), 65_536, &mut || next(&mut self.bits));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.services.handle_timeout(self.now, &mut || next(&mut self.bits));
    }

    fn said(&mut self) -> Vec<Said> {
        std::iter::from_fn(|| self.services.poll()).map(said).collect()
    }

    /// The requests that are sent now: to whom, and their ids.
    fn asked(&mut self) -> Vec<(String, String)> {
        let asked = |said| match said {
            Said::Asks(to, id) => (to, id),
            other => panic!("{other:?}"),
        };
        self.said().into_iter().map(asked).collect()
    }

    fn answer(&mut self, account: AccountId, (from, id): &(String, String), payload: &str) -> bool {
        let payload = Some(payload.parse::<Element>().unwrap());
        let from = Some(Jid::new(from).unwrap());
        let iq = Iq::Result { from, to: None, id: id.clone(), payload };
        let arrival = Arrival::Parsed(Box::new(iq.into()));
        self.services.handle(account, &arrival, &mut || next(&mut self.bits))
    }

    /// The server says that it has these, and what each of them is.
    fn answer_all(&mut self, places: &[(&str, &str)]) {
        let item = |(jid, _): &(&str, &str)| format!("<item jid='{jid}'/>");
        let items: String = places.iter().map(item).collect();
        let first = self.asked();
        assert!(self.answer(ALICE, &first[0], &query(ns::DISCO_ITEMS, &items)));
        let asked = self.asked();
        for ((_, is), one) in [("chat.example", "")].iter().chain(places).zip(&asked) {
            assert!(self.answer(ALICE, one, &query(ns::DISCO_INFO, is)));
        }
    }

    /// The server has a proxy, and says where it is.
    fn find_proxy(&mut self) {
        self.answer_all(&[("proxy.chat.example", PROXY)]);
        let asked = self.asked();
        assert!(self.answer(ALICE, &asked[0], &query(BYTESTREAMS, STREAMHOST)));
        assert_eq!(self.said(), [Said::FoundProxy(Some("relay.chat.example".to_owned()))]);
    }

    /// The server has the service that it is asked for.
    fn find(&mut self) {
        self.answer_all(&[("upload.chat.example", SERVICE)]);
        assert_eq!(self.said(), [Said::Found(Some("upload.chat.example".to_owned()))]);
    }
}

fn query(namespace: &str, inside: &str) -> String {
    format!("<query xmlns='{namespace}'>{inside}</query>")
}

fn next(bits: &mut u128) -> u128 {
    *bits += 1;
    *bits
}

fn said(step: Step) -> Said {
    match step {
        Step::Send(ALICE, Parcel::Stanza(stanza)) => match *stanza {
            Stanza::Iq(iq) => Said::Asks(iq.to().unwrap().to_string(), iq.id().to_owned()),
            other => panic!("{other:?}"),
        },
        Step::FoundService(ALICE, service) => Said::Found(service.map(|service| service.jid.to_string())),
        Step::FoundProxy(ALICE, proxy) => Said::FoundProxy(proxy.map(|proxy| proxy.host)),
        Step::Activated { account: ALICE, sid, answer } => Said::Activated(sid, answer),
        Step::Answered { account: ALICE, file, answer } => Said::Answered(file, answer.map(|slot| slot.put)),
        other => panic!("{other:?}"),
    }
}

fn file(number: u64) -> FileKey {
    FileKey::of(7, number)
}

#[test]
fn a_service_is_found_and_gives_slots_to_whom_they_were_asked_for() {
    let mut lab = Lab::new();
    lab.find();
    lab.ask(file(0));
    lab.ask(file(1));
    let asked = lab.asked();
    assert!(asked.iter().all(|(to, _)| to == "upload.chat.example"));
    for at in [1, 0] {
        assert!(lab.answer(ALICE, &asked[at], SLOT));
        let put = "https://upload.chat.example/a.jpg".to_owned();
        assert_eq!(lab.said(), [Said::Answered(file(at as u64), Ok(put))]);
    }
    assert!(!lab.answer(ALICE, &asked[0], SLOT), "once");
}

#[test]
fn an_answer_to_another_account_or_to_nothing_is_somebody_elses() {
    let mut lab = Lab::new();
    lab.find();
    lab.ask(file(0));
    let asked = lab.asked();
    assert!(!lab.answer(AccountId(2), &asked[0], SLOT));
    assert!(!lab.answer(ALICE, &("upload.chat.example".to_owned(), "x".to_owned()), SLOT));
    assert_eq!(lab.said(), []);
}

#[test]
fn who_does_not_answer_within_twenty_seconds_gives_no_slot() {
    let mut lab = Lab::new();
    lab.find();
    lab.ask(file(0));
    let asked = lab.asked();
    assert_eq!(lab.services.next_timeout(), Some(lab.now + PATIENCE));
    lab.pass(PATIENCE);
    assert_eq!(lab.said(), [Said::Answered(file(0), Err(Failure::Silent))]);
    assert!(!lab.answer(ALICE, &asked[0], SLOT) && lab.services.next_timeout().is_none());
}

#[test]
fn without_a_service_or_a_session_there_is_no_slot() {
    let mut lab = Lab::new();
    lab.ask(file(0));
    assert_eq!(lab.said().pop(), Some(Said::Answered(file(0), Err(Failure::NoService))));
    let mut lab = Lab::new();
    lab.find();
    lab.ask(file(0));
    lab.asked();
    lab.services.forget(ALICE);
    assert_eq!(lab.said(), [Said::Answered(file(0), Err(Failure::LoggedOut))]);
    assert!(!lab.services.knows(ALICE));
}

#[test]
fn what_nobody_waits_for_any_more_is_not_said() {
    let mut lab = Lab::new();
    lab.find();
    lab.ask(file(0));
    lab.asked();
    lab.services.withdraw(file(0));
    lab.pass(PATIENCE);
    assert_eq!(lab.said(), []);
}

#[test]
fn a_search_that_nobody_answers_begins_again_after_a_minute_and_then_two() {
    let mut lab = Lab::new();
    for minutes in [1, 2, 4] {
        assert_eq!(lab.asked().len(), 1);
        lab.pass(PATIENCE);
        assert_eq!(lab.said(), []);
        lab.pass(Duration::from_secs(60 * minutes - 1));
        assert_eq!(lab.said(), []);
        lab.pass(Duration::from_secs(1));
    }
    lab.find();
    assert_eq!(lab.services.next_timeout(), None);
}

#[test]
fn a_search_ends_where_somebody_else_does_not_answer() {
    let mut lab = Lab::new();
    let first = lab.asked();
    let items = format!("<query xmlns='{}'><item jid='upload.chat.example'/></query>", ns::DISCO_ITEMS);
    lab.answer(ALICE, &first[0], &items);
    let asked = lab.asked();
    let info = format!("<query xmlns='{}'>{SERVICE}</query>", ns::DISCO_INFO);
    assert!(lab.answer(ALICE, &asked[1], &info));
    assert_eq!(lab.said(), []);
    lab.pass(PATIENCE);
    assert_eq!(lab.said(), [Said::Found(Some("upload.chat.example".to_owned()))]);
}

#[test]
fn a_new_search_forgets_what_was_found() {
    let mut lab = Lab::new();
    lab.find();
    lab.search();
    assert!(lab.services.service(ALICE).is_none() && lab.services.knows(ALICE));
    lab.find();
}

#[test]
fn a_proxy_is_found_and_activates_what_it_is_asked_to_or_says_why_not() {
    let mut lab = Lab::for_what(RELAYS);
    lab.find_proxy();
    assert!(lab.services.proxy(ALICE).is_some_and(|proxy| proxy.port == 7777));
    lab.activate("a");
    lab.activate("b");
    let asked = lab.asked();
    let (from, id) = &asked[1];
    let refused = format!(
        "<iq xmlns='jabber:client' type='error' from='{from}' id='{id}'><error type='cancel'>\
         <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    let iq = Iq::try_from(refused.parse::<Element>().unwrap()).unwrap();
    let arrival = Arrival::Parsed(Box::new(iq.into()));
    assert!(lab.services.handle(ALICE, &arrival, &mut || 0));
    let failure = NotActivated::Refused(activation::Refusal::NotConnected("not-allowed"));
    assert_eq!(lab.said(), [Said::Activated("b".to_owned(), Err(failure))]);
    assert!(lab.answer(ALICE, &asked[0], &query(BYTESTREAMS, "")));
    assert_eq!(lab.said(), [Said::Activated("a".to_owned(), Ok(()))]);
}

#[test]
fn an_activation_without_an_answer_a_proxy_or_a_session_comes_to_nothing_and_one_that_is_withdrawn_to_silence()
 {
    let mut lab = Lab::for_what(RELAYS);
    lab.activate("a");
    assert_eq!(lab.said().pop(), Some(Said::Activated("a".to_owned(), Err(NotActivated::NoProxy))));
    let mut lab = Lab::for_what(RELAYS);
    lab.find_proxy();
    for sid in ["b", "c"] {
        lab.activate(sid);
    }
    lab.services.withdraw_activation("b");
    lab.asked();
    lab.pass(PATIENCE);
    assert_eq!(lab.said(), [Said::Activated("c".to_owned(), Err(NotActivated::Silent))]);
    lab.activate("d");
    lab.asked();
    lab.services.forget(ALICE);
    assert_eq!(lab.said(), [Said::Activated("d".to_owned(), Err(NotActivated::LoggedOut))]);
}

#[test]
fn a_service_is_said_as_soon_as_it_is_known_and_a_proxy_behind_it() {
    let mut lab = Lab::for_what(BOTH);
    lab.answer_all(&[("upload.chat.example", SERVICE), ("proxy.chat.example", PROXY)]);
    let said = lab.said();
    let [Said::Found(Some(_)), Said::Asks(proxy, id)] = &said[..] else { panic!("{said:?}") };
    assert!(lab.answer(ALICE, &(proxy.clone(), id.clone()), &query(BYTESTREAMS, STREAMHOST)));
    assert_eq!(lab.said(), [Said::FoundProxy(Some("relay.chat.example".to_owned()))]);
    assert_eq!(lab.services.next_timeout(), None);
}

#[test]
fn a_proxy_that_does_not_say_where_it_is_is_none_where_there_is_a_service_and_asked_again_where_there_is_none()
 {
    let mut lab = Lab::for_what(BOTH);
    lab.answer_all(&[("upload.chat.example", SERVICE), ("proxy.chat.example", PROXY)]);
    lab.said();
    lab.pass(PATIENCE);
    assert_eq!(lab.said(), [Said::FoundProxy(None)]);
    assert_eq!(lab.services.next_timeout(), None);
    let mut lab = Lab::for_what(RELAYS);
    lab.answer_all(&[("proxy.chat.example", PROXY)]);
    lab.asked();
    lab.pass(PATIENCE);
    assert_eq!(lab.said(), []);
    lab.pass(FIRST_PAUSE);
    lab.find_proxy();
}

#[test]
fn an_activation_at_a_machine_of_a_cluster_is_done_by_a_result_that_needs_no_tree() {
    let mut lab = Lab::for_what(RELAYS);
    lab.answer_all(&[("proxy.chat.example", PROXY)]);
    let asked = lab.asked();
    let streamhost = STREAMHOST.replace("jid='proxy.chat.example'", "jid='proxy.chat.example/node'");
    assert!(lab.answer(ALICE, &asked[0], &query(BYTESTREAMS, &streamhost)));
    lab.said();
    lab.activate("a");
    let asked = lab.asked();
    let [(to, id)] = &asked[..] else { panic!("{asked:?}") };
    let mut done = |from: &str, id: &str| {
        let result = Flat::Result { from: FullJid::new(from).unwrap(), id: id.to_owned() };
        lab.services.handle(ALICE, &Arrival::Flat(result), &mut || 0)
    };
    assert!(!done("evil.example/node", id) && !done(to, "x") && done("proxy.chat.example/node", id));
    assert_eq!(lab.said(), [Said::Activated("a".to_owned(), Ok(()))]);
}
