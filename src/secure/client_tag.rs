//! Client tags: names of clients in eight bytes, the beginning of a keyed hash of who they are.
//!
//! What many share is shared among clients and not among sessions or paths, of which each makes as many as it likes. On a bridge a
//! client is the bare JID that shook hands, which its server vouches for. Nobody without the key can choose JIDs that have the
//! same tag.

use xmpp_parsers::jid::BareJid;

use crate::secure::crypto::entropy::{Entropy, random};
use crate::secure::crypto::secret::{MacKey, Secret, head, mac};

/// One client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientTag(pub(crate) u64);

/// Makes tags.
#[derive(Debug)]
pub(crate) struct Tagger(MacKey);

impl Tagger {
    /// One whose tags nobody else can make.
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Self {
        Self(MacKey::new(&Secret::new(random(entropy))))
    }

    /// The tag of the client with this name.
    pub(crate) fn tag(&self, client: &BareJid) -> ClientTag {
        ClientTag(u64::from_be_bytes(head(&mac(&self.0, &[client.as_str().as_bytes()]))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::crypto::entropy::testing::Seeded;

    #[test]
    fn a_tag_is_the_same_for_the_same_client_and_process_only() {
        let (here, there) = (Tagger::new(&mut Seeded(1)), Tagger::new(&mut Seeded(2)));
        let [eve, bob] = ["eve@chat.example", "bob@chat.example"].map(|jid| BareJid::new(jid).unwrap());
        assert_eq!(here.tag(&eve), here.tag(&eve));
        assert_ne!(here.tag(&eve), here.tag(&bob));
        assert_ne!(here.tag(&eve), there.tag(&eve));
    }
}
