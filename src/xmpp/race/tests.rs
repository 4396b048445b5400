#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test is a panic")]

mod last_resort;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::xmpp::security::Kind;

const MS: Duration = Duration::from_millis(1);

/// What a dialler waits for one address, at most.
const SILENCE: Duration = Duration::from_secs(7);

/// What happens to a connection attempt, and after which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Connects(Duration),
    Refused(Duration),
    Silent,
}

/// What DNS knows of a host, and after which time it says so.
#[derive(Clone, Debug)]
struct Addresses {
    v6: (Duration, Vec<IpAddr>),
    v4: (Duration, Vec<IpAddr>),
}

/// A network on virtual time.
#[derive(Clone, Debug, Default)]
struct World {
    /// What the search finds, and when.
    found: Option<(Duration, Vec<Endpoint>)>,
    /// What the domain says of its WebSocket, and after which time.
    web_socket: Option<(Duration, Option<Endpoint>)>,
    hosts: BTreeMap<String, Addresses>,
    fates: BTreeMap<(IpAddr, u16), Fate>,
}

/// What a race did.
#[derive(Debug)]
struct Run {
    dialled: Vec<(Duration, Candidate)>,
    lookups: usize,
    /// When the domain was asked for its WebSocket.
    asked: Option<Duration>,
    outcome: Result<Candidate, AccountError>,
    at: Duration,
}

#[derive(Debug)]
enum Happening {
    Found,
    Told,
    Resolved(String, Family),
    Ended(Candidate, bool),
}

impl World {
    fn fate(&self, candidate: &Candidate) -> Fate {
        let address = candidate.address.unwrap_or(v4(0));
        self.fates.get(&(address, candidate.endpoint.port)).copied().unwrap_or(Fate::Silent)
    }

    /// Until somebody leads or all have failed.
    fn run(&self, race: &mut Race, start: Instant, offset: Duration) -> Run {
        let (mut now, mut agenda, mut dialled, mut lookups) = (start + offset, Vec::new(), Vec::new(), 0);
        let mut asked = None;
        loop {
            while let Some(order) = race.poll(now) {
                match order {
                    Order::Search => {
                        lookups += 1;
                        agenda.push((now + self.found.clone().unwrap().0, Happening::Found));
                    }
                    Order::AskForWebSocket => {
                        assert_eq!(asked.replace(now - start), None, "it was asked twice");
                        agenda.push((now + self.web_socket.clone().unwrap().0, Happening::Told));
                    }
                    Order::Resolve(host) => {
                        lookups += 1;
                        let addresses = &self.hosts[&host];
                        let of = |after, family| (now + after, Happening::Resolved(host.clone(), family));
                        agenda.push(of(addresses.v6.0, Family::V6));
                        agenda.push(of(addresses.v4.0, Family::V4));
                    }
                    Order::Dial(candidate) => {
                        dialled.push((now - start, candidate.clone()));
                        let (after, works) = match self.fate(&candidate) {
                            Fate::Connects(after) => (after, true),
                            Fate::Refused(after) => (after, false),
                            Fate::Silent => (SILENCE, false),
                        };
                        agenda.push((now + after, Happening::Ended(candidate, works)));
                    }
                }
            }
            if let Some(error) = race.failure(now) {
                return Run { dialled, lookups, asked, outcome: Err(error), at: now - start };
            }
            let first = (0..agenda.len()).min_by_key(|n| agenda[*n].0);
            let timeout = race.poll_timeout(now);
            assert!(timeout.is_none_or(|timeout| timeout > now), "a timeout in the past");
            match first.filter(|n| timeout.is_none_or(|timeout| agenda[*n].0 <= timeout)) {
                None => now = timeout.unwrap_or_else(|| panic!("it hangs: {race:?}")),
                Some(n) => {
                    let (at, happening) = agenda.remove(n);
                    now = at;
                    match happening {
                        Happening::Found => race.handle_endpoints(Ok(self.found.clone().unwrap().1)),
                        Happening::Told => race.handle_web_socket(
                            self.web_socket.clone().unwrap().1.ok_or(AccountError::NoWebSocketNamed),
                        ),
                        Happening::Resolved(host, family) => {
                            let addresses = self.hosts[&host].clone();
                            let of = if family == Family::V6 { addresses.v6 } else { addresses.v4 };
                            race.handle_addresses(&host, family, Ok(of.1), now);
                        }
                        Happening::Ended(candidate, false) => {
                            let silent = self.fate(&candidate) == Fate::Silent;
                            let error = if silent {
                                AccountError::TimedOut(Step::Dial)
                            } else {
                                AccountError::Refused
                            };
                            race.handle_failed(&candidate, error, now);
                        }
                        Happening::Ended(candidate, true) => {
                            race.handle_connected(&candidate);
                            return Run { dialled, lookups, asked, outcome: Ok(candidate), at: now - start };
                        }
                    }
                }
            }
        }
    }
}

