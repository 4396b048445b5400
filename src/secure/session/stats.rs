//! Statistics of a session, summed from its paths and its packet layer.

use crate::secure::api::stats::{Lane, SessionStats, Totals};
use crate::secure::path::Path;
use crate::secure::session::Session;
use crate::secure::session::established::Established;

impl Session {
    /// What it does.
    pub(crate) fn stats(&self) -> SessionStats {
        let mut stats = SessionStats {
            established: usize::from(self.is_confirmed() && self.established().is_some()),
            streams: self.stream_count(),
            totals: self.own_totals(),
            ..SessionStats::default()
        };
        for path in self.paths.values().map(Path::stats) {
            stats.totals.carried.add(path.lane, path.carried);
            stats.round_trips.extend(path.round_trip);
            let count = if path.lane == Lane::Relay { &mut stats.relays } else { &mut stats.paths };
            *count += usize::from(path.is_open);
        }
        stats
    }

    /// What has happened beside its paths.
    pub(super) fn own_totals(&self) -> Totals {
        self.established().map(Established::totals).unwrap_or_default()
    }

    /// Handshakes that a client has begun and that are not answered yet.
    pub(crate) fn handshakes_under_way(&self) -> usize {
        self.paths.values().filter(|path| path.is_first_contact()).count()
    }
}
