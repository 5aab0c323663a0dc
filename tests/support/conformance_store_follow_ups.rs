//! What every twin's [`Shard`] keeps of what entries leave to be done outside it.

use std::sync::Arc;

use klatch_domain::{Content, Kind, Role, RoomFacts, RoomId, RoomKind, Seq, Visibility};
use klatch_store::{
    FollowUp, FollowUpKey, Shard,
    shard::{AppendError, Effect, Write},
};

use crate::conformance_store_log::{Log, member, text, user};

/// A test of each behaviour in `$open() -> (Arc<dyn Shard>, impl Drop)`.
#[macro_export]
macro_rules! follow_ups_conform {
    ($open:path) => {
        $crate::each_behaviour! { $open, conformance_store_follow_ups,
            plain_entries_leave_nothing, membership_leaves_what_the_contract_says, a_closed_room_leaves_one_for_each_member,
            follow_ups_are_forgotten_one_by_one, follow_ups_have_pages_in_the_order_of_each_log,
            a_refused_batch_leaves_nothing, inboxes_leave_nothing
        }
    };
}

async fn all(shard: &Arc<dyn Shard>) -> Vec<FollowUp> {
    shard.follow_ups(None, 1_000).await.unwrap()
}

fn expected(writes: &[Write], members: &[u8]) -> Vec<FollowUp> {
    writes.iter().flat_map(|write| FollowUp::of(write, members.iter().copied().map(user))).collect()
}

#[allow(missing_docs)] // the names say it
pub async fn plain_entries_leave_nothing(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    shard.append(log.create(&[1, 2])).await.unwrap();
    let before = all(&shard).await;
    let said = log.say(1, "text");
    let edit = log.entry(Kind::Edit, text("edited"));
    let edit = log.write(edit, Effect::Edit { target: said.entry.position.seq });
    shard.append(vec![said, edit, log.say(2, "more")]).await.unwrap();
    assert_eq!(all(&shard).await, before);
}

#[allow(missing_docs)]
pub async fn membership_leaves_what_the_contract_says(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    let mut writes = log.create(&[1, 2]);
    writes.push(log.join(2, Role::Admin));
    writes.push(log.leave(2));
    let entry = log.entry(Kind::RoomChanged, Content::empty());
    writes.push(log.write(entry, Effect::ChangeRoom { name: None, visibility: Some(Visibility::Public) }));
    let wanted = expected(&writes, &[]);
    shard.append(writes).await.unwrap();
    let found = all(&shard).await;
    assert_eq!(found, wanted);
    let users: Vec<_> = found.iter().map(|one| (one.key.seq.0, one.key.user)).collect();
    let (one, two) = (Some(user(1)), Some(user(2)));
    assert_eq!(users, [(1, None), (2, one), (3, two), (4, two), (5, two), (6, None)]);
    assert_eq!(found[4].kind, Kind::MemberLeft);

    // A room may be made with its maker in it.
    let mut log = Log::new();
    let facts = RoomFacts { members: [(user(7), member(Role::Owner))].into(), ..Log::facts() };
    let entry = log.entry(Kind::MemberJoined, Content::empty());
    let made = vec![log.write(entry, Effect::Create(Box::new(facts)))];
    let wanted = expected(&made, &[]);
    assert_eq!(wanted[0].key, FollowUpKey { room: log.room, seq: Seq(1), user: Some(user(7)) });
    shard.append(made).await.unwrap();
    assert_eq!(all(&shard).await.split_off(6), wanted);
}

#[allow(missing_docs)]
pub async fn a_closed_room_leaves_one_for_each_member(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    shard.append(log.create(&[1, 2, 3])).await.unwrap();
    let done = all(&shard).await.into_iter().map(|one| one.key).collect();
    shard.followed_up(done).await.unwrap();
    let entry = log.entry(Kind::RoomChanged, Content::empty());
    let closed = vec![log.write(entry, Effect::DeleteRoom)];
    let wanted = expected(&closed, &[1, 2, 3]);
    shard.append(closed).await.unwrap();
    let found = all(&shard).await;
    assert_eq!(found, wanted);
    assert_eq!(
        found.iter().map(|one| one.key.user).collect::<Vec<_>>(),
        [None, Some(user(1)), Some(user(2)), Some(user(3))]
    );
}

#[allow(missing_docs)]
pub async fn follow_ups_are_forgotten_one_by_one(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    shard.append(log.create(&[1, 2, 3])).await.unwrap();
    let mut left = all(&shard).await;
    let done = [left.remove(3).key, left.remove(0).key];
    shard.followed_up(done.to_vec()).await.unwrap();
    assert_eq!(all(&shard).await, left);
    // Done twice, or never there.
    let unknown = FollowUpKey { room: RoomId::now(), ..done[0] };
    shard.followed_up(vec![done[0], unknown, FollowUpKey { user: None, ..left[0].key }]).await.unwrap();
    assert_eq!(all(&shard).await, left);
}

#[allow(missing_docs)]
pub async fn follow_ups_have_pages_in_the_order_of_each_log(shard: Arc<dyn Shard>) {
    let (mut one, mut other) = (Log::new(), Log::new());
    shard.append(one.create(&[1])).await.unwrap();
    shard.append(other.create(&[1, 2])).await.unwrap();
    shard.append(vec![one.join(3, Role::Member), one.join(2, Role::Member)]).await.unwrap();
    let whole = all(&shard).await;
    for log in [&one, &other] {
        let seqs: Vec<_> =
            whole.iter().filter(|found| found.key.room == log.room).map(|found| found.key.seq.0).collect();
        assert!(!seqs.is_empty() && seqs.is_sorted());
    }
    for size in 1..=3 {
        let mut paged: Vec<FollowUp> = Vec::new();
        loop {
            let page = shard.follow_ups(paged.last().map(|last| last.key), size).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size);
            paged.extend(page);
        }
        assert_eq!(paged, whole);
    }
}

#[allow(missing_docs)]
pub async fn a_refused_batch_leaves_nothing(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    shard.append(log.create(&[1])).await.unwrap();
    let before = all(&shard).await;
    let join = log.join(2, Role::Member);
    let mut gap = log.leave(2);
    gap.entry.position.seq = Seq(99);
    assert_eq!(shard.append(vec![join, gap]).await, Err(AppendError::StaleHead(vec![log.room])));
    assert_eq!(all(&shard).await, before);
}

#[allow(missing_docs)]
pub async fn inboxes_leave_nothing(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    let facts = RoomFacts { members: [(user(7), member(Role::Owner))].into(), kind: RoomKind::Inbox, ..Log::facts() };
    let entry = log.entry(Kind::MemberJoined, Content::empty());
    shard.append(vec![log.write(entry, Effect::Create(Box::new(facts)))]).await.unwrap();
    assert_eq!(all(&shard).await, []);
}
