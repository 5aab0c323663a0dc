//! The newest entries of large rooms, kept beside the shards: many people open such a room, or come back to it, at one head.

use async_trait::async_trait;
use klatch_domain::{Entry, Kind, Position, RoomId, Seq};

/// Entries of one run: a screen or two of a client, and what most who come back have missed.
pub const RECENT_ENTRIES: usize = 100;
/// Bytes of one run (estimated): what is read for nothing when its head has moved costs a fraction of a millisecond.
pub const RECENT_BYTES: usize = 64 * 1024;
/// How long a run is kept, seconds. It is of use while people come to one head; then its memory is.
pub const RECENT_SECONDS: u64 = 60;
/// Beside its content, an entry takes about this many bytes.
const ENTRY_BYTES: usize = 512;

/// A gapless run of a room's newest entries, the same for every member. Never empty.
///
/// Whatever changes an entry is an entry of the same log, so a run is true as long as the log ends where it does: **compare
/// [`head`](Self::head) with a head read from the shard before using it.** What that does not hold for is never in a run:
/// entries that expire by themselves, edits (of an entry that may), and reactions, which say which of them are the viewer's
/// own.
#[derive(Debug, Clone, PartialEq)]
pub struct Recent(Vec<Entry>);

impl Recent {
    /// The end of a page that reaches up to the head of a log, as much of it as may be kept.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Option<Self> {
        let mut bytes = 0;
        let mut first = entries.len();
        for (place, entry) in entries.iter().enumerate().rev().take(RECENT_ENTRIES) {
            bytes += bytes_of(entry);
            let follows = entries.get(place + 1).is_none_or(|next| next.prev_seq == entry.position.seq);
            let stands = entry.expires_at.is_none() && entry.kind != Kind::Edit && entry.reactions.is_empty();
            if bytes > RECENT_BYTES || !follows || !stands {
                break;
            }
            first = place;
        }
        Self::from_run(entries[first..].to_vec())
    }

    /// What a twin has kept.
    pub(crate) fn from_run(entries: Vec<Entry>) -> Option<Self> {
        (!entries.is_empty()).then_some(Self(entries))
    }

    /// Where the log ended.
    #[must_use]
    pub fn head(&self) -> Position {
        self.0.last().map(|entry| entry.position).unwrap_or_default()
    }

    /// All of them, ascending.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(bytes_of).sum()
    }

    /// The newest `limit` entries, and whether there are older ones. `None` when the run is too short to say.
    #[must_use]
    pub fn newest(&self, limit: usize) -> Option<(&[Entry], bool)> {
        let begins_log = self.0.first().is_some_and(|first| first.prev_seq == Seq::ZERO);
        let entries = &self.0[self.0.len().saturating_sub(limit)..];
        let older = self.0.len() > limit || !begins_log;
        (entries.len() == limit || begins_log).then_some((entries, older))
    }

    /// The first `limit` entries above this seq, and whether there are newer ones. `None` when the run begins later.
    #[must_use]
    pub fn after(&self, seq: Seq, limit: usize) -> Option<(&[Entry], bool)> {
        if self.0.first().is_none_or(|first| first.prev_seq > seq) {
            return None;
        }
        let above = &self.0[self.0.partition_point(|entry| entry.position.seq <= seq)..];
        Some((&above[..above.len().min(limit)], above.len() > limit))
    }
}

fn bytes_of(entry: &Entry) -> usize {
    entry.content.as_str().len() + ENTRY_BYTES
}

