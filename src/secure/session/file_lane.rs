//! Files of a session: which are made, which slots are asked for, and what the driver has to do and tells.

#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::Bytes;

use crate::secure::api::files::{FileKey, FileTask, NoSlot, Slot};
use crate::secure::api::trace::TraceEvent;
use crate::secure::session::established::{Established, Files};
use crate::secure::session::files::choice::Situation;
use crate::secure::session::files::lane::{Report, Whose};
use crate::secure::session::scheduler::{self, Outlook};
use crate::secure::session::{Session, transmit};
use crate::secure::shared::Shared;
use crate::secure::shared::uploads::bucket::Bucket;
use crate::secure::wire::file_frame::FileEndReason;

impl Session {
    /// A slot was asked for, and this is the answer.
    pub(crate) fn handle_slot(
        &mut self,
        now: Instant,
        number: u64,
        outcome: Result<Slot, NoSlot>,
        shared: &mut Shared,
    ) {
        if let Some(files) = self.files_mut() {
            match outcome {
                Ok(slot) => files.lane.handle_slot(now, number, slot),
                Err(why) => files.lane.handle_no_slot(now, number, why),
            }
        }
        self.apply_changes(now, shared);
    }

    /// All of a file is on its way to where it is put.
    pub(crate) fn handle_file_sent(&mut self, now: Instant, number: u64, shared: &mut Shared) {
        if let Some(files) = self.files_mut() {
            files.lane.handle_sent(number);
        }
        self.apply_changes(now, shared);
    }

    /// A file was put where it belongs, or not.
    pub(crate) fn handle_put(
        &mut self,
        now: Instant,
        number: u64,
        outcome: Result<(), FileEndReason>,
        shared: &mut Shared,
    ) {
        if let Some(established) = self.state.established_mut() {
            established.handle_put(now, number, outcome);
        }
        self.apply_changes(now, shared);
    }

    /// Bytes of a file have come; whether more of it is wanted.
    pub(crate) fn handle_file_bytes(
        &mut self,
        now: Instant,
        number: u64,
        bytes: Bytes,
        shared: &mut Shared,
    ) -> bool {
        if self.is_over() {
            return false;
        }
        let room_for_streams = self.client().map(|_| shared.ledger.room_for_streams(&self.client));
        let Some(established) = self.state.established_mut() else { return false };
        if let Some(room) = room_for_streams {
            established.streams.set_room_for_streams(room);
        }
        let is_wanted = established.handle_file_bytes(now, number, bytes).unwrap_or_else(|fault| {
            self.on_violation(fault);
            false
        });
        self.apply_changes(now, shared);
        is_wanted
    }

    /// Nothing more of a file comes.
    pub(crate) fn handle_file_end(
        &mut self,
        now: Instant,
        number: u64,
        reason: FileEndReason,
        shared: &mut Shared,
    ) {
        if let Some(files) = self.files_mut() {
            files.lane.handle_end(now, number, reason);
        }
        self.apply_changes(now, shared);
    }

    /// The next thing that the driver has to do about a file.
    pub(crate) fn poll_file_task(&mut self) -> Option<FileTask> {
        if let Some(task) = self.slots_wanted.pop_front() {
            return Some(task);
        }
        let whose = Whose { session: self.key, client: self.client.as_ref() };
        self.state.established_mut()?.files_mut()?.lane.poll_task(&whose)
    }

    /// The files of which the driver has something to do.
    pub(super) fn busy_files(&self) -> Vec<FileKey> {
        let files = self.established().and_then(Established::files);
        let busy = files.into_iter().flat_map(|files| files.lane.busy());
        busy.map(|number| FileKey { session: self.key, number }).collect()
    }

    /// Whether a file has come whole within the last seconds, either way: bulk goes by files.
    pub(crate) fn is_by_files(&self, now: Instant) -> bool {
        self.established().and_then(Established::files).is_some_and(|files| files.lane.is_busy(now))
    }

    fn files_mut(&mut self) -> Option<&mut Files> {
        self.state.established_mut()?.files_mut()
    }

    /// Does what files have to do with every change: makes those that are faster than paths, says how much waits for more, asks for their
    /// slots, and tells the accounts how it went.
    pub(super) fn use_files(&mut self, now: Instant, shared: &mut Shared) {
        let Some(established) = self.established().filter(|established| established.files().is_some()) else {
            return;
        };
        let room_before = established.room_for_files();
        self.make_files(now, shared);
        self.ask_for_slots(now, shared);
        self.report_files(now, shared);
        if let Some(files) = self.files_mut() {
            files.hold_bulk(now);
        }
        if self.established().is_some_and(|established| established.room_for_files() != room_before) {
            self.fit_buffers();
        }
    }

