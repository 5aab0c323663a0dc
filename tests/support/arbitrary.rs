//! Any value a frame may carry: hostile text, every escape, numbers up to the last one JSON readers keep exact.
//!
//! Strategies are boxed where they nest: their types would else grow past the stack of a test's thread.

use std::sync::Arc;

use klatch_domain::{
    Code, ConnectionId, Content, Entry, Generation, Kind, Mentions, MessageId, Ordinal, Position, ReactionCount,
    RoomId, Sender, Seq, SessionId, Timestamp, UserId,
};
use klatch_protocol::{
    Accepted, Busy, ClientFrame, ClientInfo, ErrorFrame, Hello, Limits, MessageFrame, Ping, Pong, PositionFrame,
    PresenceFrame, PresenceStatus, Reconnect, Refresh, Refused, Reset, Resume, Resumed, Send, ServerFrame, SignalIn,
    SignalOut, StoredFrame, Watch, WatermarkFrame, WatermarkOut, Welcome,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;

/// First number JSON readers may round (RFC 8259 section 6).
const INEXACT: u64 = 1 << 53;
/// Years 0 to 9999 less the last two days, which jiff cannot read.
const READABLE_MS: std::ops::Range<i64> = -62_167_219_200_000..253_402_200_000_000;

/// Text with what breaks careless encoders: controls, quotes, line separators, astral and direction-changing characters.
pub fn any_text() -> BoxedStrategy<String> {
    let nasty =
        select(vec!['"', '\\', '\n', '\r', '\t', '\0', '\u{7f}', '\u{2028}', '\u{202e}', '\u{feff}', '👋', '{']);
    vec(prop_oneof![any::<char>(), nasty, proptest::char::range(' ', '~')], 0..24)
        .prop_map(|characters| characters.into_iter().collect())
        .boxed()
}

fn any_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any_text(), inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

/// Any JSON object as a client may write it: on one line or on many.
pub fn any_object_text() -> BoxedStrategy<String> {
    (vec((any_text(), any_value()), 0..4), any::<bool>())
        .prop_map(|(fields, pretty)| {
            let object = Value::Object(fields.into_iter().collect());
            if pretty { format!("{object:#}") } else { object.to_string() }
        })
        .boxed()
}

/// Any content.
pub fn any_content() -> BoxedStrategy<Content> {
    any_object_text().prop_map(|text| Content::parse(&text).unwrap_or_default()).boxed()
}

macro_rules! ids {
    ($($function:ident -> $id:ident),*) => {
        $(pub(crate) fn $function() -> impl Strategy<Value = $id> { any::<[u8; 16]>().prop_map($id::from_bytes) })*
    };
}

ids!(user -> UserId, room -> RoomId, session -> SessionId, message_id -> MessageId, connection -> ConnectionId);

pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..INEXACT, Just(0), Just(INEXACT - 1)]
}

pub(crate) fn seq() -> impl Strategy<Value = Seq> {
    number().prop_map(Seq)
}

prop_compose! {
    pub(crate) fn position()(generation in number(), seq in seq()) -> Position {
        Position { generation: Generation(generation), seq }
    }
}

pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    READABLE_MS.prop_map(Timestamp::from_millis)
}

pub(crate) fn boxed_text() -> impl Strategy<Value = Box<str>> {
    any_text().prop_map(String::into_boxed_str)
}

pub(crate) fn kind() -> BoxedStrategy<Kind> {
    let known = ["text", "file", "edit", "delete", "reaction", "member_joined", "room_changed", "mls", "to_device"];
    prop_oneof![
        select(known.to_vec()).prop_map(Kind::from_name),
        any_text().prop_map(|name| Kind::from_name(&name)),
        any_text().prop_map(|name| match Kind::from_name(&name) {
            Kind::Other(name) => Kind::Other(name),
            _ => Kind::Other(Arc::from("x")),
        }),
    ]
    .boxed()
}

pub(crate) fn code() -> impl Strategy<Value = Code> {
    select(Code::ALL)
}

prop_compose! {
    pub(crate) fn mentions()(users in vec(user(), 0..3), room in any::<bool>()) -> Mentions {
        Mentions { users, room }
    }
}

prop_compose! {
    pub(crate) fn send()(
        (message_id, room, kind, content) in (message_id(), room(), kind(), any_content()),
        (content_type, traceparent) in (option::of(boxed_text()), option::of(boxed_text())),
        (reply_to, thread, target) in (option::of(seq()), option::of(seq()), option::of(seq())),
        (mentions, silent, expires_at) in (option::of(mentions()), any::<bool>(), option::of(time())),
        (if_epoch, device_list_version) in (option::of(number()), option::of(number())),
    ) -> Send {
        Send {
            message_id, room, kind, content, content_type, reply_to, thread, target, mentions, silent, expires_at,
            if_epoch, device_list_version, traceparent,
        }
    }
}

prop_compose! {
    fn hello()(
        token in any_text(),
        device in option::of(any_text()),
        client in option::of((any_text(), any_text())),
        encodings in vec(any_text(), 0..3),
        resume in option::of(connection()),
    ) -> Hello {
        Hello {
            token,
            device,
            client: client.map(|(name, version)| ClientInfo { name, version }),
            encodings,
            resume: resume.map(|connection| Resume { connection }),
        }
    }
}

fn watch() -> impl Strategy<Value = Watch> {
    (vec(room(), 0..4), vec(user(), 0..4)).prop_map(|(rooms, presence)| Watch { rooms, presence })
}