/// See [`Recent`]. It saves reads and decides nothing: what cannot be read, kept or removed is as if it were not there.
#[async_trait]
pub trait RecentEntries: Send + Sync + 'static {
    /// What is kept of each room, in the order asked.
    async fn read(&self, rooms: &[RoomId]) -> Vec<Option<Recent>>;

    /// Keeps a run for [`RECENT_SECONDS`], unless a newer one, or a longer one of this head, is kept already, or bodies it
    /// may hold were forgotten meanwhile.
    async fn keep(&self, room: RoomId, recent: Recent);

    /// An entry at this position has replaced or emptied bodies of its room: no run that ends before it is kept any more, and
    /// for [`RECENT_SECONDS`] none is taken, should a slow reader still bring one.
    async fn forget(&self, rooms: &[(RoomId, Position)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatch_domain::{Content, Draft, MessageId, Ordinal, Sender, SessionId, Timestamp, UserId};

    fn entry(seq: u64, text: &str) -> Entry {
        let draft = Draft::new(Kind::Text, Content::text(text).unwrap());
        let sender = Sender { user: UserId::from_bytes([2; 16]), session: SessionId::from_bytes([3; 16]) };
        let (id, at) = (MessageId::from_bytes([1; 16]), Timestamp::from_millis(1_800_000_000_000));
        Entry::of(&draft, Position::first(seq), Ordinal(seq), id, sender, at)
    }

    fn seqs((entries, more): (&[Entry], bool)) -> (Vec<u64>, bool) {
        (entries.iter().map(|entry| entry.position.seq.0).collect(), more)
    }

    #[test]
    fn a_run_answers_what_it_covers_and_nothing_else() {
        let recent = Recent::of(&(5..=9).map(|seq| entry(seq, "x")).collect::<Vec<_>>()).unwrap();
        assert_eq!(recent.head().seq, Seq(9));
        assert_eq!(recent.newest(2).map(seqs), Some((vec![8, 9], true)));
        assert_eq!(recent.newest(5).map(seqs), Some((vec![5, 6, 7, 8, 9], true)));
        assert_eq!(recent.newest(6), None);
        assert_eq!(recent.after(Seq(4), 3).map(seqs), Some((vec![5, 6, 7], true)));
        assert_eq!(recent.after(Seq(6), 3).map(seqs), Some((vec![7, 8, 9], false)));
        assert_eq!(recent.after(Seq(12), 3).map(seqs), Some((vec![], false)));
        assert_eq!(recent.after(Seq(3), 3), None);
        let whole = Recent::of(&(1..=3).map(|seq| entry(seq, "x")).collect::<Vec<_>>()).unwrap();
        assert_eq!(whole.newest(3).map(seqs), Some((vec![1, 2, 3], false)));
        assert_eq!(whole.newest(50).map(seqs), Some((vec![1, 2, 3], false)));
        assert_eq!(whole.newest(2).map(seqs), Some((vec![2, 3], true)));
    }

    #[test]
    fn only_what_is_true_as_long_as_the_head_stands_is_kept() {
        let mut entries: Vec<_> = (1..=9).map(|seq| entry(seq, "x")).collect();
        entries[3].expires_at = Some(Timestamp::from_millis(1));
        assert_eq!(Recent::of(&entries).unwrap().entries(), &entries[4..]);
        entries[6].reactions = vec![klatch_domain::ReactionCount { emoji: "+".to_owned(), count: 1, mine: Some(true) }];
        assert_eq!(Recent::of(&entries).unwrap().entries(), &entries[7..]);
        entries[7].kind = Kind::Edit;
        assert_eq!(Recent::of(&entries).unwrap().entries(), &entries[8..]);
        entries[8].expires_at = Some(Timestamp::from_millis(1));
        assert_eq!(Recent::of(&entries), None);
        assert_eq!(Recent::of(&[]), None);
        // A thread's page is no run.
        assert_eq!(Recent::of(&[entry(3, "x"), entry(7, "x")]).unwrap().entries(), [entry(7, "x")]);
    }

    #[test]
    fn a_run_is_bounded() {
        let many: Vec<_> = (1..=200).map(|seq| entry(seq, "x")).collect();
        assert_eq!(Recent::of(&many).unwrap().entries(), &many[200 - RECENT_ENTRIES..]);
        let long = "x".repeat(RECENT_BYTES / 4);
        let large: Vec<_> = (1..=9).map(|seq| entry(seq, &long)).collect();
        let kept = Recent::of(&large).unwrap();
        assert_eq!(kept.entries(), &large[6..]);
        assert!(kept.bytes() <= RECENT_BYTES);
    }
}
