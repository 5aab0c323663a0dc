//! A gateway that holds many more than others asks some to come back elsewhere.

use futures_util::future::select_all;
use klatch_protocol::ServerFrame;
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, World, soon, until},
};

/// Enough to be worth it.
const MANY: usize = 120;

#[tokio::test]
async fn the_fullest_asks_a_few_at_a_time_and_waits_for_outcomes() {
    let world = World::new().await;
    let often = |settings: &mut klatch_settings::GatewaySettings| {
        settings.rebalance_ms = 100;
        settings.rebalance_percent = 6_000;
    };
    let full = world.gateway_with(often).await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut waiting = Client::greet(&world, &full, ada).await;
    let id = waiting.send(room.id, "no outcome yet").await;
    let command = world.command().await;
    let mut clients = Vec::new();
    for _ in 1..MANY {
        clients.push(Client::greet(&world, &full, Device::new()).await);
    }
    assert!((full.metric("klatch_gateway_shed_total")).abs() < f64::EPSILON, "there is nobody else");
    let _empty = world.gateway_with(often).await;
    let (frame, first, _) = soon("a hint", select_all(clients.iter_mut().map(|client| Box::pin(client.next())))).await;
    assert!(
        matches!(&frame, ServerFrame::Reconnect(hint) if hint.reason == "rebalance" && hint.after_ms >= 500),
        "{frame:?}"
    );
    assert_eq!(clients[first].closed().await, 4000);
    until("it holds too few to go on", || full.metric("klatch_gateway_connections") < 100.0).await;
    assert!(full.metric("klatch_gateway_connections") >= 80.0, "a few at a time");
    let event = room.store(&command);
    world.publish(vec![event, room.stored(&command)]).await;
    soon("the outcome", async {
        while !matches!(waiting.next().await, ServerFrame::Stored(stored) if stored.message_id == id) {}
    })
    .await;
}
