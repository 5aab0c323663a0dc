//! One value of every frame, with fixed ids and times: what the golden files hold.
//!
//! A name with a `.` names a variant: `hello` carries every field, `hello.least` only those that must be there.

use std::sync::Arc;

use klatch_domain::{
    Code, ConnectionId, Content, Draft, Entry, Generation, Kind, Mentions, MessageId, Ordinal, Position, ReactionCount,
    RoomId, Sender, Seq, SessionId, Timestamp, UserId,
};
use klatch_protocol::{
    Accepted, Busy, ClientFrame, ClientInfo, ErrorFrame, Hello, Limits, MessageFrame, Ping, Pong, PositionFrame,
    PresenceFrame, PresenceStatus, Reconnect, Refresh, Refused, Reset, Resume, Resumed, Send, ServerFrame, SignalIn,
    SignalOut, StoredFrame, Watch, WatermarkFrame, WatermarkOut, Welcome,
};

/// Bytes of a UUIDv7 that says in its last byte which of its kind it is.
const fn uuid(group: u8, number: u8) -> [u8; 16] {
    [0x01, 0x9a, 0xb5, 0x0c, 0x7e, 0x00, 0x70, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, group, number]
}

/// The fixed user of this number.
#[must_use]
pub const fn user(number: u8) -> UserId {
    UserId::from_bytes(uuid(1, number))
}

/// The fixed room of this number.
#[must_use]
pub const fn room(number: u8) -> RoomId {
    RoomId::from_bytes(uuid(2, number))
}

/// The fixed session of this number.
#[must_use]
pub const fn session(number: u8) -> SessionId {
    SessionId::from_bytes(uuid(3, number))
}

/// The fixed message id of this number.
#[must_use]
pub const fn message(number: u8) -> MessageId {
    MessageId::from_bytes(uuid(4, number))
}

const fn connection(number: u8) -> ConnectionId {
    ConnectionId::from_bytes(uuid(5, number))
}

/// 2026-11-24T09:30:00.000Z and this many seconds.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_512_600_000 + seconds * 1_000)
}

fn content(text: &str) -> Content {
    Content::parse(text).unwrap_or_default()
}

pub(crate) fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

pub(crate) const fn position(seq: u64) -> Position {
    Position { generation: Generation(2), seq: Seq(seq) }
}

fn mentions() -> Mentions {
    Mentions { users: vec![user(2), user(3)], room: true }
}

