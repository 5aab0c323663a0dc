//! Slots that take nothing just now: sends for them are refused before they are published.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use klatch_domain::{RoomId, Slot};
use parking_lot::Mutex;

/// A busy slot that nobody repeats is forgotten after this, milliseconds, beyond its own hint: the end of it may get lost.
const FORGOTTEN_MS: u64 = 5_000;
/// Clients wait a fourth of the time that their slot has been busy already: who comes back is refused by the same gateway that
/// serves the rooms that are well, and a shard that is away for a minute is seldom back the next second.
const SHARE_OF_AGE: u64 = 4;
/// The longest they are told to wait, milliseconds, before the spread: how late a room may hear that its shard is back.
const LONGEST_MS: u64 = 5_000;
/// And up to a fourth more, each another while: those who were refused together do not come back together.
const SPREAD: u64 = 4;
/// 2^32 / golden ratio: multiples of it are spread evenly, whatever their number (Knuth, TAOCP 3, 6.4).
const GOLDEN: u32 = 0x9E37_79B9;

#[derive(Default)]
pub(crate) struct BusySlots {
    /// Spares every send the lock while nothing is busy, which is nearly always.
    any: AtomicBool,
    slots: Mutex<HashMap<Slot, Busy>>,
    /// Where in the spread the next one comes.
    next: AtomicU32,
}

struct Busy {
    since_ms: u64,
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
                let before = known.get(slot).filter(|busy| busy.until_ms > now_ms);
                let since_ms = before.map_or(now_ms, |busy| busy.since_ms);
                known.insert(*slot, Busy { since_ms, until_ms, retry_after_ms });
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
            return Some(self.spread(busy.wait_ms(now_ms)));
        }
        known.remove(&slot);
        None
    }

    fn spread(&self, wait_ms: u64) -> u64 {
        let place = self.next.fetch_add(GOLDEN, Ordering::Relaxed);
        wait_ms + (((wait_ms / SPREAD) * u64::from(place)) >> u32::BITS)
    }
}

impl Busy {
    fn wait_ms(&self, now_ms: u64) -> u64 {
        let grown = now_ms.saturating_sub(self.since_ms) / SHARE_OF_AGE;
        self.retry_after_ms.max(grown.min(LONGEST_MS))
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
        assert_eq!(busy.wait_for(room, 256, 0), Some(700));
        assert!(busy.wait_for(room, 256, 5_699).is_some());
        assert_eq!(busy.wait_for(RoomId::from_bytes([2; 16]), 256, 0), None);
        assert_eq!(busy.wait_for(room, 256, 5_700), None);
        busy.set(&[slot], 700, 0);
        busy.set(&[slot], 0, 1);
        assert_eq!(busy.wait_for(room, 256, 1), None);
    }

    #[test]
    fn the_longer_it_lasts_the_longer_clients_wait_up_to_a_bound() {
        let (busy, room) = (BusySlots::default(), RoomId::from_bytes([1; 16]));
        let slot = Slot::of(room, 256);
        let mut waits = Vec::new();
        for now in (0..60_000).step_by(1_000) {
            busy.set(&[slot], 1_500, now);
            waits.push(busy.wait_for(room, 256, now).unwrap());
        }
        for (second, wait) in waits.into_iter().enumerate() {
            let least = (second as u64 * 1_000 / SHARE_OF_AGE).clamp(1_500, LONGEST_MS);
            assert!((least..=least + least / SPREAD).contains(&wait), "{wait} after {second} s");
        }
        busy.set(&[slot], 0, 60_000);
        busy.set(&[slot], 1_500, 60_000);
        assert!(busy.wait_for(room, 256, 60_000).unwrap() < 2_000, "another time");
    }

    #[test]
    fn those_who_are_refused_together_do_not_come_back_together() {
        let (busy, room) = (BusySlots::default(), RoomId::from_bytes([1; 16]));
        busy.set(&[Slot::of(room, 256)], 1_600, 0);
        let mut waits: Vec<u64> = (0..100).map(|_| busy.wait_for(room, 256, 0).unwrap()).collect();
        waits.sort_unstable();
        assert!(waits.windows(2).all(|pair| pair[1] - pair[0] <= 10), "{waits:?}");
        assert!(waits[99] - waits[0] > 380, "{waits:?}");
    }
}
