#![doc = include_str!("../README.md")]

pub mod args;
pub mod dial;
pub mod env;
pub mod extor;
pub mod message;
pub mod name;
mod os;
pub mod proxy;
pub mod shutdown;
pub mod socks;
pub mod stdout;

pub use args::{Args, SmethodArgs};
pub use dial::Dialer;
pub use env::{ClientLaunch, Destination, Launch, LaunchError, OutboundBind, ServerLaunch};
pub use message::{Message, Severity, Status};
pub use name::TransportName;
pub use proxy::Proxy;
pub use shutdown::{Phase, Shutdown};
pub use socks::{Reply, SocksRequest, Target};
pub use stdout::Stdout;
