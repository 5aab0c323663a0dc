//! What a follower knows of notices on their way.

use std::collections::HashMap;

use klatch_domain::{Command, MessageId, RoomId, Seq, UserId};
use klatch_store::{FollowUp, FollowUpKey};
use tokio::time::Instant;

use super::{AGAIN_AFTER, Sent};
use crate::follow_up::Notice;

/// Notices on their way, for each follower: some 300 bytes each. Beyond it they wait in the shard.
const MOST: usize = 8_192;

struct OnTheWay {
    notice: Notice,
    since: Instant,
}

pub(super) struct Owed {
    behind: bool,
    /// Rises whenever something is left to the next pass.
    left: u64,
    sent: HashMap<FollowUpKey, OnTheWay>,
    /// The latest notice of each subject that is on its way.
    last: HashMap<(RoomId, UserId), (Seq, MessageId)>,
    done: Vec<FollowUpKey>,
}

impl Owed {
    pub(super) fn new() -> Self {
        Self { behind: true, left: 0, sent: HashMap::new(), last: HashMap::new(), done: Vec::new() }
    }

    pub(super) fn fall_behind(&mut self) {
        self.behind = true;
        self.left += 1;
        // A pass finds them in the shard.
        self.done.clear();
    }

    /// While behind: what was left up to now.
    pub(super) fn behind(&self) -> Option<u64> {
        self.behind.then_some(self.left)
    }

    /// A pass has found nothing. Answers whether that still holds: what was left since may have been behind its back.
    pub(super) fn caught_up(&mut self, seen: u64) -> bool {
        self.behind = self.left != seen;
        if !self.behind {
            self.recall();
        }
        !self.behind
    }

    /// Nothing is known to be on its way any more.
    pub(super) fn recall(&mut self) {
        self.sent.clear();
        self.last.clear();
    }

    /// What is late is as good as lost.
    pub(super) fn drop_late(&mut self, now: Instant) {
        self.sent.retain(|_, sent| now < sent.since + AGAIN_AFTER);
    }

    /// Takes follow-ups that the directory has, and answers their notices; `None`: they are left to the next pass.
    pub(super) fn take(&mut self, follow_ups: &[FollowUp], now: Instant, micros: u64) -> Option<Vec<Command>> {
        if self.behind || self.room() < follow_ups.len() {
            self.fall_behind();
            return None;
        }
        let mut commands = Vec::new();
        for follow_up in follow_ups {
            match Notice::of(follow_up) {
                None => self.done.push(follow_up.key),
                Some(notice) => {
                    let after = self.last.get(&notice.subject()).map(|(_, id)| *id);
                    commands.push(notice.command(after, micros));
                    self.send(notice, now);
                }
            }
        }
        Some(commands)
    }

    /// How many more notices may be on their way.
    pub(super) fn room(&self) -> usize {
        MOST.saturating_sub(self.sent.len())
    }

    /// Published, now or again.
    pub(super) fn send(&mut self, notice: Notice, now: Instant) {
        let seq = notice.follow_up.key.seq;
        let last = self.last.entry(notice.subject()).or_insert((seq, notice.id));
        if last.0 <= seq {
            *last = (seq, notice.id);
        }
        self.sent.insert(notice.follow_up.key, OnTheWay { notice, since: now });
    }

    /// Whether it was published and may still arrive.
    pub(super) fn is_on_its_way(&self, key: FollowUpKey, now: Instant) -> bool {
        self.sent.get(&key).is_some_and(|sent| now < sent.since + AGAIN_AFTER)
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.iter().map(|(key, sent)| (*key, sent.notice.inbox, sent.notice.id)).collect()
    }

    /// The inbox has it.
    pub(super) fn arrived(&mut self, key: FollowUpKey) {
        let Some(sent) = self.sent.remove(&key) else { return };
        let subject = sent.notice.subject();
        if self.last.get(&subject).is_some_and(|(_, id)| *id == sent.notice.id) {
            self.last.remove(&subject);
        }
        if !self.behind {
            self.done.push(key);
        }
    }

    /// What may be forgotten.
    pub(super) fn done(&mut self) -> Vec<FollowUpKey> {
        std::mem::take(&mut self.done)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.sent.is_empty()
    }

    /// Whether something should have arrived long ago.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.sent.values().any(|sent| now >= sent.since + AGAIN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::{Kind, Sender, SessionId};

