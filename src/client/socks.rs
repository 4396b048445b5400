//! SOCKS requests of Tor's, each with the arguments of a bridge line: they become streams.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tor_pt::{SocksRequest, Target, socks};

use super::{BridgeStream, Client, ClientError};
use crate::protocol::Address;

/// How long Tor may take over the SOCKS handshake: 5 seconds, since it is on the same machine.
const SOCKS_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves one connection of Tor's.
pub(crate) async fn serve(client: Arc<Client>, tcp: TcpStream) {
    // Without it small cells wait for each other; that it fails means the connection is gone.
    let _ = tcp.set_nodelay(true);
    // What comes before the relay is in boxes, so that the task has no room for it while it relays.
    match Box::pin(socks::accept(tcp, SOCKS_TIMEOUT)).await {
        Ok(request) => answer(&client, request).await,
        Err(error) => client.warn_once(None, &format!("a SOCKS request was refused: {error}")),
    }
}

async fn answer(client: &Client, request: SocksRequest) {
    let arguments: Vec<_> = request.args().iter().collect();
    let address = match request.target() {
        Target::Ip(address) => Some(*address),
        Target::Domain(..) => None,
    };
    let bridge = client.name(&arguments, address);
    let outcome = tokio::select! {
        outcome = Box::pin(connect(client, &arguments, &request)) => outcome,
        () = request.closed() => return,
    };
    match outcome {
        Ok(stream) => {
            client.recovered(bridge);
            if let Ok(tcp) = request.accept().await {
                // It was reached before Tor was told so.
                let _ = stream.relay(tcp).await;
            }
        }
        Err(error) => {
            client.explain_once(bridge, &error);
            // If Tor has gone away there is nobody to tell.
            let _ = request.refuse(error.reply()).await;
        }
    }
}

async fn connect(
    client: &Client,
    arguments: &[(&str, &str)],
    request: &SocksRequest,
) -> Result<BridgeStream, ClientError> {
    let bridge = client.resolve(arguments)?;
    let remote = match request.target() {
        Target::Ip(address) => Some(Address::from(*address)),
        Target::Domain(host, port) => Address::new(host.clone(), port.to_string()),
    };
    let remote = remote.ok_or(ClientError::BadTarget)?;
    client.connect(&bridge, request.peer().into(), remote).await
}
