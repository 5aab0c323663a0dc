//! What leaves a gateway, byte by byte: blocks, slow readers, pongs.

use klatch_domain::Event;
use klatch_protocol::{ServerFrame, lines};
use klatch_tests::{
    gateway_client::{Client, Heard},
    gateway_world::{Device, Room, World, until},
};
use tokio_tungstenite::tungstenite::Message;

/// Events of one published batch.
fn many(room: &mut Room, from: Device, count: usize, text: &str) -> Vec<Event> {
    (0..count).map(|_| room.say(from, text)).collect()
}

async fn text(client: &mut Client) -> String {
    loop {
        match client.hear().await {
            Heard::Text(text) => return text,
            Heard::Ping | Heard::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_arrives_together_is_one_message_of_lines() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (ada, ben) = (Device::new(), Device::new());
    for mut room in [Room::small(&[ada, ben]), Room::large(&[ada, ben])] {
        world.queries.know(&room);
        let mut other = Room::small(&[ben]);
        let mut client = Client::greet(&world, &gateway, ben).await;
        // Known from now on.
        world.publish(vec![room.say(ada, "first")]).await;
        assert_eq!(lines(&text(&mut client).await).count(), 1);
        // Two rooms at once are one message too.
        let mut events = many(&mut room, ada, 20, "x");
        events.push(other.say(ada, "y"));
        world.publish(events).await;
        let message = text(&mut client).await;
        assert!(!message.ends_with('\n') && !message.contains("\n\n"));
        assert_eq!(message.split('\n').count(), 21);
        let seqs: Vec<_> = lines(&message)
            .filter_map(|line| match ServerFrame::decode(line).unwrap() {
                ServerFrame::Message(message) if message.room == room.id => Some(message.entry.position.seq.0),
                _ => None,
            })
            .collect();
        assert_eq!(seqs, (3..=22).collect::<Vec<_>>());
        // An idle connection's frame leaves alone, at once.
        world.publish(vec![room.say(ada, "alone")]).await;
        assert_eq!(lines(&text(&mut client).await).count(), 1);
    }
}

#[tokio::test]
async fn senders_get_the_block_without_their_own() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    // More than the few for whom a block is not shared.
    let devices: Vec<_> = (0..6).map(|_| Device::new()).collect();
    for (round, mut room) in [Room::small(&devices), Room::large(&devices)].into_iter().enumerate() {
        world.queries.know(&room);
        let mut clients = Vec::new();
        for device in &devices {
            clients.push(Client::greet(&world, &gateway, *device).await);
        }
        // Three of them say something, one of them twice.
        let mut commands = Vec::new();
        for sender in [0, 1, 0, 2] {
            clients[sender].send(room.id, &format!("{round}-{}", commands.len())).await;
            commands.push(world.command().await);
        }
        let mut events = Vec::new();
        for command in &commands {
            events.push(room.store(command));
            events.push(room.stored(command));
        }
        world.publish(events).await;
        let all = |skip: &[usize]| -> Vec<String> {
            (0..4).filter(|index| !skip.contains(index)).map(|index| format!("{round}-{index}")).collect()
        };
        let expected = [all(&[0, 2]), all(&[1]), all(&[3]), all(&[]), all(&[]), all(&[])];
        for (client, expected) in clients.iter_mut().zip(expected) {
            let mut stored = 0;
            let mut heard = Vec::new();
            while heard.len() < expected.len() || stored + heard.len() < 4 {
                match client.next().await {
                    ServerFrame::Stored(_) => stored += 1,
                    ServerFrame::Message(message) => {
                        let content: serde_json::Value = message.entry.content.read().unwrap();
                        heard.push(content["text"].as_str().unwrap().to_owned());
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(heard, expected);
            client.is_quiet().await;
        }
    }
}

#[tokio::test]
async fn a_slow_reader_is_closed_4008_and_nobody_else_is_concerned() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.output_bytes = 200_000).await;
    let (ada, ben, cyd) = (Device::new(), Device::new(), Device::new());
    let mut room = Room::small(&[ben, cyd]);
    let mut slow = Client::connect_narrow(&gateway).await;
    slow.say(&klatch_tests::gateway_client::hello(&world.token(ben))).await;
    slow.welcome().await;
    let mut quick = Client::greet(&world, &gateway, cyd).await;
    let long = "x".repeat(30_000);
    let mut sent = 0;
    // However much the kernel buffers: the queue in the gateway is what must stay bounded.
    while gateway.metric("klatch_gateway_closed_total{code=\"4008\"}") == 0.0 {
        // Some 30 MB: several times what a kernel buffers, and the heartbeat is not what closes it.
        assert!(sent < 1_000, "the slow reader is never closed");
        world.publish(many(&mut room, ada, 4, &long)).await;
        for _ in 0..4 {
            assert_eq!(quick.text().await, long);
        }
        sent += 4;
    }
    world.publish(vec![room.say(ada, "on")]).await;
    assert_eq!(quick.text().await, "on");
    // What the kernel had taken arrives in order and whole; then the close frame, then the end.
    let code = slow.closed().await;
    assert_eq!(code, 4008);
    let seqs: Vec<_> = slow
        .rest()
        .iter()
        .map(|frame| match frame {
            ServerFrame::Message(message) => message.entry.position.seq.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, (2..2 + seqs.len() as u64).collect::<Vec<_>>());
    assert!(seqs.len() < sent);
}

#[tokio::test]
async fn a_reader_that_never_reads_again_is_dropped_in_the_end() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.output_bytes = 100_000).await;
    let ben = Device::new();
    let mut room = Room::small(&[ben]);
    let mut stuck = Client::connect_narrow(&gateway).await;
    stuck.say(&klatch_tests::gateway_client::hello(&world.token(ben))).await;
    stuck.welcome().await;
    let long = "x".repeat(30_000);
    while gateway.metric("klatch_gateway_closed_total{code=\"4008\"}") == 0.0 {
        world.publish(many(&mut room, ben, 16, &long)).await;
        tokio::task::yield_now().await;
    }
    until("the socket to be gone", || gateway.metric("klatch_gateway_connections") == 0.0).await;
    assert_eq!(gateway.metric("klatch_gateway_dropped_total{what=\"lingering\"}"), 1.0);
}

#[tokio::test]
async fn while_a_write_is_pending_what_comes_is_gathered_and_pongs_keep_out_of_it() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.output_bytes = 64 * 1024 * 1024).await;
    let (ada, ben) = (Device::new(), Device::new());
    let mut room = Room::small(&[ben]);
    let mut client = Client::connect_narrow(&gateway).await;
    client.say(&klatch_tests::gateway_client::hello(&world.token(ben))).await;
    client.welcome().await;
    let before = gateway.metric("klatch_gateway_bytes_out_total");
    // Fill the kernel's buffers until writes stop going through.
    let long = "x".repeat(20_000);
    let mut sent = 0;
    let mut written = before;
    let mut still = 0;
    while still < 20 {
        world.publish(many(&mut room, ada, 8, &long)).await;
        sent += 8;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let now = gateway.metric("klatch_gateway_bytes_out_total");
        still = if now == written { still + 1 } else { 0 };
        written = now;
    }
    // Single frames, one after the other, and pings between them.
    for _ in 0..50 {
        world.publish(vec![room.say(ada, "short")]).await;
        sent += 1;
        client.say_message(Message::Ping("p".into())).await;
        tokio::task::yield_now().await;
    }
    let mut frames = 0;
    let mut pongs = 0;
    let mut short_messages = 0;
    while frames < sent {
        match client.hear().await {
            Heard::Text(text) => {
                assert!(text.len() <= 64 * 1024);
                // A pong inside a message would make it no JSON.
                let decoded: Vec<_> = lines(&text).map(|line| ServerFrame::decode(line).unwrap()).collect();
                assert!(!decoded.is_empty());
                frames += decoded.len();
                short_messages += usize::from(text.contains("short"));
            }
            Heard::Pong(_) => pongs += 1,
            Heard::Ping => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(pongs > 0);
    assert!(short_messages < 50, "50 single frames were written one by one: {short_messages}");
}
