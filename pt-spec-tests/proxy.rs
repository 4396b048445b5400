//! Rows 19, 21, 22 and 48: `TOR_PT_PROXY`, with real proxies in a network in which nothing else can be reached.

mod closed;
mod hostile;
mod servers;
mod uri;
mod web_socket;
mod world;
