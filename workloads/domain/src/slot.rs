//! Slots: fixed hash buckets of rooms, and the map from slot to shard.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::RoomId;

/// Slots of a new cluster. Fixed for its life: a room's slot must never change.
pub const DEFAULT_SLOTS: u16 = 256;

/// One hash bucket of rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u16);

impl Slot {
    /// `xxh3_64(room id, 16 bytes big endian) % slots`. The hash is stable across versions and machines
    /// (<https://github.com/Cyan4973/xxHash>); vectors in this module's tests pin it.
    #[must_use]
    pub fn of(room: RoomId, slots: u16) -> Self {
        let slots = u64::from(slots.max(1));
        // The remainder is below 2^16.
        Self((xxh3_64(room.as_bytes()) % slots) as u16)
    }

    /// The ingest queue that carries this slot's commands.
    #[must_use]
    pub fn ingest_queue(self, queues: u16) -> u16 {
        self.0 % queues.max(1)
    }
}

/// A shard's number in the slot map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u16);

/// Which shard owns which slot, at one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotMap {
    epoch: u64,
    owners: Vec<ShardId>,
}

/// A slot map that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotMapError {
    /// No slots or no shards.
    #[error("a slot map needs at least one slot and one shard")]
    Empty,
}

impl SlotMap {
    /// Deals `slots` slots evenly to `shards` shards, at epoch 1.
    ///
    /// # Errors
    /// [`SlotMapError::Empty`] when either number is 0.
    pub fn even(slots: u16, shards: u16) -> Result<Self, SlotMapError> {
        if slots == 0 || shards == 0 {
            return Err(SlotMapError::Empty);
        }
        Ok(Self { epoch: 1, owners: (0..slots).map(|slot| ShardId(slot % shards)).collect() })
    }

    /// The map with these owners, slot 0 first.
    ///
    /// # Errors
    /// [`SlotMapError::Empty`] when there is no slot.
    pub fn from_owners(epoch: u64, owners: Vec<ShardId>) -> Result<Self, SlotMapError> {
        if owners.is_empty() || owners.len() > usize::from(u16::MAX) {
            return Err(SlotMapError::Empty);
        }
        Ok(Self { epoch, owners })
    }

    /// Rises with every change of the map.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u16 {
        // from_owners and even bound the length.
        self.owners.len() as u16
    }

    /// All owners, slot 0 first.
    #[must_use]
    pub fn owners(&self) -> &[ShardId] {
        &self.owners
    }

    /// The slot of a room.
    #[must_use]
    pub fn slot_of(&self, room: RoomId) -> Slot {
        Slot::of(room, self.slots())
    }

    /// The shard that owns a room.
    #[must_use]
    pub fn shard_of(&self, room: RoomId) -> ShardId {
        self.owners[usize::from(self.slot_of(room).0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_function_never_changes() {
        let slots = [0, 1, 42, 255].map(|byte| Slot::of(RoomId::from_bytes([byte; 16]), 256).0);
        assert_eq!(slots, [104, 14, 167, 19]);
    }

    #[test]
    fn slots_are_dealt_evenly() {
        let map = SlotMap::even(256, 3).unwrap();
        for shard in 0..3 {
            let owned = map.owners().iter().filter(|owner| owner.0 == shard).count();
            assert!((85..=86).contains(&owned));
        }
    }
}
