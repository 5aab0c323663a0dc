//! A command that names the one before it.

use klatch_domain::{Code, MessageId};

use super::world::{World, people, refused, stored};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_overtook_the_one_before_it_waits_for_it() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let first = world.text(ada, room, "first");
    let mut second = world.text(ada, room, "second");
    second.after = Some(first.message_id);
    let mut third = world.text(ada, room, "third");
    third.after = Some(second.message_id);
    let other = world.text(bob, room, "other");
    let ids = [first.message_id, second.message_id, third.message_id];
    world.publish(vec![second, third]).await;
    // Nobody else waits with them.
    world.store(other).await;
    world.publish(vec![first]).await;
    let seqs = [
        stored(world.outcome(ids[0]).await).position.seq.0,
        stored(world.outcome(ids[1]).await).position.seq.0,
        stored(world.outcome(ids[2]).await).position.seq.0,
    ];
    assert_eq!(seqs, [4, 5, 6]);
    assert_eq!(world.texts(room).await, ["other", "first", "second", "third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_in_one_batch_goes_through_at_once() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let mut batch = Vec::new();
    for number in 0..100 {
        let mut command = world.text(ada, room, &number.to_string());
        command.after = batch.last().map(|before: &klatch_domain::Command| before.message_id);
        batch.push(command);
    }
    let ids: Vec<_> = batch.iter().map(|command| command.message_id).collect();
    world.publish(batch).await;
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(stored(world.outcome(*id).await).position.seq.0, index as u64 + 3);
    }
    // Known to the shard, though this process has forgotten.
    world.stop().await;
    world.start().await;
    let mut next = world.text(ada, room, "next");
    next.after = ids.last().copied();
    world.store(next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_predecessor_never_comes_is_sent_back_and_so_is_what_follows_it() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let missing = world.text(ada, room, "missing");
    let mut orphan = world.text(ada, room, "orphan");
    orphan.after = Some(missing.message_id);
    let refusal = world.refusal(orphan.clone()).await;
    assert!(refusal.code == Code::Busy && refusal.retryable && refusal.retry_after_ms.is_some());
    let mut next = world.text(ada, room, "next");
    next.after = Some(orphan.message_id);
    assert!(world.refusal(next.clone()).await.retryable);
    assert!(world.texts(room).await.is_empty());
    // All again, in order, as a client does.
    let ids = [missing.message_id, orphan.message_id, next.message_id];
    world.publish(vec![missing, orphan, next]).await;
    for id in ids {
        stored(world.outcome(id).await);
    }
    assert_eq!(world.texts(room).await, ["missing", "orphan", "next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_final_refusal_holds_up_nothing() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let mut taken = world.text(ada, room, "taken");
    world.store(taken.clone()).await;
    taken.message_id = MessageId::now();
    world.store(taken.clone()).await;
    let mut conflict = world.text(ada, room, "something else");
    conflict.message_id = taken.message_id;
    let mut reply = world.text(ada, room, "bad");
    let klatch_domain::Action::Append(draft) = &mut reply.action else { panic!() };
    draft.reply_to = Some(klatch_domain::Seq(1_000));
    reply.after = Some(conflict.message_id);
    let mut next = world.text(ada, room, "next");
    next.after = Some(reply.message_id);
    let ids = [reply.message_id, next.message_id];
    world.publish(vec![conflict, reply]).await;
    assert_eq!(refused(world.outcome(ids[0]).await).code, Code::TargetNotFound);
    world.publish(vec![next]).await;
    stored(world.outcome(ids[1]).await);
}
