//! `hello`, sessions and tokens.

use std::time::Duration;

use klatch_domain::{Code, Event, RoomId, limits};
use klatch_identity::LONGEST_TOKEN;
use klatch_protocol::{ClientFrame, Ping, Refresh, Resumed, ServerFrame};
use klatch_tests::{
    gateway_client::{Client, hello, send},
    gateway_world::{Device, Room, World, until},
};

#[tokio::test]
async fn welcome_says_who_and_how_much() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let device = Device::new();
    let (_client, welcome) = Client::greet_as(&world, &gateway, device).await;
    assert_eq!((welcome.user, welcome.session), (device.user, device.session));
    assert_eq!(welcome.inbox, RoomId::inbox_of(device.user));
    assert_eq!(welcome.resumed, Resumed::None);
    assert_eq!(welcome.limits.frame_bytes, 65_536);
    assert_eq!(welcome.limits.content_bytes, limits::CONTENT_BYTES as u64);
    assert_eq!((welcome.limits.in_flight, welcome.limits.sends_per_second), (512, 50));
    assert_eq!(welcome.heartbeat_ms, 30_000);
}

#[tokio::test]
async fn presence_knows_before_welcome_and_forgets_after_the_last() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let device = Device::new();
    let first = Client::greet(&world, &gateway, device).await;
    assert_eq!(world.bus.presence.gateways_of(&[device.user]).await.unwrap().gateways.len(), 1);
    let second = Client::greet(&world, &gateway, device.other()).await;
    first.close().await;
    until("one connection", || gateway.metric("klatch_gateway_connections") == 1.0).await;
    Client::greet(&world, &gateway, Device::new()).await;
    assert_eq!(world.bus.presence.gateways_of(&[device.user]).await.unwrap().gateways.len(), 1);
    second.close().await;
    klatch_tests::gateway_world::soon("presence to forget", async {
        while !world.bus.presence.gateways_of(&[device.user]).await.unwrap().gateways.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn another_first_frame_or_none_in_time_is_closed_4501() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.hello_timeout_ms = 300).await;
    for first in [&ClientFrame::Ping(Ping::default()).encode(), "nonsense", r#"{"type":"hello"}"#] {
        let mut client = Client::connect(&gateway).await;
        client.say_text(first).await;
        assert_eq!(client.closed().await, 4501, "{first}");
    }
    let mut silent = Client::connect(&gateway).await;
    assert_eq!(silent.closed().await, 4501);
}

#[tokio::test]
async fn a_second_hello_is_an_error_the_connection_survives() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let device = Device::new();
    let mut client = Client::greet(&world, &gateway, device).await;
    client.say(&hello(&world.token(device))).await;
    match client.next().await {
        ServerFrame::Error(error) => assert_eq!(error.code, Code::ValidationFailed),
        other => panic!("{other:?}"),
    }
    client.is_quiet().await;
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_closed_4401() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let expired = world.token(Device::new());
    world.pass(limits::ACCESS_TOKEN_LIFETIME);
    for token in [expired.as_str(), "rubbish"] {
        let mut client = Client::connect(&gateway).await;
        client.say(&hello(token)).await;
        assert_eq!(client.closed().await, 4401, "{token}");
    }
}

#[tokio::test]
async fn what_is_sent_behind_hello_at_once_is_handled_and_welcome_comes_first() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let device = Device::new();
    let mut room = Room::small(&[device]);
    let mut client = Client::connect(&gateway).await;
    let id = klatch_domain::MessageId::now();
    client
        .say_all(&[hello(&world.token(device)), send(room.id, id, "at once"), ClientFrame::Ping(Ping::default())])
        .await;
    let command = world.command().await;
    assert_eq!(command.message_id, id);
    let event = room.store(&command);
    world.publish(vec![event, room.stored(&command)]).await;
    client.welcome().await;
    assert!(matches!(client.next().await, ServerFrame::Pong(_)));
    assert!(matches!(client.next().await, ServerFrame::Stored(_)));
}

#[tokio::test]
async fn a_revoked_session_is_closed_at_once_and_not_let_in_again() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let device = Device::new();
    let mut client = Client::greet(&world, &gateway, device).await;
    let mut other = Client::greet(&world, &gateway, device.other()).await;
    world.publish(vec![Event::SessionRevoked { session: device.session, user: device.user }]).await;
    assert_eq!(client.closed().await, 4503);
    let mut again = Client::connect(&gateway).await;
    again.say(&hello(&world.token(device))).await;
    assert_eq!(again.closed().await, 4503);
    other.is_quiet().await;
    assert_eq!(gateway.metric("klatch_gateway_closed_total{code=\"4503\"}"), 2.0);
}