impl Run {
    /// When which port was dialled at which address.
    fn attempts(&self) -> Vec<(u128, IpAddr, u16)> {
        let attempt = |(at, candidate): &(Duration, Candidate)| {
            (at.as_millis(), candidate.address.unwrap(), candidate.endpoint.port)
        };
        self.dialled.iter().map(attempt).collect()
    }
}

fn v4(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, n).into()
}

fn v6(n: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()
}

fn direct(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port, kind: Kind::Direct }
}

fn known(endpoints: &[Endpoint]) -> Plan {
    Plan::Known(endpoints.to_vec(), NamedBy::Server)
}

/// One host of two addresses of either family, all known after 10 ms.
fn one_host(fates: &[(IpAddr, Fate)]) -> World {
    let hosts = Addresses { v6: (10 * MS, vec![v6(1), v6(2)]), v4: (10 * MS, vec![v4(1), v4(2)]) };
    let fates = fates.iter().map(|(address, fate)| ((*address, 443), *fate)).collect();
    let hosts = BTreeMap::from([("a.example".to_owned(), hosts)]);
    World { hosts, fates, ..World::default() }
}

fn run(world: &World, plan: Plan) -> Run {
    let start = beginning();
    world.run(&mut Race::new(plan, Names::Resolved, None, start), start, Duration::ZERO)
}

/// When time begins.
fn beginning() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[test]
fn families_take_turns_a_quarter_of_a_second_apart() {
    let run = run(&one_host(&[(v4(2), Fate::Connects(5 * MS))]), known(&[direct("a.example", 443)]));
    let expected = [(10, v6(1), 443), (260, v4(1), 443), (510, v6(2), 443), (760, v4(2), 443)];
    assert_eq!(run.attempts(), expected);
    assert_eq!((run.outcome.unwrap().address, run.at), (Some(v4(2)), 765 * MS));
}

#[test]
fn one_that_connects_in_time_is_the_only_one() {
    let run = run(&one_host(&[(v6(1), Fate::Connects(240 * MS))]), known(&[direct("a.example", 443)]));
    assert_eq!(run.attempts(), [(10, v6(1), 443)]);
}

#[test]
fn after_a_refusal_the_next_is_tried_at_once() {
    let refused = Fate::Refused(20 * MS);
    let world = one_host(&[(v6(1), refused), (v4(1), refused), (v6(2), Fate::Connects(MS))]);
    let run = run(&world, known(&[direct("a.example", 443)]));
    assert_eq!(run.attempts(), [(10, v6(1), 443), (30, v4(1), 443), (50, v6(2), 443)]);
}

#[test]
fn addresses_of_the_old_family_wait_a_moment_for_those_of_the_new() {
    let mut world = one_host(&[(v4(1), Fate::Connects(MS)), (v6(1), Fate::Connects(MS))]);
    let host = world.hosts.get_mut("a.example").unwrap();
    host.v6.0 = 40 * MS;
    assert_eq!(run(&world, known(&[direct("a.example", 443)])).attempts(), [(40, v6(1), 443)]);
    world.hosts.get_mut("a.example").unwrap().v6.0 = 5000 * MS;
    assert_eq!(run(&world, known(&[direct("a.example", 443)])).attempts(), [(60, v4(1), 443)]);
}

