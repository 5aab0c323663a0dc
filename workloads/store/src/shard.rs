//! A message shard: the logs of the rooms in its slots.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use klatch_domain::{
    Entry, Fingerprint, Member, MessageId, Ordinal, Position, ReactionCount, Role, RoomFacts, RoomId, RoomKind,
    RoomName, Seq, ShardId, SlotMap, Timestamp, UserId, Visibility,
};

use crate::{FollowUp, FollowUpKey, StoreError};

/// One entry to be written, with what it changes. Seq, ordinal and time are already given: the caller holds the head.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Whose log.
    pub room: RoomId,
    /// The row.
    pub entry: Entry,
    /// What else changes in the same transaction.
    pub effect: Effect,
}

/// What an entry changes beside adding its row.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The room row is made first. Its facts are those before this entry (head 0), but for the members this entry brings:
    /// those in `members` (the owner of an inbox, the maker of a room) are written as members, and `members_version` as it
    /// stands there.
    Create(Box<RoomFacts>),
    /// The target's content and `edited_at` are this entry's content and time; its `changed_seq` this entry's seq. The
    /// target's first fingerprint is kept.
    Edit {
        /// Seq of the target.
        target: Seq,
    },
    /// The target is `deleted`, its content and that of all its edits is `{}`; `changed_seq` is this entry's seq.
    Delete {
        /// Seq of the target.
        target: Seq,
    },
    /// The sender's emoji on the target is on or off; the target's `changed_seq` is this entry's seq.
    React {
        /// Seq of the target.
        target: Seq,
        /// Which emoji.
        emoji: String,
        /// There, or not.
        on: bool,
    },
    /// A member is there with this role from now on; `members_version` is this entry's seq. May go with making the room.
    /// Who is new after something was said and has no watermark has read up to this entry.
    PutMember {
        /// Who.
        user: UserId,
        /// As what, since when.
        member: Member,
    },
    /// A member is gone; `members_version` is this entry's seq. Their watermark stays for a return.
    RemoveMember {
        /// Who.
        user: UserId,
    },
    /// Name and visibility are these.
    ChangeRoom {
        /// New name, if it changes.
        name: Option<RoomName>,
        /// New visibility, if it changes.
        visibility: Option<Visibility>,
    },
    /// The room is closed: all contents are `{}`, all members gone, `members_version` is this entry's seq.
    DeleteRoom,
}

/// Why a batch was not written. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// These ids are in their rooms already (`UNIQUE (room, message_id)`): look them up, leave them out, try again.
    #[error("{} ids of the batch are stored already", .0.len())]
    Duplicate(Vec<(RoomId, MessageId)>),
    /// Somebody else wrote these rooms (`UNIQUE (room, seq)`): the heads held in memory are stale; load them again.
    #[error("the heads of {} rooms are stale", .0.len())]
    StaleHead(Vec<RoomId>),
    /// This shard no longer owns a slot of the batch: refresh the slot map, go to the new owner.
    #[error("the shard does not own the slot any more")]
    Fenced,
    /// The database refuses the data of some write: split, find it, refuse it alone.
    #[error("{0}")]
    Data(String),
    /// As for every call.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row found by its id, with what tells a repeat from a conflict.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The row as it is now.
    pub entry: Entry,
    /// Fingerprint of what was first sent under this id, when an edit or delete has replaced the content since;
    /// otherwise compute it from the entry.
    pub first_fingerprint: Option<Fingerprint>,
}

/// A page of a room's log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Ascending by seq.
    pub entries: Vec<Entry>,
    /// There is more that way.
    pub more: bool,
}

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest `limit`, ascending.
    Newest,
    /// The last `limit` below this seq, ascending.
    Before(Seq),
    /// The first `limit` above this seq, ascending.
    After(Seq),
}

/// Where a room's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Last position.
    pub position: Position,
    /// Last ordinal.
    pub ordinal: Ordinal,
}

/// How far a member has come. Moves forward only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watermark {
    /// Read up to here.
    pub read: Position,
    /// Received up to here, never below `read`.
    pub delivered: Position,
}

