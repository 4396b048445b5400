//! Simulated session with files: a client, its server and a bridge on virtual time, with every fault that there is.
//!
//! Both ends have pieces to send. What cannot go by file goes by a slow path, as it would in a session, so that everything comes to an end.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp_parsers::jid::BareJid;

use super::{Lane, Report, Verdict, Whose};
use crate::protocol::AccountId;
use crate::secure::api::files::{FileTask, NoSlot, Slot, SlotOwner};
use crate::secure::crypto::entropy::random;
use crate::secure::crypto::entropy::testing::Seeded;
use crate::secure::crypto::file::FilesKey;
use crate::secure::crypto::keys::Side;
use crate::secure::crypto::secret::Secret;
use crate::secure::ids::SessionKey;
use crate::secure::session::files::MOST_UNDER_WAY;
use crate::secure::shared::uploads::allowance::Allowance;
use crate::secure::wire::file_frame::{FileEndReason, FileFrame, FileUrl};

/// A piece of what is sent: 16,000 bytes, of which a packet of a file carries one.
pub(super) const PIECE: usize = 16_000;

/// How long a piece takes by the slow path: 2 seconds, at 8 kB/s.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// Longer than anything takes in the tests if all of it goes by the slow path: 20 minutes.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The client's account.
pub(super) const OURS: AccountId = AccountId(1);

/// Which end it is.
const CLIENT: usize = 0;
const BRIDGE: usize = 1;

/// What happens at a later time, and at which end.
#[derive(Debug)]
enum Event {
    /// The server gives the client a slot, or not.
    Slot {
        file: u64,
        is_given: bool,
    },
    /// A frame comes, or its sender takes it for lost, or both.
    Frame {
        to: usize,
        frame: FileFrame,
    },
    LostFrame {
        from: usize,
        frame: FileFrame,
    },
    /// A file was put, or not.
    Put {
        by: usize,
        file: u64,
        outcome: Result<Bytes, FileEndReason>,
    },
    /// All of a file is on its way.
    Sent {
        by: usize,
        file: u64,
    },
    /// So much of a file was fetched.
    Got {
        by: usize,
        file: u64,
        bytes: usize,
    },
    /// The slow path has delivered a piece.
    Slowly {
        from: usize,
        piece: u32,
    },
    /// Somebody's time is over.
    Timeout,
}

/// How much goes wrong, and how much may be uploaded.
#[derive(Clone, Copy)]
pub(super) struct Luck {
    /// In a hundred.
    pub(super) faults: u64,
    /// In bytes.
    pub(super) daily: usize,
}

/// One end of the session.
struct End {
    lane: Lane<u32>,
    backlog: VecDeque<u32>,
    is_slow_path_busy: bool,
    /// Of its own pieces, those that it knows to have arrived.
    arrived: BTreeSet<u32>,
    /// Of the other's.
    delivered: BTreeSet<u32>,
}

impl End {
    fn new(side: Side, pieces: u32) -> Self {
        Self {
            lane: Lane::new(&FilesKey(Secret::new([1; 32])), side),
            backlog: (0..pieces).collect(),
            is_slow_path_busy: false,
            arrived: BTreeSet::new(),
            delivered: BTreeSet::new(),
        }
    }

    fn settle(&mut self, verdict: Verdict<u32>) {
        self.arrived.extend(verdict.arrived);
        self.backlog.extend(verdict.lost);
    }
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) start: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    pub(super) count: u64,
    timeouts: BTreeSet<Instant>,
    entropy: Seeded,
    luck: Luck,
    allowance: Allowance,
    ends: [End; 2],
    pieces: [u32; 2],
    /// What is at the server.
    files: BTreeMap<u64, Bytes>,
    made: BTreeSet<u64>,
    pub(super) asked: usize,
    pub(super) by_file: usize,
}

