//! Watermark moves on RabbitMQ: a bounded queue whose messages do not outlive the broker. Confirmed all the same, as a batch a
//! tick costs nothing and only so is what was dropped counted.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use async_trait::async_trait;
use klatch_domain::{RoomId, SessionId, UserId};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    confirmed::{Confirmed, Lasting, properties},
    held::Held,
    intake::{Intake, Reader},
    link::Link,
    metrics::{Metrics, counter},
    names::Names,
    options::Options,
    pause::Pause,
};
use crate::{WatermarkConsumer, WatermarkMove, Watermarks, payload::watermarks};

/// Moves handed out at once: what one transaction writes without holding up messages.
const RECEIVE_MOVES: usize = 1_024;

pub(super) struct RabbitmqWatermarks {
    publisher: Confirmed,
    pause: Pause,
    link: Arc<Link>,
    queue: String,
    prefetch: u16,
    metrics: Arc<Metrics>,
    closing: CancellationToken,
    _close: DropGuard,
}

impl RabbitmqWatermarks {
    pub(super) fn new(
        options: &Options,
        names: &Names,
        (publishing, consuming): (&Arc<Link>, &Arc<Link>),
        metrics: &Arc<Metrics>,
    ) -> Self {
        let queue = names.watermarks();
        let transient = properties("watermarks", Lasting::Transient);
        let closing = CancellationToken::new();
        Self {
            // The default exchange leads to the queue of that name.
            publisher: Confirmed::new(Arc::clone(publishing), "", &queue, transient, options.confirm_timeout),
            pause: Pause::new(options.skip_after),
            link: Arc::clone(consuming),
            queue,
            prefetch: options.watermark_prefetch,
            metrics: Arc::clone(metrics),
            _close: closing.clone().drop_guard(),
            closing,
        }
    }
}

#[async_trait]
impl Watermarks for RabbitmqWatermarks {
    async fn publish(&self, batch: Vec<WatermarkMove>) {
        let moves = merged(batch);
        if moves.is_empty() {
            return;
        }
        if let Err(error) = self.pause.unless_paused(self.publisher.publish(&watermarks::encode(&moves))).await {
            tracing::debug!(?error, moves = moves.len(), "watermark moves were dropped");
            self.metrics.dropped.with_label_values(&[&self.queue]).inc_by(counter(moves.len()));
        }
    }

    async fn consume(&self) -> Box<dyn WatermarkConsumer> {
        let reader = MoveReader { queue: self.queue.clone(), metrics: Arc::clone(&self.metrics) };
        let intake = Intake {
            link: Arc::clone(&self.link),
            queue: self.queue.clone(),
            prefetch: self.prefetch,
            acknowledge_at_once: true,
            reader,
            metrics: Arc::clone(&self.metrics),
            closing: self.closing.clone(),
        };
        let leave = CancellationToken::new();
        let inbox = intake.start_attached(leave.clone()).await;
        Box::new(Consumer(Held::new(inbox, leave)))
    }
}

/// The greatest of every member and session, in order of first mention.
fn merged(moves: impl IntoIterator<Item = WatermarkMove>) -> Vec<WatermarkMove> {
    let mut places: HashMap<(RoomId, UserId, SessionId), usize> = HashMap::new();
    let mut merged: Vec<WatermarkMove> = Vec::new();
    for one in moves {
        match places.entry((one.room, one.user, one.session)) {
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(one);
            }
            Entry::Occupied(place) => {
                if let Some(earlier) = merged.get_mut(*place.get()) {
                    earlier.read = earlier.read.max(one.read);
                    earlier.delivered = earlier.delivered.max(one.delivered);
                }
            }
        }
    }
    merged
}

struct Consumer(Held<Vec<WatermarkMove>>);

#[async_trait]
impl WatermarkConsumer for Consumer {
    async fn receive(&mut self) -> Option<Vec<WatermarkMove>> {
        loop {
            let (_, mut moves, _) = self.0.receive().await?;
            while moves.len() < RECEIVE_MOVES
                && let Some((_, more, _)) = self.0.try_receive()
            {
                moves.extend(more);
            }
            self.0.forget();
            if !moves.is_empty() {
                return Some(merged(moves));
            }
        }
    }
}

struct MoveReader {
    queue: String,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl Reader for MoveReader {
    type Item = Vec<WatermarkMove>;

    async fn read(&self, body: Vec<u8>) -> Result<Option<Self::Item>, String> {
        let moves = watermarks::decode(&body).inspect_err(|error| {
            tracing::warn!(%error, "watermark moves are dropped");
            self.metrics.unreadable.with_label_values(&[&self.queue]).inc();
        });
        Ok(moves.ok())
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::Position;

    use super::*;

    #[test]
    fn the_greatest_of_every_member_and_session_is_left() {
        let moved = |room: u8, read: Option<u64>, delivered: Option<u64>| WatermarkMove {
            room: RoomId::from_bytes([room; 16]),
            user: UserId::from_bytes([1; 16]),
            session: SessionId::from_bytes([1; 16]),
            read: read.map(Position::first),
            delivered: delivered.map(Position::first),
        };
        let moves = [moved(1, Some(5), None), moved(2, Some(1), None), moved(1, Some(3), Some(7))];
        assert_eq!(merged(moves), [moved(1, Some(5), Some(7)), moved(2, Some(1), None)]);
    }
}
