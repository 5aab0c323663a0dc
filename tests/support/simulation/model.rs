//! The service as it should be: one ordered log a room, each message once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use klatch_domain::{
    Code, Content, Draft, Entry, Fingerprint, Generation, Kind, MessageId, Ordinal, Position, ReactionCount, Refusal,
    RoomId, Sender, Seq, Timestamp, UserId,
};
use serde::Deserialize;

type Reactors = BTreeMap<String, BTreeSet<UserId>>;

/// One room's log.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    pub(super) generation: Generation,
    /// Entries as they were written; rows are replayed from them.
    written: Vec<Entry>,
    rows: Vec<Entry>,
    reactors: BTreeMap<Seq, Reactors>,
    by_id: HashMap<MessageId, (Seq, UserId, Fingerprint)>,
    pub(super) members: BTreeSet<UserId>,
}

#[derive(Deserialize)]
struct Reaction {
    emoji: String,
    on: bool,
}

/// What became of an append.
pub(super) enum Appended {
    New(Box<Entry>),
    Repeat(Box<Entry>),
}

impl Log {
    fn first_generation() -> Self {
        Self { generation: Generation::FIRST, ..Self::default() }
    }

    pub(super) fn head(&self) -> Position {
        Position { generation: self.generation, seq: Seq(self.rows.len() as u64) }
    }

