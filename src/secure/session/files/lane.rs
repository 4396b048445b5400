//! Lane: all files of one session at one of its ends, both ways.
//!
//! As the cores are used: hand in what happened (`handle_*`), say what waits, send what [`poll_frame`](Lane::poll_frame) has, and carry out what
//! [`poll_order`](Lane::poll_order) has. Frames can be lost, and then go again; they can come twice and in any order. Whoever has the lane
//! settles the [`Verdict`]s: what has arrived is done with, and what is lost goes again.

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::secure::crypto::entropy::Entropy;
use crate::secure::crypto::file::{FileSealer, FileSize, FilesKey, NotTheFile};
use crate::secure::crypto::keys::Side;
use crate::secure::session::files::allowance::{Allowance, Trouble};
use crate::secure::session::files::incoming::Incoming;
use crate::secure::session::files::outgoing::{Outgoing, Verdict};
use crate::secure::session::files::supply::Supply;
use crate::secure::wire::file_frame::{FileEndReason, FileFrame, FileUrl, SlotHeader};

/// How long a service that takes no more is left alone: 24 hours, after which quotas are those of another day.
const ENOUGH: Duration = Duration::from_secs(24 * 60 * 60);

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Put a file somewhere; [`handle_put`](Lane::handle_put) says what became of it.
    Put {
        /// Its number.
        file: u64,
        /// Where.
        place: Put,
        /// Its packets, one after the other.
        packets: Vec<Bytes>,
    },
    /// Fetch a file; [`handle_bytes`](Lane::handle_bytes) takes what comes, and [`handle_end`](Lane::handle_end) is told when no more does.
    Get {
        /// Its number.
        file: u64,
        /// How long it is.
        size: FileSize,
        /// Where it is.
        url: FileUrl,
    },
}

/// Where a file is put, and with which headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) url: FileUrl,
    pub(crate) headers: Vec<SlotHeader>,
}

/// A slot, as a client's server gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) put: Put,
    pub(crate) get: FileUrl,
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

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToClient,
    ToBridge,
}

/// What only a client has: slots of its server.
#[derive(Debug)]
struct Slots {
    to_client: Supply,
    to_bridge: Supply,
    next_number: u64,
    /// The way that each file that was asked for goes.
    directions: BTreeMap<u64, Direction>,
    /// Where files are that were or will be put.
    urls: BTreeMap<u64, FileUrl>,
}

impl Slots {
    fn new() -> Self {
        Self {
            to_client: Supply::new(),
            to_bridge: Supply::new(),
            next_number: 0,
            directions: BTreeMap::new(),
            urls: BTreeMap::new(),
        }
    }

    fn supply(&mut self, direction: Direction) -> &mut Supply {
        match direction {
            Direction::ToClient => &mut self.to_client,
            Direction::ToBridge => &mut self.to_bridge,
        }
    }

    /// A file is over; whether it was not yet.
    fn on_over(&mut self, file: u64, is_whole: bool) -> bool {
        self.urls.remove(&file);
        let Some(direction) = self.directions.remove(&file) else { return false };
        self.supply(direction).on_over(file, is_whole);
        true
    }

    fn handle_timeout(&mut self, now: Instant) {
        let mut expired = self.to_client.handle_timeout(now);
        expired.extend(self.to_bridge.handle_timeout(now));
        for file in expired {
            self.directions.remove(&file);
            self.urls.remove(&file);
        }
    }
}

/// See the [module](self). `T` is what one packet of a file carries.
#[derive(Debug)]
pub(crate) struct Lane<T> {
    /// On a client alone.
    slots: Option<Slots>,
    outgoing: Outgoing<T>,
    incoming: Incoming,
    /// Where files can be put that were not begun.
    places: BTreeMap<u64, Put>,
    /// Where files are that wait to be fetched.
    urls: BTreeMap<u64, FileUrl>,
    /// What waits, as a bridge has said it last, in bytes.
    told: usize,
    frames: VecDeque<FileFrame>,
    orders: VecDeque<Order>,
    reports: VecDeque<Report>,
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
            orders: VecDeque::new(),
            reports: VecDeque::new(),
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

    /// The next slot that the client's server is to be asked for: the number of the file and its size.
    pub(crate) fn poll_slot(
        &mut self,
        now: Instant,
        allowance: &mut Allowance,
        entropy: &mut dyn Entropy,
    ) -> Option<(u64, FileSize)> {
        let slots = self.slots.as_mut()?;
        for direction in [Direction::ToClient, Direction::ToBridge] {
            let mut number = slots.next_number;
            if let Some(asked) = slots.supply(direction).poll(now, &mut number, allowance, entropy) {
                slots.next_number = number;
                slots.directions.insert(asked.0, direction);
                return Some(asked);
            }
        }
        None
    }

    /// The client's server has given a slot.
    pub(crate) fn handle_slot(&mut self, now: Instant, file: u64, slot: Slot) {
        let Some(slots) = &mut self.slots else { return };
        let Some(direction) = slots.directions.get(&file).copied() else { return };
        let Some(size) = slots.supply(direction).on_slot(now, file) else { return };
        slots.urls.insert(file, slot.get);
        let Put { url, headers } = slot.put;
        match direction {
            Direction::ToClient => {
                self.frames.push_back(FileFrame::Slot { file, size: size.bytes() as u64, url, headers });
            }
            Direction::ToBridge => {
                self.outgoing.on_slot(now, file, size);
                self.places.insert(file, Put { url, headers });
            }
        }
    }

