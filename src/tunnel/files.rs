//! Files: the lane of sessions beside their paths (doc/lanes.md), as the tunnel drives it.
//!
//! The secure core says what is to be done about files. Here slots are asked for, and files are put and fetched, each in a task of its own
//! ([`carry`]).

pub(super) mod budget;
mod carry;
mod lane;
mod outcome;
mod queue;
#[cfg(test)]
mod tests;

use std::time::Instant;

use tokio::sync::mpsc;

use super::driver::wall_clock;
use super::services::Finder;
use super::{Shared, State};
use crate::carrier::services::Failure;
use crate::carrier::upload::service::Service;
use crate::carrier::upload::slot;
use crate::protocol::AccountId;
use crate::secure::files::{FileKey, FileTask, NoSlot, SlotOwner, UploadService};
use crate::secure::wire::file_frame::{FileEndReason, FileUrl};
use crate::xmpp::place::Hosts;
use crate::xmpp::transfer::fault::TransferError;
use crate::xmpp::transfer::file_place::{BadFilePlace, FilePlace};
use crate::xmpp::{AccountPool, Uploader};
pub(super) use carry::run;
use carry::{Command, Transfer, What};
pub use lane::FileLane;
pub(super) use lane::reach_of_own;
use queue::Queue;

/// What the tunnel knows of files.
#[derive(Debug)]
pub(super) struct Files {
    lane: FileLane,
    queue: Queue<Transfer>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Files {
    pub(super) fn new(lane: FileLane, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { lane, queue: Queue::default(), commands }
    }

    /// The hosts at which files may be whose slots somebody has given.
    fn hosts(&self, finder: &Finder, owner: &SlotOwner) -> Hosts {
        match owner {
            SlotOwner::Client(client) => self.lane.hosts_of([client.domain().as_str()]),
            SlotOwner::Account(account) => {
                let own = finder.online(*account).map(|jid| jid.domain().as_str());
                let service = finder.upload_service(*account).map(|service| service.jid.domain().as_str());
                self.lane.hosts_of(own.into_iter().chain(service))
            }
        }
    }

    fn place(&self, finder: &Finder, owner: &SlotOwner, url: &FileUrl) -> Result<FilePlace, BadFilePlace> {
        FilePlace::new(url.as_str(), &self.hosts(finder, owner))
    }

    /// A file is to be put or fetched. It is not where it is at a place that is not to be called.
    fn begin(
        &mut self,
        (pool, finder): (&AccountPool, &Finder),
        (file, owner): (FileKey, SlotOwner),
        url: &FileUrl,
        what: What,
    ) -> Result<(), BadFilePlace> {
        let place = self.place(finder, &owner, url)?;
        let reached = match owner {
            SlotOwner::Client(_) => self.lane.reach_of_clients(),
            SlotOwner::Account(account) => reach_of_own(pool.uploader(account).as_ref()),
        };
        self.queue.push(file, Transfer { place, reached, what, owner });
        Ok(())
    }

    /// Lets transfers begin for which there is room.
    fn start_transfers(&mut self) {
        while let Some((file, transfer)) = self.queue.poll() {
            // Without the task nothing is carried any more.
            let _ = self.commands.send(Command::Start(file, Box::new(transfer)));
        }
    }

    /// Nobody waits for what was to be done with a file.
    fn cancel(&mut self, file: FileKey) {
        if self.queue.end(file) {
            let _ = self.commands.send(Command::Cancel(file));
        }
    }
}

impl Shared {
    /// Does what the core wants done about files. Tells whether there was anything.
    pub(super) fn see_to_files(&self, state: &mut State, now: Instant) -> bool {
        let mut was_busy = false;
        loop {
            if let Some(task) = state.cores.secure.poll_file_task() {
                self.on_file_task(state, now, task);
            } else if let Some((account, bytes)) = state.cores.secure.poll_upload_use() {
                let service = state.finder.upload_service(account);
                let max_file = service.and_then(|service| service.max_file_size);
                self.note_upload(state, account, max_file, bytes);
            } else {
                break;
            }
            was_busy = true;
        }
        if let Some(files) = &mut state.files {
            files.start_transfers();
        }
        was_busy
    }

