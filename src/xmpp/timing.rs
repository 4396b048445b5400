//! Every time bound of an account, with its reason.

use std::time::Duration;

/// Dialling, TLS, the stream and SASL together. One attempt must fit well into the 30 seconds in which a user is to
/// learn what is wrong.
pub(super) const LOGIN: Duration = Duration::from_secs(20);

/// Opening a session on a connection that is logged in: resource binding and stream management.
pub(super) const OPENING: Duration = Duration::from_secs(20);

/// When the server has been silent for so long, it is asked for a sign of life (`<r/>` or a ping).
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// When it stays silent for so long after that, the connection is dead. Servers that limit our rate (stock ejabberd: 3
/// kB/s) read the question only behind everything that we sent before it, so shorter would break healthy connections.
pub(super) const RESPONSE: Duration = Duration::from_secs(25);

/// A doubted server has at least 5 seconds to give a sign of life, and otherwise twice the time after which an answer on this connection
/// is missed, up to [`RESPONSE`]: it may be busy for a moment, and stock Prosody takes 1.5 seconds for what it reads before the question.
pub(super) const LEAST_RESPONSE: Duration = Duration::from_secs(5);

/// What a server has said within the last second shows well enough that it is there.
pub(super) const RECENT: Duration = Duration::from_secs(1);

/// After a server has refused to register an account it is looked up once an hour whether it may be asked again, which it may after
/// some hours.
pub(super) const REST: Duration = Duration::from_secs(3600);

/// A session that lasted so long was a success, after which the back-off begins anew.
pub(super) const STEADY: Duration = Duration::from_secs(10);

/// A session that lasted 1 second before it was cut has carried something, as far as one can know. Where each lasts for less, the back-off
/// goes on: a server, or somebody on the way, could have us log in without end.
pub(super) const OF_USE: Duration = Duration::from_secs(1);

/// Logging out: what is queued, unavailable presence, the end of the stream.
pub(super) const LOGOUT: Duration = Duration::from_millis(1900);

/// A resumed session must prove that it works by an acknowledgement in this time, which leaves a server that limits our
/// rate enough to read some tens of kilobytes.
pub(super) const PROOF: Duration = Duration::from_secs(10);

/// An acknowledgement that the server asks for goes with the next thing that we write, or alone after 100 ms, as TCP delays its own (RFC
/// 1122: for less than 500 ms). Most stanzas are answered sooner, and a write of its own costs both ends as much as a small stanza. The
/// server needs it only to forget what it has sent.
pub(super) const ACK_DELAY: Duration = Duration::from_millis(100);
