//! Worlds whose programs speak the classic protocol.

use hexchat_pt::classic::Config;
use hexchat_pt::config::Limits;
use hexchat_pt::protocol::AccountId;
use hexchat_pt::tunnel::bounds;

use crate::letters::Body;
use crate::network::{Conditions, Side};
use crate::old_peer::OldPeer;
use crate::ours::Ours;
use crate::program::Program;
use crate::world::{self, Stage};

pub(crate) type World = world::World<Body>;

/// What such a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    /// How many accounts each side has.
    pub(crate) accounts: [u64; 2],
    /// All accounts of a side are resources of one bare JID.
    pub(crate) one_bare_jid: bool,
    pub(crate) conditions: Conditions,
    pub(crate) config: Config,
    /// The program on the right is the one of 2013.
    pub(crate) old_right: bool,
    pub(crate) keep_log: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            accounts: [1, 1],
            one_bare_jid: false,
            conditions: Conditions::default(),
            config: defaults(),
            old_right: false,
            keep_log: true,
        }
    }
}

/// The bounds of a program without configuration.
pub(crate) fn defaults() -> Config {
    bounds::classic(&Limits::default(), &[])
}

impl World {
    /// A world in which every account is about to log in.
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { seed, accounts, one_bare_jid, conditions, mut config, old_right, keep_log } = setup;
        config.accept_on = (0..8).map(AccountId).collect();
        let make = move |side| -> Box<dyn Program<Body>> {
            match side {
                Side::Right if old_right => Box::new(OldPeer::default()),
                _ => Box::new(Ours::new(config.clone())),
            }
        };
        Self::on(
            Stage { seed, accounts, one_bare_jid, domains: ["x"; 2], conditions, keep_log },
            Box::new(make),
        )
    }
}
