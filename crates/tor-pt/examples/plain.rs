//! A pluggable transport that hides nothing: both halves, on [`tor_pt`] alone. It carries Tor's bytes over TCP as
//! they are, to the address in the bridge line. In `torrc` of the client and of the bridge:
//!
//! ```text
//! ClientTransportPlugin plain exec /path/to/plain
//! Bridge plain 192.0.2.3:4000 <FINGERPRINT>
//!
//! ServerTransportPlugin plain exec /path/to/plain
//! ServerTransportListenAddr plain 0.0.0.0:4000
//! ExtORPort auto
//! ```

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::{env, io};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tor_pt::{
    Destination, Dialer, Launch, Message, Phase, Reply, Shutdown, SmethodArgs, Stdout, Target, TransportName,
    socks,
};

const NAME: &str = "plain";

/// How long Tor, on this machine, may take over a handshake.
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (stdout, transport): (_, TransportName) = (Stdout::start()?, NAME.parse()?);
    let launch = match Launch::from_env(|name| env::var_os(name)) {
        Ok(launch) => launch,
        Err(error) => {
            stdout.end(error.messages()).await;
            return Err(error.into());
        }
    };
    stdout.send_all(launch.greeting());
    let shutdown = Shutdown::under_tor(launch.common().exit_on_stdin_close())?;
    match &launch {
        Launch::Client(_) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            if launch.wants(&transport) {
                stdout.send(Message::Cmethod { transport, addr: listener.local_addr()? });
            }
            stdout.send(Message::CmethodsDone);
            let dialer = Dialer::new(&launch);
            serve(listener, shutdown, |tor| request(tor, dialer.clone())).await
        }
        Launch::Server(server) => {
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            let listener = TcpListener::bind(server.bind_addr(&transport).unwrap_or(any)).await?;
            let addr = listener.local_addr()?;
            if launch.wants(&transport) {
                stdout.send(Message::Smethod {
                    transport: transport.clone(),
                    addr,
                    args: SmethodArgs::default(),
                });
            }
            stdout.send(Message::SmethodsDone);
            let tor = server.destination();
            serve(listener, shutdown, |client| hand_over(client, tor.clone(), transport.clone())).await
        }
    }
}

/// Takes connections until told to stop, and lets those that live end by themselves unless told to stop now.
async fn serve<F>(
    listener: TcpListener,
    shutdown: Shutdown,
    carry: impl Fn(TcpStream) -> F,
) -> Result<(), Box<dyn Error>>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut live = JoinSet::new();
    loop {
        tokio::select! {
            Ok((connection, _)) = listener.accept() => drop(live.spawn(carry(connection))),
            Some(_) = live.join_next() => {}
            () = shutdown.reached(Phase::Drain) => break,
        }
    }
    drop(listener);
    tokio::select! {
        _ = live.join_all() => {}
        () = shutdown.reached(Phase::Now) => {}
    }
    Ok(())
}

/// The client's half: Tor says by SOCKS where the bridge is.
async fn request(tor: TcpStream, dialer: Dialer) -> io::Result<()> {
    let request = socks::accept(tor, LIMIT).await.map_err(io::Error::other)?;
    let &Target::Ip(to) = request.target() else { return request.refuse(Reply::AddressNotSupported).await };
    match dialer.connect(&to.ip().to_string(), to.port()).await {
        Ok(mut bridge) => copy_bidirectional(&mut request.accept().await?, &mut bridge).await.map(drop),
        Err(error) => request.refuse(Reply::from(&error)).await,
    }
}

/// The bridge's half.
async fn hand_over(mut client: TcpStream, tor: Destination, transport: TransportName) -> io::Result<()> {
    let mut tor = tor.connect(&transport, client.peer_addr().ok(), LIMIT).await.map_err(io::Error::other)?;
    copy_bidirectional(&mut client, &mut tor).await.map(drop)
}
