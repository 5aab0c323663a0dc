//! Reading a room's log.

use std::sync::Arc;

use axum::{Json, extract::State};
use klatch_domain::{RoomId, Seq};
use klatch_protocol::http::{History, HistoryQuery};
use klatch_store::shard::Range;

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
    let page = shared.shards.of(room).page(room, range, limit, thread, Some(caller.user())).await?;
    room_view::reader(&shared, caller, room).await?;
    Ok(Json(History { entries: page.entries, more: page.more }))
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
