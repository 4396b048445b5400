//! Standing of accounts: whether a connect waits for them, and whether they are to blame where it comes to nothing.
//!
//! Only what a server has confirmed shows that an account works. So where no account of a connect is online by that measure when its time is
//! over, the bridge is not blamed: nobody knows whether anything has reached it.

use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{ConnectError, Tunnel, TunnelStream, WrongClock};
use crate::protocol::CloseReason;
use crate::xmpp::{AccountError, AccountId, AccountPool, AccountStatus, Step};

/// The accounts of one connect.
struct Watched(Vec<watch::Receiver<AccountStatus>>);

impl Watched {
    fn new(pool: &AccountPool, accounts: &[AccountId]) -> Self {
        Self(accounts.iter().map(|id| pool.subscribe(*id)).collect())
    }

    /// As they are now. What comes after that is a [change](Self::changed).
    fn statuses(&mut self) -> Vec<AccountStatus> {
        self.0.iter_mut().map(|status| status.borrow_and_update().clone()).collect()
    }

    /// Waits until one of them changes. One that was closed never does. There must be at least one.
    async fn changed(&mut self) {
        let each = self.0.iter_mut().map(|status| {
            Box::pin(async {
                if status.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        select_all(each).await;
    }
}

impl Tunnel {
    /// Waits until at least one account can send, and for `grace` for the others.
    pub(super) async fn wait_for_accounts(
        &self,
        accounts: &[AccountId],
        deadline: Instant,
        grace: Duration,
    ) -> Result<(), ConnectError> {
        let mut watched = Watched::new(self.pool(), accounts);
        let mut until = deadline;
        loop {
            let statuses = watched.statuses();
            let can_send = statuses.iter().any(AccountStatus::can_send);
            // Where the one that could send cannot any more, there is all the time again.
            until = if can_send { until.min(Instant::now() + grace) } else { deadline };
            let may_change = statuses.iter().any(AccountStatus::may_come_online);
            if !may_change || timeout_at(until, watched.changed()).await.is_err() {
                return if can_send { Ok(()) } else { Err(fault_of(&statuses)) };
            }
        }
    }

    /// What becomes of a connect that goes by these accounts and is to be made by then.
    pub(super) async fn in_time<T>(
        &self,
        accounts: &[AccountId],
        deadline: Instant,
        connect: impl Future<Output = Result<T, CloseReason>>,
    ) -> Result<T, ConnectError> {
        let reason = tokio::select! {
            biased;
            outcome = timeout_at(deadline, connect) => match outcome {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(reason)) => reason,
                Err(_) => CloseReason::ConnectTimedOut,
            },
            fault = self.none_left(accounts) => return Err(fault),
        };
        Err(self.cause(accounts, reason))
    }

    /// Waits until it is known whether a stream that was only [asked for](Self::ask_secure) by these accounts can reach its target. If not,
    /// because nobody is to wait for any of them, it is broken off, and this is why. None where it reaches its target, or says itself why not.
    pub async fn follow(&self, accounts: &[AccountId], stream: &TunnelStream) -> Option<ConnectError> {
        tokio::select! {
            biased;
            _ = stream.connected() => None,
            fault = self.none_left(accounts) => {
                stream.abort();
                Some(fault)
            }
        }
    }

    /// Waits until nobody is to wait for any of these accounts, and says why. For ever while one of them, or a sibling, may help.
    async fn none_left(&self, accounts: &[AccountId]) -> ConnectError {
        let mut watched = Watched::new(self.pool(), accounts);
        loop {
            let statuses = watched.statuses();
            let may_help = |status: &AccountStatus| status.can_send() || status.may_come_online();
            if !statuses.iter().any(may_help) && !self.is_confirmed(accounts) {
                return fault_of(&statuses);
            }
            watched.changed().await;
        }
    }

    /// Why a connect by these accounts has come to nothing. It is the accounts' fault where the reason is one that comes, too, when nothing has
    /// reached the bridge, and no server has said that one of them is online; else it is this reason.
    pub fn cause(&self, accounts: &[AccountId], reason: CloseReason) -> ConnectError {
        let may_be_ours = matches!(
            reason,
            CloseReason::ConnectTimedOut
                | CloseReason::NoPath
                | CloseReason::PeerUnavailable
                | CloseReason::LineRefused
                | CloseReason::NoAccount
        );
        if may_be_ours && !self.is_confirmed(accounts) {
            fault_of(&Watched::new(self.pool(), accounts).statuses())
        } else {
            self.wrong_clock(accounts, reason).map_or_else(|| reason.into(), ConnectError::WrongClock)
        }
    }

    /// How wrong our clock is, where that can be why a bridge does not let us in.
    fn wrong_clock(&self, accounts: &[AccountId], reason: CloseReason) -> Option<WrongClock> {
        let all = self.pool().with_siblings(accounts);
        (reason == CloseReason::LineRefused).then(|| self.shared.lock().clocks.wrong(&all)).flatten()
    }

    /// Whether one of the accounts, or a sibling, is online, and its server has said so.
    fn is_confirmed(&self, accounts: &[AccountId]) -> bool {
        let all = self.pool().with_siblings(accounts);
        all.into_iter().any(|id| matches!(self.pool().status(id), AccountStatus::Online(_)))
    }
}

/// What has kept the account from being online. Of one that is presumed to be, it is known that its server lets us wait.
fn error_of(status: &AccountStatus) -> Option<AccountError> {
    match status {
        AccountStatus::Presumed { last_error: None, .. } => Some(AccountError::TimedOut(Step::Bind)),
        status => status.error().cloned(),
    }
}

/// What is to be said where it is the accounts that are to blame, which are in these states.
fn fault_of(statuses: &[AccountStatus]) -> ConnectError {
    let last = statuses.iter().rev().find_map(error_of);
    let is_settled =
        |status: &AccountStatus| matches!(status, AccountStatus::Barred(_) | AccountStatus::Failed(_));
    match last {
        Some(error) if statuses.iter().all(is_settled) => ConnectError::Rejected(error),
        last => ConnectError::NotOnline(last),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use xmpp_parsers::jid::FullJid;

    fn silent() -> AccountError {
        AccountError::TimedOut(Step::Bind)
    }

    fn refused() -> AccountError {
        AccountError::WrongPassword
    }

    #[test]
    fn what_is_settled_for_all_accounts_is_a_rejection_and_anything_else_may_pass() {
        let jid: FullJid = "alice@chat.example/here".parse().unwrap();
        let presumed_jid = jid.clone();
        let failed = || AccountStatus::Failed(refused());
        let presumed = AccountStatus::Presumed { jid, last_error: Some(refused()) };
        let unanswered = AccountStatus::Presumed { jid: presumed_jid, last_error: None };
        for (statuses, is_rejection, error) in [
            (vec![failed()], true, Some(refused())),
            (vec![failed(), AccountStatus::Barred(silent())], true, Some(silent())),
            (vec![AccountStatus::Barred(silent()), presumed], false, Some(refused())),
            (vec![AccountStatus::Suspended { last_error: Some(silent()) }, failed()], false, Some(refused())),
            (vec![AccountStatus::Connecting { last_error: None }], false, None),
            (vec![unanswered], false, Some(silent())),
            (vec![], false, None),
        ] {
            let said = match fault_of(&statuses) {
                ConnectError::Rejected(error) => (true, Some(error)),
                ConnectError::NotOnline(error) => (false, error),
                other => unreachable!("the bridge is blamed: {other}"),
            };
            assert_eq!(said, (is_rejection, error), "{statuses:?}");
        }
    }
}
