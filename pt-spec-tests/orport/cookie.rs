//! Row 42: the cookie file.

use std::fs;
use std::os::unix::fs::symlink;

use super::server::Tor;
use super::setup::{HEADER, REFUSED, Setup, cookie};
use crate::log::warns;
use crate::state::make_pipe;

/// Whether a connection through both halves works now, with this secret.
fn works(setup: &Setup, tor: &Tor, secret: &[u8; 32]) {
    let (requested, ..) = setup.request_while(tor, |connection| connection.welcome(secret));
    requested.unwrap();
}

#[test]
fn row_42_the_cookie_is_read_anew_after_tor_has_started_again() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    works(&setup, &tor, &[1; 32]);
    // While the old file is still there, its proof must not be accepted by the new tor.
    let (requested, (), _) = setup.request_while(&tor, |connection| {
        connection.offer_safe_cookie();
        connection.prove(&[2; 32], |connection, bytes| connection.say(bytes));
        connection.expect_the_end();
    });
    assert_eq!(requested.unwrap_err(), REFUSED);
    fs::write(setup.cookie_file(), cookie(&[2; 32])).unwrap();
    works(&setup, &tor, &[2; 32]);
}

#[test]
fn row_42_a_cookie_file_that_is_none_is_named_in_the_log_and_recovered_from() {
    let tor = Tor::listen();
    let setup = Setup::extended(&tor);
    let whole = cookie(&[1; 32]);
    let bad_header = [HEADER.to_ascii_uppercase().as_slice(), &[1; 32]].concat();
    let cases: [&[u8]; 6] = [b"", HEADER, &whole[..63], &[&whole[..], b"\n"].concat(), &bad_header, &[1; 64]];
    for content in cases {
        fs::write(setup.cookie_file(), content).unwrap();
        assert_eq!(setup.request().unwrap_err(), REFUSED, "{} bytes", content.len());
        assert!(tor.is_untouched(), "{} bytes", content.len());
    }
    warns(&setup.bridge, "the cookie file of Tor's extended ORPort is malformed");
    fs::remove_file(setup.cookie_file()).unwrap();
    assert_eq!(setup.request().unwrap_err(), REFUSED);
    let line = warns(&setup.bridge, "cannot read the cookie file of Tor's extended ORPort");
    assert!(!line.contains(&*setup.cookie_file().to_string_lossy()), "{line}");
    // Endless, and never read whole.
    symlink("/dev/zero", setup.cookie_file()).unwrap();
    assert_eq!(setup.request().unwrap_err(), REFUSED);
    fs::remove_file(setup.cookie_file()).unwrap();
    make_pipe(&setup.cookie_file());
    assert_eq!(setup.request().unwrap_err(), REFUSED);
    fs::remove_file(setup.cookie_file()).unwrap();
    fs::write(setup.cookie_file(), whole).unwrap();
    works(&setup, &tor, &[1; 32]);
}
