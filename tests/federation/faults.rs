//! Servers that do not reach each other.

use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use hexchat_lab::Federation;
use hexchat_lab::federation::{Site, Terms};

use crate::federation;
use crate::harness::{Half, Target, connect, wait_until_it_works};
use crate::pair::Bridge;

/// Within this time a person must see what is wrong.
const EXPLANATION: Duration = Duration::from_secs(30);

const UNREACHABLE: &str =
    "a connection was not forwarded: the chat server of our account cannot reach the bridge's chat server";

/// An application connects, and its connection is reset in time; the reason is in the log.
fn is_told(forward: &Half) {
    let since = Instant::now();
    let mut application = connect(forward.entrance());
    application.set_read_timeout(Some(2 * EXPLANATION)).unwrap();
    let end = application.read_exact(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
    forward.says(UNREACHABLE, EXPLANATION);
    assert!(since.elapsed() <= EXPLANATION, "said only after {:?}", since.elapsed());
}

fn goes_and_comes_back(here: &Site, there: &mut Site) {
    let target = Target::start();
    let bridge = Bridge::configured(there.account_section("bob"), target.address());
    let forward = bridge.forward_configured(&here.account_section("alice"));
    target.echo_from_now_on();
    wait_until_it_works(forward.entrance());
    there.kill();
    is_told(&forward);
    there.run().unwrap();
    wait_until_it_works(forward.entrance());
}

#[test]
fn that_the_bridges_server_is_gone_is_said_and_once_it_is_back_connects_work() {
    let Federation { mut prosody, mut ejabberd, home, dns } = federation();
    home.run(|| {
        goes_and_comes_back(&prosody, &mut ejabberd);
        goes_and_comes_back(&ejabberd, &mut prosody);
    });
    drop(dns);
}

fn without_trust(of_prosody: bool) {
    let untrusted = |is_untrusted| Terms { is_untrusted, ..Terms::default() };
    let Federation { prosody, ejabberd, home, dns } =
        Federation::start(untrusted(of_prosody), untrusted(!of_prosody)).unwrap();
    home.run(|| {
        for (here, there) in [(&prosody, &ejabberd), (&ejabberd, &prosody)] {
            let target = Target::start();
            let bridge = Bridge::configured(there.account_section("bob"), target.address());
            is_told(&bridge.forward_configured(&here.account_section("alice")));
            assert!(target.is_untouched());
        }
    });
    drop(dns);
}

#[test]
fn that_the_servers_do_not_trust_the_certificate_of_the_prosody_is_said() {
    without_trust(true);
}

#[test]
fn that_the_servers_do_not_trust_the_certificate_of_the_ejabberd_is_said() {
    without_trust(false);
}
