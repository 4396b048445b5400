//! Stream management: counting, acknowledging and resuming (XEP-0198). Pure.
//!
//! Both ends count the stanzas that they have handled, modulo 2³² (section 4): the server those behind our `<enable/>`, we those behind
//! its `<enabled/>`. [`Session`] is our end of that:
//! what the server has acknowledged is known to have arrived, and the rest is kept, to be sent again when the session is resumed on
//! another connection (section 5), or to be reported as lost when it is not.

use std::collections::VecDeque;

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::sm::{A, Enable, Resume, StreamId};

/// Stanzas that are handled at most before they are acknowledged unasked. Servers ask far more often; one that does not would keep all
/// that it ever sent.
const UNASKED: u32 = 512;

/// What a server says about stream management. The library's type wants a count in each `<failed/>`, where it is optional.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(super) enum Nonza {
    /// `<enabled/>`: it counts from here on.
    Enabled {
        /// By what the session can be resumed; none when it cannot be.
        id: Option<String>,
    },
    /// `<resumed/>`: the session goes on.
    Resumed {
        /// How many of our stanzas it has handled.
        h: u32,
    },
    /// `<failed/>`: it does not resume the session, or does not count at all.
    Failed {
        /// How many of our stanzas it had handled, where it still knows.
        h: Option<u32>,
    },
    /// `<a/>`
    Ack {
        /// How many of our stanzas it has handled.
        h: u32,
    },
    /// `<r/>`
    Request,
}

impl Nonza {
    /// Reads an element; none when it is none of these, or lacks its count.
    pub(super) fn read(element: &Element) -> Option<Self> {
        if element.ns() != ns::SM {
            return None;
        }
        let h = || element.attr("h")?.parse().ok();
        Some(match element.name() {
            "enabled" => Self::Enabled { id: resumption_id(element) },
            "resumed" => Self::Resumed { h: h()? },
            "failed" => Self::Failed { h: h() },
            "a" => Self::Ack { h: h()? },
            "r" => Self::Request,
            _ => return None,
        })
    }
}

fn resumption_id(enabled: &Element) -> Option<String> {
    let can_resume = matches!(enabled.attr("resume"), Some("true" | "1"));
    enabled.attr("id").filter(|_| can_resume).map(ToOwned::to_owned)
}

/// The request to count from now on, as every client words it: whether a session will be resumed is another question.
pub(super) fn enable() -> Enable {
    Enable { max: None, resume: true }
}

/// A stanza of ours that the server has not acknowledged.
pub(super) struct Unacked {
    /// As it is written.
    pub(super) bytes: Bytes,
    /// Who waits for its fate.
    pub(super) tag: Option<u64>,
}

/// The server acknowledges stanzas that it was never sent, or takes back what it has acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Miscounted;

/// A session in which both ends count. It outlives its connection when it can be resumed.
pub(in crate::xmpp) struct Session {
    /// As whom the server knows us.
    jid: FullJid,
    /// By what it can be resumed.
    id: Option<String>,
    /// Stanzas of the server that were handled, modulo 2³².
    handled: u32,
    /// How many of these it was not told about.
    unreported: u32,
    /// Stanzas of ours that the server has acknowledged, modulo 2³².
    acked: u32,
    unacked: VecDeque<Unacked>,
}

impl Session {
    /// One in which the server is being asked to count. Until it does, it cannot be resumed.
    pub(super) fn new(jid: FullJid) -> Self {
        Self { jid, id: None, handled: 0, unreported: 0, acked: 0, unacked: VecDeque::new() }
    }

    /// The server counts, and gave it this id to resume it by.
    pub(super) fn on_enabled(&mut self, id: Option<String>) {
        self.id = id;
    }

    pub(super) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// A stanza has come, whatever it says.
    pub(super) fn on_received(&mut self) {
        self.handled = self.handled.wrapping_add(1);
        self.unreported = self.unreported.saturating_add(1);
    }

    /// Whether so many stanzas have come that the server is to be told unasked.
    pub(super) fn owes_report(&self) -> bool {
        self.unreported >= UNASKED
    }

    /// Whether the server does not know of all stanzas that they have come.
    pub(super) fn has_unreported(&self) -> bool {
        self.unreported > 0
    }

    /// Our acknowledgement.
    pub(super) fn ack(&mut self) -> A {
        self.unreported = 0;
        A { h: self.handled }
    }

    /// A stanza of ours is written, from now on in doubt.
    pub(super) fn on_sent(&mut self, stanza: Unacked) {
        self.unacked.push_back(stanza);
    }

    /// The server has handled `h` stanzas of ours: those that are new among them, in order.
    ///
    /// # Errors
    ///
    /// It cannot have handled so many, or so few. Nothing has changed then.
    pub(super) fn on_acked(&mut self, h: u32) -> Result<impl Iterator<Item = Unacked>, Miscounted> {
        // Taken back is the same as far too many, modulo 2³².
        let news = usize::try_from(h.wrapping_sub(self.acked)).map_err(|_| Miscounted)?;
        if news > self.unacked.len() {
            return Err(Miscounted);
        }
        self.acked = h;
        Ok(self.unacked.drain(..news))
    }

    /// The request to resume the session on another connection; none when it cannot be.
    pub(super) fn resume(&self) -> Option<Resume> {
        self.id.clone().map(|id| Resume { h: self.handled, previd: StreamId(id) })
    }

    /// All that the server has not acknowledged, oldest first: what it must be sent again behind a resumption.
    pub(super) fn unacked(&self) -> impl ExactSizeIterator<Item = &Unacked> {
        self.unacked.iter()
    }

