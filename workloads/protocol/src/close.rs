//! WebSocket close codes. 4000-4499: come back with backoff; 4500-4999: not without the user.

/// Going away: drain or shutdown.
pub const GOING_AWAY: u16 = 4000;
/// The client reads too slowly: its output queue is full.
pub const SLOW_READER: u16 = 4008;
/// Nothing was heard for two heartbeats.
pub const HEARTBEAT_MISSED: u16 = 4009;
/// A flood that went on.
pub const TOO_MANY: u16 = 4029;
/// The access token expired or was not accepted: refresh, come back.
pub const TOKEN_EXPIRED: u16 = 4401;
/// Malformed.
pub const MALFORMED: u16 = 4500;
/// `hello` missing or late.
pub const HELLO_MISSING: u16 = 4501;
/// The session was revoked.
pub const SESSION_REVOKED: u16 = 4503;
/// No subprotocol this server speaks.
pub const UNSUPPORTED_VERSION: u16 = 4505;
/// A frame above the bound.
pub const FRAME_TOO_LARGE: u16 = 4509;

/// Whether a client comes back by itself after this code. Codes of RFC 6455 (1000-2999) are transport accidents: yes,
/// except 1009, a message too large, which would only repeat.
#[must_use]
pub const fn comes_back(code: u16) -> bool {
    !matches!(code, 4500..=4999 | 1009)
}
