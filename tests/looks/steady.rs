//! Steadiness: accounts keep their connections, whatever anybody sends them.

use hexchat_lab::{ChatServer, TcpCutter};

use crate::last_word::assert_answers;
use crate::prober::Prober;
use crate::subject::{Lab, Route, Subject};

/// How many accounts are ours.
const OURS: usize = 3;

/// A lab in which every connection of an account of ours is counted.
pub(crate) struct Steady {
    pub(crate) lab: Lab,
    // Behind the accounts, so that they leave in peace.
    pub(crate) cutter: TcpCutter,
    /// How many connections there must have been.
    connections: usize,
    /// How often each account must have lost one since its program was started.
    losses: usize,
}

impl Steady {
    /// Lets all accounts log in.
    pub(crate) async fn start(server: ChatServer, prober: &str) -> Self {
        let cutter = TcpCutter::start(server.address()).unwrap();
        let lab = Box::pin(Lab::at(server, Route::StartTls(cutter.address()), prober)).await;
        Self { lab, cutter, connections: OURS, losses: 0 }
    }

    /// Those of ours.
    pub(crate) fn ours(&self) -> [&Subject; OURS] {
        [&self.lab.classic, &self.lab.bridge, &self.lab.client]
    }

    /// Ends all programs, and starts them again.
    pub(crate) async fn start_again(&mut self, prober: &str) {
        self.lab.start_again(prober).await;
        self.connections += OURS;
        self.losses = 0;
    }

    /// Cuts the connections of our accounts, and waits until they have others.
    pub(crate) async fn cut(&mut self, prober: &mut Prober) {
        self.cutter.cut();
        self.connections += OURS;
        self.losses += 1;
        for subject in self.ours() {
            subject.wait_until_online(prober).await;
        }
    }

    /// # Panics
    ///
    /// When a connection has ended that nobody meant to end, or the connection through the bridge does not work.
    pub(crate) async fn assert_undisturbed(&self, prober: &mut Prober, after: &str) {
        for subject in self.ours() {
            assert_answers(prober, subject, after).await;
            assert_eq!(subject.losses(), self.losses, "{} lost its connection after {after}", subject.jid);
        }
        self.assert_connected(after);
        self.lab.connection.assert_works();
    }

    /// # Panics
    ///
    /// When an account has made another connection.
    pub(crate) fn assert_connected(&self, after: &str) {
        assert_eq!(self.cutter.accepted(), self.connections, "an account had to log in again after {after}");
    }
}
