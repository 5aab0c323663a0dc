//! What a user of the core decides, and the bounds it keeps.

use klatch_protocol::ClientInfo;

/// How much of a room's log a client takes when it first meets the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All of it.
    Everything,
    /// What comes from now on; older pages on demand. Cost follows what is on screen.
    FromNow,
}

/// What a user of the core decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What program this is.
    pub client: ClientInfo,
    /// How much of a log is taken at first.
    pub depth: Depth,
    /// Rows held per room; older ones are let go and can be loaded again. Bounds the memory of a client that runs for
    /// months.
    pub rows_per_room: usize,
    /// Tell the server that entries were delivered (in rooms up to the wire contract's 32 members).
    pub delivered: bool,
    /// Ask for a [`Snapshot`](super::Snapshot) to be written: before a message leaves, and when much has moved.
    pub save: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client: ClientInfo { name: "klatch-client-sdk".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            depth: Depth::FromNow,
            rows_per_room: 5_000,
            delivered: true,
            save: false,
        }
    }
}

/// A socket that does not open within this, milliseconds, is given up: three lost SYN packets.
pub(crate) const OPENING_MS: u64 = 15_000;
/// A server that does not answer `hello` within this, milliseconds, is given up: as long as it waits for `hello`, and some.
pub(crate) const GREETING_MS: u64 = 15_000;
/// A connection that lasted this long, milliseconds, was a good one: backoff starts anew.
pub(crate) const STABLE_MS: u64 = 60_000;
/// Messages wait at most this long, milliseconds, for the catch-up after `welcome`. The server knows repeats, so this is
/// about traffic, not truth.
pub(crate) const CATCH_UP_WAIT_MS: u64 = 5_000;
/// A gap waits this long, milliseconds, for what is merely late before it is asked for.
pub(crate) const GAP_WAIT_MS: u64 = 250;
/// More rooms with gaps than this at once are asked for in one sync call.
pub(crate) const GAPS_AT_ONCE: usize = 4;
/// Entries that came before their predecessors, per room. Beyond, the farthest is dropped and fetched again.
pub(crate) const EARLY_ENTRIES: usize = 1_000;
/// Entries one sync answer is meant to hold, all rooms together: some MB at most.
pub(crate) const SYNC_ENTRIES: usize = 5_000;
/// Fewest entries asked per room in one sync call.
pub(crate) const SYNC_ENTRIES_PER_ROOM: usize = 10;
/// Heads are compared this often, milliseconds (wire contract: 5 minutes): the loss of a log's last entry shows nowhere else.
pub(crate) const CHECK_EVERY_MS: u64 = 300_000;
/// An entry of a room nobody invited us to asks for the inbox at most this often, milliseconds.
pub(crate) const STRANGER_EVERY_MS: u64 = 2_000;
/// Watermarks gather this long, milliseconds, before they are sent.
pub(crate) const WATERMARK_EVERY_MS: u64 = 1_000;
/// Watermarks sent less than this before a connection broke, milliseconds, are sent again on the next.
pub(crate) const WATERMARK_DOUBT_MS: u64 = 30_000;
/// Positions that moved are saved this long after, milliseconds, unless a message forces a save before.
pub(crate) const SAVE_EVERY_MS: u64 = 5_000;
/// Messages in the outbox, all rooms together; more are refused at once.
pub(crate) const OUTBOX_MESSAGES: usize = 10_000;
/// Refused messages kept for the user to send again; the oldest is forgotten.
pub(crate) const FAILED_MESSAGES: usize = 1_000;
/// A message without any answer for this long, milliseconds, is sent again; each further time the wait doubles.
pub(crate) const ANSWER_MS: u64 = 30_000;
/// Longest such wait, milliseconds: as long as the service parks a command.
pub(crate) const ANSWER_MOST_MS: u64 = 300_000;
/// Sends in one burst, in seconds of the sustained pace: half of what servers grant, as other devices share it.
pub(crate) const BURST_SECONDS: u64 = 5;
/// Rooms watched at once: as many as a gateway lets one connection watch. One more in a frame, and it takes none of them.
pub(crate) const WATCHED_ROOMS: usize = 128;
/// Users whose presence is watched at once: as many as a gateway lets one connection watch.
pub(crate) const WATCHED_USERS: usize = 1_024;
/// Typing is said at most this often per room, milliseconds.
pub(crate) const TYPING_EVERY_MS: u64 = 3_000;
