//! Policy of siblings: when an account logs in once more, and when it gives a further login up.
//!
//! A server with the usual limits reads so many bytes a second from each connection, whosever it is, so that a second login of the
//! account carries as much again. But each is a connection more that somebody can count, and where a server allows an account so many
//! logins, it ends the oldest for one too many: that is the user's phone. So there are further ones only while much waits, one after
//! the other, each time with a look at what becomes of the others and at what they carry; and after a refusal none for hours.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::secure::Load;

/// Logins of an account, those of other programs included, that no server refuses: 4. Where the user asks for more of ours, it is what he
/// asks for.
const ALWAYS_ALLOWED: usize = 4;

/// An account stays 2 below the number of logins that its server has shown to allow, so that a phone that is away finds its place.
const BELOW_CAP: usize = 2;

/// How many logins a server allows is believed for a day: a phone that happens to leave as we come looks the same.
const CAP_LASTS: Duration = Duration::from_secs(24 * 3600);

/// Something is deep in the queue when it takes a second to send.
const DEEP: Duration = Duration::from_secs(1);

/// It has to be so for 1 second before there is a second login, by which short visits are over.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// Nothing deep for 1 second is the end of something deep; less is a moment between two writes of the application.
const GAP: Duration = Duration::from_secs(1);

/// Where each login carries a megabyte a second no server limits them in a way that a further one would change: public ones allow 3 to
/// 500 kB/s.
const FAST: f64 = 1_000_000.0;

/// An account whose rate has grown by a quarter is only beginning to send.
const GROWTH: f64 = 1.25;

/// For 3 seconds after a login it is watched which other logins end: a server that allows no more ends one at once. There is no further
/// login meanwhile, nor before something was deep for as long with those that there are.
const WATCHED: Duration = Duration::from_secs(3);

/// Beyond as many logins as an account usually has, something has to be deep for 6 seconds for each further one: what is over by then has
/// no use for it.
const LATER_PATIENCE: Duration = Duration::from_secs(6);

/// Whether further logins carry more is looked at when something was deep for 15 seconds with all of them: a window has opened by then, and a
/// shaper's burst is over.
const TRIED: Duration = Duration::from_secs(15);

/// Further logins are of use if they carry three quarters of what as many carried before. Where something else holds the account up, as a slow
/// line or the connection between two servers, they carry nothing more, and are connections for nothing.
const OF_USE: f64 = 0.75;

/// A login that was of no use does not come again for an hour: lines and servers change that slowly.
const ENOUGH_LASTS: Duration = Duration::from_secs(3600);

/// A further login is given up after 2 minutes with nothing deep, within which a reader of pages comes to the next one.
const IDLE: Duration = Duration::from_secs(120);

/// After a server has refused a further login there is none for 3 hours: so long an account that was too much for its server rests, too
/// (`xmpp::backoff`).
const REST: Duration = Duration::from_secs(3 * 3600);

/// After a fault of the network the next one waits for 30 seconds, and twice as long after each further fault.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Doubled 7 times, that is an hour.
const MOST_DOUBLINGS: u32 = 7;

/// What an account looks like just now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// Whether its first login is online.
    pub(super) is_online: bool,
    /// What it has to send.
    pub(super) load: Load,
    /// Further logins, those included that are only being made.
    pub(super) siblings: usize,
    /// Whether one is being made.
    pub(super) is_coming: bool,
    /// Logins of other programs that can be seen.
    pub(super) others: usize,
    /// Whether all accounts together may have one more.
    pub(super) has_place: bool,
}

impl Scene {
    /// Logins of ours.
    fn logins(&self) -> usize {
        1 + self.siblings
    }

    fn total(&self) -> usize {
        self.logins() + self.others
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Log in once more.
    Open,
    /// Log out the youngest sibling.
    Close,
    /// Nothing.
    Stay,
}

/// Why a sibling has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// There were too many of them.
    Crowded,
    /// The server does not want it.
    Refused,
    /// Something else, which may be over soon.
    Fault,
}

/// What a server has shown of an account. It outlives the account's logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Caution {
    /// So many logins it allows at the most, which is believed until then.
    cap: Option<(usize, Instant)>,
    /// There is no further one until then.
    rests_until: Option<Instant>,
}

impl Caution {
    pub(super) fn is_none(&self, now: Instant) -> bool {
        self.cap(now).is_none() && !self.rests(now)
    }

