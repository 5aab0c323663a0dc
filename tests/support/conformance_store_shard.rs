//! What every twin's [`Shard`] does: order, repeats, pages, watermarks. Effects stand in `conformance_store_effects`.

use std::sync::Arc;

use klatch_domain::{
    Content, Generation, Kind, Mentions, MessageId, Ordinal, Position, Role, RoomId, Seq, Timestamp, UserId,
    limits::HISTORY_PAGE,
};
use klatch_store::{
    Shard,
    shard::{AppendError, Effect, Head, Range, Watermark, Write},
};

use crate::conformance_store_log::{Log, member, sender, text, user};

/// A test of each behaviour in `$open() -> (Arc<dyn Shard>, impl Drop)`.
#[macro_export]
macro_rules! shard_conforms {
    ($open:path) => {
        $crate::each_behaviour! { $open, conformance_store_shard,
            a_room_is_made_with_its_first_entry, entries_come_back_as_they_were_written, order_is_dense,
            a_repeat_is_named_and_nothing_of_its_batch_is_written, an_id_is_one_s_own_in_each_room,
            a_stale_head_is_named, a_gap_is_stale, the_same_batch_at_once_is_written_once,
            concurrent_batches_are_all_written, an_impossible_batch_is_refused_alone, pages_go_both_ways, a_page_is_bounded,
            threads_have_pages, rooms_that_do_not_exist_are_left_out, watermarks_only_move_forward,
            watermarks_are_clamped_to_the_head, senders_have_read_what_they_sent, a_watermark_outlives_leaving, who_comes_late_has_read_what_was_said_before, watermarks_have_pages,
            overviews_count_mentions, the_last_message_is_found_below_what_does_not_count, another_generation_is_stale,
            unknown_kinds_and_odd_contents_are_kept
        }
    };
}

/// One test a behaviour of a suite.
#[macro_export]
macro_rules! each_behaviour {
    ($open:path, $suite:ident, $($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (store, _keep) = $open().await;
                $crate::$suite::$name(store).await;
            }
        )*
    };
}

async fn page(shard: &Arc<dyn Shard>, room: RoomId) -> Vec<klatch_domain::Entry> {
    shard.page(room, Range::Newest, HISTORY_PAGE, None, None).await.unwrap().entries
}

fn seqs(entries: &[klatch_domain::Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.position.seq.0).collect()
}

/// A room with one member and `texts` texts after its first two entries.
async fn talk(shard: &Arc<dyn Shard>, texts: u64) -> Log {
    let mut log = Log::new();
    let mut batch = log.create(&[1]);
    for number in 0..texts {
        batch.push(log.say(1, &format!("text {number}")));
    }
    shard.append(batch).await.unwrap();
    log
}

#[allow(missing_docs)] // the names say it
pub async fn a_room_is_made_with_its_first_entry(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    assert!(shard.rooms(&[log.room]).await.unwrap().is_empty());
    shard.append(log.create(&[1, 2])).await.unwrap();
    let mut wanted = Log::facts();
    wanted.head = Seq(3);
    wanted.last_at = Timestamp::from_millis(crate::conformance_store_log::BEGIN + 3000);
    wanted.members_version = Seq(3);
    wanted.members = [(user(1), member(Role::Owner)), (user(2), member(Role::Member))].into();
    assert_eq!(shard.rooms(&[log.room]).await.unwrap()[&log.room], wanted);
    // Made twice is somebody else's head.
    let mut again = Log { room: log.room, ..Log::new() };
    assert_eq!(shard.append(again.create(&[3])).await, Err(AppendError::StaleHead(vec![log.room])));
    assert_eq!(shard.rooms(&[log.room]).await.unwrap()[&log.room], wanted);
}

