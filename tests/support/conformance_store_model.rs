//! A store in memory that is plainly right, and random writes to compare a twin with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use klatch_domain::{
    Content, Entry, Fingerprint, Kind, Ordinal, Position, ReactionCount, Role, RoomFacts, Seq, UserId,
    limits::HISTORY_PAGE,
};
use klatch_store::{
    Shard,
    shard::{Effect, Overview, Range, Watermark, Write, count_reactions},
};
use proptest::prelude::*;

use crate::conformance_store_log::{Log, user};

/// Users that take part: few, so that they meet.
const USERS: u8 = 4;

/// One thing that happens in a room. Numbers are taken modulo what is there.
#[derive(Debug, Clone)]
pub enum Step {
    /// A user says something, this long.
    Say(u8, u16),
    /// In the thread of an entry, silent or not.
    Thread(u16, bool),
    /// Calls a user, or the room.
    Call(u8, u8, bool),
    /// New text for an entry.
    Edit(u16, u16),
    /// Empties an entry.
    Delete(u16),
    /// An emoji on an entry, on or off.
    React(u8, u16, u8, bool),
    /// A member comes or goes.
    Join(u8),
    /// A member goes.
    Leave(u8),
    /// A watermark moves.
    Read(u8, u16, u16),
    /// What was gathered is written as one batch.
    Write,
}

/// Any step.
pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..=USERS, 0..3000u16).prop_map(|(user, length)| Step::Say(user, length)),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(target, silent)| Step::Thread(target, silent)),
        2 => (1..=USERS, 1..=USERS, any::<bool>()).prop_map(|(by, user, room)| Step::Call(by, user, room)),
        3 => (any::<u16>(), 0..3000u16).prop_map(|(target, length)| Step::Edit(target, length)),
        2 => any::<u16>().prop_map(Step::Delete),
        3 => (1..=USERS, any::<u16>(), 0..3u8, any::<bool>()).prop_map(|(u, t, e, on)| Step::React(u, t, e, on)),
        1 => (1..=USERS).prop_map(Step::Join),
        1 => (1..=USERS).prop_map(Step::Leave),
        2 => (1..=USERS, any::<u16>(), any::<u16>()).prop_map(|(user, read, delivered)| Step::Read(user, read, delivered)),
        3 => Just(Step::Write),
    ]
}

/// A room as it should be.
pub struct Model {
    log: Log,
    facts: RoomFacts,
    entries: Vec<Entry>,
    first: BTreeMap<u64, Fingerprint>,
    reactions: BTreeMap<u64, BTreeSet<(UserId, String)>>,
    watermarks: BTreeMap<UserId, Watermark>,
}

impl Model {
    /// Makes a room in the twin and here.
    ///
    /// # Panics
    /// When the twin refuses.
    pub async fn begin(shard: &Arc<dyn Shard>) -> Self {
        let mut model = Self {
            log: Log::new(),
            facts: Log::facts(),
            entries: Vec::new(),
            first: BTreeMap::new(),
            reactions: BTreeMap::new(),
            watermarks: BTreeMap::new(),
        };
        let batch = model.log.create(&[1, 2]);
        model.write(shard, batch).await;
        model
    }

    /// Takes all steps, in the twin and here, and compares at the end.
    ///
    /// # Panics
    /// When they differ.
    pub async fn follow(&mut self, shard: &Arc<dyn Shard>, steps: &[Step]) {
        let mut batch = Vec::new();
        for step in steps {
            match step {
                Step::Read(number, read, delivered) => {
                    self.write(shard, std::mem::take(&mut batch)).await;
                    self.read(shard, *number, *read, *delivered).await;
                }
                Step::Write => self.write(shard, std::mem::take(&mut batch)).await,
                step => batch.extend(self.next(step)),
            }
        }
        self.write(shard, batch).await;
        self.compare(shard).await;
    }

