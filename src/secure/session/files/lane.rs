//! Lane: all files of one session at one of its ends, both ways.
//!
//! As the cores are used: hand in what happened (`handle_*`), say what waits, send what [`poll_frame`](Lane::poll_frame) has, and carry out what
//! [`poll_task`](Lane::poll_task) has. Frames can be lost, and then go again; they can come twice and in any order. Whoever has the lane
//! settles the [`Verdict`]s: what has arrived is done with, and what is lost goes again.

mod slots;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp_parsers::jid::BareJid;

use crate::protocol::AccountId;
use crate::secure::api::files::{FileKey, FileTask, NoSlot, Slot, SlotOwner};
use crate::secure::crypto::entropy::Entropy;
use crate::secure::crypto::file::{FileSealer, FileSize, FilesKey, NotTheFile, PACKET};
use crate::secure::crypto::keys::Side;
use crate::secure::ids::SessionKey;
use crate::secure::session::files::incoming::Incoming;
use crate::secure::session::files::lane::slots::{Asked, Direction, Slots};
use crate::secure::session::files::outgoing::Outgoing;
use crate::secure::session::files::supply::Supply;
use crate::secure::session::flight::Verdict;
use crate::secure::shared::uploads::allowance::{Allowance, Trouble};
use crate::secure::shared::uploads::bucket::Bucket;
use crate::secure::wire::file_frame::{FileEndReason, FileFrame, FileUrl, SlotHeader};

/// How long a service that takes no more is left alone: 24 hours, after which quotas are those of another day.
const ENOUGH: Duration = Duration::from_secs(24 * 60 * 60);

/// A file that has come whole shows for 1 minute that the service is of use, whichever way it went.
const PROVEN: Duration = Duration::from_secs(60);

/// Where one file comes after the other, it does within 3 seconds.
const BUSY: Duration = Duration::from_secs(3);

/// Frames that wait until there is room for them, at most: 64. A peer that takes none gets no more files fetched.
const MOST_FRAMES: usize = 64;

/// Whose files they are.
#[derive(Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) session: SessionKey,
    /// On a bridge, the account that shook hands.
    pub(crate) client: Option<&'a BareJid>,
}

/// Where a file is put, and with which headers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    url: FileUrl,
    headers: Vec<SlotHeader>,
}

/// How it went with a file, for the [`Allowance`] of the account whose slot it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It has come whole.
    Success,
    /// It has not.
    Trouble(Trouble),
}

/// The peer says what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation;

/// See the [module](self). `T` is what one packet of a file carries.
#[derive(Debug)]
pub(crate) struct Lane<T> {
    /// On a client alone.
    slots: Option<Slots>,
    outgoing: Outgoing<T>,
    incoming: Incoming,
    /// Where files can be put that were not begun.
    places: BTreeMap<u64, Place>,
    /// Where files are that wait to be fetched.
    urls: BTreeMap<u64, FileUrl>,
    /// What waits, as a bridge has said it last, in bytes.
    told: usize,
    frames: VecDeque<FileFrame>,
    /// Files that are to be put, and their packets.
    puts: VecDeque<(u64, Place, Vec<Bytes>)>,
    /// Files of which whoever carries out tasks has one.
    busy: BTreeSet<u64>,
    /// Those of which nobody waits for the outcome any more.
    cancelled: VecDeque<u64>,
    reports: VecDeque<(AccountId, Report)>,
    /// When a file came whole last.
    last_whole: Option<Instant>,
}

impl<T> Lane<T> {
    /// One without files, at this end of a session.
    pub(crate) fn new(key: &FilesKey, side: Side) -> Self {
        let (slots, other) = match side {
            Side::Client => (Some(Slots::new()), Side::Bridge),
            Side::Bridge => (None, Side::Client),
        };
        Self {
            slots,
            outgoing: Outgoing::new(key.clone(), side),
            incoming: Incoming::new(key.clone(), other),
            places: BTreeMap::new(),
            urls: BTreeMap::new(),
            told: 0,
            frames: VecDeque::new(),
            puts: VecDeque::new(),
            busy: BTreeSet::new(),
            cancelled: VecDeque::new(),
            reports: VecDeque::new(),
            last_whole: None,
        }
    }

