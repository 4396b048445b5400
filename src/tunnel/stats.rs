//! Statistics of a tunnel: those of its cores, and in which states its accounts are. Numbers alone, without names.

use super::Tunnel;
use crate::protocol::Core as _;
use crate::secure;
use crate::xmpp::AccountStatus;

/// What a tunnel does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// The secure core's.
    pub secure: secure::stats::Stats,
    /// Streams of the classic protocol.
    pub classic_streams: usize,
    /// Its accounts.
    pub accounts: AccountCounts,
    /// Whether others are let in, so that clients and sessions are people.
    pub is_bridge: bool,
}

/// How many accounts are in which state, without further logins of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountCounts {
    /// Their servers have said that they are online.
    pub online: usize,
    /// At work to be so.
    pub connecting: usize,
    /// Their servers are left alone for hours, or refuse what only a person can change.
    pub resting: usize,
    /// Never to be online again.
    pub failed: usize,
}

impl AccountCounts {
    /// Of accounts in these states.
    pub(super) fn of(statuses: impl IntoIterator<Item = AccountStatus>) -> Self {
        let mut counts = Self::default();
        for status in statuses {
            let count = match status {
                AccountStatus::Online(_) => &mut counts.online,
                AccountStatus::Connecting { .. }
                | AccountStatus::Presumed { .. }
                | AccountStatus::Suspended { .. } => &mut counts.connecting,
                AccountStatus::Barred(_) => &mut counts.resting,
                AccountStatus::Failed(_) => &mut counts.failed,
            };
            *count += 1;
        }
        counts
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> usize {
        self.online + self.connecting + self.resting + self.failed
    }
}

impl Tunnel {
    /// What it does. It takes a look at every session.
    pub fn stats(&self) -> Stats {
        let accounts = AccountCounts::of(self.pool().statuses());
        let now = tokio::time::Instant::now().into_std();
        let state = self.shared.lock();
        Stats {
            secure: state.cores.secure.stats(now),
            classic_streams: state.cores.classic.stream_count(),
            accounts,
            is_bridge: self.shared.is_bridge,
        }
    }

    /// On a bridge, the most clients of the secure protocol at one time since this was asked last.
    pub fn take_most_clients(&self) -> usize {
        self.shared.lock().cores.secure.take_most_clients()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::AccountError;

    #[test]
    fn an_account_is_online_when_its_server_has_said_so() {
        let jid = || "alice@chat.example/here".parse().unwrap_or_else(|_| unreachable!("a JID"));
        let counts = AccountCounts::of([
            AccountStatus::Online(jid()),
            AccountStatus::Presumed { jid: jid(), last_error: None },
            AccountStatus::Connecting { last_error: None },
            AccountStatus::Barred(AccountError::Refused),
            AccountStatus::Failed(AccountError::WrongPassword),
        ]);
        assert_eq!(counts, AccountCounts { online: 1, connecting: 2, resting: 1, failed: 1 });
        assert_eq!(counts.all(), 5);
    }
}
