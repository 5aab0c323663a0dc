//! Sync: what is after these positions? Its cost follows what has changed, not how many rooms are asked about.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State};
use klatch_domain::{
    Code, Entry, Generation, Position, RoomId, Seq,
    limits::{HISTORY_PAGE, SYNC_ROOMS},
};
use klatch_protocol::http::{SyncAnswer, SyncRequest, SyncRoom, SyncRoomAnswer};
use klatch_store::{
    Shard,
    shard::{Head, Page, Range, Standing},
};
use tokio::task::JoinSet;

use crate::{
    auth,
    body::{JsonBody, SYNC_BODY_BYTES},
    page,
    problem::Failure,
    room_view,
    shared::{Caller, Shared},
};

/// Bytes of content one answer carries, about: a phone on a train reads it in seconds. Rooms beyond say `more`.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// What an entry weighs beside its content, bytes: ids, times, keys.
const ENTRY_BYTES: usize = 512;
/// Pages read at a time.
const READ_AT_ONCE: usize = 8;
/// Rooms that count as one more call of the user's calls per second.
const ROOMS_A_CALL: u32 = 50;

/// What is after these positions in these rooms.
#[utoipa::path(post, path = "/v1/sync", tag = "messages", request_body = SyncRequest,
    responses((status = 200, body = SyncAnswer)))]
pub(crate) async fn sync(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    JsonBody(body): JsonBody<SyncRequest, SYNC_BODY_BYTES>,
) -> Result<Json<SyncAnswer>, Failure> {
    if body.rooms.len() > SYNC_ROOMS {
        return Err(Failure::invalid("rooms", "at most 500 rooms a call"));
    }
    // At most 500, so it fits.
    auth::take(&shared, caller, body.rooms.len() as u32 / ROOMS_A_CALL)?;
    let limit = page::limit_of(body.limit)?.min(HISTORY_PAGE);
    let inbox = body.inbox.map(|position| SyncRoom { room: RoomId::inbox_of(caller.user()), position });
    // The inbox first: what it brings is needed to know of new rooms, whatever the answer has room for.
    let asked: Vec<SyncRoom> = inbox.into_iter().chain(body.rooms).collect();
    let mut answers = answers(&shared, caller, &asked, limit).await?.into_iter();
    let inbox = inbox.and_then(|_| answers.next());
    Ok(Json(SyncAnswer { rooms: answers.collect(), inbox }))
}

async fn answers(
    shared: &Shared,
    caller: Caller,
    asked: &[SyncRoom],
    limit: usize,
) -> Result<Vec<SyncRoomAnswer>, Failure> {
    let inbox = RoomId::inbox_of(caller.user());
    let may_read = |standings: &HashMap<RoomId, Standing>, room: RoomId| {
        room == inbox || standings.get(&room).is_some_and(|standing| standing.role.is_some())
    };
    let rooms: Vec<_> = asked.iter().map(|asked| asked.room).collect();
    // First: nobody learns of others' rooms by what an answer has room for, or by how long it takes.
    let mut standings = room_view::standings(shared, &rooms, caller.user()).await?;
    let rooms: Vec<_> = rooms.into_iter().filter(|room| may_read(&standings, *room)).collect();
    let mut heads = HashMap::with_capacity(rooms.len());
    for (shard, rooms) in shared.shards.by_shard(&rooms) {
        heads.extend(shard.heads(&rooms).await?);
    }
    let (mut pages, fresh) = pages(shared, caller, asked, &heads, limit).await?;
    // Again of what was read: who is a member now was allowed to see all of it.
    let read: Vec<_> = pages.keys().filter_map(|index| asked.get(*index)).map(|asked| asked.room).collect();
    if !read.is_empty() {
        standings.retain(|room, _| !read.contains(room));
        standings.extend(room_view::standings(shared, &read, caller.user()).await?);
    }
    for index in fresh {
        if let (Some(asked), Some(page)) = (asked.get(index), pages.get(&index)) {
            shared.recent.keep(asked.room, page, standings.get(&asked.room)).await;
        }
    }
    let mut answered = Vec::with_capacity(asked.len());
    for (index, asked) in asked.iter().enumerate() {
        answered.push(if may_read(&standings, asked.room) {
            found(asked, heads.get(&asked.room).copied(), pages.remove(&index))
        } else {
            not_found(asked.room)
        });
    }
    Ok(answered)
}

