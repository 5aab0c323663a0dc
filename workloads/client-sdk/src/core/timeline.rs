//! One room's log as a client holds it: a dense run of rows, and what came before its predecessors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use klatch_domain::{Content, Entry, Generation, Position, Seq, Timestamp, UserId};

use super::revision::Revisions;
use super::settings::EARLY_ENTRIES;
use super::thread::{ThreadSummary, Threads};

/// What changed in a timeline, in the order a user must hear of it: first what was added, then rows that are new.
#[derive(Debug, Clone, Default)]
pub(crate) struct News {
    pub(crate) appended: Vec<Entry>,
    pub(crate) older: Vec<Entry>,
    pub(crate) updated: BTreeSet<Seq>,
}

/// What became of an entry put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is in the run, or was already, or lies below it.
    Taken,
    /// Its predecessors are missing.
    Early,
    /// It belongs to a newer generation than the one held.
    Newer,
    /// It belongs to a generation that is gone.
    Stale,
}

/// Rows `floor + 1 ..= head` of one generation, dense.
#[derive(Debug, Clone)]
pub struct Timeline {
    generation: Generation,
    floor: Seq,
    rows: VecDeque<Entry>,
    early: BTreeMap<Seq, Entry>,
    revisions: Revisions,
    threads: Threads,
    known_head: Seq,
    bound: usize,
    /// No held row expires before this.
    next_expiry: Option<Timestamp>,
}

impl Timeline {
    /// Nothing yet. `viewer` is whose reactions are `mine`.
    pub(crate) fn new(bound: usize, viewer: Option<UserId>) -> Self {
        Self {
            generation: Generation(0),
            floor: Seq::ZERO,
            rows: VecDeque::new(),
            early: BTreeMap::new(),
            revisions: Revisions::new(viewer),
            threads: Threads::default(),
            known_head: Seq::ZERO,
            bound,
            next_expiry: None,
        }
    }