/// Any frame of a client.
pub fn client_frame() -> BoxedStrategy<ClientFrame> {
    prop_oneof![
        hello().boxed().prop_map(ClientFrame::Hello),
        send().boxed().prop_map(ClientFrame::Send),
        (room(), option::of(position()), option::of(position()))
            .prop_map(|(room, read, delivered)| ClientFrame::Watermark(WatermarkOut { room, read, delivered })),
        (room(), boxed_text(), option::of(any_content()), option::of(number()))
            .prop_map(|(room, kind, payload, ttl_ms)| ClientFrame::Signal(SignalOut { room, kind, payload, ttl_ms })),
        watch().prop_map(ClientFrame::Watch),
        watch().prop_map(ClientFrame::Unwatch),
        any_text().prop_map(|token| ClientFrame::Refresh(Refresh { token })),
        option::of(any_text()).prop_map(|reference| ClientFrame::Ping(Ping { reference })),
    ]
    .boxed()
}

prop_compose! {
    fn reaction()(emoji in any_text(), count in any::<u32>(), mine in option::of(any::<bool>())) -> ReactionCount {
        ReactionCount { emoji, count, mine }
    }
}

prop_compose! {
    /// Any entry.
    pub fn any_entry()(
        (position, prev_seq, ordinal) in (position(), seq(), number().prop_map(Ordinal)),
        (message_id, user, session, at) in (message_id(), user(), session(), time()),
        (kind, content_type, content) in (kind(), any_text(), any_content()),
        (reply_to, thread, target, changed_seq) in
            (option::of(seq()), option::of(seq()), option::of(seq()), option::of(seq())),
        (mentions, silent, attachments) in
            (option::of(mentions()), any::<bool>(), option::of(vec(any_content(), 0..3))),
        (expires_at, edited_at, deleted) in (option::of(time()), option::of(time()), any::<bool>()),
        reactions in vec(reaction(), 0..3),
    ) -> Entry {
        Entry {
            position, prev_seq, ordinal, message_id, sender: Sender { user, session }, at, kind,
            content_type: content_type.into(), content, reply_to, thread, target, changed_seq, mentions, silent,
            attachments, expires_at, edited_at, deleted, reactions,
        }
    }
}

prop_compose! {
    fn welcome()(
        (connection, session, user, inbox) in (connection(), session(), user(), room()),
        (server_time, heartbeat_ms) in (time(), number()),
        (frame_bytes, content_bytes, in_flight, sends_per_second) in (number(), number(), number(), number()),
        resumed in select(vec![Resumed::Full, Resumed::Partial, Resumed::None]),
    ) -> Welcome {
        let limits = Limits { frame_bytes, content_bytes, in_flight, sends_per_second };
        Welcome { connection, session, user, inbox, server_time, heartbeat_ms, limits, resumed }
    }
}

prop_compose! {
    fn refused()(
        message_id in message_id(), room in room(), code in code(), detail in any_text(),
        retryable in any::<bool>(), retry_after_ms in option::of(number()),
    ) -> Refused {
        Refused { message_id, room, code, detail: detail.into(), retryable, retry_after_ms }
    }
}

fn settled_frame() -> BoxedStrategy<ServerFrame> {
    prop_oneof![
        message_id().prop_map(|message_id| ServerFrame::Accepted(Accepted { message_id })),
        (message_id(), room(), position(), number(), time()).prop_map(|(message_id, room, position, ordinal, at)| {
            ServerFrame::Stored(StoredFrame { message_id, room, position, ordinal: Ordinal(ordinal), at })
        }),
        refused().boxed().prop_map(ServerFrame::Refused),
        (option::of(room()), number())
            .prop_map(|(room, retry_after_ms)| ServerFrame::Busy(Busy { room, retry_after_ms })),
        (code(), any_text(), option::of(any_text())).prop_map(|(code, detail, reference)| {
            ServerFrame::Error(ErrorFrame { code, detail: detail.into(), reference })
        }),
    ]
    .boxed()
}

fn room_frame() -> BoxedStrategy<ServerFrame> {
    prop_oneof![
        (room(), any_entry().boxed(), seq()).prop_map(|(room, entry, members_version)| {
            ServerFrame::Message(MessageFrame { room, entry, members_version })
        }),
        (room(), position(), number()).prop_map(|(room, head, ordinal)| {
            ServerFrame::Position(PositionFrame { room, head, head_ordinal: Ordinal(ordinal) })
        }),
        (room(), number())
            .prop_map(|(room, generation)| ServerFrame::Reset(Reset { room, generation: Generation(generation) })),
        (room(), user(), option::of(position()), option::of(position())).prop_map(|(room, user, read, delivered)| {
            ServerFrame::Watermark(WatermarkFrame { room, user, read, delivered })
        }),
        (room(), user(), boxed_text(), option::of(any_content()))
            .prop_map(|(room, user, kind, payload)| ServerFrame::Signal(SignalIn { room, user, kind, payload })),
    ]
    .boxed()
}

/// Any frame of a server.
pub fn server_frame() -> BoxedStrategy<ServerFrame> {
    let status = select(vec![PresenceStatus::Online, PresenceStatus::Away, PresenceStatus::Offline]);
    prop_oneof![
        welcome().boxed().prop_map(ServerFrame::Welcome),
        settled_frame(),
        room_frame(),
        (user(), status, option::of(time())).prop_map(|(user, status, last_active)| {
            ServerFrame::Presence(PresenceFrame { user, status, last_active })
        }),
        (number(), any_text())
            .prop_map(|(after_ms, reason)| ServerFrame::Reconnect(Reconnect { after_ms, reason: reason.into() })),
        (option::of(any_text()), time())
            .prop_map(|(reference, server_time)| ServerFrame::Pong(Pong { reference, server_time })),
    ]
    .boxed()
}
