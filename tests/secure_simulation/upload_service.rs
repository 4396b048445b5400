//! Upload service of a simulated chat server, and the drivers that carry files to it and fetch them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hexchat_pt::protocol::AccountId;
use hexchat_pt::secure::files::{FileKey, FileTask, NoSlot, Slot, UploadService};
use hexchat_pt::secure::wire::file_frame::{FileEndReason, FileUrl};

use crate::over_ibb::OverIbb;
use crate::rng::Rng;

const SECOND: Duration = Duration::from_secs(1);
/// What a driver waits for: 20 seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// A driver asks again for a file that is not there after so long each time, in milliseconds.
const AGAIN: [u64; 5] = [50, 100, 200, 400, 800];
/// A driver hands over what comes in pieces of 16 KiB.
const PIECE: usize = 16 * 1024;

/// How a service behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Its disk, or the account's quota, is full.
    Full,
    /// Nobody is there.
    Gone,
    /// It takes connections and says nothing.
    Silent,
    /// A hundredth of its rate is left.
    Slow,
    /// It says that it has files, and has not.
    Forgetful,
    /// It changes a byte of each file.
    Damaging,
    /// It ends in the middle of each file.
    Short,
    /// What it sends goes on when the file is over.
    Endless,
}

impl Mood {
    pub(crate) const BAD: [Self; 8] = [
        Self::Full,
        Self::Gone,
        Self::Silent,
        Self::Slow,
        Self::Forgetful,
        Self::Damaging,
        Self::Short,
        Self::Endless,
    ];
}

/// What a service is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// There and back.
    pub(crate) round_trip: Duration,
    /// Bytes a second of each connection.
    pub(crate) rate: u64,
    /// What an account may put in a day.
    pub(crate) daily: u64,
    /// One in so many things goes wrong; none is 0.
    pub(crate) faults: u64,
}

impl Default for Site {
    /// Prosody at 100 ms.
    fn default() -> Self {
        Self { round_trip: SECOND / 10, rate: 3_000_000, daily: 1 << 40, faults: 0 }
    }
}

#[derive(Debug)]
struct State {
    site: Site,
    mood: Mood,
    rng: Rng,
    files: BTreeMap<String, Bytes>,
    next: u64,
    slots: usize,
    put: usize,
    fetched: usize,
}

/// A service that both programs reach.
#[derive(Clone, Debug)]
pub(crate) struct Uploads(Rc<RefCell<State>>);

impl Uploads {
    pub(crate) fn new(seed: u64, site: Site) -> Self {
        let files = BTreeMap::new();
        let (mood, rng) = (Mood::Well, Rng::new(seed));
        Self(Rc::new(RefCell::new(State { site, mood, rng, files, next: 0, slots: 0, put: 0, fetched: 0 })))
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.0.borrow_mut().mood = mood;
    }

    /// Slots that it was asked for.
    pub(crate) fn slots(&self) -> usize {
        self.0.borrow().slots
    }

    /// Bytes that were put there, and that were fetched from there.
    pub(crate) fn carried(&self) -> (usize, usize) {
        let state = self.0.borrow();
        (state.put, state.fetched)
    }

    pub(crate) fn service(&self) -> UploadService {
        UploadService { daily: self.0.borrow().site.daily, used: 0, max_file: None }
    }

    fn transfer(&self, bytes: usize) -> Duration {
        let State { site, mood, .. } = &*self.0.borrow();
        let rate = if *mood == Mood::Slow { site.rate / 100 } else { site.rate };
        Duration::from_secs_f64(bytes as f64 / rate as f64)
    }

    /// How it is to this request.
    fn mood(&self) -> Mood {
        let state = &mut *self.0.borrow_mut();
        let is_fault = state.site.faults > 0 && state.rng.chance(1, state.site.faults);
        if is_fault { state.rng.pick(&Mood::BAD) } else { state.mood }
    }

    fn round_trips(&self, count: u32) -> Duration {
        count * self.0.borrow().site.round_trip
    }

    fn slot(&self) -> Slot {
        let state = &mut *self.0.borrow_mut();
        state.next += 1;
        let url = |method: &str| FileUrl::new(&format!("https://upload.x/{method}/{}", state.next)).unwrap();
        Slot { put: url("put"), headers: Vec::new(), get: url("get") }
    }
}

/// What a driver will tell its endpoint.
#[derive(Debug)]
enum News {
    Slot(Result<Slot, NoSlot>),
    /// All of a file is on its way.
    Sent,
    Put(Result<(), FileEndReason>, String, Bytes),
    /// The service looks for the file that is fetched, and has been asked so often before.
    Look {
        url: String,
        size: usize,
        asked: usize,
    },
    Bytes(Bytes),
    End(FileEndReason),
}

/// Carries out what an endpoint wants done about files.
#[derive(Debug)]
pub(crate) struct Porter {
    uploads: Uploads,
    agenda: BTreeMap<(Instant, u64), (FileKey, News)>,
    count: u64,
    /// Bytes of slots that the endpoint says it has asked for.
    pub(crate) told: u64,
}

impl Porter {
    pub(crate) fn new(uploads: Uploads) -> Self {
        Self { uploads, agenda: BTreeMap::new(), count: 0, told: 0 }
    }

