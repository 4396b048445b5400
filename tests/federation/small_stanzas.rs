//! Servers that take smaller stanzas from other servers than from clients.

use hexchat_lab::Federation;
use hexchat_lab::federation::{Site, Terms};

use crate::harness::{Target, random_bytes, transfer};
use crate::pair::Bridge;

/// A third of what blocks would grow to.
const MAX_STANZA: u32 = 20_000;

const MEGABYTES: usize = 5_000_000;

fn stream(here: &Site, there: &Site) {
    let target = Target::start();
    let bridge = Bridge::configured(there.account_section("bob"), target.address());
    let forward = bridge.forward_configured(&here.account_section("alice"));
    for is_up in [true, false] {
        let (application, server) = target.connect_through(forward.entrance());
        let (from, to) = if is_up { (application, server) } else { (server, application) };
        let since = std::time::Instant::now();
        transfer(from, to, &random_bytes(MEGABYTES));
        println!("up {is_up}: {:?}", since.elapsed());
    }
    println!("{}", forward.log().join("\n"));
}

#[test]
fn experiment() {
    let small = Terms { max_stanza: Some(MAX_STANZA), ..Terms::default() };
    let Federation { prosody, ejabberd, home, dns } = Federation::start(small, small).unwrap();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| home.run(|| stream(&prosody, &ejabberd))));
    println!("{:?}", done.is_ok());
    println!("{}\n\n{}", prosody.log().join("\n"), ejabberd.log().join("\n"));
    drop(dns);
}