    /// So much waits that would go faster by files, in bytes; 0 where nothing would.
    pub(crate) fn set_waiting(&mut self, bytes: usize) {
        match &mut self.slots {
            Some(slots) => slots.to_bridge.set_waiting(bytes),
            None if bytes != self.told => {
                self.told = bytes;
                self.frames.retain(|frame| !matches!(frame, FileFrame::Waiting { .. }));
                self.frames.push_back(FileFrame::Waiting { bytes: bytes as u64 });
            }
            None => {}
        }
    }

    /// Whether more waits than the slots carry that there are, or there is none left for what comes next.
    pub(crate) fn wants_slots(&self, now: Instant) -> bool {
        let slots = self.slots.as_ref();
        slots.is_some_and(|slots| slots.to_client.wants_slot(now) || slots.to_bridge.wants_slot(now))
    }

    /// The next slot that the server of this account of the client's is to be asked for, and its size.
    pub(crate) fn poll_slot(
        &mut self,
        now: Instant,
        (account, allowance): (AccountId, &mut Allowance),
        entropy: &mut dyn Entropy,
    ) -> Option<(u64, FileSize)> {
        let slots = self.slots.as_mut()?;
        for direction in [Direction::ToClient, Direction::ToBridge] {
            let mut number = slots.next_number;
            if let Some(asked) = slots.supply(direction).poll(now, &mut number, allowance, entropy) {
                slots.next_number = number;
                slots.asked.insert(asked.0, Asked { direction, account });
                self.busy.insert(asked.0);
                return Some(asked);
            }
        }
        None
    }

    /// The client's server has given a slot.
    pub(crate) fn handle_slot(&mut self, now: Instant, file: u64, slot: Slot) {
        self.busy.remove(&file);
        let Some(slots) = &mut self.slots else { return };
        let Some(Asked { direction, .. }) = slots.asked.get(&file).copied() else { return };
        let Some(size) = slots.supply(direction).on_slot(now, file) else { return };
        let Slot { put: url, headers, get } = slot;
        slots.urls.insert(file, get);
        match direction {
            Direction::ToClient => {
                self.frames.push_back(FileFrame::Slot { file, size: size.bytes() as u64, url, headers });
            }
            Direction::ToBridge => {
                self.outgoing.on_slot(now, file, size);
                self.places.insert(file, Place { url, headers });
            }
        }
    }

    /// The client's server has given none.
    pub(crate) fn handle_no_slot(&mut self, now: Instant, file: u64, why: NoSlot) {
        self.busy.remove(&file);
        let Some(slots) = &mut self.slots else { return };
        let Some(Asked { direction, .. }) = slots.asked.get(&file).copied() else { return };
        let size = slots.supply(direction).size(file);
        if let Some(account) = slots.on_over(now, file, false) {
            self.reports.extend(size.map(|size| (account, Report::Trouble(trouble_with_slot(why, size)))));
        }
    }

    /// The service of this account is left alone from now on: what was not filled of its slots never will be.
    pub(crate) fn leave(&mut self, account: AccountId) {
        let Some(slots) = &mut self.slots else { return };
        for (file, is_given, direction) in slots.drop_unfilled(account) {
            self.drop_task(file);
            match direction {
                Direction::ToClient if is_given => {
                    self.frames.push_back(FileFrame::FileEnd { file, packets: 0, reason: LEFT });
                }
                Direction::ToClient => {}
                Direction::ToBridge => self.outgoing.forget_slot(file),
            }
        }
    }

    /// The file that so much should fill, and its size.
    pub(crate) fn best(&self, now: Instant, waiting: usize) -> Option<(u64, FileSize)> {
        self.outgoing.best(now, waiting)
    }

    /// Whether a file has come whole within the last minute, and no service has failed since. One that is missing or damaged does not count.
    pub(crate) fn is_proven(&self, now: Instant) -> bool {
        self.last_whole.is_some_and(|last| now < last + PROVEN)
    }

    /// Whether one file comes after the other.
    pub(crate) fn is_busy(&self, now: Instant) -> bool {
        self.last_whole.is_some_and(|last| now < last + BUSY)
    }