    pub(crate) fn on_online(&self, now: Instant, account: AccountId, endpoint: &mut OverIbb) {
        endpoint.handle_upload_service(now, account, Some(self.uploads.service()));
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Tells the endpoint what has happened by now.
    pub(crate) fn handle_timeout(&mut self, now: Instant, endpoint: &mut OverIbb) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let (file, news) = entry.remove();
            match news {
                News::Slot(outcome) => endpoint.handle_slot(now, file, outcome),
                News::Sent => endpoint.handle_file_sent(now, file),
                News::Look { url, size, asked } => self.look(now, file, (url, size), asked),
                News::Put(outcome, name, bytes) => {
                    let state = &mut *self.uploads.0.borrow_mut();
                    state.put += bytes.len();
                    assert!(state.files.insert(name, bytes).is_none(), "a slot is used twice");
                    endpoint.handle_put(now, file, outcome);
                }
                News::Bytes(bytes) => {
                    self.uploads.0.borrow_mut().fetched += bytes.len();
                    if !endpoint.handle_file_bytes(now, file, bytes) {
                        self.cancel(file);
                    }
                }
                News::End(reason) => endpoint.handle_file_end(now, file, reason),
            }
        }
    }

    /// Begins what the endpoint wants done.
    pub(crate) fn carry_out(&mut self, now: Instant, endpoint: &mut OverIbb) {
        while let Some(task) = endpoint.poll_file_task() {
            match task {
                FileTask::Ask { file, .. } => self.ask(now, file),
                FileTask::Put { file, url, size, content, .. } => {
                    let content: Vec<u8> = content.concat();
                    assert_eq!(content.len(), size, "a file is as long as its slot");
                    self.put(now, file, url.as_str(), content);
                }
                FileTask::Get { file, url, size, .. } => self.get(now, file, url.as_str(), size),
                FileTask::Cancel { file } => self.cancel(file),
            }
        }
        while let Some((_, bytes)) = endpoint.poll_upload_use() {
            self.told += bytes;
        }
    }

    fn later(&mut self, at: Instant, file: FileKey, news: News) {
        self.count += 1;
        self.agenda.insert((at, self.count), (file, news));
    }

    fn cancel(&mut self, file: FileKey) {
        self.agenda.retain(|_, (other, _)| *other != file);
    }

    fn ask(&mut self, now: Instant, file: FileKey) {
        self.uploads.0.borrow_mut().slots += 1;
        let (at, outcome) = match self.uploads.mood() {
            Mood::Full => (self.uploads.round_trips(1), Err(NoSlot::Enough(24 * 3600 * SECOND))),
            Mood::Gone => (self.uploads.round_trips(1), Err(NoSlot::MayPass)),
            Mood::Silent => (PATIENCE, Err(NoSlot::MayPass)),
            _ => (self.uploads.round_trips(1), Ok(self.uploads.slot())),
        };
        self.later(now + at, file, News::Slot(outcome));
    }

    fn put(&mut self, now: Instant, file: FileKey, url: &str, mut content: Vec<u8>) {
        let mood = self.uploads.mood();
        let took = self.uploads.round_trips(3) + self.uploads.transfer(content.len());
        let name = url.replace("/put/", "/get/");
        let (at, outcome) = match mood {
            Mood::Full => (self.uploads.round_trips(3), Err(FileEndReason::TooMuch)),
            Mood::Gone => (self.uploads.round_trips(1), Err(FileEndReason::Unreachable)),
            Mood::Silent => (PATIENCE, Err(FileEndReason::TooSlow)),
            _ if took > PATIENCE => (PATIENCE, Err(FileEndReason::TooSlow)),
            _ => (took, Ok(())),
        };
        match mood {
            Mood::Damaging => content[0] ^= 1,
            Mood::Short => content.truncate(content.len() / 2),
            Mood::Endless => content.extend([7; 1000]),
            _ => {}
        }
        // Whoever looks does not find it.
        let name = if mood == Mood::Forgetful || outcome.is_err() { format!("no {name}") } else { name };
        if outcome.is_ok() {
            self.later(now + at - self.uploads.round_trips(1), file, News::Sent);
        }
        self.later(now + at, file, News::Put(outcome, name, content.into()));
    }

    fn get(&mut self, now: Instant, file: FileKey, url: &str, size: usize) {
        let begins = now + self.uploads.round_trips(3);
        match self.uploads.mood() {
            Mood::Gone => return self.later(begins, file, News::End(FileEndReason::Unreachable)),
            Mood::Silent => return self.later(now + PATIENCE, file, News::End(FileEndReason::TooSlow)),
            _ => {}
        }
        self.later(begins, file, News::Look { url: url.to_owned(), size, asked: 0 });
    }

    fn look(&mut self, now: Instant, file: FileKey, (url, size): (String, usize), asked: usize) {
        let content = self.uploads.0.borrow().files.get(&url).cloned();
        let Some(mut content) = content else {
            let Some(pause) = AGAIN.get(asked) else {
                return self.later(now, file, News::End(FileEndReason::Missing));
            };
            let again = now + Duration::from_millis(*pause) + self.uploads.round_trips(1);
            return self.later(again, file, News::Look { url, size, asked: asked + 1 });
        };
        let mut got = 0;
        // A driver reads no more than there should be, but for what is in its hands already.
        while !content.is_empty() && got < size + PIECE {
            let piece = content.split_to(PIECE.min(content.len()));
            got += piece.len();
            let at = now + self.uploads.transfer(got);
            if at > now + PATIENCE {
                return self.later(now + PATIENCE, file, News::End(FileEndReason::TooSlow));
            }
            self.later(at, file, News::Bytes(piece));
        }
        self.later(now + self.uploads.transfer(got), file, News::End(FileEndReason::Done));
    }
}
