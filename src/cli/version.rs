//! `hexchat-pt version`: this program, and the protocols that it speaks.

use super::Version;
use super::setup::print;
use crate::secure::PROTOCOL_VERSION;

pub(super) fn run(command: &Version) -> u8 {
    print(&text(command.verbose))
}

fn text(is_verbose: bool) -> String {
    let program = format!("hexchat-pt {}", env!("CARGO_PKG_VERSION"));
    if !is_verbose {
        return program;
    }
    format!(
        "{program}\n\
         secure protocol: version {PROTOCOL_VERSION}, with files and relays as lanes\n\
         classic protocol: that of 2013, with its extension (resend)\n\
         pluggable transports: version 1, as the transport hexchat"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_are_named_where_somebody_wants_to_know() {
        assert_eq!(text(false), concat!("hexchat-pt ", env!("CARGO_PKG_VERSION")));
        assert!(text(true).starts_with(&text(false)) && text(true).contains("secure protocol: version 1"));
    }
}