    /// Until when files of ours that were begun are worth waiting for; none where there are none.
    pub(crate) fn expected_until(&self) -> Option<Instant> {
        self.outgoing.expected_until()
    }

    /// How long a file of this bucket will take, if that is known.
    pub(crate) fn expected(&self, bucket: Bucket) -> Option<Duration> {
        self.outgoing.expected(bucket)
    }

    /// Bytes that are on their way in files of ours.
    pub(crate) fn content(&self) -> usize {
        self.outgoing.content()
    }

    /// Bytes of files of ours that are under way or can be begun.
    pub(crate) fn bytes(&self) -> usize {
        self.outgoing.bytes()
    }

    /// Begins a file with as much of what waits as it holds. What its packets carry is told by [`carry`](Self::carry), and the packets go by [`put`](Self::put).
    pub(crate) fn begin(&mut self, now: Instant, file: u64, waiting: usize) -> Option<FileSealer> {
        self.outgoing.begin(now, file, waiting)
    }

    /// The next packet of a file carries this.
    pub(crate) fn carry(&mut self, file: u64, cargo: T) {
        self.outgoing.carry(file, cargo);
    }

    /// All packets of a file are there.
    pub(crate) fn put(&mut self, file: u64, packets: Vec<Bytes>) {
        if let Some(place) = self.places.remove(&file) {
            self.puts.push_back((file, place, packets));
        }
    }

    /// A file was put where it belongs, or not.
    pub(crate) fn handle_put(
        &mut self,
        now: Instant,
        file: u64,
        outcome: Result<(), FileEndReason>,
    ) -> Verdict<T> {
        if !self.busy.remove(&file) {
            // It was given up meanwhile.
            return Verdict::default();
        }
        self.outgoing.on_put(file);
        if let Err(reason) = outcome {
            return self.give_up(now, file, reason);
        }
        self.tell(file);
        Verdict::default()
    }

    /// All of a file is on its way to where it is put. Whoever fetches it is told, whose request arrives later than that.
    pub(crate) fn handle_sent(&mut self, file: u64) {
        if self.busy.contains(&file) {
            self.tell(file);
        }
    }

    /// Tells the other end of a file of ours, once.
    fn tell(&mut self, file: u64) {
        if !self.outgoing.tell(file) {
            return;
        }
        let Some(slots) = &mut self.slots else { return self.frames.push_back(FileFrame::Stored { file }) };
        let size = slots.to_bridge.on_filled(file);
        if let (Some(size), Some(url)) = (size, slots.urls.remove(&file)) {
            self.frames.push_back(FileFrame::File { file, size: size.bytes() as u64, url });
        }
    }

    /// Bytes of a file have come: takes some of them, and gives the frames of a packet that is there as a whole. To be called until none are left.
    ///
    /// # Errors
    /// They are not of the file, of which nothing more is to be read: it [ends](Self::handle_end).
    pub(crate) fn handle_bytes(&mut self, file: u64, bytes: &mut Bytes) -> Result<Option<Bytes>, NotTheFile> {
        self.incoming.on_bytes(file, bytes)
    }

    /// Whether more of a file is wanted.
    pub(crate) fn wants(&self, file: u64) -> bool {
        self.incoming.wants(file)
    }

    /// Nothing more of a file comes, for this reason.
    pub(crate) fn handle_end(&mut self, now: Instant, file: u64, reason: FileEndReason) {
        self.busy.remove(&file);
        let Some((packets, is_whole)) = self.incoming.on_over(file) else { return };
        let reason = match (is_whole, reason) {
            (true, _) => FileEndReason::Done,
            (false, FileEndReason::Done) => FileEndReason::Damaged,
            (false, reason) => reason,
        };
        self.end(now, file, packets, reason);
    }

