//! Two gateways: each hears what its users may see, and the outcomes of what it has published.

use klatch_bus::{EventReceiver, Received};
use klatch_domain::{Action, ConnectionId, Event, Incarnation, MessageId, ReplyAddress, Sender, Timestamp};

use super::world::{World, people, stored};

/// Everything a gateway hears up to the entry of this id.
async fn heard_until(receiver: &mut dyn EventReceiver, last: MessageId) -> Vec<Event> {
    let mut heard = Vec::new();
    loop {
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), receiver.receive());
        let Some(Received::Events(events)) = next.await.expect("the last event") else { panic!("events were lost") };
        heard.extend(events);
        if entries(&heard).contains(&last) {
            return heard;
        }
    }
}

fn entries(heard: &[Event]) -> Vec<MessageId> {
    let id = |event: &Event| match event {
        Event::Appended(appended) => Some(appended.entry.message_id),
        _ => None,
    };
    heard.iter().filter_map(id).collect()
}

fn outcomes(heard: &[Event]) -> Vec<MessageId> {
    let id = |event: &Event| match event {
        Event::Outcome(outcome) => Some(outcome.message_id),
        _ => None,
    };
    heard.iter().filter_map(id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_where_members_are_and_outcomes_to_who_asked() {
    let mut world = World::at_rest().await;
    let [ada, bob]: [Sender; 2] = people();
    let (mine, other) = (world.incarnation, Incarnation::now());
    let mut receiver = world.bus.events.subscribe(other, true).await;
    for (gateway, user) in [(mine, ada.user), (other, bob.user)] {
        world.bus.presence.renew(gateway).await.unwrap();
        world.bus.presence.set(gateway, &[(user, true)], Timestamp::from_millis(1)).await.unwrap();
    }
    world.start().await;
    let both = world.group(&[ada, bob]).await;
    let hers = world.group(&[ada]).await;
    let his = klatch_domain::RoomId::now();

    let to_both = world.text(ada, both, "both");
    let to_herself = world.text(ada, hers, "hers");
    let remove = world.command(ada, both, Action::RemoveMember { user: bob.user });
    let after = world.text(ada, both, "without bob");
    for command in [&to_both, &to_herself, &remove, &after] {
        world.store(command.clone()).await;
        world.appended(command.message_id).await;
    }
    let reply = Some(ReplyAddress { incarnation: other, connection: ConnectionId::now() });
    let mut create = world.command(bob, his, super::world::new_group(vec![]));
    let mut last = world.text(bob, his, "his");
    (create.reply, last.reply) = (reply, reply);
    world.publish(vec![create.clone(), last.clone()]).await;

    let heard = heard_until(&mut *receiver, last.message_id).await;
    let seen = entries(&heard);
    for command in [&to_both, &remove, &create] {
        assert!(seen.contains(&command.message_id), "bob's gateway misses {:?}", command.action);
    }
    for command in [&to_herself, &after] {
        assert!(!seen.contains(&command.message_id), "bob's gateway hears {:?}", command.action);
    }
    // What ada's gateway asked for is not told to bob's; his own is, with the entry or after it.
    let mut told = outcomes(&heard);
    while !told.contains(&last.message_id) {
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), receiver.receive());
        let Some(Received::Events(events)) = next.await.expect("its outcome") else { panic!("events were lost") };
        told.extend(outcomes(&events));
    }
    assert!(told.iter().all(|id| [create.message_id, last.message_id].contains(id)));
    let text = world.text(ada, hers, "end");
    stored(world.ask(text.clone()).await);
    world.appended(text.message_id).await;
    for event in world.heard() {
        match event {
            Event::Appended(appended) => assert_ne!(appended.room, his, "ada's gateway hears bob's room"),
            Event::Outcome(outcome) => assert_ne!(outcome.room, his),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_room_goes_to_those_who_hold_it_and_to_whoever_joins() {
    let mut world = World::at_rest().await;
    let presence = std::sync::Arc::clone(&world.bus.presence);
    let [holds, joins] = [Incarnation::now(), Incarnation::now()];
    let mut holding = world.bus.events.subscribe(holds, true).await;
    let mut joining = world.bus.events.subscribe(joins, true).await;
    for gateway in [world.incarnation, holds, joins].into_iter().chain((0..5).map(|_| Incarnation::now())) {
        presence.renew(gateway).await.unwrap();
        presence.keep_rooms(gateway, true).await.unwrap();
    }
    world.start().await;
    let members: [Sender; 40] = people();
    let ada = members[0];
    let room = world.group(&members).await;
    // Nobody holds it yet: everyone hears of it.
    let new = world.text(ada, room, "by the lane");
    world.store(new.clone()).await;
    world.appended(new.message_id).await;
    presence.hold_rooms(holds, &[(room, true)]).await.unwrap();
    world.forget_heard();
    let held = world.text(ada, room, "to one gateway");
    world.store(held.clone()).await;
    // Who joins may be on a gateway that knows nothing of the room.
    let [eve]: [Sender; 1] = people();
    presence.set(joins, &[(eve.user, true)], Timestamp::from_millis(1)).await.unwrap();
    let join = world.command(ada, room, Action::PutMember { user: eve.user, role: None });
    world.store(join.clone()).await;
    presence.hold_rooms(holds, &[(room, false)]).await.unwrap();
    let last = world.text(ada, room, "by the lane again");
    world.store(last.clone()).await;
    world.appended(last.message_id).await;

    let texts = [held.message_id, join.message_id, last.message_id];
    let of = |heard: Vec<Event>| entries(&heard).into_iter().filter(|id| texts.contains(id)).collect::<Vec<_>>();
    assert_eq!(of(heard_until(&mut *holding, last.message_id).await), texts);
    assert_eq!(of(heard_until(&mut *joining, last.message_id).await), [join.message_id, last.message_id]);
    let mine: Vec<_> = world.heard().cloned().collect();
    assert_eq!(of(mine), [], "a gateway without members hears nothing");
}
