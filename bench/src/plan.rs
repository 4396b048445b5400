//! Durations of all measurements, of a whole run and of a quick one.

use std::time::Duration;

/// A run, with as many and as long measurements as there is time for.
pub(crate) struct Plan {
    /// How often everything fast is measured, one after the other and then again.
    pub(crate) rounds: usize,
    /// How long one bulk measurement of ours takes.
    pub(crate) bulk: Duration,
    /// The same for each size of block of a peer.
    pub(crate) peer_bulk: Duration,
    /// How long our paths may look for their best size of block before they are measured.
    pub(crate) warm_up: Duration,
    /// Cells and pings there and back, each round.
    pub(crate) echoes: usize,
    /// How often cells, raw stanzas of their size and pings take turns with pauses between them, each round.
    pub(crate) idle_turns: usize,
    /// Sizes of block of the raw stanzas through Prosody, in bytes; one pair and two. Larger ones are slower.
    pub(crate) prosody_raw: &'static [usize],
    /// The same in TLS records as ours are: eight KiB and 32 on the wire.
    pub(crate) prosody_aligned: &'static [usize],
    /// Through ejabberd; one pair.
    pub(crate) ejabberd_raw: &'static [usize],
    /// What slixmpp is asked to do: size of block, and how many at once.
    pub(crate) slixmpp: &'static [(usize, usize)],
    /// How often tor fetches a file through each of its transports.
    pub(crate) downloads: usize,
    /// Servers with limits: until their bursts have passed, and for how long the rate is taken after that.
    pub(crate) settle: Duration,
    pub(crate) limited: Duration,
    /// How many transfers are disturbed by cells, each over a server of its own, so that there are enough cells.
    pub(crate) lanes: usize,
    /// For how long each runs alone, and for how long with cells.
    pub(crate) alone: Duration,
    pub(crate) loaded: Duration,
    pub(crate) ejabberd_accounts: &'static [usize],
    pub(crate) starts: usize,
    /// Far away: round trips from each half to the chat server, in milliseconds.
    pub(crate) distances: &'static [u64],
    /// The same where files go beside stanzas, at servers with limits.
    pub(crate) lanes_distances: &'static [u64],
}

impl Plan {
    /// Half an hour.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 6,
            bulk: Duration::from_millis(3500),
            peer_bulk: Duration::from_secs(1),
            warm_up: Duration::from_secs(8),
            echoes: 1000,
            idle_turns: 5,
            prosody_raw: &[1024, 2048, 4096, 8192],
            prosody_aligned: &[5856, 24_288],
            ejabberd_raw: &[4096, 24_576, 49_152],
            slixmpp: &[(4096, 1), (16_384, 1), (65_535, 1), (4096, 16)],
            downloads: 8,
            settle: Duration::from_secs(25),
            limited: Duration::from_secs(80),
            lanes: 3,
            alone: Duration::from_secs(40),
            loaded: Duration::from_secs(60),
            ejabberd_accounts: &[1, 2, 4, 8],
            starts: 30,
            distances: &[0, 50, 200],
            lanes_distances: &[0, 100],
        }
    }

    /// Below eight minutes.
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 2,
            bulk: Duration::from_secs(2),
            peer_bulk: Duration::from_millis(600),
            warm_up: Duration::from_secs(6),
            echoes: 300,
            idle_turns: 2,
            prosody_raw: &[2048, 4096],
            prosody_aligned: &[5856],
            ejabberd_raw: &[4096, 24_576, 49_152],
            slixmpp: &[(4096, 1), (65_535, 1)],
            downloads: 4,
            settle: Duration::from_secs(12),
            limited: Duration::from_secs(26),
            lanes: 5,
            alone: Duration::from_secs(12),
            loaded: Duration::from_secs(23),
            ejabberd_accounts: &[1, 4],
            starts: 10,
            distances: &[50],
            lanes_distances: &[100],
        }
    }
}
