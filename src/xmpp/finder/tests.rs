use super::*;
use crate::xmpp::srv::Srv;

fn candidate(n: u16) -> Candidate {
    Candidate {
        endpoint: Endpoint { host: "a.example".to_owned(), port: n, kind: Kind::Direct },
        address: None,
    }
}

fn finder(domain: &str) -> Finder {
    Finder::new(domain.to_owned(), None, None)
}

fn fail(finder: &Finder, n: u16, step: Step) {
    finder.remember(candidate(n));
    finder.handle_failure(step);
}

fn failed(finder: &Finder) -> Vec<u16> {
    finder.past().failed.iter().map(|candidate| candidate.endpoint.port).collect()
}

#[test]
fn those_that_failed_after_tls_are_known_until_a_login_the_latest_last() {
    let finder = finder("chat.example");
    for n in [1, 2, 3, 1] {
        fail(&finder, n, Step::Stream);
    }
    assert_eq!(failed(&finder), [2, 3, 1]);
    finder.handle_login();
    assert_eq!(failed(&finder), [0; 0]);
    for n in 0..100 {
        fail(&finder, n, Step::Login);
    }
    assert_eq!((failed(&finder).len(), failed(&finder).last()), (MOST_FAILED, Some(&99)));
}

#[test]
fn what_a_hint_names_comes_first_and_the_rest_in_its_order() {
    let srv = |priority, port| Srv { priority, weight: 0, port, target: "a.example".to_owned() };
    let found = [
        Found { service: Service::Xmpps, records: vec![srv(1, 1), srv(3, 3)], fault: None },
        Found { service: Service::Xmpp, records: vec![srv(2, 2), srv(4, 4)], fault: None },
    ];
    for (first, ports) in [
        (None, [1, 2, 3, 4]),
        (Some(Way::Direct), [1, 3, 2, 4]),
        (Some(Way::StartTls), [2, 4, 1, 3]),
        (Some(Way::WebSocket), [1, 2, 3, 4]),
    ] {
        let wanted = Wanted { domain: "chat.example".to_owned(), kind: None, first };
        let endpoints = wanted.order(&found).unwrap_or_default();
        assert_eq!(endpoints.iter().map(|it| it.port).collect::<Vec<_>>(), ports, "{first:?}");
    }
}

#[test]
fn nobody_is_sent_on_from_a_websocket_that_was_found() {
    let host = OtherHost::parse("other.example").unwrap_or_else(|| unreachable!("a literal"));
    let refused = Err(Unfollowed::WebSocket);
    for (kind, followed) in [(Kind::WebSocket, refused), (Kind::StartTls, Ok(())), (Kind::Direct, Ok(()))] {
        let finder = finder("chat.example");
        let Candidate { endpoint, address } = candidate(443);
        finder.remember(Candidate { endpoint: Endpoint { kind, ..endpoint }, address });
        assert_eq!(finder.follow(&host), followed, "{kind:?}");
        assert_eq!(finder.past().sent_to.is_some(), followed.is_ok(), "{kind:?}");
    }
}

#[test]
fn plaintext_is_sent_on_within_this_machine_alone() {
    let refused = Err(Unfollowed::Plaintext);
    for (host, followed) in [("127.0.0.7", Ok(())), ("192.0.2.7", refused), ("other.example", refused)] {
        let here = ServerAddr { host: "127.0.0.1".to_owned(), port: 5222 };
        let finder = Finder::new("chat.example".to_owned(), Some(here), Some(Kind::Plain));
        let to = OtherHost::parse(host).unwrap_or_else(|| unreachable!("a literal"));
        assert_eq!(finder.follow(&to), followed, "{host}");
        assert_eq!(finder.past().sent_to.is_some(), followed.is_ok(), "{host}");
    }
}

#[tokio::test]
async fn an_onion_service_without_a_proxy_is_final_where_the_configuration_names_it() {
    let (dialer, finder) = (Dialer::direct(), finder("chat.example"));
    let host = OtherHost::parse("hidden.onion").unwrap_or_else(|| unreachable!("a literal"));
    assert_eq!(finder.follow(&host), Ok(()));
    let found = match finder.search(&dialer) {
        Ok(mut search) => search.next().await.err(),
        Err(error) => Some(error),
    };
    assert_eq!(found, Some(AccountError::NoAddress(NamedBy::OtherServer)));
    let url = Url::https("https://hidden.onion/").unwrap_or_else(|| unreachable!("a literal"));
    for (named_by, fault) in [
        (NamedBy::HostMeta, AccountError::NoAddress(NamedBy::HostMeta)),
        (NamedBy::Server, AccountError::OnionWithoutProxy),
        (NamedBy::Account, AccountError::OnionWithoutProxy),
    ] {
        assert_eq!(connect(&url, named_by, &dialer).await.err(), Some(fault));
    }
}

#[tokio::test]
async fn all_of_a_login_is_at_the_host_where_the_server_sends_us_and_the_next_is_not() {
    let (dialer, finder) = (Dialer::direct(), finder("chat.example"));
    let host = OtherHost::parse("192.0.2.7").unwrap_or_else(|| unreachable!("a literal"));
    let sent_to = |finder: &Finder| finder.search(&dialer).ok().and_then(|search| search.sent_to().cloned());
    for end in [Finder::handle_login, |finder: &Finder| finder.handle_failure(Step::Dial)] {
        assert_eq!(finder.follow(&host), Ok(()));
        for _ in 0..2 {
            assert_eq!(sent_to(&finder).as_ref(), Some(&host));
        }
        end(&finder);
        assert_eq!(sent_to(&finder), None);
    }
}

#[test]
fn where_nobody_is_secure_all_are_equal_again() {
    let finder = finder("chat.example");
    fail(&finder, 1, Step::Stream);
    fail(&finder, 2, Step::Tls);
    assert_eq!(failed(&finder), [0; 0]);
}

#[test]
fn a_proxy_is_given_a_name_that_public_dns_cannot_know() {
    for domain in ["hidden.onion", "hidden.i2p", "printer.local", "chat.internal", "chat.home.arpa", "chat"] {
        let plan = finder(domain).plan(Names::PassedOn);
        let Plan::Known(endpoints, NamedBy::Account) = plan else { unreachable!("{plan:?} for {domain}") };
        assert_eq!(endpoints, [domain_itself(domain, None)]);
    }
    assert!(matches!(finder("chat.example").plan(Names::PassedOn), Plan::Search(_)));
    assert!(matches!(finder("chat.local").plan(Names::Resolved), Plan::Search(_)));
}
