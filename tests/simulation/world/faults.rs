//! Faults of accounts, server and programs, and how each is over.

use std::time::Duration;

use hexchat_pt::protocol::AccountChange;

use crate::flow::Outcome;
use crate::network::{Letter, Seat, Side};

use super::{Task, World};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An account's connection breaks and is resumed.
    Suspend(Seat, Duration),
    /// An account's connection breaks and it has to log in anew.
    Reset(Seat, Duration),
    /// The line of an account swallows everything: only silence shows it. A new connection works.
    Swallow(Seat),
    /// An account is lost for good.
    Gone(Seat),
    /// The server restarts.
    Restart(Duration),
    /// A program is killed and nobody notices.
    Kill(Side),
}

/// How long a server may be silent that was asked for a sign of life, where the line is short: 5 seconds.
const RESPONSE: Duration = Duration::from_secs(5);

/// What a login takes: some round trips.
const LOGIN: Duration = Duration::from_millis(300);

impl<L: Letter> World<L> {
    pub(crate) fn strike(&mut self, fault: Fault) {
        self.note(format_args!("fault: {fault:?}"));
        match fault {
            Fault::Suspend(seat, duration) => self.interrupt(seat, duration, true),
            Fault::Reset(seat, duration) => self.interrupt(seat, duration, false),
            Fault::Swallow(seat) => self.network.swallow(self.now, seat),
            Fault::Gone(seat) => {
                self.gone.insert(seat);
                self.network.drop_account(self.now, seat);
                self.tell(seat, AccountChange::Gone);
            }
            Fault::Restart(duration) => {
                self.network.restart();
                for (n, seat) in self.all_seats().into_iter().enumerate() {
                    self.tell(seat, AccountChange::Suspended);
                    self.schedule(
                        self.now + duration + Duration::from_millis(137) * n as u32,
                        Task::LogIn(seat),
                    );
                }
            }
            Fault::Kill(side) => {
                self.killed.insert(side);
                for seat in self.network.seats(side) {
                    self.network.suspend(self.now, seat);
                }
            }
        }
        self.settle();
    }

    pub(super) fn all_seats(&self) -> Vec<Seat> {
        Side::BOTH.into_iter().flat_map(|side| self.network.seats(side)).collect()
    }

    pub(super) fn interrupt(&mut self, seat: Seat, duration: Duration, resumes: bool) {
        if !self.network.is_online(seat) {
            return;
        }
        let back = if resumes {
            self.network.suspend(self.now, seat);
            Task::Resume(seat)
        } else {
            self.network.drop_account(self.now, seat);
            Task::LogIn(seat)
        };
        self.tell(seat, AccountChange::Suspended);
        self.schedule(self.now + duration, back);
    }

    /// Accounts whose lines are in doubt ask their servers; those that hear nothing log in anew.
    pub(super) fn ask_in_doubt(&mut self, side: Side) {
        while let Some(account) = self.program_mut(side).poll_doubt() {
            self.note(format_args!("{side:?}/{} is in doubt", account.0));
            let seat = Seat { side, account };
            if self.network.is_swallowed(seat) {
                self.schedule(self.now + RESPONSE, Task::GiveUp(seat));
            }
        }
    }

    /// An account has heard nothing from its server.
    pub(super) fn give_up(&mut self, seat: Seat) {
        if self.network.is_swallowed(seat) {
            self.network.drop_account(self.now, seat);
            self.tell(seat, AccountChange::Suspended);
            self.schedule(self.now + LOGIN, Task::LogIn(seat));
            self.settle();
        }
    }

    pub(super) fn tell(&mut self, seat: Seat, change: AccountChange) {
        if !self.killed.contains(&seat.side) {
            let now = self.instant();
            self.note(format_args!("{:?}/{} is told {change:?}", seat.side, seat.account.0));
            self.program_mut(seat.side).handle_account(now, seat.account, change);
        }
    }

    pub(super) fn resume(&mut self, seat: Seat) {
        // A restart of the server or the loss of the account may have come in between.
        if !self.killed.contains(&seat.side) && self.network.is_suspended(seat) {
            self.network.resume(self.now, seat);
            self.tell(seat, AccountChange::Online { jid: self.network.jid(seat).clone(), resumed: true });
        }
    }

    pub(crate) fn log_in(&mut self, seat: Seat) {
        if !self.killed.contains(&seat.side) && !self.gone.contains(&seat) && !self.network.is_online(seat) {
            self.network.log_in(self.now, seat);
            self.tell(seat, AccountChange::Online { jid: self.network.jid(seat).clone(), resumed: false });
            self.settle();
        }
    }

    /// The program on one side is started again, with the same accounts, and remembers nothing.
    pub(crate) fn restart_program(&mut self, side: Side) {
        self.note(format_args!("{side:?} is started again"));
        self.programs[side as usize] = (self.make)(side);
        self.streams.retain(|(other, _), _| *other != side);
        for flow in &mut self.flows {
            flow.app_mut(side).outcome = Outcome::Released;
        }
        for seat in self.network.seats(side) {
            self.network.drop_account(self.now, seat);
            self.log_in(seat);
        }
    }
}