    fn cap(&self, now: Instant) -> Option<usize> {
        believed(self.cap, now)
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }
}

/// What an account has carried before the logins came that are being tried.
#[derive(Clone, Copy, Debug)]
struct Trial {
    logins: usize,
    /// In bytes on the wire a second, all logins together.
    rate: f64,
}

impl Trial {
    /// Whether so many logins carry enough more, at this rate.
    fn is_won(&self, logins: usize, rate: f64) -> bool {
        let as_good_as = self.logins as f64 + OF_USE * logins.saturating_sub(self.logins) as f64;
        rate >= self.rate / self.logins as f64 * as_good_as
    }
}

/// The policy of one account.
#[derive(Debug)]
pub(super) struct Policy {
    /// Logins that there may be as soon as much waits.
    usual: usize,
    /// Logins that there may be at the most.
    most: usize,
    caution: Caution,
    online_since: Option<Instant>,
    deep_since: Option<Instant>,
    last_deep: Option<Instant>,
    shallow_since: Option<Instant>,
    /// The largest rate since then.
    rate: f64,
    /// When the last sibling began to log in, or was online.
    last_login: Option<Instant>,
    trial: Option<Trial>,
    /// When the number of logins changed last.
    changed: Option<Instant>,
    /// So many logins are as good as more, which is believed until then.
    enough: Option<(usize, Instant)>,
    /// A sibling is one too many.
    owes_one: bool,
    faults: u32,
    not_before: Option<Instant>,
}

impl Policy {
    /// For an account with so many logins as soon as much waits, and so many at the most.
    pub(super) fn new((usual, most): (usize, usize), caution: Caution) -> Self {
        Self {
            usual,
            most,
            caution,
            online_since: None,
            deep_since: None,
            last_deep: None,
            shallow_since: None,
            rate: 0.0,
            last_login: None,
            trial: None,
            changed: None,
            enough: None,
            owes_one: false,
            faults: 0,
            not_before: None,
        }
    }

    /// What is to be kept when the account is logged out.
    pub(super) fn caution(&self) -> Caution {
        self.caution
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Instant, scene: &Scene) -> Step {
        self.observe(now, scene);
        if scene.siblings > 0 && (self.is_one_too_many(now, scene) || self.has_failed_trial(now, scene)) {
            self.changed = Some(now);
            return Step::Close;
        }
        if !self.wants_one_more(now, scene) {
            return Step::Stay;
        }
        if !scene.load.is_by_files {
            let before = Trial { logins: scene.logins(), rate: scene.load.rate.unwrap_or_default() };
            self.trial.get_or_insert(before);
        }
        (self.last_login, self.changed) = (Some(now), Some(now));
        Step::Open
    }

    /// Whether the youngest login turns out to be of no use.
    fn has_failed_trial(&mut self, now: Instant, scene: &Scene) -> bool {
        if scene.load.is_by_files {
            // It is not for its rate that another login is of use then, but because less waits on each.
            self.trial = None;
        }
        // While the first login is away less is carried, whatever use the others are.
        let (Some(trial), Some(online)) = (self.trial, self.online_since) else { return false };
        let logins = scene.logins();
        if logins <= trial.logins {
            // They have gone for another reason.
            self.trial = None;
            return false;
        }
        let since =
            self.deep_since.max(self.changed).max(Some(online)).filter(|_| self.shallow_since.is_none());
        if scene.is_coming || since.is_none_or(|since| now < since + TRIED) {
            return false;
        }
        if trial.is_won(logins, scene.load.rate.unwrap_or_default()) {
            self.trial = None;
            return false;
        }
        self.enough = Some((logins - 1, now + ENOUGH_LASTS));
        true
    }

    fn observe(&mut self, now: Instant, scene: &Scene) {
        if scene.is_online {
            self.online_since.get_or_insert(now);
        } else {
            self.online_since = None;
        }
        let rate = scene.load.rate.unwrap_or_default();
        if is_deep(scene) {
            let was_over = self.shallow_since.take().is_some_and(|since| since + GAP <= now);
            if was_over || rate > GROWTH * self.rate {
                (self.deep_since, self.rate) = (None, rate);
            }
            self.deep_since.get_or_insert(now);
            self.last_deep = Some(now);
        } else if *self.shallow_since.get_or_insert(now) + GAP <= now {
            (self.deep_since, self.rate) = (None, 0.0);
        }
    }

