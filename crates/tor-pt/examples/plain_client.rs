//! The client's half of a transport that hides nothing: Tor's bytes over TCP, as they are, to the address in the bridge
//! line, and through Tor's proxy if there is one. In `torrc`, beside what is in `plain_server.rs`:
//!
//! ```text
//! UseBridges 1
//! ClientTransportPlugin plain exec /path/to/plain_client
//! Bridge plain 192.0.2.3:4000 <FINGERPRINT>
//! ```

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;
use std::{env, io};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tor_pt::{Dialer, Launch, Message, Phase, Reply, Shutdown, Status, Stdout, Target, TransportName, socks};

/// How long Tor, on the same machine, may take over the SOCKS handshake.
const SOCKS_TIMEOUT: Duration = Duration::from_secs(5);

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
    if matches!(launch, Launch::Server(_)) {
        let text = "this is a client's transport";
        stdout.end([Message::EnvError(text.to_owned())]).await;
        return Err(text.into());
    }
    stdout.send_all(launch.greeting());
    let shutdown = Shutdown::under_tor(launch.common().exit_on_stdin_close())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    if launch.wants(&transport) {
        let version = Status::version(transport.clone(), "plain", env!("CARGO_PKG_VERSION"));
        stdout.send(Message::Status(version));
        stdout.send(Message::Cmethod { transport, addr: listener.local_addr()? });
    }
    stdout.send(Message::CmethodsDone);
    serve(listener, &Dialer::new(&launch), &shutdown).await;
    Ok(())
}

/// Takes connections until told to drain, then lets those that live end by themselves until told to stop now.
async fn serve(listener: TcpListener, dialer: &Dialer, shutdown: &Shutdown) {
    let mut live = JoinSet::new();
    loop {
        tokio::select! {
            Ok((tor, _)) = listener.accept() => drop(live.spawn(carry(tor, dialer.clone()))),
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

/// Connects to where Tor asks, and tells Tor whether that worked only when it is known.
async fn carry(tor: TcpStream, dialer: Dialer) -> io::Result<()> {
    let request = socks::accept(tor, SOCKS_TIMEOUT).await.map_err(io::Error::other)?;
    let &Target::Ip(to) = request.target() else { return request.refuse(Reply::AddressNotSupported).await };
    match dialer.connect(&to.ip().to_string(), to.port()).await {
        Ok(mut bridge) => copy_bidirectional(&mut request.accept().await?, &mut bridge).await.map(drop),
        Err(error) => request.refuse(Reply::from(&error)).await,
    }
}
