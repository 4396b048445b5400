//! Relay of a session: a byte stream through the proxy of the client's server (XEP-0065), which both ends call (doc/lanes.md).
//!
//! The client connects to the proxy of its server and tells the bridge where that is; once the bridge says that it is there, too, the
//! client has the proxy join the two connections. From then on the relay is one more path of the session. There is one at a time. A client
//! whose relay has come to nothing leaves proxies alone for a while.
//!
//! Hand in what happened (`handle_*`), send what [`poll_frame`](Relay::poll_frame) has, carry out what [`poll_task`](Relay::poll_task) has.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::AccountId;
use crate::secure::api::relays::{RelayKey, RelaySeals, RelayTask};
use crate::secure::crypto::keys::Side;
use crate::secure::crypto::relay::RelaysKey;
use crate::secure::ids::SessionKey;
use crate::secure::wire::relay_frame::{RelayEndReason, RelayFrame, Rendezvous};

/// How long it may take until a relay carries something: 30 seconds, in which all that both ends wait for has timed out.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long proxies are left alone after the first failure: 10 seconds, and twice as long after each that follows it.
const FIRST_REST: Duration = Duration::from_secs(10);

/// The longest time for which they are: 1 hour.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

/// A relay that has carried for 1 minute was a good one: its end is no failure.
const GOOD: Duration = Duration::from_secs(60);

/// A bridge calls a proxy for a session once in 5 seconds at most: no client rests for less, and nobody can have a bridge dial again and
/// again.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// Frames that wait until there is room for them, at most: 8. One relay makes two.
const MOST_FRAMES: usize = 8;

/// Whose relay it is.
#[derive(Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) session: SessionKey,
    /// On a bridge, the account that shook hands.
    pub(crate) client: Option<&'a BareJid>,
}

/// The peer says what only this end may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Relay {
    key: RelaysKey,
    side: Side,
    /// The lowest number that no relay has had yet, nor any above it.
    next_number: u64,
    current: Option<Current>,
    /// Before this time no other relay is begun.
    rests_until: Option<Instant>,
    /// How many have failed in a row.
    failures: u32,
    frames: VecDeque<RelayFrame>,
    /// Each about the relay of this number.
    tasks: VecDeque<(u64, Task)>,
    /// The account that stood for a relay that is over, until somebody has asked for it.
    over: Option<AccountId>,
    /// The account that stood for a relay last, be it over.
    last_account: Option<AccountId>,
    /// The number of the relay that was over last, and why.
    last_end: Option<(u64, RelayEndReason)>,
}

/// The relay that there is just now.
#[derive(Debug)]
struct Current {
    number: u64,
    stage: Stage,
    /// When it was begun; once it is up, when that was.
    since: Instant,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A client's connects to the proxy.
    Finding,
    /// The bridge was told of it.
    Offered,
    /// Both are there, and the proxy was asked to join them.
    Activating,
    /// A bridge's connects to the proxy.
    Joining,
    /// It has, and waits for the client to begin.
    Joined,
    /// It carries: this account stands for it.
    Up(AccountId),
}

/// Who ends a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Us,
    Peer,
}

#[derive(Debug, PartialEq, Eq)]
enum Task {
    Find(AccountId, FullJid),
    Join(Rendezvous),
    Activate,
    Leave { reason: RelayEndReason, by_peer: bool },
}

impl Relay {
    pub(crate) fn new(key: RelaysKey, side: Side) -> Self {
        Self {
            key,
            side,
            next_number: 0,
            current: None,
            rests_until: None,
            failures: 0,
            frames: VecDeque::new(),
            tasks: VecDeque::new(),
            over: None,
            last_account: None,
            last_end: None,
        }
    }

    // What is known of it.

    /// The account that stands for the relay, while it carries.
    pub(crate) fn account(&self) -> Option<AccountId> {
        match self.current.as_ref()?.stage {
            Stage::Up(account) => Some(account),
            _ => None,
        }
    }

    /// The same, and afterwards, until another account stands for one.
    pub(crate) fn last_account(&self) -> Option<AccountId> {
        self.last_account
    }

