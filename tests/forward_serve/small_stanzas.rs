//! Servers that take small stanzas only: what is too large is learnt, and cut anew.

use hexchat_lab::Rules;

use crate::harness::{Half, Lab, Target, on_both_servers, random_bytes, transfer};

/// What every server must take; packets would grow to half as much again.
const MAX_STANZA: u32 = 10_000;

/// 5 MB: some hundred packets of the largest size.
const BYTES: usize = 5_000_000;

on_both_servers! {
    fn each_half_loses_its_connection_three_times_at_most_and_no_byte(kind) {
        let lab = Lab::with_rules(kind, Rules { max_stanza: Some(MAX_STANZA), ..Rules::default() });
        let target = Target::start();
        let (serve, forward) = lab.both(target.address());
        let (application, server) = target.connect_through(forward.entrance());
        transfer(application, server, &random_bytes(BYTES));
        let (application, server) = target.connect_through(forward.entrance());
        transfer(server, application, &random_bytes(BYTES));
        let lost = |half: &Half| half.count("lost its connection");
        assert!(lost(&forward) + lost(&serve) > 0, "nothing was too large");
        // Two sizes are too large, and where the connection is reset the reason may get lost with it.
        assert!(lost(&forward) <= 3 && lost(&serve) <= 3, "{}, {}", lost(&forward), lost(&serve));
    }
}
