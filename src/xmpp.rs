//! Accounts at chat servers: connect, log in, stay logged in.
//!
//! [`AccountPool`] owns any number of accounts. Each runs in a task of its own, retries faults of the network (at once
//! after a cut, then with a jittered back-off that grows to 30 seconds), resumes its session where the server can (XEP-0198), and says by
//! [`AccountEvent`]s what happens to it and to the stanzas it was given. A wrong password is final: servers lock
//! accounts that insist.
//!
//! | module | what it is |
//! | --- | --- |
//! | `pool`, `api` | all accounts, and what they and their owner say to each other |
//! | `account` | one login: the task, and its states |
//! | `connector`, `finder`, `security`, `login`, `tls`, `dialer`, `socket` | from a configuration to a connection that is logged in, step by step |
//! | `race`, `srv`, `resolver`, `proxied` | which machine, address and kind of connection is tried when (pure), and what DNS knows |
//! | `websocket`, `host_meta`, `http` | a connection that carries streams as messages, and where there is one |
//! | [`hints`] | in which way servers were reached in an earlier run |
//! | [`transfer`] | files that are put at an upload service, and fetched |
//! | [`bytestream`] | connections to a proxy of bytestreams, which another is joined to |
//! | [`place`] | hosts that may be called though somebody else has named them |
//! | `component` | the handshake of a component, which has no login |
//! | `negotiation` | what is said on a stream up to the login, pure: TLS, SASL, SASL2 |
//! | `sasl`, `channel_binding` | the mechanisms that we log in by, and what binds them to a connection, pure |
//! | `intake`, `meter` | what is read of a server before that, bounded, and why it ended |
//! | `connection` | the stream after the login, pure: sessions, stream management (XEP-0198), liveness |
//! | [`registration`] | accounts that are registered: who keeps them, and why there is none |
//! | [`removal`] | an account is removed from its server |
//! | `wire` | its bytes between there and the socket |
//! | `writer` | elements as they are written on a stream |
//! | `records` | TLS records that servers can read without a rest |
//! | `pings` | how a server is asked for a sign of life |
//! | [`flat`] | IQs whose payload is one element of attributes and text, read without a tree |
//! | [`framer`], `scanner` | where elements begin and end, and what each may cost |
//! | [`reader`], `stanza`, `head`, `parse` | what they mean, also when they cannot be read as a whole |
//! | `stream_error`, [`OtherHost`], [`Words`] | what a server means that ends a stream, and what it writes beside it |
//! | `trail` | where a login has been, so that servers do not send it in a circle |
//! | `step` | how far an attempt to log in has come |
//! | [`seen`] | what is seen of a login on its way, for whoever examines it |
//! | `outbox` | what waits to be handed over |
//! | `stranger_replies`, `reply_window`, `answer_size` | replies to strangers, which make nobody else wait, and how large they may be |
//! | `backlog` | how much is not written yet |
//! | `reports` | events and status, without ever blocking the account |
//! | `backoff`, `timing` | how long to wait, and for what |
//!
//! What an account says of its own is the [`persona`](crate::persona)'s.

mod account;
mod answer_size;
mod api;
mod backlog;
mod backoff;
pub mod bytestream;
mod channel_binding;
mod component;
mod connection;
mod connector;
mod dialer;
mod error;
mod finder;
pub mod flat;
pub mod framer;
mod head;
pub mod hints;
mod host_meta;
mod http;
mod intake;
mod login;
mod meter;
mod name;
mod negotiation;
mod other_host;
mod outbox;
mod parse;
mod pings;
pub mod place;
mod pool;
mod proxied;
mod race;
pub mod reader;
mod records;
mod registrar;
pub mod registration;
pub mod removal;
mod reply_window;
mod reports;
mod resolver;
mod sasl;
mod scanner;
mod security;
pub mod seen;
mod socket;
mod srv;
mod stanza;
mod start_tag;
mod step;
mod stranger_replies;
mod stream_error;
mod timing;
mod tls;
mod trail;
pub mod transfer;
mod websocket;
mod wire;
mod words;
mod writer;

pub use self::api::{AccountEvent, AccountStatus, Binding, Parcel, Persistence, StreamManagement, Usage};
pub use self::backlog::Backlog;
pub use self::dialer::{Dialer, Dialling};
pub use self::error::{
    AccountError, DnsFault, Elsewhere, NamedBy, NotFollowed, OtherHost, ProxyFault, RecordsUnknown, Step,
    Unfollowed, WebServerFault, Words,
};
pub use self::name::{AccountName, Item};
pub(crate) use self::pool::sibling_number;
pub use self::pool::{AccountPool, Uploader};
pub(crate) use self::records::{break_interval, filling};
pub use self::socket::Socket;
pub use crate::protocol::AccountId;