#[allow(missing_docs)]
pub async fn entries_come_back_as_they_were_written(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 1).await;
    let full = log.say_with("all of it", |entry| {
        entry.content_type = "text/markdown".into();
        entry.reply_to = Some(Seq(1));
        entry.thread = Some(Seq(3));
        entry.mentions = Some(Mentions { users: vec![user(9), user(8)], room: true });
        entry.silent = true;
        entry.attachments = Some(vec![Content::parse(r#"{"file_id":"x"}"#).unwrap()]);
        entry.expires_at = Some(Timestamp::from_millis(9_000_000_000_000));
        entry.sender = sender(4);
    });
    let nobody = log.say_with("nobody called", |entry| entry.mentions = Some(Mentions::default()));
    shard.append(vec![full.clone(), nobody.clone()]).await.unwrap();
    let entries = page(&shard, log.room).await;
    assert_eq!(entries[3], full.entry);
    assert_eq!(entries[4], nobody.entry);
    assert_eq!(shard.entry(log.room, Seq(4)).await.unwrap(), Some(full.entry.clone()));
    assert_eq!(shard.entry(log.room, Seq(6)).await.unwrap(), None);
    let id = (log.room, full.entry.message_id);
    let known = shard.known(&[id, (log.room, MessageId::now())]).await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[&id].entry, full.entry);
    assert_eq!(known[&id].first_fingerprint, None);
}

#[allow(missing_docs)]
pub async fn order_is_dense(shard: Arc<dyn Shard>) {
    let (mut one, mut two) = (talk(&shard, 0).await, talk(&shard, 0).await);
    for _ in 0..5 {
        let batch = vec![one.say(1, "a"), two.say(1, "b"), one.say(1, "c"), one.say(1, "d")];
        shard.append(batch).await.unwrap();
    }
    for log in [&one, &two] {
        let entries = page(&shard, log.room).await;
        assert_eq!(seqs(&entries), (1..=log.seq).collect::<Vec<_>>());
        assert!(entries.iter().all(|entry| entry.prev_seq.0 + 1 == entry.position.seq.0));
        let head = Head { position: Position::first(log.seq), ordinal: Ordinal(log.ordinal) };
        assert_eq!(shard.heads(&[log.room]).await.unwrap()[&log.room], head);
    }
}

#[allow(missing_docs)]
pub async fn a_repeat_is_named_and_nothing_of_its_batch_is_written(shard: Arc<dyn Shard>) {
    let (mut one, mut two) = (talk(&shard, 0).await, talk(&shard, 0).await);
    let (first, second) = (one.say(1, "first"), two.say(1, "second"));
    shard.append(vec![first.clone(), second.clone()]).await.unwrap();
    let repeat = |log: &mut Log, of: &Write| {
        let mut write = log.say(1, "again");
        write.entry.message_id = of.entry.message_id;
        write
    };
    let good = one.say(1, "good");
    let batch = vec![good.clone(), repeat(&mut one, &first), repeat(&mut two, &second)];
    let ids = vec![(one.room, first.entry.message_id), (two.room, second.entry.message_id)];
    assert_eq!(shard.append(batch).await, Err(AppendError::Duplicate(ids)));
    assert_eq!(shard.heads(&[one.room]).await.unwrap()[&one.room].position.seq, first.entry.position.seq);
    shard.append(vec![good]).await.unwrap();
    // The very same write again is a repeat, not only a stale head: leaving it out must be possible.
    let ids = vec![(one.room, first.entry.message_id)];
    assert_eq!(shard.append(vec![first]).await, Err(AppendError::Duplicate(ids)));
}

#[allow(missing_docs)]
pub async fn an_id_is_one_s_own_in_each_room(shard: Arc<dyn Shard>) {
    let (mut one, mut two) = (talk(&shard, 0).await, talk(&shard, 0).await);
    let (here, mut there) = (one.say(1, "here"), two.say(1, "there"));
    there.entry.message_id = here.entry.message_id;
    let ids = [(one.room, here.entry.message_id), (two.room, here.entry.message_id)];
    shard.append(vec![here.clone(), there.clone()]).await.unwrap();
    let known = shard.known(&ids).await.unwrap();
    assert_eq!((&known[&ids[0]].entry, &known[&ids[1]].entry), (&here.entry, &there.entry));
}

#[allow(missing_docs)]
pub async fn a_stale_head_is_named(shard: Arc<dyn Shard>) {
    let (mut one, mut two, mut three) = (talk(&shard, 1).await, talk(&shard, 1).await, talk(&shard, 1).await);
    let (mut other_one, mut other_three) = (one.clone(), three.clone());
    shard.append(vec![other_one.say(1, "x"), other_three.say(1, "y"), other_three.say(1, "z")]).await.unwrap();
    let batch = vec![two.say(1, "good"), one.say(1, "stale"), three.say(1, "stale"), one.say(1, "stale")];
    assert_eq!(shard.append(batch).await, Err(AppendError::StaleHead(vec![one.room, three.room])));
    assert_eq!(page(&shard, two.room).await.len(), 3);
    assert_eq!(page(&shard, one.room).await.len(), 4);
    let nowhere = Log::new().say(1, "in no room");
    assert_eq!(shard.append(vec![nowhere.clone()]).await, Err(AppendError::StaleHead(vec![nowhere.room])));
}

#[allow(missing_docs)]
pub async fn a_gap_is_stale(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 0).await;
    let lost = log.say(1, "lost");
    let after = log.say(1, "after");
    assert_eq!(shard.append(vec![after.clone()]).await, Err(AppendError::StaleHead(vec![log.room])));
    assert_eq!(shard.append(vec![after.clone(), lost.clone()]).await, Err(AppendError::StaleHead(vec![log.room])));
    shard.append(vec![lost, after]).await.unwrap();
}

