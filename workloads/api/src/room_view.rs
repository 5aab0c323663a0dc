//! Rooms as one member sees them. Whether they may see them says the shard, not the directory, which follows it.

use std::collections::HashMap;

use klatch_domain::{Preferences, RoomId, RoomKind, UserId};
use klatch_protocol::http::RoomOut;
use klatch_store::{
    directory::User,
    shard::{Overview, Standing},
};

use crate::{
    problem::Failure,
    profile::{find_all, profile_of},
    shared::{Caller, Shared},
};

/// How a user stands in these rooms, one read a shard. Read it **after** what it decides about: who is a member at the end
/// was allowed to see what was read before.
pub(crate) async fn standings(
    shared: &Shared,
    rooms: &[RoomId],
    user: UserId,
) -> Result<HashMap<RoomId, Standing>, Failure> {
    let mut standings = HashMap::with_capacity(rooms.len());
    for (shard, rooms) in shared.shards.by_shard(rooms) {
        standings.extend(shard.standings(&rooms, user).await?);
    }
    Ok(standings)
}

/// How the caller stands in a room.
///
/// # Errors
/// `room_not_found` when they are no member.
pub(crate) async fn member(shared: &Shared, caller: Caller, room: RoomId) -> Result<Standing, Failure> {
    let standing = standings(shared, &[room], caller.user()).await?.remove(&room);
    standing.filter(|standing| standing.role.is_some()).ok_or_else(Failure::room_not_found)
}

/// Whether the caller may read a room's log: a member, who is answered how they stand, or the owner of an inbox, also before
/// anything is in it.
///
/// # Errors
/// `room_not_found`.
pub(crate) async fn reader(shared: &Shared, caller: Caller, room: RoomId) -> Result<Option<Standing>, Failure> {
    if room == RoomId::inbox_of(caller.user()) {
        return Ok(None);
    }
    member(shared, caller, room).await.map(Some)
}

/// One room.
///
/// # Errors
/// `room_not_found` when the caller is no member.
pub(crate) async fn one(shared: &Shared, caller: Caller, room: RoomId) -> Result<RoomOut, Failure> {
    let settings = shared.directory.rooms_of_among(caller.user(), &[room]).await?;
    let preferences = settings.first().map(|room| room.preferences).unwrap_or_default();
    view(shared, caller, &[(room, preferences)]).await?.pop().ok_or_else(Failure::room_not_found)
}

/// These rooms, in their order, without those the caller is no member of.
pub(crate) async fn view(
    shared: &Shared,
    caller: Caller,
    rooms: &[(RoomId, Preferences)],
) -> Result<Vec<RoomOut>, Failure> {
    let ids: Vec<_> = rooms.iter().map(|(room, _)| *room).collect();
    let mut overviews = HashMap::with_capacity(ids.len());
    for (shard, rooms) in shared.shards.by_shard(&ids) {
        overviews.extend(shard.overviews(&rooms, caller.user()).await?);
    }
    let standings = standings(shared, &ids, caller.user()).await?;
    let peers: Vec<_> = standings.values().filter_map(|standing| standing.peer).collect();
    let peers = find_all(shared, &peers).await?;
    let mut seen = |(room, preferences): &(RoomId, Preferences)| {
        let standing = standings.get(room)?;
        shown(shared, *room, *preferences, standing, overviews.remove(room)?, &peers)
    };
    Ok(rooms.iter().filter_map(&mut seen).collect())
}

fn shown(
    shared: &Shared,
    id: RoomId,
    preferences: Preferences,
    standing: &Standing,
    overview: Overview,
    peers: &HashMap<UserId, User>,
) -> Option<RoomOut> {
    // An inbox is no room of a list; who has no role is no member.
    let role = standing.role.filter(|_| standing.kind != RoomKind::Inbox)?;
    let peer = standing.peer.and_then(|peer| peers.get(&peer));
    Some(RoomOut {
        id,
        kind: standing.kind,
        name: standing.name.as_ref().map(ToString::to_string),
        visibility: (standing.kind == RoomKind::Group).then_some(standing.visibility),
        peer: peer.map(|peer| profile_of(peer, shared.now())),
        member_count: standing.member_count,
        role,
        head: overview.head.position,
        head_ordinal: overview.head.ordinal,
        read: overview.read,
        read_ordinal: overview.read_ordinal,
        unread_mentions: overview.unread_mentions,
        marked_unread: preferences.marked_unread,
        preferences,
        last_message: overview.last_message,
    })
}
