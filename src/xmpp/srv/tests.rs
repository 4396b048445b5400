#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.to_owned() }
}

fn xmpps(records: &[Srv]) -> Found {
    Found { service: Service::Xmpps, records: records.to_vec(), fault: None }
}

fn xmpp(records: &[Srv]) -> Found {
    Found { service: Service::Xmpp, records: records.to_vec(), fault: None }
}

fn endpoint(host: &str, port: u16, kind: Kind) -> Endpoint {
    Endpoint { host: host.to_owned(), port, kind }
}

fn of_any_kind(found: &[Found]) -> Result<Vec<Endpoint>, AccountError> {
    endpoints("chat.example", None, found, |_| 0)
}

#[test]
fn both_services_are_one_set_in_the_order_of_their_priorities() {
    let found = [
        xmpps(&[srv(5, 1, 443, "a.example"), srv(20, 1, 5270, "b.example")]),
        xmpp(&[srv(10, 1, 5222, "a.example")]),
    ];
    let expected = [
        endpoint("a.example", 443, Kind::Direct),
        endpoint("a.example", 5222, Kind::StartTls),
        endpoint("b.example", 5270, Kind::Direct),
    ];
    assert_eq!(of_any_kind(&found).unwrap(), expected);
}

#[test]
fn a_domain_without_records_serves_itself() {
    for (wanted, port, kind) in [
        (None, 5222, Kind::StartTls),
        (Some(Kind::StartTls), 5222, Kind::StartTls),
        (Some(Kind::Direct), 5223, Kind::Direct),
    ] {
        let found = endpoints("chat.example", wanted, &[xmpps(&[]), xmpp(&[])], |_| 0);
        assert_eq!(found, Ok(vec![endpoint("chat.example", port, kind)]));
    }
}

#[test]
fn a_service_that_is_declined_is_passed_over() {
    let declined = [srv(0, 0, 0, "")];
    let found = [xmpps(&declined), xmpp(&[srv(0, 0, 5222, "a.example")])];
    assert_eq!(of_any_kind(&found), Ok(vec![endpoint("a.example", 5222, Kind::StartTls)]));
    let found = [xmpps(&[srv(0, 0, 443, "a.example")]), xmpp(&declined)];
    assert_eq!(of_any_kind(&found), Ok(vec![endpoint("a.example", 443, Kind::Direct)]));
    assert_eq!(
        of_any_kind(&[xmpps(&declined), xmpp(&[])]),
        Ok(vec![endpoint("chat.example", 5222, Kind::StartTls)])
    );
}

#[test]
fn a_domain_that_declines_what_is_wanted_is_not_tried_itself() {
    let declined = [srv(0, 0, 0, "")];
    assert_eq!(of_any_kind(&[xmpps(&declined), xmpp(&declined)]), Err(AccountError::NotOffered));
    assert_eq!(of_any_kind(&[xmpps(&[]), xmpp(&declined)]), Err(AccountError::NotOffered));
    let direct = endpoints("chat.example", Some(Kind::Direct), &[xmpps(&declined)], |_| 0);
    assert_eq!(direct, Err(AccountError::NotOffered));
}

#[test]
fn a_record_without_a_port_is_passed_over_and_where_there_is_no_other_that_is_the_fault() {
    let nowhere = srv(0, 0, 0, "a.example");
    let both = [nowhere.clone(), srv(1, 0, 443, "b.example")];
    assert_eq!(of_any_kind(&[xmpps(&both)]).unwrap().len(), 1);
    assert_eq!(of_any_kind(&[xmpp(std::slice::from_ref(&nowhere))]), Err(AccountError::NoPort));
    let direct_alone = of_any_kind(&[xmpps(&[nowhere]), xmpp(&[])]).unwrap();
    assert_eq!(direct_alone, [domain_itself("chat.example", None)], "nothing is said of STARTTLS");
}

#[test]
fn a_forged_answer_names_no_more_machines_than_are_tried() {
    let many: Vec<_> = (1..1000).map(|port| srv(0, 0, port, "a.example")).collect();
    assert_eq!(of_any_kind(&[xmpps(&many)]).unwrap().len(), MOST_ENDPOINTS);
    let same = vec![srv(0, 7, 443, "a.example"); 20];
    assert_eq!(of_any_kind(&[xmpps(&same)]).unwrap().len(), 1);
}

/// Every draw that there is, once.
#[test]
fn who_comes_first_among_equals_is_drawn_by_weight() {
    let records = [srv(0, 3, 1, "a.example"), srv(0, 0, 2, "b.example"), srv(0, 6, 3, "c.example")];
    let mut first: BTreeMap<u16, u32> = BTreeMap::new();
    for drawn in 0..=9 {
        let mut draws = [drawn, 0].into_iter();
        let order = endpoints("x.example", None, &[xmpp(&records)], |_| draws.next().unwrap_or(0)).unwrap();
        *first.entry(order[0].port).or_default() += 1;
    }
    assert_eq!(first, BTreeMap::from([(2, 1), (1, 3), (3, 6)]));
}

fn any_srv() -> impl Strategy<Value = Srv> {
    (0..3u16, any::<u16>(), 1..9u16, "[ab]?").prop_map(|(priority, weight, port, target)| Srv {
        priority,
        weight,
        port,
        target,
    })
}

proptest! {
    #[test]
    fn an_order_has_every_machine_once_and_no_higher_priority_behind_a_lower(
        direct in proptest::collection::vec(any_srv(), 0..6),
        start_tls in proptest::collection::vec(any_srv(), 0..6),
        seed in any::<u32>(),
    ) {
        let found = [xmpps(&direct), xmpp(&start_tls)];
        let all = direct.iter().map(|srv| (srv, Kind::Direct)).chain(start_tls.iter().map(|srv| (srv, Kind::StartTls)));
        let least = |endpoint: &Endpoint| {
            let same = |(srv, kind): &(&Srv, Kind)| {
                (&srv.target, srv.port, *kind) == (&endpoint.host, endpoint.port, endpoint.kind)
            };
            all.clone().filter(same).map(|(srv, _)| srv.priority).min()
        };
        let order = endpoints("x.example", None, &found, |most| u32::try_from(u64::from(seed) % (u64::from(most) + 1)).unwrap());
        let usable = all.clone().filter(|(srv, _)| !srv.target.is_empty()).count();
        match order {
            Err(error) => prop_assert!(error == AccountError::NotOffered && usable == 0),
            Ok(order) if usable == 0 => prop_assert_eq!(order.len(), 1),
            Ok(order) => {
                let priorities: Vec<_> = order.iter().map(least).collect();
                prop_assert!(priorities.iter().all(Option::is_some) && priorities.is_sorted(), "{:?}", priorities);
                let mut once = order.clone();
                once.sort();
                once.dedup();
                prop_assert_eq!(once.len(), order.len());
            }
        }
    }
}

#[test]
fn that_nobody_knows_of_records_matters_where_there_are_none() {
    let record = Srv { priority: 0, weight: 0, port: 1, target: "a.example".to_owned() };
    let failed = |found: Found| Found { fault: Some(DnsFault::Failed), ..found };
    assert_eq!(unknown(&[failed(xmpps(&[])), xmpp(&[])]), Some(DnsFault::Failed));
    assert_eq!(unknown(&[failed(xmpps(&[])), xmpp(&[record])]), None);
    assert_eq!(unknown(&[xmpps(&[]), xmpp(&[])]), None);
}
