//! Slots of a client: which it has asked its servers for, for which direction and by which account.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::protocol::AccountId;
use crate::secure::session::files::supply::Supply;
use crate::secure::wire::file_frame::FileUrl;

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToClient,
    ToBridge,
}

/// A slot that was asked for, and is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) direction: Direction,
    pub(super) account: AccountId,
}

/// What only a client has: slots of its server.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) to_client: Supply,
    pub(super) to_bridge: Supply,
    pub(super) next_number: u64,
    /// Which way each file goes that was asked for, and by which account.
    pub(super) asked: BTreeMap<u64, Asked>,
    /// Where files are that were or will be put.
    pub(super) urls: BTreeMap<u64, FileUrl>,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            to_client: Supply::new(),
            to_bridge: Supply::new(),
            next_number: 0,
            asked: BTreeMap::new(),
            urls: BTreeMap::new(),
        }
    }

    pub(super) fn supply(&mut self, direction: Direction) -> &mut Supply {
        match direction {
            Direction::ToClient => &mut self.to_client,
            Direction::ToBridge => &mut self.to_bridge,
        }
    }

    /// A file is over: the account that had asked for its slot, if it was not over yet.
    pub(super) fn on_over(&mut self, now: Instant, file: u64, is_whole: bool) -> Option<AccountId> {
        self.urls.remove(&file);
        let Asked { direction, account } = self.asked.remove(&file)?;
        self.supply(direction).on_over(now, file, is_whole);
        Some(account)
    }

    /// Forgets slots that cannot be used any more, and says which.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<u64> {
        let mut expired = self.to_client.handle_timeout(now);
        expired.extend(self.to_bridge.handle_timeout(now));
        for file in &expired {
            self.asked.remove(file);
            self.urls.remove(file);
        }
        expired
    }

    /// Forgets the slots of this account that were not filled, and says of each whether it was given, and which way its file was to go.
    pub(super) fn drop_unfilled(&mut self, account: AccountId) -> Vec<(u64, bool, Direction)> {
        let Self { to_client, to_bridge, asked, urls, .. } = self;
        let is_its = |file: u64| asked.get(&file).is_some_and(|asked| asked.account == account);
        let mut dropped = Vec::new();
        for (direction, supply) in [(Direction::ToClient, to_client), (Direction::ToBridge, to_bridge)] {
            let of_supply = supply.drop_unfilled(is_its).into_iter();
            dropped.extend(of_supply.map(|(file, is_given)| (file, is_given, direction)));
        }
        for (file, ..) in &dropped {
            asked.remove(file);
            urls.remove(file);
        }
        dropped
    }
}
