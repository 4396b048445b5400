//! Deeds of attackers and what became of them, counted: an attack that took no hold shows nothing.

use std::collections::BTreeMap;
use std::fmt;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// The bridge took a bytestream for a handshake, ...
    Handshake,
    /// ... or refused it.
    Refused,
    /// A handshake was finished.
    Session,
    /// A session was ended by the bridge, ...
    Ended,
    /// ... or was there when the attack was told to stop.
    Held,
    /// A packet was sent.
    Packet,
    /// The bridge answered a packet with a result.
    Answer,
    /// A request came from the bridge.
    Request,
    /// A result was claimed for a request that had not been seen.
    Claim,
    /// A byte of a stream was sent.
    Byte,
    /// The bridge took a further path, ...
    Path,
    /// ... and it was there when the attack was told to stop.
    PathHeld,
    /// A connection of the bridge's to its target: the most that there were at once, whoever asked for them.
    Connection,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Deeds(BTreeMap<Deed, usize>);

impl Deeds {
    pub(crate) fn add(&mut self, deed: Deed, count: usize) {
        if count > 0 {
            *self.0.entry(deed).or_default() += count;
        }
    }

    pub(crate) fn count(&self, deed: Deed) -> usize {
        self.0.get(&deed).copied().unwrap_or_default()
    }

    /// With those of somebody else.
    pub(crate) fn and(mut self, others: Self) -> Self {
        others.0.into_iter().for_each(|(deed, count)| self.add(deed, count));
        self
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|(deed, count)| format!("{deed:?} {count}")).collect();
        f.write_str(&words.join(", "))
    }
}
