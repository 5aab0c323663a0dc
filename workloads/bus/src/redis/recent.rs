//! Recent entries in Redis: one string a room, with its head in front, that goes by itself.

use std::sync::Arc;

use async_trait::async_trait;
use klatch_domain::{Entry, Position, RoomId};
use prometheus::IntCounter;
use redis::{Cmd, Value};
use serde::{Deserialize, Serialize};

use super::{
    Options,
    keys::Keys,
    link::{CallError, Link},
    metrics::{Call, Metrics},
    scripts,
};
use crate::{RECENT_SECONDS, Recent, RecentEntries};

/// Of the shape of a run. A reader passes over another one.
const VERSION: u8 = 1;
/// Bytes of a head and of a count, before the run.
const FRONT: usize = 36;

#[derive(Serialize, Deserialize)]
struct Run {
    version: u8,
    entries: Vec<Entry>,
}

pub(super) struct RedisRecentEntries {
    link: Arc<Link>,
    keys: Keys,
    read: Call,
    keep: Call,
    forget: Call,
    unreadable: IntCounter,
}

impl RedisRecentEntries {
    pub(super) fn new(link: Arc<Link>, options: &Options, metrics: &Metrics) -> Self {
        Self {
            link,
            keys: Keys::new(&options.prefix, options.mode),
            read: metrics.call("recent_read"),
            keep: metrics.call("recent_keep"),
            forget: metrics.call("recent_forget"),
            unreadable: metrics.recent_unreadable.clone(),
        }
    }

    fn put(&self, room: RoomId, value: Vec<u8>) -> Cmd {
        let mut call = scripts::RECENT.on(&[self.keys.recent(room)]);
        call.arg(value).arg(RECENT_SECONDS);
        call
    }

    fn decode(&self, value: Value) -> Option<Recent> {
        let Value::BulkString(value) = value else { return None };
        let run = value.get(FRONT..).filter(|run| !run.is_empty())?;
        match serde_json::from_slice(run) {
            Ok(Run { version: VERSION, entries }) => Recent::from_run(entries),
            Ok(_) => {
                self.unreadable.inc();
                None
            }
            Err(error) => {
                tracing::debug!(%error, "recent entries cannot be read");
                self.unreadable.inc();
                None
            }
        }
    }
}

/// A head, as text that sorts as positions do, and how many entries lead up to it.
fn front(head: Position, count: usize) -> Vec<u8> {
    format!("{:016x}{:016x}{count:04x}", head.generation.0, head.seq.0).into_bytes()
}

#[async_trait]
impl RecentEntries for RedisRecentEntries {
    async fn read(&self, rooms: &[RoomId]) -> Vec<Option<Recent>> {
        let get = |room: &RoomId| {
            let mut call = redis::cmd("GET");
            call.arg(self.keys.recent(*room));
            call
        };
        match self.read.watch(self.link.all(rooms.iter().map(get).collect())).await {
            Ok(values) => values.into_iter().map(|value| self.decode(value)).collect(),
            Err(error) => {
                tracing::debug!(%error, "recent entries are read from the shards");
                vec![None; rooms.len()]
            }
        }
    }

    async fn keep(&self, room: RoomId, recent: Recent) {
        let mut value = front(recent.head(), recent.entries().len());
        let run = Run { version: VERSION, entries: recent.entries().to_vec() };
        if let Err(error) = serde_json::to_writer(&mut value, &run) {
            return tracing::warn!(%error, "recent entries cannot be written");
        }
        let kept: Result<_, CallError> = self.keep.watch(scripts::run(&self.link, vec![self.put(room, value)])).await;
        if let Err(error) = kept {
            tracing::debug!(%room, %error, "recent entries are not kept");
        }
    }

    async fn forget(&self, rooms: &[(RoomId, Position)]) {
        if rooms.is_empty() {
            return;
        }
        let marks = rooms.iter().map(|(room, head)| self.put(*room, front(*head, 0))).collect();
        if let Err(error) = self.forget.watch(scripts::run(&self.link, marks)).await {
            tracing::warn!(%error, rooms = rooms.len(), "Redis may hold bodies that are gone for another minute; nobody is given them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatch_domain::{Generation, Seq};

    #[test]
    fn fronts_sort_as_positions_do() {
        let at = |generation, seq| Position { generation: Generation(generation), seq: Seq(seq) };
        let sorted = [
            front(at(1, 9), 100),
            front(at(1, 10), 0),
            front(at(1, 10), 9),
            front(at(1, 10), 10),
            front(at(2, 1), 1),
            front(at(2, u64::MAX >> 11), 1),
        ];
        assert!(sorted.is_sorted() && sorted.iter().all(|front| front.len() == FRONT));
    }
}