#[allow(missing_docs)]
pub async fn the_same_batch_at_once_is_written_once(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 0).await;
    let batch: Vec<_> = (0..10).map(|number| log.say(1, &format!("text {number}"))).collect();
    let ids: Vec<_> = batch.iter().map(|write| (write.room, write.entry.message_id)).collect();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (shard, batch) = (Arc::clone(&shard), batch.clone());
            tokio::spawn(async move { shard.append(batch).await })
        })
        .collect();
    let mut written = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(()) => written += 1,
            Err(error) => assert_eq!(error, AppendError::Duplicate(ids.clone())),
        }
    }
    assert_eq!(written, 1);
    assert_eq!(page(&shard, log.room).await.len(), 12);
}

#[allow(missing_docs)]
pub async fn concurrent_batches_are_all_written(shard: Arc<dyn Shard>) {
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let shard = Arc::clone(&shard);
            tokio::spawn(async move {
                let mut log = Log::new();
                shard.append(log.create(&[1, 2])).await.unwrap();
                for _ in 0..5 {
                    let batch = vec![log.say(1, "one"), log.say(2, "two")];
                    shard.append(batch).await.unwrap();
                }
                log
            })
        })
        .collect();
    for call in calls {
        let log = call.await.unwrap();
        assert_eq!(seqs(&page(&shard, log.room).await), (1..=13).collect::<Vec<_>>());
    }
}

#[allow(missing_docs)]
pub async fn an_impossible_batch_is_refused_alone(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 1).await;
    let before = log.clone();
    let twice = vec![log.say(1, "once"), log.say_with("twice", |_| {})];
    let mut twice = twice;
    twice[1].entry.message_id = twice[0].entry.message_id;
    let refused = shard.append(twice).await;
    assert!(matches!(refused, Err(AppendError::Data(_))), "an id twice in one batch: {refused:?}");

    let mut log = before.clone();
    let mut lost = log.edit(3, "no");
    lost.effect = Effect::Edit { target: Seq(77) };
    let refused = shard.append(vec![lost]).await;
    assert!(matches!(refused, Err(AppendError::Data(_))), "a target that is not there: {refused:?}");

    let mut log = before;
    shard.append(vec![log.say(1, "goes on")]).await.unwrap();
    assert_eq!(page(&shard, log.room).await.len(), 4);
    shard.append(Vec::new()).await.unwrap();
}

#[allow(missing_docs)]
pub async fn pages_go_both_ways(shard: Arc<dyn Shard>) {
    let log = talk(&shard, 8).await;
    let ask = async |range, limit| {
        let page = shard.page(log.room, range, limit, None, None).await.unwrap();
        (seqs(&page.entries), page.more)
    };
    assert_eq!(ask(Range::Newest, 3).await, (vec![8, 9, 10], true));
    assert_eq!(ask(Range::Newest, 10).await, ((1..=10).collect(), false));
    assert_eq!(ask(Range::Before(Seq(8)), 3).await, (vec![5, 6, 7], true));
    assert_eq!(ask(Range::Before(Seq(4)), 3).await, (vec![1, 2, 3], false));
    assert_eq!(ask(Range::Before(Seq(1)), 3).await, (vec![], false));
    assert_eq!(ask(Range::Before(Seq(u64::MAX)), 2).await, (vec![9, 10], true));
    assert_eq!(ask(Range::After(Seq(0)), 4).await, (vec![1, 2, 3, 4], true));
    assert_eq!(ask(Range::After(Seq(7)), 3).await, (vec![8, 9, 10], false));
    assert_eq!(ask(Range::After(Seq(10)), 3).await, (vec![], false));
    assert_eq!(ask(Range::After(Seq(u64::MAX)), 3).await, (vec![], false));
    assert_eq!(ask(Range::Newest, 0).await, (vec![], true));
}