impl Watermark {
    /// Wanted by whoever has read up to here, and says nothing else.
    #[must_use]
    pub fn read_to(read: Position) -> Self {
        Self { read, delivered: Position::NOTHING }
    }
}

/// What a room list shows of a room to one member.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Where the log ends.
    pub head: Head,
    /// How far this member has read.
    pub read: Position,
    /// Ordinal at `read`.
    pub read_ordinal: Ordinal,
    /// Entries after `read` that mention this member or the room, not written by the member.
    pub unread_mentions: u64,
    /// The newest entry that counts as unread by its kind, as it is now.
    pub last_message: Option<Entry>,
}

/// A room as it stands to one user: what a reader must know, without the other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Direct, group, inbox.
    pub kind: RoomKind,
    /// Groups.
    pub name: Option<RoomName>,
    /// Groups.
    pub visibility: Visibility,
    /// The user's role; `None` when they are no member, or the room is deleted.
    pub role: Option<Role>,
    /// How many are in it.
    pub member_count: u64,
    /// Direct rooms: the other one.
    pub peer: Option<UserId>,
    /// Seq of the last membership change.
    pub members_version: Seq,
    /// Its log is closed for good.
    pub deleted: bool,
}

impl Standing {
    /// How `user` stands in a room of these facts.
    #[must_use]
    pub fn of(room: &RoomFacts, user: UserId) -> Self {
        let other = || room.members.keys().copied().find(|member| *member != user);
        Self {
            kind: room.kind,
            name: room.name.clone(),
            visibility: room.visibility,
            role: room.role_of(user).filter(|_| !room.deleted),
            member_count: room.members.len() as u64,
            peer: if room.kind == RoomKind::Direct { other() } else { None },
            members_version: room.members_version,
            deleted: room.deleted,
        }
    }
}

/// The logs of the rooms in one shard's slots. Every write is on disk when its call returns `Ok`.
#[async_trait]
pub trait Shard: Send + Sync + 'static {
    /// Which shard this is.
    fn id(&self) -> ShardId;

    /// Writes a batch, in order, all or nothing, synced. Batches of several callers may share a transaction of the
    /// database; an error concerns this batch alone. The seqs of one room are dense and follow the room's head. What
    /// [`FollowUp::of`] says of each write is on disk with it.
    ///
    /// Not cancel safe: a dropped call may still write.
    ///
    /// # Errors
    /// [`AppendError`].
    async fn append(&self, batch: Vec<Write>) -> Result<(), AppendError>;

    /// A member of a direct room blocks, or no longer blocks, the other. No entry.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_blocking(&self, room: RoomId, user: UserId, on: bool) -> Result<(), StoreError>;

    /// Moves watermarks forward (greatest wins), `read` clamped to the head, `delivered` raised to `read`. Answers how
    /// those that moved stand now. Rooms or members that are not there are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn move_watermarks(
        &self,
        moves: Vec<(RoomId, UserId, Watermark)>,
    ) -> Result<Vec<(RoomId, UserId, Watermark)>, StoreError>;

    /// Senders have read up to what they sent: these positions are in the log, and their senders wrote them as members. Moves
    /// forward as [`Self::move_watermarks`] does, looks nothing up and answers nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn note_own_reads(&self, reads: Vec<(RoomId, UserId, Position)>) -> Result<(), StoreError>;

    /// Empties the content of at most `limit` entries whose `expires_at` has passed, as a delete would; answers how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// What entries have left to be done outside the shard: the first `limit` after `after`, in an order that never changes
    /// and follows the log within each room.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn follow_ups(&self, after: Option<FollowUpKey>, limit: usize) -> Result<Vec<FollowUp>, StoreError>;

    /// These are done, for good. Those that are not there were so already.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn followed_up(&self, done: Vec<FollowUpKey>) -> Result<(), StoreError>;

    /// The rooms of these ids that exist, with head and members: what the writer keeps in memory. One read.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomFacts>, StoreError>;

    /// How a user stands in rooms that exist, deleted ones included: the truth about who may read, at the time of the call.
    /// A twin answers it without reading the other members of large rooms; this is the slow way.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn standings(&self, rooms: &[RoomId], user: UserId) -> Result<HashMap<RoomId, Standing>, StoreError> {
        let facts = self.rooms(rooms).await?;
        Ok(facts.iter().map(|(room, facts)| (*room, Standing::of(facts, user))).collect())
    }

    /// The stored rows of these ids.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn known(&self, ids: &[(RoomId, MessageId)]) -> Result<HashMap<(RoomId, MessageId), Known>, StoreError>;

    /// One row as it is now.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn entry(&self, room: RoomId, seq: Seq) -> Result<Option<Entry>, StoreError>;

    /// A page of a room's log, rows as they are now; `thread` keeps only the thread's first entry and its entries;
    /// `viewer` fills `mine` in reactions. `limit` is at most [`klatch_domain::limits::HISTORY_PAGE`].
    ///
    /// # Errors
    /// [`StoreError`].
    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        thread: Option<Seq>,
        viewer: Option<UserId>,
    ) -> Result<Page, StoreError>;

    /// What the room list shows, for rooms that exist.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn overviews(&self, rooms: &[RoomId], member: UserId) -> Result<HashMap<RoomId, Overview>, StoreError>;

    /// Heads of the rooms that exist.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Head>, StoreError>;

    /// Watermarks of a room's members, of at most `limit` users after `after`, in order of user.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn watermarks(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, Watermark)>, StoreError>;
}

