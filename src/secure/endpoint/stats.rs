//! Statistics of an endpoint: the sums over all that it owns.

use std::time::Instant;

use crate::secure::api::stats::{AccountStats, SessionStats, Stats};
use crate::secure::endpoint::Endpoint;
use crate::secure::path::Path;
use crate::secure::session::Session;

impl Endpoint {
    /// What it does, in numbers and without names. It takes a look at every session.
    pub fn stats(&self, now: Instant) -> Stats {
        let shared = &self.shared;
        let mut sessions: SessionStats = self.sessions.values().map(Session::stats).sum();
        sessions.streams += self.ended.values().map(|ended| ended.streams.stream_count()).sum::<usize>();
        sessions.totals += shared.tally.ended;
        for path in self.guests.values().map(Path::stats) {
            sessions.totals.carried.add(path.lane, path.carried);
        }
        let of_client = self.sessions.values().map(Session::handshakes_under_way).sum::<usize>();
        let is_bridge = self.admission.is_some();
        Stats {
            sessions,
            clients: if is_bridge { shared.ledger.clients() } else { 0 },
            handshakes: shared.tally.handshakes(of_client + self.half_open.len()),
            accounts: AccountStats { uploads_used: shared.uploads.used(now), ..shared.accounts.stats(now) },
            memory_used: shared.ledger.whole().bytes() as f64 / shared.config.queue_total.max(1) as f64,
        }
    }

    /// On a bridge, the most clients that had something at one time since this was asked last.
    pub fn take_most_clients(&mut self) -> usize {
        let is_bridge = self.admission.is_some();
        let most = self.shared.ledger.take_most_clients();
        if is_bridge { most } else { 0 }
    }
}
