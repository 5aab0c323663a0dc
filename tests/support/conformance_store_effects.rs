//! What entries change, in every twin's [`Shard`].

use std::{collections::HashMap, sync::Arc};

use klatch_domain::{
    Content, Draft, Entry, Fingerprint, Kind, MessageId, Position, ReactionCount, Role, RoomId, RoomKind, RoomName,
    Seq, Timestamp, Visibility, limits::HISTORY_PAGE,
};
use klatch_store::{
    Shard,
    shard::{Effect, Known, Range, Standing},
};

use crate::conformance_store_log::{Log, member, text, user};

/// A test of each behaviour in `$open() -> (Arc<dyn Shard>, impl Drop)`.
#[macro_export]
macro_rules! shard_effects_conform {
    ($open:path) => {
        $crate::each_behaviour! { $open, conformance_store_effects,
            an_edit_replaces_the_content, a_delete_empties_target_and_edits, reactions_are_counted,
            members_come_and_go, a_direct_room_has_a_peer, a_room_changes, a_deleted_room_is_empty, blocks_are_flags_of_members,
            what_has_expired_is_hidden_then_emptied, expiry_reaches_edits, effects_within_one_batch
        }
    };
}

async fn entries(shard: &Arc<dyn Shard>, room: RoomId) -> Vec<Entry> {
    shard.page(room, Range::Newest, HISTORY_PAGE, None, None).await.unwrap().entries
}

async fn known(shard: &Arc<dyn Shard>, room: RoomId, id: MessageId) -> Known {
    let mut known: HashMap<_, _> = shard.known(&[(room, id)]).await.unwrap();
    known.remove(&(room, id)).unwrap()
}

fn print(kind: Kind, content: Content, target: Option<u64>) -> Option<Fingerprint> {
    let mut draft = Draft::new(kind, content);
    draft.target = target.map(Seq);
    Some(draft.fingerprint())
}

async fn talk(shard: &Arc<dyn Shard>) -> Log {
    let mut log = Log::new();
    let mut batch = log.create(&[1, 2]);
    batch.push(log.say(1, "four"));
    batch.push(log.say(1, "five"));
    shard.append(batch).await.unwrap();
    log
}

#[allow(missing_docs)] // the names say it
pub async fn an_edit_replaces_the_content(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    let before = entries(&shard, log.room).await;
    let (one, two) = (log.edit(4, "FOUR, at greater length than it had"), log.edit(4, "4"));
    shard.append(vec![one.clone()]).await.unwrap();
    let edited = shard.entry(log.room, Seq(4)).await.unwrap().unwrap();
    let mut wanted = before[3].clone();
    wanted.content = one.entry.content.clone();
    wanted.edited_at = Some(one.entry.at);
    wanted.changed_seq = Some(Seq(6));
    assert_eq!(edited, wanted);
    shard.append(vec![two.clone()]).await.unwrap();
    wanted.content = text("4");
    wanted.edited_at = Some(two.entry.at);
    wanted.changed_seq = Some(Seq(7));
    let after = entries(&shard, log.room).await;
    assert_eq!(after[3], wanted);
    assert_eq!(after[4], before[4]);
    assert_eq!(after[5..], [one.entry, two.entry], "the edits themselves stay");
    let known = known(&shard, log.room, wanted.message_id).await;
    assert_eq!(known.entry, wanted);
    assert_eq!(known.first_fingerprint, print(Kind::Text, text("four"), None), "of what was first sent");
}

