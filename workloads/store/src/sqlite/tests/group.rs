//! Group commit.

use std::{fs, path::Path, sync::Arc};

use klatch_domain::{RoomId, Seq, ShardId};
use tokio::sync::oneshot;

use super::{super::shard::SqliteShard, stores, write};
use crate::{
    Shard, StoreError,
    shard::{AppendError, Write},
};

fn shard(folder: &Path) -> SqliteShard {
    SqliteShard::open(folder, ShardId(0), [1; 16], 1).unwrap()
}

/// Transactions in the log: a frame that ends one holds the file's size in its bytes 4 to 8
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
fn commits(folder: &Path) -> usize {
    let log = fs::read(folder.join("shard-0.sqlite-wal")).unwrap();
    log[32..].chunks_exact(24 + 4096).filter(|frame| frame[4..8] != [0; 4]).count()
}

/// Runs batches that all wait when the writer turns to them; answers what became of each.
async fn together(shard: Arc<SqliteShard>, batches: Vec<Vec<Write>>) -> Vec<Result<(), AppendError>> {
    let (release, held) = oneshot::channel::<()>();
    let mut held = Some(held);
    let holder = Arc::clone(&shard);
    let (started, running) = oneshot::channel::<()>();
    let mut started = Some(started);
    let hold = tokio::spawn(async move {
        let hold = move |_: &rusqlite::Connection| {
            started.take().unwrap().send(()).unwrap();
            held.take().unwrap().blocking_recv().unwrap();
        };
        holder.in_turn(hold).await;
    });
    running.await.unwrap();
    let mut calls: Vec<_> = batches.into_iter().map(|batch| Box::pin(shard.append(batch))).collect();
    for call in &mut calls {
        // Polled once, in order, so that each is in the queue.
        assert!(futures_now(call.as_mut()).is_none());
    }
    release.send(()).unwrap();
    hold.await.unwrap();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await);
    }
    outcomes
}

fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn what_waits_shares_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let shard = Arc::new(shard(folder.path()));
    shard.checkpoint().await.unwrap();
    let batches = (0..50).map(|_| vec![write(RoomId::now(), 1, "hello")]).collect();
    let outcomes = together(Arc::clone(&shard), batches).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(commits(folder.path()), 1, "50 batches were one sync");
}

#[tokio::test]
async fn a_refused_batch_takes_nothing_of_the_others_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let shard = Arc::new(shard(folder.path()));
    let (one, two, three) = (RoomId::now(), RoomId::now(), RoomId::now());
    let first = write(one, 1, "first");
    shard.append(vec![first.clone()]).await.unwrap();
    let mut repeat = write(one, 2, "repeat");
    repeat.entry.message_id = first.entry.message_id;
    let outcomes = together(
        Arc::clone(&shard),
        vec![
            vec![write(two, 1, "good")],
            // Writes to room three before the repeat is met.
            vec![write(three, 1, "rolled back"), repeat],
            vec![write(three, 1, "after it")],
            vec![write(two, 3, "stale")],
            vec![write(two, 2, "good")],
        ],
    )
    .await;
    assert_eq!(outcomes[1], Err(AppendError::Duplicate(vec![(one, first.entry.message_id)])));
    assert_eq!(outcomes[3], Err(AppendError::StaleHead(vec![two])));
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok() && outcomes[4].is_ok(), "{outcomes:?}");
    let page = shard.page(three, crate::shard::Range::Newest, 10, None, None).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert!(page.entries[0].content.as_str().contains("after it"));
    assert_eq!(shard.heads(&[one]).await.unwrap()[&one].position.seq, Seq(1));
    // What was rolled back is not remembered either.
    shard.append(vec![write(one, 2, "next"), write(three, 2, "next")]).await.unwrap();
}

#[tokio::test]
async fn a_full_file_refuses_everyone_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let shard = Arc::new(shard(folder.path()));
    let room = RoomId::now();
    shard.append(vec![write(room, 1, "before")]).await.unwrap();
    let limit = |pages: i64| {
        let shard = Arc::clone(&shard);
        async move {
            let limit = move |connection: &rusqlite::Connection| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
            };
            shard.in_turn(limit).await;
        }
    };
    limit(1).await;
    let big = "x".repeat(20_000);
    let outcomes =
        together(Arc::clone(&shard), vec![vec![write(RoomId::now(), 1, "small")], vec![write(room, 2, &big)]]).await;
    for outcome in outcomes {
        assert!(matches!(outcome, Err(AppendError::Store(StoreError::Unavailable { .. }))), "{outcome:?}");
    }
    assert_eq!(shard.heads(&[room]).await.unwrap()[&room].position.seq, Seq(1));
    limit(1_000_000).await;
    shard.append(vec![write(room, 2, &big)]).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path());
    let room = RoomId::now();
    let shard = Arc::clone(stores.shards.of(room));
    shard.append(vec![write(room, 1, "hello")]).await.unwrap();
    stores.close().await;
    stores.close().await;
    let refused = shard.append(vec![write(room, 2, "late")]).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Unavailable { .. }))), "{refused:?}");
    assert!(matches!(shard.heads(&[room]).await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(stores.checkpoint().await, Err(StoreError::Unavailable { .. })));
}
