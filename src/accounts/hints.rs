//! Hints of how servers were reached, in the state directory.

use std::sync::Arc;

use crate::state::StateDir;
use crate::xmpp::hints::{Hints, Way};

/// See the [module](self).
pub(crate) struct KeptHints {
    state: Arc<StateDir>,
}

impl KeptHints {
    pub(crate) fn new(state: Arc<StateDir>) -> Self {
        Self { state }
    }
}

impl Hints for KeptHints {
    fn recall(&self, domain: &str) -> Option<Way> {
        Way::named(&self.state.hint(domain)?)
    }

    fn keep(&self, domain: &str, way: Way) {
        if let Err(error) = self.state.keep_hint(domain, Some(way.name())) {
            tracing::debug!("how the chat server was reached cannot be kept: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[test]
    fn what_worked_last_is_known_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let open = || KeptHints::new(Arc::new(StateDir::open(directory.path()).unwrap()));
        let hints = open();
        assert_eq!(hints.recall("chat.example"), None);
        for way in Way::ALL {
            hints.keep("chat.example", way);
        }
        drop(hints);
        let hints = open();
        assert_eq!(hints.recall("chat.example"), Some(Way::WebSocket));
        assert_eq!(hints.recall("other.example"), None);
    }

    #[test]
    fn a_way_that_a_later_version_knows_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDir::open(directory.path()).unwrap());
        state.keep_hint("chat.example", Some("pigeon")).unwrap();
        assert_eq!(KeptHints::new(state).recall("chat.example"), None);
    }
}