    /// A frame of the peer's has come.
    ///
    /// # Errors
    /// It is one that this peer cannot send, or no file can be so.
    pub(crate) fn handle_frame(&mut self, now: Instant, frame: FileFrame) -> Result<Verdict<T>, Violation> {
        match (frame, &mut self.slots) {
            (FileFrame::Waiting { bytes }, Some(slots)) => {
                slots.to_client.set_waiting(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            (FileFrame::Slot { file, size, url, headers }, None) => {
                let size = FileSize::new(size).ok_or(Violation)?;
                if self.outgoing.on_slot(now, file, size) {
                    self.places.insert(file, Place { url, headers });
                }
            }
            (FileFrame::Stored { file }, Some(slots)) => {
                if let Some(size) = slots.to_client.on_filled(file)
                    && let Some(url) = slots.urls.remove(&file)
                    && self.incoming.on_file(now, file, size)
                {
                    self.urls.insert(file, url);
                }
            }
            (FileFrame::File { file, size, url }, None) => {
                let size = FileSize::new(size).ok_or(Violation)?;
                if self.frames.len() < MOST_FRAMES && self.incoming.on_file(now, file, size) {
                    self.urls.insert(file, url);
                }
            }
            (FileFrame::FileEnd { file, packets, reason }, _) => {
                return Ok(self.on_file_end(now, file, packets, reason));
            }
            _ => return Err(Violation),
        }
        Ok(Verdict::default())
    }

    /// A frame of ours has not arrived, and goes again unless it is of no use any more.
    pub(crate) fn handle_lost(&mut self, frame: FileFrame) {
        match frame {
            FileFrame::Waiting { bytes } if bytes != self.told as u64 => {}
            frame => self.frames.push_back(frame),
        }
    }

    /// How long the next frame is, in bytes.
    pub(crate) fn next_frame_len(&self) -> Option<usize> {
        self.frames.front().map(FileFrame::encoded_len)
    }

    /// The next frame to send.
    pub(crate) fn poll_frame(&mut self) -> Option<FileFrame> {
        self.frames.pop_front()
    }

    /// The next thing to do, beside what [`poll_slot`](Self::poll_slot) asks for.
    pub(crate) fn poll_task(&mut self, whose: &Whose<'_>) -> Option<FileTask> {
        let key = |number| FileKey { session: whose.session, number };
        if let Some(file) = self.cancelled.pop_front() {
            return Some(FileTask::Cancel { file: key(file) });
        }
        if let Some((file, Place { url, headers }, content)) = self.puts.pop_front() {
            self.busy.insert(file);
            let (owner, size) = (self.owner(file, whose)?, content.iter().map(Bytes::len).sum());
            return Some(FileTask::Put { file: key(file), owner, url, headers, size, content });
        }
        let (file, size) = self.incoming.poll_fetch()?;
        let url = self.urls.remove(&file)?;
        self.busy.insert(file);
        Some(FileTask::Get { file: key(file), owner: self.owner(file, whose)?, url, size: size.bytes() })
    }

    fn owner(&self, file: u64, whose: &Whose<'_>) -> Option<SlotOwner> {
        match &self.slots {
            Some(slots) => slots.asked.get(&file).map(|asked| SlotOwner::Account(asked.account)),
            None => whose.client.cloned().map(SlotOwner::Client),
        }
    }

    /// The files of which somebody has a task: it is over for all of them.
    pub(crate) fn busy(&self) -> impl Iterator<Item = u64> + '_ {
        self.busy.iter().copied()
    }

    /// Nobody waits for the outcome of a task any more.
    fn drop_task(&mut self, file: u64) {
        self.puts.retain(|(other, ..)| *other != file);
        if self.busy.remove(&file) {
            self.cancelled.push_back(file);
        }
    }

    /// How the next file went, for the account whose slot it was.
    pub(crate) fn poll_report(&mut self) -> Option<(AccountId, Report)> {
        self.reports.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let supplies = self.slots.iter().flat_map(|slots| [&slots.to_client, &slots.to_bridge]);
        let slots = supplies.filter_map(Supply::next_timeout);
        slots.chain([self.outgoing.next_timeout(), self.incoming.next_timeout()].into_iter().flatten()).min()
    }

    /// Gives up what takes too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Verdict<T> {
        let (given_up, lost) = self.outgoing.handle_timeout(now);
        for file in given_up {
            self.end(now, file, 0, FileEndReason::TooSlow);
        }
        for (file, packets) in self.incoming.handle_timeout(now) {
            self.urls.remove(&file);
            self.end(now, file, packets, FileEndReason::TooSlow);
        }
        let expired = self.slots.as_mut().map(|slots| slots.handle_timeout(now));
        expired.into_iter().flatten().for_each(|file| self.drop_task(file));
        let outgoing = &self.outgoing;
        self.places.retain(|file, _| outgoing.has_slot(*file));
        Verdict { lost, ..Verdict::default() }
    }

