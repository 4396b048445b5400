//! Packets that do not wait for a window.

use std::time::Instant;

use super::ways::open_paths;
use super::{Endpoint, SessionKey};
use crate::session::{Transmit, express};

impl Endpoint {
    /// An express packet of a session that has no room for another, if it has something for one.
    pub(super) fn express_of(&mut self, now: Instant, key: SessionKey) -> Option<Transmit> {
        let session = self.sessions.get_mut(&key)?;
        let state = session.state.as_mut().filter(|state| state.wants_express())?;
        let paths = open_paths(&session.ways, &self.ways);
        let path = express::choose(paths.filter(|(_, path)| !self.senders.is_backed_up(path.via())), now)?;
        let block = state.express_packet(now, path, &mut *self.entropy)?;
        let transmit = self.block(now, path, block);
        if let Some(way) = self.ways.get_mut(&path) {
            way.path.note_express();
        }
        self.watch(path);
        self.rearm(now, key);
        // There may be room for another one beyond another window.
        self.queue(now, key);
        transmit
    }
}
