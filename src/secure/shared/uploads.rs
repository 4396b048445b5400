//! Uploads: what our accounts may put at the upload services of their servers, whatever sessions they do it for.

pub(crate) mod allowance;
pub(crate) mod bucket;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use xmpp_parsers::jid::BareJid;

use crate::protocol::AccountId;
use crate::secure::api::files::UploadService;
use crate::secure::crypto::file::FileSize;
use crate::secure::shared::uploads::allowance::{Allowance, Trouble};

/// All our accounts that have an upload service.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    /// Whose logins have one now.
    logins: BTreeMap<AccountId, BareJid>,
    /// Logins of one account share what it may put.
    allowances: BTreeMap<BareJid, Allowance>,
    uses: VecDeque<(AccountId, u64)>,
}

impl Uploads {
    /// The server of a login of this account has this upload service, or none, as far as anybody knows.
    pub(crate) fn set(
        &mut self,
        now: Instant,
        login: AccountId,
        account: &BareJid,
        service: Option<UploadService>,
    ) {
        let former = match service {
            Some(_) => self.logins.insert(login, account.clone()),
            None => self.logins.remove(&login),
        };
        if let Some(service) = service {
            let known = self.allowances.entry(account.clone());
            known.and_modify(|known| known.renew(&service)).or_insert_with(|| Allowance::of(now, &service));
        }
        // An anonymous login has another name each time, and nobody has the one before any more.
        if let Some(former) = former.filter(|former| former != account) {
            self.allowances.remove(&former);
        }
    }

    /// The one of these logins that may put most now.
    pub(crate) fn pick(
        &mut self,
        now: Instant,
        logins: impl Iterator<Item = AccountId>,
    ) -> Option<(AccountId, &mut Allowance)> {
        let left = |login: &AccountId| {
            let allowance = self.allowances.get(self.logins.get(login)?)?;
            Some(allowance.left(now)).filter(|left| *left > 0)
        };
        let (_, login) =
            logins.filter_map(|login| Some((left(&login)?, login))).max_by_key(|(left, login)| {
                // Of those that may put as much, the first.
                (*left, std::cmp::Reverse(*login))
            })?;
        let allowance = self.allowances.get_mut(self.logins.get(&login)?)?;
        Some((login, allowance))
    }

    /// A slot for a file of this size was asked for.
    pub(crate) fn note_use(&mut self, login: AccountId, size: FileSize) {
        self.uses.push_back((login, size.bytes() as u64));
    }

    /// The next slot that was asked for: by which login, and of how many bytes.
    pub(crate) fn poll_use(&mut self) -> Option<(AccountId, u64)> {
        self.uses.pop_front()
    }

    /// A file has come whole whose slot this login had asked for.
    pub(crate) fn on_success(&mut self, login: AccountId) {
        if let Some(allowance) = self.of(login) {
            allowance.on_success();
        }
    }

    /// Something went wrong with one. Whether the service is left alone from now on.
    pub(crate) fn on_trouble(&mut self, now: Instant, login: AccountId, trouble: Trouble) -> bool {
        let Some(allowance) = self.of(login) else { return true };
        allowance.on_trouble(now, trouble);
        allowance.left(now) == 0
    }

    /// Of the account that has asked for most of what it may, which part that is; none where no account has a bound.
    pub(crate) fn used(&self, now: Instant) -> Option<f64> {
        self.allowances.values().filter_map(|allowance| allowance.part_used(now)).reduce(f64::max)
    }

    fn of(&mut self, login: AccountId) -> Option<&mut Allowance> {
        self.allowances.get_mut(self.logins.get(&login)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;

    const A: AccountId = AccountId(1);
    const B: AccountId = AccountId(2);

    fn jid(name: &str) -> BareJid {
        BareJid::new(&format!("{name}@chat.example")).unwrap()
    }

    fn service(daily: u64, used: u64) -> Option<UploadService> {
        Some(UploadService { daily, used, max_file: None })
    }

    fn picked(uploads: &mut Uploads, now: Instant) -> Option<AccountId> {
        uploads.pick(now, [A, B].into_iter()).map(|(login, _)| login)
    }

    fn size() -> FileSize {
        FileSize::new(600_000).unwrap()
    }

    #[test]
    fn the_account_that_may_put_most_is_asked() {
        let (mut uploads, now) = (Uploads::default(), Instant::now());
        assert_eq!(picked(&mut uploads, now), None);
        uploads.set(now, A, &jid("a"), service(2_000_000, 1_500_000));
        uploads.set(now, B, &jid("b"), service(1_000_000, 0));
        assert_eq!(picked(&mut uploads, now), Some(B));
        uploads.pick(now, [B].into_iter()).unwrap().1.take(now, size());
        assert_eq!(picked(&mut uploads, now), Some(A));
        uploads.set(now, A, &jid("a"), None);
        assert_eq!(picked(&mut uploads, now), Some(B), "one without a service is not");
    }

    #[test]
    fn logins_of_one_account_share_what_it_may_put_and_a_new_login_makes_it_no_more() {
        let (mut uploads, now) = (Uploads::default(), Instant::now());
        uploads.set(now, A, &jid("a"), service(1_000_000, 0));
        uploads.set(now, B, &jid("a"), service(1_000_000, 0));
        uploads.pick(now, [A].into_iter()).unwrap().1.take(now, size());
        assert_eq!(uploads.pick(now, [B].into_iter()).unwrap().1.left(now), 400_000);
        uploads.set(now, A, &jid("a"), service(1_000_000, 0));
        assert_eq!(uploads.pick(now, [A].into_iter()).unwrap().1.left(now), 400_000);
    }

    #[test]
    fn a_service_of_no_use_is_asked_again_after_the_next_login() {
        let (mut uploads, now) = (Uploads::default(), Instant::now());
        uploads.set(now, A, &jid("a"), service(1_000_000, 0));
        assert!(!uploads.on_trouble(now, A, Trouble::FileLost));
        assert!(uploads.on_trouble(now, A, Trouble::Useless));
        assert_eq!(picked(&mut uploads, now), None);
        uploads.set(now, A, &jid("a"), service(1_000_000, 0));
        assert_eq!(picked(&mut uploads, now), Some(A));
    }

    #[test]
    fn each_slot_is_told_once() {
        let mut uploads = Uploads::default();
        uploads.note_use(A, size());
        assert_eq!((uploads.poll_use(), uploads.poll_use()), (Some((A, 600_000)), None));
    }
}
