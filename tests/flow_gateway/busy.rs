//! Slots that take nothing just now.

use std::sync::Arc;

use klatch_domain::{Code, Event, RoomId, Slot};
use klatch_protocol::ServerFrame;
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, World},
};

use super::send::refused;

#[tokio::test]
async fn a_busy_slot_is_refused_before_anything_is_published() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut marker = Room::small(&[ada]);
    let room = loop {
        let room = RoomId::now();
        if Slot::of(room, 256) != Slot::of(marker.id, 256) {
            break room;
        }
    };
    let slots = Arc::from([Slot::of(room, 256)]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    let busy = Event::SlotsBusy { slots: Arc::clone(&slots), retry_after_ms: 900 };
    world.publish(vec![busy, marker.say(ada, "marker")]).await;
    assert_eq!(client.text().await, "marker");
    // The events of a batch that are no entries come behind them: one more, to be sure.
    world.publish(vec![marker.say(ada, "marker")]).await;
    assert_eq!(client.text().await, "marker");
    let id = client.send(room, "x").await;
    match client.next().await {
        ServerFrame::Busy(busy) => assert!(busy.room == Some(room) && busy.retry_after_ms >= 900, "{busy:?}"),
        other => panic!("{other:?}"),
    }
    let first = refused(&mut client).await;
    assert_eq!((first.message_id, first.code), (id, Code::Busy));
    assert!(first.retry_after_ms >= Some(900));
    // What waits for it is not told to come before it.
    let second = client.send(room, "y").await;
    let second_refused = refused(&mut client).await;
    assert_eq!(second_refused.message_id, second);
    assert!(second_refused.retry_after_ms >= Some(900), "{second_refused:?}");
    let elsewhere = client.send(marker.id, "y").await;
    assert_eq!(world.command().await.message_id, elsewhere);
    world.publish(vec![Event::SlotsBusy { slots, retry_after_ms: 0 }]).await;
    for _ in 0..2 {
        world.publish(vec![marker.say(ada, "marker")]).await;
        assert_eq!(client.text().await, "marker");
    }
    client.send_as(room, id, "x").await;
    assert_eq!(world.command().await.message_id, id);
}