    /// The session is over: the tags of the stanzas whose fate nobody will ever know.
    pub(in crate::xmpp) fn into_lost(self) -> impl Iterator<Item = u64> {
        self.unacked.into_iter().filter_map(|stanza| stanza.tag)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn session() -> Session {
        let mut session = Session::new("alice@chat.example/r".parse().unwrap());
        session.on_enabled(Some("id".to_owned()));
        session
    }

    fn sent(tag: u64) -> Unacked {
        Unacked { bytes: Bytes::from(tag.to_string()), tag: Some(tag) }
    }

    fn acked(session: &mut Session, h: u32) -> Result<Vec<u64>, Miscounted> {
        Ok(session.on_acked(h)?.filter_map(|stanza| stanza.tag).collect())
    }

    fn nonza(xml: &str) -> Option<Nonza> {
        Nonza::read(&xml.parse().unwrap())
    }

    #[test]
    fn what_a_server_says_is_read_with_its_counts() {
        let sm = "xmlns='urn:xmpp:sm:3'";
        for (xml, read) in [
            (format!("<a {sm} h='7'/>"), Some(Nonza::Ack { h: 7 })),
            (format!("<a {sm}/>"), None),
            (format!("<a {sm} h='-1'/>"), None),
            (format!("<a {sm} h='4294967296'/>"), None),
            (format!("<r {sm}/>"), Some(Nonza::Request)),
            ("<r xmlns='urn:other'/>".to_owned(), None),
            (format!("<resumed {sm} h='0' previd='x'/>"), Some(Nonza::Resumed { h: 0 })),
            (format!("<failed {sm}/>"), Some(Nonza::Failed { h: None })),
            (
                format!(
                    "<failed {sm} h='3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
                ),
                Some(Nonza::Failed { h: Some(3) }),
            ),
            (format!("<unheard-of {sm}/>"), None),
        ] {
            assert_eq!(nonza(&xml), read, "{xml}");
        }
    }

    #[test]
    fn only_who_is_told_that_it_can_resumes_a_session_by_its_id() {
        let sm = "xmlns='urn:xmpp:sm:3'";
        for (attributes, id) in [
            ("id='x' resume='true'", Some("x")),
            ("id='x' resume='1'", Some("x")),
            ("id='x' resume='false'", None),
            ("id='x'", None),
            ("resume='true'", None),
        ] {
            let id = id.map(ToOwned::to_owned);
            assert_eq!(
                nonza(&format!("<enabled {sm} {attributes}/>")),
                Some(Nonza::Enabled { id }),
                "{attributes}"
            );
        }
    }

    #[test]
    fn an_acknowledgement_is_of_all_that_were_sent_before_and_of_none_twice() {
        let mut session = session();
        (1..=3).for_each(|tag| session.on_sent(sent(tag)));
        assert_eq!(acked(&mut session, 2), Ok(vec![1, 2]));
        assert_eq!(acked(&mut session, 2), Ok(vec![]));
        assert_eq!(acked(&mut session, 3), Ok(vec![3]));
    }

    #[test]
    fn more_than_was_sent_and_less_than_before_is_miscounted_and_changes_nothing() {
        let mut session = session();
        (1..=3).for_each(|tag| session.on_sent(sent(tag)));
        assert_eq!(acked(&mut session, 4), Err(Miscounted));
        assert_eq!(acked(&mut session, 1), Ok(vec![1]));
        assert_eq!(acked(&mut session, 0), Err(Miscounted));
        assert_eq!(acked(&mut session, u32::MAX), Err(Miscounted));
        assert_eq!(acked(&mut session, 3), Ok(vec![2, 3]));
    }

    #[test]
    fn both_counts_wrap() {
        let mut session = session();
        (session.handled, session.acked) = (u32::MAX, u32::MAX);
        session.on_received();
        assert_eq!(session.ack(), A { h: 0 });
        (1..=2).for_each(|tag| session.on_sent(sent(tag)));
        assert_eq!(acked(&mut session, 0), Ok(vec![1]));
        assert_eq!(acked(&mut session, 1), Ok(vec![2]));
    }

    #[test]
    fn a_server_that_never_asks_is_told_in_the_end() {
        let mut session = session();
        assert!(!session.has_unreported());
        (0..UNASKED).for_each(|n| {
            assert!(!session.owes_report(), "{n}");
            session.on_received();
        });
        assert!(session.owes_report());
        assert_eq!(session.ack(), A { h: UNASKED });
        assert!(!session.owes_report() && !session.has_unreported());
    }

    #[test]
    fn a_session_is_resumed_by_its_id_and_with_our_count() {
        let mut session = session();
        session.on_received();
        assert_eq!(session.resume(), Some(Resume { h: 1, previd: StreamId("id".to_owned()) }));
        assert_eq!(Session::new(session.jid().clone()).resume(), None);
    }

    proptest! {
        #[test]
        fn every_stanza_is_acknowledged_or_in_doubt_and_none_is_both(
            first in any::<u32>(),
            steps in prop::collection::vec((0..5u64, 0..8u32), 0..40),
        ) {
            let mut session = session();
            session.acked = first;
            let (mut next, mut fates) = (0, Vec::new());
            for (count, h) in steps {
                (next..next + count).for_each(|tag| session.on_sent(sent(tag)));
                next += count;
                let before = fates.len();
                let count = session.acked.wrapping_add(h);
                let news = acked(&mut session, count);
                prop_assert_eq!(news.is_ok(), u64::from(h) <= next - before as u64);
                fates.extend(news.unwrap_or_default());
            }
            prop_assert_eq!(session.unacked().len(), next as usize - fates.len());
            fates.extend(session.into_lost());
            prop_assert!(fates.into_iter().eq(0..next));
        }
    }
}