#[test]
fn a_name_without_an_answer_holds_up_the_machines_behind_it_for_a_quarter_of_a_second() {
    let mut world = one_host(&[(v6(1), Fate::Connects(MS))]);
    let slow = Addresses { v6: (9000 * MS, vec![]), v4: (9000 * MS, vec![v4(9)]) };
    world.hosts.insert("slow.example".to_owned(), slow);
    let run = run(&world, known(&[direct("slow.example", 1), direct("a.example", 443)]));
    assert_eq!(run.attempts(), [(250, v6(1), 443)]);
}

#[test]
fn machines_that_srv_records_name_are_looked_up_together() {
    let mut world = one_host(&[(v6(1), Fate::Connects(MS))]);
    world.found = Some((30 * MS, vec![direct("a.example", 443), direct("a.example", 5223)]));
    let run = run(&world, Plan::Search("chat.example".to_owned()));
    assert_eq!((run.attempts(), run.lookups), (vec![(40, v6(1), 443)], 2));
}

#[test]
fn what_worked_last_is_dialled_without_a_lookup() {
    let mut world = one_host(&[(v4(2), Fate::Connects(200 * MS))]);
    world.found = Some((MS, vec![direct("a.example", 443)]));
    let last = Candidate { endpoint: direct("a.example", 443), address: Some(v4(2)) };
    let start = beginning();
    let plan = || Plan::Search("chat.example".to_owned());
    let mut race = Race::new(plan(), Names::Resolved, Some(last.clone()), start);
    let fast = world.run(&mut race, start, Duration::ZERO);
    assert_eq!((fast.attempts(), fast.lookups), (vec![(0, v4(2), 443)], 0));

    world.fates.insert((v6(1), 443), Fate::Connects(MS));
    world.fates.insert((v4(2), 443), Fate::Silent);
    let mut race = Race::new(plan(), Names::Resolved, Some(last), start);
    let slow = world.run(&mut race, start, Duration::ZERO);
    assert_eq!(slow.attempts(), [(0, v4(2), 443), (1011, v6(1), 443)]);
}

#[test]
fn beside_what_worked_last_there_is_only_what_was_not_tried() {
    let start = beginning();
    let last = Candidate { endpoint: direct("192.0.2.1", 443), address: Some(v4(1)) };
    for (plan, has_more) in [
        (known(&[direct("192.0.2.1", 443)]), false),
        (known(&[direct("a.example", 443)]), true),
        (Plan::Search("chat.example".to_owned()), true),
    ] {
        let mut race = Race::new(plan, Names::Resolved, Some(last.clone()), start);
        assert_eq!(race.poll(start), Some(Order::Dial(last.clone())));
        race.handle_connected(&last);
        assert_eq!(race.has_more(start), has_more, "{race:?}");
    }
}

#[test]
fn a_name_that_is_passed_on_is_dialled_as_it_is() {
    let start = beginning();
    let mut race = Race::new(known(&[direct("a.example", 443)]), Names::PassedOn, None, start);
    let candidate = Candidate { endpoint: direct("a.example", 443), address: None };
    assert_eq!(race.poll(start), Some(Order::Dial(candidate.clone())));
    assert!(!race.has_more(start));
    race.handle_failed(&candidate, AccountError::Refused, start);
    assert_eq!(race.failure(start), Some(AccountError::Refused));
}

#[test]
fn a_proxy_has_longer_for_one_name_before_it_is_given_the_next() {
    let world = World { fates: BTreeMap::from([((v4(0), 2), Fate::Connects(MS))]), ..World::default() };
    let start = beginning();
    let plan = known(&[direct("a.example", 1), direct("a.example", 2)]);
    let run = world.run(&mut Race::new(plan, Names::PassedOn, None, start), start, Duration::ZERO);
    let times: Vec<_> = run.dialled.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 2000]);
}

