//! TLS records: what both protocols do for servers that read in pieces and rest where a record goes on behind one; see
//! `xmpp::records`.

use std::time::Duration;

/// The length of such a record, in bytes.
const RECORD: usize = 4096;

/// How often the queue is to be seen empty. A server that has come to read across TLS records rests for each, and finds back
/// to their beginnings when there is nothing left to read.
const BREAK_INTERVAL: Duration = Duration::from_secs(1);
/// A break costs one or two delays of the empty connection. So between two there are at least this many.
const DELAYS_BETWEEN_BREAKS: u32 = 200;

/// The data whose stanza is just below so many records, in bytes before base64, when the stanza weighs at most `around`
/// bytes beyond base64.
pub(crate) const fn filling(records: usize, around: usize) -> usize {
    (records * RECORD - around) / 4 * 3
}

/// How long after a break there should be another on a fast connection that takes `delay` there and back while nothing is queued.
pub(crate) fn break_interval(delay: Duration) -> Duration {
    BREAK_INTERVAL.max(DELAYS_BETWEEN_BREAKS * delay)
}
