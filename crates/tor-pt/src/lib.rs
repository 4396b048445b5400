//! The child's half of Tor's pluggable transport specification, version 1, for any transport.
//!
//! A complete client transport, which connects to the address of the bridge line, through Tor's proxy if there is one,
//! and carries the bytes as they are:
//!
//! ```no_run
//! use tor_pt::{Dialer, Launch, Message, Phase, Reply, Shutdown, Stdout, Target, socks};
//! use std::{env, error::Error, io, time::Duration};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! async fn serve(tor: TcpStream, dialer: Dialer) -> io::Result<()> {
//!     let request = socks::accept(tor, Duration::from_secs(5)).await.map_err(io::Error::other)?;
//!     let &Target::Ip(to) = request.target() else { return request.refuse(Reply::AddressNotSupported).await };
//!     match dialer.connect(&to.ip().to_string(), to.port()).await {
//!         Ok(mut bridge) => tokio::io::copy_bidirectional(&mut request.accept().await?, &mut bridge).await.map(drop),
//!         Err(error) => request.refuse(Reply::from(&error)).await,
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let stdout = Stdout::start()?;
//!     let launch = match Launch::from_env(|name| env::var_os(name)) {
//!         Ok(launch) => launch,
//!         Err(error) => return Ok(stdout.end(error.messages()).await),
//!     };
//!     stdout.send_all(launch.greeting());
//!     let shutdown = Shutdown::under_tor(launch.common().exit_on_stdin_close())?;
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let (transport, addr) = ("example".parse()?, listener.local_addr()?);
//!     if launch.wants(&transport) {
//!         stdout.send(Message::Cmethod { transport, addr });
//!     }
//!     stdout.send(Message::CmethodsDone);
//!     loop {
//!         tokio::select! {
//!             Ok((tor, _)) = listener.accept() => drop(tokio::spawn(serve(tor, Dialer::new(&launch)))),
//!             () = shutdown.reached(Phase::Drain) => return Ok(()),
//!         }
//!     }
//! }
//! ```
//!
//! `examples/plain.rs` has the bridge's half too, and lets live connections end. It is tested with real tor.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`mod@env`] | what Tor asks of us: the environment, typed |
//! | [`message`] | each line that we may write to Tor, unbreakable |
//! | [`stdout`] | the one writer of standard output |
//! | [`args`] | arguments of a bridge line, options of a server, and their escapes |
//! | [`socks`] | the SOCKS5 server towards Tor |
//! | [`extor`] | the client of Tor's extended ORPort |
//! | [`dial`] | outgoing connections, through Tor's proxy and from its addresses |
//! | [`proxy`] | the upstream proxy of `TOR_PT_PROXY` |
//! | [`shutdown`] | stdin, signals and the parent's death as one event |

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
