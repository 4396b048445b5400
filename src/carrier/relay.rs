//! Proxy of bytestreams of an account's server (XEP-0065), through which relays go: where it is, and what joins two connections there.
//! Pure.
//!
//! Of the bytestreams themselves only this much goes by stanzas: the peer learns inside the session where to connect, so that no `query` is
//! sent to it. What is asked for is what slixmpp's plugin for XEP-0065 asks for.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`proxy`] | how a proxy says that it is one, and where |
//! | [`stream`] | how a bytestream is named: its id, and what both ends ask the proxy for |
//! | [`activation`] | what lets the bytes through: the request, and the answer |

pub mod activation;
pub mod proxy;
pub mod stream;
