//! Who gets an entry: the members, by the version the entry names, and nobody else.

use klatch_domain::{Code, Event, MessageId};
use klatch_protocol::{ClientFrame, ServerFrame, SignalOut, Watch};
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, World, until},
};

fn watch(room: &Room) -> ClientFrame {
    ClientFrame::Watch(Watch { rooms: vec![room.id], presence: Vec::new() })
}

#[tokio::test]
async fn members_of_a_large_room_are_asked_for_once_and_entries_keep_their_order() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben, cyd) = (Device::new(), Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    let mut member = Client::greet(&world, &gateway, ben).await;
    let mut stranger = Client::greet(&world, &gateway, cyd).await;
    let mut marker = Room::small(&[ben, cyd]);
    world.queries.hold(true);
    for text in ["1", "2", "3"] {
        world.publish(vec![room.say(ada, text)]).await;
    }
    world.publish(vec![marker.say(ada, "marker")]).await;
    // Another room does not wait for the answer.
    assert_eq!(member.text().await, "marker");
    world.queries.hold(false);
    world.publish(vec![room.say(ada, "4")]).await;
    for text in ["1", "2", "3", "4"] {
        assert_eq!(member.text().await, text);
    }
    world.publish(vec![marker.say(ada, "end")]).await;
    assert_eq!(stranger.text().await, "marker");
    assert_eq!(stranger.text().await, "end");
    assert_eq!(world.queries.asked_members(), 1);
}

#[tokio::test]
async fn who_connects_later_gets_what_comes_later() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    let mut first = Client::greet(&world, &gateway, ada).await;
    world.publish(vec![room.say(ben, "1")]).await;
    assert_eq!(first.text().await, "1");
    let mut second = Client::greet(&world, &gateway, ben).await;
    let mut third = Client::greet(&world, &gateway, ben.other()).await;
    world.publish(vec![room.say(ada, "2")]).await;
    for client in [&mut first, &mut second, &mut third] {
        assert_eq!(client.text().await, "2");
    }
    third.close().await;
    until("the third to be gone", || gateway.metric("klatch_gateway_connections") == 2.0).await;
    world.publish(vec![room.say(ada, "3")]).await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.text().await, "3");
    }
    assert_eq!(world.queries.asked_members(), 1);
}

#[tokio::test]
async fn a_removed_member_gets_nothing_from_the_removal_on() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    for small in [true, false] {
        let (ada, ben) = (Device::new(), Device::new());
        let mut room = if small { Room::small(&[ada, ben]) } else { Room::large(&[ada, ben]) };
        world.queries.know(&room);
        let mut stays = Client::greet(&world, &gateway, ada).await;
        let mut goes = Client::greet(&world, &gateway, ben).await;
        world.publish(vec![room.say(ada, "1")]).await;
        assert_eq!(stays.text().await, "1");
        assert_eq!(goes.text().await, "1");
        for client in [&mut stays, &mut goes] {
            client.say(&watch(&room)).await;
            client.is_quiet().await;
        }
        let removal = room.remove(ben.user, ada);
        world.queries.know(&room);
        let mut marker = Room::small(&[ben]);
        world.publish(vec![removal, room.say(ada, "2"), marker.say(ben, "marker")]).await;
        assert_eq!(stays.text().await, "member_left");
        assert_eq!(stays.text().await, "2");
        assert_eq!(goes.text().await, "marker");
        // Nor signals: the watch ended with the membership.
        let signal = SignalOut { room: room.id, kind: "typing".into(), payload: None, ttl_ms: None };
        let mut tablet = Client::greet(&world, &gateway, ada.other()).await;
        tablet.say(&ClientFrame::Signal(signal)).await;
        assert!(matches!(stays.next().await, ServerFrame::Signal(_)));
        goes.is_quiet().await;
    }
}

#[tokio::test]
async fn the_news_of_a_removal_may_be_lost_without_harm() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    let mut stays = Client::greet(&world, &gateway, ada).await;
    let mut goes = Client::greet(&world, &gateway, ben).await;
    world.publish(vec![room.say(ada, "1")]).await;
    assert_eq!(stays.text().await, "1");
    assert_eq!(goes.text().await, "1");
    let _lost = room.remove(ben.user, ada);
    world.queries.know(&room);
    let mut marker = Room::small(&[ben]);
    world.publish(vec![room.say(ada, "2")]).await;
    assert_eq!(stays.text().await, "2");
    world.publish(vec![marker.say(ben, "marker")]).await;
    assert_eq!(goes.text().await, "marker");
    assert_eq!(world.queries.asked_members(), 2);
}

