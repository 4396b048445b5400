//! Files: the lane of sessions beside their paths (doc/lanes.md), as the tunnel drives it.
//!
//! The secure core says what is to be done about files. Here the upload services of a client's accounts are looked for, once a bridge was
//! reached by them; slots are asked for; and files are put and fetched, each in a task of its own. What the core is told of it is said
//! where it happens: stanzas in the driver, the rest in [`carry`].

pub(super) mod budget;
mod carry;
mod lane;
mod outcome;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tokio::sync::mpsc;
use xmpp_parsers::jid::{FullJid, Jid};

use super::cores::StreamKey;
use super::driver::wall_clock;
use super::{Shared, State};
use crate::carrier::Arrival;
use crate::carrier::services::discovery::Wanted;
use crate::carrier::services::{Failure, Services, Step};
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
use queue::Queue;

/// What the tunnel knows of files.
#[derive(Debug)]
pub(super) struct Files {
    lane: FileLane,
    services: Services,
    /// Accounts that are online, and as whom.
    online: BTreeMap<AccountId, FullJid>,
    /// Accounts by which a bridge was reached: for them a service is looked for.
    useful: BTreeSet<AccountId>,
    /// Connects that are not answered yet, and by which accounts they are made.
    connects: BTreeMap<StreamKey, Vec<AccountId>>,
    queue: Queue<Transfer>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Files {
    pub(super) fn new(lane: FileLane, wanted: Wanted, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self {
            lane,
            services: Services::new(wanted),
            online: BTreeMap::new(),
            useful: BTreeSet::new(),
            connects: BTreeMap::new(),
            queue: Queue::default(),
            commands,
        }
    }

    /// A bridge is asked for a connection by these accounts.
    pub(super) fn on_connect(&mut self, stream: StreamKey, accounts: &[AccountId]) {
        let is_new = accounts.iter().any(|account| !self.useful.contains(account));
        if is_new && self.services.wants_any() {
            self.connects.insert(stream, accounts.to_vec());
        }
    }

    /// The bridge has answered.
    pub(super) fn on_connected(&mut self, now: Instant, stream: StreamKey) {
        for account in self.connects.remove(&stream).unwrap_or_default() {
            if self.useful.insert(account) {
                self.look_for_service(now, account);
            }
        }
    }

    /// It never will.
    pub(super) fn on_closed(&mut self, stream: StreamKey) {
        self.connects.remove(&stream);
    }

    /// An account is online. Whether it was logged in anew, so that what was known of its service is not known any more.
    pub(super) fn on_online(
        &mut self,
        now: Instant,
        account: AccountId,
        jid: FullJid,
        resumed: bool,
    ) -> bool {
        self.online.insert(account, jid);
        let is_anew = !resumed && self.services.knows(account);
        if is_anew {
            self.services.forget(account);
        }
        if self.useful.contains(&account) && !self.services.knows(account) {
            self.look_for_service(now, account);
        }
        is_anew
    }

    /// An account is closed.
    pub(super) fn on_gone(&mut self, account: AccountId) {
        self.online.remove(&account);
        self.useful.remove(&account);
        self.services.forget(account);
    }

    /// Takes what has come to an account, if it is an answer to something that was asked here.
    pub(super) fn handle(&mut self, account: AccountId, arrival: &Arrival) -> bool {
        self.services.handle(account, arrival, &mut rand::random)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.services.handle_timeout(now, &mut rand::random);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.services.next_timeout()
    }

    fn look_for_service(&mut self, now: Instant, account: AccountId) {
        if let Some(jid) = self.online.get(&account).filter(|_| self.services.wants_any()) {
            let server = Jid::from_parts(None, jid.domain(), None);
            self.services.search(now, account, &server, &mut rand::random);
        }
    }

    /// The hosts at which files may be whose slots somebody has given.
    fn hosts(&self, owner: &SlotOwner) -> Hosts {
        match owner {
            SlotOwner::Client(client) => self.lane.hosts_of([client.domain().as_str()]),
            SlotOwner::Account(account) => {
                let own = self.online.get(account).map(|jid| jid.domain().as_str());
                let service = self.services.service(*account).map(|service| service.jid.domain().as_str());
                self.lane.hosts_of(own.into_iter().chain(service))
            }
        }
    }

    fn place(&self, owner: &SlotOwner, url: &FileUrl) -> Result<FilePlace, BadFilePlace> {
        FilePlace::new(url.as_str(), &self.hosts(owner))
    }

    /// A file is to be put or fetched. It is not where it is at a place that is not to be called.
    fn begin(
        &mut self,
        pool: &AccountPool,
        (file, owner): (FileKey, SlotOwner),
        url: &FileUrl,
        what: What,
    ) -> Result<(), BadFilePlace> {
        let place = self.place(&owner, url)?;
        let reached = match owner {
            SlotOwner::Client(_) => self.lane.reach_of_clients(),
            SlotOwner::Account(account) => lane::reach_of_own(pool.uploader(account).as_ref()),
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
        self.services.withdraw(file);
        if self.queue.end(file) {
            let _ = self.commands.send(Command::Cancel(file));
        }
    }
}

impl Shared {
    /// Does what the core wants done about files, and what follows from what has come. Tells whether there was anything.
    pub(super) fn see_to_files(&self, state: &mut State, now: Instant) -> bool {
        let mut was_busy = false;
        loop {
            if let Some(task) = state.cores.secure.poll_file_task() {
                self.on_file_task(state, now, task);
            } else if let Some(step) = state.files.as_mut().and_then(|files| files.services.poll()) {
                self.on_step(state, now, step);
            } else if let Some((account, bytes)) = state.cores.secure.poll_upload_use() {
                let service = state.files.as_ref().and_then(|files| files.services.service(account));
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
        let Some(files) = &mut state.files else { return };
        match task {
            FileTask::Ask { file, account, size } => {
                tracing::debug!("account {}: a slot for a file of {size} bytes is asked for", account.0);
                files.services.ask(now, (account, file), size, &mut rand::random);
            }
            FileTask::Put { file, owner, url, headers, size, content } => {
                let fields = headers.iter().map(outcome::field).collect();
                let what = What::Put { fields, size, content };
                if let Err(error) = files.begin(&self.pool, (file, owner), &url, what) {
                    tracing::debug!("a file is not put: {error}");
                    state.cores.secure.handle_put(now, file, Err(FileEndReason::BadUrl));
                }
            }
            FileTask::Get { file, owner, url, size } => {
                if let Err(error) = files.begin(&self.pool, (file, owner), &url, What::Get { size }) {
                    tracing::debug!("a file is not fetched: {error}");
                    state.cores.secure.handle_file_end(now, file, FileEndReason::BadUrl);
                }
            }
            FileTask::Cancel { file } => files.cancel(file),
        }
    }

    fn on_step(&self, state: &mut State, now: Instant, step: Step) {
        match step {
            Step::Send(account, request) => {
                self.pool.send(account, request, None);
            }
            Step::Found(account, service) => self.on_service(state, now, account, service),
            Step::FoundProxy(account, proxy) => {
                let found = if proxy.is_some() { "a" } else { "no" };
                tracing::debug!("account {}: its server has {found} proxy of bytestreams", account.0);
            }
            // Nobody asks for any yet.
            Step::Activated { .. } => {}
            Step::Answered { account, file, answer } => {
                let slot = self.slot(state, account, answer);
                state.cores.secure.handle_slot(now, file, slot);
            }
        }
    }

    /// An account is online: after a new login its service is another one, as far as anybody knows.
    pub(super) fn see_to_service(
        &self,
        state: &mut State,
        now: Instant,
        account: AccountId,
        (jid, resumed): (FullJid, bool),
    ) {
        let Some(files) = &mut state.files else { return };
        if files.on_online(now, account, jid, resumed) {
            state.cores.secure.handle_upload_service(now, account, None);
        }
    }

    /// A search for the service of an account is over.
    fn on_service(&self, state: &mut State, now: Instant, account: AccountId, service: Option<Service>) {
        state.announcer.announce_files(account, &lane::news(service.as_ref()));
        let Some(uploader) = self.pool.uploader(account) else { return };
        let service = service.map(|service| self.upload_service(&uploader, service.max_file_size));
        state.cores.secure.handle_upload_service(now, account, service);
    }

    fn upload_service(&self, uploader: &Uploader, max_file: Option<u64>) -> UploadService {
        let daily = budget::daily(uploader.daily, max_file);
        UploadService { daily, used: self.uploaded(uploader, daily), max_file }
    }

    /// A slot in the words of the core, if both of its places may be called.
    fn slot(
        &self,
        state: &mut State,
        account: AccountId,
        answer: Result<slot::Slot, Failure>,
    ) -> Result<crate::secure::files::Slot, NoSlot> {
        let refused = |state: &mut State, error: &dyn std::fmt::Display, no_slot: NoSlot| {
            let follows = outcome::what_follows(no_slot);
            state.announcer.announce_files(account, &format!("files are left: {error}; {follows}"));
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
            [&slot.put, &slot.get].into_iter().try_for_each(|url| files.place(&owner, url).map(drop))
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
                state.announcer.announce_files(*account, &format!("files are left for now: {error}"));
            }
            SlotOwner::Client(_) => {
                state.announcer.announce_files_of_clients(&error.to_string());
            }
        }
    }
}
