//! What waits to be handed to the wire.

use std::collections::VecDeque;

use super::Parcel;

/// When so many courtesies wait, it is time to read no more of what calls for them.
const MANY_COURTESIES: usize = 64;
/// What comes when so many wait is never sent. Only an account that cannot stop reading comes so far.
const MOST_COURTESIES: usize = 1024;

/// A stanza to send.
pub(super) struct Outgoing {
    pub(super) parcel: Parcel,
    pub(super) tag: Option<u64>,
}

impl Outgoing {
    /// Something that nobody asks about afterwards.
    pub(super) fn untagged(stanza: impl Into<Parcel>) -> Self {
        Self { parcel: stanza.into(), tag: None }
    }

    /// Whether it may be an answer to just anybody. What a protocol sends is bounded by its windows; this is not.
    fn is_courtesy(&self) -> bool {
        self.tag.is_none() && matches!(self.parcel, Parcel::Stanza(_))
    }
}

/// In the order of sending.
#[derive(Default)]
pub(super) struct Outbox {
    queue: VecDeque<Outgoing>,
    courtesies: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether strangers have asked for more than the server takes from us.
    pub(super) fn is_crowded(&self) -> bool {
        self.courtesies >= MANY_COURTESIES
    }

    pub(super) fn push_back(&mut self, outgoing: Outgoing) {
        if outgoing.is_courtesy() {
            if self.courtesies >= MOST_COURTESIES {
                return;
            }
            self.courtesies += 1;
        }
        self.queue.push_back(outgoing);
    }

    pub(super) fn push_front(&mut self, outgoing: Outgoing) {
        self.courtesies += usize::from(outgoing.is_courtesy());
        self.queue.push_front(outgoing);
    }

    pub(super) fn pop_front(&mut self) -> Option<Outgoing> {
        let outgoing = self.queue.pop_front()?;
        self.courtesies -= usize::from(outgoing.is_courtesy());
        Some(outgoing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use xmpp_parsers::presence::Presence;

    fn courtesy() -> Outgoing {
        Outgoing::untagged(Presence::available())
    }

    fn block() -> Outgoing {
        Outgoing { parcel: Parcel::Written(Bytes::from_static(b"<iq/>")), tag: None }
    }

    #[test]
    fn courtesies_make_it_crowded_until_they_are_gone_and_nothing_else_does() {
        let mut outbox = Outbox::default();
        (0..10 * MOST_COURTESIES).for_each(|_| outbox.push_back(block()));
        assert!(!outbox.is_crowded());
        (0..MANY_COURTESIES).for_each(|_| outbox.push_back(courtesy()));
        assert!(outbox.is_crowded());
        while outbox.len() > MANY_COURTESIES - 1 {
            outbox.pop_front();
        }
        assert!(!outbox.is_crowded());
    }

    #[test]
    fn there_are_never_more_than_so_many_courtesies_and_everything_else_is_kept() {
        let mut outbox = Outbox::default();
        (0..3 * MOST_COURTESIES).for_each(|_| outbox.push_back(courtesy()));
        assert_eq!(outbox.len(), MOST_COURTESIES);
        outbox.push_back(block());
        assert_eq!(outbox.len(), MOST_COURTESIES + 1);
    }
}
