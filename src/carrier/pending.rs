//! Pending requests of ours to services: their ids, and whose answer counts.

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;

use crate::persona;

/// Makes the random bits of ids: each is another.
pub(super) type Random<'a> = &'a mut dyn FnMut() -> u128;

/// A request that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) id: String,
    to: Jid,
}

impl Pending {
    pub(super) fn new(to: Jid, random: Random<'_>) -> Self {
        Self { id: persona::new_id(random()), to }
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether this is its id.
    pub(super) fn has_id(&self, id: &str) -> bool {
        self.id == id
    }

    /// Whether this is its answer: nobody else than who was asked can give it.
    pub(super) fn is_answered_by(&self, iq: &Iq) -> bool {
        let is_answer = matches!(iq, Iq::Result { .. } | Iq::Error { .. });
        is_answer && iq.id() == self.id && iq.from() == Some(&self.to)
    }
}

/// What a result says.
pub(super) fn payload(iq: &Iq) -> Option<&Element> {
    match iq {
        Iq::Result { payload, .. } => payload.as_ref(),
        _ => None,
    }
}