    /// None when there is nothing to do it to.
    fn next(&mut self, step: &Step) -> Option<Write> {
        let long = |length: u16| "x".repeat(usize::from(length) + 1);
        Some(match step {
            Step::Say(number, length) => self.log.say(*number, &long(*length)),
            Step::Thread(target, silent) => {
                let thread = Seq(u64::from(*target) % self.log.seq + 1);
                self.log.say_with("in a thread", |entry| (entry.thread, entry.silent) = (Some(thread), *silent))
            }
            Step::Call(by, number, room) => self.log.call(*by, &[*number], *room),
            Step::Edit(target, length) => {
                let target = self.message(*target)?;
                self.log.edit(target, &long(*length))
            }
            Step::Delete(target) => {
                let target = self.message(*target)?;
                self.log.delete(target)
            }
            Step::React(number, target, emoji, on) => {
                let target = self.message(*target)?;
                self.log.react(*number, target, ["+", "!", "😀"][usize::from(*emoji)], *on)
            }
            Step::Join(number) => self.log.join(*number, Role::Member),
            Step::Leave(number) => self.log.leave(*number),
            Step::Read(..) | Step::Write => return None,
        })
    }

    /// A written text that is not deleted.
    fn message(&self, pick: u16) -> Option<u64> {
        let texts: Vec<_> = self.entries.iter().filter(|e| e.kind == Kind::Text && !e.deleted).collect();
        texts.get(usize::from(pick) % texts.len().max(1)).map(|entry| entry.position.seq.0)
    }

    async fn write(&mut self, shard: &Arc<dyn Shard>, batch: Vec<Write>) {
        shard.append(batch.clone()).await.unwrap();
        for write in batch {
            self.apply(write);
        }
    }

    fn apply(&mut self, write: Write) {
        let entry = write.entry;
        let seq = entry.position.seq;
        self.facts.head = seq;
        self.facts.head_ordinal = entry.ordinal;
        self.facts.last_at = entry.at;
        match &write.effect {
            Effect::Edit { target } => {
                let row = self.change(*target, seq);
                if !row.deleted {
                    row.content = entry.content.clone();
                }
                row.edited_at = Some(entry.at);
            }
            Effect::Delete { target } => {
                let row = self.change(*target, seq);
                (row.deleted, row.content) = (true, Content::empty());
                let edits = self.entries.iter().filter(|e| e.kind == Kind::Edit && e.target == Some(*target));
                let edits: Vec<_> = edits.map(|edit| edit.position.seq).collect();
                for edit in edits {
                    self.remember(edit);
                    self.row(edit).content = Content::empty();
                }
            }
            Effect::React { target, emoji, on } => {
                self.row(*target).changed_seq = Some(seq);
                let pairs = self.reactions.entry(target.0).or_default();
                let pair = (entry.sender.user, emoji.clone());
                if *on {
                    pairs.insert(pair)
                } else {
                    pairs.remove(&pair)
                };
            }
            Effect::PutMember { user, member } => {
                let known = self.facts.members.insert(*user, *member);
                if known.is_none() && entry.ordinal > Ordinal(0) {
                    let started = Watermark { read: entry.position, delivered: entry.position };
                    self.watermarks.entry(*user).or_insert(started);
                }
                self.facts.members_version = seq;
            }
            Effect::RemoveMember { user } => {
                self.facts.members.remove(user);
                self.facts.members_version = seq;
            }
            Effect::None | Effect::Create(_) | Effect::ChangeRoom { .. } | Effect::DeleteRoom => {}
        }
        self.entries.push(entry);
    }

    fn row(&mut self, seq: Seq) -> &mut Entry {
        &mut self.entries[usize::try_from(seq.0).expect("a small seq") - 1]
    }

    fn remember(&mut self, seq: Seq) {
        let row = self.row(seq);
        let first = Fingerprint::of(
            &row.kind,
            &row.content,
            &row.content_type,
            row.reply_to,
            row.thread,
            row.target,
            row.mentions.as_ref(),
        );
        self.first.entry(seq.0).or_insert(first);
    }

    fn change(&mut self, target: Seq, by: Seq) -> &mut Entry {
        self.remember(target);
        let row = self.row(target);
        row.changed_seq = Some(by);
        row
    }

