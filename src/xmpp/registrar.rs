//! Registrar: a registry, and whose turn it is to register.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::registration::{Place, Registry};

/// See the [module](self). The connectors of a pool share one.
pub(super) struct Registrar {
    pub(super) registry: Arc<dyn Registry>,
    turns: Mutex<BTreeMap<Place, Arc<Turn<()>>>>,
}

impl Registrar {
    pub(super) fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry, turns: Mutex::default() }
    }

    /// Waits until nobody else registers there, and keeps others from it until the guard is dropped.
    pub(super) async fn turn(&self, place: &Place) -> OwnedMutexGuard<()> {
        self.turn_at(place).lock_owned().await
    }

    fn turn_at(&self, place: &Place) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody has or waits for.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(place.clone()).or_default())
    }
}
