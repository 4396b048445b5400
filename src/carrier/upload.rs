//! Upload service of an account's server (XEP-0363): where it is, and slots of it. Pure.
//!
//! What is asked for, and in which order, is what slixmpp's plugins for XEP-0363 and XEP-0454 ask for. Requests are made of the library's types. Answers
//! are read by hand: servers put forms and headers of their own into them, which are nothing to us, and by which the types would lose the whole.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`discovery`] | which service there is |
//! | [`slot`] | permission to put one file there: the request, and the answer |
//! | [`refusal`] | why there is none, and when to ask again |
//! | [`services`] | all that is looked for and asked for, by all accounts |

pub mod discovery;
pub mod refusal;
pub mod services;
pub mod slot;

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;

use crate::persona;

/// Makes the random bits of ids: each is another.
pub type Random<'a> = &'a mut dyn FnMut() -> u128;

/// A request that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    id: String,
    to: Jid,
}

impl Pending {
    fn new(to: Jid, random: Random<'_>) -> Self {
        Self { id: persona::new_id(random()), to }
    }

    /// Whether this is its answer: nobody else than who was asked can give it.
    fn is_answered_by(&self, iq: &Iq) -> bool {
        let is_answer = matches!(iq, Iq::Result { .. } | Iq::Error { .. });
        is_answer && iq.id() == self.id && iq.from() == Some(&self.to)
    }
}
