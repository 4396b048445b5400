//! Writer of the replay log: the task that writes down accepted handshakes before they are answered.

use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::Shared;
use crate::secure::{HandshakeRecord, Persisted};

/// Keeps a handshake across restarts; false when that cannot be done, or was done before. It may take as long as a disk
/// takes.
pub type KeepHandshake = Arc<dyn Fn(&HandshakeRecord) -> bool + Send + Sync>;

/// Runs until the tunnel is gone.
pub(super) async fn run(
    shared: Weak<Shared>,
    keep: KeepHandshake,
    mut records: mpsc::UnboundedReceiver<HandshakeRecord>,
) {
    while let Some(record) = records.recv().await {
        let keep = Arc::clone(&keep);
        let kept = tokio::task::spawn_blocking(move || keep(&record)).await.unwrap_or(false);
        let Some(shared) = shared.upgrade() else { return };
        let outcome = if kept { Persisted::Yes } else { Persisted::No };
        shared.with(|state, now| state.cores.secure.handle_persisted(now, &record, outcome));
    }
}