#[test]
fn a_leader_that_comes_to_nothing_is_followed_by_those_that_it_outran() {
    let world = one_host(&[(v6(1), Fate::Connects(270 * MS)), (v4(1), Fate::Connects(30 * MS))]);
    let start = beginning();
    let mut race = Race::new(known(&[direct("a.example", 443)]), Names::Resolved, None, start);
    let first = world.run(&mut race, start, Duration::ZERO);
    let leader = first.outcome.unwrap();
    assert_eq!((leader.address, race.poll(start + first.at)), (Some(v6(1)), None));
    assert!(race.has_more(start + first.at));
    let later = start + first.at + 100 * MS;
    race.handle_failed(&leader, AccountError::CertificateExpired, later);
    let second = world.run(&mut race, start, later - start);
    assert_eq!(second.attempts(), [(380, v4(1), 443)]);
    race.handle_failed(&second.outcome.unwrap(), AccountError::Tls, later);
    let rest = world.run(&mut race, start, later - start);
    assert_eq!(rest.outcome, Err(AccountError::CertificateExpired), "it says more than silence");
}

#[test]
fn a_host_without_an_address_is_named_by_who_named_it() {
    let nothing = Addresses { v6: (MS, vec![]), v4: (MS, vec![]) };
    let hosts = ["a.example", "chat.example"].map(|host| (host.to_owned(), nothing.clone()));
    let world = World { hosts: BTreeMap::from(hosts), ..World::default() };
    let given = run(&world, known(&[direct("a.example", 443)]));
    assert_eq!(given.outcome, Err(AccountError::NoAddress(NamedBy::Server)));
    for (host, named_by) in [("a.example", NamedBy::Srv), ("chat.example", NamedBy::Account)] {
        let world = World { found: Some((MS, vec![direct(host, 443)])), ..world.clone() };
        let outcome = run(&world, Plan::Search("chat.example".to_owned())).outcome;
        assert_eq!(outcome, Err(AccountError::NoAddress(named_by)));
    }
}

#[test]
fn a_domain_that_declines_is_a_fault_at_once() {
    let start = beginning();
    let mut race = Race::new(Plan::Search("chat.example".to_owned()), Names::Resolved, None, start);
    assert_eq!((race.poll(start), race.poll(start)), (Some(Order::Search), None));
    assert_eq!(race.failure(start), None);
    race.handle_endpoints(Err(AccountError::NotOffered));
    assert_eq!(race.failure(start), Some(AccountError::NotOffered));
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        (0..2000u32).prop_map(|after| Fate::Connects(after * MS)),
        (0..2000u32).prop_map(|after| Fate::Refused(after * MS)),
        Just(Fate::Silent),
    ]
}

fn any_addresses() -> impl Strategy<Value = Addresses> {
    let v6s = (0..3000u32, proptest::collection::vec((0..6u16).prop_map(v6), 0..3));
    let v4s = (0..3000u32, proptest::collection::vec((0..6u8).prop_map(v4), 0..3));
    (v6s, v4s).prop_map(|(v6, v4)| Addresses { v6: (v6.0 * MS, v6.1), v4: (v4.0 * MS, v4.1) })
}

fn any_world() -> impl Strategy<Value = World> {
    let names = || proptest::sample::select(vec!["a.example", "b.example", "192.0.2.3"]);
    let endpoints = proptest::collection::vec((names(), 1..3u16), 1..5)
        .prop_map(|all| all.into_iter().map(|(host, port)| direct(host, port)).collect::<Vec<_>>());
    let hosts = (any_addresses(), any_addresses())
        .prop_map(|(a, b)| BTreeMap::from([("a.example".to_owned(), a), ("b.example".to_owned(), b)]));
    let addresses: Vec<_> = (0..6).map(v4).chain((0..6).map(v6)).collect();
    let fates = proptest::collection::vec(any_fate(), addresses.len() * 2);
    (0..3000u32, endpoints, hosts, fates).prop_map(move |(after, endpoints, hosts, fates)| {
        let places = addresses.iter().flat_map(|address| [(*address, 1), (*address, 2)]);
        let (found, fates) = (Some((after * MS, endpoints)), places.zip(fates).collect());
        World { found, hosts, fates, ..World::default() }
    })
}

