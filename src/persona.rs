//! Persona: the ordinary chat client that every account of ours passes for. Pure.
//!
//! The ordinary client is slixmpp, as Debian 12 ships it, with its plugins for service discovery (XEP-0030), software version
//! (XEP-0092), ping (XEP-0199) and entity time (XEP-0202), and its defaults otherwise, left alone. An account that told its true name
//! would give its owner away, so it tells that one, always the same: a version that followed the times, or that everyone could
//! choose, would tell our accounts apart. Only where files are uploaded, or relays used, it has the plugin for that, too. `tests/looks`
//! asks the real slixmpp the same questions.
//!
//! Whatever an account shows that is not a protocol's own is made here:
//!
//! | module | what it makes |
//! | --- | --- |
//! | `answers` | answers to requests that no protocol claims, the time among them, and the refusal of those that nobody knows |
//! | `discovery` | what it says of itself: identity, features, version |
//! | `ids` | the ids of all stanzas |
//! | `pings` | its pings |
//! | `presence` | the presence that a session begins and ends with, and that a peer gets who is no contact |
//! | `subscriptions` | answers to those who want to see its presence |
//! | `web` | what it calls itself at web servers |
//!
//! Which request gets such an answer, and which is a protocol's, is decided in [`carrier::Desk`](crate::carrier::Desk). Only pings are
//! answered below that, by `xmpp::account`, so that they are answered however busy everything else is.

mod answers;
mod discovery;
mod ids;
mod pings;
mod presence;
mod subscriptions;
mod web;

pub use answers::{answer_ping, complete, empty_result, refusal, refuses, reply_to, reply_with};
pub use discovery::{BYTESTREAMS, Plugins};
pub use ids::{new_id, random_of};
pub use pings::ping;
pub use presence::{availability, available, directed, unavailable};
pub use subscriptions::{ReplyIds, reply_to_presence};
pub use web::{DOWNLOADER, UPLOADER};
