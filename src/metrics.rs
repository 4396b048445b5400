//! Metrics for Prometheus, on an address of this machine: what the program does, in numbers and without names.
//!
//! The cores count already, in plain data, so what is left is a page of text ([`page`]) and somebody who hands it out ([`listener`]).
//! The crates that write this format keep counters of their own, behind a registry for the whole process; then everything would be counted
//! twice, and the cores would not be pure.

mod listener;
mod page;
mod text;

use std::net::SocketAddr;

use crate::tunnel::Tunnel;

/// Counts of people are rounded up to a multiple of 8, as Tor does in what bridges publish.
const BIN: u64 = 8;

/// A count of people as others may see it.
#[must_use]
pub(crate) fn binned(count: u64) -> u64 {
    count.div_ceil(BIN).saturating_mul(BIN)
}

/// Hands out what the tunnel does at this address, if there is one, for as long as the runtime runs. A port that is taken is said, and stops
/// nothing. Must be called within a Tokio runtime.
pub(crate) fn start(listen: Option<SocketAddr>, tunnel: &Tunnel) {
    let Some(listen) = listen else { return };
    let tunnel = tunnel.clone();
    tokio::spawn(async move {
        match tokio::net::TcpListener::bind(listen).await {
            Ok(socket) => {
                let address = socket.local_addr().unwrap_or(listen);
                tracing::info!("metrics are at http://{address}/metrics");
                listener::serve(socket, move || page::page(&tunnel.stats())).await;
            }
            Err(error) => tracing::warn!(
                "there are no metrics, because nothing can listen at {listen} ([metrics] listen): {error}; choose another port"
            ),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::binned;

    #[test]
    fn counts_of_people_are_rounded_up_to_a_multiple_of_eight() {
        assert_eq!([0, 1, 8, 9, 17].map(binned), [0, 8, 8, 16, 24]);
    }
}
