//! Rooms as the message-service makes them: the first entry makes the room with its maker in it, each other member has an
//! entry; the directory's projections follow.

use std::collections::HashMap;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use klatch_domain::{
    Content, Draft, Entry, Kind, Member, MessageId, Ordinal, Position, Role, RoomFacts, RoomId, RoomKind, RoomName,
    Sender, Seq, ShardId, Timestamp, Visibility,
};
use klatch_store::{
    directory::{MemberProjection, RoomProjection},
    shard::{Effect, Write},
};
use serde::Serialize;

use super::{UNDER_WAY, users::Provisioned};
use crate::{bench::accounts::Group, workload::Stores};

/// Rooms of one call of a store.
const ROOMS_A_CALL: usize = 250;

/// Makes this many direct rooms, as far as they go between users who have none yet.
pub(super) async fn make_direct(
    stores: &Stores,
    members: &[Provisioned],
    count: usize,
    now: Timestamp,
) -> anyhow::Result<Vec<Group>> {
    let rooms: Vec<_> = pairs(members.len())
        .take(count)
        .map(|(one, other)| Group {
            room: RoomId::direct_of(members[one].sender.user, members[other].sender.user),
            users: vec![one, other],
        })
        .collect();
    let plans = rooms.iter().map(|group| {
        let senders: Vec<_> = group.users.iter().map(|index| members[*index].sender).collect();
        plan(group.room, RoomKind::Direct, None, &senders, now)
    });
    store(stores, plans.collect::<anyhow::Result<_>>()?).await?;
    Ok(rooms)
}

/// Makes a group of all of these; of nobody, none.
pub(super) async fn make_group(stores: &Stores, members: &[Provisioned], now: Timestamp) -> anyhow::Result<Vec<Group>> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let room = RoomId::now();
    let name = RoomName::parse("Bench").context("cannot name the group")?;
    let senders: Vec<_> = members.iter().map(|member| member.sender).collect();
    store(stores, vec![plan(room, RoomKind::Group, Some(name), &senders, now)?]).await?;
    Ok(vec![Group { room, users: (0..members.len()).collect() }])
}

/// Every pair once; the first half of the users' number of pairs has nobody twice.
fn pairs(users: usize) -> impl Iterator<Item = (usize, usize)> {
    let disjoint = (0..users / 2).map(|pair| (2 * pair, 2 * pair + 1));
    let rest = (0..users).flat_map(move |one| (one + 1..users).map(move |other| (one, other)));
    disjoint.chain(rest.filter(|(one, other)| !(one % 2 == 0 && *other == one + 1)))
}

/// What is written for one room.
struct Plan {
    room: RoomProjection,
    members: Vec<MemberProjection>,
    writes: Vec<Write>,
}

#[derive(Serialize)]
struct Joined {
    user: klatch_domain::UserId,
    role: Role,
}

fn plan(
    room: RoomId,
    kind: RoomKind,
    name: Option<RoomName>,
    members: &[Sender],
    now: Timestamp,
) -> anyhow::Result<Plan> {
    let maker = *members.first().context("a room has a maker")?;
    let mut plan = Plan {
        room: RoomProjection {
            id: room,
            kind,
            name: name.clone(),
            visibility: Visibility::Private,
            version: Seq(1),
            created_at: now,
            deleted: false,
        },
        members: Vec::with_capacity(members.len()),
        writes: Vec::with_capacity(members.len()),
    };
    for (seq, sender) in (1..).zip(members) {
        let role = if seq == 1 && kind == RoomKind::Group { Role::Owner } else { Role::Member };
        let member = Member { role, blocking: false, joined_at: now };
        let effect = if seq == 1 {
            let mut facts = RoomFacts::new(kind, name.clone(), Visibility::Private, now);
            facts.members.insert(sender.user, member);
            facts.members_version = Seq(1);
            Effect::Create(Box::new(facts))
        } else {
            Effect::PutMember { user: sender.user, member }
        };
        let content = Content::of(&Joined { user: sender.user, role })?;
        let draft = Draft::new(Kind::MemberJoined, content);
        // A joining member counts as unread for nobody.
        let entry = Entry::of(&draft, Position::first(seq), Ordinal(0), MessageId::now(), maker, now);
        plan.writes.push(Write { room, entry, effect });
        plan.members.push(MemberProjection {
            room,
            user: sender.user,
            role: Some(role),
            joined_at: now,
            version: Seq(seq),
        });
    }
    Ok(plan)
}

/// Writes the logs, then the projections that follow from them.
async fn store(stores: &Stores, plans: Vec<Plan>) -> anyhow::Result<()> {
    let (mut rooms, mut members, mut writes) = (Vec::new(), Vec::new(), HashMap::<ShardId, Vec<Vec<Write>>>::new());
    for plan in plans {
        writes.entry(stores.shards.map().shard_of(plan.room.id)).or_default().push(plan.writes);
        rooms.push(plan.room);
        members.push(plan.members);
    }
    let mut batches: Vec<Vec<Write>> = Vec::new();
    for rooms in writes.into_values() {
        let mut rooms = rooms.into_iter().peekable();
        while rooms.peek().is_some() {
            batches.push(rooms.by_ref().take(ROOMS_A_CALL).flatten().collect());
        }
    }
    let appending = batches.into_iter().filter_map(|batch| {
        let room = batch.first()?.room;
        Some(async move { stores.shards.of(room).append(batch).await.context("cannot write rooms") })
    });
    stream::iter(appending).buffer_unordered(UNDER_WAY).try_collect::<()>().await?;
    for (rooms, members) in rooms.chunks(ROOMS_A_CALL).zip(members.chunks(ROOMS_A_CALL)) {
        stores.directory.project(rooms, &members.concat()).await.context("cannot write projections")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_pair_comes_once_and_the_first_are_disjoint() {
        for users in [1, 2, 5, 8] {
            let all: Vec<_> = pairs(users).collect();
            let set: HashSet<_> = all.iter().copied().collect();
            assert_eq!((all.len(), set.len()), (users * (users - 1) / 2, users * (users - 1) / 2));
            let first: HashSet<_> = all.iter().take(users / 2).flat_map(|(one, other)| [*one, *other]).collect();
            assert_eq!(first.len(), users / 2 * 2);
        }
    }
}
