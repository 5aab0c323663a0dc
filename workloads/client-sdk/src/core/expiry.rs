//! Entries whose time has passed: emptied here as the server empties them. The time is the server's, as `welcome` says it,
//! carried on by the core's own clock, so that a wrong clock of this machine hides nothing and keeps nothing.

use klatch_domain::{RoomId, Timestamp};

use super::Core;
use super::timeline::News;

/// The server's clock, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerClock {
    /// What it showed, and the inside time of hearing that.
    heard: Option<(Timestamp, u64)>,
}

impl ServerClock {
    /// The server says its time.
    pub(crate) fn heard(&mut self, time: Timestamp, now: u64) {
        self.heard = Some((time, now));
    }

    /// What it shows now; none before the first word of it.
    fn at(self, now: u64) -> Option<Timestamp> {
        let (time, heard) = self.heard?;
        Some(time.plus(std::time::Duration::from_millis(now.saturating_sub(heard))))
    }

    /// The inside time at which it shows this; in the past: now.
    fn when(self, time: Timestamp) -> Option<u64> {
        let (shown, heard) = self.heard?;
        let wait = u64::try_from(time.as_millis().saturating_sub(shown.as_millis())).unwrap_or(0);
        Some(heard.saturating_add(wait))
    }
}

impl Core {
    /// Empties what has expired.
    pub(super) fn pump_expiry(&mut self) {
        let Some(time) = self.server_clock.at(self.now) else { return };
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= time);
        let rooms: Vec<RoomId> =
            self.rooms.iter().filter(|(_, held)| due(held.timeline.next_expiry())).map(|(room, _)| *room).collect();
        for room in rooms {
            let mut news = News::default();
            if let Some(held) = self.rooms.get_mut(&room) {
                held.timeline.expire(time, &mut news);
            }
            self.publish(room, news);
        }
    }

    /// When the next row expires.
    pub(super) fn expiry_due(&self) -> Option<u64> {
        let next = self.rooms.values().filter_map(|held| held.timeline.next_expiry()).min()?;
        self.server_clock.when(next)
    }
}
