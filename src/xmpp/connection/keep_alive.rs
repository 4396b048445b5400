//! Keep-alive of a component's connection. Pure.
//!
//! A server that is gone without a word (a machine that lost its power, a router that forgot the connection) is noticed by the system once
//! something is written to it, and otherwise never. Nobody is asked anything: a component is heard of when somebody speaks to it.

use std::time::Instant;

use super::Connection;
use super::liveness::Liveness;

impl Connection {
    /// Writes a space to a server that has been silent, which means nothing (RFC 6120 section 4.6.1).
    pub(super) fn keep_alive(&mut self, now: Instant) {
        if self.liveness.on_timeout(now).is_none() {
            return;
        }
        if self.output.waiting().is_empty() {
            self.output.push(b" ");
        }
        self.liveness = Liveness::new(now);
    }
}
