//! Request to count that is not answered yet: what is known of it until the server says `<enabled/>` or `<failed/>` (XEP-0198
//! section 3). Pure.
//!
//! Nothing waits for the answer. Our end counts what it sends behind `<enable/>`, the server what it sends behind `<enabled/>`. If it
//! refuses instead, all that is ever known of a stanza is whether it was written, so that is kept until then. Stanzas may have gone
//! before `<enable/>`, where the resource was presumed: nobody counts those, but any answer shows that the server has them.

use std::time::Instant;

use super::Counting;
use super::sm::Nonza;

/// A request to count (`<enable/>`) that the server has not answered.
#[derive(Debug)]
pub(super) struct Enabling {
    counting: Counting,
    deadline: Instant,
    /// The tags of the stanzas that were sent before it.
    before: Vec<u64>,
    /// The tags of the stanzas that have been written since.
    written: Vec<u64>,
}

/// What the server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It counts, and the session can be resumed by this id, if there is one.
    Counts(Option<String>),
    /// It does not.
    Refuses,
}

impl Enabling {
    /// A request that has just been written, behind the stanzas with the tags `before`; its answer must come by `deadline`.
    pub(super) fn new(counting: Counting, deadline: Instant, before: Vec<u64>) -> Self {
        Self { counting, deadline, before, written: Vec::new() }
    }

    /// When the answer has to be there.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The stanzas with these tags are written.
    pub(super) fn on_written(&mut self, tags: impl Iterator<Item = u64>) {
        self.written.extend(tags);
    }

    /// What the server's next element that is no stanza says; none when that is no answer.
    pub(super) fn answer(&self, nonza: Option<Nonza>) -> Option<Answer> {
        match nonza? {
            Nonza::Enabled { id } => {
                Some(Answer::Counts(id.filter(|_| self.counting == Counting::Resumable)))
            }
            Nonza::Failed { .. } => Some(Answer::Refuses),
            Nonza::Resumed { .. } | Nonza::Ack { .. } | Nonza::Request => None,
        }
    }

    /// It is over: the tags of the stanzas that were sent before the request, and of those that were written since.
    pub(super) fn into_tags(self) -> (Vec<u64>, Vec<u64>) {
        (self.before, self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_that_is_to_be_resumed_gets_an_id() {
        for (counting, id) in [(Counting::Resumable, Some("x".to_owned())), (Counting::OneConnection, None)] {
            let enabled = Nonza::Enabled { id: Some("x".to_owned()) };
            let enabling = Enabling::new(counting, Instant::now(), Vec::new());
            assert_eq!(enabling.answer(Some(enabled)), Some(Answer::Counts(id)));
        }
    }

    #[test]
    fn what_is_no_answer_is_told_from_a_refusal() {
        let enabling = Enabling::new(Counting::Resumable, Instant::now(), Vec::new());
        assert_eq!(enabling.answer(Some(Nonza::Failed { h: Some(1) })), Some(Answer::Refuses));
        for other in [None, Some(Nonza::Request), Some(Nonza::Ack { h: 0 }), Some(Nonza::Resumed { h: 0 })] {
            assert_eq!(enabling.answer(other), None);
        }
    }
}
