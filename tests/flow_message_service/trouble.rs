//! Crashes, shards that fail, writers at odds.

use std::sync::{Arc, atomic::Ordering};

use klatch_domain::{
    Action, Code, Command, Content, Draft, Event, Kind, MessageId, Ordinal, Outcome, Position, RoomId, Sender, Seq,
};
use klatch_store::shard::{Effect, Write};

use super::world::{World, people, person, refused, stored};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_commit_and_acknowledgement_it_neither_loses_nor_doubles() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let command = world.text(ada, room, "once");
    let faults = Arc::clone(world.faults(room));
    faults.hang_on.lock().insert(command.message_id);
    world.publish(vec![command.clone()]).await;
    while world.texts(room).await.is_empty() {
        faults.appended.notified().await;
    }
    world.kill();
    assert!(!world.heard().any(|event| matches!(event, Event::Outcome(one) if one.message_id == command.message_id)));
    faults.hang_on.lock().clear();
    world.start().await;
    let outcome = stored(world.outcome(command.message_id).await);
    assert!(outcome.repeat);
    // The first fan-out never was: this one is for everyone.
    assert_eq!(world.appended(command.message_id).await.entry.position, outcome.position);
    assert_eq!(world.texts(room).await, ["once"]);
    // And it is acknowledged: another service finds nothing to do.
    world.stop().await;
    world.forget_heard();
    world.start().await;
    let next = world.text(ada, room, "next");
    world.store(next).await;
    assert!(!world.heard().any(|event| matches!(event, Event::Outcome(one) if one.message_id == command.message_id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_nobody_knows_about_is_met_again_and_told_as_new() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    world.faults(room).unknown.store(2, Ordering::SeqCst);
    let commands: Vec<Command> = (0..5).map(|number| world.text(ada, room, &number.to_string())).collect();
    let ids: Vec<_> = commands.iter().map(|command| command.message_id).collect();
    world.publish(commands).await;
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(stored(world.outcome(*id).await).position.seq.0, index as u64 + 3);
        world.appended(*id).await;
    }
    assert_eq!(world.texts(room).await, ["0", "1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dead_shard_stops_no_other_and_recovers_in_order() {
    let mut world = World::at_rest().await;
    world.settings.busy_after_ms = 20;
    world.start().await;
    let ada = person();
    // Both in one ingest queue, whose number is that of their shards in an even map of two: take what is there.
    let (dead, alive) = (world.room_in(0, 0), world.room_in(1, 1));
    world.group_at(dead, &[ada]).await;
    world.group_at(alive, &[ada]).await;
    world.faults[0].down.store(true, Ordering::SeqCst);
    let mut parked = Vec::new();
    for number in 0..20 {
        let command = world.text(ada, dead, &number.to_string());
        parked.push(command.message_id);
        world.publish(vec![command]).await;
    }
    for number in 0..20 {
        let command = world.text(ada, alive, &number.to_string());
        world.store(command).await;
    }
    let slot = world.shards.map().slot_of(dead);
    let told = |event: &Event, ends: bool| match event {
        Event::SlotsBusy { slots, retry_after_ms } if (*retry_after_ms == 0) == ends => {
            slots.contains(&slot).then_some(slots.len())
        }
        _ => None,
    };
    let busy = world.hear(|event| told(event, false)).await;
    assert!(busy > 0);
    // A second time: it is repeated while it lasts.
    world.hear(|event| told(event, false)).await;
    world.faults[0].down.store(false, Ordering::SeqCst);
    for (index, id) in parked.iter().enumerate() {
        assert_eq!(stored(world.outcome(*id).await).position.seq.0, index as u64 + 2);
    }
    world.hear(|event| told(event, true)).await;
    assert_eq!(world.texts(dead).await, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_shard_leaves_half_of_its_queue_to_the_others() {
    // One queue carries both shards.
    let mut world = World::at_rest().await;
    let options = klatch_bus::in_process::Options { ingest_queues: 1, ..Default::default() };
    world.use_bus(options).await;
    world.start().await;
    let ada = person();
    let (dead, alive) = (world.room_in(0, 0), world.room_in(1, 0));
    world.group_at(dead, &[ada]).await;
    world.group_at(alive, &[ada]).await;
    world.faults[0].down.store(true, Ordering::SeqCst);
    let mut sent = Vec::new();
    for number in 0..600 {
        let command = world.text(ada, dead, &number.to_string());
        sent.push(command.message_id);
        world.publish(vec![command]).await;
    }
    let command = world.text(ada, alive, "on it goes");
    world.store(command).await;
    // More than may be held was taken before that one, so some came back, to be sent again: which, depends on when the
    // shard was tried. Those that wait are stored, in order, when it is back.
    let (sent_back, refusal) = world
        .hear(|event| match event {
            Event::Outcome(one) if sent.contains(&one.message_id) => Some((one.message_id, one.outcome.clone())),
            _ => None,
        })
        .await;
    let refusal = refused(refusal);
    assert!(refusal.code == Code::Busy && refusal.retryable);
    world.faults[0].down.store(false, Ordering::SeqCst);
    let mut texts = Vec::new();
    for (number, id) in sent.iter().enumerate().filter(|(_, id)| **id != sent_back) {
        match world.outcome(*id).await {
            Outcome::Stored(_) => texts.push(number.to_string()),
            Outcome::Refused(refusal) => assert!(refusal.retryable),
            Outcome::Unchanged => panic!("a text changes something"),
        }
    }
    assert!(!texts.is_empty());
    assert_eq!(world.texts(dead).await, texts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_park_that_lasts_too_long_closes_the_channel_and_loses_nothing() {
    let mut world = World::at_rest().await;
    world.settings.park_ms = 150;
    world.start().await;
    let ada = person();
    let room = world.group(&[ada]).await;
    let faults = Arc::clone(world.faults(room));
    faults.down.store(true, Ordering::SeqCst);
    let commands: Vec<_> = (0..3).map(|number| world.text(ada, room, &number.to_string())).collect();
    let ids: Vec<_> = commands.iter().map(|command| command.message_id).collect();
    for command in commands {
        world.publish(vec![command]).await;
    }
    // Another service stands by: it gets the queue when this one closes its channel.
    let standby = world.another().await;
    faults.down.store(false, Ordering::SeqCst);
    for id in ids {
        stored(world.outcome(id).await);
    }
    assert_eq!(world.texts(room).await, ["0", "1", "2"]);
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_the_database_refuses_is_found_and_everyone_else_goes_on() {
    let mut world = World::new().await;
    let people: [Sender; 4] = people();
    let mut rooms = Vec::new();
    for one in people {
        rooms.push(world.group_at_queue(one, 0).await);
    }
    let mut batch = Vec::new();
    for number in 0..40 {
        batch.push(world.text(people[number % 4], rooms[number % 4], &number.to_string()));
    }
    let culprit = batch[17].message_id;
    for faults in &world.faults {
        faults.poison.lock().insert(culprit);
    }
    let ids: Vec<_> = batch.iter().map(|command| command.message_id).collect();
    world.publish(batch).await;
    for id in ids {
        match world.outcome(id).await {
            Outcome::Refused(refusal) => {
                assert_eq!((id, refusal.code, refusal.retryable), (culprit, Code::Internal, false));
            }
            outcome => assert!(!stored(outcome).repeat && id != culprit),
        }
    }
    for (index, room) in rooms.iter().enumerate() {
        let expected: Vec<_> =
            (0..40).filter(|number| number % 4 == index && *number != 17).map(|number| number.to_string()).collect();
        assert_eq!(world.texts(*room).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_brings_the_writer_down_is_given_up_after_some_tries_alone() {
    let mut world = World::new().await;
    let ada = person();
    let room = world.group(&[ada]).await;
    let before = world.text(ada, room, "before");
    let deadly = world.text(ada, room, "deadly");
    let after = world.text(ada, room, "after");
    world.faults(room).deadly.lock().insert(deadly.message_id);
    let ids = [before.message_id, deadly.message_id, after.message_id];
    world.publish(vec![before, deadly, after]).await;
    stored(world.outcome(ids[0]).await);
    assert_eq!(refused(world.outcome(ids[1]).await).code, Code::Internal);
    stored(world.outcome(ids[2]).await);
    assert_eq!(world.texts(room).await, ["before", "after"]);
    assert!(world.service().ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_somebody_else_has_moved_is_loaded_again() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let first = world.text(ada, room, "first");
    world.store(first).await;
    // A zombie: another writer that still holds the head of before.
    let mut entry = world.log(room).await.pop().unwrap();
    entry.position = Position { seq: Seq(4), ..entry.position };
    (entry.prev_seq, entry.ordinal, entry.message_id) = (Seq(3), Ordinal(2), MessageId::now());
    entry.content = Content::text("zombie").unwrap();
    world.shard(room).append(vec![Write { room, entry, effect: Effect::None }]).await.unwrap();
    let second = world.text(ada, room, "second");
    let stored = world.store(second).await;
    assert_eq!((stored.position.seq, stored.ordinal), (Seq(5), Ordinal(3)));
    assert_eq!(world.texts(room).await, ["first", "zombie", "second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_come_and_go_leave_one_gapless_log() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let mut ids = Vec::new();
    for number in 0..60 {
        let command = world.text(ada, room, &number.to_string());
        ids.push(command.message_id);
        world.publish(vec![command]).await;
        match number % 20 {
            7 => {
                world.kill();
                world.start().await;
            }
            15 => {
                world.stop().await;
                world.start().await;
            }
            _ => {}
        }
    }
    for (index, id) in ids.into_iter().enumerate() {
        assert_eq!(stored(world.outcome(id).await).position.seq.0, index as u64 + 3);
    }
    assert_eq!(world.texts(room).await, (0..60).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_go_to_inboxes_that_are_not_there_yet_and_never_twice() {
    let mut world = World::new().await;
    let ada = person();
    let inbox = RoomId::inbox_of(ada.user);
    let content = Content::parse(r#"{"user":"00000000-0000-0000-0000-000000000001","status":"incoming"}"#).unwrap();
    let draft = Draft::new(Kind::FriendChanged, content);
    let notice = world.command(ada, inbox, Action::Notice { owner: ada.user, draft: draft.clone() });
    world.store(notice.clone()).await;
    assert!(world.store(notice.clone()).await.repeat);
    let second = world.command(ada, inbox, Action::Notice { owner: ada.user, draft: draft.clone() });
    assert_eq!(world.store(second).await.position.seq, Seq(2));
    let foreign = world.command(ada, inbox, Action::Notice { owner: person().user, draft });
    assert_eq!(world.refusal(foreign).await.code, Code::ValidationFailed);
    let text = world.text(ada, inbox, "to myself");
    assert_eq!(world.refusal(text).await.code, Code::NotAllowed);
    assert_eq!(world.log(inbox).await.len(), 2);
}

impl World {
    /// Another bus in place of the first; before the service starts.
    async fn use_bus(&mut self, options: klatch_bus::in_process::Options) {
        let bus = klatch_bus::in_process::bus(options, &prometheus::Registry::new()).unwrap();
        self.listen_on(bus).await;
    }

    /// A group of one in this ingest queue.
    async fn group_at_queue(&mut self, owner: Sender, queue: u16) -> RoomId {
        let room = std::iter::repeat_with(RoomId::now).find(|room| self.queue_of(*room) == queue).unwrap();
        self.group_at(room, &[owner]).await;
        room
    }
}