/// All shards behind the slot map.
#[derive(Clone)]
pub struct Shards {
    map: Arc<SlotMap>,
    shards: Arc<HashMap<ShardId, Arc<dyn Shard>>>,
}

impl Shards {
    /// The shards of a slot map.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when the map names a shard that is not there.
    pub fn new(map: SlotMap, shards: Vec<Arc<dyn Shard>>) -> Result<Self, StoreError> {
        let shards: HashMap<_, _> = shards.into_iter().map(|shard| (shard.id(), shard)).collect();
        if let Some(missing) = map.owners().iter().find(|owner| !shards.contains_key(owner)) {
            return Err(StoreError::Unusable {
                step: "open shards",
                detail: format!("the slot map names shard {}, which is not there", missing.0),
            });
        }
        Ok(Self { map: Arc::new(map), shards: Arc::new(shards) })
    }

    /// The slot map in use.
    #[must_use]
    pub fn map(&self) -> &SlotMap {
        &self.map
    }

    /// The shard that owns a room.
    #[must_use]
    pub fn of(&self, room: RoomId) -> &Arc<dyn Shard> {
        // `new` made sure that every owner is there.
        &self.shards[&self.map.shard_of(room)]
    }

    /// Every shard, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Shard>> {
        self.shards.values()
    }

    /// The rooms by the shard that owns them: one call a shard instead of one a room.
    #[must_use]
    pub fn by_shard(&self, rooms: &[RoomId]) -> Vec<(&Arc<dyn Shard>, Vec<RoomId>)> {
        let mut groups: HashMap<ShardId, Vec<RoomId>> = HashMap::new();
        for room in rooms {
            groups.entry(self.map.shard_of(*room)).or_default().push(*room);
        }
        groups.into_iter().map(|(shard, rooms)| (&self.shards[&shard], rooms)).collect()
    }
}

/// Sorted emoji with counts, for twins that keep (user, emoji) pairs.
#[must_use]
pub fn count_reactions(pairs: &[(UserId, String)], viewer: Option<UserId>) -> Vec<ReactionCount> {
    let mut counts: std::collections::BTreeMap<&str, (u32, bool)> = std::collections::BTreeMap::new();
    for (user, emoji) in pairs {
        let slot = counts.entry(emoji).or_default();
        slot.0 += 1;
        slot.1 |= viewer == Some(*user);
    }
    counts
        .into_iter()
        .map(|(emoji, (count, mine))| ReactionCount { emoji: emoji.to_owned(), count, mine: viewer.map(|_| mine) })
        .collect()
}