    fn make_files(&mut self, now: Instant, shared: &mut Shared) {
        loop {
            let Some(queue) = self.established().map(Queue::of) else { return };
            let is_enough = queue.amount() >= Bucket::least_of_all();
            let outlook = if is_enough { self.outlook(now, shared) } else { None };
            let Some(established) = self.state.established_mut() else { return };
            let Some(files) = established.files_mut() else { return };
            let next = outlook.as_ref().and_then(|outlook| file_to_make(files, now, &queue, outlook));
            let Some(file) = next else {
                let situation = situation(files, now, &queue, outlook.as_ref());
                let said = files.choice.update(now, &situation);
                return files.lane.set_waiting(said);
            };
            established.make_file(now, file);
            self.trace_file(now, file, queue.waiting, shared);
        }
    }

    /// What the paths would do with what waits; none while none works.
    fn outlook(&self, now: Instant, shared: &Shared) -> Option<Outlook> {
        scheduler::outlook(
            transmit::open(&self.paths, self.fast_relay(now)),
            (shared.accounts.senders(), self.tag),
            now,
        )
    }

    /// A client asks its servers for slots, each the account that may put most.
    fn ask_for_slots(&mut self, now: Instant, shared: &mut Shared) {
        if !self.files_mut().is_some_and(|files| files.lane.wants_slots(now)) {
            return;
        }
        let Some(side) = self.client_side() else {
            // A bridge's files are put where its clients may.
            return;
        };
        let ours: Vec<_> = side.usable(&shared.accounts).collect();
        let session = self.key;
        let Some(files) = self.state.established_mut().and_then(Established::files_mut) else { return };
        while let Some((account, allowance)) = shared.uploads.pick(now, ours.iter().copied()) {
            let asked = files.lane.poll_slot(now, (account, allowance), &mut *shared.entropy);
            let Some((number, size)) = asked else { return };
            shared.uploads.note_use(account, size);
            let file = FileKey { session, number };
            self.slots_wanted.push_back(FileTask::Ask { file, account, size: size.bytes() });
        }
    }

    fn report_files(&mut self, now: Instant, shared: &mut Shared) {
        let session = self.key.0;
        let Some(files) = self.files_mut() else { return };
        while let Some((account, report)) = files.lane.poll_report() {
            match report {
                Report::Success => shared.uploads.on_success(account),
                Report::Trouble(trouble) => {
                    let rests = shared.uploads.on_trouble(now, account, trouble);
                    if rests {
                        files.lane.leave(account);
                    }
                    shared.tracer.note(now, TraceEvent::FileTrouble { session, account, rests });
                }
            }
        }
    }
}

/// What waits in the streams of a session.
#[derive(Debug)]
struct Queue {
    /// In bytes.
    waiting: usize,
    /// An application has more than there is room for.
    is_blocked: bool,
}

impl Queue {
    fn of(established: &Established) -> Self {
        let streams = &established.streams;
        Self { waiting: streams.waiting_bytes(), is_blocked: streams.is_blocked() }
    }

    /// How much would go by files if there was room for it, in bytes.
    fn amount(&self) -> usize {
        Situation::amount(self.waiting, self.is_blocked)
    }
}

/// The file that is to be made of it now, if one is.
fn file_to_make(files: &mut Files, now: Instant, queue: &Queue, outlook: &Outlook) -> Option<u64> {
    let (file, size) = files.lane.best(now, queue.waiting)?;
    let gain = gain(files, outlook, queue.waiting.min(size.bytes()), Bucket::of(size));
    let is_time = queue.is_blocked || files.choice.is_time(now, queue.waiting, size.bytes());
    (is_time && files.choice.is_faster(gain)).then_some(file)
}

/// What there is to choose from, where no file is to be made now.
fn situation(files: &Files, now: Instant, queue: &Queue, outlook: Option<&Outlook>) -> Situation {
    let is_proven = files.lane.is_proven(now);
    // Of a burst more is coming.
    let said = if is_proven { files.choice.said() } else { 0 };
    let expected = queue.amount().max(said);
    let bucket = Bucket::filled_by(expected, None).unwrap_or(Bucket::Tiny);
    let held = expected.min(bucket.capacity());
    Situation {
        waiting: queue.waiting,
        is_blocked: queue.is_blocked,
        in_files: files.lane.content(),
        gain: outlook.map_or(0.0, |outlook| gain(files, outlook, held, bucket)),
        round_trip: outlook.map(Outlook::round_trip).unwrap_or_default(),
        is_proven,
        is_under_way: files.lane.expected_until().is_some(),
    }
}

/// How many times as fast as the paths a file of this bucket delivers so many bytes.
fn gain(files: &Files, outlook: &Outlook, bytes: usize, bucket: Bucket) -> f64 {
    let by_file = files.time(bucket, outlook.round_trip());
    outlook.time_for(bytes).as_secs_f64() / by_file.as_secs_f64().max(f64::MIN_POSITIVE)
}
