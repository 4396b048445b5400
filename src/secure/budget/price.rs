//! Prices, in bytes, of what is kept beside the bytes of applications.
//!
//! A peer that can make us keep something for a few bytes of its own makes us keep a lot of it. So whatever is kept is
//! charged what the allocator gives out for it, to the session, to the client and to all together. `tests/memory` measures
//! every kind: nothing may cost more than its price and a third.

/// A session after its handshake, with its keys, what it has for files, and its place in the tables of the endpoint.
pub(crate) const SESSION: usize = 16 * 1024;
/// A packet that went by a path that is no more, and what was in it.
pub(crate) const GIVEN_UP: usize = 192;
/// A relay of a session, with the connection to its proxy and what stands for it in the tables of accounts.
pub(crate) const RELAY: usize = 64 * 1024;
/// A path of a session, with its place in its carrier's table.
pub(crate) const PATH: usize = 4 * 1024;
/// A path on which nobody has proved that he holds the keys, with its place in its carrier's table, and the handshake that waits to be
/// answered.
pub(crate) const HALF_OPEN: usize = 4608;
/// A stream of a session, whether it was opened or is only being closed, with the tables that stay when they are empty.
pub(crate) const STREAM: usize = 2048;
/// A piece of received bytes, beside its bytes.
pub(crate) const FRAGMENT: usize = 128;
/// A range in a set of numbers.
pub(crate) const RANGE: usize = 64;
/// What is remembered of a frame until it is acknowledged.
pub(crate) const IN_FLIGHT: usize = 256;
/// A JID that the peer names, beside its letters, in all the indexes that have it.
pub(crate) const JID: usize = 512;
/// How many copies there are of the letters of such a JID.
pub(crate) const JID_COPIES: usize = 3;
/// An answer that waits until its server has read others, beside the letters of its id and its recipient.
pub(crate) const ANSWER: usize = 448;