    /// What is kept of files of ours, and of what the peer says of its own, in bytes.
    pub(crate) fn kept(&self) -> (usize, usize) {
        let places = self.places.values().map(|place| place.url.as_str().len() + headers_len(&place.headers));
        let urls = self.urls.values().map(|url| url.as_str().len());
        let texts: usize = places.chain(urls).sum();
        let frames: usize = self.frames.iter().map(FileFrame::encoded_len).sum();
        (self.outgoing.kept(), texts + frames + self.incoming.len() * PACKET)
    }

    /// How many files of ours were begun and are not over.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.outgoing.under_way()
    }

    /// A file of ours comes to nothing.
    fn give_up(&mut self, now: Instant, file: u64, reason: FileEndReason) -> Verdict<T> {
        let verdict = self.outgoing.on_over(now, file, 0);
        self.end(now, file, 0, reason);
        verdict
    }

    /// A file is over, and the other end is told.
    fn end(&mut self, now: Instant, file: u64, packets: u64, reason: FileEndReason) {
        self.frames.push_back(FileFrame::FileEnd { file, packets, reason });
        self.on_end(now, file, reason);
    }

    /// The other end is done with a file, of ours or its own.
    fn on_file_end(&mut self, now: Instant, file: u64, packets: u64, reason: FileEndReason) -> Verdict<T> {
        self.places.remove(&file);
        self.urls.remove(&file);
        if let Some((packets, _)) = self.incoming.on_over(file) {
            // Its maker has given it up, and waits for this.
            self.frames.push_back(FileFrame::FileEnd { file, packets, reason });
        }
        self.on_end(now, file, reason);
        self.outgoing.on_over(now, file, packets)
    }

    /// A file is over, and so is its slot. Where its service is to blame, no other slot is used.
    fn on_end(&mut self, now: Instant, file: u64, reason: FileEndReason) {
        self.drop_task(file);
        let trouble = trouble_of(reason);
        match trouble {
            None => self.last_whole = Some(now),
            Some(Trouble::FileLost) => {}
            Some(_) => self.last_whole = None,
        }
        match &mut self.slots {
            Some(slots) => {
                let account = slots.on_over(now, file, reason == FileEndReason::Done);
                let report = trouble.map_or(Report::Success, Report::Trouble);
                self.reports.extend(account.map(|account| (account, report)));
            }
            None if trouble.is_some_and(|trouble| trouble != Trouble::FileLost) => {
                self.outgoing.rest(now);
                self.places.clear();
            }
            None => {}
        }
    }
}

/// What is said of a slot that was given and is not to be used.
const LEFT: FileEndReason = FileEndReason::Missing;

fn headers_len(headers: &[SlotHeader]) -> usize {
    headers.iter().map(|header| header.value().len()).sum()
}

/// What a reason means for those who come after.
fn trouble_of(reason: FileEndReason) -> Option<Trouble> {
    match reason {
        FileEndReason::Done => None,
        FileEndReason::Missing | FileEndReason::Damaged => Some(Trouble::FileLost),
        FileEndReason::TooSlow | FileEndReason::Unreachable => Some(Trouble::MayPass),
        FileEndReason::TooMuch => Some(Trouble::Enough(ENOUGH)),
        FileEndReason::BadUrl | FileEndReason::Refused => Some(Trouble::Useless),
    }
}

fn trouble_with_slot(why: NoSlot, size: FileSize) -> Trouble {
    match why {
        NoSlot::MayPass => Trouble::MayPass,
        NoSlot::Enough(rest) => Trouble::Enough(rest),
        NoSlot::TooLarge(limit) => {
            Trouble::TooLarge(size, limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
        }
        NoSlot::Useless => Trouble::Useless,
    }
}
