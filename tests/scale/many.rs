//! Many clients of one bridge.

use std::time::Duration;

use crate::figures::Figures;
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// More than anybody gets in a run.
const ENDLESS: usize = 1 << 30;

/// Who does what.
struct Population {
    seed: u64,
    accounts: usize,
    /// They download all the time.
    downloaders: usize,
    /// They have a connection and nothing to say.
    idle: usize,
    /// They come for a page now and then, and go.
    guests: usize,
    /// How long it takes until everybody is there.
    arrival: Duration,
}

/// What a guest fetches, and how often one comes.
const PAGE: usize = 5_000;
const VISITS: Duration = Duration::from_secs(300);

impl Population {
    fn clients(&self) -> usize {
        self.downloaders + self.idle + self.guests
    }

    /// A world in which everybody comes when he comes, and the last guest leaves after `end`.
    fn world(&self, end: Duration) -> World {
        let mut world = World::new(self.seed, self.accounts, self.clients());
        for client in 0..self.downloaders + self.idle {
            let at = self.arrival.mul_f64(world.random(0..1000) as f64 / 1000.0);
            world.plan_fetch(at, client, if client < self.downloaders { ENDLESS } else { 0 });
        }
        for guest in self.downloaders + self.idle..self.clients() {
            let mut at = VISITS.mul_f64(world.random(0..1000) as f64 / 1000.0);
            while at < end {
                world.plan_fetch(at, guest, PAGE);
                at += VISITS;
            }
        }
        world
    }

    /// Waits until everybody is there and has found its pace, and measures.
    fn measure(&self, settling: Duration, duration: Duration) -> (World, Figures) {
        let begin = self.arrival + settling;
        let mut world = self.world(begin + duration);
        world.run_for(begin);
        let downloaders: Vec<usize> = (0..self.downloaders).collect();
        let figures = Figures::take(&mut world, &downloaders, duration);
        println!(
            "{} clients ({} downloading, {} idle, {} guests) over {} accounts:\n{figures}",
            self.clients(),
            self.downloaders,
            self.idle,
            self.guests,
            self.accounts
        );
        (world, figures)
    }
}

/// What must hold for any population.
fn assert_fair_and_bounded(figures: &Figures) {
    let (least, _) = figures.extremes();
    assert!(figures.fairness() >= 0.9, "Jain's index is {}", figures.fairness());
    assert!(least >= 0.5, "somebody gets {least} of a fair share");
    let (mean, longest) = figures.queue();
    assert!(mean < 2 * SECOND && longest < 4 * SECOND, "{mean:?} and {longest:?} in the server's queue");
    assert!(figures.used() > 0.95, "{} of the rate is used", figures.used());
}

#[test]
fn a_thousand_clients_share_eight_accounts_fairly() {
    let arrival = 120 * SECOND;
    let population = Population { seed: 1, accounts: 8, downloaders: 250, idle: 50, guests: 700, arrival };
    let (_, figures) = population.measure(120 * SECOND, 300 * SECOND);
    assert_fair_and_bounded(&figures);
    assert!(figures.goodput() >= 0.6, "{}", figures.goodput());
}