    pub(super) fn head_ordinal(&self) -> Ordinal {
        self.rows.last().map_or(Ordinal(0), |row| row.ordinal)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row of a message.
    pub(super) fn find(&self, message_id: MessageId) -> Option<&Entry> {
        let (seq, _, _) = self.by_id.get(&message_id)?;
        self.rows.get(usize::try_from(seq.0).ok()?.checked_sub(1)?)
    }

    /// Rows above `after`, as `viewer` sees them, and whether there are more.
    pub(super) fn after(&self, after: Seq, limit: usize, viewer: UserId) -> (Vec<Entry>, bool) {
        let start = usize::try_from(after.0).unwrap_or(usize::MAX).min(self.rows.len());
        let end = start.saturating_add(limit).min(self.rows.len());
        (self.rows.iter().take(end).skip(start).map(|row| self.seen(row, viewer)).collect(), end < self.rows.len())
    }

    /// The last rows below `before`, as `viewer` sees them, and whether there are more.
    pub(super) fn before(&self, before: Seq, limit: usize, viewer: UserId) -> (Vec<Entry>, bool) {
        let end = usize::try_from(before.0.saturating_sub(1)).unwrap_or(usize::MAX).min(self.rows.len());
        let start = end.saturating_sub(limit);
        (self.rows.iter().take(end).skip(start).map(|row| self.seen(row, viewer)).collect(), start > 0)
    }

    fn seen(&self, row: &Entry, viewer: UserId) -> Entry {
        let mut row = row.clone();
        if let Some(reactors) = self.reactors.get(&row.position.seq) {
            for count in &mut row.reactions {
                count.mine = Some(reactors.get(&count.emoji).is_some_and(|users| users.contains(&viewer)));
            }
        }
        row
    }

    /// What a member sends.
    pub(super) fn append(
        &mut self,
        sender: Sender,
        message_id: MessageId,
        draft: Draft,
        at: Timestamp,
    ) -> Result<Appended, Refusal> {
        let fingerprint = draft.fingerprint();
        if let Some((_, user, known)) = self.by_id.get(&message_id) {
            if *user != sender.user || *known != fingerprint {
                return Err(Refusal::new(Code::MessageIdConflict, "another message has this id"));
            }
            return self
                .find(message_id)
                .map(|row| Appended::Repeat(Box::new(row.clone())))
                .ok_or_else(|| Refusal::new(Code::Internal, "the row of a known id is gone"));
        }
        if !self.members.contains(&sender.user) {
            return Err(Refusal::room_not_found());
        }
        self.check_target(sender.user, &draft)?;
        let entry = self.write(sender, message_id, draft, at);
        Ok(Appended::New(Box::new(entry)))
    }

    fn check_target(&self, user: UserId, draft: &Draft) -> Result<(), Refusal> {
        let Some(Seq(target)) = draft.target else { return Ok(()) };
        let row = usize::try_from(target).ok().and_then(|at| self.rows.get(at.checked_sub(1)?));
        match row {
            Some(row) if row.kind == Kind::Text && !row.deleted => {
                if draft.kind == Kind::Reaction || row.sender.user == user {
                    Ok(())
                } else {
                    Err(Refusal::new(Code::NotAllowed, "not its author"))
                }
            }
            _ => Err(Refusal::new(Code::TargetNotFound, "no message to change")),
        }
    }

    /// Writes an entry without asking.
    pub(super) fn write(&mut self, sender: Sender, message_id: MessageId, draft: Draft, at: Timestamp) -> Entry {
        let counts = draft.kind.counts_as_unread() && !draft.silent;
        let seq = self.head().seq.next();
        self.by_id.insert(message_id, (seq, sender.user, draft.fingerprint()));
        let position = Position { generation: self.generation, seq };
        let ordinal = Ordinal(self.head_ordinal().0 + u64::from(counts));
        let entry = Entry::of(&draft, position, ordinal, message_id, sender, at);
        self.written.push(entry.clone());
        self.replay(entry.clone());
        entry
    }

    fn replay(&mut self, entry: Entry) {
        let (seq, target) = (entry.position.seq, entry.target);
        self.rows.push(entry.clone());
        let Some(target) = target.filter(|_| entry.kind.needs_target()) else { return };
        if entry.kind == Kind::Delete {
            for row in self.rows.iter_mut().filter(|row| row.kind == Kind::Edit && row.target == Some(target)) {
                row.content = Content::empty();
            }
        }
        let Some(row) = usize::try_from(target.0).ok().and_then(|at| self.rows.get_mut(at.checked_sub(1)?)) else {
            return;
        };
        row.changed_seq = Some(seq);
        match entry.kind {
            Kind::Edit => {
                row.content = entry.content;
                row.edited_at = Some(entry.at);
            }
            Kind::Delete => {
                row.content = Content::empty();
                row.deleted = true;
            }
            _ => {
                let Ok(Reaction { emoji, on }) = entry.content.read::<Reaction>() else { return };
                let reactors = self.reactors.entry(target).or_default();
                if on {
                    reactors.entry(emoji).or_default().insert(entry.sender.user);
                } else if let Some(users) = reactors.get_mut(&emoji) {
                    users.remove(&entry.sender.user);
                    reactors.retain(|_, users| !users.is_empty());
                }
                let count = |(emoji, users): (&String, &BTreeSet<UserId>)| ReactionCount {
                    emoji: emoji.clone(),
                    count: u32::try_from(users.len()).unwrap_or(u32::MAX),
                    mine: None,
                };
                row.reactions = reactors.iter().map(count).collect();
            }
        }
    }

    /// The log comes back from a backup without its last entries, in a new generation. Membership changes are kept: who
    /// is in the room is not what this is about. Answers the messages that were lost.
    pub(super) fn restore(&mut self, lost: usize) -> Vec<MessageId> {
        let mut written = std::mem::take(&mut self.written);
        let mut gone = Vec::new();
        while gone.len() < lost && written.last().is_some_and(|last| last.kind != Kind::MemberJoined) {
            if written.last().is_some_and(|last| last.kind == Kind::MemberLeft) {
                break;
            }
            gone.extend(written.pop().map(|entry| entry.message_id));
        }
        for id in &gone {
            self.by_id.remove(id);
        }
        self.generation = Generation(self.generation.0 + 1);
        self.rows.clear();
        self.reactors.clear();
        for mut entry in written {
            entry.position.generation = self.generation;
            self.written.push(entry.clone());
            self.replay(entry);
        }
        gone
    }
}

/// All logs.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) logs: BTreeMap<RoomId, Log>,
}

impl Model {
    pub(super) fn log(&mut self, room: RoomId) -> &mut Log {
        self.logs.entry(room).or_insert_with(Log::first_generation)
    }
}
