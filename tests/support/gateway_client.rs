//! A WebSocket client that says and hears what a test wants.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "for tests only")]

use std::{collections::VecDeque, net::SocketAddr};

use futures_util::{SinkExt, StreamExt};
use klatch_domain::{Content, Kind, MessageId, RoomId};
use klatch_protocol::{ClientFrame, Hello, Ping, SUBPROTOCOL, Send, ServerFrame, Welcome, lines};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::HeaderValue,
        protocol::{WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::gateway_world::{Device, Running, World, soon};

pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    frames: VecDeque<ServerFrame>,
}

/// What a client hears.
#[derive(Debug)]
pub enum Heard {
    Text(String),
    Ping,
    Pong(Vec<u8>),
    /// The close frame's code.
    Closed(u16),
    /// The end, without a close frame.
    Gone,
}

impl Client {
    /// Connects, without a word.
    pub async fn connect(gateway: &Running) -> Self {
        let socket = TcpStream::connect(gateway.address).await.unwrap();
        Self::upgrade(socket, gateway.address, Some(SUBPROTOCOL)).await.unwrap()
    }

    /// Connects with a small receive buffer: what it does not read fills the server's soon.
    pub async fn connect_narrow(gateway: &Running) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let socket = socket.connect(gateway.address).await.unwrap();
        Self::upgrade(socket, gateway.address, Some(SUBPROTOCOL)).await.unwrap()
    }

    pub async fn upgrade(
        socket: TcpStream,
        address: SocketAddr,
        protocols: Option<&'static str>,
    ) -> Result<Self, tungstenite::Error> {
        let mut request = format!("ws://{address}/v1/connect").into_client_request().unwrap();
        if let Some(protocols) = protocols {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocols));
        }
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = soon("the upgrade", client_async_with_config(request, socket, Some(config))).await?;
        Ok(Self { socket, frames: VecDeque::new() })
    }

    /// Connects and says hello; welcome was heard when this returns.
    pub async fn greet(world: &World, gateway: &Running, device: Device) -> Self {
        Self::greet_as(world, gateway, device).await.0
    }

    pub async fn greet_as(world: &World, gateway: &Running, device: Device) -> (Self, Welcome) {
        let mut client = Self::connect(gateway).await;
        client.say(&hello(&world.token(device))).await;
        let welcome = client.welcome().await;
        (client, welcome)
    }

    pub async fn welcome(&mut self) -> Welcome {
        match self.next().await {
            ServerFrame::Welcome(welcome) => welcome,
            other => panic!("expected welcome: {other:?}"),
        }
    }

    pub async fn say(&mut self, frame: &ClientFrame) {
        self.say_text(&frame.encode()).await;
    }

    pub async fn say_all(&mut self, frames: &[ClientFrame]) {
        let text: Vec<_> = frames.iter().map(ClientFrame::encode).collect();
        self.say_text(&text.join("\n")).await;
    }

    pub async fn say_text(&mut self, text: &str) {
        self.say_message(Message::text(text.to_owned())).await;
    }

    pub async fn say_message(&mut self, message: Message) {
        soon("a write", self.socket.send(message)).await.unwrap();
    }

    /// Sends a text; answers its id.
    pub async fn send(&mut self, room: RoomId, text: &str) -> MessageId {
        let id = MessageId::now();
        self.send_as(room, id, text).await;
        id
    }

    pub async fn send_as(&mut self, room: RoomId, id: MessageId, text: &str) {
        self.say(&send(room, id, text)).await;
    }

    /// What comes next, whatever it is.
    pub async fn hear(&mut self) -> Heard {
        match soon("a message", self.socket.next()).await {
            Some(Ok(Message::Text(text))) => Heard::Text(text.as_str().to_owned()),
            Some(Ok(Message::Ping(_))) => Heard::Ping,
            Some(Ok(Message::Pong(payload))) => Heard::Pong(payload.to_vec()),
            Some(Ok(Message::Close(Some(frame)))) => Heard::Closed(frame.code.into()),
            Some(Ok(other)) => panic!("unexpected: {other:?}"),
            Some(Err(_)) | None => Heard::Gone,
        }
    }

    /// The next frame.
    pub async fn next(&mut self) -> ServerFrame {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            match self.hear().await {
                Heard::Text(text) => {
                    self.frames.extend(lines(&text).map(|line| ServerFrame::decode(line).expect("a frame")));
                }
                Heard::Ping | Heard::Pong(_) => {}
                other => panic!("expected a frame: {other:?}"),
            }
        }
    }

    /// Asserts that nothing came before the answer to a ping.
    pub async fn is_quiet(&mut self) {
        let reference = Some(MessageId::now().to_string());
        self.say(&ClientFrame::Ping(Ping { reference: reference.clone() })).await;
        match self.next().await {
            ServerFrame::Pong(pong) if pong.reference == reference => {}
            other => panic!("expected nothing: {other:?}"),
        }
    }

    /// The code of the close frame; frames before it are kept for `next`.
    pub async fn closed(&mut self) -> u16 {
        // Pings alone must not keep a test waiting.
        soon("a close frame", async {
            loop {
                match self.hear().await {
                    Heard::Text(text) => {
                        self.frames.extend(lines(&text).map(|line| ServerFrame::decode(line).expect("a frame")));
                    }
                    Heard::Closed(code) => return code,
                    Heard::Ping | Heard::Pong(_) => {}
                    Heard::Gone => panic!("gone without a close frame"),
                }
            }
        })
        .await
    }

    /// Frames that were heard and not looked at.
    pub fn rest(&mut self) -> Vec<ServerFrame> {
        self.frames.drain(..).collect()
    }

    /// The next frame's text, which must be a message.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            ServerFrame::Message(message) => {
                let content: serde_json::Value = message.entry.content.read().unwrap();
                content["text"].as_str().map_or_else(|| message.entry.kind.name().to_owned(), str::to_owned)
            }
            other => panic!("expected a message: {other:?}"),
        }
    }

    pub async fn close(mut self) {
        let frame = tungstenite::protocol::CloseFrame { code: CloseCode::Normal, reason: "".into() };
        soon("closing", self.socket.close(Some(frame))).await.unwrap();
        while !matches!(self.hear().await, Heard::Gone) {}
    }
}

pub fn hello(token: &str) -> ClientFrame {
    ClientFrame::Hello(Hello {
        token: token.to_owned(),
        device: None,
        client: None,
        encodings: Vec::new(),
        resume: None,
    })
}

pub fn send(room: RoomId, id: MessageId, text: &str) -> ClientFrame {
    ClientFrame::Send(Send::new(id, room, Kind::Text, Content::text(text).unwrap()))
}
