//! Consumers that are brought down, and slots that have another owner than this process thinks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use klatch_bus::{CommandConsumer, Commands, Delivery, OwnershipLost, PublishError};
use klatch_domain::{Action, Command, Kind, RoomId, ShardId, SlotMap};
use klatch_store::Shards;

use super::world::{World, new_group, people, stored};

/// Ingest queues whose consumers are brought down by their next deliveries.
struct Deadly {
    inner: Arc<dyn Commands>,
    left: Arc<AtomicU64>,
}

struct DeadlyConsumer {
    inner: Box<dyn CommandConsumer>,
    left: Arc<AtomicU64>,
}

#[async_trait]
impl Commands for Deadly {
    fn queues(&self) -> u16 {
        self.inner.queues()
    }
    fn durable(&self) -> bool {
        self.inner.durable()
    }
    async fn publish(&self, queue: u16, batch: Vec<Command>) -> Result<(), PublishError> {
        self.inner.publish(queue, batch).await
    }
    async fn consume(&self, queue: u16) -> Result<Box<dyn CommandConsumer>, PublishError> {
        let inner = self.inner.consume(queue).await?;
        Ok(Box::new(DeadlyConsumer { inner, left: Arc::clone(&self.left) }))
    }
}

#[async_trait]
impl CommandConsumer for DeadlyConsumer {
    async fn receive(&mut self) -> Option<Delivery> {
        let delivery = self.inner.receive().await;
        let told = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(told.is_err(), "told to");
        delivery
    }
    fn try_receive(&mut self) -> Option<Delivery> {
        self.inner.try_receive()
    }
    async fn acknowledge(&mut self, tag: u64) -> Result<(), OwnershipLost> {
        self.inner.acknowledge(tag).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_brought_down_begins_again_and_nothing_is_lost() {
    let mut world = World::at_rest().await;
    let left = Arc::new(AtomicU64::new(0));
    world.bus.commands = Arc::new(Deadly { inner: Arc::clone(&world.bus.commands), left: Arc::clone(&left) });
    world.start().await;
    let [ada, bob] = people();
    let room = world.group(&[ada]).await;
    left.store(2, Ordering::SeqCst);
    let first = world.text(ada, room, "first");
    let put = world.command(ada, room, Action::PutMember { user: bob.user, role: None });
    let second = world.text(bob, room, "second");
    let ids = [first.message_id, put.message_id, second.message_id];
    for command in [first, put, second] {
        world.publish(vec![command]).await;
    }
    for id in ids {
        stored(world.outcome(id).await);
    }
    assert_eq!(left.load(Ordering::SeqCst), 0, "it was brought down twice");
    assert!(world.service().ready());
    assert_eq!(world.texts(room).await, ["first", "second"]);
    world.all_paid().await;
    assert_eq!(world.told(bob, room).await, [Kind::MemberJoined]);
    world.stop().await;
}

impl World {
    /// A service that has every slot in the wrong shard until a shard fences it.
    async fn start_astray(&mut self) {
        let right = self.shards.clone();
        let wrong: Vec<_> = right.map().owners().iter().map(|owner| ShardId(1 - owner.0)).collect();
        let map = SlotMap::from_owners(0, wrong).unwrap();
        self.shards = Shards::new(map, right.all().cloned().collect()).unwrap();
        for faults in &self.faults {
            *faults.fence.lock() = Some(right.map().clone());
        }
        self.start().await;
        self.shards = right;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_writer_asks_for_the_owners_and_goes_on_in_order() {
    let mut world = World::at_rest().await;
    world.start_astray().await;
    let [ada, bob] = people();
    let rooms: Vec<RoomId> = vec![world.room_in(0, 0), world.room_in(1, 1), world.room_in(0, 0)];
    let mut ids = Vec::new();
    for room in &rooms {
        let mut commands = vec![world.command(ada, *room, new_group(vec![]))];
        for number in 0..5 {
            commands.push(world.text(ada, *room, &number.to_string()));
        }
        commands.push(world.command(ada, *room, Action::PutMember { user: bob.user, role: None }));
        commands.push(world.text(bob, *room, "5"));
        for command in commands {
            ids.push(command.message_id);
            world.publish(vec![command]).await;
        }
    }
    for id in ids {
        stored(world.outcome(id).await);
    }
    world.all_paid().await;
    for room in rooms {
        assert_eq!(world.texts(room).await, ["0", "1", "2", "3", "4", "5"]);
        world.directory_agrees(room).await;
        assert_eq!(world.told(bob, room).await, [Kind::MemberJoined]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_owed_in_slots_that_are_taken_over_is_paid_by_the_new_owner() {
    let mut world = World::at_rest().await;
    world.directory_fails(100_000);
    world.start().await;
    let [ada, bob] = people();
    let room = world.room_in(0, 0);
    let create = world.command(ada, room, new_group(vec![bob.user]));
    let id = create.message_id;
    world.publish(vec![create]).await;
    world.appended(id).await;
    world.kill_with_queues().await;
    world.directory = Arc::clone(&world.stores.directory) as Arc<dyn klatch_store::Directory>;
    // As far as it knows at first, these follow-ups are another shard's.
    world.start_astray().await;
    let other = world.room_in(0, 0);
    let take_over = world.command(ada, other, new_group(vec![]));
    stored(world.ask(take_over).await);
    world.all_paid().await;
    world.directory_agrees(room).await;
    assert_eq!(world.told(bob, room).await, [Kind::MemberJoined]);
}
