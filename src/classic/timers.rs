//! Timers: deadlines of streams and links.

use crate::classic::routing::LinkId;
use crate::protocol::StreamId;
use crate::protocol::timers;

pub(super) type Timers = timers::Timers<TimerKey>;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// A stream may have waited long enough for something.
    Stream(StreamId),
    /// A link may have been quiet long enough for a ping, or for ever.
    Link(LinkId),
    /// An alias of a link may be tried again.
    Release(LinkId),
}
