//! Standing of accounts: whether a connect waits for them, and whether they are to blame where it comes to nothing.
//!
//! Only what a server has confirmed shows that an account works. So where no account of a connect is online by that measure when its time is
//! over, the bridge is not blamed: nobody knows whether anything has reached it.

use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{ConnectError, Tunnel, TunnelStream};
use crate::protocol::CloseReason;
use crate::xmpp::{AccountId, AccountPool, AccountStatus};

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
        let mut deadline = deadline;
        let mut one_can_send = false;
        let mut watched = Watched::new(self.pool(), accounts);
        loop {
            let statuses = watched.statuses();
            let can_send = statuses.iter().any(AccountStatus::can_send);
            match (can_send, statuses.iter().any(AccountStatus::may_come_online)) {
                (true, false) => return Ok(()),
                (false, false) => return Err(fault_of(&statuses)),
                (true, true) if !one_can_send => {
                    one_can_send = true;
                    deadline = deadline.min(Instant::now() + grace);
                }
                _ => {}
            }
            if timeout_at(deadline, watched.changed()).await.is_err() {
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
    /// because nobody is to wait for any of them, it is broken off, and this is why.
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

    /// Why a connect by these accounts has come to nothing: for this reason, unless that says no more than that nothing came back, and no server
    /// has said that one of them is online.
    pub fn cause(&self, accounts: &[AccountId], reason: CloseReason) -> ConnectError {
        let is_silence = matches!(
            reason,
            CloseReason::ConnectTimedOut
                | CloseReason::NoPath
                | CloseReason::PeerUnavailable
                | CloseReason::NoAccount
        );
        if is_silence && !self.is_confirmed(accounts) {
            fault_of(&Watched::new(self.pool(), accounts).statuses())
        } else {
            reason.into()
        }
    }

    /// Whether one of the accounts, or a sibling, is online, and its server has said so.
    fn is_confirmed(&self, accounts: &[AccountId]) -> bool {
        let all = self.pool().with_siblings(accounts);
        all.into_iter().any(|id| matches!(self.pool().status(id), AccountStatus::Online(_)))
    }
}

/// What is to be said where it is the accounts that are to blame, which are in these states.
fn fault_of(statuses: &[AccountStatus]) -> ConnectError {
    let last = statuses.iter().rev().find_map(AccountStatus::error).cloned();
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
    use crate::xmpp::{AccountError, Step};

    fn silent() -> AccountError {
        AccountError::TimedOut(Step::Bind)
    }

    fn refused() -> AccountError {
        AccountError::WrongPassword
    }

    #[test]
    fn what_is_settled_for_all_accounts_is_a_rejection_and_anything_else_may_pass() {
        let jid = "alice@chat.example/here".parse().unwrap();
        let failed = || AccountStatus::Failed(refused());
        let presumed = AccountStatus::Presumed { jid, last_error: Some(silent()) };
        for (statuses, is_rejection, error) in [
            (vec![failed()], true, Some(refused())),
            (vec![failed(), AccountStatus::Barred(silent())], true, Some(silent())),
            (vec![failed(), presumed], false, Some(silent())),
            (vec![AccountStatus::Suspended { last_error: Some(silent()) }, failed()], false, Some(refused())),
            (vec![AccountStatus::Connecting { last_error: None }], false, None),
            (vec![], false, None),
        ] {
            let said = match fault_of(&statuses) {
                ConnectError::Rejected(error) => (true, Some(error)),
                ConnectError::NotOnline(error) => (false, error),
                ConnectError::Closed(reason) => unreachable!("the bridge is blamed: {reason}"),
            };
            assert_eq!(said, (is_rejection, error), "{statuses:?}");
        }
    }
}
