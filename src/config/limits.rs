//! Limits: every bound on time, memory and number, with its default and the range that is accepted.

use std::time::Duration;

use super::error::Problem;
use super::similar::Hint;

/// One row of `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The key in `[limits]`.
    pub name: &'static str,
    /// Without that key; in whole seconds, bytes or counts.
    pub default: u64,
    /// The least that is accepted.
    pub min: u64,
    /// The most that is accepted.
    pub max: u64,
}

/// A type that is written as a whole number.
trait Whole {
    fn from_whole(number: u64) -> Self;
    fn to_whole(&self) -> u64;
}

/// Counts and bytes.
impl Whole for usize {
    fn from_whole(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }

    fn to_whole(&self) -> u64 {
        u64::try_from(*self).unwrap_or(u64::MAX)
    }
}

/// Whole seconds.
impl Whole for Duration {
    fn from_whole(number: u64) -> Self {
        Self::from_secs(number)
    }

    fn to_whole(&self) -> u64 {
        self.as_secs()
    }
}

/// Writes the struct, its defaults and its table from one list, so that they cannot differ.
macro_rules! limits {
    ($( $(#[doc = $doc:literal])+ $name:ident: $kind:ty = $default:literal, $min:literal..=$max:literal; )+) => {
        /// The `[limits]` section: every bound on time, memory and number.
        ///
        /// Where two bounds meet (a stream's queue and its session's), the smaller one holds.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $( $(#[doc = $doc])+ pub $name: $kind, )+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $name: <$kind>::from_whole($default), )+ }
            }
        }

        impl Limits {
            /// All rows, in the order of the example file.
            pub const BOUNDS: &[Bound] = &[
                $( Bound { name: stringify!($name), default: $default, min: $min, max: $max }, )+
            ];

            /// The value of a row, in whole seconds, bytes or counts.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $( stringify!($name) => Some(self.$name.to_whole()), )+
                    _ => None,
                }
            }

            /// Changes one row.
            pub(super) fn set(&mut self, name: &str, number: u64) -> Result<(), Problem> {
                match name {
                    $( stringify!($name) => {
                        self.$name = <$kind>::from_whole(within(number, $min, $max)?);
                    } )+
                    _ => return Err(Problem::UnknownKey(Hint::None)),
                }
                Ok(())
            }
        }
    };
}

limits! {
    /// Seconds that a client waits for the bridge's answer to a connect.
    connect_timeout: Duration = 25, 1..=600;
    /// Seconds that the bridge spends on dialling the target of one stream.
    dial_timeout: Duration = 20, 1..=600;
    /// Seconds without a sign of life from the peer of a stream before the stream is closed.
    silence_timeout: Duration = 50, 5..=3600;
    /// Seconds that a session outlives the last packet from its peer.
    session_timeout: Duration = 120, 5..=3600;
    /// Streams open at once, all peers together. In the secure protocol one account may have as many as are still free, and
    /// when none are, whoever has most loses one to whoever has few.
    max_streams: usize = 4096, 1..=100_000;
    /// Streams open at once that one peer's account has asked for, in the classic protocol.
    max_streams_per_peer: usize = 1024, 1..=100_000;
    /// Streams at once that wait for an answer or a dial, all peers together.
    max_half_open: usize = 1024, 1..=100_000;
    /// Bytes received for one stream that its application has not read yet.
    receive_buffer: usize = 262_144, 16_384..=67_108_864;
    /// Bytes taken from one application that its peer has not acknowledged, or the server not taken, yet.
    send_buffer: usize = 262_144, 16_384..=67_108_864;
    /// Authenticated handshakes a minute from one JID.
    handshakes_per_minute_per_jid: usize = 20, 1..=10_000;
    /// Authenticated handshakes a minute in total.
    handshakes_per_minute: usize = 600, 1..=1_000_000;
    /// Sessions at once whose handshake is not complete.
    max_half_open_sessions: usize = 64, 1..=10_000;
    /// Sessions open at once.
    max_sessions: usize = 1024, 1..=100_000;
    /// Streams open at once in one session.
    max_streams_per_session: usize = 1024, 1..=100_000;
    /// Bytes queued for one stream of a session, at most: so much only where its peer is fast and far away, and never more than
    /// half of `queue_per_session`.
    queue_per_stream: usize = 33_554_432, 16_384..=67_108_864;
    /// Bytes queued for one session, at most.
    queue_per_session: usize = 67_108_864, 65_536..=1_073_741_824;
    /// Bytes kept in the whole process: half for what applications write, half for what peers make us keep, a client's share
    /// being as large as what is still free.
    queue_total: usize = 134_217_728, 1_048_576..=4_294_967_295;
    /// Frames of a session that may arrive before the one that is due (a classic peer has the document's 100).
    reorder_window: usize = 16_384, 1024..=65_536;
    /// Bytes of a received stanza that is read whole; of a larger one only the start is read, which says who asks for what.
    /// What is sent is smaller than the least that can be set.
    max_stanza: usize = 262_144, 131_072..=16_777_216;
}

fn within(number: u64, min: u64, max: u64) -> Result<u64, Problem> {
    if (min..=max).contains(&number) { Ok(number) } else { Err(Problem::OutOfRange { min, max }) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[test]
    fn every_default_lies_within_its_own_bounds_and_no_bound_admits_zero() {
        let defaults = Limits::default();
        for bound in Limits::BOUNDS {
            assert!((bound.min..=bound.max).contains(&bound.default), "{}", bound.name);
            assert!(bound.min > 0, "{}", bound.name);
            assert_eq!(defaults.get(bound.name), Some(bound.default), "{}", bound.name);
        }
    }

    #[test]
    fn every_row_can_be_set_to_its_ends_and_not_beyond() {
        for bound in Limits::BOUNDS {
            let mut limits = Limits::default();
            for number in [bound.min, bound.max] {
                limits.set(bound.name, number).unwrap();
                assert_eq!(limits.get(bound.name), Some(number), "{}", bound.name);
            }
            let refused = Err(Problem::OutOfRange { min: bound.min, max: bound.max });
            for number in [0, bound.min - 1, bound.max + 1, u64::MAX] {
                assert_eq!(limits.set(bound.name, number), refused, "{}", bound.name);
            }
        }
    }
}
