//! Rows 43 to 45: what is said at the extended ORPort, byte by byte.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::server::{Connection, DENY, OKAY, Tor};
use super::setup::{REFUSED, Setup};
use crate::log::warns;

const SECRET: [u8; 32] = [1; 32];

/// That Tor, played by `serve`, leads to a refusal that the log explains.
fn is_refused<T>(setup: &Setup, tor: &Tor, reason: &str, serve: impl FnOnce(&mut Connection) -> T) {
    let (requested, ..) = setup.request_while(tor, |connection| {
        serve(connection);
        connection.expect_the_end();
    });
    assert_eq!(requested.unwrap_err(), REFUSED, "{reason}");
    warns(&setup.bridge, reason);
}

/// That what either end says arrives at the other, and nothing else does.
fn carries(application: &mut TcpStream, tor: &mut Connection) {
    application.write_all(b"to tor").unwrap();
    tor.expect(b"to tor");
    tor.say(b"to the application");
    let mut heard = [0; 18];
    application.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"to the application");
}

#[test]
fn rows_43_to_45_it_authenticates_and_says_its_name_and_nothing_of_the_client() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    // Every byte is looked at in `welcome`, and what comes next are the application's.
    let (application, (), mut connection) =
        setup.request_while(&tor, |connection| connection.welcome(&SECRET));
    let mut application = application.unwrap();
    carries(&mut application, &mut connection);
    drop(application);
    connection.expect_the_end();
}

#[test]
fn row_43_safe_cookie_is_chosen_wherever_it_stands_in_the_list() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    for offer in [&[1, 0][..], &[7, 1, 2, 0], &[2, 255, 1, 0]] {
        let (requested, ..) = setup.request_while(&tor, |connection| {
            connection.say(offer);
            connection.expect(&[1]);
            connection.authenticate(&SECRET);
            connection.expect_the_announcement();
            connection.say(&OKAY);
        });
        requested.unwrap();
    }
}

#[test]
fn row_43_without_a_known_type_of_authentication_it_says_0_and_leaves() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    for offer in [&[0][..], &[2, 0], &[2, 3, 255, 0]] {
        is_refused(&setup, &tor, "offers no authentication that we know", |connection| {
            connection.say(offer);
            connection.expect(&[0]);
        });
    }
    is_refused(&setup, &tor, "does not keep to its protocol", |connection| connection.say(&[2; 300]));
}

#[test]
fn row_43_who_does_not_know_the_secret_learns_nothing_from_us() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    is_refused(&setup, &tor, "does not know the secret of the cookie file", |connection| {
        connection.offer_safe_cookie();
        let mut other = SECRET;
        other[31] ^= 1;
        connection.prove(&other, Connection::say)
    });
    // Our own nonce and the other end's hash, said back to us.
    is_refused(&setup, &tor, "does not know the secret of the cookie file", |connection| {
        connection.offer_safe_cookie();
        let nonce: [u8; 32] = connection.hear();
        connection.say(&[0; 32]);
        connection.say(&nonce);
    });
}

#[test]
fn row_43_nonces_are_never_used_twice() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    let nonce = || {
        let (_, nonce, _) = setup.request_while(&tor, |connection| {
            connection.offer_safe_cookie();
            let nonce: [u8; 32] = connection.hear();
            connection.say(&[0; 64]);
            nonce
        });
        nonce
    };
    assert_ne!(nonce(), nonce());
}

#[test]
fn row_43_after_a_status_other_than_1_it_says_nothing_more() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    for status in [0, 2, 255] {
        is_refused(&setup, &tor, "refused our authentication", |connection| {
            connection.offer_safe_cookie();
            let expected = connection.prove(&SECRET, Connection::say);
            connection.expect(&expected);
            connection.say(&[status]);
        });
    }
}

#[test]
fn row_44_after_deny_the_stream_is_closed() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    is_refused(&setup, &tor, "Tor refused the connection", |connection| {
        connection.offer_safe_cookie();
        connection.authenticate(&SECRET);
        connection.expect_the_announcement();
        connection.say(&DENY);
    });
}

#[test]
fn row_44_commands_that_are_unknown_are_ignored() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    let (application, (), mut connection) = setup.request_while(&tor, |connection| {
        connection.offer_safe_cookie();
        connection.authenticate(&SECRET);
        connection.expect_the_announcement();
        connection.say(b"\x10\x02\0\0");
        connection.say(b"\xff\xff\0\x04\x10\x01\0\0");
        connection.say(&[&[0, 2, 0xff, 0xff][..], &[0x10; 0xffff]].concat());
        connection.say(&OKAY);
    });
    carries(&mut application.unwrap(), &mut connection);
}

#[test]
fn row_44_all_that_tor_says_may_come_a_byte_at_a_time_and_the_payload_right_behind_it() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    let (application, (), mut connection) = setup.request_while(&tor, |connection| {
        connection.say_slowly(&[1, 0]);
        connection.expect(&[1]);
        let expected = connection.prove(&SECRET, Connection::say_slowly);
        connection.expect(&expected);
        connection.say_slowly(&[1]);
        connection.expect_the_announcement();
        connection.say_slowly(&[0x10, 9, 0, 1, b'?']);
        connection.say_slowly(&OKAY[..3]);
        connection.say(b"\0first");
    });
    let mut application = application.unwrap();
    let mut heard = [0; 5];
    application.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"first");
    carries(&mut application, &mut connection);
}

#[test]
fn row_43_a_tor_that_stalls_at_any_point_costs_the_stream_and_no_more() {
    let tor = Tor::listen();
    let setup = Setup::impatient(&tor, 5);
    is_refused(&setup, &tor, "answer", |_| ());
    is_refused(&setup, &tor, "answer", |connection| {
        connection.offer_safe_cookie();
        connection.hear::<32>()
    });
    is_refused(&setup, &tor, "answer", |connection| {
        connection.offer_safe_cookie();
        connection.authenticate(&SECRET);
        connection.expect_the_announcement();
    });
    is_refused(&setup, &tor, "lost the connection", |connection| {
        connection.say(&[1]);
        connection.hang_up();
    });
    let (application, (), mut connection) =
        setup.request_while(&tor, |connection| connection.welcome(&SECRET));
    carries(&mut application.unwrap(), &mut connection);
}