/// The pages of those rooms that have something new, by their place in the question, until the answer is full. Also which of
/// them were read from a shard and reach the end of their log.
async fn pages(
    shared: &Shared,
    caller: Caller,
    asked: &[SyncRoom],
    heads: &HashMap<RoomId, Head>,
    limit: usize,
) -> Result<(HashMap<usize, Page>, Vec<usize>), Failure> {
    let news = |(_, asked): &(usize, &SyncRoom)| {
        heads.get(&asked.room).is_some_and(|head| start(asked.position, *head).0 < head.position.seq)
    };
    let with_news: Vec<_> = asked.iter().enumerate().filter(news).collect();
    let (mut pages, mut fresh, mut bytes) = (HashMap::new(), Vec::new(), 0);
    for some in with_news.chunks(READ_AT_ONCE) {
        if bytes >= ANSWER_BYTES {
            break;
        }
        let mut reads = JoinSet::new();
        let rooms: Vec<_> = some.iter().map(|(_, asked)| asked.room).collect();
        let kept = shared.recent.read(&rooms).await;
        for (index, asked) in some.iter().copied() {
            let shard: Arc<dyn Shard> = Arc::clone(shared.shards.of(asked.room));
            let head = heads.get(&asked.room).copied().unwrap_or_default();
            let (room, user, range) = (asked.room, caller.user(), Range::After(start(asked.position, head).0));
            let kept = kept.get(&room).and_then(|kept| shared.recent.page(kept, Some(head.position), range, limit));
            if let Some(page) = kept {
                bytes += page.entries.iter().map(weight).sum::<usize>();
                pages.insert(index, page);
                continue;
            }
            reads.spawn(async move { (index, shard.page(room, range, limit, None, Some(user)).await) });
        }
        while let Some(read) = reads.join_next().await {
            let (index, page) = read.map_err(|error| Failure::internal(format!("a page of sync: {error}")))?;
            let page = page?;
            bytes += page.entries.iter().map(weight).sum::<usize>();
            if !page.more {
                fresh.push(index);
            }
            pages.insert(index, page);
        }
    }
    Ok((pages, fresh))
}

fn weight(entry: &Entry) -> usize {
    entry.content.as_str().len() + ENTRY_BYTES
}

/// After which seq to read, and whether what the client has is of a log that is gone.
fn start(position: Position, head: Head) -> (Seq, bool) {
    if position.generation == Generation(0) {
        (Seq::ZERO, false)
    } else if position.generation == head.position.generation {
        (position.seq, false)
    } else {
        (Seq::ZERO, true)
    }
}

fn found(asked: &SyncRoom, head: Option<Head>, page: Option<Page>) -> SyncRoomAnswer {
    // An inbox nobody has written to yet is an empty one.
    let head = head.unwrap_or(Head { position: Position::first(0), ..Head::default() });
    let (after, reset) = start(asked.position, head);
    // A page that was not read although there is something new: the answer was full.
    let page = page.unwrap_or_else(|| Page { entries: Vec::new(), more: after < head.position.seq });
    SyncRoomAnswer {
        room: asked.room,
        head: Some(head.position),
        head_ordinal: Some(head.ordinal),
        entries: Some(page.entries),
        more: Some(page.more),
        reset,
        error: None,
    }
}

fn not_found(room: RoomId) -> SyncRoomAnswer {
    SyncRoomAnswer {
        room,
        head: None,
        head_ordinal: None,
        entries: None,
        more: None,
        reset: false,
        error: Some(Code::RoomNotFound),
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::Ordinal;

    use super::*;

    fn head(generation: u64, seq: u64) -> Head {
        let position = Position { generation: Generation(generation), seq: Seq(seq) };
        Head { position, ordinal: Ordinal(seq) }
    }

    fn position(generation: u64, seq: u64) -> Position {
        Position { generation: Generation(generation), seq: Seq(seq) }
    }

    #[test]
    fn only_a_position_of_another_generation_resets() {
        assert_eq!(start(position(0, 0), head(3, 9)), (Seq(0), false));
        assert_eq!(start(position(3, 4), head(3, 9)), (Seq(4), false));
        assert_eq!(start(position(2, 4), head(3, 9)), (Seq(0), true));
        assert_eq!(start(position(4, 4), head(3, 9)), (Seq(0), true));
    }

    #[test]
    fn a_room_the_answer_has_no_room_for_says_more() {
        let asked = |position| SyncRoom { room: RoomId::now(), position };
        let full = found(&asked(position(1, 4)), Some(head(1, 9)), None);
        assert_eq!((full.more, full.head), (Some(true), Some(position(1, 9))));
        let same = found(&asked(position(1, 9)), Some(head(1, 9)), None);
        assert_eq!((same.more, same.entries), (Some(false), Some(Vec::new())));
        let empty_inbox = found(&asked(position(0, 0)), None, None);
        assert_eq!((empty_inbox.more, empty_inbox.head), (Some(false), Some(position(1, 0))));
    }
}
