//! Bounds that several crates share. Each has its unit in its name or its line, and its reason.

use std::time::Duration;

/// One WebSocket message of a client, in bytes: the wire contract's 64 KiB.
pub const FRAME_BYTES: usize = 64 * 1024;
/// Content of one entry, in bytes of JSON: half a frame, so that every stored entry still fits one frame with its envelope.
pub const CONTENT_BYTES: usize = 32 * 1024;
/// Nesting of an entry's content: what any JSON reader takes without deep recursion.
pub const CONTENT_DEPTH: usize = 64;
/// Bytes of a kind's name.
pub const KIND_BYTES: usize = 64;
/// Bytes of a content type (RFC 6838 section 4.2 allows 127 for each half; nobody uses that).
pub const CONTENT_TYPE_BYTES: usize = 128;
/// Bytes of an emoji in a reaction: the longest ZWJ sequences of Unicode 16 are below 50.
pub const EMOJI_BYTES: usize = 64;
/// Different emoji on one entry: above that a row would carry more reactions than text.
pub const REACTIONS_PER_ENTRY: usize = 64;
/// People named in one entry: each costs a row that the unread count reads.
pub const MENTIONS: usize = 100;
/// Unsettled sends of one connection: the wire contract's default.
pub const IN_FLIGHT: usize = 512;
/// Sends per second of one user, sustained: the wire contract's default.
pub const SENDS_PER_SECOND: u32 = 50;
/// Sends in one burst of one user: the wire contract's default.
pub const SEND_BURST: u32 = 500;
/// Members up to which delivered watermarks exist and events name their members (wire contract: 32).
pub const SMALL_ROOM_MEMBERS: usize = 32;
/// Members of one group: a membership change stays one transaction and one refetch of a few MB.
pub const GROUP_MEMBERS: usize = 100_000;
/// Members named when a group is made: one command stays below the broker's and the HTTP body's bound.
pub const NEW_GROUP_MEMBERS: usize = 5_000;
/// Entries of one history page: the wire contract's bound.
pub const HISTORY_PAGE: usize = 200;
/// Rooms of one sync call: the wire contract's bound.
pub const SYNC_ROOMS: usize = 500;
/// Entries of one page of a list (rooms, members, users, friends).
pub const LIST_PAGE: usize = 200;
/// How long an access token lives.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a refresh token lives without use: a phone in a drawer over the summer comes back.
pub const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
