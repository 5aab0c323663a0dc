//! Slots that take nothing just now: sends for them are refused before they are published.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use klatch_domain::{RoomId, Slot};
use parking_lot::Mutex;

/// A busy slot that nobody repeats is forgotten after this, milliseconds, beyond its own hint: the end of it may get lost.
const FORGOTTEN_MS: u64 = 5_000;

#[derive(Default)]
pub(crate) struct BusySlots {
    /// Spares every send the lock while nothing is busy, which is nearly always.
    any: AtomicBool,
    slots: Mutex<HashMap<Slot, Busy>>,
}

struct Busy {
    until_ms: u64,
    retry_after_ms: u64,
}

impl BusySlots {
    /// As message-service says; 0 ends it.
    pub(crate) fn set(&self, slots: &[Slot], retry_after_ms: u64, now_ms: u64) {
        let mut known = self.slots.lock();
        for slot in slots {
            if retry_after_ms == 0 {
                known.remove(slot);
            } else {
                let until_ms = now_ms.saturating_add(retry_after_ms).saturating_add(FORGOTTEN_MS);
                known.insert(*slot, Busy { until_ms, retry_after_ms });
            }
        }
        self.any.store(!known.is_empty(), Ordering::Release);
    }

    /// How long to wait before a send to this room, milliseconds.
    pub(crate) fn wait_for(&self, room: RoomId, slots: u16, now_ms: u64) -> Option<u64> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let slot = Slot::of(room, slots);
        let mut known = self.slots.lock();
        let busy = known.get(&slot)?;
        if busy.until_ms > now_ms {
            return Some(busy.retry_after_ms);
        }
        known.remove(&slot);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_busy_until_it_ends_or_is_forgotten() {
        let (busy, room) = (BusySlots::default(), RoomId::from_bytes([1; 16]));
        let slot = Slot::of(room, 256);
        assert_eq!(busy.wait_for(room, 256, 0), None);
        busy.set(&[slot], 700, 0);
        assert_eq!(busy.wait_for(room, 256, 5_699), Some(700));
        assert_eq!(busy.wait_for(RoomId::from_bytes([2; 16]), 256, 0), None);
        assert_eq!(busy.wait_for(room, 256, 5_700), None);
        busy.set(&[slot], 700, 0);
        busy.set(&[slot], 0, 1);
        assert_eq!(busy.wait_for(room, 256, 1), None);
    }
}
