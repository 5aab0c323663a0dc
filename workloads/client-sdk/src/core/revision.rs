//! Edits, deletes and reactions: entries that change another row of the same log.
//!
//! Which entries change which row is indexed, also for rows not held: a row loaded later may have been read before a
//! change that is held already. A row that is newer than a change (its `changed_seq` says so) is left as it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use klatch_domain::{Content, Entry, Kind, ReactionCount, Seq, UserId};
use serde::Deserialize;

type Reactors = BTreeMap<String, BTreeSet<UserId>>;

#[derive(Debug, Clone)]
pub(crate) struct Revisions {
    viewer: Option<UserId>,
    /// Seqs of the held entries that change a row, ascending, by the row's seq.
    by_target: BTreeMap<Seq, VecDeque<Seq>>,
    /// Who has put which emoji on a held row, as of the end of the run.
    reactors: BTreeMap<Seq, Reactors>,
}

#[derive(Deserialize)]
struct Reaction {
    emoji: String,
    on: bool,
}

impl Revisions {
    pub(crate) fn new(viewer: Option<UserId>) -> Self {
        Self { viewer, by_target: BTreeMap::new(), reactors: BTreeMap::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.by_target.clear();
        self.reactors.clear();
    }

    /// `entry` was just pushed to the end of `rows`.
    pub(crate) fn append(
        &mut self,
        entry: &Entry,
        rows: &mut VecDeque<Entry>,
        floor: Seq,
        updated: &mut BTreeSet<Seq>,
    ) {
        let Some(target) = changed_row(entry) else { return };
        self.by_target.entry(target).or_default().push_back(entry.position.seq);
        if entry.kind == Kind::Delete {
            self.empty_edits(target, rows, floor, updated);
        }
        let head = entry.position.seq;
        let Some(row) = row_mut(rows, floor, target) else { return };
        let before = row.clone();
        apply(entry, row);
        self.react(entry, target);
        self.show_reactions(row, head);
        if *row != before {
            updated.insert(target);
        }
    }

    /// `entry` was put before the rows held; what it changes follows by [`Self::rebuild`].
    pub(crate) fn note_older(&mut self, entry: &Entry) {
        if let Some(target) = changed_row(entry) {
            self.by_target.entry(target).or_default().push_front(entry.position.seq);
        }
    }

    /// Applies again everything held that changes `target`.
    pub(crate) fn rebuild(&mut self, target: Seq, rows: &mut VecDeque<Entry>, floor: Seq, updated: &mut BTreeSet<Seq>) {
        let changes: Vec<Entry> = self
            .by_target
            .get(&target)
            .into_iter()
            .flatten()
            .filter_map(|seq| row_mut(rows, floor, *seq).map(|row| row.clone()))
            .collect();
        if changes.iter().any(|change| change.kind == Kind::Delete) {
            self.empty_edits(target, rows, floor, updated);
        }
        let head = rows.back().map_or(floor, |row| row.position.seq);
        let Some(row) = row_mut(rows, floor, target) else { return };
        let before = row.clone();
        self.reactors.remove(&target);
        for change in &changes {
            apply(change, row);
            self.react(change, target);
        }
        self.show_reactions(row, head);
        if *row != before {
            updated.insert(target);
        }
    }

    /// The oldest row was let go.
    pub(crate) fn forget(&mut self, gone: &Entry) {
        self.reactors.remove(&gone.position.seq);
        let Some(target) = changed_row(gone) else { return };
        if let Some(changes) = self.by_target.get_mut(&target) {
            changes.retain(|seq| *seq != gone.position.seq);
            if changes.is_empty() {
                self.by_target.remove(&target);
            }
        }
    }

    /// A text that is gone is gone from its edits too.
    pub(crate) fn empty_edits(&self, target: Seq, rows: &mut VecDeque<Entry>, floor: Seq, updated: &mut BTreeSet<Seq>) {
        for seq in self.by_target.get(&target).into_iter().flatten() {
            if let Some(edit) = row_mut(rows, floor, *seq)
                && edit.kind == Kind::Edit
                && edit.content != Content::empty()
            {
                edit.content = Content::empty();
                updated.insert(*seq);
            }
        }
    }

    fn react(&mut self, entry: &Entry, target: Seq) {
        if entry.kind != Kind::Reaction {
            return;
        }
        let Ok(Reaction { emoji, on }) = entry.content.read::<Reaction>() else { return };
        let reactors = self.reactors.entry(target).or_default();
        if on {
            reactors.entry(emoji).or_default().insert(entry.sender.user);
        } else if let Some(users) = reactors.get_mut(&emoji) {
            users.remove(&entry.sender.user);
            if users.is_empty() {
                reactors.remove(&emoji);
            }
        }
    }

    /// The log says who reacted, unless the row was read later than the log is held.
    fn show_reactions(&self, row: &mut Entry, head: Seq) {
        if row.changed_seq.is_some_and(|changed| changed > head) {
            return;
        }
        let Some(reactors) = self.reactors.get(&row.position.seq) else { return };
        row.reactions = reactors
            .iter()
            .map(|(emoji, users)| ReactionCount {
                emoji: emoji.clone(),
                count: u32::try_from(users.len()).unwrap_or(u32::MAX),
                mine: self.viewer.map(|viewer| users.contains(&viewer)),
            })
            .collect();
    }
}

/// The row an entry changes.
fn changed_row(entry: &Entry) -> Option<Seq> {
    entry.target.filter(|_| entry.kind.needs_target())
}

fn row_mut(rows: &mut VecDeque<Entry>, floor: Seq, seq: Seq) -> Option<&mut Entry> {
    let offset = seq.0.checked_sub(floor.0 + 1)?;
    rows.get_mut(usize::try_from(offset).ok()?)
}

/// Brings a row up to date with one change, unless it is already newer.
fn apply(change: &Entry, row: &mut Entry) {
    let seq = change.position.seq;
    if row.changed_seq.is_some_and(|changed| changed >= seq) {
        return;
    }
    match change.kind {
        Kind::Edit => {
            row.edited_at = Some(change.at);
            // An emptied edit was read after the delete of its target, which is still to come.
            if change.content != Content::empty() {
                row.content = change.content.clone();
            }
        }
        Kind::Delete => {
            row.content = Content::empty();
            row.deleted = true;
        }
        _ => {}
    }
    row.changed_seq = Some(seq);
}
