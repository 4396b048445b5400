//! Siblings: further logins of an account, each with a resource of its own, while there is much to send. Pure.
//!
//! To the secure core each is another account of ours. Which there are is known here; when there is one more or one fewer is for the
//! [`Policy`] to say, and the pool knows how they log in. Each is tried once: whether it comes again is the policy's, too. What becomes of
//! a sibling changes nothing about the account's first login.

mod policy;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use xmpp_parsers::jid::{BareJid, FullJid, ResourcePart};

use crate::protocol::SizeLimit;
use crate::protocol::size_limits::EVERYBODY_TAKES;
use crate::secure::Load;
use crate::xmpp::{AccountError, AccountId};
use policy::{Caution, Ending, Policy, Scene, Step};

/// All accounts together have at most 16 siblings: each is one more connection from the same address, which servers count.
const MOST_OF_ALL: usize = 16;

/// Logins of other programs that are counted: 64, more than any server allows.
const MOST_OTHERS: usize = 64;

/// Accounts whose servers have shown something, and that are remembered when they are logged out: 256, as many as rest
/// (`xmpp::account::resting`).
const MOST_REMEMBERED: usize = 256;

/// Loads are looked at four times a second at the most.
const INTERVAL: Duration = Duration::from_millis(250);

/// While there are siblings the time is looked at once a second.
const WHILE_ANY: Duration = Duration::from_secs(1);

/// What is to be done about a sibling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is to log in, as one of this account.
    Open {
        /// Which account.
        account: AccountId,
        /// Which sibling.
        sibling: AccountId,
    },
    /// It is to be logged out.
    Close {
        /// Which account.
        account: AccountId,
        /// Which sibling.
        sibling: AccountId,
    },
}

/// The siblings of all accounts.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    families: BTreeMap<AccountId, Family>,
    /// Of which account each is one.
    account_of: BTreeMap<AccountId, AccountId>,
    /// Of accounts that are logged out.
    cautions: BTreeMap<BareJid, Caution>,
    looked_at: Option<Instant>,
}

/// One account.
#[derive(Debug)]
struct Family {
    policy: Policy,
    jid: FullJid,
    is_online: bool,
    siblings: Vec<Sibling>,
    /// Logins of other programs.
    others: BTreeSet<FullJid>,
    /// The smallest stanza that was too large for the server when a sibling sent it, in bytes on the wire.
    too_large: Option<usize>,
}

#[derive(Debug)]
struct Sibling {
    id: AccountId,
    /// For which it asks.
    resource: ResourcePart,
    state: State,
    /// As which it was online last, where its server gave it another resource.
    jid: Option<FullJid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Absent,
    Coming,
    Online,
}

impl Siblings {
    /// Of which account this is a sibling, if it is one.
    pub(super) fn account_of(&self, id: AccountId) -> Option<AccountId> {
        self.account_of.get(&id).copied()
    }

    /// An account is online, and may have these siblings, which ask for these resources; so many logins as soon as much waits, and all of
    /// them where that lasts. What is known of other programs is forgotten unless it goes on as before: the server says it anew.
    pub(super) fn on_online(
        &mut self,
        (account, jid): (AccountId, &FullJid),
        resumed: bool,
        siblings: &[(AccountId, ResourcePart)],
        usual: usize,
    ) {
        if siblings.is_empty() {
            return;
        }
        let family = self.families.entry(account).or_insert_with(|| Family {
            policy: Policy::new(
                (usual, 1 + siblings.len()),
                self.cautions.remove(&jid.to_bare()).unwrap_or_default(),
            ),
            jid: jid.clone(),
            is_online: false,
            siblings: siblings.iter().cloned().map(Sibling::absent).collect(),
            others: BTreeSet::new(),
            too_large: None,
        });
        family.is_online = true;
        family.jid = jid.clone();
        if !resumed {
            family.others.clear();
        }
        self.account_of.extend(siblings.iter().map(|(sibling, _)| (*sibling, account)));
    }

