//! Small models of chat servers, in virtual time, for the tests of windows and of the scheduler.

use std::collections::VecDeque;
use std::time::Duration;

/// How a server takes blocks from one connection.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    discipline: Discipline,
    /// In one direction, without any queue.
    pub(crate) delay: Duration,
    /// The server is busy until then.
    free: Duration,
    /// What arrived and was not read yet: when, and how many bytes.
    unread: VecDeque<(Duration, usize)>,
    /// What may still pass before the shaper begins.
    burst: usize,
    /// Answers leave at multiples of this.
    pub(crate) answers_every: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Discipline {
    /// After each read it pauses for as long as its bytes take at the allowed rate.
    Shaped { read: usize, rate: usize },
    /// Each block takes so many microseconds, each 1000 bytes as many, and each full read as many again.
    Working { block: f64, kilobyte: f64, read: f64 },
}

/// The most that a server reads at once.
const READ: usize = 8192;

impl Server {
    fn new(discipline: Discipline, delay: Duration, burst: usize) -> Self {
        Self {
            discipline,
            delay,
            free: Duration::ZERO,
            unread: VecDeque::new(),
            burst,
            answers_every: Duration::from_nanos(1),
        }
    }

    /// Prosody as Debian configures it, on this machine.
    pub(crate) fn stock_prosody() -> Self {
        Self::new(Discipline::Shaped { read: READ, rate: 10_000 }, Duration::from_micros(150), 0)
    }

    /// ejabberd as Debian configures it, on this machine.
    pub(crate) fn stock_ejabberd() -> Self {
        Self::new(Discipline::Shaped { read: 65_536, rate: 3000 }, Duration::from_micros(100), 20_000)
    }

    /// A shaper like Prosody's with another rate.
    pub(crate) fn shaped(rate: usize, delay: Duration) -> Self {
        Self::new(Discipline::Shaped { read: READ, rate }, delay, 0)
    }

    /// A connection of ten megabits a second to a fast server.
    pub(crate) fn ten_megabits(delay: Duration) -> Self {
        Self::line(1_250_000.0, delay)
    }

    /// A connection to a fast server that carries so many bytes a second.
    pub(crate) fn line(rate: f64, delay: Duration) -> Self {
        Self::new(Discipline::Working { block: 0.0, kilobyte: 1e9 / rate, read: 0.0 }, delay, 0)
    }

    /// It carries so many bytes a second from now on.
    pub(crate) fn set_line_rate(&mut self, rate: f64) {
        self.discipline = Discipline::Working { block: 0.0, kilobyte: 1e9 / rate, read: 0.0 };
    }

    /// Prosody without limits, on this machine: it rests after each full read, which makes large blocks slow.
    pub(crate) fn fast_prosody() -> Self {
        let discipline = Discipline::Working { block: 150.0, kilobyte: 100.0, read: 1000.0 };
        Self::new(discipline, Duration::from_micros(150), 0)
    }

    /// ejabberd without limits, on this machine: each block costs, however small it is.
    pub(crate) fn fast_ejabberd() -> Self {
        Self::new(
            Discipline::Working { block: 60.0, kilobyte: 6.0, read: 0.0 },
            Duration::from_micros(100),
            0,
        )
    }

    /// Nothing happens before `time`.
    pub(crate) fn idle_until(&mut self, time: Duration) {
        self.free = time;
    }

    /// After what has arrived so far it does nothing for `time`.
    pub(crate) fn rest(&mut self, time: Duration) {
        self.free += time;
    }

    /// A block is sent at `at`; when its answer comes back.
    pub(crate) fn answer_time(&mut self, at: Duration, bytes: usize) -> Duration {
        let arrival = at + self.delay;
        let done = match self.discipline {
            Discipline::Working { block, kilobyte, read } => {
                let micros = block + kilobyte * bytes as f64 / 1000.0 + read * (bytes / READ) as f64;
                self.free = self.free.max(arrival) + Duration::from_nanos((micros * 1000.0) as u64);
                self.free
            }
            Discipline::Shaped { .. } => self.shaped_time(arrival, bytes),
        };
        let every = self.answers_every.as_nanos() as u64;
        Duration::from_nanos((done.as_nanos() as u64).next_multiple_of(every)) + self.delay
    }

    fn shaped_time(&mut self, arrival: Duration, bytes: usize) -> Duration {
        while self.next_read().is_some_and(|at| at < arrival) {
            self.read();
        }
        self.unread.push_back((arrival, bytes));
        // What comes later is read later, if it is not in the same read.
        let mut future = self.clone();
        let mut done = arrival;
        while let Some(at) = future.next_read() {
            done = at;
            future.read();
        }
        done
    }

    fn next_read(&self) -> Option<Duration> {
        self.unread.front().map(|(arrival, _)| self.free.max(*arrival))
    }

    fn read(&mut self) {
        let (Some(at), Discipline::Shaped { read, rate }) = (self.next_read(), self.discipline) else {
            return;
        };
        let mut room = read;
        while let Some((_, bytes)) = self.unread.front_mut().filter(|(arrival, _)| room > 0 && *arrival <= at)
        {
            let taken = room.min(*bytes);
            room -= taken;
            *bytes -= taken;
            if *bytes == 0 {
                self.unread.pop_front();
            }
        }
        let free_of_charge = self.burst.min(read - room);
        self.burst -= free_of_charge;
        self.free = at + Duration::from_secs_f64((read - room - free_of_charge) as f64 / rate as f64);
    }
}
