//! Frames that are none, and those nobody knows.

use klatch_domain::Code;
use klatch_protocol::{ClientFrame, ErrorFrame, Ping, ServerFrame};
use klatch_tests::{
    gateway_client::{Client, Heard},
    gateway_world::{Device, World, soon},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

async fn error(client: &mut Client) -> ErrorFrame {
    match client.next().await {
        ServerFrame::Error(error) => error,
        other => panic!("expected an error: {other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_frame_is_an_error_the_connection_survives() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    for _ in 0..20 {
        client.say_text(r#"{"type":"dance","step":1}"#).await;
        assert_eq!(error(&mut client).await.code, Code::UnknownFrame);
    }
    client.is_quiet().await;
}

#[tokio::test]
async fn the_tenth_line_that_is_no_frame_is_the_last() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    for line in ["nonsense", "[1]", "{", "7", "\"x\"", "null", "{}", r#"{"type":7}"#, "{{"] {
        client.say_text(line).await;
        assert_eq!(error(&mut client).await.code, Code::ValidationFailed, "{line}");
    }
    client.is_quiet().await;
    client.say_text("nonsense\n{\"type\":\"ping\"}").await;
    assert_eq!(client.closed().await, 4500);
    // The error comes before the close; what came behind the tenth is not handled.
    let rest = client.rest();
    assert!(matches!(rest.as_slice(), [ServerFrame::Error(_)]), "{rest:?}");
}

#[tokio::test]
async fn wrong_fields_are_an_error_the_connection_survives() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    for _ in 0..3 {
        for line in [
            r#"{"type":"watch","rooms":"x"}"#,
            r#"{"type":"watermark"}"#,
            r#"{"type":"signal","room":"x","kind":"typing"}"#,
            r#"{"type":"refresh"}"#,
            r#"{"type":"send"}"#,
        ] {
            client.say_text(line).await;
            assert_eq!(error(&mut client).await.code, Code::ValidationFailed, "{line}");
        }
    }
    client.is_quiet().await;
}

#[tokio::test]
async fn errors_without_end_are_closed_4029() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    let lines = vec![r#"{"type":"x"}"#; 1_100].join("\n");
    client.say_text(&lines).await;
    assert_eq!(client.closed().await, 4029);
}

#[tokio::test]
async fn messages_that_are_not_spoken_here_close() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let large = "x".repeat(64 * 1024 + 1);
    for (message, code) in [(Message::binary(vec![1, 2]), 4500), (Message::text(large), 4509)] {
        let mut client = Client::greet(&world, &gateway, Device::new()).await;
        client.say_message(message).await;
        assert_eq!(client.closed().await, code);
    }
    // As large as may be.
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    let ping = ClientFrame::Ping(Ping::default()).encode();
    client.say_text(&format!("{ping}{}", " ".repeat(64 * 1024 - ping.len()))).await;
    assert!(matches!(client.next().await, ServerFrame::Pong(_)));
}

#[tokio::test]
async fn a_message_far_too_large_still_hears_why() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    // The server stops reading it as a message at its head; it must not reset the connection over the rest.
    client.say_message(Message::text("x".repeat(4 * 1024 * 1024))).await;
    assert_eq!(client.closed().await, 4509);
}

/// Speaks to the socket below the WebSocket.
async fn raw(client: &mut Client, bytes: &[u8]) -> Vec<u8> {
    let socket = client.socket.get_mut();
    socket.write_all(bytes).await.unwrap();
    let mut heard = Vec::new();
    soon("the end", socket.read_to_end(&mut heard)).await.unwrap();
    heard
}

#[tokio::test]
async fn text_that_is_no_utf_8_and_frames_against_the_rfc_are_closed_with_its_codes() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    // An invalid byte; an unmasked frame; a reserved bit; a fragmented ping.
    let cases: [(&[u8], u16); 4] = [
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0x81, 0x01, b'x'], 1002),
        (&[0xc1, 0x81, 0, 0, 0, 0, b'x'], 1002),
        (&[0x09, 0x80, 0, 0, 0, 0], 1002),
    ];
    for (bytes, code) in cases {
        let mut client = Client::greet(&world, &gateway, Device::new()).await;
        let heard = raw(&mut client, bytes).await;
        assert_eq!(heard[0], 0x88, "{bytes:?}");
        assert_eq!(heard[2..4], code.to_be_bytes(), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_ping_is_answered_on_both_layers() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    client.say(&ClientFrame::Ping(Ping { reference: Some("a \"b\"".to_owned()) })).await;
    match client.next().await {
        ServerFrame::Pong(pong) => assert_eq!(pong.reference.as_deref(), Some("a \"b\"")),
        other => panic!("{other:?}"),
    }
    client.say_message(Message::Ping("abc".into())).await;
    assert!(matches!(client.hear().await, Heard::Pong(payload) if payload == b"abc"));
}

#[tokio::test]
async fn a_message_in_fragments_is_one_message() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut client = Client::greet(&world, &gateway, Device::new()).await;
    let frame = ClientFrame::Ping(Ping::default()).encode();
    let (head, tail) = frame.as_bytes().split_at(5);
    let mut bytes = vec![0x01, 0x80 | head.len() as u8, 0, 0, 0, 0];
    bytes.extend_from_slice(head);
    client.socket.get_mut().write_all(&bytes).await.unwrap();
    // Something of the WebSocket layer between the fragments.
    client.socket.get_mut().write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert!(matches!(client.hear().await, Heard::Pong(_)));
    let mut bytes = vec![0x80, 0x80 | tail.len() as u8, 0, 0, 0, 0];
    bytes.extend_from_slice(tail);
    client.socket.get_mut().write_all(&bytes).await.unwrap();
    assert!(matches!(client.next().await, ServerFrame::Pong(_)));
    client.is_quiet().await;
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let client = Client::greet(&world, &gateway, Device::new()).await;
    client.close().await;
    assert_eq!(gateway.metric("klatch_gateway_closed_total{code=\"client\"}"), 1.0);
}
