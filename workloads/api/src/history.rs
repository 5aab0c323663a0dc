//! Reading a room's log.

use std::sync::Arc;

use axum::{Json, extract::State};
use klatch_domain::{RoomId, Seq};
use klatch_protocol::http::{History, HistoryQuery};
use klatch_store::shard::{Page, Range};

use crate::{
    body::{Ids, Queried},
    page,
    problem::Failure,
    room_view,
    shared::{Caller, Shared},
};

/// Seqs are below 2^53, as every JSON reader keeps those exact.
const SEQ_BOUND: u64 = 1 << 53;

/// A page of a room's log, in seq order.
#[utoipa::path(get, path = "/v1/rooms/{id}/messages", tag = "messages", params(("id" = RoomId, Path), HistoryQuery),
    responses((status = 200, body = History)))]
pub(crate) async fn history(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    ids: Ids,
    Queried(query): Queried<HistoryQuery>,
) -> Result<Json<History>, Failure> {
    let room = ids.room()?;
    let limit = page::limit_of(query.limit)?;
    let thread = query.thread.map(|thread| seq("thread", thread)).transpose()?;
    let range = range(&query)?;
    let kept = kept_page(&shared, room, range, limit, thread).await?;
    let (page, is_kept) = match kept {
        Some(page) => (page, true),
        None => (shared.shards.of(room).page(room, range, limit, thread, Some(caller.user())).await?, false),
    };
    let standing = room_view::reader(&shared, caller, room).await?;
    if !is_kept && thread.is_none() && range == Range::Newest {
        shared.recent.keep(room, &page, standing.as_ref()).await;
    }
    Ok(Json(History { entries: page.entries, more: page.more }))
}

/// The page from the room's recent entries, if they are kept and true: the shard is asked only where the log ends.
async fn kept_page(
    shared: &Shared,
    room: RoomId,
    range: Range,
    limit: usize,
    thread: Option<Seq>,
) -> Result<Option<Page>, Failure> {
    if thread.is_some() || matches!(range, Range::Before(_)) {
        return Ok(None);
    }
    let Some(recent) = shared.recent.read(&[room]).await.remove(&room) else { return Ok(None) };
    let head = shared.shards.of(room).heads(&[room]).await?.remove(&room);
    Ok(shared.recent.page(&recent, head.map(|head| head.position), range, limit))
}

fn range(query: &HistoryQuery) -> Result<Range, Failure> {
    match (query.before, query.after) {
        (None, None) => Ok(Range::Newest),
        (Some(before), None) => Ok(Range::Before(seq("before", before)?)),
        (None, Some(after)) => Ok(Range::After(seq("after", after)?)),
        (Some(_), Some(_)) => Err(Failure::invalid("after", "ask with `before` or with `after`, not with both")),
    }
}

fn seq(field: &str, seq: u64) -> Result<Seq, Failure> {
    if seq < SEQ_BOUND { Ok(Seq(seq)) } else { Err(Failure::invalid(field, "a seq is below 2^53")) }
}
