//! Window of replies to strangers: how much of them may be on its way at a time. Pure.
//!
//! An answer once written cannot be overtaken any more, whether it waits in our kernel or at a server that limits our rate, and delays
//! everything behind it. So few are on their way until the server shows that it has read them.

use std::time::{Duration, Instant};

/// Bytes of them on their way on a slow connection, at most: a server with a usual limit of 10 kB/s reads that in 0.4 seconds.
const NARROW: usize = 4 * 1024;

/// Bytes of them on their way while something of ours goes as well, at most: the same server reads that in 0.1 seconds, and it is
/// room for three usual ones.
const LEAST: usize = 1024;

/// Bytes of them on their way on a fast connection, at most, where more of it is on the wires.
const WIDE: usize = 16 * 1024;

/// Prompt answers of the server in a row that make a connection a fast one: it has read 24 KiB then, and a server with a limit lets
/// no more than two seconds' worth of it through at once.
const OFTEN: u32 = 12;

/// A server that answers a ping within 150 ms reads as fast as we write: there and back again takes less nearly everywhere, and
/// a server with a limit of 10 kB/s takes longer for half of [`NARROW`] alone.
const PROMPT_PONG: Duration = Duration::from_millis(150);

/// A server that has not answered for so long never will. The connection itself is given up not much later.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server is not known to have read, and may not be more than so much. When it is, the server is asked for an
/// answer, behind all of it: a ping, as any client sends. It is asked when half is used up, so that whoever asks one
/// question after the other never waits for it.
#[derive(Default)]
pub(super) struct Window {
    in_flight: usize,
    ping: Option<Ping>,
    /// Whether something of ours was sent since the server was asked last, and whether it was before, from one question to the next.
    is_busy: bool,
    was_busy: bool,
    /// How often the server was prompt, since it last was not.
    prompt: u32,
}

struct Ping {
    id: String,
    sent: Instant,
    /// How much was sent before it.
    behind: usize,
}

impl Window {
    /// Whether another answer may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limit()
    }

    /// An answer was sent.
    pub(super) fn on_sent(&mut self, length: usize) {
        self.in_flight += length;
    }

    /// Something of ours was sent.
    pub(super) fn on_ours_sent(&mut self) {
        self.is_busy = true;
    }

    /// Whether the server is to be asked for an answer.
    pub(super) fn wants_ping(&self, now: Instant) -> bool {
        self.in_flight >= self.limit() / 2 && (self.ping.is_none() || self.is_given_up(now))
    }

    /// It is asked, by a stanza with this id.
    pub(super) fn on_ping(&mut self, now: Instant, id: String) {
        if let Some(unanswered) = self.ping.take() {
            self.confirm(unanswered.behind);
            self.prompt = 0;
        }
        self.ping = Some(Ping { id, sent: now, behind: self.in_flight });
        self.was_busy = std::mem::take(&mut self.is_busy);
    }

    /// Whether an answer with this id is the one that was asked for.
    pub(super) fn on_answer(&mut self, now: Instant, id: &str) -> bool {
        let Some(ping) = self.ping.take_if(|ping| ping.id == id) else { return false };
        self.confirm(ping.behind);
        if now.saturating_duration_since(ping.sent) >= PROMPT_PONG {
            self.prompt = 0;
        } else if ping.behind >= NARROW / 2 {
            // Less proves nothing: a slow server reads that as soon.
            self.prompt = self.prompt.saturating_add(1);
        }
        true
    }

    fn limit(&self) -> usize {
        if self.prompt >= OFTEN {
            WIDE
        } else if self.is_busy || self.was_busy {
            LEAST
        } else {
            NARROW
        }
    }

    fn confirm(&mut self, length: usize) {
        self.in_flight = self.in_flight.saturating_sub(length);
    }

    fn is_given_up(&self, now: Instant) -> bool {
        self.ping.as_ref().is_some_and(|ping| now.saturating_duration_since(ping.sent) >= PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const ANSWER: usize = 320;

    /// A stranger who asks without end, at a server that reads 10 kB/s, beside `ours` bytes that are always on their way: what part of
    /// the rate goes to the stranger in a minute.
    fn part_of_a_flood(ours: usize) -> f64 {
        let (start, mut window) = (Instant::now(), Window::default());
        let (mut time, mut strangers, mut own) = (Duration::ZERO, 0, 0);
        // Each with its length, in the order in which the server reads: ours, to strangers, or a ping.
        let mut wire = VecDeque::from([(Kind::Ours, ours / 4); 4]);
        while time < Duration::from_secs(60) {
            loop {
                if window.wants_ping(start + time) {
                    window.on_ping(start + time, "ping".to_owned());
                    wire.push_back((Kind::Ping, 120));
                } else if window.has_room() {
                    window.on_sent(ANSWER);
                    wire.push_back((Kind::Stranger, ANSWER));
                } else {
                    break;
                }
            }
            let Some((kind, length)) = wire.pop_front() else { break };
            time += Duration::from_secs_f64(length as f64 / 10_000.0);
            match kind {
                Kind::Ours => {
                    own += length;
                    window.on_ours_sent();
                    wire.push_back((Kind::Ours, length));
                }
                Kind::Stranger => strangers += length,
                Kind::Ping => drop(window.on_answer(start + time, "ping")),
            }
        }
        strangers as f64 / (strangers + own) as f64
    }

    #[derive(Clone, Copy)]
    enum Kind {
        Ours,
        Stranger,
        Ping,
    }

    #[test]
    fn beside_a_transfer_a_flood_of_questions_gets_a_small_part_of_a_slow_account() {
        let part = part_of_a_flood(6_000);
        assert!((0.02..0.2).contains(&part), "{part}");
    }

    #[test]
    fn beside_little_it_gets_most_of_what_is_left() {
        let part = part_of_a_flood(400);
        assert!(part > 0.6, "{part}");
    }

    #[test]
    fn a_transfer_that_is_over_leaves_strangers_the_whole_window_again() {
        let (mut window, now) = (Window::default(), Instant::now());
        let fill = |window: &mut Window| {
            let mut sent = 0;
            while window.has_room() {
                window.on_sent(ANSWER);
                sent += ANSWER;
            }
            sent
        };
        for _ in 0..10 {
            fill(&mut window);
            window.on_ours_sent();
            window.on_ping(now, "busy".to_owned());
            window.on_answer(now + Duration::from_secs(1), "busy");
        }
        assert!(fill(&mut window) <= LEAST + ANSWER);
        for _ in 0..2 {
            window.on_ping(now, "quiet".to_owned());
            window.on_answer(now + Duration::from_secs(1), "quiet");
        }
        assert!(fill(&mut window) > NARROW - ANSWER);
    }
}
