//! Going away.

use klatch_protocol::{SUBPROTOCOL, ServerFrame};
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, World, soon, until},
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

#[tokio::test]
async fn everyone_is_told_when_to_come_back_and_closed_4000() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(Client::greet(&world, &gateway, Device::new()).await);
    }
    let listen = async {
        let mut hints = Vec::new();
        for client in &mut clients {
            match client.next().await {
                ServerFrame::Reconnect(reconnect) => {
                    assert_eq!(reconnect.reason, "drain");
                    hints.push(reconnect.after_ms);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(client.closed().await, 4000);
        }
        hints
    };
    let (hints, ()) = soon("the drain", async { tokio::join!(listen, gateway.gateway.drain()) }).await;
    assert!(hints.iter().all(|hint| *hint >= 500));
    assert!(hints.iter().any(|hint| *hint != hints[0]), "they must not come back all at once: {hints:?}");
    assert!(!gateway.gateway.ready());
    let socket = TcpStream::connect(gateway.address).await.unwrap();
    match Client::upgrade(socket, gateway.address, Some(SUBPROTOCOL)).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key("retry-after"));
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("let in"),
    }
}

#[tokio::test]
async fn what_was_taken_is_published_and_its_outcome_awaited() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    let id = client.send(room.id, "last").await;
    let command = world.command().await;
    let talk = async {
        assert!(matches!(client.next().await, ServerFrame::Reconnect(_)));
        let event = room.store(&command);
        world.publish(vec![event, room.stored(&command)]).await;
        assert!(matches!(client.next().await, ServerFrame::Stored(stored) if stored.message_id == id));
        assert_eq!(client.closed().await, 4000);
    };
    soon("the drain", async { tokio::join!(talk, gateway.gateway.drain()) }).await;
    assert!(world.bus.presence.gateways_of(&[ada.user]).await.unwrap().gateways.is_empty());
    assert_eq!(world.bus.presence.gateways_of(&[]).await.unwrap().live, 0);
}

#[tokio::test]
async fn a_client_that_does_not_listen_does_not_hold_up_a_drain() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.drain_ms = 300).await;
    let ada = Device::new();
    let mut room = Room::small(&[ada]);
    let mut client = Client::greet(&world, &gateway, ada).await;
    client.send(room.id, "no outcome").await;
    world.command().await;
    let long = "x".repeat(30_000);
    world.publish((0..10).map(|_| room.say(ada, &long)).collect()).await;
    soon("the drain", gateway.gateway.drain()).await;
    until("the sockets to be gone", || gateway.metric("klatch_gateway_connections") == 0.0).await;
}

#[tokio::test]
async fn a_dropped_gateway_leaves_nothing_running() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    let metrics = gateway.metrics.clone();
    drop(gateway);
    assert!(matches!(client.hear().await, klatch_tests::gateway_client::Heard::Gone));
    until("the socket to be gone", || {
        let text = prometheus::TextEncoder::new().encode_to_string(&metrics.gather()).unwrap();
        text.contains("klatch_gateway_connections 0")
    })
    .await;
}