#[allow(missing_docs)]
pub async fn a_page_is_bounded(shard: Arc<dyn Shard>) {
    let log = talk(&shard, HISTORY_PAGE as u64 + 50).await;
    let page = shard.page(log.room, Range::After(Seq(0)), usize::MAX, None, None).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (HISTORY_PAGE, true));
}

#[allow(missing_docs)]
pub async fn threads_have_pages(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 2).await;
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.push(log.say_with("in thread 3", |entry| entry.thread = Some(Seq(3))));
        batch.push(log.say_with("in thread 4", |entry| entry.thread = Some(Seq(4))));
        batch.push(log.say(1, "in none"));
    }
    shard.append(batch).await.unwrap();
    let ask = async |range, limit| {
        let page = shard.page(log.room, range, limit, Some(Seq(3)), None).await.unwrap();
        (seqs(&page.entries), page.more)
    };
    assert_eq!(ask(Range::Newest, 10).await, (vec![3, 5, 8, 11], false));
    assert_eq!(ask(Range::Newest, 2).await, (vec![8, 11], true));
    assert_eq!(ask(Range::Before(Seq(8)), 1).await, (vec![5], true));
    assert_eq!(ask(Range::Before(Seq(8)), 2).await, (vec![3, 5], false));
    assert_eq!(ask(Range::After(Seq(0)), 2).await, (vec![3, 5], true));
    assert_eq!(ask(Range::After(Seq(3)), 3).await, (vec![5, 8, 11], false));
    let empty = shard.page(log.room, Range::Newest, 10, Some(Seq(99)), None).await.unwrap();
    assert_eq!((empty.entries.len(), empty.more), (0, false));
}

#[allow(missing_docs)]
pub async fn rooms_that_do_not_exist_are_left_out(shard: Arc<dyn Shard>) {
    let (log, nowhere) = (talk(&shard, 1).await, RoomId::now());
    let both = [nowhere, log.room];
    assert_eq!(shard.rooms(&both).await.unwrap().len(), 1);
    assert_eq!(shard.heads(&both).await.unwrap().len(), 1);
    assert_eq!(shard.overviews(&both, user(1)).await.unwrap().len(), 1);
    assert!(shard.known(&[(nowhere, MessageId::now())]).await.unwrap().is_empty());
    assert_eq!(shard.entry(nowhere, Seq(1)).await.unwrap(), None);
    assert_eq!(shard.page(nowhere, Range::Newest, 5, None, None).await.unwrap(), Default::default());
    assert!(shard.watermarks(nowhere, None, 5).await.unwrap().is_empty());
    shard.set_blocking(nowhere, user(1), true).await.unwrap();
    let moves = vec![(nowhere, user(1), mark(1, 1)), (log.room, user(5), mark(1, 1))];
    assert!(shard.move_watermarks(moves).await.unwrap().is_empty());
}

fn mark(read: u64, delivered: u64) -> Watermark {
    let position = |seq| if seq == 0 { Position::NOTHING } else { Position::first(seq) };
    Watermark { read: position(read), delivered: position(delivered) }
}

#[allow(missing_docs)]
pub async fn watermarks_only_move_forward(shard: Arc<dyn Shard>) {
    let log = talk(&shard, 8).await;
    let go = async |watermark| shard.move_watermarks(vec![(log.room, user(1), watermark)]).await.unwrap();
    assert_eq!(go(mark(0, 4)).await, [(log.room, user(1), mark(0, 4))]);
    assert_eq!(go(mark(6, 0)).await, [(log.room, user(1), mark(6, 6))], "delivered is raised to read");
    assert_eq!(go(mark(5, 5)).await, []);
    assert_eq!(go(mark(6, 6)).await, []);
    assert_eq!(go(mark(5, 9)).await, [(log.room, user(1), mark(6, 9))]);
    let twice = vec![(log.room, user(1), mark(8, 0)), (log.room, user(1), mark(7, 10))];
    assert_eq!(shard.move_watermarks(twice).await.unwrap(), [(log.room, user(1), mark(8, 10))]);
    assert_eq!(shard.overviews(&[log.room], user(1)).await.unwrap()[&log.room].read, Position::first(8));
}

