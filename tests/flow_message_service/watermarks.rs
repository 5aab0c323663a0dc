//! Watermarks: reported, implied, announced.

use std::sync::Arc;

use klatch_bus::WatermarkMove;
use klatch_domain::{Audience, Event, Position, RoomId, Sender, UserId, WatermarkMoved};
use klatch_store::{
    Directory,
    directory::{ProfileChange, User, Users as _},
    shard::Watermark,
};

use super::{
    faulty_directory::{Fault, FaultyDirectory},
    world::{World, new_group, people, person},
};

fn report(who: Sender, room: RoomId, read: u64, delivered: u64) -> WatermarkMove {
    let position = |seq: u64| (seq > 0).then(|| Position::first(seq));
    WatermarkMove { room, user: who.user, session: who.session, read: position(read), delivered: position(delivered) }
}

impl World {
    async fn moved(&mut self, room: RoomId) -> Arc<WatermarkMoved> {
        self.hear(|event| match event {
            Event::Watermark(moved) if moved.room == room => Some(Arc::clone(moved)),
            _ => None,
        })
        .await
    }

    async fn watermark(&self, room: RoomId, user: UserId) -> Watermark {
        let all = self.shard(room).watermarks(room, None, 100).await.unwrap();
        all.into_iter().find(|(one, _)| *one == user).map(|(_, watermark)| watermark).unwrap_or_default()
    }

    async fn sign_up(&self, who: Sender, read_receipts: bool) {
        let name = format!("u{}", who.user.uuid().simple());
        let name = klatch_domain::Username::parse(&name[..40.min(name.len())]).unwrap();
        let user = User::new(who.user, name, klatch_domain::Timestamp::from_millis(0));
        self.stores.directory.create_user(&user, "hash").await.unwrap();
        let change = ProfileChange { read_receipts: Some(read_receipts), ..ProfileChange::default() };
        self.stores.directory.change_profile(who.user, &change).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_clamped_stored_and_told_to_a_small_room() {
    let mut world = World::new().await;
    let [ada, bob, stranger] = people();
    world.sign_up(bob, true).await;
    let room = world.direct(ada, bob).await;
    let text = world.text(ada, room, "hello");
    world.store(text).await;
    world.bus.watermarks.publish(vec![report(stranger, room, 3, 3), report(bob, room, 0, 2)]).await;
    let moved = world.moved(room).await;
    assert_eq!((moved.user, moved.read, moved.delivered), (bob.user, None, Some(Position::first(2))));
    world.bus.watermarks.publish(vec![report(bob, room, 99, 1)]).await;
    let moved = world.moved(room).await;
    assert_eq!((moved.read, moved.delivered), (Some(Position::first(3)), Some(Position::first(3))));
    let Audience::Members(members) = &moved.audience else { panic!() };
    assert!(members.len() == 2 && members.contains(&ada.user) && members.contains(&bob.user));
    // Back it never goes, and a stranger has none.
    world.bus.watermarks.publish(vec![report(bob, room, 1, 1)]).await;
    world.stop().await;
    assert_eq!(world.watermark(room, bob.user).await.read, Position::first(3));
    assert_eq!(world.watermark(room, stranger.user).await, Watermark::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_moves_the_senders_own_read_without_a_word() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    for _ in 0..3 {
        let text = world.text(ada, room, "hello");
        world.store(text).await;
    }
    // A stop writes what has gathered.
    world.stop().await;
    assert_eq!(world.watermark(room, ada.user).await.read, Position::first(5));
    assert_eq!(world.watermark(room, bob.user).await, Watermark::default());
    assert!(!world.heard().any(|event| matches!(event, Event::Watermark(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_to_themselves_tells_only_their_own_devices() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    world.sign_up(bob, false).await;
    let room = world.direct(ada, bob).await;
    world.bus.watermarks.publish(vec![report(bob, room, 2, 2)]).await;
    let (one, other) = (world.moved(room).await, world.moved(room).await);
    assert_eq!(one.audience, Audience::Members(Arc::from([bob.user])));
    assert_eq!(one.read, Some(Position::first(2)));
    assert_eq!(other.audience, Audience::Members(Arc::from([ada.user])));
    assert_eq!((other.read, other.delivered), (None, Some(Position::first(2))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_can_say_who_shows_receipts_nobody_does() {
    let mut world = World::at_rest().await;
    let directory = Arc::new(FaultyDirectory::new(Arc::clone(&world.stores.directory) as Arc<dyn Directory>));
    world.directory = Arc::clone(&directory) as Arc<dyn Directory>;
    world.start().await;
    let [ada, bob] = people();
    world.sign_up(bob, true).await;
    let room = world.direct(ada, bob).await;
    directory.fail("users", Fault::Before);
    world.bus.watermarks.publish(vec![report(bob, room, 2, 2)]).await;
    let (one, other) = (world.moved(room).await, world.moved(room).await);
    assert_eq!((&one.audience, one.read), (&Audience::Members(Arc::from([bob.user])), Some(Position::first(2))));
    assert_eq!((&other.audience, other.read), (&Audience::Members(Arc::from([ada.user])), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_large_room_only_ones_own_devices_hear_and_delivered_is_not_kept() {
    let mut world = World::new().await;
    let owner = person();
    let others: Vec<UserId> = (0..40).map(|_| UserId::now()).collect();
    let command = world.command(owner, RoomId::now(), new_group(others.clone()));
    let room = command.room;
    world.store(command).await;
    let member = Sender { user: others[0], session: owner.session };
    world.bus.watermarks.publish(vec![report(member, room, 10, 30)]).await;
    let moved = world.moved(room).await;
    assert_eq!(moved.audience, Audience::Members(Arc::from([member.user])));
    assert_eq!((moved.read, moved.delivered), (Some(Position::first(10)), None));
    assert_eq!(world.watermark(room, member.user).await.delivered, Position::first(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_wait_for_a_shard_that_is_away_while_others_are_written() {
    let mut world = World::new().await;
    let ada = person();
    let (dead, alive) = (world.room_in(0, 0), world.room_in(1, 1));
    world.group_at(dead, &[ada]).await;
    world.group_at(alive, &[ada]).await;
    world.faults[0].down.store(true, std::sync::atomic::Ordering::SeqCst);
    world.bus.watermarks.publish(vec![report(ada, dead, 1, 1), report(ada, alive, 1, 1)]).await;
    world.moved(alive).await;
    world.faults[0].down.store(false, std::sync::atomic::Ordering::SeqCst);
    world.moved(dead).await;
}