    /// A sibling is online. What those before it have shown of the largest stanza that the server takes holds for it, too.
    pub(super) fn on_sibling_online(
        &mut self,
        now: Instant,
        id: AccountId,
        jid: &FullJid,
    ) -> Option<SizeLimit> {
        // Otherwise its account was logged out meanwhile.
        let (family, index) = self.find(id)?;
        family.policy.on_login(now);
        // The account may have heard of it before us.
        family.others.remove(jid);
        family.siblings[index].state = State::Online;
        family.siblings[index].jid = Some(jid.clone());
        family.too_large.map(SizeLimit::Told)
    }

    /// An account's first login has lost its connection, with stanzas of up to so many bytes on their way.
    pub(super) fn on_suspended(
        &mut self,
        now: Instant,
        account: AccountId,
        (reason, largest): (&AccountError, usize),
    ) {
        let Some(family) = self.families.get_mut(&account) else {
            // It has none.
            return;
        };
        family.is_online = false;
        let total = family.total();
        match ending(reason, largest) {
            Ending::Crowded => family.policy.on_other_ended(now, total),
            Ending::Refused => family.policy.on_refused(now),
            Ending::Fault => {}
        }
    }

    /// A sibling has ended by itself, with stanzas of up to so many bytes on their way.
    pub(super) fn on_sibling_ended(
        &mut self,
        now: Instant,
        id: AccountId,
        (reason, largest): (&AccountError, usize),
    ) {
        let Some((family, index)) = self.find(id) else {
            // Its account was logged out meanwhile.
            return;
        };
        let total = family.total();
        family.policy.on_ended(now, ending(reason, largest), total);
        if is_for_size(reason, largest) {
            family.too_large = Some(family.too_large.map_or(largest, |before| before.min(largest)));
        }
        family.siblings[index].state = State::Absent;
    }

    /// The server of an account says that somebody is logged in under this name of the account, or is not any more.
    pub(super) fn on_resource(
        &mut self,
        now: Instant,
        account: AccountId,
        jid: &FullJid,
        is_available: bool,
    ) {
        let Some(family) = self.families.get_mut(&account).filter(|family| !family.is_own(jid)) else {
            // It is one of ours, or the account has no siblings.
            return;
        };
        if is_available {
            if family.others.len() < MOST_OTHERS {
                family.others.insert(jid.clone());
            }
            return;
        }
        let total = family.total();
        if family.others.remove(jid) && family.count() > 0 {
            family.policy.on_other_ended(now, total);
        }
    }

    /// The account is logged out, for good as far as anybody knows, and with it its siblings.
    pub(super) fn forget(&mut self, now: Instant, account: AccountId) {
        let Some(family) = self.families.remove(&account) else {
            // It was never online, or has none.
            return;
        };
        self.account_of.retain(|_, of| *of != account);
        self.cautions.retain(|_, caution| !caution.is_none(now));
        let caution = family.policy.caution();
        if !caution.is_none(now) && self.cautions.len() < MOST_REMEMBERED {
            self.cautions.insert(family.jid.to_bare(), caution);
        }
    }

    /// What is to be done now. `load` says what an account and its siblings have to send. Asked more often than four times a second, it
    /// has nothing to say.
    pub(super) fn poll(&mut self, now: Instant, load: impl Fn(&[AccountId]) -> Load) -> Vec<Action> {
        if self.looked_at.is_some_and(|at| now < at + INTERVAL) {
            return Vec::new();
        }
        self.looked_at = Some(now);
        let mut count: usize = self.families.values().map(Family::count).sum();
        let mut actions = Vec::new();
        for (account, family) in &mut self.families {
            let logins: Vec<_> = std::iter::once(*account).chain(family.present()).collect();
            let action = family.step(now, *account, load(&logins), count < MOST_OF_ALL);
            count += usize::from(matches!(action, Some(Action::Open { .. })));
            actions.extend(action);
        }
        actions
    }

