//! Reach Tor through a chat server.
//!
//! The map of the house, top to bottom; imports point downwards only (`tests/layering.rs` checks it). The child's half of
//! Tor's pluggable transport specification is a crate of its own, [`tor_pt`].
//!
//! | module | what it is |
//! | --- | --- |
//! | [`cli`] | the command line: run by Tor, or by a person |
//! | [`embedded`] | the client's half inside another program |
//! | `doctor` | an examination of accounts, a bridge and the lanes between, stage by stage |
//! | [`client`], `bridge` | a SOCKS request or a TCP connection becomes a stream; a stream becomes a connection to the ORPort or an allowed target |
//! | `metrics` | what the program does, in numbers, for Prometheus |
//! | `trace` | what the program does, event by event, in a file |
//! | `lanes`, `dialer` | what carries bytes beside stanzas, as the configuration has it; how chat servers are reached, as Tor says |
//! | `relay` | bytes between a TCP connection and a stream |
//! | [`tunnel`] | streams as `AsyncRead + AsyncWrite`, and the task that drives a protocol core |
//! | [`carrier`] | what a core wants sent, as stanzas, and for whom each stanza is that comes |
//! | [`classic`] | the protocol document, pure: no socket, clock, task, randomness or environment |
//! | [`secure`] | the secure protocol, as pure |
//! | [`xmpp`] | accounts: connect, log in, stay logged in |
//! | [`persona`] | the ordinary chat client that accounts pass for: every answer, id, presence and ping of theirs |
//! | [`protocol`] | what both cores can do, and the words between a core and its driver |
//! | `uuid` | UUIDs of version 4 |
//! | `replay_log` | which handshakes a bridge has accepted of late, in memory and on the disk |
//! | [`config`], [`state`] | the configuration file and bridge-line arguments; what is kept between runs |
//! | [`logging`] | log lines for Tor or a person, with private data scrubbed |
//! | [`os`] | what differs between systems: modes of files, descriptors, core dumps, options of sockets |

mod accounts;
mod bridge;
pub mod carrier;
pub mod classic;
pub mod cli;
pub mod client;
pub mod config;
mod dialer;
mod doctor;
pub mod embedded;
mod lanes;
pub mod logging;
mod metrics;
pub mod os;
pub mod persona;
pub mod protocol;
mod relay;
mod replay_log;
pub mod secure;
pub mod state;
mod trace;
pub mod tunnel;
mod uuid;
pub mod xmpp;
