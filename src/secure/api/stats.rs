//! Statistics: what an endpoint does, in numbers and without names, for whoever runs it.

use std::iter::Sum;
use std::ops::AddAssign;
use std::time::Duration;

/// What carries bytes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Stanzas through the chat servers.
    Chat,
    /// Files at an upload service.
    Files,
    /// A relay through a server's proxy.
    Relay,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Files, Self::Relay];

    /// Its name, in small letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Files => "files",
            Self::Relay => "relay",
        }
    }
}

/// Bytes in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// To peers.
    pub sent: u64,
    /// From peers.
    pub received: u64,
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
    }
}

/// Bytes of encrypted packets, by what carries them, without what servers wrap around them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    chat: Bytes,
    files: Bytes,
    relay: Bytes,
}

impl Carried {
    /// What went and came by this lane.
    #[must_use]
    pub fn by(&self, lane: Lane) -> Bytes {
        match lane {
            Lane::Chat => self.chat,
            Lane::Files => self.files,
            Lane::Relay => self.relay,
        }
    }

    /// So much more went and came by this lane.
    pub(crate) fn add(&mut self, lane: Lane, bytes: Bytes) {
        match lane {
            Lane::Chat => self.chat += bytes,
            Lane::Files => self.files += bytes,
            Lane::Relay => self.relay += bytes,
        }
    }

    /// By all lanes.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        Lane::ALL.iter().fold(Bytes::default(), |mut sum, lane| {
            sum += self.by(*lane);
            sum
        })
    }
}

impl AddAssign for Carried {
    fn add_assign(&mut self, other: Self) {
        Lane::ALL.iter().for_each(|lane| self.add(*lane, other.by(*lane)));
    }
}

/// How handshakes have ended: a bridge's with its clients, or a client's with its bridges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// Both ends hold the keys of a session, be it a new one or one that was taken up again.
    pub completed: u64,
    /// On a bridge: opens of paths that were not let in, strangers' among them.
    pub refused: u64,
    /// Begun, and come to nothing.
    pub failed: u64,
}

/// What has happened since the endpoint began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of packets.
    pub carried: Carried,
    /// Bytes of streams that went once and had to go again.
    pub retransmitted: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.carried += other.carried;
        self.retransmitted = self.retransmitted.saturating_add(other.retransmitted);
    }
}

/// One path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathStats {
    pub(crate) lane: Lane,
    pub(crate) carried: Bytes,
    /// Of paths by which packets go, where it was measured.
    pub(crate) round_trip: Option<Duration>,
    /// Whether packets may go.
    pub(crate) is_open: bool,
}

/// All our accounts, as the core sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AccountStats {
    /// Logins that are online, further ones of an account included.
    pub online: usize,
    /// Bytes on their way by all of them, on the wire.
    pub in_flight: usize,
    /// Sessions that wait for their turn somewhere.
    pub waiting: usize,
    /// Of the account that has used most of what it may send in a day, which part that is; above 1 where a block more went. None where no
    /// account has a bound.
    pub quota_used: Option<f64>,
    /// The same for what may be put at upload services.
    pub uploads_used: Option<f64>,
}

/// One session, or all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Sessions in which a handshake is done.
    pub established: usize,
    /// Streams, those included that are only being closed.
    pub streams: usize,
    /// Paths by which packets go, by chat servers.
    pub paths: usize,
    /// Relays that carry.
    pub relays: usize,
    /// What it takes there and back by each path where that was measured, in no order.
    pub round_trips: Vec<Duration>,
    /// What the sessions that are left have carried.
    pub totals: Totals,
}

impl AddAssign for SessionStats {
    fn add_assign(&mut self, other: Self) {
        self.established += other.established;
        self.streams += other.streams;
        self.paths += other.paths;
        self.relays += other.relays;
        self.round_trips.extend(other.round_trips);
        self.totals += other.totals;
    }
}

impl Sum for SessionStats {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

/// A whole endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// The sessions that there are, and in their totals those that have ended, too.
    pub sessions: SessionStats,
    /// On a bridge, clients that have something; each counts once, however many sessions it has.
    pub clients: usize,
    /// How handshakes have ended.
    pub handshakes: Handshakes,
    /// Our accounts.
    pub accounts: AccountStats,
    /// Which part is used of the memory that there may be for what applications and peers have written, from 0 to 1.
    pub memory_used: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_lane_has_carried_is_kept_apart_and_summed() {
        let mut carried = Carried::default();
        carried.add(Lane::Chat, Bytes { sent: 1, received: 2 });
        carried.add(Lane::Files, Bytes { sent: 10, received: 20 });
        carried.add(Lane::Relay, Bytes { sent: 100, received: 200 });
        let mut twice = carried;
        twice += carried;
        assert_eq!(twice.by(Lane::Files), Bytes { sent: 20, received: 40 });
        assert_eq!(twice.whole(), Bytes { sent: 222, received: 444 });
    }
}
