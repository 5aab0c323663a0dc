//! Who hears of a watermark: everyone in a small room, unless its member keeps reading to themselves; above that, only the
//! member's own devices.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use klatch_domain::{Audience, Event, Position, RoomId, UserId, WatermarkMoved, limits::SMALL_ROOM_MEMBERS};
use klatch_store::{Shard, StoreError, shard::Watermark};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{context::Context, fan_out::Directed};

/// Large rooms remembered, so that their members are not read to find out once more that they are many.
const LARGE_ROOMS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// How long a room counts as large: one that has shrunk shows receipts a little later.
const LARGE_FOR: Duration = Duration::from_secs(60);
/// Users whose choice is remembered: some 60 bytes each.
const CHOICES: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// How long a choice is believed: whoever turns receipts off is obeyed within that.
const CHOICE_FOR: Duration = Duration::from_secs(5);

pub(crate) struct Receipts {
    context: Arc<Context>,
    large: Mutex<LruCache<RoomId, Instant>>,
    choices: Mutex<LruCache<UserId, (bool, Instant)>>,
}

impl Receipts {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, large: Mutex::new(LruCache::new(LARGE_ROOMS)), choices: Mutex::new(LruCache::new(CHOICES)) }
    }

    /// Those of the rooms that are small, with their members. Rooms that are not there are in none.
    ///
    /// # Errors
    /// The shard's.
    pub(crate) async fn small_rooms(
        &self,
        shard: &dyn Shard,
        rooms: HashSet<RoomId>,
    ) -> Result<HashMap<RoomId, Arc<[UserId]>>, StoreError> {
        let now = Instant::now();
        let unsure: Vec<RoomId> = {
            let mut large = self.large.lock();
            rooms.into_iter().filter(|room| large.get(room).is_none_or(|until| now >= *until)).collect()
        };
        if unsure.is_empty() {
            return Ok(HashMap::new());
        }
        let loaded = shard.rooms(&unsure).await?;
        let mut large = self.large.lock();
        let mut small = HashMap::with_capacity(loaded.len());
        for (room, facts) in loaded {
            if facts.members.len() > SMALL_ROOM_MEMBERS {
                large.put(room, now + LARGE_FOR);
            } else {
                small.insert(room, facts.members.into_keys().collect());
            }
        }
        Ok(small)
    }

    /// The events of watermarks that have moved.
    pub(crate) async fn events(
        &self,
        moved: Vec<(RoomId, UserId, Watermark)>,
        small: &HashMap<RoomId, Arc<[UserId]>>,
    ) -> Vec<Directed> {
        let in_small: HashSet<UserId> =
            moved.iter().filter(|(room, ..)| small.contains_key(room)).map(|(_, user, _)| *user).collect();
        let hide = self.who_hide(in_small).await;
        let mut events = Vec::with_capacity(moved.len());
        for (room, user, to) in moved {
            let alone = || Audience::Members(Arc::from([user]));
            match small.get(&room) {
                None => events.push(event(room, user, to.read, Position::NOTHING, alone())),
                Some(members) if !hide.contains(&user) => {
                    events.push(event(room, user, to.read, to.delivered, Audience::Members(Arc::clone(members))));
                }
                Some(members) => {
                    events.push(event(room, user, to.read, to.delivered, alone()));
                    let others = members.iter().copied().filter(|one| *one != user).collect();
                    events.push(event(room, user, Position::NOTHING, to.delivered, Audience::Members(others)));
                }
            }
        }
        events
    }

    /// Who of these keeps reading to themselves. Whoever the directory cannot say counts among them for now.
    async fn who_hide(&self, users: HashSet<UserId>) -> HashSet<UserId> {
        let now = Instant::now();
        let mut hide = HashSet::new();
        let mut unknown = Vec::new();
        {
            let mut choices = self.choices.lock();
            for user in users {
                match choices.get(&user) {
                    Some((shows, until)) if now < *until => {
                        if !shows {
                            hide.insert(user);
                        }
                    }
                    _ => unknown.push(user),
                }
            }
        }
        if unknown.is_empty() {
            return hide;
        }
        match self.context.directory.users(&unknown).await {
            Ok(found) => {
                let mut choices = self.choices.lock();
                for user in found {
                    choices.put(user.id, (user.read_receipts, now + CHOICE_FOR));
                    if !user.read_receipts {
                        hide.insert(user.id);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the directory cannot say who shows read receipts");
                hide.extend(unknown);
            }
        }
        hide
    }
}

fn event(room: RoomId, user: UserId, read: Position, delivered: Position, audience: Audience) -> Directed {
    let known = |position: Position| (position != Position::NOTHING).then_some(position);
    let moved =
        WatermarkMoved { room, user, read: known(read), delivered: known(delivered), audience: audience.clone() };
    Directed { room, audience, also: None, event: Event::Watermark(Arc::new(moved)) }
}