    /// The client's server has given none. What is to be done about it is between it and the account.
    pub(crate) fn handle_no_slot(&mut self, file: u64) {
        if let Some(slots) = &mut self.slots {
            slots.on_over(file, false);
        }
    }

    /// The file that so much would fill, and how long it would take, if that is known.
    pub(crate) fn best(&self, waiting: usize) -> Option<(u64, Option<Duration>)> {
        self.outgoing.best(waiting)
    }

    /// Begins a file. What its packets carry is told by [`carry`](Self::carry), and the packets go by [`put`](Self::put).
    pub(crate) fn begin(&mut self, now: Instant, file: u64) -> Option<FileSealer> {
        self.outgoing.begin(now, file)
    }

    /// The next packet of a file carries this.
    pub(crate) fn carry(&mut self, file: u64, cargo: T) {
        self.outgoing.carry(file, cargo);
    }

    /// All packets of a file are there.
    pub(crate) fn put(&mut self, file: u64, packets: Vec<Bytes>) {
        if let Some(place) = self.places.remove(&file) {
            self.orders.push_back(Order::Put { file, place, packets });
        }
    }

    /// A file was put where it belongs, or not.
    pub(crate) fn handle_put(
        &mut self,
        now: Instant,
        file: u64,
        outcome: Result<(), FileEndReason>,
    ) -> Verdict<T> {
        match (outcome, &mut self.slots) {
            (Ok(()), None) => self.frames.push_back(FileFrame::Stored { file }),
            (Ok(()), Some(slots)) => {
                let size = slots.to_bridge.on_filled(file);
                if let (Some(size), Some(url)) = (size, slots.urls.remove(&file)) {
                    self.frames.push_back(FileFrame::File { file, size: size.bytes() as u64, url });
                }
            }
            (Err(reason), _) => return self.give_up(now, file, reason),
        }
        Verdict::default()
    }

    /// Bytes of a file have come: takes some of them, and gives the frames of a packet that is there as a whole. To be called until none are left.
    ///
    /// # Errors
    /// They are not of the file, of which nothing more is to be read: it [ends](Self::handle_end).
    pub(crate) fn handle_bytes(&mut self, file: u64, bytes: &mut Bytes) -> Result<Option<Bytes>, NotTheFile> {
        self.incoming.on_bytes(file, bytes)
    }

    /// Nothing more of a file comes, for this reason.
    pub(crate) fn handle_end(&mut self, file: u64, reason: FileEndReason) {
        let Some((packets, is_whole)) = self.incoming.on_over(file) else { return };
        let reason = match (is_whole, reason) {
            (true, _) => FileEndReason::Done,
            (false, FileEndReason::Done) => FileEndReason::Damaged,
            (false, reason) => reason,
        };
        self.end(file, packets, reason);
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
                    self.places.insert(file, Put { url, headers });
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
                if self.incoming.on_file(now, file, size) {
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

    /// The next frame to send.
    pub(crate) fn poll_frame(&mut self) -> Option<FileFrame> {
        self.frames.pop_front()
    }

    /// The next thing to do.
    pub(crate) fn poll_order(&mut self) -> Option<Order> {
        if let Some(order) = self.orders.pop_front() {
            return Some(order);
        }
        let (file, size) = self.incoming.poll_fetch()?;
        let url = self.urls.remove(&file)?;
        Some(Order::Get { file, size, url })
    }

    /// How the next file went, for the account whose slot it was.
    pub(crate) fn poll_report(&mut self) -> Option<Report> {
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
        let mut verdict = Verdict::default();
        for (file, lost) in self.outgoing.handle_timeout(now) {
            verdict.lost.extend(lost);
            self.end(file, 0, FileEndReason::TooSlow);
        }
        for (file, packets) in self.incoming.handle_timeout(now) {
            self.urls.remove(&file);
            self.end(file, packets, FileEndReason::TooSlow);
        }
        if let Some(slots) = &mut self.slots {
            slots.handle_timeout(now);
        }
        let outgoing = &self.outgoing;
        self.places.retain(|file, _| outgoing.has_slot(*file));
        verdict
    }

    /// How many files of ours were begun and are not over.
    pub(crate) fn under_way(&self) -> usize {
        self.outgoing.under_way()
    }

    /// A file of ours comes to nothing.
    fn give_up(&mut self, now: Instant, file: u64, reason: FileEndReason) -> Verdict<T> {
        let verdict = self.outgoing.on_over(now, file, 0);
        self.end(file, 0, reason);
        verdict
    }

    /// A file is over, and the other end is told.
    fn end(&mut self, file: u64, packets: u64, reason: FileEndReason) {
        self.frames.push_back(FileFrame::FileEnd { file, packets, reason });
        self.report(file, reason);
    }

    /// The other end is done with a file, of ours or its own.
    fn on_file_end(&mut self, now: Instant, file: u64, packets: u64, reason: FileEndReason) -> Verdict<T> {
        self.places.remove(&file);
        self.urls.remove(&file);
        self.incoming.on_over(file);
        self.report(file, reason);
        self.outgoing.on_over(now, file, packets)
    }

    /// On a client: its slot is over.
    fn report(&mut self, file: u64, reason: FileEndReason) {
        let is_whole = reason == FileEndReason::Done;
        let Some(slots) = &mut self.slots else { return };
        if slots.on_over(file, is_whole) {
            let report = trouble_of(reason).map_or(Report::Success, Report::Trouble);
            self.reports.push_back(report);
        }
    }
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