    use super::*;

    fn follow_up(seq: u64, kind: Kind, user: u8) -> FollowUp {
        let sender = Sender { user: UserId::from_bytes([1; 16]), session: SessionId::from_bytes([2; 16]) };
        let key = FollowUpKey {
            room: RoomId::from_bytes([3; 16]),
            seq: Seq(seq),
            user: Some(UserId::from_bytes([user; 16])),
        };
        FollowUp { key, message_id: MessageId::from_bytes([seq as u8; 16]), sender, kind }
    }

    fn caught_up() -> Owed {
        let mut owed = Owed::new();
        assert!(owed.caught_up(0));
        owed
    }

    #[test]
    fn what_is_left_behind_the_back_of_a_pass_needs_another() {
        let mut owed = Owed::new();
        let seen = owed.behind().unwrap();
        assert_eq!(owed.take(&[follow_up(1, Kind::MemberJoined, 7)], Instant::now(), 0), None);
        assert!(!owed.caught_up(seen));
        let seen = owed.behind().unwrap();
        assert!(owed.caught_up(seen) && owed.behind().is_none());
        owed.fall_behind();
        assert!(owed.behind().is_some());
    }

    #[test]
    fn a_notice_waits_for_the_one_of_its_subject_that_is_on_its_way_and_for_no_other() {
        let (mut owed, now) = (caught_up(), Instant::now());
        let (joined, left) = (follow_up(1, Kind::MemberJoined, 7), follow_up(2, Kind::MemberLeft, 7));
        let other = follow_up(3, Kind::MemberJoined, 8);
        let commands = owed.take(&[joined.clone(), left.clone(), other], now, 0).unwrap();
        let afters: Vec<_> = commands.iter().map(|command| command.after).collect();
        assert_eq!(afters, [None, Some(commands[0].message_id), None]);
        let again = owed.take(&[follow_up(4, Kind::MemberJoined, 7)], now, 0).unwrap();
        assert_eq!(again[0].after, Some(commands[1].message_id));
        owed.arrived(joined.key);
        owed.arrived(left.key);
        assert_eq!(
            owed.take(&[follow_up(5, Kind::MemberLeft, 7)], now, 0).unwrap()[0].after,
            Some(again[0].message_id)
        );
        owed.arrived(follow_up(5, Kind::MemberLeft, 7).key);
        owed.arrived(follow_up(4, Kind::MemberLeft, 7).key);
        assert_eq!(owed.take(&[follow_up(6, Kind::MemberJoined, 7)], now, 0).unwrap()[0].after, None);
    }

    #[test]
    fn what_has_arrived_or_owes_no_notice_may_be_forgotten_once() {
        let (mut owed, now) = (caught_up(), Instant::now());
        let (joined, role) = (follow_up(1, Kind::MemberJoined, 7), follow_up(2, Kind::RoleChanged, 7));
        assert_eq!(owed.take(&[joined.clone(), role.clone()], now, 0).unwrap().len(), 1);
        assert_eq!(owed.done(), [role.key]);
        assert!(!owed.is_empty() && owed.sent().len() == 1);
        owed.arrived(joined.key);
        owed.arrived(joined.key);
        assert_eq!(owed.done(), [joined.key]);
        assert!(owed.is_empty());
    }

    #[test]
    fn a_notice_that_does_not_arrive_is_late_and_may_be_sent_again() {
        let (mut owed, now) = (caught_up(), Instant::now());
        let joined = follow_up(1, Kind::MemberJoined, 7);
        owed.take(std::slice::from_ref(&joined), now, 0).unwrap();
        assert!(!owed.is_late(now) && owed.is_on_its_way(joined.key, now));
        assert!(owed.is_late(now + AGAIN_AFTER) && !owed.is_on_its_way(joined.key, now + AGAIN_AFTER));
    }

    #[test]
    fn beyond_the_bound_follow_ups_wait_in_the_shard() {
        let (mut owed, now) = (caught_up(), Instant::now());
        let many: Vec<_> = (1..=MOST as u64).map(|seq| follow_up(seq, Kind::MemberJoined, 7)).collect();
        assert_eq!(owed.take(&many, now, 0).unwrap().len(), MOST);
        assert_eq!(owed.room(), 0);
        assert!(owed.take(&[follow_up(0, Kind::MemberLeft, 8)], now, 0).is_none() && owed.behind().is_some());
    }
}