    /// When [`poll`](Self::poll) may have something to say though nothing has happened.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let any = self.families.values().any(|family| family.count() > 0);
        self.looked_at.filter(|_| any).map(|at| at + WHILE_ANY)
    }

    fn find(&mut self, sibling: AccountId) -> Option<(&mut Family, usize)> {
        let family = self.families.get_mut(self.account_of.get(&sibling)?)?;
        let index = family.siblings.iter().position(|candidate| candidate.id == sibling)?;
        Some((family, index))
    }
}

impl Family {
    /// How many siblings there are, those included that are only logging in.
    fn count(&self) -> usize {
        self.present().count()
    }

    fn present(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.siblings.iter().filter(|sibling| sibling.state != State::Absent).map(|sibling| sibling.id)
    }

    fn total(&self) -> usize {
        1 + self.count() + self.others.len()
    }

    fn is_own(&self, jid: &FullJid) -> bool {
        self.jid == *jid || self.siblings.iter().any(|sibling| sibling.is_as(jid))
    }

    fn step(&mut self, now: Instant, account: AccountId, load: Load, has_place: bool) -> Option<Action> {
        let scene = Scene {
            is_online: self.is_online,
            load,
            siblings: self.count(),
            is_coming: self.siblings.iter().any(|sibling| sibling.state == State::Coming),
            others: self.others.len(),
            has_place,
        };
        match self.policy.step(now, &scene) {
            Step::Stay => None,
            Step::Open => {
                let sibling = self.siblings.iter_mut().find(|sibling| sibling.state == State::Absent)?;
                sibling.state = State::Coming;
                Some(Action::Open { account, sibling: sibling.id })
            }
            Step::Close => {
                let sibling = self.siblings.iter_mut().rfind(|sibling| sibling.state != State::Absent)?;
                sibling.state = State::Absent;
                let sibling = sibling.id;
                if self.count() == 0 {
                    self.policy.on_alone();
                }
                Some(Action::Close { account, sibling })
            }
        }
    }
}

impl Sibling {
    fn absent((id, resource): (AccountId, ResourcePart)) -> Self {
        Self { id, resource, state: State::Absent, jid: None }
    }

    /// Whether it is, or was, logged in under this name of the account, or is about to be.
    fn is_as(&self, jid: &FullJid) -> bool {
        *jid.resource() == *self.resource || self.jid.as_ref() == Some(jid)
    }
}

/// Whether a login has ended so because of a stanza that was too large, where the largest on its way had so many bytes. Every server takes
/// those of 10,000.
fn is_for_size(reason: &AccountError, largest: usize) -> bool {
    let may_be =
        matches!(reason, AccountError::StanzaTooLarge | AccountError::StreamError(_, "policy-violation", _));
    may_be && largest > EVERYBODY_TAKES
}

/// What it says of the server that a login has ended so, with stanzas of up to so many bytes on their way.
fn ending(reason: &AccountError, largest: usize) -> Ending {
    match reason {
        AccountError::Elsewhere(elsewhere) => ending(elsewhere.fault(), largest),
        AccountError::RecordsUnknown(unknown) => ending(unknown.fault(), largest),
        AccountError::Conflict | AccountError::StreamError(_, "conflict", _) => Ending::Crowded,
        AccountError::StanzaTooLarge => Ending::Fault,
        reason if is_for_size(reason, largest) => Ending::Fault,
        AccountError::OverLimit(..)
        | AccountError::BindRefused(..)
        | AccountError::LoginRefused(_)
        | AccountError::StreamError(_, "policy-violation" | "resource-constraint" | "not-authorized", _) => {
            Ending::Refused
        }
        reason if reason.is_permanent() => Ending::Refused,
        _ => Ending::Fault,
    }
}