#[allow(missing_docs)]
pub async fn watermarks_are_clamped_to_the_head(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 1).await;
    let far = Position { generation: Generation(u64::MAX), seq: Seq(u64::MAX) };
    let moves = vec![(log.room, user(1), Watermark { read: far, delivered: far })];
    assert_eq!(shard.move_watermarks(moves).await.unwrap(), [(log.room, user(1), mark(3, 3))]);
    shard.append(vec![log.say(1, "next")]).await.unwrap();
    assert_eq!(shard.watermarks(log.room, None, 5).await.unwrap(), [(user(1), mark(3, 3))]);
}

#[allow(missing_docs)]
pub async fn senders_have_read_what_they_sent(shard: Arc<dyn Shard>) {
    let (log, other) = (talk(&shard, 8).await, talk(&shard, 3).await);
    let read = |number, room, seq| (room, user(number), Position::first(seq));
    let own = vec![read(1, log.room, 6), read(1, other.room, 4), read(2, log.room, 7), read(1, log.room, 5)];
    shard.note_own_reads(own).await.unwrap();
    assert_eq!(shard.watermarks(log.room, None, 5).await.unwrap()[0], (user(1), mark(6, 6)));
    assert_eq!(shard.watermarks(other.room, None, 5).await.unwrap()[0], (user(1), mark(4, 4)));
    shard.move_watermarks(vec![(log.room, user(1), mark(0, 9))]).await.unwrap();
    shard.note_own_reads(vec![read(1, log.room, 4)]).await.unwrap();
    assert_eq!(shard.watermarks(log.room, None, 5).await.unwrap()[0], (user(1), mark(6, 9)), "it only moves forward");
    shard.note_own_reads(vec![read(1, log.room, 8)]).await.unwrap();
    assert_eq!(shard.watermarks(log.room, None, 5).await.unwrap()[0], (user(1), mark(8, 9)));
}

#[allow(missing_docs)]
pub async fn a_watermark_outlives_leaving(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    shard.append(log.create(&[1, 2])).await.unwrap();
    shard.append(vec![log.say(1, "one"), log.say(1, "two")]).await.unwrap();
    shard.move_watermarks(vec![(log.room, user(2), mark(4, 4))]).await.unwrap();
    shard.append(vec![log.leave(2)]).await.unwrap();
    assert_eq!(shard.watermarks(log.room, None, 5).await.unwrap(), [(user(1), mark(0, 0))]);
    assert!(shard.move_watermarks(vec![(log.room, user(2), mark(5, 5))]).await.unwrap().is_empty());
    shard.append(vec![log.join(2, Role::Member)]).await.unwrap();
    let known = shard.watermarks(log.room, None, 5).await.unwrap();
    assert_eq!(known, [(user(1), mark(0, 0)), (user(2), mark(4, 4))]);
}

/// Another role is no coming: it leaves what is unread as it was.
pub async fn who_comes_late_has_read_what_was_said_before(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 2).await;
    shard.append(vec![log.join(2, Role::Member), log.join(1, Role::Admin), log.say(1, "welcome")]).await.unwrap();
    let joined = log.seq - 2;
    let known = shard.watermarks(log.room, None, 5).await.unwrap();
    assert_eq!(known, [(user(1), mark(0, 0)), (user(2), mark(joined, joined))]);
    let overview = shard.overviews(&[log.room], user(2)).await.unwrap().remove(&log.room).unwrap();
    assert_eq!(overview.head.ordinal.0 - overview.read_ordinal.0, 1, "the welcome");
}

#[allow(missing_docs)]
pub async fn watermarks_have_pages(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    shard.append(log.create(&[5, 1, 3, 2, 4])).await.unwrap();
    shard.move_watermarks(vec![(log.room, user(4), mark(2, 3))]).await.unwrap();
    let first = shard.watermarks(log.room, None, 3).await.unwrap();
    assert_eq!(first.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [user(1), user(2), user(3)]);
    let second = shard.watermarks(log.room, Some(user(3)), 3).await.unwrap();
    assert_eq!(second, [(user(4), mark(2, 3)), (user(5), mark(0, 0))]);
}

