//! What a membership change owes outside its shard is paid, whatever dies in between.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use klatch_bus::{PublishError, in_process};
use klatch_domain::{Action, Command, Event, Kind, Role, RoomId, RoomName, Sender, ShardId, UserId, Visibility};
use klatch_store::{Directory, directory::RoomProjections as _, sqlite::prepare_restored};
use tokio::time::timeout;

use super::{
    faulty_directory::{Fault, FaultyDirectory},
    world::{World, new_group, people, person, stored},
};

/// Nothing here takes longer unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    /// The next so many projections fail, in services started from now on.
    pub(crate) fn directory_fails(&mut self, times: usize) {
        let faulty = FaultyDirectory::new(Arc::clone(&self.stores.directory) as Arc<dyn Directory>);
        (0..times).for_each(|_| faulty.fail("project", Fault::Before));
        self.directory = Arc::new(faulty);
    }

    fn directory_is_well(&mut self) {
        self.directory = Arc::clone(&self.stores.directory) as Arc<dyn Directory>;
    }

    async fn owed(&self) -> usize {
        let mut owed = 0;
        for shard in self.stores.shards.all() {
            owed += shard.follow_ups(None, 10_000).await.unwrap().len();
        }
        owed
    }

    /// Waits until nothing is owed any more.
    pub(crate) async fn all_paid(&self) {
        let paid = self.until(|owed| owed == 0);
        timeout(PATIENCE, paid).await.expect("something stays owed");
    }

    async fn until(&self, enough: impl Fn(usize) -> bool) {
        while !enough(self.owed().await) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The directory says of a room what its shard says.
    pub(crate) async fn directory_agrees(&self, room: RoomId) {
        let facts = self.stores.shards.of(room).rooms(&[room]).await.unwrap().remove(&room).unwrap();
        let projected = self.stores.directory.room(room).await.unwrap().expect("the directory knows the room");
        assert_eq!(
            (projected.name, projected.visibility, projected.deleted),
            (facts.name, facts.visibility, facts.deleted)
        );
        let members = self.stores.directory.members_of(room, None, 10_000).await.unwrap();
        let members: BTreeMap<UserId, Option<Role>> = members.into_iter().map(|one| (one.user, one.role)).collect();
        let wanted = facts.members.iter().map(|(user, member)| (*user, Some(member.role))).collect();
        assert_eq!(members, wanted);
    }

    /// What the inbox says of a room, in order.
    pub(crate) async fn told(&self, who: Sender, room: RoomId) -> Vec<Kind> {
        let content = format!(r#"{{"room":"{room}"}}"#);
        let log = self.log(RoomId::inbox_of(who.user)).await;
        log.into_iter().filter(|entry| entry.content.as_str() == content).map(|entry| entry.kind).collect()
    }

    /// Somebody whose inbox is in this shard.
    fn person_in(&self, shard: u16) -> Sender {
        std::iter::repeat_with(person)
            .find(|one| self.shards.map().shard_of(RoomId::inbox_of(one.user)) == ShardId(shard))
            .unwrap()
    }

    fn change(&self, who: Sender, room: RoomId, action: Action) -> Command {
        self.command(who, room, action)
    }

    /// Publishes for as long as the queue is full.
    async fn press(&self, command: Command) {
        let queue = self.queue_of(command.room);
        while let Err(error) = self.bus.commands.publish(queue, vec![command.clone()]).await {
            assert!(matches!(error, PublishError::Full { .. }), "{error}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A group of ada, bob and eve that dan joins and eve leaves, under another name; all in one batch. Returns when it is
/// committed.
async fn eventful_group(world: &World, [ada, bob, dan, eve]: [Sender; 4]) -> RoomId {
    let room = RoomId::now();
    let name = Some(RoomName::parse("quay").unwrap());
    let batch = vec![
        world.change(ada, room, new_group(vec![bob.user, eve.user])),
        world.change(ada, room, Action::PutMember { user: dan.user, role: Some(Role::Admin) }),
        world.change(ada, room, Action::RemoveMember { user: eve.user }),
        world.change(ada, room, Action::ChangeRoom { name, visibility: Some(Visibility::Public) }),
    ];
    world.publish(batch).await;
    timeout(PATIENCE, world.until(|owed| owed == 6)).await.expect("the batch is committed with what it owes");
    room
}

async fn eventful_group_is_known(world: &World, room: RoomId, [ada, bob, dan, eve]: [Sender; 4]) {
    world.all_paid().await;
    world.directory_agrees(room).await;
    for one in [ada, bob, dan] {
        assert_eq!(world.told(one, room).await, [Kind::MemberJoined]);
        assert_eq!(world.stores.directory.rooms_of(one.user, None, 10).await.unwrap().len(), 1);
    }
    assert_eq!(world.told(eve, room).await, [Kind::MemberJoined, Kind::MemberLeft]);
    assert!(world.stores.directory.rooms_of(eve.user, None, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_commit_and_projection_the_next_start_pays_what_is_owed() {
    let mut world = World::at_rest().await;
    world.directory_fails(100_000);
    world.start().await;
    let people = people();
    let room = eventful_group(&world, people).await;
    // Nobody redelivers: the queue was memory.
    world.kill_with_queues().await;
    assert!(world.stores.directory.room(room).await.unwrap().is_none());
    world.directory_is_well();
    world.start().await;
    eventful_group_is_known(&world, room, people).await;
    // Paid once: a further start finds nothing to do.
    world.kill_with_queues().await;
    world.start().await;
    eventful_group_is_known(&world, room, people).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_in_between_is_repaired_as_well() {
    let mut world = World::at_rest().await;
    world.directory_fails(100_000);
    world.start().await;
    let people = people();
    let room = eventful_group(&world, people).await;
    let copy = tempfile::tempdir().unwrap();
    world.stores.backup(copy.path()).await.unwrap();
    prepare_restored(copy.path()).unwrap();
    let mut restored = World::on(copy).await;
    assert!(restored.stores.directory.room(room).await.unwrap().is_none());
    restored.start().await;
    eventful_group_is_known(&restored, room, people).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_closed_at_the_moment_of_a_kill_is_closed_for_everyone() {
    let mut world = World::new().await;
    let people: [Sender; 3] = people();
    let room = world.group(&people).await;
    world.all_paid().await;
    let faults = Arc::clone(world.faults(room));
    faults.hangs.store(true, Ordering::SeqCst);
    world.publish(vec![world.change(people[0], room, Action::DeleteRoom)]).await;
    timeout(PATIENCE, world.until(|owed| owed == 4)).await.unwrap();
    world.kill_with_queues().await;
    faults.hangs.store(false, Ordering::SeqCst);
    world.start().await;
    world.all_paid().await;
    world.directory_agrees(room).await;
    for one in people {
        assert_eq!(world.told(one, room).await, [Kind::MemberJoined, Kind::MemberLeft]);
        assert!(world.stores.directory.rooms_of(one.user, None, 10).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_that_were_lost_with_a_queue_are_told_again_once() {
    let mut world = World::new().await;
    let room = world.room_in(0, 0);
    let owner = world.person_in(0);
    world.group_at(room, &[owner]).await;
    world.all_paid().await;
    world.faults[1].down.store(true, Ordering::SeqCst);
    let (there, away) = (world.person_in(0), world.person_in(1));
    stored(world.put(owner, room, there, None).await);
    stored(world.put(owner, room, away, None).await);
    stored(world.remove(owner, room, away).await);
    // Told whom it can tell; the others' notices are in a queue and in the shard.
    timeout(PATIENCE, world.until(|owed| owed == 2)).await.unwrap();
    world.directory_agrees(room).await;
    assert_eq!(world.told(there, room).await, [Kind::MemberJoined]);
    world.kill_with_queues().await;
    world.start().await;
    world.faults[1].down.store(false, Ordering::SeqCst);
    world.all_paid().await;
    assert_eq!(world.told(away, room).await, [Kind::MemberJoined, Kind::MemberLeft]);
    assert_eq!(world.told(there, room).await, [Kind::MemberJoined]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_go_on_without_the_directory_and_it_catches_up() {
    let mut world = World::at_rest().await;
    // More than fit into the time that a room waits.
    world.directory_fails(5);
    world.start().await;
    let [owner, member] = people();
    let room = RoomId::now();
    let create = world.change(owner, room, new_group(vec![member.user]));
    let id = create.message_id;
    world.publish(vec![create]).await;
    world.appended(id).await;
    assert!(world.stores.directory.room(room).await.unwrap().is_none(), "told without the directory");
    assert!(!world.heard().any(|event| matches!(event, Event::Outcome(one) if one.message_id == id)));
    for number in 0..6 {
        let text = world.text(owner, room, &number.to_string());
        world.store(text).await;
        let action = if number % 2 == 0 {
            Action::RemoveMember { user: member.user }
        } else {
            Action::PutMember { user: member.user, role: None }
        };
        let change = world.change(owner, room, action);
        stored(world.ask(change).await);
    }
    stored(world.outcome(id).await);
    world.all_paid().await;
    world.directory_agrees(room).await;
    let mut expected = vec![Kind::MemberJoined];
    (0..3).for_each(|_| expected.extend([Kind::MemberLeft, Kind::MemberJoined]));
    assert_eq!(world.told(member, room).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_comes_even_if_the_directory_never_does() {
    let mut world = World::at_rest().await;
    world.directory_fails(100_000);
    world.start().await;
    let [owner, member] = people();
    let room = world.group(&[owner]).await;
    stored(world.put(owner, room, member, None).await);
    assert!(world.stores.directory.room(room).await.unwrap().is_none());
    // What was told is acknowledged: with the queues still there, the next service is asked nothing again.
    world.kill();
    world.forget_heard();
    world.directory_is_well();
    world.start().await;
    world.all_paid().await;
    world.directory_agrees(room).await;
    let text = world.text(member, room, "here");
    world.store(text).await;
    assert!(!world.heard().any(|event| matches!(event, Event::Outcome(_))), "a delivery came again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_shard_of_inboxes_stops_no_queue() {
    // One queue carries both shards.
    let mut world = World::at_rest().await;
    let options = in_process::Options { ingest_queues: 1, ..Default::default() };
    world.listen_on(in_process::bus(options, &prometheus::Registry::new()).unwrap()).await;
    world.start().await;
    let (owner, room) = (world.person_in(0), world.room_in(0, 0));
    world.group_at(room, &[owner]).await;
    world.faults[1].down.store(true, Ordering::SeqCst);
    // More deliveries than a consumer may hold unacknowledged, each with a notice for the dead shard.
    let guests: Vec<Sender> = (0..400).map(|_| world.person_in(1)).collect();
    let mut ids = Vec::new();
    for guest in &guests {
        let put = world.change(owner, room, Action::PutMember { user: guest.user, role: None });
        ids.push(put.message_id);
        world.publish(vec![put]).await;
    }
    for id in ids {
        stored(world.outcome(id).await);
    }
    let text = world.text(owner, room, "on it goes");
    world.store(text).await;
    world.directory_agrees(room).await;
    world.faults[1].down.store(false, Ordering::SeqCst);
    world.all_paid().await;
    for guest in guests {
        assert_eq!(world.told(guest, room).await, [Kind::MemberJoined]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_full_queues_do_not_wait_for_each_other() {
    let mut world = World::at_rest().await;
    let options = in_process::Options { ingest_commands: 4, ..Default::default() };
    world.listen_on(in_process::bus(options, &prometheus::Registry::new()).unwrap()).await;
    let owner = person();
    let rooms = [world.room_in(0, 0), world.room_in(1, 1)];
    // In both queues nothing but changes whose notices go to the other.
    let guests: Vec<[Sender; 2]> = (0..20).map(|_| [world.person_in(1), world.person_in(0)]).collect();
    for room in rooms {
        world.press(world.change(owner, room, new_group(vec![]))).await;
        for pair in &guests[..3] {
            let user = pair[usize::from(room == rooms[1])].user;
            world.press(world.change(owner, room, Action::PutMember { user, role: None })).await;
        }
    }
    world.start().await;
    for pair in &guests[3..] {
        for (room, guest) in rooms.into_iter().zip(pair) {
            world.press(world.change(owner, room, Action::PutMember { user: guest.user, role: None })).await;
        }
    }
    let all = world.until_members(&rooms, 21);
    timeout(PATIENCE, all).await.expect("the queues wait for each other");
    world.all_paid().await;
    for pair in guests {
        for (room, guest) in rooms.into_iter().zip(pair) {
            assert_eq!(world.told(guest, room).await, [Kind::MemberJoined]);
        }
    }
    for room in rooms {
        world.directory_agrees(room).await;
    }
}

impl World {
    async fn until_members(&self, rooms: &[RoomId], count: usize) {
        for room in rooms {
            while self.shard(*room).rooms(&[*room]).await.unwrap().get(room).is_none_or(|it| it.members.len() < count) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_owes_nothing_and_what_is_done_is_forgotten() {
    let mut world = World::new().await;
    let [owner, member] = people();
    let room = world.group(&[owner, member]).await;
    world.all_paid().await;
    // Nothing is paid while it is away: what a text would owe would show.
    world.kill();
    world.directory_fails(100_000);
    world.start().await;
    let text = world.text(owner, room, "text");
    let target = world.store(text).await.position.seq;
    let reaction = super::world::change(Kind::Reaction, r#"{"emoji":"+","on":true}"#, target);
    let reaction = world.change(member, room, reaction);
    world.store(reaction).await;
    assert_eq!(world.owed().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_nobody_knows_about_owes_what_it_owes() {
    let mut world = World::new().await;
    let [owner, member] = people();
    let room = world.group(&[owner]).await;
    world.faults(room).unknown.store(1, Ordering::SeqCst);
    stored(world.put(owner, room, member, None).await);
    // The outcome comes after the projection, here too.
    world.directory_agrees(room).await;
    world.all_paid().await;
    assert_eq!(world.told(member, room).await, [Kind::MemberJoined]);
    let heard = world
        .hear(|event| match event {
            Event::Appended(appended) if appended.room == RoomId::inbox_of(member.user) => Some(appended.clone()),
            _ => None,
        })
        .await;
    assert_eq!(heard.entry.position.seq.0, 1);
}
