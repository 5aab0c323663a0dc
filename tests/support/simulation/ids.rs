//! Ids that say what they are when a trace shows them.

use klatch_domain::{ConnectionId, MessageId, RoomId, SessionId, UserId};

const fn bytes(kind: u8, number: u64) -> [u8; 16] {
    let low = number.to_be_bytes();
    [kind, 0, 0, 0, 0, 0, 0x70, 0, low[0], low[1], low[2], low[3], low[4], low[5], low[6], low[7]]
}

pub(super) const fn user(number: u64) -> UserId {
    UserId::from_bytes(bytes(1, number))
}

pub(super) const fn room(number: u64) -> RoomId {
    RoomId::from_bytes(bytes(2, number))
}

pub(super) const fn inbox(user: u64) -> RoomId {
    RoomId::from_bytes(bytes(3, user))
}

pub(super) const fn session(client: u64) -> SessionId {
    SessionId::from_bytes(bytes(4, client))
}

pub(super) const fn message(number: u64) -> MessageId {
    MessageId::from_bytes(bytes(5, number))
}

pub(super) const fn connection(number: u64) -> ConnectionId {
    ConnectionId::from_bytes(bytes(6, number))
}