pub(crate) fn send() -> Send {
    Send {
        content_type: Some("text/plain".into()),
        reply_to: Some(Seq(3)),
        thread: Some(Seq(1)),
        target: Some(Seq(2)),
        mentions: Some(mentions()),
        silent: true,
        expires_at: Some(at(3_600)),
        if_epoch: Some(7),
        device_list_version: Some(4),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ..Send::new(message(1), room(1), Kind::Text, content(r#"{"text":"Grüße, \"Ada\"\nsecond line \ud83d\udc4b"}"#))
    }
}

pub(crate) fn least_entry() -> Entry {
    let draft = Draft::new(Kind::Text, content(r#"{"text":"hello"}"#));
    let sender = Sender { user: user(1), session: session(1) };
    Entry::of(&draft, Position::first(1), Ordinal(1), message(1), sender, at(0))
}

pub(crate) fn full_entry() -> Entry {
    Entry {
        position: position(5),
        prev_seq: Seq(4),
        ordinal: Ordinal(3),
        reply_to: Some(Seq(3)),
        thread: Some(Seq(1)),
        target: Some(Seq(2)),
        changed_seq: Some(Seq(6)),
        mentions: Some(mentions()),
        silent: true,
        attachments: Some(vec![content(r#"{"file_id":"f1"}"#)]),
        expires_at: Some(at(3_600)),
        edited_at: Some(at(60)),
        deleted: true,
        reactions: vec![ReactionCount { emoji: "👍".to_owned(), count: 2, mine: None }],
        ..least_entry()
    }
}

/// Every frame of a client under the name of its golden file.
#[must_use]
pub fn client() -> Vec<(&'static str, ClientFrame)> {
    let hello = Hello {
        token: "eyJ.e30.c2ln".to_owned(),
        device: text("laptop-1"),
        client: Some(ClientInfo { name: "klatch-web".to_owned(), version: "0.1.0".to_owned() }),
        encodings: vec!["gzip".to_owned()],
        resume: Some(Resume { connection: connection(1) }),
    };
    let least_hello =
        Hello { token: hello.token.clone(), device: None, client: None, encodings: Vec::new(), resume: None };
    let watch = Watch { rooms: vec![room(1), room(2)], presence: vec![user(2)] };
    vec![
        ("hello", ClientFrame::Hello(hello)),
        ("hello.least", ClientFrame::Hello(least_hello)),
        ("send", ClientFrame::Send(send())),
        ("send.least", ClientFrame::Send(Send::new(message(2), room(1), Kind::Text, content(r#"{"text":"hello"}"#)))),
        (
            "send.unknown_kind",
            ClientFrame::Send(Send::new(
                message(3),
                room(1),
                Kind::Other(Arc::from("org.example.poll")),
                content(r#"{ "choices" : ["a", "b"], "votes": 1e3 }"#),
            )),
        ),
        (
            "watermark",
            ClientFrame::Watermark(WatermarkOut {
                room: room(1),
                read: Some(position(5)),
                delivered: Some(position(6)),
            }),
        ),
        ("watermark.least", ClientFrame::Watermark(WatermarkOut { room: room(1), read: None, delivered: None })),
        (
            "signal",
            ClientFrame::Signal(SignalOut {
                room: room(1),
                kind: "typing".into(),
                payload: Some(content(r#"{"on":true}"#)),
                ttl_ms: Some(5_000),
            }),
        ),
        (
            "signal.least",
            ClientFrame::Signal(SignalOut { room: room(1), kind: "typing".into(), payload: None, ttl_ms: None }),
        ),
        ("watch", ClientFrame::Watch(watch.clone())),
        ("watch.least", ClientFrame::Watch(Watch::default())),
        ("unwatch", ClientFrame::Unwatch(watch)),
        ("unwatch.least", ClientFrame::Unwatch(Watch::default())),
        ("refresh", ClientFrame::Refresh(Refresh { token: "eyJ.e30.bmV3".to_owned() })),
        ("ping", ClientFrame::Ping(Ping { reference: text("42") })),
        ("ping.least", ClientFrame::Ping(Ping::default())),
    ]
}

/// Every frame of a server under the name of its golden file.
#[must_use]
pub fn server() -> Vec<(&'static str, ServerFrame)> {
    let welcome = Welcome {
        connection: connection(1),
        session: session(1),
        user: user(1),
        inbox: RoomId::inbox_of(user(1)),
        server_time: at(0),
        heartbeat_ms: 30_000,
        limits: Limits { frame_bytes: 65_536, content_bytes: 32_768, in_flight: 512, sends_per_second: 50 },
        resumed: Resumed::None,
    };
    let refused = Refused {
        message_id: message(1),
        room: room(1),
        code: Code::RateLimited,
        detail: "more than 50 sends a second".into(),
        retryable: true,
        retry_after_ms: Some(1_500),
    };
    let least_refused = Refused {
        code: Code::NotAMember,
        detail: "you are no member of this room".into(),
        retryable: false,
        retry_after_ms: None,
        ..refused.clone()
    };
    let presence = PresenceFrame { user: user(2), status: PresenceStatus::Away, last_active: Some(at(-300)) };
    vec![
        ("welcome.full", ServerFrame::Welcome(Welcome { resumed: Resumed::Full, ..welcome.clone() })),
        ("welcome.partial", ServerFrame::Welcome(Welcome { resumed: Resumed::Partial, ..welcome.clone() })),
        ("welcome", ServerFrame::Welcome(welcome)),
        ("accepted", ServerFrame::Accepted(Accepted { message_id: message(1) })),
        (
            "stored",
            ServerFrame::Stored(StoredFrame {
                message_id: message(1),
                room: room(1),
                position: position(5),
                ordinal: Ordinal(3),
                at: at(0),
            }),
        ),
        ("refused", ServerFrame::Refused(refused)),
        ("refused.least", ServerFrame::Refused(least_refused)),
        ("message", ServerFrame::Message(MessageFrame { room: room(1), entry: full_entry(), members_version: Seq(1) })),
        (
            "message.least",
            ServerFrame::Message(MessageFrame { room: room(1), entry: least_entry(), members_version: Seq(1) }),
        ),
        (
            "position",
            ServerFrame::Position(PositionFrame { room: room(1), head: position(9), head_ordinal: Ordinal(7) }),
        ),
        ("reset", ServerFrame::Reset(Reset { room: room(1), generation: Generation(3) })),
        (
            "watermark",
            ServerFrame::Watermark(WatermarkFrame {
                room: room(1),
                user: user(2),
                read: Some(position(5)),
                delivered: Some(position(6)),
            }),
        ),
        (
            "watermark.least",
            ServerFrame::Watermark(WatermarkFrame { room: room(1), user: user(2), read: None, delivered: None }),
        ),
        (
            "signal",
            ServerFrame::Signal(SignalIn {
                room: room(1),
                user: user(2),
                kind: "typing".into(),
                payload: Some(content(r#"{"on":true}"#)),
            }),
        ),
        (
            "signal.least",
            ServerFrame::Signal(SignalIn { room: room(1), user: user(2), kind: "typing".into(), payload: None }),
        ),
        (
            "presence.online",
            ServerFrame::Presence(PresenceFrame {
                status: PresenceStatus::Online,
                last_active: None,
                ..presence.clone()
            }),
        ),
        (
            "presence.offline",
            ServerFrame::Presence(PresenceFrame { status: PresenceStatus::Offline, ..presence.clone() }),
        ),
        ("presence", ServerFrame::Presence(presence)),
        ("busy", ServerFrame::Busy(Busy { room: Some(room(1)), retry_after_ms: 250 })),
        ("busy.least", ServerFrame::Busy(Busy { room: None, retry_after_ms: 250 })),
        ("reconnect", ServerFrame::Reconnect(Reconnect { after_ms: 1_200, reason: "drain".into() })),
        ("pong", ServerFrame::Pong(Pong { reference: text("42"), server_time: at(0) })),
        ("pong.least", ServerFrame::Pong(Pong { reference: None, server_time: at(0) })),
        (
            "error",
            ServerFrame::Error(ErrorFrame {
                code: Code::UnknownFrame,
                detail: "unknown frame type \"shout\"".into(),
                reference: text("42"),
            }),
        ),
        (
            "error.least",
            ServerFrame::Error(ErrorFrame {
                code: Code::ValidationFailed,
                detail: "a frame is a JSON object with a \"type\"".into(),
                reference: None,
            }),
        ),
    ]
}
