//! The upgrade, and who is turned away before it.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use hyper_util::rt::TokioIo;
use klatch_protocol::{SUBPROTOCOL, http::Problem};
use klatch_tests::{
    gateway_client::{Client, hello},
    gateway_world::{Device, World, soon, until},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::Error;
use tower::ServiceExt;

async fn turned_away(gateway: &klatch_tests::gateway_world::Running) -> (StatusCode, Option<String>) {
    let socket = TcpStream::connect(gateway.address).await.unwrap();
    match Client::upgrade(socket, gateway.address, Some(SUBPROTOCOL)).await {
        Err(Error::Http(response)) => {
            let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            (response.status(), retry_after)
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("let in"),
    }
}

#[tokio::test]
async fn a_request_without_a_handshake_is_told_what_is_missing() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let upgrade =
        Request::get("/v1/connect").header("connection", "keep-alive, Upgrade").header("upgrade", "websocket");
    let old =
        upgrade.header("sec-websocket-version", "8").header("sec-websocket-key", "x").body(Body::empty()).unwrap();
    for request in [Request::get("/v1/connect").body(Body::empty()).unwrap(), old] {
        let response = gateway.gateway.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(response.headers()["sec-websocket-version"], "13");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!((problem.code, problem.status), (klatch_domain::Code::ValidationFailed, 426));
    }
}

#[tokio::test]
async fn a_good_handshake_over_no_socket_is_refused() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let request = Request::get("/v1/connect")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", SUBPROTOCOL);
    let response = gateway.gateway.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test]
async fn a_transport_that_is_no_tcp_socket_is_closed_clearly() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let (mut near, far) = duplex(10_000);
    let router = gateway.gateway.router();
    tokio::spawn(async move {
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
        connection.with_upgrades().await
    });
    let request = "GET /v1/connect HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: klatch.v1+json\r\n\r\n";
    near.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    soon("the end", near.read_to_end(&mut all)).await.unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    // The sample of RFC 6455 section 1.3.
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(head.contains("sec-websocket-protocol: klatch.v1+json"), "{head}");
    assert_eq!(all[end..end + 4], [0x88, 2 + 29, 0x03, 0xf3], "a close frame with 1011");
}

#[tokio::test]
async fn the_server_of_klatch_up_hands_over_its_sockets_too() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = gateway.gateway.router();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        connection.with_upgrades().await
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let mut client = Client::upgrade(socket, address, Some("other, klatch.v1+json")).await.unwrap();
    client.say(&hello(&world.token(Device::new()))).await;
    client.welcome().await;
}

#[tokio::test]
async fn what_follows_the_request_in_the_same_packet_is_not_lost() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    let mut all = b"GET /v1/connect HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: klatch.v1+json\r\n\r\n"
        .to_vec();
    let frame = hello(&world.token(Device::new())).encode();
    // Masked with zeros.
    all.extend([0x81, 0x80 | 126]);
    all.extend((frame.len() as u16).to_be_bytes());
    all.extend([0; 4]);
    all.extend(frame.as_bytes());
    socket.write_all(&all).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("\"type\":\"welcome\"") {
        assert!(soon("welcome", socket.read_buf(&mut heard)).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn who_offers_no_protocol_of_ours_is_closed_4505() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let socket = TcpStream::connect(gateway.address).await.unwrap();
    let mut client = Client::upgrade(socket, gateway.address, None).await.unwrap();
    assert_eq!(client.closed().await, 4505);
    // A client that offers protocols and is given none closes by itself (RFC 6455 section 4.1), so this one speaks by hand.
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    let request = "GET /v1/connect HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: klatch.v9+json\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    soon("the end", socket.read_to_end(&mut all)).await.unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(!String::from_utf8_lossy(&all[..end]).to_lowercase().contains("sec-websocket-protocol"));
    assert_eq!(all[end], 0x88);
    assert_eq!(all[end + 2..end + 4], 4505u16.to_be_bytes());
}

#[tokio::test]
async fn a_full_gateway_says_when_to_come_back() {
    let world = World::new().await;
    let gateway = world.gateway_with(|settings| settings.max_connections = 1).await;
    let first = Client::greet(&world, &gateway, Device::new()).await;
    assert_eq!(turned_away(&gateway).await, (StatusCode::SERVICE_UNAVAILABLE, Some("2".to_owned())));
    first.close().await;
    until("the place to be free", || gateway.metric("klatch_gateway_connections") == 0.0).await;
    Client::greet(&world, &gateway, Device::new()).await;
    assert_eq!(gateway.metric("klatch_gateway_turned_away_total{reason=\"full\"}"), 1.0);
}

#[tokio::test]
async fn nobody_is_let_in_before_revocations_are_known() {
    let world = World::new().await;
    world.queries.fail(true);
    let gateway = world.gateway().await;
    assert!(!gateway.gateway.ready());
    assert_eq!(turned_away(&gateway).await.0, StatusCode::SERVICE_UNAVAILABLE);
    world.queries.fail(false);
    until("readiness", || gateway.gateway.ready()).await;
    Client::greet(&world, &gateway, Device::new()).await;
}
