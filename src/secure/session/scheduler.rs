//! Scheduler: by which path the next packet goes.
//!
//! By the one on which it will arrive first, as in "ECF: An MPTCP path scheduler" (Lim et al., 2017): while the fast paths are
//! full a slow one gets something to do, but only if they would not have delivered everything earlier. Otherwise the
//! end of a transfer would have to wait for a slow path. An account that others use, too, may be full of what they send, and
//! then it is as slow as it takes until our turn.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::protocol::AccountId;
use crate::secure::accounts::sender::{Senders, Share};
use crate::secure::client_tag::ClientTag;
use crate::secure::ids::{PathId, Place};
use crate::secure::path::{Path, transfer};
use crate::secure::sizes::Sizes;

/// What to do with the next packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Send it by this path, in a block of at most so many bytes.
    Send(PathId, usize),
    /// It will arrive earlier if it waits for room.
    Wait,
}

/// An account of ours, as one session sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    /// What goes before anything that would be sent now.
    ahead: usize,
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
    /// How large a block may go now; 0 while none may.
    room: usize,
    /// What has no room, if the path has.
    refused_by: Option<Place>,
}

/// Chooses among `paths` of one of the client's sessions, with `waiting` bytes to be sent. The path of acknowledgements and the
/// like, small as they are, is chosen in the same way. The accounts that have no room for anything of this session now, and what is full
/// behind them, are added to `full`.
pub(crate) fn choose<'a, K: Copy + Ord>(
    paths: impl IntoIterator<Item = (PathId, &'a Path)>,
    (senders, client): (&Senders<K>, ClientTag),
    now: Instant,
    waiting: usize,
    full: &mut Vec<Place>,
) -> Choice {
    let paths: Vec<_> = paths.into_iter().filter(|(_, path)| path.is_usable()).collect();
    let mut accounts: Vec<_> = paths.iter().map(|(_, path)| path.via()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let sizes = senders.sizes();
    let shared = |path| senders.share(client, path, waiting, accounts.len());
    let paths: Vec<_> = paths.into_iter().map(|path| (path, shared(path))).collect();
    let senders = combine(&paths, now);
    let mut candidates: Vec<_> = paths
        .iter()
        .filter_map(|((id, path), share)| candidate(&senders, (*id, path), share, now, waiting))
        .collect();
    full.extend(candidates.iter().filter_map(|candidate| candidate.refused_by));
    candidates.sort_by_key(|candidate| (candidate.arrival, candidate.id));
    let Some(free) = candidates.iter().position(|candidate| candidate.room > 0) else { return Choice::Wait };
    let (faster, slower) = candidates.split_at(free);
    let slower = &slower[0];
    if time_for_all(&senders, faster, (sizes, waiting)).is_some_and(|time| time <= slower.arrival) {
        return Choice::Wait;
    }
    Choice::Send(slower.id, slower.room)
}

/// What the paths would do with bulk.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// The least that something takes by one of them.
    latency: Duration,
    /// Bytes on the wire that are ahead, and that all of them carry in a second.
    ahead: usize,
    rate: f64,
    sizes: &'static Sizes,
}

impl Outlook {
    /// How long they would take to deliver so many bytes.
    pub(crate) fn time_for(&self, bytes: usize) -> Duration {
        self.latency + transfer(self.ahead + self.sizes.wire_size(bytes), self.rate)
    }

    /// What the best of them takes there and back.
    pub(crate) fn round_trip(&self) -> Duration {
        2 * self.latency
    }
}

/// What these paths of one of the client's sessions would do with bulk; none if none can carry anything.
pub(crate) fn outlook<'a, K: Copy + Ord>(
    paths: impl IntoIterator<Item = (PathId, &'a Path)>,
    (senders, client): (&Senders<K>, ClientTag),
    now: Instant,
) -> Option<Outlook> {
    let usable = paths.into_iter().filter(|(_, path)| path.is_usable());
    let paths: Vec<_> = usable.map(|path| (path, senders.share(client, path, usize::MAX / 4, 1))).collect();
    let latency = paths.iter().map(|((_, path), _)| path.latency(now)).min()?;
    let accounts = combine(&paths, now);
    // Who waits there as well gets as much of it.
    let part = |(account, sender): (&AccountId, &Sender)| sender.rate / senders.rivals(*account) as f64;
    let (ahead, rate) = (accounts.values().map(|sender| sender.ahead).sum(), accounts.iter().map(part).sum());
    Some(Outlook { latency, ahead, rate, sizes: senders.sizes() })
}

fn combine(paths: &[((PathId, &Path), Share)], now: Instant) -> BTreeMap<AccountId, Sender> {
    let mut senders = BTreeMap::<_, Sender>::new();
    for ((_, path), share) in paths {
        let sender = senders.entry(path.via()).or_default();
        let queue = if share.may_send { 0 } else { share.queue };
        sender.ahead = sender.ahead.max(share.in_flight + queue);
        let rate = share.rate.unwrap_or_else(|| sender.rate.max(path.rate(now)));
        sender.rate = path.late_rate(now).map_or(rate, |late| late.min(rate));
    }
    senders
}

fn candidate(
    senders: &BTreeMap<AccountId, Sender>,
    (id, path): (PathId, &Path),
    share: &Share,
    now: Instant,
    waiting: usize,
) -> Option<Candidate> {
    let sender = senders.get(&path.via())?;
    let latency = path.latency(now);
    let packet = path.sizes().wire_size(waiting.min(share.block));
    let arrival = latency + transfer(sender.ahead + packet, sender.rate);
    let has_room = path.room() > 0;
    let room = if has_room && share.may_send { share.block } else { 0 };
    let refused_by = share.refused_by.filter(|_| has_room);
    Some(Candidate { id, via: path.via(), latency, arrival, room, refused_by })
}

/// How long these paths would take to deliver everything; none when there are none.
fn time_for_all(
    senders: &BTreeMap<AccountId, Sender>,
    paths: &[Candidate],
    (sizes, waiting): (&Sizes, usize),
) -> Option<Duration> {
    let latency = paths.iter().map(|path| path.latency).max()?;
    let shared: BTreeMap<_, _> =
        paths.iter().filter_map(|path| Some((path.via, senders.get(&path.via)?))).collect();
    let ahead: usize = shared.values().map(|sender| sender.ahead).sum();
    let rate = shared.values().map(|sender| sender.rate).sum();
    Some(latency + transfer(ahead + sizes.wire_size(waiting), rate))
}
