//! Which shard owns which slot, as far as this process knows.

use klatch_store::{Directory, Shards, StoreError};
use parking_lot::RwLock;

/// The newest slot map this process has seen. A shard that fences a write makes it look again.
pub(crate) struct Owners(RwLock<Shards>);

impl Owners {
    pub(crate) fn new(shards: Shards) -> Self {
        Self(RwLock::new(shards))
    }

    pub(crate) fn current(&self) -> Shards {
        self.0.read().clone()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.0.read().map().epoch()
    }

    /// Takes over the directory's slot map if it is newer; answers whether it was.
    ///
    /// # Errors
    /// [`StoreError`], also when the map names a shard this process has not opened.
    pub(crate) async fn refresh(&self, directory: &dyn Directory) -> Result<bool, StoreError> {
        let Some(map) = directory.slot_map().await? else { return Ok(false) };
        let mut held = self.0.write();
        if map.epoch() <= held.map().epoch() {
            return Ok(false);
        }
        let shards = held.all().cloned().collect();
        *held = Shards::new(map, shards)?;
        Ok(true)
    }
}