    /// Whether a sibling is to be logged out. While the first login is away the others carry everything, and none goes that need not.
    fn is_one_too_many(&mut self, now: Instant, scene: &Scene) -> bool {
        if std::mem::take(&mut self.owes_one) {
            return true;
        }
        let is_idle = self.last_deep.max(self.last_login).is_none_or(|last| last + IDLE <= now);
        scene.is_online && (is_idle || self.caution.rests(now) || scene.total() > self.allowed(now))
    }

    fn wants_one_more(&self, now: Instant, scene: &Scene) -> bool {
        let has_been = |since: Option<Instant>, time| since.is_some_and(|since| since + time <= now);
        let is_settled = self.last_login.is_none_or(|last| last + WATCHED <= now);
        let may = !scene.is_coming && is_settled && scene.has_place && !self.caution.rests(now);
        let most = believed(self.enough, now).map_or(self.most, |enough| self.most.min(enough));
        let has_room = scene.logins() < most && scene.total() < self.allowed(now);
        let since = self.deep_since.max(self.last_login.filter(|_| scene.siblings > 0));
        let patience = match scene.logins() {
            1 => FIRST_PATIENCE,
            logins if logins < self.usual => WATCHED,
            _ => LATER_PATIENCE,
        };
        let is_deep = self.shallow_since.is_none() && has_been(since, patience);
        may && has_room
            && is_deep
            && has_been(self.online_since, FIRST_PATIENCE)
            && self.not_before.is_none_or(|at| at <= now)
    }

    /// How many logins there may be, those of other programs included.
    fn allowed(&self, now: Instant) -> usize {
        let always = self.most.max(ALWAYS_ALLOWED);
        self.caution.cap(now).map_or(always, |cap| always.min(cap.saturating_sub(BELOW_CAP)))
    }

    /// A sibling is online.
    pub(super) fn on_login(&mut self, now: Instant) {
        (self.last_login, self.changed) = (Some(now), Some(now));
    }

    /// A sibling has ended that was one of so many logins.
    pub(super) fn on_ended(&mut self, now: Instant, ending: Ending, total: usize) {
        match ending {
            Ending::Crowded => self.on_crowded(now, total),
            Ending::Refused => self.on_refused(now),
            // Several that end by one cut are one fault.
            Ending::Fault if self.not_before.is_some_and(|at| now < at) => {}
            Ending::Fault => {
                self.not_before = Some(now + FIRST_PAUSE * (1 << self.faults.min(MOST_DOUBLINGS)));
                self.faults += 1;
            }
        }
    }

    /// Another login of the account has ended, the first one or that of another program, when there were so many. Shortly after one of
    /// ours, that one was too many.
    pub(super) fn on_other_ended(&mut self, now: Instant, total: usize) {
        if self.last_login.is_some_and(|last| now < last + WATCHED) {
            self.owes_one = true;
            self.on_crowded(now, total);
        }
    }

    /// So many logins were one too many.
    fn on_crowded(&mut self, now: Instant, total: usize) {
        let cap = total.saturating_sub(1);
        let cap = self.caution.cap(now).map_or(cap, |known| known.min(cap));
        self.caution.cap = Some((cap, now + CAP_LASTS));
        self.on_refused(now);
    }

    /// The account has had too much of its server, or the server of the account.
    pub(super) fn on_refused(&mut self, now: Instant) {
        self.caution.rests_until = Some(now + REST);
    }

    /// All siblings have been logged out in peace.
    pub(super) fn on_alone(&mut self) {
        self.faults = 0;
    }
}

/// A number of logins that is believed until then.
fn believed(number: Option<(usize, Instant)>, now: Instant) -> Option<usize> {
    number.filter(|(_, until)| now < *until).map(|(number, _)| number)
}

/// Whether so much waits that it takes a second; or bulk goes by files, of which the announcements and what answers them go by the account, and
/// its server may be limiting it. The little that goes then may never show a rate, though a limit makes each of its bursts late.
fn is_deep(scene: &Scene) -> bool {
    let load = &scene.load;
    if load.rate.is_some_and(|rate| rate / scene.logins() as f64 >= FAST) {
        return false;
    }
    let is_long = |rate: f64| load.is_blocked || load.unsent as f64 >= rate * DEEP.as_secs_f64();
    load.is_by_files || load.rate.is_some_and(is_long)
}