    /// The number of the relay that there is, of which the driver has something.
    pub(crate) fn number(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.number)
    }

    /// Why the relay of this number is over, or would be if its session were now. Where another one has come and gone since, it is as if
    /// that had taken its place.
    pub(crate) fn end_of(&self, number: u64) -> RelayEndReason {
        self.last_end.filter(|(last, _)| *last == number).map_or(RelayEndReason::Done, |(_, reason)| reason)
    }

    /// Whether a client would begin one now.
    pub(crate) fn is_wanted(&self, now: Instant) -> bool {
        self.current.is_none() && self.rests_until.is_none_or(|until| until <= now)
    }

    // What happens.

    /// A client begins one, at the proxy of this account's server, for the peer with this name.
    pub(crate) fn begin(&mut self, now: Instant, account: AccountId, peer: FullJid) {
        self.start(now, self.next_number, Stage::Finding, Task::Find(account, peer));
    }

    fn start(&mut self, now: Instant, number: u64, stage: Stage, task: Task) {
        self.current = Some(Current { number, stage, since: now });
        self.next_number = number + 1;
        self.tasks.push_back((number, task));
    }

    /// A client is connected to a proxy: the bridge is told where.
    pub(crate) fn handle_found(&mut self, number: u64, rendezvous: Rendezvous) {
        if self.advance(number, Stage::Finding, Stage::Offered) {
            self.say(RelayFrame::Relay { relay: number, rendezvous });
        }
    }

    /// A bridge is connected to the proxy: the client is told.
    pub(crate) fn handle_joined(&mut self, number: u64) {
        if self.advance(number, Stage::Joining, Stage::Joined) {
            self.say(RelayFrame::Joined { relay: number });
        }
    }

    /// It carries, and this account stands for it from now on. False when nobody needs it any more.
    pub(crate) fn handle_up(&mut self, now: Instant, number: u64, account: AccountId) -> bool {
        let before = match self.side {
            Side::Client => Stage::Activating,
            Side::Bridge => Stage::Joined,
        };
        let is_up = self.advance(number, before, Stage::Up(account));
        if let Some(current) = self.current.as_mut().filter(|_| is_up) {
            current.since = now;
            self.last_account = Some(account);
        }
        is_up
    }

    /// It has failed, or what carried has come to its end.
    pub(crate) fn handle_down(&mut self, now: Instant, number: u64, reason: RelayEndReason) {
        if self.number() == Some(number) {
            self.end(now, reason, By::Us);
        }
    }

    /// What carries has become slower than what is beside it.
    pub(crate) fn handle_outdone(&mut self, now: Instant) {
        self.end(now, RelayEndReason::TooSlow, By::Us);
    }

    /// The path by this account is no more.
    pub(crate) fn handle_path_gone(&mut self, now: Instant, account: AccountId) {
        if self.account() == Some(account) {
            self.end(now, RelayEndReason::TooSlow, By::Us);
        }
    }

    /// What the peer says.
    pub(crate) fn handle_frame(&mut self, now: Instant, frame: RelayFrame) -> Result<(), Violation> {
        match (frame, self.side) {
            (RelayFrame::Relay { relay, rendezvous }, Side::Bridge) => self.on_told(now, relay, rendezvous),
            (RelayFrame::Joined { relay }, Side::Client) => {
                if self.advance(relay, Stage::Offered, Stage::Activating) {
                    self.tasks.push_back((relay, Task::Activate));
                }
            }
            (RelayFrame::RelayEnd { relay, reason }, _) => {
                if self.number() == Some(relay) {
                    self.end(now, reason, By::Peer);
                }
            }
            (RelayFrame::Relay { .. } | RelayFrame::Joined { .. }, _) => return Err(Violation),
        }
        Ok(())
    }

    /// A client says where it waits. A relay that was heard of before, or that a later one has overtaken, is ignored.
    fn on_told(&mut self, now: Instant, number: u64, rendezvous: Rendezvous) {
        if number < self.next_number {
            return;
        }
        if self.current.is_some() {
            // The client has another one, so it has given up this.
            self.end(now, RelayEndReason::Done, By::Peer);
        }
        if self.rests_until.is_some_and(|until| now < until) {
            self.next_number = number + 1;
            let reason = RelayEndReason::TooMany;
            return self.say(RelayFrame::RelayEnd { relay: number, reason });
        }
        self.rests_until = Some(now + LEAST_PAUSE);
        self.start(now, number, Stage::Joining, Task::Join(rendezvous));
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, or a client may begin another one.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match &self.current {
            Some(current) if !matches!(current.stage, Stage::Up(_)) => Some(current.since + PATIENCE),
            Some(_) => None,
            None => self.rests_until.filter(|_| self.side == Side::Client),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.current.is_some() && self.next_timeout().is_some_and(|at| at <= now) {
            self.end(now, RelayEndReason::TooSlow, By::Us);
        }
    }

    /// Goes from one stage to the next. False if the relay is another one, or not at that stage.
    fn advance(&mut self, number: u64, from: Stage, to: Stage) -> bool {
        let current = self.current.as_mut().filter(|it| it.number == number && it.stage == from);
        let Some(current) = current else { return false };
        current.stage = to;
        true
    }

    /// The relay is over. Where we end it, the peer is told why, if it has heard of it.
    fn end(&mut self, now: Instant, reason: RelayEndReason, by: By) {
        let Some(Current { number, stage, since }) = self.current.take() else { return };
        self.last_end = Some((number, reason));
        if let Stage::Up(account) = stage {
            self.over = Some(account);
        }
        self.frames.retain(|frame| matches!(frame, RelayFrame::RelayEnd { .. }));
        if by == By::Us && stage != Stage::Finding {
            self.say(RelayFrame::RelayEnd { relay: number, reason });
        }
        self.tasks.retain(|(_, task)| matches!(task, Task::Leave { .. }));
        self.tasks.push_back((number, Task::Leave { reason, by_peer: by == By::Peer }));
        if self.side == Side::Client {
            let was_good = matches!(stage, Stage::Up(_)) && since + GOOD <= now;
            self.rest(now, was_good, reason);
        }
    }

    fn rest(&mut self, now: Instant, was_good: bool, reason: RelayEndReason) {
        self.failures = if was_good { 0 } else { self.failures };
        let rest = match reason {
            // Nothing will change but a configuration.
            RelayEndReason::BadHost => LONGEST_REST,
            _ => FIRST_REST.saturating_mul(1 << self.failures.min(16)).min(LONGEST_REST),
        };
        self.failures += 1;
        self.rests_until = Some(now + rest);
    }

    // What is to be done.

    /// The account that stood for a relay that is over.
    pub(crate) fn poll_over(&mut self) -> Option<AccountId> {
        self.over.take()
    }

    /// The next thing for the driver.
    pub(crate) fn poll_task(&mut self, whose: &Whose<'_>) -> Option<RelayTask> {
        loop {
            let (number, task) = self.tasks.pop_front()?;
            let relay = RelayKey { session: whose.session, number };
            let seals = || RelaySeals {
                sealer: self.key.sealer(number, self.side),
                opener: self.key.opener(number, self.side),
            };
            return Some(match task {
                Task::Find(account, peer) => RelayTask::Find { relay, account, peer },
                Task::Join(rendezvous) => {
                    let Some(client) = whose.client.cloned() else { continue };
                    RelayTask::Join { relay, client, rendezvous, seals: seals() }
                }
                Task::Activate => RelayTask::Activate { relay, seals: seals() },
                Task::Leave { reason, by_peer } => RelayTask::Leave { relay, reason, by_peer },
            });
        }
    }

    /// How long the next frame is, if there is one to send.
    pub(crate) fn next_frame_len(&self) -> Option<usize> {
        self.frames.front().map(RelayFrame::encoded_len)
    }

    /// The next frame to send.
    pub(crate) fn poll_frame(&mut self) -> Option<RelayFrame> {
        self.frames.pop_front()
    }

    /// A frame was lost: it goes again if it is still true.
    pub(crate) fn handle_lost(&mut self, frame: RelayFrame) {
        let stage = |number: u64| self.current.as_ref().filter(|it| it.number == number).map(|it| it.stage);
        let is_true = match &frame {
            RelayFrame::Relay { relay, .. } => stage(*relay) == Some(Stage::Offered),
            RelayFrame::Joined { relay } => stage(*relay) == Some(Stage::Joined),
            RelayFrame::RelayEnd { relay, .. } => relay + 1 == self.next_number && self.current.is_none(),
        };
        if is_true {
            self.say(frame);
        }
    }

    /// Queues a frame. Where too many wait, the oldest is dropped.
    fn say(&mut self, frame: RelayFrame) {
        self.frames.push_back(frame);
        if self.frames.len() > MOST_FRAMES {
            self.frames.pop_front();
        }
    }
}
