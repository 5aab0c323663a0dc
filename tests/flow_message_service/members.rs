//! Rooms, members, blocks, inboxes, and what the directory is told.

use klatch_domain::{
    Action, Audience, Code, Event, Kind, MessageId, Outcome, Role, RoomId, RoomKind, RoomName, Sender, Seq, UserId,
    Visibility,
};
use klatch_store::directory::{Friendships as _, RoomProjections as _};

use super::world::{World, new_direct, new_group, people, person, refused, stored};

async fn notices(world: &World, user: UserId) -> Vec<(Kind, String)> {
    let log = world.log(RoomId::inbox_of(user)).await;
    log.into_iter().map(|entry| (entry.kind, entry.content.as_str().to_owned())).collect()
}

/// Waits until an inbox holds as much as this, and it is this. Notices follow an outcome for certain, not at once: an ingest
/// queue has them by then.
async fn notices_are(world: &World, user: UserId, expected: &[(Kind, String)]) {
    let told = notices_until(world, user, |told| told.len() >= expected.len()).await;
    assert_eq!(told, expected);
}

async fn notices_until(world: &World, user: UserId, enough: impl Fn(&[(Kind, String)]) -> bool) -> Vec<(Kind, String)> {
    let wait = async {
        loop {
            let told = notices(world, user).await;
            if enough(&told) {
                return told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("the notices never come")
}

fn joined(room: RoomId) -> (Kind, String) {
    (Kind::MemberJoined, format!(r#"{{"room":"{room}"}}"#))
}

fn left(room: RoomId) -> (Kind, String) {
    (Kind::MemberLeft, format!(r#"{{"room":"{room}"}}"#))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_group_is_in_the_log_the_directory_and_every_inbox() {
    let mut world = World::new().await;
    let [ada, bob, eve] = people();
    let room = world.group(&[ada, bob, eve]).await;
    // The outcome comes after the projection: what is asked next sees the room.
    let of_bob = world.stores.directory.rooms_of(bob.user, None, 10).await.unwrap();
    assert_eq!((of_bob.len(), of_bob[0].room.id, of_bob[0].role, of_bob[0].member_count), (1, room, Role::Member, 3));
    assert_eq!(of_bob[0].room.name.as_ref().map(RoomName::as_str), Some("harbour"));
    let of_ada = world.stores.directory.rooms_of(ada.user, None, 10).await.unwrap();
    assert_eq!(of_ada[0].role, Role::Owner);
    let log = world.log(room).await;
    assert!(log.len() == 3 && log.iter().all(|entry| entry.kind == Kind::MemberJoined && entry.sender == ada));
    let facts = world.shard(room).rooms(&[room]).await.unwrap().remove(&room).unwrap();
    assert_eq!((facts.members.len(), facts.members_version, facts.head_ordinal.0), (3, Seq(3), 0));
    for one in [ada, bob, eve] {
        notices_are(&world, one.user, &[joined(room)]).await;
    }
    let inbox = world.hear_notice(eve).await;
    assert!(matches!(inbox, Audience::Members(members) if *members == [eve.user]));
}

impl World {
    /// The audience of the first notice to somebody's inbox.
    async fn hear_notice(&mut self, owner: Sender) -> Audience {
        let inbox = RoomId::inbox_of(owner.user);
        self.hear(|event| match event {
            Event::Appended(appended) if appended.room == inbox => Some(appended.audience.clone()),
            _ => None,
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_direct_room_a_pair_however_often_it_is_opened() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    for (one, other) in [(ada, bob), (bob, ada)] {
        let again = world.command(one, room, new_direct(other.user));
        assert_eq!(world.ask(again).await, Outcome::Unchanged);
    }
    assert_eq!(world.log(room).await.len(), 2);
    notices_are(&world, bob.user, &[joined(room)]).await;
    notices_are(&world, ada.user, &[joined(room)]).await;
    let wrong = world.command(ada, RoomId::now(), new_direct(bob.user));
    assert_eq!(world.refusal(wrong).await.code, Code::ValidationFailed);
    let eve = person();
    let group = world.command(ada, RoomId::now(), new_group(vec![]));
    let (id, again) = (group.message_id, world.command(ada, group.room, new_group(vec![])));
    let foreign = world.command(eve, group.room, new_group(vec![]));
    world.publish(vec![group, again.clone(), foreign.clone()]).await;
    stored(world.outcome(id).await);
    assert_eq!(world.outcome(again.message_id).await, Outcome::Unchanged);
    assert_eq!(refused(world.outcome(foreign.message_id).await).code, Code::NotAllowed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_members_late_message_is_refused_and_their_gateway_is_told() {
    let mut world = World::new().await;
    let [owner, member] = people();
    let room = world.group(&[owner, member]).await;
    let early = world.text(member, room, "early");
    let remove = world.command(owner, room, Action::RemoveMember { user: member.user });
    let late = world.text(member, room, "late");
    let after = world.text(owner, room, "after");
    let ids = [early.message_id, remove.message_id, late.message_id, after.message_id];
    // All in one batch: the order within it decides.
    world.publish(vec![early.clone(), remove, late, after]).await;
    stored(world.outcome(ids[0]).await);
    let removed_at = stored(world.outcome(ids[1]).await).position.seq;
    assert_eq!(refused(world.outcome(ids[2]).await).code, Code::RoomNotFound);
    stored(world.outcome(ids[3]).await);
    assert_eq!(world.texts(room).await, ["early", "after"]);
    let removal = world.appended(ids[1]).await;
    assert_eq!((removal.removed, removal.members_version), (Some(member.user), removed_at));
    let Audience::Members(members) = &world.appended(ids[3]).await.audience.clone() else { panic!() };
    assert_eq!(members[..], [owner.user]);
    notices_are(&world, member.user, &[joined(room), left(room)]).await;
    assert!(world.stores.directory.rooms_of(member.user, None, 10).await.unwrap().is_empty());
    // What they had sent before stays theirs.
    assert!(world.store(early).await.repeat);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_holds_from_its_answer_on_and_ends_with_its_end() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let block = world.command(bob, room, Action::SetBlock { on: true });
    assert_eq!(world.ask(block.clone()).await, Outcome::Unchanged);
    for who in [ada, bob] {
        let text = world.text(who, room, "?");
        assert_eq!(world.refusal(text).await.code, Code::Blocked);
    }
    // The shard knows it, not only this process.
    world.stop().await;
    world.start().await;
    let text = world.text(ada, room, "?");
    assert_eq!(world.refusal(text).await.code, Code::Blocked);
    let unblock = world.command(bob, room, Action::SetBlock { on: false });
    world.ask(unblock).await;
    let text = world.text(ada, room, "again");
    world.store(text).await;
    // In one batch: what comes before the block is stored, what comes after is not.
    let before = world.text(ada, room, "before");
    let after = world.text(ada, room, "after");
    let ids = [before.message_id, after.message_id];
    let block = world.command(bob, room, Action::SetBlock { on: true });
    world.publish(vec![before, block, after]).await;
    stored(world.outcome(ids[0]).await);
    assert_eq!(refused(world.outcome(ids[1]).await).code, Code::Blocked);
    assert_eq!(world.texts(room).await, ["again", "before"]);
    let stranger = world.command(person(), room, Action::SetBlock { on: true });
    assert_eq!(world.refusal(stranger).await.code, Code::RoomNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_opens_a_direct_room_across_a_block() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = RoomId::direct_of(ada.user, bob.user);
    let now = klatch_domain::Timestamp::from_millis(1);
    world.stores.directory.set_block(bob.user, ada.user, true, now, &[]).await.unwrap();
    let early = world.command(bob, room, Action::SetBlock { on: true });
    assert_eq!(world.ask(early).await, Outcome::Unchanged);
    for (one, other) in [(ada, bob), (bob, ada)] {
        let open = world.command(one, room, new_direct(other.user));
        assert_eq!(world.refusal(open).await.code, Code::Blocked);
    }
    world.stores.directory.set_block(bob.user, ada.user, false, now, &[]).await.unwrap();
    world.direct(ada, bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_owner_stays_until_another_is_there() {
    let mut world = World::new().await;
    let [owner, member] = people();
    let room = world.group(&[owner, member]).await;
    assert_eq!(refused(world.remove(owner, room, owner).await).code, Code::LastOwner);
    assert_eq!(refused(world.put(owner, room, owner, Some(Role::Member)).await).code, Code::LastOwner);
    assert_eq!(refused(world.put(member, room, member, Some(Role::Owner)).await).code, Code::NotAllowed);
    stored(world.put(owner, room, member, Some(Role::Owner)).await);
    assert_eq!(world.put(owner, room, member, Some(Role::Owner)).await, Outcome::Unchanged);
    assert_eq!(world.put(owner, room, member, None).await, Outcome::Unchanged);
    stored(world.remove(owner, room, owner).await);
    // Alone, the last may go.
    stored(world.remove(member, room, member).await);
    let kinds: Vec<_> = world.log(room).await.into_iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::MemberJoined, Kind::MemberJoined, Kind::RoleChanged, Kind::MemberLeft, Kind::MemberLeft]);
    // A role is no news to an inbox.
    notices_are(&world, member.user, &[joined(room), left(room)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_changed_and_closed_by_those_who_lead_it() {
    let mut world = World::new().await;
    let [owner, member] = people();
    let room = world.group(&[owner, member]).await;
    let rename = |who: Sender, world: &World| {
        let name = Some(RoomName::parse("quay").unwrap());
        world.command(who, room, Action::ChangeRoom { name, visibility: Some(Visibility::Public) })
    };
    let by_member = rename(member, &world);
    assert_eq!(world.refusal(by_member).await.code, Code::NotAllowed);
    let by_owner = rename(owner, &world);
    world.store(by_owner).await;
    let again = rename(owner, &world);
    assert_eq!(world.ask(again).await, Outcome::Unchanged);
    let projected = world.stores.directory.room(room).await.unwrap().unwrap();
    assert_eq!((projected.name.unwrap().as_str(), projected.visibility), ("quay", Visibility::Public));

    let text = world.text(member, room, "secret");
    world.store(text).await;
    let delete = world.command(owner, room, Action::DeleteRoom);
    world.store(delete).await;
    world.hear(|event| matches!(event, Event::RoomDeleted { room: closed } if *closed == room).then_some(())).await;
    let text = world.text(owner, room, "too late");
    assert_eq!(world.refusal(text).await.code, Code::RoomNotFound);
    assert!(world.stores.directory.room(room).await.unwrap().unwrap().deleted);
    for one in [owner, member] {
        assert!(world.stores.directory.rooms_of(one.user, None, 10).await.unwrap().is_empty());
        notices_are(&world, one.user, &[joined(room), left(room)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_two_hundred_is_made_once_although_its_making_is_cut_off_again_and_again() {
    let mut world = World::at_rest().await;
    let owner = person();
    let others: Vec<UserId> = (0..199).map(|_| UserId::now()).collect();
    let room = RoomId::now();
    let command = world.command(owner, room, new_group(others.clone()));
    world.publish(vec![command.clone()]).await;
    // Cut off after the first commit of the room's shard, then after the first notices of each shard.
    for (cut, shard) in [usize::from(world.shards.map().shard_of(room).0), 0, 1].into_iter().enumerate() {
        let faults = std::sync::Arc::clone(&world.faults[shard]);
        faults.hangs.store(true, std::sync::atomic::Ordering::SeqCst);
        world.start().await;
        tokio::select! {
            () = faults.appended.notified() => {}
            // This shard's notices went out before the last cut.
            () = world.all_paid(), if cut > 0 => {}
        }
        world.kill();
        faults.hangs.store(false, std::sync::atomic::Ordering::SeqCst);
    }
    world.start().await;
    // Told by the first life, just before its cut, or as a repeat by a later one.
    assert_eq!(stored(world.outcome(command.message_id).await).position.seq, Seq(1));
    assert_eq!(world.log(room).await.len(), 200);
    for user in others.iter().chain([&owner.user]) {
        notices_are(&world, *user, &[joined(room)]).await;
        let facts = world.shard(RoomId::inbox_of(*user)).rooms(&[RoomId::inbox_of(*user)]).await.unwrap();
        let inbox = &facts[&RoomId::inbox_of(*user)];
        assert!(inbox.kind == RoomKind::Inbox && inbox.members.keys().eq([user]));
    }
    let members = world.stores.directory.members_of(room, None, 500).await.unwrap();
    assert_eq!(members.len(), 200);
    // The same request again, by a client that heard nothing.
    assert!(world.store(command).await.repeat);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_new_group_is_announced_once_to_its_lane() {
    let mut world = World::new().await;
    let owner = person();
    let others: Vec<UserId> = (0..40).map(|_| UserId::now()).collect();
    let command = world.command(owner, RoomId::now(), new_group(others));
    let room = command.room;
    world.store(command).await;
    let announced: Vec<_> = world
        .heard()
        .filter_map(|event| match event {
            Event::Appended(appended) if appended.room == room => {
                Some((appended.entry.position.seq, &appended.audience))
            }
            _ => None,
        })
        .collect();
    assert_eq!(announced, [(Seq(41), &Audience::Room)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_and_coming_back_reaches_the_inbox_in_order() {
    let mut world = World::new().await;
    let [owner, member] = people();
    let room = world.group(&[owner, member]).await;
    let mut ids: Vec<MessageId> = Vec::new();
    let mut batch = Vec::new();
    for _ in 0..5 {
        batch.push(world.command(owner, room, Action::RemoveMember { user: member.user }));
        batch.push(world.command(owner, room, Action::PutMember { user: member.user, role: None }));
    }
    ids.extend(batch.iter().map(|command| command.message_id));
    // One delivery each, so that rounds cut them anywhere.
    for command in batch {
        world.publish(vec![command]).await;
    }
    for id in ids {
        stored(world.outcome(id).await);
    }
    let told = notices_until(&world, member.user, |told| told.len() >= 11).await;
    assert_eq!(told.first(), Some(&joined(room)));
    let leaves: Vec<_> = told.iter().filter(|one| **one == left(room)).collect();
    assert_eq!(leaves.len(), 5);
    assert_eq!(told.last(), Some(&joined(room)), "the last word is the last change");
    assert_eq!(world.stores.directory.rooms_of(member.user, None, 10).await.unwrap().len(), 1);
}