#[tokio::test]
async fn what_was_revoked_before_the_gateway_started_is_known() {
    let world = World::new().await;
    let device = Device::new();
    world.queries.revoke(device.session, device.user, world.now());
    let gateway = world.gateway().await;
    let mut client = Client::connect(&gateway).await;
    client.say(&hello(&world.token(device))).await;
    assert_eq!(client.closed().await, 4503);
}

#[tokio::test]
async fn a_revocation_is_known_for_as_long_as_any_token_of_its_session_may_live() {
    let world = World::new().await;
    let device = Device::new();
    let token = world.keys.issue_for(device.user, device.session, world.now(), LONGEST_TOKEN).unwrap();
    world.queries.revoke(device.session, device.user, world.now());
    world.pass(LONGEST_TOKEN - Duration::from_secs(60));
    let gateway = world.gateway().await;
    let mut client = Client::connect(&gateway).await;
    client.say(&hello(&token)).await;
    assert_eq!(client.closed().await, 4503);
}

#[tokio::test]
async fn a_token_that_expires_closes_4401_unless_a_newer_one_came() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.hello_timeout_ms = 400).await;
    let fresh = Device::new();
    let mut refreshes = Client::greet(&world, &gateway, fresh).await;
    // One for each part of the connections that is looked at by itself: when the last is closed, so would the first be.
    let mut expire = Vec::new();
    for _ in 0..16 {
        expire.push(Client::greet(&world, &gateway, Device::new()).await);
    }
    world.pass(limits::ACCESS_TOKEN_LIFETIME / 2);
    refreshes.say(&ClientFrame::Refresh(Refresh { token: world.token(fresh) })).await;
    refreshes.is_quiet().await;
    world.pass(limits::ACCESS_TOKEN_LIFETIME / 2 + Duration::from_secs(3));
    for mut expires in expire {
        assert_eq!(expires.closed().await, 4401);
    }
    refreshes.is_quiet().await;
    world.pass(limits::ACCESS_TOKEN_LIFETIME / 2 + Duration::from_secs(3));
    assert_eq!(refreshes.closed().await, 4401);
}

#[tokio::test]
async fn a_token_of_another_session_refreshes_nothing() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let device = Device::new();
    let mut client = Client::greet(&world, &gateway, device).await;
    for token in [world.token(device.other()), "rubbish".to_owned()] {
        client.say(&ClientFrame::Refresh(Refresh { token })).await;
        match client.next().await {
            ServerFrame::Error(error) => assert_eq!(error.code, Code::Unauthenticated),
            other => panic!("{other:?}"),
        }
    }
    client.is_quiet().await;
    // Each token costs a signature check: they are limited.
    for _ in 0..4 {
        client.say(&ClientFrame::Refresh(Refresh { token: world.token(device) })).await;
    }
    match client.next().await {
        ServerFrame::Error(error) => assert_eq!(error.code, Code::RateLimited),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_user_has_a_bounded_number_of_connections() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.limits.connections_per_user = 2).await;
    let device = Device::new();
    let _first = Client::greet(&world, &gateway, device).await;
    let _second = Client::greet(&world, &gateway, device.other()).await;
    let mut third = Client::connect(&gateway).await;
    third.say(&hello(&world.token(device.other()))).await;
    assert_eq!(third.closed().await, 4029);
    Client::greet(&world, &gateway, Device::new()).await;
}

#[tokio::test]
async fn the_place_of_a_connection_that_is_gone_is_taken_again() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut places = std::collections::HashSet::new();
    for _ in 0..8 {
        let (client, welcome) = Client::greet_as(&world, &gateway, Device::new()).await;
        let id = welcome.connection;
        places.insert(id.as_bytes()[12..].to_vec());
        client.close().await;
        until("it to be gone", || gateway.metric("klatch_gateway_connections") == 0.0).await;
    }
    // The place is given back a moment before the count is, so now and then two are in use.
    assert!(places.len() <= 2, "{places:?}");
}

#[tokio::test]
async fn the_server_pings_and_closes_who_is_silent_for_two_heartbeats() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.heartbeat_ms = 400).await;
    let mut answers = Client::greet(&world, &gateway, Device::new()).await;
    let mut silent = Client::greet(&world, &gateway, Device::new()).await;
    // This one is not polled, so it answers no ping; the other is polled all the time.
    let mut pings = 0;
    while gateway.metric("klatch_gateway_closed_total{code=\"4009\"}") < 1.0 {
        if matches!(answers.hear().await, klatch_tests::gateway_client::Heard::Ping) {
            pings += 1;
        }
    }
    assert!(pings > 0);
    assert_eq!(silent.closed().await, 4009);
    answers.is_quiet().await;
}
