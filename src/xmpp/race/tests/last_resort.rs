//! The last resort among what is tried.

use super::*;

/// Where the WebSocket is: an address that no other endpoint has.
const PLACE: u8 = 200;

fn web_socket() -> Endpoint {
    Endpoint { host: v4(PLACE).to_string(), port: 443, kind: Kind::WebSocket }
}

/// One server at two addresses, and a WebSocket of which the domain tells after 100 ms.
fn world(server: &[Fate; 2], web_socket_fate: Option<Fate>) -> World {
    let hosts = Addresses { v6: (MS, vec![v6(1)]), v4: (MS, vec![v4(1)]) };
    let fates = [(v6(1), server[0]), (v4(1), server[1])].map(|(address, fate)| ((address, 5222), fate));
    let web_fate = web_socket_fate.map(|fate| ((v4(PLACE), 443), fate));
    World {
        found: Some((MS, vec![Endpoint { kind: Kind::StartTls, ..direct("a.example", 5222) }])),
        web_socket: Some((100 * MS, web_socket_fate.map(|_| web_socket()))),
        hosts: BTreeMap::from([("a.example".to_owned(), hosts)]),
        fates: fates.into_iter().chain(web_fate).collect(),
    }
}

fn search() -> Race {
    let plan = Plan::Search("chat.example".to_owned());
    Race::new(plan, Names::Resolved, None, beginning()).or_by_web_socket()
}

fn run(world: &World) -> Run {
    world.run(&mut search(), beginning(), Duration::ZERO)
}

fn leader(run: &Run) -> Kind {
    run.outcome.as_ref().unwrap().endpoint.kind
}

const REFUSED: Fate = Fate::Refused(Duration::from_millis(20));
const NEAR: Fate = Fate::Connects(Duration::from_millis(5));

#[test]
fn nobody_is_asked_for_a_websocket_where_a_server_connects_within_three_seconds() {
    let run = run(&world(&[Fate::Silent, Fate::Connects(2500 * MS)], Some(NEAR)));
    assert_eq!((leader(&run), run.asked), (Kind::StartTls, None));
}

#[test]
fn where_every_server_refuses_the_domain_is_asked_at_once() {
    let run = run(&world(&[REFUSED; 2], Some(NEAR)));
    assert_eq!((leader(&run), run.asked), (Kind::WebSocket, Some(42 * MS)));
    assert_eq!(run.at, (42 + 100 + 5) * MS);
}

#[test]
fn where_every_server_is_silent_the_domain_is_asked_after_three_seconds_from_the_first_attempt() {
    let run = run(&world(&[Fate::Silent; 2], Some(NEAR)));
    assert_eq!((leader(&run), run.asked), (Kind::WebSocket, Some(3002 * MS)));
}

#[test]
fn a_slow_server_still_wins_where_the_domain_names_no_websocket() {
    let run = run(&world(&[Fate::Silent, Fate::Connects(5000 * MS)], None));
    assert_eq!((leader(&run), run.asked), (Kind::StartTls, Some(3002 * MS)));
}

#[test]
fn where_nothing_works_both_faults_are_told_unless_one_says_it_all() {
    let refused = || Err(AccountError::Refused);
    assert_eq!(run(&world(&[REFUSED; 2], None)).outcome, refused(), "no WebSocket is named");
    assert_eq!(run(&world(&[REFUSED; 2], Some(REFUSED))).outcome, refused(), "the same once more");
    let silent = run(&world(&[REFUSED; 2], Some(Fate::Silent)));
    let [server, web_socket] = [AccountError::Refused, AccountError::TimedOut(Step::Dial)].map(Box::new);
    assert_eq!(silent.outcome, Err(AccountError::Neither { server, web_socket }));
}

#[test]
fn a_websocket_whose_host_has_no_address_is_the_host_metas() {
    let mut world = world(&[REFUSED; 2], Some(NEAR));
    let endpoint = Endpoint { host: "web.example".to_owned(), ..web_socket() };
    world.web_socket = Some((MS, Some(endpoint)));
    world.hosts.insert("web.example".to_owned(), Addresses { v6: (MS, vec![]), v4: (MS, vec![]) });
    let [server, web_socket] =
        [AccountError::Refused, AccountError::NoAddress(NamedBy::HostMeta)].map(Box::new);
    assert_eq!(run(&world).outcome, Err(AccountError::Neither { server, web_socket }));
}

#[test]
fn a_domain_without_an_address_is_not_asked() {
    let nothing = Addresses { v6: (MS, vec![]), v4: (MS, vec![]) };
    let found = vec![Endpoint { kind: Kind::StartTls, ..direct("chat.example", 5222) }];
    let hosts = BTreeMap::from([("chat.example".to_owned(), nothing)]);
    let run = run(&World { found: Some((MS, found)), hosts, ..world(&[REFUSED; 2], Some(NEAR)) });
    assert_eq!((run.outcome, run.asked), (Err(AccountError::NoAddress(NamedBy::Account)), None));
}

