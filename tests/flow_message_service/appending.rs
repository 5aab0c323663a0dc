//! Messages, repeats, changes of messages.

use std::sync::atomic::Ordering;

use klatch_domain::{
    Action, Audience, Code, Command, Content, Draft, Kind, Outcome, Refusal, Role, RoomId, Seq, Timestamp,
};

use super::world::{World, change, people, person, refused, stored, text_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_get_dense_seqs_and_everyone_concerned_hears() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    for number in 0..50u64 {
        let command = world.text(if number % 2 == 0 { ada } else { bob }, room, &format!("{number}"));
        let id = command.message_id;
        let stored = world.store(command).await;
        assert_eq!((stored.position.seq.0, stored.ordinal.0, stored.repeat), (number + 3, number + 1, false));
        let appended = world.appended(id).await;
        assert_eq!(appended.entry.position, stored.position);
        assert_eq!(appended.entry.content_type, "text/plain");
        assert_eq!(appended.members_version, Seq(2));
        assert_eq!(appended.trace.as_deref(), Some("4bf92f35"));
        let Audience::Members(members) = &appended.audience else { panic!("a small room names its members") };
        assert!(members.len() == 2 && members.contains(&ada.user) && members.contains(&bob.user));
    }
    assert_eq!(world.texts(room).await, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(world.service().ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_first_position_whatever_session_or_path_it_comes_by() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let first = world.text(ada, room, "once");
    let stored_first = world.store(first.clone()).await;
    world.appended(first.message_id).await;

    // Alone, and twice in one delivery, from another session, with another spelling of the same JSON.
    let mut again = first.clone();
    again.sender.session = person().session;
    let Action::Append(draft) = &mut again.action else { panic!() };
    draft.content = Content::parse("{ \"text\" : \"once\" }").unwrap();
    let repeat = world.store(again.clone()).await;
    assert_eq!((repeat.position, repeat.at, repeat.repeat), (stored_first.position, stored_first.at, true));
    world.publish(vec![again.clone(), first.clone()]).await;
    for _ in 0..2 {
        assert_eq!(stored(world.outcome(first.message_id).await).position, stored_first.position);
    }
    assert_eq!(world.texts(room).await, ["once"]);
    assert!(
        !world.heard().any(
            |event| matches!(event, klatch_domain::Event::Appended(one) if one.entry.message_id == first.message_id)
        ),
        "a repeat is no news to anyone else"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_new_id_twice_in_one_batch_is_one_entry() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let first = world.text(ada, room, "race");
    let mut other = world.text(ada, room, "another text");
    other.message_id = first.message_id;
    world.publish(vec![first.clone(), first.clone(), other, first.clone()]).await;
    let outcomes = [
        world.outcome(first.message_id).await,
        world.outcome(first.message_id).await,
        world.outcome(first.message_id).await,
        world.outcome(first.message_id).await,
    ];
    assert!(!stored(outcomes[0].clone()).repeat);
    assert!(stored(outcomes[1].clone()).repeat && stored(outcomes[3].clone()).repeat);
    assert_eq!(refused(outcomes[2].clone()).code, Code::MessageIdConflict);
    assert_eq!(world.texts(room).await, ["race"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_message_under_a_known_id_is_a_conflict_and_changes_nothing() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let first = world.text(ada, room, "mine");
    world.store(first.clone()).await;
    let mut by_bob = first.clone();
    by_bob.sender = bob;
    let mut reply = first.clone();
    let Action::Append(draft) = &mut reply.action else { panic!() };
    draft.reply_to = Some(Seq(1));
    let mut other = world.text(ada, room, "other");
    other.message_id = first.message_id;
    for command in [by_bob, reply, other] {
        let refusal = world.refusal(command).await;
        assert_eq!((refusal.code, refusal.retryable), (Code::MessageIdConflict, false));
    }
    assert_eq!(world.texts(room).await, ["mine"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_in_a_room_learns_nothing_from_an_id_that_is_stored_in_it() {
    let mut world = World::new().await;
    let [ada, bob, eve] = people();
    let room = world.group(&[ada, bob]).await;
    let secret = world.text(ada, room, "secret");
    // In the batch that stores it, and afterwards.
    let mut guess = world.text(eve, room, "secret");
    guess.message_id = secret.message_id;
    world.publish(vec![secret.clone(), guess.clone()]).await;
    stored(world.outcome(secret.message_id).await);
    let room_not_found = Refusal::room_not_found();
    assert_eq!(refused(world.outcome(guess.message_id).await), room_not_found);
    assert_eq!(world.refusal(guess.clone()).await, room_not_found);
    // One who was removed knows the ids of what was said; the room is none of their business any more.
    world.remove(ada, room, bob).await;
    assert_eq!(world.refusal(Command { sender: bob, ..guess }).await, room_not_found);
    assert_eq!(world.texts(room).await, ["secret"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_repeat_is_known_although_the_text_was_edited_and_deleted_since() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let first = world.text(ada, room, "typo");
    let seq = world.store(first.clone()).await.position.seq;
    let edit = world.command(ada, room, change(Kind::Edit, r#"{"text":"fixed"}"#, seq));
    world.store(edit.clone()).await;
    assert!(world.store(first.clone()).await.repeat);
    let delete = world.command(ada, room, change(Kind::Delete, "{}", seq));
    world.store(delete).await;
    assert!(world.store(first).await.repeat);
    assert!(world.store(edit).await.repeat);
    assert!(world.log(room).await.iter().all(|entry| !entry.content.as_str().contains("typo")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_allowed_change_a_message() {
    let mut world = World::new().await;
    let [owner, admin, author, member, stranger] = people();
    let room = world.group(&[owner, admin, author, member]).await;
    stored(world.put(owner, room, admin, Some(Role::Admin)).await);
    let text = world.text(author, room, "hello");
    let seq = world.store(text).await.position.seq;

    let edit = |who| (who, change(Kind::Edit, r#"{"text":"changed"}"#, seq));
    let delete = |who| (who, change(Kind::Delete, "{}", seq));
    let react =
        |who, emoji: &str, on: bool| (who, change(Kind::Reaction, &format!(r#"{{"emoji":"{emoji}","on":{on}}}"#), seq));
    let cases = [
        (edit(stranger), Some(Code::RoomNotFound)),
        (edit(member), Some(Code::NotAllowed)),
        (edit(owner), Some(Code::NotAllowed)),
        (edit(author), None),
        (delete(member), Some(Code::NotAllowed)),
        (react(stranger, "+1", true), Some(Code::RoomNotFound)),
        (react(member, "+1", true), None),
        (react(owner, "+1", true), None),
        (react(member, "+1", false), None),
        (delete(admin), None),
        (edit(author), Some(Code::TargetNotFound)),
        (react(member, "+1", true), Some(Code::TargetNotFound)),
    ];
    for (index, ((who, action), expected)) in cases.into_iter().enumerate() {
        let command = world.command(who, room, action);
        let outcome = world.ask(command).await;
        let code = if let Outcome::Refused(refusal) = outcome { Some(refusal.code) } else { None };
        assert_eq!(code, expected, "case {index}");
    }
    let log = world.log(room).await;
    let row = &log[seq.0 as usize - 1];
    assert!(row.deleted && row.content.as_str() == "{}" && row.changed_seq == Some(log.last().unwrap().position.seq));
    // Edits and reactions raise no ordinal.
    assert_eq!(log.last().unwrap().ordinal.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_message_of_the_same_batch_come_after_it() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let text = world.text(ada, room, "first");
    let edit = world.command(ada, room, change(Kind::Edit, r#"{"text":"second"}"#, Seq(3)));
    let delete = world.command(bob, room, change(Kind::Delete, "{}", Seq(3)));
    let react = world.command(bob, room, change(Kind::Reaction, r#"{"emoji":"x","on":true}"#, Seq(3)));
    let beyond = world.command(bob, room, change(Kind::Reaction, r#"{"emoji":"x","on":true}"#, Seq(9)));
    let last = world.text(bob, room, "last");
    let ids: Vec<_> = [&text, &edit, &delete, &react, &beyond, &last].map(|command| command.message_id).into();
    world.publish(vec![text, edit, delete, react, beyond, last]).await;
    for (index, expected) in [Some(3), Some(4), None, Some(5), None, Some(6)].into_iter().enumerate() {
        match (world.outcome(ids[index]).await, expected) {
            (Outcome::Stored(stored), Some(seq)) => assert_eq!(stored.position.seq.0, seq),
            (Outcome::Refused(_), None) => {}
            (outcome, _) => panic!("{index}: {outcome:?}"),
        }
    }
    assert_eq!(text_of(&world.log(room).await[2]), "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_and_threads_name_what_is_there() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let root = world.text(ada, room, "root");
    let root = world.store(root).await.position.seq;
    let in_thread = |world: &World, thread: Option<Seq>, reply_to: Option<Seq>| {
        let mut draft = Draft::new(Kind::Text, Content::text("x").unwrap());
        (draft.thread, draft.reply_to) = (thread, reply_to);
        world.command(bob, room, Action::Append(draft))
    };
    let child = world.store(in_thread(&world, Some(root), Some(root))).await.position.seq;
    assert_eq!(world.log(room).await[child.0 as usize - 1].thread, Some(root));
    for (thread, reply) in [(Some(child), None), (Some(Seq(1)), None), (Some(Seq(99)), None), (None, Some(Seq(99)))] {
        let command = in_thread(&world, thread, reply);
        assert_eq!(world.refusal(command).await.code, Code::TargetNotFound, "{thread:?} {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_never_goes_back_within_a_room() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    let room = world.direct(ada, bob).await;
    let late = world.text(ada, room, "late");
    let late = world.store(late).await.at;
    world.clock.fetch_sub(3_600_000_000, Ordering::SeqCst);
    let set_back = world.text(ada, room, "set back");
    assert_eq!(world.store(set_back).await.at, late);
    // Another room is not concerned; after a restart this one still holds its time.
    world.stop().await;
    world.start().await;
    let restarted = world.text(ada, room, "restarted");
    assert_eq!(world.store(restarted).await.at, late);
    let other = world.group(&[ada]).await;
    assert!(world.log(other).await[0].at < late);
    world.clock.fetch_add(7_200_000_000, Ordering::SeqCst);
    let later = world.text(ada, room, "later");
    assert_eq!(world.store(later).await.at, Timestamp::from_millis(late.as_millis() + 3_600_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_are_not_there_take_nothing() {
    let mut world = World::new().await;
    let [ada, bob] = people();
    for room in [RoomId::now(), RoomId::inbox_of(ada.user), RoomId::direct_of(ada.user, bob.user)] {
        let command = world.text(ada, room, "hello?");
        assert_eq!(world.refusal(command).await.code, Code::RoomNotFound);
        assert!(world.log(room).await.is_empty());
    }
}