/// All that can be dialled in a world.
fn candidates(world: &World) -> BTreeSet<(IpAddr, u16)> {
    let endpoints = &world.found.as_ref().unwrap().1;
    let of = |endpoint: &Endpoint| -> Vec<(IpAddr, u16)> {
        let addresses = match world.hosts.get(&endpoint.host) {
            Some(host) => host.v6.1.iter().chain(&host.v4.1).copied().collect(),
            None => vec![endpoint.host.parse().unwrap()],
        };
        addresses.into_iter().map(|address| (address, endpoint.port)).collect()
    };
    endpoints.iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn a_race_ends_and_is_won_wherever_somebody_connects(world in any_world()) {
        let run = run(&world, Plan::Search("chat.example".to_owned()));
        let can = |place: &(IpAddr, u16)| matches!(world.fates[place], Fate::Connects(_));
        let all = candidates(&world);
        prop_assert_eq!(run.outcome.is_ok(), all.iter().any(can), "{:?}", run);
        let mut dialled: Vec<_> = run.attempts().into_iter().map(|(_, address, port)| (address, port)).collect();
        let count = dialled.len();
        dialled.sort();
        dialled.dedup();
        prop_assert!(dialled.len() == count || world.found.as_ref().unwrap().1.len() > 1, "one was dialled twice");
        prop_assert!(dialled.iter().all(|place| all.contains(place)));
        if run.outcome.is_err() {
            prop_assert_eq!(dialled.len(), all.len(), "not all were tried");
        }
        // The search, the slowest name, an attempt for each candidate, and the last one's silence.
        let attempts = u32::try_from(count).unwrap();
        prop_assert!(run.at <= 3000 * MS + 3000 * MS + RESOLUTION_DELAY + attempts * ATTEMPT_DELAY + SILENCE);
    }

    #[test]
    fn attempts_are_a_quarter_of_a_second_apart_unless_one_has_failed(world in any_world()) {
        let run = run(&world, Plan::Search("chat.example".to_owned()));
        for pair in run.dialled.windows(2) {
            let failures = run.dialled.iter().filter(|(at, candidate)| match world.fate(candidate) {
                Fate::Refused(after) => *at + after >= pair[0].0 && *at + after <= pair[1].0,
                Fate::Silent => *at + SILENCE >= pair[0].0 && *at + SILENCE <= pair[1].0,
                Fate::Connects(_) => false,
            });
            prop_assert!(pair[1].0 - pair[0].0 >= ATTEMPT_DELAY || failures.count() > 0, "{:?}", run);
        }
    }
}

#[test]
fn where_a_server_sends_us_tells_more_than_any_fault() {
    let host =
        AccountError::SeeOtherHost(crate::xmpp::other_host::OtherHost::parse("other.example").unwrap());
    for fault in [AccountError::TimedOut(Step::Tls), AccountError::CertificateUntrusted] {
        assert_eq!(telling_more(fault.clone(), Some(host.clone())), host);
        assert_eq!(telling_more(host.clone(), Some(fault)), host);
    }
}

