//! Threads: which held entries answer which message.

use std::collections::{BTreeMap, BTreeSet};

use klatch_domain::{Entry, Seq};

/// What a thread's first message says of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadSummary {
    /// Answers, deleted ones apart; at least one.
    pub replies: usize,
    /// The last of them.
    pub last: Seq,
}

/// Seqs of the held answers, by the seq of their thread's first message, whether that one is held or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Threads {
    answers: BTreeMap<Seq, BTreeSet<Seq>>,
}

impl Threads {
    pub(crate) fn clear(&mut self) {
        self.answers.clear();
    }

    pub(crate) fn note(&mut self, entry: &Entry) {
        if let Some(root) = root_of(entry) {
            self.answers.entry(root).or_default().insert(entry.position.seq);
        }
    }

    /// The entry is held no more.
    pub(crate) fn forget(&mut self, gone: &Entry) {
        let Some(root) = root_of(gone) else { return };
        if let Some(answers) = self.answers.get_mut(&root) {
            answers.remove(&gone.position.seq);
            if answers.is_empty() {
                self.answers.remove(&root);
            }
        }
    }

    /// `row` gives an entry as it is held now.
    pub(crate) fn summary<'a>(&self, root: Seq, row: impl Fn(Seq) -> Option<&'a Entry>) -> Option<ThreadSummary> {
        let there = |seq: &&Seq| row(**seq).is_some_and(|entry| !entry.deleted);
        let mut answers = self.answers.get(&root)?.iter().filter(there);
        let last = *answers.next_back()?;
        Some(ThreadSummary { replies: answers.count() + 1, last })
    }
}

/// The thread an entry answers in: its first message does not answer itself, and changes are no answers.
fn root_of(entry: &Entry) -> Option<Seq> {
    entry.thread.filter(|root| *root != entry.position.seq && entry.kind.counts_as_unread())
}
