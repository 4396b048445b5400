//! Pings of ours to a server, to see whether a connection works.

use tokio_xmpp::Stanza;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::ping::Ping;

use super::manners;

/// More are never unanswered at a time: a connection that leaves one is given up before the next but one.
const MOST: usize = 4;

/// A ping (XEP-0199).
pub(super) fn probe(id: String) -> Iq {
    Iq::Get { from: None, to: None, id, payload: Ping.into() }
}

/// Those that ask for a sign of life, until they are answered.
#[derive(Default)]
pub(super) struct Probes {
    unanswered: Vec<String>,
}

impl Probes {
    /// Another one. Its id is as random as any other of the account's, so that nothing in a server's log is the same at two
    /// accounts, or twice at one.
    pub(super) fn ask(&mut self, random: u128) -> Iq {
        let id = manners::new_id(random);
        if self.unanswered.len() >= MOST {
            self.unanswered.remove(0);
        }
        self.unanswered.push(id.clone());
        probe(id)
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
