//! Rounds that end half done: nothing of the other half is told, overtaken or acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use klatch_bus::{EventPublisher, EventReceiver, Events, Receipt, Target};
use klatch_domain::{Action, Code, Event, Incarnation, Kind, Outcome, RoomId, Seq};
use tokio::sync::Notify;

use super::world::{World, change, people, person, refused, stored};

/// Publishers that say nothing while told so, or never learn whether what they said has arrived.
#[derive(Default)]
struct Mute {
    on: AtomicBool,
    unsure: AtomicBool,
    /// Somebody has something to say.
    reached: Notify,
}

struct Muted {
    inner: Arc<dyn Events>,
    mute: Arc<Mute>,
}

struct MutedPublisher {
    inner: Box<dyn EventPublisher>,
    mute: Arc<Mute>,
}

#[async_trait]
impl Events for Muted {
    fn publisher(&self, incarnation: Incarnation) -> Box<dyn EventPublisher> {
        Box::new(MutedPublisher { inner: self.inner.publisher(incarnation), mute: Arc::clone(&self.mute) })
    }

    async fn subscribe(&self, incarnation: Incarnation, lanes: bool) -> Box<dyn EventReceiver> {
        self.inner.subscribe(incarnation, lanes).await
    }
}

#[async_trait]
impl EventPublisher for MutedPublisher {
    async fn publish(&mut self, batches: Vec<(Target, Vec<Event>)>) -> Receipt {
        if self.mute.on.load(Ordering::SeqCst) {
            self.mute.reached.notify_one();
            std::future::pending::<()>().await;
        }
        let receipt = self.inner.publish(batches).await;
        if self.mute.unsure.load(Ordering::SeqCst) {
            return Receipt::when(std::future::pending());
        }
        receipt
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_next_round_is_not_overtaken_by_the_other_half_of_its_batch() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.group(&[ada]).await;
    let slot = world.shards.map().slot_of(room);
    let other = std::iter::repeat_with(RoomId::now).find(|one| world.shards.map().slot_of(*one) == slot).unwrap();
    world.group_at(other, &[bob]).await;
    let first = world.text(ada, room, "first");
    // Names an entry of its own batch, so it waits for the next round.
    let edit = world.command(ada, room, change(Kind::Edit, r#"{"text": "edited"}"#, Seq(2)));
    let (last, poison) = (world.text(ada, room, "last"), world.text(bob, other, "poison"));
    world.faults(other).poison.lock().insert(poison.message_id);
    let ids = [first.message_id, edit.message_id, last.message_id];
    let culprit = poison.message_id;
    world.publish(vec![first, edit, last, poison]).await;
    for (index, id) in ids.into_iter().enumerate() {
        assert_eq!(stored(world.outcome(id).await).position.seq.0, index as u64 + 2);
    }
    assert_eq!(refused(world.outcome(culprit).await).code, Code::Internal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_settled_that_a_dead_shard_could_not_say() {
    let mut world = World::at_rest().await;
    world.settings.busy_after_ms = 20;
    world.start().await;
    let [ada, bob] = people();
    let (direct, group) = (world.direct(ada, bob).await, world.group(&[ada, bob]).await);
    let early = world.text(bob, group, "early");
    world.store(early.clone()).await;
    world.remove(ada, group, bob).await;
    // A block that cannot be written, and a repeat by one who is no member any more: only the shard knows that it is one.
    let block = world.command(bob, direct, Action::SetBlock { on: true });
    for (command, room) in [(block, direct), (early, group)] {
        world.forget_heard();
        let faults = Arc::clone(world.faults(room));
        faults.down.store(true, Ordering::SeqCst);
        let id = command.message_id;
        world.publish(vec![command]).await;
        world
            .hear(|event| matches!(event, Event::SlotsBusy { retry_after_ms, .. } if *retry_after_ms > 0).then_some(()))
            .await;
        assert!(!world.heard().any(|event| matches!(event, Event::Outcome(one) if one.message_id == id)));
        faults.down.store(false, Ordering::SeqCst);
        match world.outcome(id).await {
            Outcome::Stored(stored) => assert!(stored.repeat),
            outcome => assert_eq!(outcome, Outcome::Unchanged),
        }
    }
    world.stop().await;
    world.start().await;
    let text = world.text(ada, direct, "?");
    assert_eq!(world.refusal(text).await.code, Code::Blocked);
    assert_eq!(world.texts(group).await, ["early"]);
}

/// A world whose publishers can be muted.
async fn muted() -> (World, Arc<Mute>) {
    let mut world = World::at_rest().await;
    let mute = Arc::new(Mute::default());
    let events = Arc::new(Muted { inner: Arc::clone(&world.bus.events), mute: Arc::clone(&mute) });
    world.bus.events = events;
    world.start().await;
    (world, mute)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_and_not_told_is_not_acknowledged() {
    let (mut world, mute) = muted().await;
    let ada = person();
    let room = world.group(&[ada]).await;
    // The last that is said of its making.
    let inbox = RoomId::inbox_of(ada.user);
    world.hear(|event| matches!(event, Event::Appended(appended) if appended.room == inbox).then_some(())).await;
    mute.on.store(true, Ordering::SeqCst);
    let command = world.text(ada, room, "once");
    world.publish(vec![command.clone()]).await;
    mute.reached.notified().await;
    // Whatever could acknowledge it now has the time to.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.texts(room).await, ["once"]);
    world.kill();
    mute.on.store(false, Ordering::SeqCst);
    world.start().await;
    assert!(stored(world.outcome(command.message_id).await).repeat);
    world.appended(command.message_id).await;
}

/// The order is: commit, publish, confirm, acknowledge. What was sent and not confirmed dies with its writer, and is then told
/// by whoever gets the command next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_and_not_confirmed_is_not_acknowledged() {
    let (mut world, mute) = muted().await;
    let ada = person();
    let room = world.group(&[ada]).await;
    let inbox = RoomId::inbox_of(ada.user);
    world.hear(|event| matches!(event, Event::Appended(appended) if appended.room == inbox).then_some(())).await;
    mute.unsure.store(true, Ordering::SeqCst);
    let first = world.text(ada, room, "once");
    let later = world.text(ada, room, "and what comes later does not wait for it");
    for command in [&first, &later] {
        assert!(!stored(world.ask(command.clone()).await).repeat);
        world.appended(command.message_id).await;
    }
    // Whatever could acknowledge it now has the time to.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    world.kill();
    mute.unsure.store(false, Ordering::SeqCst);
    world.start().await;
    for command in [&first, &later] {
        assert!(stored(world.outcome(command.message_id).await).repeat);
        world.appended(command.message_id).await;
    }
    assert_eq!(world.texts(room).await.len(), 2);
}

/// A writer that cannot learn whether anybody hears it leaves its queue to another, after as long as it would wait for a shard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_learns_that_anybody_hears_leaves_the_queue() {
    let mut world = World::at_rest().await;
    let mute = Arc::new(Mute::default());
    world.bus.events = Arc::new(Muted { inner: Arc::clone(&world.bus.events), mute: Arc::clone(&mute) });
    world.settings.park_ms = 50;
    world.start().await;
    let ada = person();
    let room = world.group(&[ada]).await;
    mute.unsure.store(true, Ordering::SeqCst);
    let command = world.text(ada, room, "once");
    assert!(!stored(world.ask(command.clone()).await).repeat);
    // It comes again as the channel is closed and opened again, and is told again.
    assert!(stored(world.outcome(command.message_id).await).repeat);
    mute.unsure.store(false, Ordering::SeqCst);
    let last = world.text(ada, room, "last");
    assert!(!stored(world.ask(last).await).repeat);
    assert_eq!(world.texts(room).await, ["once", "last"]);
}
