//! Two executables compared: the same measurements of both, in turn.
//!
//! A server on the same machine is faster in one run than in the next, by more than what a change of ours makes. So both are
//! measured in turn, with one chat server, many times, each time newly started; and the error of each mean is told.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use hexchat_lab::{ChatServer, Kind, Rate};

use crate::ours::{self, Pair, Protocol, Setup};
use crate::plan::Plan;
use crate::samples::{Samples, quantile, sorted};
use crate::target::{self, Echo};
use crate::unlimited::IDLE;
use crate::{name_of, say};

/// Tor cells in one measurement.
const CELLS: usize = 100;

/// Measures `old` and `new` over servers without limits so many times each, and prints what there is to compare.
pub(crate) fn run(old: &Path, new: &Path, rounds: &str) -> Result<()> {
    let rounds: usize = rounds.parse().context("the number of rounds")?;
    let (target, plan) = (target::start()?, Plan::quick());
    let mut samples = Samples::default();
    let kinds = [Kind::Prosody, Kind::Ejabberd];
    for kind in kinds {
        say(name_of(kind));
        let chat = ours::server(kind, Rate::Unlimited, &ours::users(2))?;
        for round in 0..rounds {
            let mut both = [("old", old), ("new", new)];
            // Neither is always the one after the other.
            both.rotate_left(round % 2);
            for (whose, executable) in both {
                for load in loads(kind) {
                    let values = load.measure(&chat, executable, target, &plan)?;
                    values.into_iter().for_each(|(what, value)| {
                        samples.add(format!("{} {what} {whose}", load.name(kind)), value);
                    });
                }
            }
            say(&format!(" round {} of {rounds}", round + 1));
        }
    }
    let names: Vec<_> =
        kinds.iter().flat_map(|kind| loads(*kind).iter().map(|load| load.name(*kind))).collect();
    for name in names {
        for what in ["MB/s", "ms a cell"] {
            let [old, new] =
                ["old", "new"].map(|whose| Mean::of(samples.of(&format!("{name} {what} {whose}"))));
            println!("{name:24} {what:10} old {old}   new {new}   new / old {:.3}", new.value / old.value);
        }
    }
    Ok(())
}

/// A protocol with so many accounts a side.
#[derive(Clone, Copy)]
struct Load {
    protocol: Protocol,
    accounts: usize,
}

fn loads(kind: Kind) -> &'static [Load] {
    const SECURE: Load = Load { protocol: Protocol::Secure, accounts: 1 };
    match kind {
        Kind::Prosody | Kind::ProsodyModules => {
            &[SECURE, Load { accounts: 2, ..SECURE }, Load { protocol: Protocol::Classic, accounts: 1 }]
        }
        Kind::Ejabberd => &[SECURE],
    }
}

impl Load {
    fn name(self, kind: Kind) -> String {
        let protocol = if self.protocol == Protocol::Secure { "secure" } else { "classic" };
        format!("{} {protocol}, accounts: {}", name_of(kind), self.accounts)
    }

    /// The rate of a transfer, and the median time of a cell there and back while nothing else is going on.
    fn measure(
        self,
        chat: &ChatServer,
        executable: &Path,
        target: SocketAddr,
        plan: &Plan,
    ) -> Result<[(&'static str, f64); 2]> {
        let Self { protocol, accounts } = self;
        let pair = Pair::start(Setup {
            executable,
            chat,
            protocol,
            accounts,
            target,
            sessions: None,
            by_way_of: None,
        })?;
        let expected = target::rate_within(pair.entrance, plan.warm_up)?;
        let rate = target::rate_of(pair.entrance, (expected * plan.bulk.as_secs_f64()) as u64)?;
        let times = Echo::start(pair.entrance)?.settled_times(CELLS, IDLE)?;
        Ok([("MB/s", rate / 1e6), ("ms a cell", quantile(&sorted(&times), 0.5) * 1e3)])
    }
}

/// A mean and its standard error.
struct Mean {
    value: f64,
    error: f64,
}

impl Mean {
    /// Of none, it is not a number.
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let value = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|one| (one - value).powi(2)).sum();
        Self { value, error: (squares / (count - 1.0) / count).sqrt() }
    }
}

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6.2} ± {:.2}", self.value, self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_the_error_of_its_values() {
        let mean = Mean::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        // Their variance is 2.5, and there are five of them.
        assert!((mean.value - 3.0).abs() < 1e-9 && (mean.error - 0.5_f64.sqrt()).abs() < 1e-9);
    }
}
