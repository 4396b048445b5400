//! Unanswered pings to our own server, which ask for a sign of life (XEP-0199).

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::stanza::Stanza;

use crate::persona;

/// The most pings that are remembered at a time: 4. A connection that leaves one unanswered is given up before the next but one.
const MAX_UNANSWERED: usize = 4;

/// The pings that were not answered yet.
#[derive(Default)]
pub(super) struct Pings {
    unanswered: Vec<String>,
}

impl Pings {
    /// Another one. Its id is as random as any other of the account's, so that nothing in a server's log is the same at two
    /// accounts, or twice at one.
    pub(super) fn ask(&mut self, server: Jid, random: u128) -> Iq {
        let id = persona::new_id(random);
        if self.unanswered.len() >= MAX_UNANSWERED {
            self.unanswered.remove(0);
        }
        self.unanswered.push(id.clone());
        persona::ping(server, id)
    }

    /// Whether an answer with this id is to one of them.
    pub(super) fn on_answer(&mut self, id: &str) -> bool {
        let before = self.unanswered.len();
        self.unanswered.retain(|unanswered| unanswered != id);
        self.unanswered.len() < before
    }
}

/// The id of the request that this answers.
pub(super) fn answered(stanza: &Stanza) -> Option<&str> {
    match stanza {
        Stanza::Iq(Iq::Result { id, .. } | Iq::Error { id, .. }) => Some(id),
        _ => None,
    }
}
