//! Figures, measured over some time.

use std::fmt;
use std::time::Duration;

use crate::uplink::Meter;
use crate::world::{RATE, Sent, World};

/// What happened in a part of a run.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) duration: Duration,
    accounts: usize,
    /// Bytes that each client of a group has got.
    pub(crate) shares: Vec<usize>,
    /// Bytes that all clients have got.
    pub(crate) received: usize,
    sent: Sent,
    meters: Vec<Meter>,
    sessions: usize,
    streams: usize,
    entries: usize,
    most_buffered: usize,
}

impl Figures {
    /// Runs for so long, and watches the clients of `group`.
    pub(crate) fn take(world: &mut World, group: &[usize], duration: Duration) -> Self {
        let before = world.received();
        world.sent = Sent::default();
        world.most_buffered = 0;
        world.uplinks().iter_mut().for_each(|uplink| uplink.meter = Meter::default());
        for _ in 0..duration.as_secs() {
            world.run_for(Duration::from_secs(1));
            world.inspect();
        }
        let after = world.received();
        let gained: Vec<usize> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        Self {
            duration,
            accounts: world.uplinks().len(),
            shares: group.iter().map(|client| gained[*client]).collect(),
            received: gained.iter().sum(),
            sent: world.sent.clone(),
            meters: world.uplinks().iter().map(|uplink| uplink.meter).collect(),
            sessions: world.sessions(),
            streams: world.streams(),
            entries: world.entries(),
            most_buffered: world.most_buffered,
        }
    }

    fn capacity(&self) -> f64 {
        self.accounts as f64 * RATE as f64 * self.duration.as_secs_f64()
    }

    /// Of what the accounts may send, the part that applications have got.
    pub(crate) fn goodput(&self) -> f64 {
        self.received as f64 / self.capacity()
    }

    /// The part that was used for anything.
    pub(crate) fn used(&self) -> f64 {
        self.meters.iter().map(|meter| meter.read).sum::<usize>() as f64 / self.capacity()
    }

    /// Bytes that all streams together kept at the bridge, at most.
    pub(crate) fn most_buffered(&self) -> usize {
        self.most_buffered
    }

    /// What all tables together hold for each session.
    pub(crate) fn entries_of_a_session(&self) -> f64 {
        self.entries as f64 / self.sessions.max(1) as f64
    }

    /// Jain's index of the shares: 1 when all are alike, 1/n when one has everything.
    pub(crate) fn fairness(&self) -> f64 {
        let sum: f64 = self.shares.iter().map(|share| *share as f64).sum();
        let squares: f64 = self.shares.iter().map(|share| (*share as f64).powi(2)).sum();
        sum * sum / (squares * self.shares.len() as f64)
    }

    fn mean_share(&self) -> f64 {
        self.shares.iter().sum::<usize>() as f64 / self.shares.len() as f64
    }

    /// The smallest share as a part of the mean, and the largest.
    pub(crate) fn extremes(&self) -> (f64, f64) {
        let of = |share: Option<&usize>| share.map_or(0.0, |share| *share as f64 / self.mean_share());
        (of(self.shares.iter().min()), of(self.shares.iter().max()))
    }

    /// How long stanzas took from the bridge to where the server had read them: the mean of the account where that was
    /// longest, and the longest of all.
    pub(crate) fn queue(&self) -> (Duration, Duration) {
        let mean = self.meters.iter().map(Meter::mean).max().unwrap_or_default();
        let longest = self.meters.iter().map(|meter| meter.longest).max().unwrap_or_default();
        (mean, longest)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |bytes: usize| 100.0 * bytes as f64 / self.capacity();
        let (least, most) = self.extremes();
        let (mean, longest) = self.queue();
        writeln!(
            f,
            "  {} sessions, {} streams, {:.0} s",
            self.sessions,
            self.streams,
            self.duration.as_secs_f64()
        )?;
        writeln!(
            f,
            "  of {} x {RATE} B/s used {:.1} %, goodput {:.1} %",
            self.accounts,
            100.0 * self.used(),
            100.0 * self.goodput()
        )?;
        writeln!(
            f,
            "  sent: packets {:.1} %, base64 and stanzas around them {:.1} %, answers {:.1} %, the rest {:.1} %",
            percent(self.sent.blocks),
            percent(self.sent.block_stanzas - self.sent.blocks),
            percent(self.sent.answers),
            percent(self.sent.others)
        )?;
        let sizes = self.sent.sizes.iter().map(|(size, count)| format!("{count} of {size}"));
        writeln!(f, "  packets: {} B", sizes.collect::<Vec<_>>().join(", "))?;
        writeln!(
            f,
            "  {} downloaders: {:.0} B/s each, from {least:.2} to {most:.2} of that, Jain's index {:.4}",
            self.shares.len(),
            self.mean_share() / self.duration.as_secs_f64(),
            self.fairness()
        )?;
        writeln!(
            f,
            "  queue at the servers: {:.2} s on average at the slowest account, {:.2} s at most",
            mean.as_secs_f64(),
            longest.as_secs_f64()
        )?;
        write!(
            f,
            "  kept: {:.1} MB of streams at most, {} entries, {:.1} a session",
            self.most_buffered as f64 / 1e6,
            self.entries,
            self.entries_of_a_session()
        )
    }
}