#[allow(missing_docs)]
pub async fn a_delete_empties_target_and_edits(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    let batch = vec![log.edit(4, "FOUR"), log.edit(5, "FIVE"), log.edit(4, "4"), log.delete(4)];
    shard.append(batch.clone()).await.unwrap();
    let entries = entries(&shard, log.room).await;
    let four = &entries[3];
    assert_eq!((four.deleted, four.content.as_str(), four.changed_seq), (true, "{}", Some(Seq(9))));
    assert_eq!((four.kind.clone(), four.edited_at), (Kind::Text, Some(batch[2].entry.at)));
    for edit in [&entries[5], &entries[7]] {
        assert_eq!((edit.deleted, edit.content.as_str(), edit.changed_seq), (false, "{}", None));
    }
    assert_eq!(entries[4].content, text("FIVE"));
    assert_eq!(entries[6].content, text("FIVE"));
    let first = known(&shard, log.room, four.message_id).await.first_fingerprint;
    assert_eq!(first, print(Kind::Text, text("four"), None));
    let edit = known(&shard, log.room, batch[0].entry.message_id).await.first_fingerprint;
    assert_eq!(edit, print(Kind::Edit, text("FOUR"), Some(4)), "of an emptied edit as well");
    // Deleting again only says so again.
    shard.append(vec![log.delete(4)]).await.unwrap();
    let again = shard.entry(log.room, Seq(4)).await.unwrap().unwrap();
    assert_eq!((again.deleted, again.changed_seq), (true, Some(Seq(10))));
    let still = known(&shard, log.room, four.message_id).await.first_fingerprint;
    assert_eq!(still, first);
}

#[allow(missing_docs)]
pub async fn reactions_are_counted(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    let on = vec![log.react(1, 4, "+", true), log.react(2, 4, "+", true), log.react(2, 4, "!", true)];
    shard.append(on).await.unwrap();
    let room = log.room;
    let seen = async |viewer| {
        let page = shard.page(room, Range::Before(Seq(5)), 1, None, viewer).await.unwrap();
        let entry = &page.entries[0];
        let counts: Vec<_> = entry.reactions.iter().map(|r| (r.emoji.clone(), r.count, r.mine)).collect();
        (counts, entry.changed_seq)
    };
    let count = |emoji: &str, count, mine| (emoji.to_owned(), count, mine);
    assert_eq!(seen(None).await, (vec![count("!", 1, None), count("+", 2, None)], Some(Seq(8))));
    assert_eq!(seen(Some(user(1))).await.0, [count("!", 1, Some(false)), count("+", 2, Some(true))]);
    let plain = ReactionCount { emoji: "!".to_owned(), count: 1, mine: None };
    assert_eq!(shard.entry(log.room, Seq(4)).await.unwrap().unwrap().reactions[0], plain);
    // On twice is on; off without on is nothing.
    let more = vec![log.react(1, 4, "+", true), log.react(1, 4, "!", false), log.react(2, 4, "+", false)];
    shard.append(more).await.unwrap();
    assert_eq!(seen(Some(user(2))).await, (vec![count("!", 1, Some(true)), count("+", 1, Some(false))], Some(Seq(11))));
    shard.append(vec![log.react(1, 4, "+", false), log.react(2, 4, "!", false)]).await.unwrap();
    assert_eq!(seen(None).await, (vec![], Some(Seq(13))));
}

#[allow(missing_docs)]
pub async fn members_come_and_go(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    shard.append(vec![log.join(3, Role::Member), log.join(2, Role::Admin), log.leave(1)]).await.unwrap();
    let facts = shard.rooms(&[log.room]).await.unwrap().remove(&log.room).unwrap();
    assert_eq!(facts.members, [(user(2), member(Role::Admin)), (user(3), member(Role::Member))].into());
    assert_eq!(facts.members_version, Seq(8));
    shard.append(vec![log.say(2, "no change")]).await.unwrap();
    let facts = shard.rooms(&[log.room]).await.unwrap().remove(&log.room).unwrap();
    assert_eq!((facts.members_version, facts.head), (Seq(8), Seq(9)));
    for number in [1, 2, 3] {
        let standing = shard.standings(&[log.room, RoomId::now()], user(number)).await.unwrap();
        assert_eq!(standing, [(log.room, Standing::of(&facts, user(number)))].into());
    }
}

