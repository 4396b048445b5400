//! Uplink of an account to its chat server, which reads it at a limited rate.

use std::collections::VecDeque;
use std::time::Duration;

use hexchat_pt::carrier::ibb::Outgoing;

use crate::world::Time;

/// The most that a server reads at once.
const READ: usize = 8192;

/// From an account to its chat server.
const DELAY: Duration = Duration::from_millis(5);

/// The length of an IQ's id, in characters: 128 bits in hexadecimal.
const ID: usize = 32;

/// A shaper like Prosody's: after each read it pauses for as long as its bytes take at the allowed rate.
#[derive(Debug)]
pub(crate) struct Uplink<T> {
    rate: usize,
    unread: VecDeque<Unread<T>>,
    /// The server does not read before.
    free: Time,
    /// When the next read is due, if one is.
    next_read: Option<Time>,
    pub(crate) meter: Meter,
}

#[derive(Debug)]
struct Unread<T> {
    sent: Time,
    bytes: usize,
    what: T,
}

/// What went by an uplink.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// Bytes that the server has read.
    pub(crate) read: usize,
    /// The longest that a stanza took from the account to where the server had read all of it.
    pub(crate) longest: Duration,
    /// The same, of all stanzas together, and how many there were.
    pub(crate) total: Duration,
    pub(crate) stanzas: u32,
}

impl<T> Uplink<T> {
    pub(crate) fn new(rate: usize) -> Self {
        Self { rate, unread: VecDeque::new(), free: Time::ZERO, next_read: None, meter: Meter::default() }
    }

    /// Sends a stanza of so many bytes. When the server should [`read`](Self::read), if it was not going to anyway.
    pub(crate) fn send(&mut self, now: Time, bytes: usize, what: T) -> Option<Time> {
        self.unread.push_back(Unread { sent: now, bytes, what });
        if self.next_read.is_some() {
            return None;
        }
        self.next_read = Some(self.free.max(now + DELAY));
        self.next_read
    }

    /// The server reads: the stanzas that it has got, and when it is going to read again.
    pub(crate) fn read(&mut self, now: Time) -> (Vec<T>, Option<Time>) {
        let (mut room, mut stanzas) = (READ, Vec::new());
        while let Some(first) = self.unread.front_mut().filter(|first| room > 0 && first.sent + DELAY <= now)
        {
            let taken = room.min(first.bytes);
            room -= taken;
            first.bytes -= taken;
            if first.bytes == 0
                && let Some(done) = self.unread.pop_front()
            {
                self.meter.note(now - done.sent);
                stanzas.push(done.what);
            }
        }
        self.meter.read += READ - room;
        self.free = now + Duration::from_secs_f64((READ - room) as f64 / self.rate as f64);
        self.next_read = self.unread.front().map(|first| self.free.max(first.sent + DELAY));
        (stanzas, self.next_read)
    }
}

impl Meter {
    fn note(&mut self, wait: Duration) {
        self.longest = self.longest.max(wait);
        self.total += wait;
        self.stanzas += 1;
    }

    pub(crate) fn mean(&self) -> Duration {
        self.total / self.stanzas.max(1)
    }
}

/// The length of a stanza as XML.
pub(crate) fn length(stanza: &Outgoing, to: &str) -> usize {
    const SET: &str = r#"<iq type="set" id="s" to=""></iq>"#;
    const PAYLOAD: &str = r#"< xmlns="http://jabber.org/protocol/ibb" sid=""/>"#;
    /// A UUID as text.
    const SID: usize = 36;
    let set = SET.len() + PAYLOAD.len() + ID + SID + to.len();
    match stanza {
        Outgoing::Open { .. } => set + r#"open block-size="65535" stanza="iq""#.len(),
        Outgoing::Data { seq, data, .. } => {
            let element = r#"data seq="" </data>"#.len() + digits((*seq).into());
            set + element + data.len().div_ceil(3) * 4
        }
        Outgoing::Close { .. } => set + "close".len(),
        Outgoing::Result { .. } => r#"<iq type="result" id="" to=""/>"#.len() + ID + to.len(),
        Outgoing::Refusal { .. } => 250 + ID + to.len(),
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}
