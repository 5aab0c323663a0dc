//! Watermarks on their way to message-service: the furthest position of each room and user, once a tick.

use std::{collections::HashMap, mem::take, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use klatch_bus::WatermarkMove;
use klatch_domain::{Position, RoomId, UserId};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};

use crate::core::Core;

/// How long moves are gathered: a reader scrolls through many positions in it, and nobody sees a receipt later for it.
const TICK: Duration = Duration::from_millis(100);
/// Rooms and users that move within one tick. More are dropped and counted; clients report again.
const MOST: usize = 65_536;

#[derive(Default)]
pub(crate) struct Reports {
    moves: Mutex<HashMap<(RoomId, UserId), WatermarkMove, RandomState>>,
    wake: Notify,
}

impl Reports {
    /// Answers false when it had to be dropped.
    pub(crate) fn add(&self, moved: WatermarkMove) -> bool {
        let mut moves = self.moves.lock();
        let key = (moved.room, moved.user);
        if let Some(known) = moves.get_mut(&key) {
            known.read = further(known.read, moved.read);
            known.delivered = further(known.delivered, moved.delivered);
            known.session = moved.session;
            return true;
        }
        if moves.len() >= MOST {
            return false;
        }
        let first = moves.is_empty();
        moves.insert(key, moved);
        drop(moves);
        if first {
            self.wake.notify_one();
        }
        true
    }
}

fn further(one: Option<Position>, other: Option<Position>) -> Option<Position> {
    // None is less than any position.
    one.max(other)
}

/// Publishes once a tick, while there is something.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => break,
            () = core.reports.wake.notified() => {}
        }
        tokio::select! {
            biased;
            () = core.stop.cancelled() => {}
            () = sleep(TICK) => {}
        }
        publish(&core).await;
    }
    publish(&core).await;
}

async fn publish(core: &Core) {
    let moves = take(&mut *core.reports.moves.lock());
    if !moves.is_empty() {
        core.bus.watermarks.publish(moves.into_values().collect()).await;
    }
}
