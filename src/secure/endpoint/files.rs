//! Files: what the driver is told to do about them, and what it tells (doc/lanes.md).

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::protocol::AccountId;
use crate::secure::api::files::{FileKey, FileTask, NoSlot, Slot, UploadService};
use crate::secure::endpoint::Endpoint;
use crate::secure::ids::SessionKey;
use crate::secure::wire::file_frame::FileEndReason;

impl Endpoint {
    /// Tells that the server of an account of ours that is online has this upload service, or none. An account whose service has refused for
    /// good uses it again when it is told anew, which is to be when it has logged in anew.
    pub fn handle_upload_service(&mut self, now: Instant, id: AccountId, service: Option<UploadService>) {
        if let Some(account) = self.shared.accounts.jid_of(id).map(|jid| jid.to_bare()) {
            self.shared.uploads.set(now, id, &account, service);
        }
    }

    /// The next slot that was asked for: by which account, and of how many bytes. It counts against the quota for 24 hours, used or not, also
    /// beyond a restart ([`UploadService::used`]).
    pub fn poll_upload_use(&mut self) -> Option<(AccountId, u64)> {
        self.shared.uploads.poll_use()
    }

    /// The next thing to do about a file.
    pub fn poll_file_task(&mut self) -> Option<FileTask> {
        self.file_tasks.pop_front()
    }

    /// The outcome of [`FileTask::Ask`].
    pub fn handle_slot(&mut self, now: Instant, file: FileKey, outcome: Result<Slot, NoSlot>) {
        self.with_session(now, file.session, |session, shared| {
            session.handle_slot(now, file.number, outcome, shared);
        });
    }

    /// All of a file is on its way to its service, for [`FileTask::Put`], which is not over yet: whoever fetches it is told now, and not a round
    /// trip later.
    pub fn handle_file_sent(&mut self, now: Instant, file: FileKey) {
        self.with_session(now, file.session, |session, shared| {
            session.handle_file_sent(now, file.number, shared);
        });
    }

    /// The outcome of [`FileTask::Put`].
    pub fn handle_put(&mut self, now: Instant, file: FileKey, outcome: Result<(), FileEndReason>) {
        self.with_session(now, file.session, |session, shared| {
            session.handle_put(now, file.number, outcome, shared);
        });
    }

    /// Bytes of a file have come, for [`FileTask::Get`]. False when no more are wanted: all have come, they are none of the file, or nobody
    /// waits for it any more. Then nothing else is to be said of the file.
    pub fn handle_file_bytes(&mut self, now: Instant, file: FileKey, bytes: Bytes) -> bool {
        let is_wanted = self.with_session(now, file.session, |session, shared| {
            session.handle_file_bytes(now, file.number, bytes, shared)
        });
        self.shed(now);
        is_wanted == Some(true)
    }

    /// Nothing more of a file comes, for [`FileTask::Get`]: it has ended, or there was a fault.
    pub fn handle_file_end(&mut self, now: Instant, file: FileKey, reason: FileEndReason) {
        self.with_session(now, file.session, |session, shared| {
            session.handle_file_end(now, file.number, reason, shared);
        });
    }

    /// A session is over, and so is all that was to be done with its files.
    pub(super) fn cancel_files(&mut self, key: SessionKey, busy: Vec<FileKey>) {
        busy.into_iter().for_each(|file| queue(&mut self.file_tasks, FileTask::Cancel { file }));
        self.file_tasks.retain(|task| task.file().session != key || matches!(task, FileTask::Cancel { .. }));
    }
}

/// One more thing for the driver to do. What it has not begun need not be cancelled: so no peer makes this longer than its files are many.
pub(super) fn queue(tasks: &mut VecDeque<FileTask>, task: FileTask) {
    let before = tasks.len();
    if let FileTask::Cancel { file } = task {
        tasks.retain(|other| other.file() != file);
    }
    if tasks.len() == before {
        tasks.push_back(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_has_not_begun_is_not_cancelled_but_forgotten() {
        let file = |number| FileKey { session: SessionKey(1), number };
        let ask = |number| FileTask::Ask { file: file(number), account: AccountId(1), size: 60_000 };
        let mut tasks = VecDeque::from([ask(1), ask(2)]);
        queue(&mut tasks, FileTask::Cancel { file: file(1) });
        assert_eq!(tasks, [ask(2)]);
        queue(&mut tasks, FileTask::Cancel { file: file(3) });
        assert_eq!(tasks, [ask(2), FileTask::Cancel { file: file(3) }]);
    }
}