/// One whose server connects, and then comes to nothing for this reason after 10 seconds.
fn after_leader(error: AccountError) -> Run {
    let world = world(&[NEAR, REFUSED], Some(NEAR));
    let mut race = search();
    let first = world.run(&mut race, beginning(), Duration::ZERO);
    let leader = first.outcome.unwrap();
    assert!(race.has_last_resort());
    race.handle_failed(&leader, error, beginning() + 10_000 * MS);
    world.run(&mut race, beginning(), 10_000 * MS)
}

#[test]
fn a_line_that_swallows_tls_is_a_reason_to_ask() {
    let run = after_leader(AccountError::TimedOut(Step::StartTls));
    assert_eq!((leader(&run), run.asked), (Kind::WebSocket, Some(10_000 * MS)));
}

#[test]
fn a_server_with_a_wrong_certificate_was_reached_and_is_no_reason_to_ask() {
    let run = after_leader(AccountError::CertificateExpired);
    assert_eq!((run.outcome, run.asked), (Err(AccountError::CertificateExpired), None));
}

#[test]
fn a_websocket_that_worked_last_is_dialled_without_asking() {
    let candidate = Candidate { endpoint: web_socket(), address: Some(v4(PLACE)) };
    let plan = Plan::Search("chat.example".to_owned());
    let race = Race::new(plan, Names::Resolved, Some(candidate), beginning());
    let run = world(&[NEAR; 2], Some(NEAR)).run(&mut race.or_by_web_socket(), beginning(), Duration::ZERO);
    assert_eq!((leader(&run), run.asked, run.lookups), (Kind::WebSocket, None, 0));
}

#[test]
fn one_that_is_hinted_at_is_asked_for_at_once_and_keeps_no_server_waiting() {
    let hinted =
        |world: &World| world.run(&mut search().by_web_socket_at_once(), beginning(), Duration::ZERO);
    let near = hinted(&world(&[NEAR; 2], Some(NEAR)));
    assert_eq!((leader(&near), near.asked, near.at), (Kind::StartTls, Some(Duration::ZERO), 7 * MS));
    let silent = hinted(&world(&[Fate::Silent; 2], Some(NEAR)));
    assert_eq!((leader(&silent), silent.at), (Kind::WebSocket, 507 * MS));
    let refused = hinted(&world(&[REFUSED; 2], Some(NEAR)));
    assert_eq!((leader(&refused), refused.at), (Kind::WebSocket, 105 * MS));
    let none_named = hinted(&world(&[Fate::Silent, NEAR], None));
    assert_eq!((leader(&none_named), none_named.at), (Kind::StartTls, 257 * MS));
}

#[test]
fn a_race_that_asks_for_no_websocket_begins_with_none() {
    let plan = Plan::Search("chat.example".to_owned());
    let race = Race::new(plan, Names::Resolved, None, beginning());
    let mut race = race.by_web_socket_at_once();
    assert_eq!(race.poll(beginning()), Some(Order::Search));
}

proptest! {
    #[test]
    fn a_race_with_a_last_resort_ends_and_is_won_wherever_somebody_connects(
        world in any_world(),
        told_after in 0..8000u32,
        fate in proptest::option::of(any_fate()),
        is_hinted_at: bool,
    ) {
        let mut world = world;
        world.web_socket = Some((told_after * MS, fate.map(|_| web_socket())));
        world.fates.extend(fate.map(|fate| ((v4(PLACE), 443), fate)));
        let race = search();
        let mut race = if is_hinted_at { race.by_web_socket_at_once() } else { race };
        let run = world.run(&mut race, beginning(), Duration::ZERO);
        let can = |place: &(IpAddr, u16)| matches!(world.fates[place], Fate::Connects(_));
        let all = candidates(&world);
        let server_is_there = all.iter().any(can);
        let has_address = !all.is_empty();
        let web_socket_is_there = matches!(fate, Some(Fate::Connects(_)));
        if server_is_there || web_socket_is_there && has_address {
            prop_assert!(run.outcome.is_ok(), "{:?}", run);
        } else {
            prop_assert!(run.outcome.is_err() || web_socket_is_there, "{:?}", run);
        }
        // The search, the slowest name, the domain's word, an attempt for each candidate, the last one's silence twice.
        let attempts = u32::try_from(run.dialled.len()).unwrap();
        prop_assert!(run.at <= (3000 + 3000 + 8000) * MS + RESOLUTION_DELAY + attempts * ATTEMPT_DELAY + 2 * SILENCE);
    }
}
