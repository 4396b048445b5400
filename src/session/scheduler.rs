//! By which path the next packet goes.
//!
//! By the one on which it will arrive first, as in "ECF: An MPTCP path scheduler" (Lim et al., 2017): while the fast paths are
//! full a slow one gets something to do, but only if they would not have delivered everything earlier. Otherwise the
//! end of a transfer would have to wait for a slow path.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::path::{Path, PathId, transfer};
use super::window::wire_size;
use crate::protocol::AccountId;

/// What to do with the next packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Send it by this path.
    Send(PathId),
    /// It will arrive earlier if it waits for room.
    Wait,
}

/// The sending side of an account of ours, which the paths by it share: servers read from each of their clients at a
/// limited rate.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    in_flight: usize,
    limit: usize,
    rate: f64,
}

/// A path that could carry the packet.
#[derive(Debug)]
struct Candidate {
    id: PathId,
    via: AccountId,
    latency: Duration,
    /// How long until the packet has arrived.
    arrival: Duration,
    has_room: bool,
}

/// Chooses among `paths`, with `waiting` bytes to be sent. Small as they are, acknowledgements and the like are chosen a
/// path for in just this way.
pub(super) fn choose<'a>(
    paths: impl IntoIterator<Item = (PathId, &'a Path)>,
    now: Instant,
    waiting: usize,
) -> Choice {
    let paths: Vec<_> = paths.into_iter().filter(|(_, path)| path.is_usable()).collect();
    let senders = senders(&paths, now);
    let mut candidates: Vec<_> =
        paths.iter().filter_map(|&(id, path)| candidate(&senders, id, path, now, waiting)).collect();
    candidates.sort_by_key(|candidate| (candidate.arrival, candidate.id));
    let Some(free) = candidates.iter().position(|candidate| candidate.has_room) else { return Choice::Wait };
    let (faster, slower) = candidates.split_at(free);
    let slower = &slower[0];
    if time_for_all(&senders, faster, waiting).is_some_and(|time| time <= slower.arrival) {
        return Choice::Wait;
    }
    Choice::Send(slower.id)
}

fn senders(paths: &[(PathId, &Path)], now: Instant) -> BTreeMap<AccountId, Sender> {
    let mut senders = BTreeMap::<_, Sender>::new();
    for (_, path) in paths {
        let sender = senders.entry(path.via()).or_default();
        sender.in_flight += path.in_flight();
        sender.limit = sender.limit.max(path.limit());
        sender.rate = sender.rate.max(path.rate(now));
    }
    senders
}

fn candidate(
    senders: &BTreeMap<AccountId, Sender>,
    id: PathId,
    path: &Path,
    now: Instant,
    waiting: usize,
) -> Option<Candidate> {
    let sender = senders.get(&path.via())?;
    let latency = path.latency(now);
    let packet = wire_size(waiting.min(path.block_size()));
    let arrival = latency + transfer(sender.in_flight + packet, sender.rate);
    // What other paths by the same account have on its way is in the way.
    let others = sender.in_flight - path.in_flight();
    let has_room = path.room() > 0 && (others == 0 || sender.in_flight + packet <= sender.limit);
    Some(Candidate { id, via: path.via(), latency, arrival, has_room })
}

/// How long these paths would take to deliver everything; none when there are none.
fn time_for_all(
    senders: &BTreeMap<AccountId, Sender>,
    paths: &[Candidate],
    waiting: usize,
) -> Option<Duration> {
    let latency = paths.iter().map(|path| path.latency).max()?;
    let shared: BTreeMap<_, _> =
        paths.iter().filter_map(|path| Some((path.via, senders.get(&path.via)?))).collect();
    let in_flight: usize = shared.values().map(|sender| sender.in_flight).sum();
    let rate = shared.values().map(|sender| sender.rate).sum();
    Some(latency + transfer(in_flight + wire_size(waiting), rate))
}