    fn on_file_task(&self, state: &mut State, now: Instant, task: FileTask) {
        let State { files: Some(files), finder, .. } = state else { return };
        match task {
            FileTask::Ask { file, account, size } => {
                let name = self.pool.name(account);
                tracing::debug!("{name}: a slot for a file of {size} bytes is asked for");
                finder.ask_for_slot(now, (account, file), size);
            }
            FileTask::Put { file, owner, url, headers, size, content } => {
                let fields = headers.iter().map(outcome::field).collect();
                let what = What::Put { fields, size, content };
                if let Err(error) = files.begin((&self.pool, finder), (file, owner), &url, what) {
                    tracing::debug!("a file is not put: {error}");
                    state.cores.secure.handle_put(now, file, Err(FileEndReason::BadUrl));
                }
            }
            FileTask::Get { file, owner, url, size } => {
                if let Err(error) = files.begin((&self.pool, finder), (file, owner), &url, What::Get { size })
                {
                    tracing::debug!("a file is not fetched: {error}");
                    state.cores.secure.handle_file_end(now, file, FileEndReason::BadUrl);
                }
            }
            FileTask::Cancel { file } => {
                finder.withdraw_slot(file);
                files.cancel(file);
            }
        }
    }

    /// A search for the service of an account is over.
    pub(super) fn on_service(
        &self,
        state: &mut State,
        now: Instant,
        account: AccountId,
        service: Option<Service>,
    ) {
        state.announcer.announce_lane(account, &lane::news(service.as_ref()));
        let Some(uploader) = self.pool.uploader(account) else { return };
        let service = service.map(|service| self.upload_service(&uploader, service.max_file_size));
        state.cores.secure.handle_upload_service(now, account, service);
    }

    fn upload_service(&self, uploader: &Uploader, max_file: Option<u64>) -> UploadService {
        let daily = budget::daily(uploader.daily, max_file);
        UploadService { daily, used: self.uploaded(uploader, daily), max_file }
    }

    /// A slot in the words of the core, if both of its places may be called.
    pub(super) fn slot(
        &self,
        state: &mut State,
        account: AccountId,
        answer: Result<slot::Slot, Failure>,
    ) -> Result<crate::secure::files::Slot, NoSlot> {
        let refused = |state: &mut State, error: &dyn std::fmt::Display, no_slot: NoSlot| {
            let follows = outcome::what_follows(no_slot);
            state.announcer.announce_lane(account, &format!("files are left: {error}; {follows}"));
            Err(no_slot)
        };
        let given = match answer {
            Ok(given) => given,
            Err(failure) => {
                let no_slot = outcome::no_slot(&failure, wall_clock());
                return refused(state, &failure, no_slot);
            }
        };
        let Some(slot) = outcome::slot(&given) else {
            let failure = Failure::from(crate::carrier::upload::refusal::Refusal::Nonsense);
            return refused(state, &failure, NoSlot::MayPass);
        };
        let owner = SlotOwner::Account(account);
        let check = |files: &Files| {
            let mut places = [&slot.put, &slot.get].into_iter();
            places.try_for_each(|url| files.place(&state.finder, &owner, url).map(drop))
        };
        match state.files.as_ref().map(check) {
            Some(Err(error)) => refused(state, &lane::advised(error), NoSlot::Useless),
            _ => Ok(slot),
        }
    }

    /// A transfer has failed: the log says so where it says something of the service.
    fn announce_transfer(&self, state: &mut State, owner: &SlotOwner, error: TransferError) {
        if !outcome::is_of_service(error.fault) {
            tracing::debug!("a file is lost: {error}");
            return;
        }
        match owner {
            SlotOwner::Account(account) => {
                state.announcer.announce_lane(*account, &format!("files are left for now: {error}"));
            }
            SlotOwner::Client(_) => {
                state.announcer.announce_files_of_clients(&error.to_string());
            }
        }
    }
}