    async fn read(&mut self, shard: &Arc<dyn Shard>, number: u8, read: u16, delivered: u16) {
        let wide = self.log.seq + 3;
        let position = |pick: u16| Position::first(u64::from(pick) % wide);
        let wanted = Watermark { read: position(read), delivered: position(delivered) };
        let moved = shard.move_watermarks(vec![(self.log.room, user(number), wanted)]).await.unwrap();
        let known = self.watermarks.get(&user(number)).copied().unwrap_or_default();
        let head = Position::first(self.log.seq);
        let read = known.read.max(wanted.read.min(head));
        let now = Watermark { read, delivered: known.delivered.max(wanted.delivered.min(head)).max(read) };
        if now == known || !self.facts.members.contains_key(&user(number)) {
            assert_eq!(moved, []);
        } else {
            assert_eq!(moved, [(self.log.room, user(number), now)]);
            self.watermarks.insert(user(number), now);
        }
    }

    fn seen(&self, entry: &Entry, viewer: Option<UserId>) -> Entry {
        let pairs: Vec<_> = self.reactions.get(&entry.position.seq.0).into_iter().flatten().cloned().collect();
        let reactions: Vec<ReactionCount> = count_reactions(&pairs, viewer);
        Entry { reactions, ..entry.clone() }
    }

    async fn compare(&self, shard: &Arc<dyn Shard>) {
        let room = self.log.room;
        assert_eq!(shard.rooms(&[room]).await.unwrap()[&room], self.facts);
        let ids: Vec<_> = self.entries.iter().map(|entry| (room, entry.message_id)).collect();
        let known = shard.known(&ids).await.unwrap();
        for (entry, id) in self.entries.iter().zip(&ids) {
            assert_eq!(known[id].entry, self.seen(entry, None));
            assert_eq!(known[id].first_fingerprint, self.first.get(&entry.position.seq.0).copied());
        }
        let mut watermarks: Vec<_> = self.facts.members.keys().map(|user| (*user, self.watermark(*user))).collect();
        watermarks.sort_unstable_by_key(|(user, _)| *user);
        assert_eq!(shard.watermarks(room, None, 100).await.unwrap(), watermarks);
        for number in 1..=USERS {
            let overview = shard.overviews(&[room], user(number)).await.unwrap().remove(&room).unwrap();
            assert_eq!(overview, self.overview(user(number)));
        }
        self.compare_pages(shard).await;
    }

    async fn compare_pages(&self, shard: &Arc<dyn Shard>) {
        let viewer = Some(user(2));
        for thread in [None, Some(Seq(3)), Some(Seq(self.log.seq / 2 + 1))] {
            let of_thread = |entry: &&Entry| match thread {
                None => true,
                Some(thread) => entry.position.seq == thread || entry.thread == Some(thread),
            };
            let wanted: Vec<_> = self.entries.iter().filter(of_thread).map(|entry| self.seen(entry, viewer)).collect();
            let mut forwards = Vec::new();
            loop {
                let after = forwards.last().map_or(Seq(0), |entry: &Entry| entry.position.seq);
                let page = shard.page(self.log.room, Range::After(after), 7, thread, viewer).await.unwrap();
                forwards.extend(page.entries);
                if !page.more {
                    break;
                }
            }
            assert_eq!(forwards, wanted);
            let newest = shard.page(self.log.room, Range::Newest, HISTORY_PAGE, thread, viewer).await.unwrap();
            assert_eq!(newest.entries, wanted[wanted.len().saturating_sub(HISTORY_PAGE)..]);
        }
    }

    fn watermark(&self, user: UserId) -> Watermark {
        self.watermarks.get(&user).copied().unwrap_or_default()
    }

    fn overview(&self, member: UserId) -> Overview {
        let read = self.watermark(member).read;
        let ordinal_at = |seq: u64| match seq {
            0 => Ordinal(0),
            seq => self.entries[usize::try_from(seq).expect("a small seq") - 1].ordinal,
        };
        let calls = |entry: &&Entry| {
            let called = entry.mentions.as_ref().is_some_and(|m| m.room || m.users.contains(&member));
            called && entry.position > read && entry.sender.user != member
        };
        let last = self.entries.iter().rev().find(|entry| entry.kind.counts_as_unread());
        Overview {
            head: klatch_store::shard::Head {
                position: Position::first(self.log.seq),
                ordinal: self.facts.head_ordinal,
            },
            read,
            read_ordinal: ordinal_at(read.seq.0),
            unread_mentions: self.entries.iter().filter(calls).count() as u64,
            last_message: last.map(|entry| self.seen(entry, None)),
        }
    }
}
