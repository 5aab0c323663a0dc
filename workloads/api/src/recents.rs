//! Pages at the end of a large room's log: kept beside the shards, as many people read them at one head.
//!
//! What is kept answers only while the shard says that the log still ends there, and only whoever the shard says is a member.

use std::{collections::HashMap, sync::Arc};

use klatch_bus::{Recent, RecentEntries};
use klatch_domain::{Position, RoomId, limits::SMALL_ROOM_MEMBERS};
use klatch_store::shard::{Page, Range, Standing};

use crate::metrics::Metrics;

pub(crate) struct Recents {
    kept: Arc<dyn RecentEntries>,
    metrics: Arc<Metrics>,
}

/// A page of a run, if that covers it.
pub(crate) fn page_of(recent: &Recent, range: Range, limit: usize) -> Option<Page> {
    let (entries, more) = match range {
        Range::Newest => recent.newest(limit)?,
        Range::After(seq) => recent.after(seq, limit)?,
        Range::Before(_) => return None,
    };
    Some(Page { entries: entries.to_vec(), more })
}

impl Recents {
    pub(crate) fn new(kept: Arc<dyn RecentEntries>, metrics: Arc<Metrics>) -> Self {
        Self { kept, metrics }
    }

    /// What is kept of these rooms.
    pub(crate) async fn read(&self, rooms: &[RoomId]) -> HashMap<RoomId, Recent> {
        let found = self.kept.read(rooms).await;
        let found: HashMap<_, _> = rooms.iter().zip(found).filter_map(|(room, one)| Some((*room, one?))).collect();
        self.metrics.recent.with_label_values(&["miss"]).inc_by((rooms.len() - found.len()) as u64);
        found
    }

    /// The page, if the log still ends where the run does and the run covers it.
    pub(crate) fn page(&self, recent: &Recent, head: Option<Position>, range: Range, limit: usize) -> Option<Page> {
        let page = page_of(recent, range, limit).filter(|_| Some(recent.head()) == head);
        self.metrics.recent.with_label_values(&[if page.is_some() { "hit" } else { "stale" }]).inc();
        page
    }

    /// Keeps the end of a page that was read from a shard and reached the end of its log, if many may want it.
    pub(crate) async fn keep(&self, room: RoomId, page: &Page, standing: Option<&Standing>) {
        // In smaller rooms hardly anybody comes to one head twice.
        let large = standing.is_some_and(|standing| standing.member_count > SMALL_ROOM_MEMBERS as u64);
        if large && let Some(recent) = Recent::of(&page.entries) {
            self.kept.keep(room, recent).await;
        }
    }
}