#[allow(missing_docs)]
pub async fn overviews_count_mentions(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    let mut batch = log.create(&[1, 2]);
    batch.extend([
        log.call(1, &[2], false),
        log.call(1, &[2, 2], true),
        log.call(2, &[2], true),
        log.call(1, &[3], false),
        log.call(1, &[], true),
    ]);
    shard.append(batch).await.unwrap();
    let count = async |number, read| {
        shard.move_watermarks(vec![(log.room, user(number), mark(read, read))]).await.unwrap();
        let overview = shard.overviews(&[log.room], user(number)).await.unwrap().remove(&log.room).unwrap();
        (overview.unread_mentions, overview.read_ordinal.0)
    };
    assert_eq!(count(2, 0).await, (3, 0), "one's own does not count, and no entry counts twice");
    assert_eq!(count(1, 3).await, (1, 0), "only the room was called by another");
    assert_eq!(count(2, 4).await, (2, 1));
    assert_eq!(count(2, 8).await, (0, 5));
    let nil = UserId::from_bytes([0; 16]);
    let all = shard.overviews(&[log.room], nil).await.unwrap().remove(&log.room).unwrap();
    assert_eq!(all.unread_mentions, 3, "the room was called three times");
    assert_eq!(all.head, Head { position: Position::first(8), ordinal: Ordinal(5) });
    // Who calls the user without an id calls nobody.
    shard.append(vec![log.call(1, &[0], false)]).await.unwrap();
    assert_eq!(shard.overviews(&[log.room], user(3)).await.unwrap()[&log.room].unread_mentions, 4);
}

#[allow(missing_docs)]
pub async fn the_last_message_is_found_below_what_does_not_count(shard: Arc<dyn Shard>) {
    let mut log = Log::new();
    shard.append(log.create(&[1, 2])).await.unwrap();
    let last = async |log: &Log| {
        let overview = shard.overviews(&[log.room], user(1)).await.unwrap().remove(&log.room).unwrap();
        overview.last_message.map(|entry| entry.position.seq.0)
    };
    assert_eq!(last(&log).await, None);
    // More of them than anyone would look through one by one.
    let joins: Vec<_> = (0..40).map(|_| log.join(3, Role::Member)).collect();
    shard.append(joins).await.unwrap();
    assert_eq!(last(&log).await, None);
    shard.append(vec![log.say(1, "one"), log.say(1, "two")]).await.unwrap();
    let two = log.seq;
    let reactions: Vec<_> = (0..40).map(|number| log.react(2, two, "+", number % 2 == 0)).collect();
    shard.append(reactions).await.unwrap();
    assert_eq!(last(&log).await, Some(two));
    let silent = log.say_with("quiet", |entry| entry.silent = true);
    shard.append(vec![silent]).await.unwrap();
    let quiet = log.seq;
    let joins: Vec<_> = (0..40).map(|_| log.join(3, Role::Member)).collect();
    shard.append(joins).await.unwrap();
    assert_eq!(last(&log).await, Some(quiet), "a silent message is one by its kind");
    shard.append(vec![log.delete(quiet)]).await.unwrap();
    let overview = shard.overviews(&[log.room], user(1)).await.unwrap().remove(&log.room).unwrap();
    let entry = overview.last_message.unwrap();
    assert_eq!((entry.position.seq.0, entry.deleted), (quiet, true), "as it is now");
}

#[allow(missing_docs)]
pub async fn another_generation_is_stale(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 2).await;
    for generation in [0, 2] {
        let mut write = log.clone().say(1, "of another log");
        write.entry.position.generation = Generation(generation);
        assert_eq!(shard.append(vec![write]).await, Err(AppendError::StaleHead(vec![log.room])));
    }
    shard.append(vec![log.say(1, "goes on")]).await.unwrap();
}

#[allow(missing_docs)]
pub async fn unknown_kinds_and_odd_contents_are_kept(shard: Arc<dyn Shard>) {
    let mut log = talk(&shard, 0).await;
    let long = "ä€😀\u{0}".repeat(1000);
    let contents = [
        (Kind::from_name("poll"), Content::parse(r#"{ "q" : "\u0000 \ud800", "n": 1e400 }"#).unwrap()),
        (Kind::from_name("3"), Content::empty()),
        (Kind::Mls, Content::parse(r#"{"a":{"b":[{}]}}"#).unwrap()),
        (Kind::Text, text(&long)),
        (Kind::DeviceListChanged, text("'; DROP TABLE entries; --")),
    ];
    let batch: Vec<_> = contents
        .into_iter()
        .map(|(kind, content)| {
            let entry = log.entry(kind, content);
            log.write(entry, Effect::None)
        })
        .collect();
    shard.append(batch.clone()).await.unwrap();
    let wanted: Vec<_> = batch.into_iter().map(|write| write.entry).collect();
    assert_eq!(page(&shard, log.room).await[2..], wanted);
}