#[allow(missing_docs)]
pub async fn a_direct_room_has_a_peer(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    let mut facts = Log::facts();
    (facts.kind, facts.name) = (RoomKind::Direct, None);
    facts.members = [(user(1), member(Role::Member)), (user(2), member(Role::Member))].into();
    facts.members_version = Seq(1);
    let entry = log.entry(Kind::MemberJoined, Content::empty());
    shard.append(vec![log.write(entry, Effect::Create(Box::new(facts)))]).await.unwrap();
    let facts = shard.rooms(&[log.room]).await.unwrap().remove(&log.room).unwrap();
    assert_eq!((facts.members.len(), facts.members_version), (2, Seq(1)), "made with its members");
    let standing = shard.standings(&[log.room], user(1)).await.unwrap().remove(&log.room).unwrap();
    assert_eq!(standing, Standing::of(&facts, user(1)));
    assert_eq!(standing.peer, Some(user(2)));
}

#[allow(missing_docs)]
pub async fn a_room_changes(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    let mut change = async |name: Option<&str>, visibility| {
        let name = name.map(|name| RoomName::parse(name).unwrap());
        let entry = log.entry(Kind::RoomChanged, Content::empty());
        shard.append(vec![log.write(entry, Effect::ChangeRoom { name, visibility })]).await.unwrap();
        let facts = shard.rooms(&[log.room]).await.unwrap().remove(&log.room).unwrap();
        (facts.name.unwrap().as_str().to_owned(), facts.visibility, facts.members_version)
    };
    let version = Seq(3);
    assert_eq!(change(None, Some(Visibility::Public)).await, ("Lunch".to_owned(), Visibility::Public, version));
    assert_eq!(change(Some("Dinner"), None).await, ("Dinner".to_owned(), Visibility::Public, version));
    assert_eq!(change(Some("Tea"), Some(Visibility::Private)).await, ("Tea".to_owned(), Visibility::Private, version));
}

#[allow(missing_docs)]
pub async fn a_deleted_room_is_empty(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    let batch = vec![log.call(2, &[1], true), log.edit(4, "FOUR"), log.react(1, 5, "+", true), log.close()];
    shard.append(batch.clone()).await.unwrap();
    let facts = shard.rooms(&[log.room]).await.unwrap().remove(&log.room).unwrap();
    assert!(facts.deleted && facts.members.is_empty());
    assert_eq!((facts.members_version, facts.head), (Seq(9), Seq(9)));
    let entries = entries(&shard, log.room).await;
    assert_eq!(entries.len(), 9);
    for entry in &entries {
        assert_eq!((entry.content.as_str(), entry.reactions.len(), entry.deleted), ("{}", 0, false));
    }
    let standing = shard.standings(&[log.room], user(1)).await.unwrap().remove(&log.room).unwrap();
    assert_eq!(standing, Standing::of(&facts, user(1)));
    let overview = shard.overviews(&[log.room], user(1)).await.unwrap().remove(&log.room).unwrap();
    assert_eq!(overview.unread_mentions, 0);
    assert!(shard.watermarks(log.room, None, 5).await.unwrap().is_empty());
    let first = known(&shard, log.room, entries[3].message_id).await.first_fingerprint;
    assert_eq!(first, print(Kind::Text, text("four"), None));
    let edit = known(&shard, log.room, batch[1].entry.message_id).await.first_fingerprint;
    assert_eq!(edit, print(Kind::Edit, text("FOUR"), Some(4)));
}

#[allow(missing_docs)]
pub async fn blocks_are_flags_of_members(shard: Arc<dyn Shard>) {
    let log = talk(&shard).await;
    let blocking = async || {
        let facts = shard.rooms(&[log.room]).await.unwrap().remove(&log.room).unwrap();
        (facts.members[&user(1)].blocking, facts.members[&user(2)].blocking, facts.head)
    };
    shard.set_blocking(log.room, user(2), true).await.unwrap();
    assert_eq!(blocking().await, (false, true, Seq(5)));
    shard.set_blocking(log.room, user(2), true).await.unwrap();
    shard.set_blocking(log.room, user(9), true).await.unwrap();
    assert_eq!(blocking().await, (false, true, Seq(5)));
    shard.set_blocking(log.room, user(2), false).await.unwrap();
    assert_eq!(blocking().await, (false, false, Seq(5)));
}

