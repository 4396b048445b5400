//! Name of a bytestream (XEP-0065 section 5.3): its id, and the address that both ends ask the proxy for.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use xmpp_parsers::jid::FullJid;

use crate::carrier::pending::Random;
use crate::persona;
use crate::xmpp::bytestream::ADDRESS_BYTES;

/// The id of a new bytestream, as slixmpp makes it.
pub fn new_sid(random: Random<'_>) -> String {
    persona::new_id(random())
}

/// What both ends ask the proxy for, which joins those that ask for the same. It is no secret, and SHA-1 protects nothing here.
pub fn address(sid: &str, initiator: &FullJid, target: &FullJid) -> [u8; ADDRESS_BYTES] {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in [sid, initiator.as_str(), target.as_str()] {
        hash.update(part.as_bytes());
    }
    let mut address = [0; ADDRESS_BYTES];
    address.copy_from_slice(hash.finish().as_ref());
    address
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;

    #[test]
    fn an_address_is_the_hash_of_the_id_and_both_ends_in_that_order() {
        let jid = |jid: &str| FullJid::new(jid).unwrap();
        let (alice, bridge) = (jid("alice@chat.example/here"), jid("bridge@chat.example/there"));
        let found = address("00000000000040008000000000000007", &alice, &bridge);
        // printf %s 00000000000040008000000000000007alice@chat.example/herebridge@chat.example/there | sha1sum
        assert_eq!(hex(&found), "f8ce768db15fdc760934e0680c51c89cd219c676");
        assert_ne!(found, address("00000000000040008000000000000007", &bridge, &alice));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn an_id_is_one_of_slixmpps() {
        assert_eq!(new_sid(&mut || 7), "00000000000040008000000000000007");
    }
}
