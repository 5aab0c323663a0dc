//! One reading of everything a shard has left to one ingest queue, doing what can be done.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
};

use klatch_domain::{MessageId, RoomFacts, RoomId, Seq, ShardId, UserId};
use klatch_store::{FollowUp, FollowUpKey, StoreError};
use lru::LruCache;
use tokio::time::Instant;

use super::{Follower, by_shard, publish, within};
use crate::{
    context::Context,
    follow_up::Notice,
    project::{Projection, is_fault},
};

/// Follow-ups of one page: some milliseconds of the directory.
const PAGE: usize = 1_024;
/// Rooms remembered whose projection is done while their notices wait for an inbox's shard.
const PROJECTED: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// Passes that the directory may refuse as a fault of the program before the culprit is looked for.
const FAULTS: usize = 3;
/// Follow-ups given up until the next start; beyond it they are tried for ever.
const GIVEN_UP: usize = 4_096;

/// What one pass leaves to the next.
pub(super) struct Memory {
    projected: LruCache<RoomId, Seq>,
    faults: usize,
    given_up: HashSet<FollowUpKey>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { projected: LruCache::new(PROJECTED), faults: 0, given_up: HashSet::new() }
    }
}

/// Answers whether nothing was found that has to be done.
///
/// # Errors
/// [`StoreError`] of the shard or the directory, or that an ingest queue takes nothing. Another pass does the rest.
pub(super) async fn run(context: &Context, follower: &Follower, memory: &mut Memory) -> Result<bool, StoreError> {
    let mut pass = Pass { context, follower, memory, away: HashSet::new(), before: HashMap::new(), found: false };
    follower.owed.lock().drop_late(Instant::now());
    let mut after = None;
    loop {
        let page = within(follower.shard.follow_ups(after, PAGE)).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        let more = page.len() == PAGE;
        pass.page(page).await?;
        if !more {
            break;
        }
    }
    Ok(!pass.found)
}

struct Pass<'a> {
    context: &'a Context,
    follower: &'a Follower,
    memory: &'a mut Memory,
    /// Shards of inboxes that do not answer.
    away: HashSet<ShardId>,
    /// The last notice of each subject that has not arrived.
    before: HashMap<(RoomId, UserId), MessageId>,
    found: bool,
}

impl Pass<'_> {
    async fn page(&mut self, mut page: Vec<FollowUp>) -> Result<(), StoreError> {
        page.retain(|one| !self.memory.given_up.contains(&one.key) && self.follower.is_mine(self.context, &one.key));
        if page.is_empty() {
            return Ok(());
        }
        self.found = true;
        self.project(&page).await?;
        let mut done = self.notify(&page).await?;
        done.retain(|key| !self.memory.given_up.contains(key));
        if !done.is_empty() {
            within(self.follower.shard.followed_up(done)).await?;
        }
        Ok(())
    }

    async fn project(&mut self, page: &[FollowUp]) -> Result<(), StoreError> {
        let done = |key: FollowUpKey| self.memory.projected.peek(&key.room).is_some_and(|seq| key.seq <= *seq);
        let fresh: Vec<&FollowUp> = page.iter().filter(|one| !done(one.key)).collect();
        let mut rooms: Vec<RoomId> = fresh.iter().map(|one| one.key.room).collect();
        rooms.dedup();
        if rooms.is_empty() {
            return Ok(());
        }
        let facts = within(self.follower.shard.rooms(&rooms)).await?;
        match within(projection(&fresh, &facts).hand_over(self.context)).await {
            Ok(()) => self.memory.faults = 0,
            Err(error) if is_fault(&error) && self.memory.faults >= FAULTS => self.one_by_one(&fresh, &facts).await?,
            Err(error) => {
                self.memory.faults += usize::from(is_fault(&error));
                return Err(error);
            }
        }
        for one in fresh {
            self.memory.projected.put(one.key.room, one.key.seq);
        }
        Ok(())
    }

    /// The directory refuses the page: everyone else goes on.
    async fn one_by_one(&mut self, fresh: &[&FollowUp], facts: &HashMap<RoomId, RoomFacts>) -> Result<(), StoreError> {
        for one in fresh {
            match within(projection(&[*one], facts).hand_over(self.context)).await {
                Ok(()) => {}
                Err(error) if is_fault(&error) && self.memory.given_up.len() < GIVEN_UP => {
                    self.memory.given_up.insert(one.key);
                    self.context.metrics.dead_letters.inc();
                    let key = one.key;
                    tracing::error!(%error, room = %key.room, seq = key.seq.0, "the directory does not take what a log decided");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Answers what is done: what owes no notice, or one that has arrived. The others are published unless they are on
    /// their way.
    async fn notify(&mut self, page: &[FollowUp]) -> Result<Vec<FollowUpKey>, StoreError> {
        let notices: Vec<Notice> = page.iter().filter_map(Notice::of).collect();
        let mut done: Vec<FollowUpKey> =
            page.iter().filter(|one| Notice::of(one).is_none()).map(|one| one.key).collect();
        let mut missing = HashSet::new();
        let shards = self.context.owners.current();
        let asked = notices.iter().map(|notice| (notice.follow_up.key, notice.inbox, notice.id)).collect();
        for (shard, group) in by_shard(&shards, asked) {
            if self.away.contains(&shard.id()) {
                continue;
            }
            let ids: Vec<_> = group.iter().map(|(_, inbox, id)| (*inbox, *id)).collect();
            match within(shard.known(&ids)).await {
                Ok(found) => {
                    let (arrived, absent): (Vec<_>, Vec<_>) =
                        group.into_iter().partition(|(_, inbox, id)| found.contains_key(&(*inbox, *id)));
                    missing.extend(absent.into_iter().map(|(key, ..)| key));
                    done.extend(arrived.iter().map(|(key, ..)| *key));
                    let mut owed = self.follower.owed.lock();
                    arrived.into_iter().for_each(|(key, ..)| owed.arrived(key));
                }
                Err(error) => {
                    tracing::warn!(shard = shard.id().0, %error, "notices wait for the shard of their inboxes");
                    self.away.insert(shard.id());
                }
            }
        }
        self.send(notices.into_iter().filter(|notice| missing.contains(&notice.follow_up.key))).await?;
        Ok(done)
    }

    async fn send(&mut self, missing: impl Iterator<Item = Notice>) -> Result<(), StoreError> {
        let (now, micros) = (Instant::now(), self.context.clock.micros());
        let commands = {
            let mut owed = self.follower.owed.lock();
            let mut commands = Vec::new();
            for notice in missing {
                let after = self.before.insert(notice.subject(), notice.id);
                if !owed.is_on_its_way(notice.follow_up.key, now) && owed.room() > 0 {
                    commands.push(notice.command(after, micros));
                    owed.send(notice, now);
                }
            }
            commands
        };
        if publish(self.context, commands).await {
            return Ok(());
        }
        self.follower.owed.lock().recall();
        Err(StoreError::Unavailable { step: "follow up", source_text: "an ingest queue takes no notices".to_owned() })
    }
}

fn projection(follow_ups: &[&FollowUp], facts: &HashMap<RoomId, RoomFacts>) -> Projection {
    let mut projection = Projection::default();
    for one in follow_ups {
        if let Some(facts) = facts.get(&one.key.room) {
            projection.add(one, facts);
        }
    }
    projection
}
