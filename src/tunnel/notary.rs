//! Handshake log: the task that writes down accepted handshakes before they are answered.

use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::Shared;
use crate::secure::{Memento, Remembered};

/// Keeps a handshake across restarts; false when that cannot be done, or was done before. It may take as long as a disk
/// takes.
pub type Notebook = Arc<dyn Fn(&Memento) -> bool + Send + Sync>;

/// Runs until the tunnel is gone.
pub(super) async fn run(
    shared: Weak<Shared>,
    notebook: Notebook,
    mut mementos: mpsc::UnboundedReceiver<Memento>,
) {
    while let Some(memento) = mementos.recv().await {
        let notebook = Arc::clone(&notebook);
        let kept = tokio::task::spawn_blocking(move || notebook(&memento)).await.unwrap_or(false);
        let Some(shared) = shared.upgrade() else { return };
        let outcome = if kept { Remembered::Kept } else { Remembered::Refused };
        shared.with(|state, now| state.cores.secure.handle_remembered(now, &memento, outcome));
    }
}