impl World {
    pub(super) fn new(seed: u64, pieces: [u32; 2], luck: Luck) -> Self {
        let start = Instant::now();
        Self {
            now: start,
            start,
            events: BTreeMap::new(),
            count: 0,
            timeouts: BTreeSet::new(),
            entropy: Seeded(seed),
            luck,
            allowance: Allowance::new(luck.daily, None),
            ends: [End::new(Side::Client, pieces[CLIENT]), End::new(Side::Bridge, pieces[BRIDGE])],
            pieces,
            files: BTreeMap::new(),
            made: BTreeSet::new(),
            asked: 0,
            by_file: 0,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        u64::from_be_bytes(random(&mut self.entropy)) % below
    }

    fn goes_wrong(&mut self) -> bool {
        self.draw(100) < self.luck.faults
    }

    /// Usually some hundred milliseconds; where it goes wrong, up to half a minute.
    fn soon(&mut self, event: Event) {
        let most = if self.goes_wrong() { 30_000 } else { 300 };
        let after = Duration::from_millis(20 + self.draw(most));
        self.later(after, event);
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + after, self.count), event);
    }

    /// Lets everything come to its end.
    pub(super) fn run(mut self) -> Self {
        self.go_on();
        while !self.is_over() {
            let ((at, _), event) = self.events.pop_first().expect("something happens");
            assert!(at <= self.start + PATIENCE, "it does not come to an end");
            self.now = at;
            self.handle(event);
            for end in &mut self.ends {
                let verdict = end.lane.handle_timeout(at);
                end.settle(verdict);
            }
            self.go_on();
            self.check();
        }
        self
    }

    fn is_over(&self) -> bool {
        [(CLIENT, BRIDGE), (BRIDGE, CLIENT)].into_iter().all(|(from, to)| {
            let all = self.pieces[from] as usize;
            self.ends[from].arrived.len() == all && self.ends[to].delivered.len() == all
        })
    }

    fn check(&self) {
        assert!(self.ends[CLIENT].arrived.is_subset(&self.ends[BRIDGE].delivered), "what arrived is there");
        assert!(self.ends[BRIDGE].arrived.is_subset(&self.ends[CLIENT].delivered), "what arrived is there");
        assert!(self.asked <= self.luck.daily, "{} were asked for", self.asked);
        // Those that the client has given up are not over at the bridge until it hears that.
        assert!(self.ends[CLIENT].lane.under_way() <= MOST_UNDER_WAY + 1);
        assert!(self.ends[BRIDGE].lane.under_way() <= 2 * (MOST_UNDER_WAY + 1));
    }

    fn handle(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Slot { file, is_given: true } => self.ends[CLIENT].lane.handle_slot(now, file, slot(file)),
            Event::Slot { file, is_given: false } => {
                self.ends[CLIENT].lane.handle_no_slot(now, file, NoSlot::MayPass);
            }
            Event::Frame { to, frame } => {
                let verdict = self.ends[to].lane.handle_frame(now, frame).unwrap();
                self.ends[to].settle(verdict);
            }
            Event::LostFrame { from, frame } => self.ends[from].lane.handle_lost(frame),
            Event::Put { by, file, outcome } => {
                let outcome = outcome.map(|bytes| assert!(self.files.insert(file, bytes).is_none()));
                let verdict = self.ends[by].lane.handle_put(now, file, outcome);
                self.ends[by].settle(verdict);
            }
            Event::Sent { by, file } => self.ends[by].lane.handle_sent(file),
            Event::Got { by, file, bytes } => self.on_got(by, file, bytes),
            Event::Slowly { from, piece } => {
                self.ends[from].is_slow_path_busy = false;
                self.ends[from].arrived.insert(piece);
                self.ends[1 - from].delivered.insert(piece);
            }
            Event::Timeout => {}
        }
    }

    /// Opens what was fetched of a file.
    fn on_got(&mut self, by: usize, file: u64, length: usize) {
        let Some(bytes) = self.files.get(&file) else {
            // All of it was on its way, and nothing has come.
            return self.ends[by].lane.handle_end(self.now, file, FileEndReason::Missing);
        };
        let mut bytes = bytes.slice(..length);
        while !bytes.is_empty() {
            match self.ends[by].lane.handle_bytes(file, &mut bytes) {
                Ok(Some(frames)) => self.take(by, &frames),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        self.ends[by].lane.handle_end(self.now, file, FileEndReason::Done);
    }

    /// A packet has the number of a piece, counted from 1, or nothing but padding.
    fn take(&mut self, by: usize, frames: &[u8]) {
        let number = u32::from_be_bytes(frames[..4].try_into().unwrap());
        if let Some(piece) = number.checked_sub(1) {
            self.ends[by].delivered.insert(piece);
            self.by_file += 1;
        }
    }

    /// Does what can be done now.
    fn go_on(&mut self) {
        for end in [CLIENT, BRIDGE] {
            while let Some((file, _)) =
                self.ends[end].lane.best(self.now, self.ends[end].backlog.len() * PIECE)
            {
                self.make(end, file);
            }
            self.send_slowly(end);
            let waiting = self.ends[end].backlog.len() * PIECE;
            self.ends[end].lane.set_waiting(waiting);
            self.carry_out_orders(end);
            while let Some(frame) = self.ends[end].lane.poll_frame() {
                self.send(end, frame);
            }
            let timeout = self.ends[end].lane.next_timeout();
            if let Some(at) = timeout.filter(|at| *at > self.now && self.timeouts.insert(*at)) {
                self.later(at - self.now, Event::Timeout);
            }
        }
        while let Some((account, report)) = self.ends[CLIENT].lane.poll_report() {
            match report {
                Report::Success => self.allowance.on_success(),
                Report::Trouble(trouble) => self.allowance.on_trouble(self.now, trouble),
            }
            if self.allowance.left(self.now) == 0 {
                self.ends[CLIENT].lane.leave(account);
            }
        }
        self.ask_for_slots();
    }

    fn ask_for_slots(&mut self) {
        while let Some((file, size)) =
            self.ends[CLIENT].lane.poll_slot(self.now, (OURS, &mut self.allowance), &mut self.entropy)
        {
            self.asked += size.bytes();
            let is_given = !self.goes_wrong();
            self.soon(Event::Slot { file, is_given });
        }
    }

    fn send_slowly(&mut self, from: usize) {
        let end = &mut self.ends[from];
        if !end.is_slow_path_busy
            && let Some(piece) = end.backlog.pop_front()
        {
            end.is_slow_path_busy = true;
            self.later(SLOW, Event::Slowly { from, piece });
        }
    }

    /// Some frames are lost; of those that are taken for lost, some are not.
    fn send(&mut self, from: usize, frame: FileFrame) {
        let is_lost = self.goes_wrong();
        if is_lost {
            self.soon(Event::LostFrame { from, frame: frame.clone() });
        }
        if !is_lost || self.goes_wrong() {
            self.soon(Event::Frame { to: 1 - from, frame });
        }
    }

    fn carry_out_orders(&mut self, by: usize) {
        while let Some(task) = poll_task(&mut self.ends[by].lane) {
            match task {
                FileTask::Put { file, owner, url, size, content, .. } => {
                    assert_eq!((owner, url), (owner_at(by), slot(file.number).put));
                    assert_eq!(content.iter().map(Bytes::len).sum::<usize>(), size);
                    let outcome = self.put(content.concat());
                    self.soon(Event::Sent { by, file: file.number });
                    self.soon(Event::Put { by, file: file.number, outcome });
                }
                FileTask::Get { file, owner, url, size } => {
                    assert_eq!((owner, url), (owner_at(by), slot(file.number).get));
                    let bytes = self.length(size);
                    self.soon(Event::Got { by, file: file.number, bytes });
                }
                // What has begun goes on, and nobody waits for it.
                FileTask::Cancel { .. } => {}
                FileTask::Ask { .. } => unreachable!("slots are asked for elsewhere"),
            }
        }
    }

    /// Now and then a file is refused, or damaged.
    fn put(&mut self, mut file: Vec<u8>) -> Result<Bytes, FileEndReason> {
        if self.goes_wrong() {
            let reasons = [FileEndReason::Missing, FileEndReason::Unreachable, FileEndReason::TooSlow];
            return Err(reasons[self.draw(3) as usize]);
        }
        if self.goes_wrong() {
            let place = self.draw(file.len() as u64) as usize;
            file[place] ^= 1;
        }
        Ok(file.into())
    }

    /// How much of a file comes.
    fn length(&mut self, size: usize) -> usize {
        if self.goes_wrong() { self.draw(size as u64) as usize } else { size }
    }

    /// Fills a file with what waits.
    fn make(&mut self, by: usize, file: u64) {
        assert!(self.made.insert(file), "{file} is made twice");
        let End { lane, backlog, .. } = &mut self.ends[by];
        let mut sealer = lane.begin(self.now, file, 60_000).unwrap();
        let mut packets = Vec::new();
        while sealer.room() > 0 {
            let piece = if sealer.room() >= PIECE { backlog.pop_front() } else { None };
            if let Some(piece) = piece {
                lane.carry(file, piece);
            }
            let frames = piece.map(|piece| (piece + 1).to_be_bytes().to_vec());
            packets.push(sealer.seal(frames.unwrap_or_default()).unwrap());
        }
        lane.put(file, packets);
    }
}

/// The slot of this file.
fn slot(file: u64) -> Slot {
    let url = |method: &str| FileUrl::new(&format!("https://upload.example/{method}/{file}")).unwrap();
    Slot { put: url("put"), headers: Vec::new(), get: url("get") }
}

fn client() -> BareJid {
    BareJid::new("client@chat.example").unwrap()
}

/// Whose slots the files of either end are in.
fn owner_at(end: usize) -> SlotOwner {
    if end == CLIENT { SlotOwner::Account(OURS) } else { SlotOwner::Client(client()) }
}

/// The next thing to do at an end.
pub(super) fn poll_task(lane: &mut Lane<u32>) -> Option<FileTask> {
    lane.poll_task(&Whose { session: SessionKey(1), client: Some(&client()) })
}