const PAST: i64 = 1_700_000_000_000;
/// Year 2255.
const FUTURE: i64 = 9_000_000_000_000;

#[allow(missing_docs)]
pub async fn what_has_expired_is_hidden_then_emptied(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    let batch: Vec<_> = [PAST, PAST + 1, PAST + 2, FUTURE]
        .into_iter()
        .map(|at| log.say_with("secret", |entry| entry.expires_at = Some(Timestamp::from_millis(at))))
        .collect();
    shard.append(batch.clone()).await.unwrap();
    let check = async |swept: bool| {
        let entries = entries(&shard, log.room).await;
        for (entry, write) in entries[5..].iter().zip(&batch) {
            let gone = entry.expires_at < Some(Timestamp::from_millis(FUTURE));
            let content = if gone { Content::empty() } else { text("secret") };
            assert_eq!((entry.deleted, &entry.content, entry.changed_seq), (gone, &content, None), "swept: {swept}");
            let known = known(&shard, log.room, write.entry.message_id).await;
            assert_eq!(known.entry, *entry);
            let first = if gone { print(Kind::Text, text("secret"), None) } else { None };
            assert_eq!(known.first_fingerprint, first, "swept: {swept}");
        }
    };
    check(false).await;
    let now = Timestamp::from_millis(PAST + 1);
    assert_eq!(shard.expire(now, 1).await.unwrap(), 1);
    assert_eq!(shard.expire(now, 10).await.unwrap(), 1);
    assert_eq!(shard.expire(now, 10).await.unwrap(), 0);
    check(false).await;
    assert_eq!(shard.expire(Timestamp::from_millis(FUTURE - 1), 10).await.unwrap(), 1);
    check(true).await;
    // Deleted before it expires, it does not expire again.
    shard.append(vec![log.delete(9)]).await.unwrap();
    assert_eq!(shard.expire(Timestamp::from_millis(FUTURE), 10).await.unwrap(), 0);
}

#[allow(missing_docs)]
pub async fn expiry_reaches_edits(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard).await;
    let secret = log.say_with("secret", |entry| entry.expires_at = Some(Timestamp::from_millis(PAST)));
    let edit = log.edit(6, "still secret");
    shard.append(vec![secret, edit.clone()]).await.unwrap();
    for _ in 0..2 {
        let entries = entries(&shard, log.room).await;
        assert_eq!((entries[5].content.as_str(), entries[5].deleted), ("{}", true));
        assert_eq!((entries[6].content.as_str(), entries[6].deleted), ("{}", false));
        let first = known(&shard, log.room, edit.entry.message_id).await.first_fingerprint;
        assert_eq!(first, print(Kind::Edit, text("still secret"), Some(6)));
        shard.expire(Timestamp::from_millis(PAST), 10).await.unwrap();
    }
}

#[allow(missing_docs)]
pub async fn effects_within_one_batch(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    let mut batch = log.create(&[1, 2]);
    batch.extend([
        log.say(1, "said"),
        log.edit(4, "said better"),
        log.react(2, 4, "+", true),
        log.delete(4),
        log.leave(2),
    ]);
    shard.append(batch).await.unwrap();
    let entry = shard.entry(log.room, Seq(4)).await.unwrap().unwrap();
    assert_eq!((entry.deleted, entry.content.as_str(), entry.changed_seq), (true, "{}", Some(Seq(7))));
    assert_eq!(entry.reactions.len(), 1);
    assert_eq!(shard.heads(&[log.room]).await.unwrap()[&log.room].position, Position::first(8));
    assert_eq!(shard.rooms(&[log.room]).await.unwrap()[&log.room].members.len(), 1);
}
