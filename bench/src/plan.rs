//! How long everything takes.

use std::time::Duration;

use hexchat_lab::Kind;

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
    /// Sizes of block of the raw stanzas, in bytes.
    pub(crate) raw_blocks: fn(Kind) -> &'static [usize],
    /// What slixmpp is asked to do: size of block, and how many at once.
    pub(crate) slixmpp: &'static [(usize, usize)],
    /// Servers with limits: until their bursts have passed, and for how long the rate is taken after that.
    pub(crate) settle: Duration,
    pub(crate) limited: Duration,
    /// For how long cells are sent during a bulk transfer.
    pub(crate) loaded: Duration,
    pub(crate) ejabberd_accounts: &'static [usize],
    pub(crate) starts: usize,
}

/// One size in both, so that there is something to compare; the ends of what we send.
fn few_blocks(kind: Kind) -> &'static [usize] {
    match kind {
        Kind::Prosody => &[2048, 4096, 8192],
        Kind::Ejabberd => &[4096, 49_152],
    }
}

fn all_blocks(_: Kind) -> &'static [usize] {
    &[1024, 2048, 4096, 8192, 16_384, 49_152]
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            rounds: 7,
            bulk: Duration::from_secs(4),
            peer_bulk: Duration::from_secs(2),
            warm_up: Duration::from_secs(15),
            echoes: 1000,
            raw_blocks: all_blocks,
            slixmpp: &[(4096, 1), (16_384, 1), (65_535, 1), (4096, 16)],
            settle: Duration::from_secs(30),
            limited: Duration::from_secs(90),
            loaded: Duration::from_secs(150),
            ejabberd_accounts: &[1, 2, 4, 8],
            starts: 30,
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            rounds: 2,
            bulk: Duration::from_millis(1500),
            peer_bulk: Duration::from_millis(700),
            warm_up: Duration::from_secs(4),
            echoes: 300,
            raw_blocks: few_blocks,
            slixmpp: &[(4096, 1), (65_535, 1), (4096, 16)],
            settle: Duration::from_secs(15),
            limited: Duration::from_secs(25),
            loaded: Duration::from_secs(35),
            ejabberd_accounts: &[1, 4],
            starts: 10,
        }
    }
}
