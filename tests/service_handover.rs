//! The one writer of a queue changes: its channel is closed, its process dies, its network freezes. Real writers on the
//! embedded shards, a real broker, senders that never stop: no entry is lost, doubled or out of its sender's order.
//!
//! A single active consumer is no fence. A writer that was frozen goes on with what it had been sent while its successor does
//! the same again, from heads of its own: what keeps the log whole is `UNIQUE (room, seq)` in the shard, and what keeps a
//! sender's order is that every path feeds a room a gapless prefix and every command names the one before it.

mod senders;
mod world;

use std::time::Duration;

use self::{
    senders::{Preceding, Senders},
    world::{Leave, World},
};

/// Handovers of each kind in one run, one after the other.
const ROUNDS: usize = 2;

async fn hand_over(how: Leave) {
    let world = World::new().await;
    let mut senders = Senders::new(&world, 6, Preceding::Named).await;
    let mut first = world.replica().await;
    for _ in 0..ROUNDS {
        // Both are there, the first is active and in the middle of it.
        senders.go_on(40).await;
        let second = world.replica().await;
        // While they go on.
        tokio::join!(world.leave(first, how), senders.go_on(80));
        first = second;
    }
    senders.settle().await;
    world.check(&senders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_channel_hands_over_every_entry_once_and_in_order() {
    hand_over(Leave::Close).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_process_hands_over_every_entry_once_and_in_order() {
    hand_over(Leave::Die).await;
}

/// Its writer goes on with what it was sent, and comes back when the network does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_network_hands_over_every_entry_once_and_in_order() {
    hand_over(Leave::Freeze).await;
}

/// Two writers that both think they are the only one, both fed: what a freeze does, without the wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_at_once_are_told_apart_by_the_shard() {
    let world = World::new().await;
    let mut senders = Senders::new(&world, 6, Preceding::Named).await;
    senders.by_two_paths(&world);
    let _zombie = world.zombie().await;
    let _active = world.replica().await;
    senders.go_on(200).await;
    senders.settle().await;
    world.check(&senders).await;
}

/// A consumer that leaves by cancelling lets its successor have the newer commands while it holds the older ones.
async fn overtaken(preceding: Preceding) -> Vec<u64> {
    let world = World::new().await;
    let mut senders = Senders::new(&world, 1, preceding).await;
    let first = world.replica().await;
    senders.settle().await;
    world.leave(first, Leave::Close).await;
    let (holder, _successor) = world.cancelling_consumer(&mut senders, 10, 20).await;
    // The newer ones are stored, or refused for now, before the older ones come back.
    tokio::time::timeout(Duration::from_secs(60), senders.one_outcome()).await.expect("an outcome");
    holder.close(200, "done".into()).await.expect("the broker is there");
    senders.settle().await;
    let (room, sender) = senders.places()[0];
    world.texts(room, sender).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_overtakes_waits_for_the_one_it_names() {
    assert_eq!(overtaken(Preceding::Named).await, (0..20).collect::<Vec<_>>());
}

/// The proof that the rule is what holds: the same without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_names_nothing_overtakes() {
    let order = overtaken(Preceding::Unnamed).await;
    assert_ne!(order, (0..20).collect::<Vec<_>>(), "the broker hands over in order: the rule could go");
}