#[test]
fn one_that_came_to_no_login_is_tried_last_and_beside_nothing_else() {
    let endpoints = [direct("a.example", 443), direct("192.0.2.9", 443)];
    let deferred: Vec<Candidate> = [v4(1), v6(1)]
        .map(|address| Candidate { endpoint: direct("a.example", 443), address: Some(address) })
        .to_vec();
    let attempts = |fates: &[(IpAddr, Fate)]| {
        let race = Race::new(known(&endpoints), Names::Resolved, None, beginning());
        let mut race = race.deferring(deferred.clone());
        one_host(fates).run(&mut race, beginning(), Duration::ZERO).attempts()
    };
    let near = (v4(1), Fate::Connects(MS));
    let far = (v4(9), Fate::Connects(900 * MS));
    let dials: Vec<_> = attempts(&[near, far]).into_iter().map(|(_, address, _)| address).collect();
    assert_eq!(dials, [v6(2), v4(2), v4(9)]);
    let refused = Fate::Refused(20 * MS);
    let others = [(v6(2), refused), (v4(2), refused), (v4(9), refused)];
    let dials: Vec<_> = attempts(&[&others[..], &[near]].concat()).into_iter().map(|it| it.1).collect();
    assert_eq!(dials, [v6(2), v4(2), v4(9), v4(1)]);
}

#[test]
fn a_domain_with_one_server_goes_on_with_it_though_it_came_to_no_login() {
    let only = Candidate { endpoint: direct("192.0.2.9", 443), address: Some(v4(9)) };
    let race = Race::new(known(std::slice::from_ref(&only.endpoint)), Names::Resolved, None, beginning());
    let mut race = race.deferring(vec![only.clone()]);
    assert!(race.has_more(beginning()));
    assert_eq!(race.poll(beginning()), Some(Order::Dial(only)));
}

#[test]
fn which_of_two_faults_is_told_does_not_depend_on_which_came_first() {
    use AccountError::{CertificateExpired, CertificateUntrusted, Closed, NoRoute, Refused, TimedOut};
    let port = |port| AccountError::Proxy(crate::xmpp::error::ProxyFault::Refused { code: 403, port });
    for (one, other) in [
        (Refused, CertificateExpired),
        (CertificateExpired, CertificateUntrusted),
        (NoRoute, AccountError::HostUnreachable),
        (Closed(Step::Tls), TimedOut(Step::StartTls)),
        (port(443), port(5222)),
    ] {
        let first = telling_more(one.clone(), Some(other.clone()));
        assert_eq!(telling_more(other, Some(one)), first);
    }
}

/// What a host is said to have where DNS says this of its addresses of either family.
fn without_addresses(
    v6: Result<Vec<IpAddr>, AccountError>,
    v4: Result<Vec<IpAddr>, AccountError>,
) -> Vec<AccountError> {
    let answers = [(Family::V6, v6), (Family::V4, v4)];
    let in_turn = [[0, 1], [1, 0]].map(|order| order.map(|n: usize| answers[n].clone()));
    let fault = |answers: [(Family, Result<Vec<IpAddr>, AccountError>); 2]| {
        let now = beginning();
        let mut race = Race::new(known(&[direct("a.example", 443)]), Names::Resolved, None, now);
        assert_eq!(race.poll(now), Some(Order::Resolve("a.example".to_owned())));
        for (family, answer) in answers {
            race.handle_addresses("a.example", family, answer, now);
        }
        race.failure(now).unwrap()
    };
    in_turn.map(fault).to_vec()
}

#[test]
fn a_dns_server_that_has_a_fault_is_not_one_that_says_that_there_is_no_address() {
    let dns = |fault| AccountError::Dns(fault);
    let none = AccountError::NoAddress(NamedBy::Server);
    for (v6, v4, fault) in [
        (Ok(vec![]), Ok(vec![]), none.clone()),
        (Err(dns(DnsFault::Silent)), Ok(vec![]), none),
        (Err(dns(DnsFault::Failed)), Ok(vec![]), dns(DnsFault::Failed)),
        (Err(dns(DnsFault::Silent)), Err(dns(DnsFault::Refused)), dns(DnsFault::Refused)),
        (Err(dns(DnsFault::Silent)), Err(dns(DnsFault::Silent)), dns(DnsFault::Silent)),
    ] {
        assert_eq!(without_addresses(v6, v4), [fault.clone(), fault]);
    }
}
