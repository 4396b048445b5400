//! The server's half of a transport that hides nothing: it listens on TCP and hands each connection to Tor, whose bytes it
//! carries as they are. In the bridge's `torrc`:
//!
//! ```text
//! BridgeRelay 1
//! ORPort 127.0.0.1:auto
//! ExtORPort auto
//! ServerTransportPlugin plain exec /path/to/plain_server
//! ServerTransportListenAddr plain 0.0.0.0:4000
//! ```

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::{env, io};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tor_pt::{Destination, Launch, Message, Phase, Shutdown, SmethodArgs, Status, Stdout, TransportName};

/// How long Tor, on the same machine, may take to accept a connection.
const TOR_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (stdout, transport): (_, TransportName) = (Stdout::start()?, "plain".parse()?);
    let launch = match Launch::from_env(|name| env::var_os(name)) {
        Ok(launch) => launch,
        Err(error) => {
            stdout.end(error.messages()).await;
            return Err(error.into());
        }
    };
    let Launch::Server(server) = &launch else {
        let text = "this is a server's transport";
        stdout.end([Message::EnvError(text.to_owned())]).await;
        return Err(text.into());
    };
    stdout.send_all(launch.greeting());
    let shutdown = Shutdown::under_tor(server.common().exit_on_stdin_close())?;
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let listener = TcpListener::bind(server.bind_addr(&transport).unwrap_or(anywhere)).await?;
    if launch.wants(&transport) {
        let version = Status::version(transport.clone(), "plain", env!("CARGO_PKG_VERSION"));
        stdout.send(Message::Status(version));
        let (transport, addr, args) = (transport.clone(), listener.local_addr()?, SmethodArgs::default());
        stdout.send(Message::Smethod { transport, addr, args });
    }
    stdout.send(Message::SmethodsDone);
    serve(listener, &transport, server.destination(), &shutdown).await;
    Ok(())
}

/// Takes connections until told to drain, then lets those that live end by themselves until told to stop now.
async fn serve(listener: TcpListener, transport: &TransportName, tor: &Destination, shutdown: &Shutdown) {
    let mut live = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, from)) = listener.accept() => {
                live.spawn(carry(client, from, transport.clone(), tor.clone()));
            }
            Some(_) = live.join_next() => {}
            () = shutdown.reached(Phase::Drain) => break,
        }
    }
    drop(listener);
    tokio::select! {
        _ = live.join_all() => {}
        () = shutdown.reached(Phase::Now) => {}
    }
}

/// Connects to Tor, and tells it where the client is.
async fn carry(
    mut client: TcpStream,
    from: SocketAddr,
    transport: TransportName,
    tor: Destination,
) -> io::Result<()> {
    let mut tor = tor.connect(&transport, Some(from), TOR_TIMEOUT).await.map_err(io::Error::other)?;
    copy_bidirectional(&mut client, &mut tor).await.map(drop)
}