    /// Where the run ends: everything after it is still to come.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { generation: self.generation, seq: self.head() }
    }

    /// The seq below the first row held; 0 when the log is held from its start.
    #[must_use]
    pub fn floor(&self) -> Seq {
        self.floor
    }

    /// The rows held, in seq order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Entry> + DoubleEndedIterator {
        self.rows.iter()
    }

    /// One row, if held.
    #[must_use]
    pub fn row(&self, seq: Seq) -> Option<&Entry> {
        self.index(seq).and_then(|index| self.rows.get(index))
    }

    /// What a message that is held says of the thread that begins with it: exact, as everything after it is held too.
    /// `None`: it is not held, or nobody has answered.
    #[must_use]
    pub fn thread(&self, root: Seq) -> Option<ThreadSummary> {
        self.row(root)?;
        self.threads.summary(root, |seq| self.row(seq))
    }

    /// Whether the server is known to have entries that are not in the run.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.known_head > self.head()
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn head(&self) -> Seq {
        Seq(self.floor.0 + self.rows.len() as u64)
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        let offset = seq.0.checked_sub(self.floor.0 + 1)?;
        usize::try_from(offset).ok().filter(|index| *index < self.rows.len())
    }

    /// The log is known up to this position, without rows: what is older can be loaded.
    pub(crate) fn jump(&mut self, position: Position, news: &mut News) {
        self.restart(position.generation);
        self.floor = position.seq;
        self.early.retain(|seq, _| *seq > position.seq);
        self.note_head(position.seq);
        self.drain_early(news);
    }

    /// The log starts anew in this generation.
    pub(crate) fn restart(&mut self, generation: Generation) {
        self.generation = generation;
        self.floor = Seq::ZERO;
        self.rows.clear();
        self.next_expiry = None;
        self.revisions.clear();
        self.threads.clear();
        self.keep_generation();
    }

    /// The first answer names the generation of a log of which nothing was known.
    pub(crate) fn adopt(&mut self, generation: Generation, news: &mut News) {
        if self.generation == Generation(0) {
            self.generation = generation;
            self.keep_generation();
            self.drain_early(news);
        }
    }

    /// What was heard of other generations says nothing about this one.
    fn keep_generation(&mut self) {
        let generation = self.generation;
        self.early.retain(|_, entry| entry.position.generation == generation);
        self.known_head = self.early.last_key_value().map_or(Seq::ZERO, |(seq, _)| *seq);
    }

    /// The server's log reaches at least this far.
    pub(crate) fn note_head(&mut self, seq: Seq) {
        self.known_head = self.known_head.max(seq);
    }

    /// Takes an entry from wherever it comes.
    pub(crate) fn put(&mut self, entry: Entry, news: &mut News) -> Put {
        let Position { generation, seq } = entry.position;
        if self.generation != Generation(0) && generation != self.generation {
            return if generation > self.generation { Put::Newer } else { Put::Stale };
        }
        self.note_head(seq);
        if self.generation == Generation(0) || seq > self.head().next() {
            self.keep_early(entry);
            return Put::Early;
        }
        if seq == self.head().next() {
            self.append(entry, news);
            self.drain_early(news);
        } else {
            self.replace(entry, news);
        }
        Put::Taken
    }

    /// Rows that end right below the run, dense and in order; others are left alone. Answers how many were taken.
    pub(crate) fn prepend(&mut self, mut entries: Vec<Entry>, news: &mut News) -> usize {
        entries.retain(|entry| entry.position.seq <= self.floor && entry.position.generation == self.generation);
        let mut taken: Vec<Entry> = Vec::new();
        while let Some(entry) = entries.pop() {
            if entry.position.seq != self.floor || self.rows.len() >= self.bound {
                break;
            }
            self.floor = Seq(self.floor.0 - 1);
            self.rows.push_front(entry.clone());
            taken.push(entry);
        }
        taken.reverse();
        // Newest first for the index, so that a target finds its changes in order whichever page they came with.
        for entry in taken.iter().rev() {
            self.revisions.note_older(entry);
            self.threads.note(entry);
        }
        let touched: BTreeSet<Seq> =
            taken.iter().flat_map(|entry| [Some(entry.position.seq), entry.target]).flatten().collect();
        for target in touched {
            let mut changed = BTreeSet::new();
            self.revisions.rebuild(target, &mut self.rows, self.floor, &mut changed);
            news.updated.extend(changed);
        }
        news.older.extend(taken.iter().filter_map(|entry| self.row(entry.position.seq)).cloned());
        for entry in &taken {
            self.note_expiry(entry);
            news.updated.remove(&entry.position.seq);
        }
        taken.len()
    }

    /// When the next held row may expire.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.next_expiry
    }

    /// Empties rows whose time has passed, and the edits of them, as the server does.
    pub(crate) fn expire(&mut self, now: Timestamp, news: &mut News) {
        if self.next_expiry.is_none_or(|at| at > now) {
            return;
        }
        self.next_expiry = None;
        let mut expired = Vec::new();
        for row in &mut self.rows {
            match row.expires_at {
                Some(at) if at <= now => {
                    expired.push(row.position.seq);
                    if !row.deleted || row.content != Content::empty() {
                        row.content = Content::empty();
                        row.attachments = None;
                        row.deleted = true;
                        news.updated.insert(row.position.seq);
                    }
                }
                Some(at) => self.next_expiry = earliest(self.next_expiry, at),
                None => {}
            }
        }
        for seq in expired {
            self.revisions.empty_edits(seq, &mut self.rows, self.floor, &mut news.updated);
        }
    }

    /// A row came, or changed: an expired one is emptied again by whatever brought its content back.
    fn note_expiry(&mut self, entry: &Entry) {
        let target = entry.target.filter(|_| entry.kind.needs_target()).and_then(|target| self.row(target));
        let times = [entry.expires_at, target.and_then(|row| row.expires_at)];
        for at in times.into_iter().flatten() {
            self.next_expiry = earliest(self.next_expiry, at);
        }
    }

    fn append(&mut self, entry: Entry, news: &mut News) {
        self.note_expiry(&entry);
        self.rows.push_back(entry.clone());
        self.threads.note(&entry);
        self.revisions.append(&entry, &mut self.rows, self.floor, &mut news.updated);
        news.appended.push(entry);
        while self.rows.len() > self.bound {
            if let Some(gone) = self.rows.pop_front() {
                self.floor = gone.position.seq;
                self.revisions.forget(&gone);
                self.threads.forget(&gone);
            }
        }
    }

    fn drain_early(&mut self, news: &mut News) {
        while let Some(entry) = self.early.remove(&self.head().next()) {
            self.append(entry, news);
        }
    }

    fn keep_early(&mut self, entry: Entry) {
        let seq = entry.position.seq;
        match self.early.get_mut(&seq) {
            Some(held) if held.changed_seq >= entry.changed_seq => {}
            Some(held) => *held = entry,
            None => {
                self.early.insert(seq, entry);
                if self.early.len() > EARLY_ENTRIES {
                    // The farthest will be fetched again: the known head remembers that it is there.
                    self.early.pop_last();
                }
            }
        }
    }

    /// A row as history has it now wins over the one held if something changed it later.
    fn replace(&mut self, entry: Entry, news: &mut News) {
        let seq = entry.position.seq;
        let Some(held) = self.index(seq).and_then(|index| self.rows.get_mut(index)) else { return };
        if entry.changed_seq > held.changed_seq {
            *held = entry.clone();
            news.updated.insert(seq);
            self.note_expiry(&entry);
        }
    }
}

fn earliest(known: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(at, |known| known.min(at)))
}