#[tokio::test]
async fn when_members_cannot_be_learned_a_position_follows_later() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::large(&[ada]);
    world.queries.know(&room);
    let mut client = Client::greet(&world, &gateway, ada).await;
    world.queries.fail(true);
    world.publish(vec![room.say(ada, "1"), room.say(ada, "2")]).await;
    until("the entries to be given up", || gateway.metric("klatch_gateway_dropped_total{what=\"entries\"}") == 2.0)
        .await;
    world.queries.know(&room);
    world.queries.fail(false);
    match client.next().await {
        ServerFrame::Position(position) => {
            assert_eq!((position.room, (position.head, position.head_ordinal)), (room.id, room.head()));
        }
        other => panic!("{other:?}"),
    }
    world.publish(vec![room.say(ada, "3")]).await;
    assert_eq!(client.text().await, "3");
}

#[tokio::test]
async fn more_entries_than_may_wait_end_in_a_position_and_what_came_after_it() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::large(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    world.queries.hold(true);
    let many: Vec<_> = (0..300).map(|number| room.say(ada, &number.to_string())).collect();
    world.publish(many).await;
    until("the overflow", || gateway.metric("klatch_gateway_dropped_total{what=\"entries\"}") > 0.0).await;
    world.queries.know(&room);
    world.queries.hold(false);
    let first = match client.next().await {
        ServerFrame::Position(position) => position.head.seq.0,
        other => panic!("{other:?}"),
    };
    // Nothing between the position and the end is missing.
    for seq in first + 1..=room.seq {
        match client.next().await {
            ServerFrame::Message(message) => assert_eq!(message.entry.position.seq.0, seq),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_deleted_room_is_forgotten() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::small(&[ada, ben]);
    world.queries.know(&room);
    let mut client = Client::greet(&world, &gateway, ada).await;
    client.say(&watch(&room)).await;
    world.publish(vec![room.say(ada, "1")]).await;
    assert_eq!(client.text().await, "1");
    world.publish(vec![room.say(ada, "last"), Event::RoomDeleted { room: room.id }]).await;
    assert_eq!(client.text().await, "last");
    until("the room to be gone", || gateway.metric("klatch_gateway_rooms") == 0.0).await;
    let mut marker = Room::small(&[ada]);
    world.publish(vec![marker.say_as(ben, MessageId::now(), "marker")]).await;
    assert_eq!(client.text().await, "marker");
}

#[tokio::test]
async fn an_answer_older_than_an_event_delivers_nothing_to_who_was_removed() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    world.queries.know(&room);
    let mut stays = Client::greet(&world, &gateway, ada).await;
    let mut goes = Client::greet(&world, &gateway, ben).await;
    // Whoever answers has not heard of the removal yet.
    let removal = room.remove(ben.user, ada);
    world.publish(vec![removal]).await;
    until("the question", || world.queries.asked_members() == 1).await;
    world.queries.know(&room);
    match stays.next().await {
        ServerFrame::Position(position) => assert_eq!((position.head, position.head_ordinal), room.head()),
        other => panic!("{other:?}"),
    }
    goes.is_quiet().await;
}

#[tokio::test]
async fn who_was_removed_signals_nobody_while_the_members_are_asked_for() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    let mut marker = Room::small(&[ben]);
    world.queries.know(&room);
    let mut stays = Client::greet(&world, &gateway, ada).await;
    let mut goes = Client::greet(&world, &gateway, ben).await;
    world.publish(vec![room.say(ada, "1")]).await;
    assert_eq!(stays.text().await, "1");
    assert_eq!(goes.text().await, "1");
    stays.say(&watch(&room)).await;
    stays.is_quiet().await;
    world.queries.hold(true);
    let removal = room.remove(ben.user, ada);
    world.queries.know(&room);
    world.publish(vec![removal, marker.say(ben, "marker")]).await;
    assert_eq!(goes.text().await, "marker");
    let signal = SignalOut { room: room.id, kind: "typing".into(), payload: None, ttl_ms: None };
    goes.say(&ClientFrame::Signal(signal)).await;
    goes.is_quiet().await;
    world.queries.hold(false);
    match goes.next().await {
        ServerFrame::Error(error) => assert_eq!(error.code, Code::RoomNotFound),
        other => panic!("{other:?}"),
    }
    assert_eq!(stays.text().await, "member_left");
    stays.is_quiet().await;
}

#[tokio::test]
async fn an_entry_that_names_its_members_waits_behind_those_that_do_not() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::large(&[ada, ben]);
    let mut marker = Room::small(&[ben]);
    world.queries.know(&room);
    let mut client = Client::greet(&world, &gateway, ben).await;
    world.queries.hold(true);
    let first = room.say(ada, "1");
    room.small = true;
    world.publish(vec![first]).await;
    until("the question", || world.queries.asked_members() == 1).await;
    world.publish(vec![room.say(ada, "2"), marker.say(ada, "marker")]).await;
    assert_eq!(client.text().await, "marker");
    world.queries.hold(false);
    for text in ["1", "2"] {
        assert_eq!(client.text().await, text);
    }
}
