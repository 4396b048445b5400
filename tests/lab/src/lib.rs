//! Chat servers and a Tor network on loopback, for the tests, the demo and the benchmarks of hexchat-pt.
//!
//! Everything runs in temporary folders of its own and on ports that were free a moment ago, so that any number
//! of labs can run side by side. Every process is ended by its own pid when its owner is dropped, and also when the owner
//! is killed (see [`process`]).

mod both;
pub mod ca;
pub mod control;
pub mod cutter;
pub mod dns;
pub mod ejabberd;
mod executable;
pub mod federation;
pub mod fetch;
pub mod files;
pub mod halves;
pub mod line;
pub mod names;
pub mod netns;
pub mod orphans;
pub mod overheard;
pub mod ports;
pub mod process;
pub mod prosody;
mod random;
mod read;
pub mod recorder;
pub mod server;
pub mod tor;

pub use cutter::TcpCutter;
pub use dns::DnsServer;
pub use executable::executable;
pub use federation::Federation;
pub use files::{EchoServer, FileServer};
pub use halves::Halves;
pub use line::Line;
pub use names::Names;
pub use process::Process;
pub use read::read;
pub use recorder::Recorder;
pub use server::{ANONYMOUS, Binding, COMPONENT_SECRET, ChatServer, Door, Kind, Rate, Rules};
pub use tor::TorNetwork;
